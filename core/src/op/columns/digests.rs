//! Digests of dependencies that follow from the very changes at hand: they are left out, and computed again.
//!
//! Always holds: every log is chained at most once. Not here: the digest chain itself (`op::change`).

use crate::codec::{DecodeError, DecodeErrorKind, Reader};
use crate::id::ReplicaId;
use crate::op::{Digest, LogHead, Segment, chain, chain_start, half};
use crate::ordered::{OrdMap, sort_by_key};

/// A dependency, taken out of its change.
#[derive(Debug)]
pub(super) struct Named {
    /// The segment with the log that it names from the start.
    pub(super) target: Option<u32>,
    pub(super) end: u64,
    pub(super) digest: [u8; 16],
}

/// Sixteen bytes of a change that are still to be computed.
#[derive(Debug)]
pub(super) struct Hole {
    /// Where it is: segment and offset.
    pub(super) source: u32,
    pub(super) at: u32,
    /// What it is the digest of: segment and end.
    pub(super) target: u32,
    pub(super) end: u32,
}

/// How far a log was chained.
#[derive(Debug)]
struct Chain {
    /// Offset of the next frame.
    at: usize,
    end: u64,
    digest: Digest,
}

impl Chain {
    fn new(replica: ReplicaId) -> Self {
        Self { at: 0, end: 0, digest: chain_start(replica) }
    }

    /// The next change, and the offset behind it.
    fn next<'a>(&self, frames: &'a [u8]) -> Result<(&'a [u8], usize), DecodeError> {
        let mut reader = Reader::new(&frames[self.at..]);
        let change = reader.bytes("named change")?;
        Ok((change, self.at + reader.offset()))
    }

    fn push(&mut self, change: &[u8], behind: usize) -> Result<(), DecodeError> {
        self.digest = chain(&self.digest, change);
        (self.at, self.end) = (behind, self.end.saturating_add(LogHead::peek_ops(change)?));
        Ok(())
    }

    fn half(&self) -> [u8; 16] {
        half(&self.digest)
    }
}

/// Which of the dependencies can leave out their digest.
pub(super) fn computable(segments: &[Segment], named: &[Named]) -> Vec<bool> {
    let mut order: Vec<usize> = (0..named.len()).filter(|index| named[*index].target.is_some()).collect();
    sort_by_key(&mut order, |index| (named[*index].target, named[*index].end));
    let mut computable = vec![false; named.len()];
    for group in order.chunk_by(|a, b| named[*a].target == named[*b].target) {
        let Some(target) = named[group[0]].target else { continue };
        let segment = &segments[target as usize];
        let mut chain = Chain::new(segment.replica);
        for index in group {
            let named = &named[*index];
            while chain.end < named.end {
                let next = chain.next(&segment.frames);
                if next.and_then(|(change, behind)| chain.push(change, behind)).is_err() {
                    break;
                }
            }
            computable[*index] = chain.end == named.end && chain.half() == named.digest;
        }
    }
    computable
}

/// What is known of a log while digests are filled in.
struct Log {
    chain: Chain,
    /// Whether somebody waits for it.
    busy: bool,
    /// The ends that are named, and the first half of the digest at each.
    named: Vec<(u32, [u8; 16])>,
    /// The next hole in its changes, in the order of holes.
    inner: usize,
    /// The next hole that names it, in the order of targets.
    outer: usize,
}

/// What was computed of a log that is there from its beginning.
#[derive(Clone, Debug)]
pub(crate) struct Chained {
    /// The first half of the digest at every end that is named; ascending.
    named: Vec<(u32, [u8; 16])>,
    /// The last of those ends, and the whole digest there.
    pub(crate) end: u64,
    pub(crate) digest: Digest,
}

impl Chained {
    /// The first half of the digest at an end, if that was computed.
    pub(crate) fn at(&self, end: u64) -> Option<[u8; 16]> {
        let at = self.named.binary_search_by_key(&end, |(end, _)| u64::from(*end)).ok()?;
        Some(self.named[at].1)
    }
}

/// What was computed, by log.
pub(crate) type Chains = OrdMap<ReplicaId, Chained>;

/// Computes the digests that were left out. Holes ascend by place. Returns what it computed, so that nobody has to
/// compute it again in order to compare it.
///
/// # Errors
/// If a hole names no end of a change, or what depends on itself.
pub(super) fn fill(segments: &mut [Segment], holes: &[Hole]) -> Result<Chains, DecodeError> {
    if holes.is_empty() {
        return Ok(Chains::new());
    }
    let mut by_target: Vec<&Hole> = holes.iter().collect();
    sort_by_key(&mut by_target, |hole| (hole.target, hole.end));
    let log = |(index, segment): (usize, &Segment)| Log {
        chain: Chain::new(segment.replica),
        busy: false,
        named: Vec::new(),
        inner: holes.partition_point(|hole| (hole.source as usize) < index),
        outer: by_target.partition_point(|hole| (hole.target as usize) < index),
    };
    let logs = segments.iter().enumerate().map(log).collect();
    let mut fill = Fill { segments, holes, by_target: &by_target, logs };
    by_target.iter().try_for_each(|hole| fill.reach(hole))?;
    let chained =
        fill.logs.into_iter().map(|Log { named, chain: Chain { end, digest, .. }, .. }| Chained { named, end, digest });
    let chains = segments.iter().map(|segment| segment.replica).zip(chained);
    Ok(chains.filter(|(_, chained)| !chained.named.is_empty()).collect())
}

struct Fill<'a> {
    segments: &'a mut [Segment],
    holes: &'a [Hole],
    by_target: &'a [&'a Hole],
    logs: Vec<Log>,
}

impl Fill<'_> {
    /// Chains the log that `hole` names up to the end that it names, and whatever that takes.
    fn reach(&mut self, hole: &Hole) -> Result<(), DecodeError> {
        let mut waiting = vec![(hole.target as usize, u64::from(hole.end))];
        while let Some(&(index, until)) = waiting.last() {
            let log = &mut self.logs[index];
            log.busy = log.chain.end < until;
            if !log.busy {
                waiting.pop();
                continue;
            }
            let (change, behind) = log.chain.next(&self.segments[index].frames)?;
            let inner = self.holes.get(log.inner);
            let Some(inner) = inner.filter(|hole| hole.source as usize == index && (hole.at as usize) < behind) else {
                log.chain.push(change, behind)?;
                self.put(index)?;
                continue;
            };
            log.inner += 1;
            let other = &self.logs[inner.target as usize];
            if other.chain.end < u64::from(inner.end) {
                if other.busy {
                    return Err(bad(inner, "it depends on itself"));
                }
                waiting.push((inner.target as usize, u64::from(inner.end)));
            }
        }
        Ok(())
    }

    /// Writes the digest at the present end of a log wherever it is named.
    fn put(&mut self, index: usize) -> Result<(), DecodeError> {
        let log = &mut self.logs[index];
        while let Some(hole) = self.by_target.get(log.outer)
            && hole.target as usize == index
            && u64::from(hole.end) <= log.chain.end
        {
            if u64::from(hole.end) < log.chain.end {
                return Err(bad(hole, "it names no end of a change"));
            }
            if log.named.last().is_none_or(|(end, _)| *end != hole.end) {
                log.named.push((hole.end, log.chain.half()));
            }
            let at = hole.at as usize;
            self.segments[hole.source as usize].frames[at..at + 16].copy_from_slice(&log.chain.half());
            log.outer += 1;
        }
        Ok(())
    }
}

fn bad(hole: &Hole, what: &'static str) -> DecodeError {
    DecodeError { field: "dependency", offset: hole.at as usize, kind: DecodeErrorKind::Inconsistent(what) }
}

//! One replica's log: its sealed changes, where each begins, and the digest chain over them.
//!
//! Always holds: the digest is computed when somebody asks, a batch at a time, and checkpoints make an older one cost
//! at most `CHECKPOINT` hashes, from the second time on that its stretch is asked about.

use std::ops::Range;

use crate::clock::Hlc;
use crate::codec::{DecodeError, len_u64, put_u64};
use crate::id::ReplicaId;
use crate::op::{Change, ChangeHeader, Digest, Frames, LogHead, LogState, chain, chain_start, put_frame};
use crate::ordered::OrdMap;

const CHECKPOINT: usize = 64;

/// A point of a log.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogMark {
    end: u64,
    hlc: Hlc,
    names: usize,
    frames: usize,
    len: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) replica: ReplicaId,
    pub(super) head: LogHead,
    /// Where the log was when its older changes were left in the file: what is here starts there.
    base: LogHead,
    frames: Vec<u8>,
    /// How much of that was put in front of what was here first.
    origin: usize,
    /// First seq of each change, and where its frame starts.
    starts: Vec<(u32, u32)>,
    chained: usize,
    digest: Digest,
    checkpoints: OrdMap<usize, Digest>,
}

impl Log {
    pub(super) fn new(replica: ReplicaId) -> Self {
        let digest = chain_start(replica);
        Self {
            replica,
            head: LogHead::default(),
            base: LogHead::default(),
            frames: Vec::new(),
            origin: 0,
            starts: Vec::new(),
            chained: 0,
            digest,
            checkpoints: OrdMap::from([(0, digest)]),
        }
    }

    /// A log of which only the end is known.
    pub(super) fn starting_at(state: &LogState) -> Self {
        let mut log = Self::new(state.replica);
        (log.head, log.base, log.digest) = (state.head.clone(), state.head.clone(), state.digest);
        log.checkpoints = OrdMap::from([(0, state.digest)]);
        log
    }

    /// Where the changes that are here start.
    pub(super) fn base(&self) -> &LogHead {
        &self.base
    }

    /// The digest there.
    pub(super) fn base_digest(&self) -> Option<Digest> {
        self.checkpoints.get(&0).copied()
    }

    /// The log without the changes that are here.
    pub(super) fn bare(&self) -> Self {
        let mut log = Self::new(self.replica);
        (log.head, log.base) = (self.base.clone(), self.base.clone());
        if let Some(digest) = self.base_digest() {
            log.digest = digest;
            log.checkpoints = OrdMap::from([(0, digest)]);
        }
        log
    }

    /// The frames of all changes that are here.
    pub(super) fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Adds a change whose header was read against this log's head; `names` are the names that the log has behind it.
    pub(super) fn push(&mut self, header: &ChangeHeader, names: &[ReplicaId], change: &[u8]) -> Range<usize> {
        self.starts.push((header.first_seq as u32, self.frames.len() as u32));
        put_frame(&mut self.frames, change);
        (self.head.end, self.head.hlc) = (header.end(), header.hlc);
        self.head.names.extend_from_slice(&names[self.head.names.len()..]);
        self.frames.len() - change.len()..self.frames.len()
    }

    /// Reads a change against the head and adds it.
    pub(super) fn append(&mut self, change: &[u8]) -> Result<ChangeHeader, DecodeError> {
        let header = self.head.read(change)?;
        self.starts.push((header.first_seq as u32, self.frames.len() as u32));
        put_frame(&mut self.frames, change);
        Ok(header)
    }

    /// Takes in the frames of changes that are then read one by one (`read_next`). Returns where they start.
    pub(super) fn append_frames(&mut self, frames: &[u8]) -> usize {
        let start = self.frames.len();
        self.frames.extend_from_slice(frames);
        start
    }

    /// The same for changes that were here before the history was put in front of them.
    pub(super) fn begin_here(&mut self, frames: &[u8]) -> usize {
        self.origin = self.frames.len();
        self.append_frames(frames)
    }

    /// A place as it is known outside, whatever is put in front later: modulo 2³².
    #[inline]
    pub(super) fn relative(&self, range: Range<usize>) -> Range<u32> {
        let at = |place: usize| (place as u32).wrapping_sub(self.origin as u32);
        at(range.start)..at(range.end)
    }

    /// Reads the next of the appended changes against the head; its bytes are stored from `start` on.
    #[cfg_attr(target_family = "wasm", inline(never))]
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub(super) fn read_next(&mut self, change: &[u8], start: usize) -> Result<ChangeHeader, DecodeError> {
        let header = self.head.read(change)?;
        self.starts.push((header.first_seq as u32, (start - len_u64(change.len() as u64)) as u32));
        Ok(header)
    }

    /// This point, to come back to.
    pub(super) fn mark(&self) -> LogMark {
        let head = &self.head;
        LogMark { end: head.end, hlc: head.hlc, names: head.names.len(), frames: self.frames.len(), len: self.len() }
    }

    /// Takes back what was appended since `mark`.
    pub(super) fn reset(&mut self, mark: &LogMark) {
        (self.head.end, self.head.hlc) = (mark.end, mark.hlc);
        self.head.names.truncate(mark.names);
        self.frames.truncate(mark.frames);
        self.starts.truncate(mark.len);
        if self.chained > mark.len {
            self.checkpoints.retain(|at, _| *at <= mark.len);
            let (at, digest) = self.checkpoints.range(..).next_back().expect("there is one at the start");
            (self.chained, self.digest) = (*at, *digest);
        }
    }

    /// Seals `change` as the next of this log.
    pub(super) fn seal(&mut self, change: &Change<'_>) {
        let start = self.frames.len();
        self.starts.push((self.head.end as u32, start as u32));
        // Nearly every length takes one byte, which is left for it.
        self.frames.push(0);
        self.head.write(change, &mut self.frames);
        let len = self.frames.len() - start - 1;
        if len < 128 {
            self.frames[start] = len as u8;
        } else {
            let mut head = Vec::new();
            put_u64(&mut head, len as u64);
            self.frames.splice(start..=start, head);
        }
    }

    /// The bytes at a place that `relative` told.
    #[inline]
    pub(super) fn bytes(&self, range: &Range<u32>) -> &[u8] {
        let at = |place: u32| place.wrapping_add(self.origin as u32) as usize;
        &self.frames[at(range.start)..at(range.end)]
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The bytes of change number `index`.
    pub(super) fn change(&self, index: usize) -> &[u8] {
        let start = self.starts[index].1 as usize;
        let frame = Frames::new(&self.frames[start..]).next();
        frame.and_then(Result::ok).expect("stored frames are whole")
    }

    /// The number of the change that holds `seq`.
    pub(super) fn find(&self, seq: u64) -> usize {
        // What is asked for most is the last one.
        if self.starts.last().is_some_and(|(first, _)| u64::from(*first) <= seq) {
            return self.starts.len() - 1;
        }
        self.starts.partition_point(|(first, _)| u64::from(*first) <= seq).saturating_sub(1)
    }

    /// How many changes begin before `seq`.
    pub(super) fn starting_before(&self, seq: u64) -> usize {
        self.starts.partition_point(|(first, _)| u64::from(*first) < seq)
    }

    /// The frames of all changes from the one that holds `seq` on, and its first seq.
    pub(super) fn frames_from(&self, seq: u64) -> (u64, &[u8]) {
        let (first, start) = self.starts[self.find(seq)];
        (u64::from(first), &self.frames[start as usize..])
    }

    /// How many bytes the changes have that begin within the first `bytes` of `frames_from(seq)`; at least the first.
    pub(super) fn whole_frames(&self, seq: u64, bytes: usize) -> usize {
        let start = self.starts[self.find(seq)].1 as usize;
        let next = self.starts.partition_point(|(_, at)| (*at as usize) < start + bytes.max(1));
        self.starts.get(next).map_or(self.frames.len(), |(_, at)| *at as usize) - start
    }

    /// The header of change number `index`, without its names (dependencies are in the graph).
    pub(super) fn first_seq(&self, index: usize) -> u64 {
        self.starts.get(index).map_or(self.head.end, |(first, _)| u64::from(*first))
    }

    /// The digest at `end`, `None` if no change ends there.
    pub(super) fn digest_at(&mut self, end: u64) -> Option<Digest> {
        let count = if end == self.head.end { self.len() } else { self.find(end) };
        if self.first_seq(count) != end {
            return None;
        }
        if count >= self.chained {
            self.digest = self.chain_on(self.chained, self.digest, count);
            self.chained = count;
            return Some(self.digest);
        }
        let (&from, &digest) = self.checkpoints.range(..=count).next_back().expect("there is one at the start");
        Some(self.chain_on(from, digest, count))
    }

    /// The digest behind `to` changes, given the one behind `from`.
    fn chain_on(&mut self, from: usize, mut digest: Digest, to: usize) -> Digest {
        for index in from..to {
            digest = chain(&digest, self.change(index));
            if (index + 1).is_multiple_of(CHECKPOINT) {
                self.checkpoints.insert(index + 1, digest);
            }
        }
        digest
    }

    /// Takes over the digest at an end that was computed elsewhere, if the log goes that far.
    pub(super) fn skip_to(&mut self, end: u64, digest: Digest) {
        let count = if end == self.head.end { self.len() } else { self.find(end) };
        if self.first_seq(count) == end && count > self.chained {
            (self.chained, self.digest) = (count, digest);
        }
    }

    /// Whether `change` is the one that is stored at `first_seq`.
    pub(super) fn holds(&self, first_seq: u64, change: &[u8]) -> bool {
        let index = self.find(first_seq);
        self.first_seq(index) == first_seq && self.change(index) == change
    }

    /// Reads every header anew, for a rebuild: (header, where its change is) in order.
    pub(super) fn replay(&self) -> impl Iterator<Item = Result<(ChangeHeader, Range<usize>), DecodeError>> {
        let (mut head, mut frames) = (self.base.clone(), Frames::new(&self.frames));
        std::iter::from_fn(move || {
            let change = frames.next()?;
            let end = frames.offset();
            Some(change.and_then(|change| Ok((head.read(change)?, end - change.len()..end))))
        })
    }
}

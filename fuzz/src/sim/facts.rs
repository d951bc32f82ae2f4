//! `Facts`: what is known of all changes that anybody was told of, whoever has them now.
//!
//! Always holds: one operation id stands for one content, unless its writer was copied; what happened before has a
//! smaller time, unless somebody flagged it as too far ahead. Bug classes B and E.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::clock::MAX_DRIFT_MS;
use selvedge::op::{Batch, LogHead, Segment};
use selvedge::{DocName, ReplicaId, VersionVector};

/// A change that somebody was told of.
#[derive(Clone, Debug)]
struct Fact {
    hash: blake3::Hash,
    hlc: u64,
    flagged: bool,
}

/// A log of a document.
type LogName = (DocName, ReplicaId);

/// The book of all changes.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// By log and exclusive end.
    changes: BTreeMap<(LogName, u64), Fact>,
    heads: BTreeMap<LogName, LogHead>,
    /// Writers that exist twice, or went back in time.
    pub(super) twice: BTreeSet<ReplicaId>,
    /// What was ever durable at the relay.
    pub(super) relayed: BTreeMap<DocName, VersionVector>,
    /// What an application was told to be durable at the relay.
    pub(super) promised: BTreeMap<DocName, VersionVector>,
    /// What went on under an alias.
    pub(super) healed: BTreeMap<DocName, VersionVector>,
    /// The relay lost what it had promised.
    pub(super) relay_went_back: bool,
    /// Operations that everybody may know of.
    pub(super) ops: u64,
}

impl Facts {
    /// Changes reached somebody whose wall stands at `wall_ms`.
    ///
    /// # Errors
    /// What they contradict, in words.
    pub(super) fn told(
        &mut self,
        doc: &DocName,
        batch: &Batch,
        from_the_future: bool,
        wall_ms: u64,
    ) -> Result<(), String> {
        for segment in &batch.segments {
            let log = (doc.clone(), segment.replica);
            let mut seq = segment.first_seq;
            for change in segment.changes() {
                let change = change.map_err(|error| format!("a change that was applied is malformed: {error}"))?;
                let mut alone = Segment::new(segment.replica, seq);
                alone.push(change);
                let end = alone.end().map_err(|error| error.to_string())?;
                self.change(&log, seq, end, change)?;
                if from_the_future && let Some(fact) = self.changes.get_mut(&(log.clone(), end)) {
                    fact.flagged |= fact.hlc >> 16 > wall_ms + MAX_DRIFT_MS;
                }
                seq = end;
            }
        }
        Ok(())
    }

    fn change(&mut self, log: &LogName, first: u64, end: u64, bytes: &[u8]) -> Result<(), String> {
        if self.twice.contains(&log.1) {
            return Ok(());
        }
        let hash = blake3::hash(bytes);
        let head = self.heads.entry(log.clone()).or_default();
        if first < head.end {
            return match self.changes.get(&(log.clone(), end)) {
                Some(known) if known.hash == hash => Ok(()),
                _ => Err(format!("one operation has two contents: {first} of {:?} in {}", log.1, log.0)),
            };
        }
        if first > head.end {
            // It came with a disk that others share; it is looked at when it is told of in its turn.
            return Ok(());
        }
        let header = head.read(bytes).map_err(|error| format!("a change does not continue its log: {error}"))?;
        self.ops += header.ops;
        for dep in &header.deps {
            let Some(before) = self.changes.get(&((log.0.clone(), dep.replica), dep.end)) else { continue };
            if before.hlc >= header.hlc.to_bits() && !before.flagged {
                let (earlier, later) = (before.hlc, header.hlc.to_bits());
                return Err(format!(
                    "what happened before has a later time: {:?} wrote operation {first} at {later}, and had seen {:?} up to {}, of {earlier}",
                    log.1, dep.replica, dep.end
                ));
            }
        }
        self.changes.insert((log.clone(), end), Fact { hash, hlc: header.hlc.to_bits(), flagged: false });
        Ok(())
    }
}

//! `Held`: changes of others that have arrived and are not imported yet, because the application says when.
//!
//! Always holds: a change is released after everything it depends on; what was released was imported, in order.
//! Not here: who decides (a replay of a concurrent trace does).

use std::collections::BTreeMap;

use selvedge::codec::DecodeError;
use selvedge::doc::Doc;
use selvedge::graph::Logs;
use selvedge::op::{Batch, Dep, LogState, Segment};
use selvedge::{ReplicaId, VersionVector};

/// All sealed changes of a document, and how far each log was released.
#[derive(Debug, Default)]
pub struct Held {
    logs: Logs,
    queues: BTreeMap<ReplicaId, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    changes: Vec<Waiting>,
    released: usize,
    message: Option<String>,
}

/// A change: where it ends, and what it depends on in other logs.
#[derive(Debug)]
struct Waiting {
    end: u64,
    deps: Vec<(ReplicaId, u64)>,
}

impl Held {
    /// Takes in changes. Returns how many bytes of them wait for others that they depend on.
    ///
    /// # Errors
    /// If a change does not fit the log that it claims to continue; nothing was taken in.
    pub fn arrive(&mut self, batch: &Batch) -> Result<usize, DecodeError> {
        let appended = self.logs.append(batch)?.unwrap_or_default();
        for change in appended.changes {
            let replica = self.logs.replica(change.first.log);
            let message = change.header.message(self.logs.bytes(&change)).map(str::to_owned);
            let deps = change.header.deps.iter().map(|dep| (dep.replica, dep.end)).collect();
            let queue = self.queues.entry(replica).or_default();
            if queue.changes.is_empty() {
                queue.message = message;
            }
            queue.changes.push(Waiting { end: change.header.end(), deps });
        }
        Ok(appended.pending_bytes)
    }

    /// Takes in changes that the document has already: its own.
    ///
    /// # Errors
    /// As `arrive`.
    pub fn own(&mut self, replica: ReplicaId, batch: &Batch) -> Result<(), DecodeError> {
        self.arrive(batch)?;
        let queue = self.queues.entry(replica).or_default();
        queue.released = queue.changes.len();
        Ok(())
    }

    pub(crate) fn part_since(&self, version: &VersionVector, max_bytes: usize) -> Batch {
        self.logs.part_since(version, max_bytes)
    }

    pub(crate) fn digests_at(&mut self, version: &VersionVector) -> Vec<Dep> {
        self.logs.digests_at(version)
    }

    pub(crate) fn states(&mut self) -> Vec<LogState> {
        self.logs.state()
    }

    /// All changes that are here, released or not.
    pub fn everything(&self) -> Batch {
        self.logs.since(&VersionVector::new())
    }

    /// The version of all changes that are here, released or not.
    pub fn version(&self) -> VersionVector {
        self.logs.version()
    }

    /// The writers, each with the commit message of its first change.
    pub fn writers(&self) -> impl Iterator<Item = (ReplicaId, Option<&str>)> {
        self.queues.iter().map(|(replica, queue)| (*replica, queue.message.as_deref()))
    }

    /// How many changes of `replica` are here, released or not.
    pub fn changes(&self, replica: ReplicaId) -> usize {
        self.queues.get(&replica).map_or(0, |queue| queue.changes.len())
    }

    /// Where the `number`-th change of `replica` ends, counted from 1.
    pub fn change_end(&self, replica: ReplicaId, number: usize) -> Option<u64> {
        Some(self.queues.get(&replica)?.changes.get(number.checked_sub(1)?)?.end)
    }

    /// Imports every change up to `version`, and what those depend on, into the document.
    ///
    /// # Errors
    /// If the document cannot read one of them.
    pub fn release(&mut self, doc: &mut Doc, version: &VersionVector) -> Result<(), DecodeError> {
        let batch = self.cut(version);
        if !batch.is_empty() {
            doc.import_batch(&batch)?;
        }
        Ok(())
    }

    /// The unreleased changes up to `version` and below them, which count as released from now on.
    fn cut(&mut self, version: &VersionVector) -> Batch {
        let mut segments: BTreeMap<ReplicaId, Segment> = BTreeMap::new();
        let mut todo: Vec<(ReplicaId, u64)> = version.iter().collect();
        while let Some((replica, end)) = todo.pop() {
            let (Some(log), Some(queue)) = (self.logs.find(replica), self.queues.get_mut(&replica)) else { continue };
            while let Some(change) = queue.changes.get(queue.released) {
                let bytes = self.logs.change(log, queue.released);
                let first_seq = queue.released.checked_sub(1).map_or(0, |before| queue.changes[before].end);
                if first_seq >= end {
                    break;
                }
                todo.extend(&change.deps);
                segments.entry(replica).or_insert_with(|| Segment::new(replica, first_seq)).push(bytes);
                queue.released += 1;
            }
        }
        Batch { segments: segments.into_values().collect() }
    }
}

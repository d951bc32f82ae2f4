//! Changes in and out: imports and exports.

use super::Doc;
use super::apply::Ineffective;
use super::file::{FileKind, begin, blocks, put_changes, read_changes};
use crate::codec::DecodeError;
use crate::graph::{Appended, Fork};
use crate::id::{OpId, VersionVector};
use crate::op::Batch;
use crate::op::columns::Chains;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Changes that were new.
    pub changes: usize,
    /// Operations in them.
    pub ops: u64,
    /// Bytes of changes that wait for others that they depend on.
    pub pending_bytes: usize,
    /// Operations that are invalid where they stand: they are kept and passed on, and have no effect.
    pub invalid: Vec<OpId>,
    /// Operations that only a newer version of this library understands, the first of every run: they are kept and passed
    /// on, and have no effect here.
    pub unknown: Vec<OpId>,
    /// Replica ids that were used by two writers. What came first is kept; what contradicts it was not taken in.
    pub forks: Vec<Fork>,
    /// The first operations of changes that have not seen all of the base, in a document that was opened from a shallow
    /// save: they were not taken in, nor was what follows them. A copy with the whole history can merge them.
    pub before_base: Vec<OpId>,
    /// Changes whose time lies more than a minute ahead of ours. They count like any other.
    pub from_the_future: usize,
}

impl Doc {
    /// Takes in an update made by `export_since` or `export_all`. The state in one made by `export_all` is taken over as it
    /// is if the document is empty: it is provisional until `verify`.
    ///
    /// # Errors
    /// If the bytes are damaged; the document is as it was before.
    pub fn import(&mut self, update: &[u8]) -> Result<Imported, DecodeError> {
        if self.adopt(update)? {
            return Ok(Imported { ops: self.logs.version().iter().map(|(_, end)| end).sum(), ..Imported::default() });
        }
        let (mut batch, mut chains) = (Batch::default(), Chains::new());
        for (block, range) in blocks(FileKind::Update, update)? {
            let (segments, chained) = read_changes(block, &update[range])?.unwrap_or_default();
            batch.segments.extend(segments);
            chains.extend(chained);
        }
        self.import_chained(&batch, chains)
    }

    /// Takes in changes from a store or a peer. Seals the pending change first.
    ///
    /// # Errors
    /// If a change does not fit the log that it claims to continue; the document is as it was before.
    pub fn import_batch(&mut self, batch: &Batch) -> Result<Imported, DecodeError> {
        self.import_chained(batch, Chains::new())
    }

    /// The same, given what was computed of the digests.
    pub(super) fn import_chained(&mut self, batch: &Batch, chains: Chains) -> Result<Imported, DecodeError> {
        self.commit(None);
        let mut appended = Appended::default();
        if !self.logs.append_to(batch, chains, &mut appended)? {
            self.load_history()?;
            self.logs.append_to(batch, Chains::new(), &mut appended)?;
        }
        if self.order.is_empty() && self.stored.is_none() && self.base.is_none() && batch.segments.len() > 1 {
            // Several authors at once: some of it is surely concurrent, and a second replay is spared.
            self.containers.clear(true);
        }
        let (mut ops, mut from_the_future, mut ineffective) = (0, 0, Ineffective::default());
        for change in &appended.changes {
            from_the_future += usize::from(!self.clock.observe(change.header.hlc));
            self.apply_change(change, &mut ineffective);
            self.note_order(change.first.log);
            ops += change.header.ops;
        }
        let Ineffective { invalid, unknown } = ineffective;
        self.has_unknown |= !unknown.is_empty();
        let Appended { changes, pending_bytes, forks, before_base } = appended;
        let changes = changes.len();
        Ok(Imported { changes, ops, pending_bytes, invalid, unknown, forks, before_base, from_the_future })
    }

    /// Everything that `version` does not know, as an update; of a document that was opened from a shallow save, as far as
    /// it is here (`reaches`). Seals the pending change.
    pub fn export_since(&mut self, version: &VersionVector) -> Vec<u8> {
        let mut out = begin(FileKind::Update);
        put_changes(&mut out, &self.batch_since(version));
        out
    }

    /// Everything that `version` does not know, as far as it is here (`reaches`). Seals the pending change.
    pub fn batch_since(&mut self, version: &VersionVector) -> Batch {
        self.part_since(version, usize::MAX)
    }

    /// A part of that, of about `max_bytes` and at least one change, for whoever takes one part after the other
    /// (`Effect::Load`). O(logs + bytes), but for the first that needs the history.
    pub fn part_since(&mut self, version: &VersionVector, max_bytes: usize) -> Batch {
        self.commit(None);
        if self.logs.needs_history(version) {
            // What cannot be read is not there to be passed on; `verify` and `import` tell.
            let _ = self.load_history();
        }
        self.logs.part_since(version, max_bytes)
    }

    /// The changes made here since the last call (or since the document was loaded). Seals the pending change.
    pub fn take_batch(&mut self) -> Batch {
        self.commit(None);
        let mut batch = Batch::default();
        for (log, from) in self.untaken.drain(..) {
            self.logs.log_since(log, from, &mut batch);
        }
        batch
    }
}

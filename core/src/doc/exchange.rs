//! Changes in and out: imports, exports, saving and loading.

use super::Doc;
use super::file::{FileKind, unwrap, wrap};
use crate::codec::{DecodeError, DecodeErrorKind};
use crate::graph::Fork;
use crate::id::{OpId, ReplicaId, VersionVector};
use crate::op::Batch;

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
    /// Changes whose time lies more than a minute ahead of ours. They count like any other.
    pub from_the_future: usize,
}

impl Doc {
    /// Takes in an update made by `export_since`.
    ///
    /// # Errors
    /// If the bytes are damaged; the document is as it was before.
    pub fn import(&mut self, update: &[u8]) -> Result<Imported, DecodeError> {
        self.import_batch(&unwrap(FileKind::Update, update)?)
    }

    /// Takes in changes from a store or a peer. Seals the pending change first.
    ///
    /// # Errors
    /// If a change does not fit the log that it claims to continue; the document is as it was before.
    pub fn import_batch(&mut self, batch: &Batch) -> Result<Imported, DecodeError> {
        self.commit(None);
        let appended = self.logs.append(batch)?;
        if self.order.is_empty() && batch.segments.len() > 1 {
            // Several authors at once: some of it is surely concurrent, and a second replay is spared.
            self.containers.clear_to_track();
        }
        let mut imported =
            Imported { pending_bytes: appended.pending_bytes, forks: appended.forks, ..Imported::default() };
        for change in &appended.changes {
            imported.from_the_future += usize::from(!self.clock.observe(change.header.hlc));
            let ineffective = self.apply_change(change);
            imported.invalid.extend(ineffective.invalid);
            imported.unknown.extend(ineffective.unknown);
            self.note_order(change.first.log);
            imported.changes += 1;
            imported.ops += change.header.ops;
        }
        Ok(imported)
    }

    /// Everything that `version` does not know, as an update. Seals the pending change.
    pub fn export_since(&mut self, version: &VersionVector) -> Vec<u8> {
        wrap(FileKind::Update, &self.batch_since(version))
    }

    /// Everything that `version` does not know. Seals the pending change.
    pub fn batch_since(&mut self, version: &VersionVector) -> Batch {
        self.commit(None);
        self.logs.since(version)
    }

    /// The changes made here since the last call (or since the document was loaded). Seals the pending change.
    pub fn take_batch(&mut self) -> Batch {
        self.commit(None);
        let mut batch = Batch::default();
        for (log, from) in self.untaken.drain(..) {
            batch.segments.extend(self.logs.log_since(log, from));
        }
        batch
    }

    /// The whole document with its history. Seals the pending change.
    pub fn save(&mut self) -> Vec<u8> {
        self.commit(None);
        wrap(FileKind::Document, &self.logs.since(&VersionVector::new()))
    }

    /// Opens a saved document, in which `replica` writes from now on. Give it the id of the replica that saved it only
    /// if nothing else writes with that id, and no older save of it was ever continued.
    ///
    /// # Errors
    /// If the bytes are damaged or are no whole document.
    pub fn load(replica: ReplicaId, saved: &[u8]) -> Result<Self, DecodeError> {
        let batch = unwrap(FileKind::Document, saved)?;
        let mut doc = Self::new(replica);
        let imported = doc.import_batch(&batch)?;
        if imported.pending_bytes > 0 || !imported.forks.is_empty() {
            let kind = DecodeErrorKind::Inconsistent("changes are missing that others depend on");
            return Err(DecodeError { field: "document", offset: 0, kind });
        }
        Ok(doc)
    }
}

//! Shallow saves: a state that stands for the history up to some version (the *base*), and the changes behind it.
//!
//! Always holds: every change behind a base has seen all of it, so whatever comes to a document that starts from one means
//! there what it means anywhere; what has not is refused by name, and so is what asks for the history before. The digests
//! of the logs go on from those at the base: equal documents have equal ones, shallow or not. Not here: bytes (`state`).

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::file::{FileKind, StateBytes, begin_with, put_changes};
use super::{Doc, Imported};
use crate::codec::DecodeError;
use crate::graph::{Dot, VersionError};
use crate::id::{ReplicaId, VersionVector};
use crate::op::Batch;

/// What a document starts from instead of nothing.
#[derive(Clone, Debug)]
pub(super) struct Base {
    state: Arc<[u8]>,
}

impl Base {
    pub(super) fn new(state: &[u8]) -> Self {
        Self { state: state.into() }
    }

    fn bytes(&self) -> StateBytes<'_> {
        StateBytes { bytes: (&*self.state).into(), is_old: false }
    }

    /// The file that begins with it.
    pub(super) fn with(&self, changes: &Batch) -> Vec<u8> {
        let mut out = begin_with(FileKind::Document, &self.state);
        if !changes.is_empty() {
            put_changes(&mut out, changes);
        }
        out
    }
}

impl Doc {
    /// The document as a file without its history up to `version`: a state that stands for it, and the changes behind.
    /// `load` makes a document of it that can be edited, merged and synced like any other, as long as nobody asks for what
    /// is not there (`reaches`). Seals the pending change. O(history), and more if much was written at the same time as `version`.
    ///
    /// The history begins at `version`, or as far before it as it takes for every later change to have seen all that is left
    /// out. A document with something that only a newer version understands is saved whole.
    ///
    /// # Errors
    /// If the version is not known here, ends inside a change, lacks something that it depends on, or lies before the base
    /// of this document.
    ///
    /// ```
    /// use selvedge::{Doc, ReplicaId};
    ///
    /// let mut ada = Doc::new(ReplicaId::from(1));
    /// ada.change(|tx| tx.text("note").push_str("a draft of long ago"))?;
    /// let before = ada.version();
    /// ada.change(|tx| tx.text("note").delete(0, 2))?;
    ///
    /// let mut ben = Doc::load(ReplicaId::from(2), &ada.save_shallow(&before)?)?;
    /// ben.change(|tx| tx.text("note").push_str("!"))?;
    /// ada.import(&ben.export_since(&ada.version()))?;
    /// assert_eq!(ada.text("note").to_string(), "draft of long ago!");
    /// assert!(ben.checkout(&before).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn save_shallow(&mut self, version: &VersionVector) -> Result<Vec<u8>, VersionError> {
        self.whole()?;
        self.reaches(version)?;
        self.logs.until(version)?;
        let version = self.lower(version);
        let is_new = version != self.base_version();
        if let Some(base) = self.base.as_ref().filter(|_| !is_new) {
            return Ok(base.with(&self.logs.since(&version)));
        }
        let state = if !is_new {
            None
        } else if version == self.logs.version() {
            self.track();
            self.write_state(true)
        } else if self.has_unknown {
            None
        } else {
            self.at(&version)?.write_state(true)
        };
        match state {
            Some(state) => Ok(Base::new(&state).with(&self.logs.since(&version))),
            None => Ok(self.save()),
        }
    }

    /// The version that the history here begins with: nothing, unless the document was opened from a shallow save. What is
    /// older can be had from a copy with the whole history only. O(replicas).
    pub fn base_version(&self) -> VersionVector {
        self.logs.base_version()
    }

    /// Whether the history here reaches back to `version`: it can be read, and whoever has it can be given all that they
    /// lack. To be asked of a document that was opened from a shallow save before changes are exported for somebody; of any
    /// other it is true. O(replicas).
    ///
    /// # Errors
    /// `VersionError::BeforeBase` if it does not.
    pub fn reaches(&self, version: &VersionVector) -> Result<(), VersionError> {
        let lacking = self.base_version().iter().find(|(replica, base)| version.end(*replica) < *base);
        lacking.map_or(Ok(()), |(replica, base)| {
            Err(VersionError::BeforeBase { replica, end: version.end(replica), base })
        })
    }

    /// An empty document on a base.
    pub(super) fn on_base(replica: ReplicaId, base: Base) -> Result<Self, DecodeError> {
        let mut doc = Self::read_state(replica, &base.bytes())?;
        doc.logs.stand_alone(doc.graph.frontier());
        doc.base = Some(base);
        Ok(doc)
    }

    /// Fills the document with its base, if it has one: containers, names and graph are empty, the logs are there.
    pub(super) fn restart(&mut self) {
        if let Some(base) = self.base.clone() {
            self.take_state(&base.bytes(), false).expect("what was read once can be read again");
        }
    }

    /// A document of what is known at `version`, on the same base, in which `replica` writes.
    pub(super) fn branch(&self, version: &VersionVector, replica: ReplicaId) -> Result<Self, VersionError> {
        let batch = self.logs.until(version)?.since(&VersionVector::new());
        let mut branch = match &self.base {
            Some(base) => Self::on_base(replica, base.clone()).expect("what was read once can be read again"),
            None => Self::new(replica),
        };
        let imported: Imported = branch.import_batch(&batch).expect("logs of a document can be imported");
        debug_assert!(imported.before_base.is_empty() && imported.pending_bytes == 0);
        Ok(branch)
    }

    /// The largest version within `version` that everything outside of it has seen. The graph has the whole history. O(history),
    /// and again for every change that was written at the same time as what is within.
    fn lower(&self, version: &VersionVector) -> VersionVector {
        let replicas: Vec<ReplicaId> = (0..self.logs.len() as u32).map(|log| self.logs.replica(log)).collect();
        let mut ends: Vec<u32> = replicas.iter().map(|replica| version.end(*replica) as u32).collect();
        let changes = self.changes_in_order();
        let mut before = Vec::new();
        while ends != before {
            before.clone_from(&ends);
            // From the last on: what is put outside is asked next.
            for change in changes.iter().rev() {
                let is_outside = |dot: &Dot| dot.seq >= ends[dot.log as usize];
                // What stands within is not asked, and what goes on from a change outside has seen what that has seen.
                if change.first.seq != ends[change.first.log as usize] || change.deps.iter().any(is_outside) {
                    continue;
                }
                let seen = self.graph.seen_by(change.first, &change.deps);
                ends.iter_mut().zip(seen).for_each(|(end, seen)| *end = (*end).min(seen));
            }
        }
        replicas.into_iter().zip(ends).map(|(replica, end)| (replica, u64::from(end))).collect()
    }
}

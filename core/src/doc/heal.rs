//! Healing a fork: what was written here with an id that another writer used as well goes on as the log of another id,
//! its alias.
//!
//! Always holds: the alias follows from the content, so every copy with the same branch writes the same bytes; only names
//! change: the graph, the times, the positions and the messages are those that were there. An alias begins as the id
//! does that it stands for, so whatever is decided by the order of ids stays as it was decided. Not here: where the
//! copies begin to differ (`graph::ForkSearch`), and which of them yields (the drivers).

mod branch;

use self::branch::Branches;
use super::Doc;
use crate::codec::DecodeError;
use crate::graph::{ForkSearch, SearchStep};
use crate::id::{OpId, ReplicaId, VersionVector};
use crate::op::{Dep, MAX_CHANGE_BYTES};

/// A document whose branch of a fork has moved to aliases.
#[derive(Debug)]
pub struct Healed {
    /// The document: every change of it can be exchanged with the copy that kept the id.
    pub doc: Doc,
    /// What goes on under which name: the first operation that moved of each log, ordered by replica.
    pub aliases: Vec<(OpId, ReplicaId)>,
}

/// Why a fork is not healed. The document is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HealError {
    /// There is no such branch.
    #[error(
        "no change of replica {} begins at operation {} here, so nothing can go on from there; search for the fork anew",
        .0.replica, .0.seq
    )]
    NoBranch(OpId),
    /// Only a newer version knows what the operation names.
    #[error(
        "operation {} of replica {} was made by a newer version of this library; update the application to heal the fork",
        .0.seq, .0.replica
    )]
    Newer(OpId),
    /// Names are written anew in front of the branch, and a change became too large by that.
    #[error(
        "the change at operation {} of replica {} would take more than {MAX_CHANGE_BYTES} bytes under its alias",
        .0.seq, .0.replica
    )]
    TooLarge(OpId),
    /// The alias is the id of a log with other content.
    #[error("replica {alias}, the alias of this branch, has written something else in this document")]
    AliasTaken {
        /// The alias.
        alias: ReplicaId,
    },
    /// Somebody has written with the id that is to write from now on.
    #[error("replica {replica} has written in this document already; go on with a fresh id")]
    ReplicaInUse {
        /// The id.
        replica: ReplicaId,
    },
    /// The document was opened from a shallow save: what a branch goes on from is not here.
    #[error("a document from a shallow save cannot heal a fork; open the whole document")]
    Shallow,
    /// The history that the document was opened with cannot be read.
    #[error("the history that the document was opened with is damaged: {0}; fetch the document from another copy")]
    Unreadable(#[from] DecodeError),
}

impl Doc {
    /// A search for the changes from which on another copy differs (`search_forks`). Seals the pending change. O(logs).
    pub fn fork_search(&mut self) -> ForkSearch {
        self.commit(None);
        ForkSearch::new(&self.logs)
    }

    /// Goes on with a search: without an answer at first, then with the other copy's (`answer_search`) to the question.
    ///
    /// # Errors
    /// If the answer is malformed, or the history that the document was opened with is damaged.
    pub fn search_forks(&mut self, search: &mut ForkSearch, answer: Option<&[u8]>) -> Result<SearchStep, DecodeError> {
        self.load_history()?;
        search.next(&mut self.logs, answer)
    }

    /// Answers a question of another copy's search.
    ///
    /// # Errors
    /// If the question is malformed, or the history that the document was opened with is damaged.
    pub fn answer_search(&mut self, question: &[u8]) -> Result<Vec<u8>, DecodeError> {
        self.commit(None);
        self.load_history()?;
        self.logs.answer_search(question)
    }

    /// The digests of the logs where `version` ends, as far as it is within them and changes end there.
    pub fn digests_at(&mut self, version: &VersionVector) -> Vec<Dep> {
        self.logs.digests_at(version)
    }

    /// This document with its branches of forks under aliases; `replica` writes in it from now on. Each of `forks` is the
    /// first operation of a change from which on another copy has other content: all that replica wrote from there on
    /// moves, and whatever others wrote from where they have seen any of it. The view is the same, but for rights of
    /// bounded counters that were earned before a fork: they stay with the id. Handles, undo managers, and anchors into what
    /// has moved are those of the old document. Seals the pending change. O(history).
    ///
    /// # Errors
    /// If there is no such branch, if it cannot be written under another name, or if `replica` has written here.
    ///
    /// ```
    /// use selvedge::{Doc, OpId, ReplicaId};
    ///
    /// // Two copies write with one id.
    /// let id = ReplicaId::from(7 << 64);
    /// let (mut one, mut two) = (Doc::new(id), Doc::new(id));
    /// one.change(|tx| tx.text("note").push_str("hello"))?;
    /// two.change(|tx| tx.text("note").push_str("world"))?;
    ///
    /// let mut healed = two.heal(&[OpId { replica: id, seq: 0 }], ReplicaId::from(8 << 64))?.doc;
    /// assert_eq!(healed.text("note").to_string(), "world");
    /// one.import(&healed.export_all())?;
    /// healed.import(&one.export_all())?;
    /// assert_eq!(one.text("note").len(), 10);
    /// assert_eq!(one.to_json(), healed.to_json());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn heal(&mut self, forks: &[OpId], replica: ReplicaId) -> Result<Healed, HealError> {
        self.commit(None);
        if self.base.is_some() {
            return Err(HealError::Shallow);
        }
        self.load_history()?;
        if self.logs.find(replica).is_some_and(|log| self.logs.end(log) > 0) {
            return Err(HealError::ReplicaInUse { replica });
        }
        let changes = self.changes_in_order();
        let mut branches = Branches::new(&self.logs, &changes, forks)?;
        for change in &changes {
            branches.rewrite(&mut self.logs, change)?;
        }
        let kept = self.logs.until(&branches.kept(&self.logs)).expect("what is kept depends on nothing that moves");
        let mut batch = kept.since(&VersionVector::new());
        batch.segments.extend(branches.aliased().segments);
        let mut doc = Self { clock: self.clock.clone(), ..Self::new(replica) };
        if let Some(fork) = doc.import_batch(&batch)?.forks.first() {
            return Err(HealError::AliasTaken { alias: fork.at.replica });
        }
        Ok(Healed { doc, aliases: branches.names(&self.logs) })
    }
}

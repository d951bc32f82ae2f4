//! What a replica does with its history: undo and redo, older versions, differences, forks.

use selvedge::{EditError, ReplicaId, VersionVector};

use super::super::{Edit, edit};
use super::{Outcome, Replica, told};
use crate::view::View;

impl Replica {
    /// Undoes, redoes and undoes: each shows what it showed before.
    pub(crate) fn undo(&mut self) -> Outcome {
        let before = self.doc.to_json();
        let refused = |error| told("an undo was refused", error);
        let undone = self.undo.undo(&mut self.doc).map_err(refused)?;
        let after = self.doc.to_json();
        if undone.is_none() {
            return if after == before { Ok(()) } else { Err(format!("undoing nothing made {after} of {before}")) };
        }
        let redone = self.undo.redo(&mut self.doc).map_err(refused)?;
        if redone.is_none() || self.doc.to_json() != before {
            return Err(format!("{before} was undone to {after} and redone to {}", self.doc.to_json()));
        }
        let again = self.undo.undo(&mut self.doc).map_err(refused)?;
        if again.is_none() || self.doc.to_json() != after {
            return Err(format!("{before} was undone to {after}, and the second time to {}", self.doc.to_json()));
        }
        Ok(())
    }

    /// A version that was remembered, and what the document was then.
    fn remembered(&mut self, pick: u16) -> &(VersionVector, serde_json::Value) {
        let now = (self.doc.version(), self.doc.to_json());
        self.past.push(now);
        let at = usize::from(pick) % self.past.len();
        &self.past[at]
    }

    pub(super) fn visit(&mut self, a: u16, b: u16) -> Outcome {
        let (from, was) = self.remembered(a).clone();
        let (to, is) = self.remembered(b).clone();
        let refused = |error| told("a version that was told is refused", error);
        let (old, new) = (self.doc.checkout(&from).map_err(refused)?, self.doc.checkout(&to).map_err(refused)?);
        for (version, doc, json) in [(&from, &old, &was), (&to, &new, &is)] {
            if doc.to_json() != *json || doc.version() != *version {
                return Err(format!("{json} reads as {} later", doc.to_json()));
            }
        }
        let mut view = View::of(&old);
        for patch in self.doc.diff(&from, &to).map_err(refused)? {
            if patch.path != new.path(patch.container) {
                return Err(format!("a difference tells a wrong path: {patch:?}"));
            }
            view.apply(&patch)?;
        }
        view.compare(&new).map_err(|error| format!("from {was} to {is}: {error}"))
    }

    pub(super) fn fork(&mut self, at: u16, edits: &[Edit], id: ReplicaId) -> Outcome {
        let (version, was) = self.remembered(at).clone();
        let fork = self.doc.fork_at(&version, id);
        let mut fork = fork.map_err(|error| told("a version that was told is refused", error))?;
        if fork.to_json() != was {
            return Err(format!("a fork of {was} is {}", fork.to_json()));
        }
        let edited = fork.change(|tx| edits.iter().try_for_each(|edit| edit::apply(tx, edit)));
        if let Err(error) = edited
            && !matches!(error, EditError::TooDeep(_) | EditError::TakenBack(_))
        {
            return Err(told("an edit of a fork was refused", error));
        }
        self.hear(&fork.batch_since(&self.doc.version()))?;
        let rest = self.doc.batch_since(&fork.version());
        fork.import_batch(&rest).map_err(|error| told("a fork refuses its origin", error))?;
        if fork.export_all() == self.doc.export_all() {
            Ok(())
        } else {
            Err("a fork that was merged differs".to_owned())
        }
    }
}

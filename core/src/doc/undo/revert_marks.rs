//! Taking back marks: where ours still counts, the characters get what counted there before it.
//!
//! A new mark puts the old value back on each stretch, up to the very bounds of the stretch, and stands for the mark that
//! had set it (`Reborn`), so that this one can be taken back as well.

use super::reborn::Reborn;
use crate::crdt::{Content, Handle, Mark, Piece};
use crate::doc::{Doc, EditError};
use crate::graph::Dot;
use crate::op::{MarkRun, OpRun};

impl Doc {
    /// Takes our mark `dot` back. Stretches without characters are left alone.
    pub(super) fn revert_mark(
        &mut self,
        handle: Handle,
        dot: Dot,
        key: &str,
        before: &[Piece],
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        for piece in before {
            let old = piece.winner.as_deref();
            for run in self.own_marks(handle, dot, key, piece, reborn) {
                let new = self.next_dot();
                if let Some(old) = old.and_then(|old| self.mark_dot(old)) {
                    reborn.add_partly(old, new);
                }
                self.push_op(handle, OpRun::Mark(Box::new(run)))?;
            }
        }
        Ok(())
    }

    /// What gives the characters of a piece their old value, where our mark `dot` or what stands for it counts.
    fn own_marks<'a>(
        &self,
        handle: Handle,
        dot: Dot,
        key: &'a str,
        piece: &Piece,
        reborn: &Reborn,
    ) -> Vec<MarkRun<'a>> {
        let Content::Text(text) = self.containers.content(handle) else { return Vec::new() };
        let value = piece.winner.as_ref().and_then(|old| old.value.clone());
        let is_own = |mark: &Mark| self.mark_dot(mark).and_then(|found| reborn.at(found, dot.seq)) == Some(dot);
        let now = text.pieces(key, (piece.from, piece.to)).into_iter();
        let own = now.filter(|now| now.winner.as_deref().is_some_and(is_own));
        own.filter_map(|now| text.mark_between((now.from, now.to), key, value.clone())).collect()
    }

    /// The operation that made a mark.
    fn mark_dot(&self, mark: &Mark) -> Option<Dot> {
        let (_, replica, seq) = mark.rank;
        Some(Dot { log: self.logs.find(replica)?, seq })
    }
}

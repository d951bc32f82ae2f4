//! Taking back what was done to the nodes of a tree.
//!
//! A node is put back only if our operation is still what put it where it is. It comes back as itself, with everything below
//! it, through a new slot that stands for the old one (`Reborn`).

use super::reborn::Reborn;
use super::revert_sequence::place;
use crate::crdt::{Content, Handle, Standing, TreeState};
use crate::doc::{Doc, EditError};
use crate::graph::Dot;
use crate::op::{ElementRef, OpRun};

impl Doc {
    /// Removes a node that we made, wherever it was moved to.
    pub(super) fn remove_node(&mut self, handle: Handle, node: Dot) -> Result<(), EditError> {
        match self.tree_state(handle) {
            Some(tree) if tree.contains(node) => {
                self.push_op_on(handle, OpRun::TreeDelete { node: ElementRef::default() }, &[node]).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Puts a node back to where it was before our operation `dot`. Does nothing if that would take it out of the tree,
    /// or below itself, because of what others did to the parent.
    pub(super) fn put_back(
        &mut self,
        handle: Handle,
        dot: Dot,
        node: Dot,
        before: &Standing,
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        let Some(tree) = self.tree_state(handle) else { return Ok(()) };
        let Some(now) = tree.standing(node).filter(|now| now.by == reborn.latest(dot)) else { return Ok(()) };
        let Some(parent) = before.parent else {
            let new = self.next_dot();
            reborn.add(before.by, 1, new);
            return self.push_op_on(handle, OpRun::TreeDelete { node: ElementRef::default() }, &[node]).map(drop);
        };
        let lost = |parent| (before.is_shown && !tree.contains(parent)) || tree.is_inside(parent, node);
        if parent.is_some_and(lost) {
            return Ok(());
        }
        let Some(slots) = tree.siblings(parent) else { return Ok(()) };
        let moved = (now.parent == before.parent).then_some(now.by);
        let mut index = place(slots, before.by, moved, dot.seq, reborn);
        // The place among the others.
        if moved.and_then(|slot| slots.view_position(slot)).is_some_and(|at| at < index) {
            index -= 1;
        }
        let pos = tree.slot_position(parent, Some(node), index);
        let new = self.next_dot();
        reborn.add(before.by, 1, new);
        let named: Vec<Dot> = std::iter::once(node).chain(parent).collect();
        let (node, parent) = (ElementRef::default(), parent.map(|_| ElementRef::default()));
        self.push_op_on(handle, OpRun::TreeMove { node, parent, pos }, &named).map(drop)
    }

    fn tree_state(&mut self, handle: Handle) -> Option<&mut TreeState> {
        match self.containers.content_mut(handle) {
            Content::Tree(tree) => Some(tree),
            _ => None,
        }
    }
}

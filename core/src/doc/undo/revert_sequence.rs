//! Taking back insertions and deletions in texts and lists, by the identity of elements.
//!
//! A deleted character cannot live again: a new one is written in its place, and stands for it (`Reborn`). A deleted
//! list element can: it gets a new slot. What somebody else deleted as well stays deleted.

use super::reborn::Reborn;
use super::step::{Deed, Step};
use crate::crdt::{Content, Handle, ListState, Sequence};
use crate::doc::edit::ListMut;
use crate::doc::{Doc, EditError};
use crate::graph::Dot;
use crate::op::{ElementRef, OpRun};
use crate::ordered::OrdMap;

/// Where in the view an element belongs that our operation `deleted` has deleted. What was brought back since then was
/// put left of everything that was deleted around it: if it stands for an element to the right of this one, this one
/// goes before it. `moved` is where the element is now, if it is to leave that.
pub(super) fn place(sequence: &Sequence, dot: Dot, moved: Option<Dot>, deleted: u32, reborn: &Reborn) -> u32 {
    let mut index = sequence.shown_before(dot);
    while let Some(before) = index.checked_sub(1).and_then(|before| sequence.element(before)) {
        let old = reborn.at(before, deleted);
        if Some(before) != moved && old.is_none_or(|old| old == before || sequence.compare(old, dot).is_le()) {
            break;
        }
        index -= 1;
    }
    index
}

impl Doc {
    /// Which operation wrote what in a text (the history was replayed) or list.
    fn sequence(&mut self, handle: Handle) -> Option<&Sequence> {
        match self.containers.content_mut(handle) {
            Content::Text(text) => text.sequence(),
            Content::List(list) => Some(list.sequence()),
            _ => None,
        }
    }

    /// Deletes what is left of characters, and of those that stand for them.
    pub(super) fn erase_reborn(
        &mut self,
        handle: Handle,
        first: Dot,
        len: u32,
        reborn: &Reborn,
    ) -> Result<(), EditError> {
        let mut stretches = vec![(first, len)];
        while let Some((first, len)) = stretches.pop() {
            let (next, same) = reborn.next(first, len);
            let mut done = same;
            match next {
                Some(next) => stretches.push((next, same)),
                None => {
                    let Some(sequence) = self.sequence(handle) else { return Ok(()) };
                    let stretch = sequence.stretch(first, same);
                    done = stretch.len;
                    if let Some(pos) = stretch.view {
                        self.push_text_delete(handle, pos, done)?;
                    }
                }
            }
            if done < len {
                stretches.push((first.plus(done), len - done));
            }
        }
        Ok(())
    }

    /// Writes the characters that `len` operations from `op` on deleted in their places again.
    pub(super) fn restore_text(
        &mut self,
        handle: Handle,
        op: Dot,
        text: &str,
        len: u32,
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        let chars: Vec<char> = text.chars().collect();
        let Some(sequence) = self.sequence(handle) else { return Ok(()) };
        let mut pieces: Vec<(Dot, String)> = Vec::new();
        for deletion in sequence.deleted_by(op, len) {
            let mut done = 0;
            while done < deletion.len {
                let first = deletion.first.plus(done);
                let stretch = sequence.stretch(first, deletion.len - done);
                if stretch.deletes == 1 {
                    let char = |i: u32| {
                        let offset = if deletion.backward { deletion.len - 1 - i } else { i };
                        chars[(deletion.op + offset) as usize]
                    };
                    let at = pieces.partition_point(|(other, _)| sequence.compare(*other, first).is_lt());
                    pieces.insert(at, (first, (done..done + stretch.len).map(char).collect()));
                }
                done += stretch.len;
            }
        }
        for (first, text) in pieces {
            let Some(sequence) = self.sequence(handle) else { return Ok(()) };
            let pos = place(sequence, first, None, op.seq, reborn);
            let new = self.next_dot();
            reborn.add(first, text.chars().count() as u32, new);
            self.push_text(handle, pos, &text)?;
        }
        Ok(())
    }

    /// Deletes elements, wherever they were moved to.
    pub(super) fn remove_elements(&mut self, handle: Handle, first: Dot, len: u32) -> Result<(), EditError> {
        let mut list = ListMut { doc: self, handle };
        // From the last to the first: bringing them back goes from the first to the last.
        (0..len).rev().try_for_each(|i| list.delete_slots(first.plus(i)))
    }

    /// Deletes the slot that a move of ours opened for an element. Returns whether the element was still shown in it.
    pub(super) fn remove_slot(&mut self, handle: Handle, slot: Dot, element: Dot) -> Result<bool, EditError> {
        let list = self.list_state_mut(handle).filter(|list| list.shown_slot(element) == Some(slot));
        let Some(pos) = list.map(|list| list.slot_place(slot)) else { return Ok(false) };
        self.push_op(handle, OpRun::Delete { pos, len: 1, backward: false })?;
        Ok(true)
    }

    /// Opens slots for elements again whose slots were deleted, unless they were put somewhere else since, or are `lost`.
    pub(super) fn restore_elements(
        &mut self,
        handle: Handle,
        deletions: &[Step],
        lost: &[Dot],
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        let Some(list) = self.list_state(handle) else { return Ok(()) };
        // The slot of each element and the operation that deleted it; `Dot::NONE` if it is to stay deleted.
        let mut slots: OrdMap<Dot, (u32, Dot)> = OrdMap::new();
        for step in deletions.iter().rev() {
            let Deed::ListDelete { slot, element, other } = step.deed else { continue };
            let restorable = list.sequence().stretch(slot, 1).deletes == 1;
            match slots.get_mut(&element) {
                None => {
                    let shown = other.map(|other| reborn.latest(other));
                    let free = !lost.contains(&element) && list.shown_slot(element) == shown;
                    slots.insert(element, (step.dot.seq, if restorable && free { slot } else { Dot::NONE }));
                }
                // It was shown here before the slot was deleted that comes back.
                Some(later) if restorable && other == Some(later.1) => *later = (step.dot.seq, slot),
                Some(_) => {}
            }
        }
        let mut gone: Vec<(Dot, Dot, u32)> = Vec::new();
        for (element, (deleted, slot)) in slots.iter().filter(|(_, (_, slot))| *slot != Dot::NONE) {
            let at = gone.partition_point(|(_, other, _)| list.sequence().compare(*other, *slot).is_lt());
            gone.insert(at, (*element, *slot, *deleted));
        }
        for (element, slot, deleted) in gone {
            let new = self.next_dot();
            let Some(list) = self.list_state_mut(handle) else { return Ok(()) };
            let index = place(list.sequence(), slot, None, deleted, reborn);
            let pos = list.insert_position(index);
            reborn.add(slot, 1, new);
            self.push_op_on(handle, OpRun::ListMove { pos, element: ElementRef::default() }, &[element])?;
        }
        Ok(())
    }

    fn list_state_mut(&mut self, handle: Handle) -> Option<&mut ListState> {
        match self.containers.content_mut(handle) {
            Content::List(list) => Some(list),
            _ => None,
        }
    }
}

//! Taking steps back, last one first: registers, counters and sets. Texts and lists are in `revert_sequence`, trees in
//! `revert_tree`, marks in `revert_marks`.
//!
//! A value is put back only if ours is still the one that is read; what others wrote in the meantime stays.

use super::reborn::Reborn;
use super::step::{Deed, Step, Write};
use crate::crdt::{Content, Handle, MultiValue};
use crate::doc::{BoundedCounterMut, Doc, EditError, OWN};
use crate::graph::Dot;
use crate::op::{ElementRef, OpRun, Value};
use crate::planted::{self, Bug};

/// Takes back what of the steps still counts.
pub(super) fn revert(doc: &mut Doc, steps: &[Step], reborn: &mut Reborn) -> Result<(), EditError> {
    // Elements that somebody else has deleted or moved since we moved them.
    let mut lost: Vec<Dot> = Vec::new();
    let mut left = steps;
    while let Some((step, before)) = left.split_last() {
        left = before;
        let (handle, dot) = (step.handle, step.dot);
        match &step.deed {
            Deed::TextInsert { len } => {
                let forgotten = u32::from(planted::is(Bug::UndoForgetsTheLastCharacter) && *len > 1);
                doc.erase_reborn(handle, dot, *len - forgotten, reborn)?;
            }
            Deed::TextDelete { text, len } => doc.restore_text(handle, dot, text, *len, reborn)?,
            Deed::Mark { key, before } => doc.revert_mark(handle, dot, key, before, reborn)?,
            Deed::ListInsert { len } => doc.remove_elements(handle, dot, *len)?,
            Deed::ListMove { element } => {
                if !doc.remove_slot(handle, reborn.latest(dot), *element)? {
                    lost.push(*element);
                }
            }
            Deed::ListDelete { .. } => {
                let goes_on = |step: &&Step| step.handle == handle && matches!(step.deed, Deed::ListDelete { .. });
                let count = before.iter().rev().take_while(goes_on).count() + 1;
                let (rest, deletions) = steps[..before.len() + 1].split_at(before.len() + 1 - count);
                doc.restore_elements(handle, deletions, &lost, reborn)?;
                left = rest;
            }
            Deed::ListSet { element, before } => doc.revert_element(handle, *element, dot, before.as_ref(), reborn)?,
            Deed::Map { key, before, cleared } => {
                let mine = (!cleared).then(|| reborn.latest(dot));
                doc.revert_key(handle, key, mine, before.as_ref(), reborn)?;
            }
            Deed::Register { before, cleared } => {
                let mine = (!cleared).then(|| reborn.latest(dot));
                doc.revert_register(handle, mine, before.as_ref(), reborn)?;
            }
            Deed::CounterAdd { by, first } => doc.revert_increment(handle, reborn.latest(dot), *by, *first)?,
            Deed::CounterReset { by, own } => {
                doc.stand_for(own, reborn);
                doc.push_op(handle, OpRun::CounterAdd { by: *by })?;
            }
            Deed::SetAdd { value } => doc.revert_addition(handle, reborn.latest(dot), value)?,
            Deed::SetRemove { value, own } => doc.restore_addition(handle, value, own, reborn)?,
            Deed::BoundedAdd { by } => doc.revert_bounded(handle, *by)?,
            Deed::RemoveWinsAdd { value } | Deed::RemoveWinsRemove { value } => {
                let added = matches!(step.deed, Deed::RemoveWinsAdd { .. });
                doc.revert_remove_wins(handle, value, added)?;
            }
            Deed::TreeCreate => doc.remove_node(handle, dot)?,
            Deed::TreeMove { node, before } => doc.put_back(handle, dot, *node, before, reborn)?,
        }
    }
    Ok(())
}

/// What a register is to read, if that is to change: ours (`mine`; `None` if we had cleared it) gives way to another
/// value that was written at the same time, or to what was there before.
fn restored(register: Option<&MultiValue>, mine: Option<Dot>, before: Option<&Write>) -> Option<Option<Write>> {
    let mut writes = register.into_iter().flat_map(MultiValue::writes);
    match (writes.next(), mine) {
        (None, None) => Some(before.cloned()),
        (Some((dot, _)), Some(mine)) if dot == mine => {
            let other = writes.next().map(|(dot, value)| (dot, value.clone()));
            Some(other.or_else(|| before.cloned()))
        }
        _ => None,
    }
}

impl Doc {
    /// The next operation will stand for `old`.
    fn stand_for(&mut self, old: &[Dot], reborn: &mut Reborn) {
        let new = self.next_dot();
        old.iter().for_each(|old| reborn.add(*old, 1, new));
    }

    fn revert_key(
        &mut self,
        handle: Handle,
        key: &str,
        mine: Option<Dot>,
        before: Option<&Write>,
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        let register = self.map_state(handle).and_then(|map| map.get(key));
        match restored(register, mine, before) {
            Some(Some((old, value))) => {
                self.stand_for(&[old], reborn);
                self.push_op(handle, OpRun::MapSet { key, value })
            }
            Some(None) => self.push_op(handle, OpRun::MapDelete { key }),
            None => Ok(()),
        }
    }

    fn revert_register(
        &mut self,
        handle: Handle,
        mine: Option<Dot>,
        before: Option<&Write>,
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        let Content::Register(register) = self.containers.content(handle) else { return Ok(()) };
        match restored(Some(register), mine, before) {
            Some(Some((old, value))) => {
                self.stand_for(&[old], reborn);
                self.push_op(handle, OpRun::RegisterSet { value })
            }
            Some(None) => self.push_op(handle, OpRun::RegisterClear),
            None => Ok(()),
        }
    }

    fn revert_element(
        &mut self,
        handle: Handle,
        element: Dot,
        dot: Dot,
        before: Option<&Write>,
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        let register = self.list_state(handle).and_then(|list| list.value(element));
        let Some(Some((old, value))) = restored(register, Some(reborn.latest(dot)), before) else { return Ok(()) };
        self.stand_for(&[old], reborn);
        self.push_op_on(handle, OpRun::ListSet { element: ElementRef::default(), value }, &[element]).map(drop)
    }

    fn revert_increment(&mut self, handle: Handle, dot: Dot, by: i64, first: bool) -> Result<(), EditError> {
        let Content::Counter(counter) = self.containers.content(handle) else { return Ok(()) };
        if !counter.increments().any(|(live, _)| live == dot) {
            return Ok(());
        }
        // If nobody else has added anything, it becomes as empty as it was before.
        let empties = first && counter.value() == by && counter.increments().all(|(live, _)| live.log == OWN);
        let run = if empties { OpRun::CounterReset } else { OpRun::CounterAdd { by: by.wrapping_neg() } };
        self.push_op(handle, run)
    }

    fn revert_addition(&mut self, handle: Handle, dot: Dot, value: &Value) -> Result<(), EditError> {
        match self.containers.content(handle) {
            Content::Set(set) if set.additions(value) == [dot] => {
                self.push_op(handle, OpRun::SetRemove { value: value.clone() })
            }
            _ => Ok(()),
        }
    }

    fn restore_addition(
        &mut self,
        handle: Handle,
        value: &Value,
        own: &[Dot],
        reborn: &mut Reborn,
    ) -> Result<(), EditError> {
        match self.containers.content(handle) {
            Content::Set(set) if !set.contains(value) => {
                self.stand_for(own, reborn);
                self.push_op(handle, OpRun::SetAdd { value: value.clone() })
            }
            _ => Ok(()),
        }
    }

    /// As far as our rights allow: what we added may have been given away, or taken away elsewhere.
    fn revert_bounded(&mut self, handle: Handle, by: i64) -> Result<(), EditError> {
        let mut counter = BoundedCounterMut { doc: self, handle };
        let amount = by.unsigned_abs();
        if by < 0 { counter.increment(amount) } else { counter.decrement(amount.min(counter.rights())) }
    }

    /// A removal is taken back unless somebody else's keeps the value out as well. Who else added it is not known.
    fn revert_remove_wins(&mut self, handle: Handle, value: &Value, added: bool) -> Result<(), EditError> {
        let Content::RemoveWinsSet(set) = self.containers.content(handle) else { return Ok(()) };
        let value = value.clone();
        match (added, set.contains(&value)) {
            (true, true) => self.push_op(handle, OpRun::SetRemove { value }),
            (false, false) if set.removals(&value).iter().all(|removal| removal.log == OWN) => {
                self.push_op(handle, OpRun::SetAdd { value })
            }
            _ => Ok(()),
        }
    }
}

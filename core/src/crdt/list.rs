//! `List`: elements that can be replaced and moved.
//!
//! An element is named by the operation that inserted it and shown in one of its slots. A move opens a new slot and
//! deletes the slots that the mover saw; a deletion deletes them. So concurrent moves leave several slots, of which the
//! one with the largest (depth, replica, seq) is shown: an element is never shown twice, and a move concurrent with a
//! deletion keeps the element. (After Kleppmann, "Moving elements in list CRDTs", 2020, with observed-remove slots.)
//! Always holds: an element's slots that are not shown are hidden in the sequence. Not here: its bytes (`state`).

mod state;

use super::sequence::{Bound, Deleted, Sequence, Side};
use super::{Context, Event, MultiValue};
use crate::graph::{Dot, Past};
use crate::id::ReplicaId;
use crate::op::Value;
use crate::ordered::OrdMap;

/// A slot with what decides among several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    lamport: u64,
    replica: ReplicaId,
    dot: Dot,
}

#[derive(Clone, Debug)]
struct Element {
    value: MultiValue,
    /// All slots, once there is more than the first.
    slots: Vec<Slot>,
    /// Depth of the insertion.
    lamport: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct ListState {
    sequence: Sequence,
    elements: OrdMap<Dot, Element>,
    /// The element of every slot that a move opened.
    moved: OrdMap<Dot, Dot>,
}

impl ListState {
    pub(crate) fn new() -> Self {
        Self { sequence: Sequence::new(), elements: OrdMap::new(), moved: OrdMap::new() }
    }

    /// Inserts elements; `false` if there is no such position.
    pub(crate) fn insert(
        &mut self,
        context: &Context<'_>,
        pos: u32,
        values: Vec<Value>,
        events: &mut Option<Vec<Event>>,
    ) -> bool {
        self.sequence.prepare(context.past);
        let len = values.len() as u32;
        let Some(index) = self.sequence.insert(context.dot, pos, len, false, context.logs) else { return false };
        if let Some(events) = events {
            events.push(Event::ListInsert { index, values: values.iter().cloned().map(Some).collect() });
        }
        for (i, content) in values.into_iter().enumerate() {
            let dot = context.dot.plus(i as u32);
            let mut value = MultiValue::default();
            value.set(&Context { dot, ..*context }, content);
            let lamport = context.lamport + i as u64;
            self.elements.insert(dot, Element { value, slots: Vec::new(), lamport });
        }
        true
    }

    /// Deletes slots; `false` if there are no such positions.
    pub(crate) fn delete(
        &mut self,
        context: &Context<'_>,
        pos: u32,
        len: u32,
        backward: bool,
        events: &mut Option<Vec<Event>>,
    ) -> bool {
        self.sequence.prepare(context.past);
        if !self.sequence.can_delete(pos, len, backward) {
            return false;
        }
        let mut stretches: Vec<Deleted> = Vec::new();
        self.sequence.delete(context.dot, pos, len, backward, |deleted| {
            if let (Some(events), Some(index)) = (events.as_mut(), deleted.view) {
                events.push(Event::ListDelete { index, len: deleted.len });
            }
            stretches.push(deleted);
        });
        for stretch in stretches {
            for i in 0..stretch.len {
                let element = self.element_of(stretch.first.plus(i));
                self.show_best_slot(element, events);
            }
        }
        true
    }

    /// Opens a slot for an element; `false` if there is no such position or the operation has not seen the element.
    pub(crate) fn open_slot(
        &mut self,
        context: &Context<'_>,
        pos: u32,
        element: Dot,
        events: &mut Option<Vec<Event>>,
    ) -> bool {
        if !context.past.contains(element) || !self.elements.contains_key(&element) {
            return false;
        }
        self.sequence.prepare(context.past);
        if self.sequence.insert(context.dot, pos, 1, true, context.logs).is_none() {
            return false;
        }
        self.moved.insert(context.dot, element);
        let first = self.first_slot(context, element);
        if let Some(entry) = self.elements.get_mut(&element) {
            if entry.slots.is_empty() {
                entry.slots.push(first);
            }
            let replica = context.logs.replica(context.dot.log);
            entry.slots.push(Slot { lamport: context.lamport, replica, dot: context.dot });
        }
        self.show_best_slot(element, events);
        true
    }

    fn first_slot(&self, context: &Context<'_>, element: Dot) -> Slot {
        let lamport = self.elements.get(&element).map_or(0, |entry| entry.lamport);
        Slot { lamport, replica: context.logs.replica(element.log), dot: element }
    }

    /// Replaces an element's value; `false` if the operation has not seen the element.
    pub(crate) fn set(
        &mut self,
        context: &Context<'_>,
        element: Dot,
        value: Value,
        events: &mut Option<Vec<Event>>,
    ) -> bool {
        if !context.past.contains(element) {
            return false;
        }
        let Some(entry) = self.elements.get_mut(&element) else { return false };
        let before = entry.value.get().cloned();
        entry.value.set(context, value);
        let now = entry.value.get().cloned();
        if let Some(events) = events
            && before != now
            && let Some(index) = self.shown_slot(element).and_then(|slot| self.sequence.view_position(slot))
        {
            events.push(Event::ListSet { index, value: now });
        }
        true
    }

    /// Hides all slots of an element but the best that is not deleted.
    fn show_best_slot(&mut self, element: Dot, events: &mut Option<Vec<Event>>) {
        let Some(entry) = self.elements.get(&element) else { return };
        if entry.slots.is_empty() {
            return;
        }
        let (slots, value) = (entry.slots.clone(), entry.value.get().cloned());
        let best = slots.iter().filter(|slot| !self.sequence.is_deleted(slot.dot)).max().map(|slot| slot.dot);
        for slot in slots.iter().filter(|slot| Some(slot.dot) != best) {
            if let (Some(index), Some(events)) = (self.sequence.set_hidden(slot.dot, true), events.as_mut()) {
                events.push(Event::ListDelete { index, len: 1 });
            }
        }
        if let Some(best) = best
            && let (Some(index), Some(events)) = (self.sequence.set_hidden(best, false), events.as_mut())
        {
            events.push(Event::ListInsert { index, values: vec![value] });
        }
    }

    /// The element that a slot belongs to.
    pub(crate) fn element_of(&self, slot: Dot) -> Dot {
        self.moved.get(&slot).copied().unwrap_or(slot)
    }

    /// The slot in which an element is shown, if it is.
    pub(crate) fn shown_slot(&self, element: Dot) -> Option<Dot> {
        let entry = self.elements.get(&element)?;
        let alive = entry.slots.iter().filter(|slot| !self.sequence.is_deleted(slot.dot));
        let only = (entry.slots.is_empty() && !self.sequence.is_deleted(element)).then_some(element);
        alive.max().map(|slot| slot.dot).or(only)
    }

    /// The slot in which an element would be shown without this one.
    pub(crate) fn other_slot(&self, element: Dot, slot: Dot) -> Option<Dot> {
        let others = self.elements.get(&element)?.slots.iter().filter(|other| other.dot != slot);
        others.filter(|other| !self.sequence.is_deleted(other.dot)).max().map(|other| other.dot)
    }

    /// The slots.
    pub(crate) fn sequence(&self) -> &Sequence {
        &self.sequence
    }

    /// Number of elements shown.
    pub(crate) fn len(&self) -> u32 {
        self.sequence.len()
    }

    /// The element shown at an index.
    pub(crate) fn element_at(&self, index: u32) -> Option<Dot> {
        self.sequence.element(index).map(|slot| self.element_of(slot))
    }

    /// Where an element is shown.
    pub(crate) fn index_of(&self, element: Dot) -> Option<u32> {
        self.shown_slot(element).and_then(|slot| self.sequence.view_position(slot))
    }

    /// The bound at an index that stays with the element on one side.
    pub(crate) fn bound_at(&self, index: u32, side: Side) -> Bound {
        let element = match side {
            Side::Before => self.element_at(index),
            Side::After => index.checked_sub(1).and_then(|before| self.element_at(before)),
        };
        Bound { dot: element.unwrap_or(Dot::NONE), side }
    }

    /// Where a bound of an element is: at its slot or, if it was deleted, where that was. `None` if the list never had
    /// the element.
    pub(crate) fn position_of(&self, bound: Bound) -> Option<u32> {
        let dot = match bound.dot {
            Dot::NONE => Dot::NONE,
            element => {
                let last = self.elements.get(&element)?.slots.iter().max().map_or(element, |slot| slot.dot);
                self.shown_slot(element).unwrap_or(last)
            }
        };
        Some(self.sequence.view_before(Bound { dot, ..bound }))
    }

    /// Whether the list ever had this element.
    pub(crate) fn has(&self, element: Dot) -> bool {
        self.elements.contains_key(&element)
    }

    /// An element's values.
    pub(crate) fn value(&self, element: Dot) -> Option<&MultiValue> {
        self.elements.get(&element).map(|entry| &entry.value)
    }

    /// The elements shown, in order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Dot> {
        self.sequence.elements().map(|slot| self.element_of(slot))
    }

    /// The slot position, for an operation that has seen everything, behind which a new element becomes number `index`.
    pub(crate) fn insert_position(&mut self, index: u32) -> u32 {
        self.sequence.prepare(&Past::everything());
        match index.checked_sub(1).and_then(|before| self.sequence.element(before)) {
            Some(slot) => self.sequence.prepared_position(slot) + 1,
            None => 0,
        }
    }

    /// The position of one slot of an element that is not deleted, for an operation that has seen everything. The slot
    /// that is shown comes last, so that deleting one after the other leaves it for last.
    pub(crate) fn slot_position(&mut self, element: Dot) -> Option<u32> {
        self.sequence.prepare(&Past::everything());
        let entry = self.elements.get(&element)?;
        let slots = entry.slots.iter().filter(|slot| !self.sequence.is_deleted(slot.dot));
        let lowest = slots.min().map(|slot| slot.dot);
        let only = (entry.slots.is_empty() && !self.sequence.is_deleted(element)).then_some(element);
        lowest.or(only).map(|slot| self.sequence.prepared_position(slot))
    }

    /// The position of a slot that is not deleted, for an operation that has seen everything.
    pub(crate) fn slot_place(&mut self, slot: Dot) -> u32 {
        self.sequence.prepare(&Past::everything());
        self.sequence.prepared_position(slot)
    }

    /// The slot at a position that an operation has which has seen everything.
    pub(crate) fn slot_at(&mut self, pos: u32) -> Option<Dot> {
        self.sequence.prepare(&Past::everything());
        self.sequence.prepared_element(pos)
    }
}

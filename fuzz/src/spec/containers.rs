//! Containers and the operations that each has received.

use std::collections::BTreeMap;

use selvedge::{ContainerKind, OpId, ReplicaId, Value};

use super::history::{Change, Declared, Deed, Place, Run, Seen};
use super::marks::{Edge, Mark};
use super::sequence::Sequence;

/// Deepest nesting of containers.
pub(super) const MAX_DEPTH: usize = 128;

/// A container is the way to it from the root: a place and a kind for every step.
pub(super) type Path = Vec<(Place, ContainerKind)>;

/// A write to a register, or (without a value) a clear.
#[derive(Clone, Debug)]
pub(super) struct Write {
    id: OpId,
    seen: Seen,
    hlc: u64,
    value: Option<Value>,
}

/// What was ever written to one register.
#[derive(Clone, Debug, Default)]
pub(super) struct Register(Vec<Write>);

impl Register {
    /// The concurrent values: those that no write or clear has seen; the largest (HLC, replica) first.
    pub(super) fn values(&self) -> Vec<&Value> {
        let overwritten = |write: &Write| self.0.iter().any(|other| other.seen.contains(write.id));
        let mut alive: Vec<&Write> = self.0.iter().filter(|write| !overwritten(write)).collect();
        alive.sort_by_key(|write| std::cmp::Reverse((write.hlc, write.id.replica)));
        alive.into_iter().filter_map(|write| write.value.as_ref()).collect()
    }
}

/// A place in a list where an element can stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) element: OpId,
    pub(super) depth: u64,
}

/// Everything that a container has received.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) keys: BTreeMap<String, Register>,
    pub(super) register: Register,
    /// Additions and resets (without a number).
    pub(super) counter: Vec<(OpId, Seen, Option<i64>)>,
    /// Additions (`true`) and removals of values.
    pub(super) set: Vec<(OpId, Seen, Value, bool)>,
    pub(super) sequence: Sequence,
    pub(super) chars: BTreeMap<OpId, char>,
    pub(super) elements: BTreeMap<OpId, Register>,
    pub(super) slots: BTreeMap<OpId, Slot>,
    pub(super) marks: Vec<Mark>,
}

/// All containers that were ever named by a valid operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Containers {
    pub(super) states: BTreeMap<Path, State>,
    /// What each log means by a container, settled by the first operation that used it.
    bound: BTreeMap<(ReplicaId, u32), Option<Path>>,
}

pub(super) fn kind_of(path: &Path) -> ContainerKind {
    path.last().map_or(ContainerKind::Map, |(_, kind)| *kind)
}

impl Containers {
    /// Applies a change whose past was applied; returns the first operation of every run that is invalid.
    pub(super) fn apply(&mut self, change: &Change) -> Vec<OpId> {
        let Some(runs) = &change.runs else { return vec![change.first] };
        let invalid = runs.iter().filter(|run| {
            let path = self.bind(run.first.replica, run.container, &change.declared, &run.seen);
            !path.is_some_and(|path| self.states.entry(path.clone()).or_default().apply(kind_of(&path), run))
        });
        invalid.map(|run| run.first).collect()
    }

    fn bind(&mut self, author: ReplicaId, index: u32, declared: &[Declared], seen: &Seen) -> Option<Path> {
        let mut unbound = Vec::new();
        let mut at = index;
        while at > 0 && !self.bound.contains_key(&(author, at)) {
            unbound.push(at);
            at = declared[at as usize - 1].parent;
        }
        let mut path = if at == 0 { Some(Path::new()) } else { self.bound[&(author, at)].clone() };
        for at in unbound.into_iter().rev() {
            let declared = &declared[at as usize - 1];
            path = path.filter(|parent| self.can_hold(parent, &declared.place, seen)).map(|mut path| {
                path.push((declared.place.clone(), declared.kind));
                path
            });
            self.bound.insert((author, at), path.clone());
        }
        path
    }

    fn can_hold(&self, parent: &Path, place: &Place, seen: &Seen) -> bool {
        let fits = match (kind_of(parent), place) {
            (ContainerKind::Map, Place::Name(_)) => true,
            (ContainerKind::List, Place::Element(element)) => {
                let list = self.states.get(parent);
                seen.contains(*element) && list.is_some_and(|list| list.elements.contains_key(element))
            }
            _ => false,
        };
        fits && parent.len() < MAX_DEPTH
    }
}

impl State {
    fn apply(&mut self, kind: ContainerKind, run: &Run) -> bool {
        let (id, seen) = (run.first, run.seen.clone());
        let write = |value: Option<&Value>| Write { id, seen: seen.clone(), hlc: run.hlc, value: value.cloned() };
        match (kind, &run.deed) {
            (ContainerKind::Text, Deed::TextInsert { pos, text }) => {
                let inserted = self.insert(run, *pos, text.len());
                self.chars.extend(inserted.iter().copied().zip(text.iter().copied()));
                !inserted.is_empty()
            }
            (ContainerKind::Text, Deed::Mark { start, end, expand, key, value }) => {
                let visible = self.sequence.visible(&seen);
                let is_value = !matches!(value, Some(Value::Null | Value::Container(_)));
                if start >= end || *end > visible.len() || !is_value {
                    return false;
                }
                let (from, to) = Edge::of(&visible[..], *start..*end, *expand);
                let rank = (run.depth, id.replica, id.seq);
                self.marks.push(Mark { rank, from, to, key: key.clone(), value: value.clone() });
                true
            }
            (ContainerKind::Text | ContainerKind::List, Deed::Delete { pos, len, backward }) => {
                self.delete(run, *pos, *len, *backward)
            }
            (ContainerKind::List, Deed::ListInsert { pos, values }) => {
                let inserted = self.insert(run, *pos, values.len());
                for (i, (id, value)) in inserted.iter().zip(values).enumerate() {
                    let seen = run.seen.later(i as u64);
                    let write = Write { id: *id, seen, hlc: run.hlc, value: Some(value.clone()) };
                    self.elements.entry(*id).or_default().0.push(write);
                    self.slots.insert(*id, Slot { element: *id, depth: run.depth + i as u64 });
                }
                !inserted.is_empty()
            }
            (ContainerKind::List, Deed::ListMove { pos, element }) => {
                let known = seen.contains(*element) && self.elements.contains_key(element);
                if !known || self.insert(run, *pos, 1).is_empty() {
                    return false;
                }
                self.slots.insert(id, Slot { element: *element, depth: run.depth });
                true
            }
            (ContainerKind::List, Deed::ListSet { element, value }) => {
                let Some(register) = self.elements.get_mut(element).filter(|_| seen.contains(*element)) else {
                    return false;
                };
                register.0.push(write(Some(value)));
                true
            }
            (ContainerKind::Map, Deed::MapSet { key, value }) => {
                self.keys.entry(key.clone()).or_default().0.push(write(Some(value)));
                true
            }
            (ContainerKind::Map, Deed::MapDelete { key }) => {
                self.keys.entry(key.clone()).or_default().0.push(write(None));
                true
            }
            (ContainerKind::Register, Deed::RegisterSet { value }) => {
                self.register.0.push(write(Some(value)));
                true
            }
            (ContainerKind::Register, Deed::RegisterClear) => {
                self.register.0.push(write(None));
                true
            }
            (ContainerKind::Counter, Deed::CounterAdd { by }) => {
                self.counter.push((id, seen, Some(*by)));
                true
            }
            (ContainerKind::Counter, Deed::CounterReset) => {
                self.counter.push((id, seen, None));
                true
            }
            (ContainerKind::Set, Deed::SetAdd { value }) => {
                self.set.push((id, seen, value.clone(), true));
                true
            }
            (ContainerKind::Set, Deed::SetRemove { value }) => {
                self.set.push((id, seen, value.clone(), false));
                true
            }
            _ => false,
        }
    }

    /// Inserts `count` items before position `pos`, one operation each; none if there is no such position.
    fn insert(&mut self, run: &Run, pos: usize, count: usize) -> Vec<OpId> {
        if pos > self.sequence.visible(&run.seen).len() {
            return Vec::new();
        }
        let ids: Vec<OpId> = (0..count as u64).map(|i| OpId { seq: run.first.seq + i, ..run.first }).collect();
        for (i, id) in ids.iter().enumerate() {
            self.sequence.insert(*id, pos + i, &run.seen.later(i as u64));
        }
        ids
    }

    fn delete(&mut self, run: &Run, pos: usize, len: usize, backward: bool) -> bool {
        let total = self.sequence.visible(&run.seen).len();
        let valid = if backward { pos < total && len <= pos + 1 } else { pos + len <= total };
        for i in (0..len).filter(|_| valid) {
            let op = OpId { seq: run.first.seq + i as u64, ..run.first };
            self.sequence.delete(op, if backward { pos - i } else { pos }, &run.seen.later(i as u64));
        }
        valid
    }

    /// The slots of a list that are shown: of every element the one with the largest (depth, replica, seq) that nobody
    /// has deleted.
    pub(super) fn shown(&self) -> Vec<OpId> {
        let alive = |slot: &OpId| !self.sequence.is_deleted(*slot);
        let rank = |slot: &OpId| (self.slots[slot].depth, slot.replica, slot.seq);
        let is_best = |slot: &OpId| {
            let rivals = self.slots.iter().filter(|(_, other)| other.element == self.slots[slot].element);
            rivals.map(|(other, _)| other).filter(|other| alive(other)).all(|other| rank(other) <= rank(slot))
        };
        self.sequence.order().into_iter().filter(|slot| alive(slot) && is_best(slot)).collect()
    }
}

//! Containers and the operations that each has received.

use std::collections::BTreeMap;

use selvedge::{ContainerKind, OpId, ReplicaId, Value};

use super::history::{Change, Declared, Deed, Place, Run, Seen};
use super::marks::{Edge, Mark};
use super::sequence::Sequence;
use super::tree::Tree;

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

/// What an operation comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    Invalid,
    Unknown,
}

/// What was done to a bounded counter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Deal {
    Add(i64),
    Transfer(ReplicaId, u64),
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
    pub(super) tree: Tree,
    pub(super) deals: Vec<(OpId, Deal)>,
    /// Whether anything was meant for a container of an unknown kind.
    pub(super) used: bool,
    pub(super) marks: Vec<Mark>,
}

/// All containers that were ever named by a valid operation.
#[derive(Clone, Debug, Default)]
pub(super) struct Containers {
    pub(super) states: BTreeMap<Path, State>,
    /// What each log means by a container, settled by the first operation that used it.
    bound: BTreeMap<(ReplicaId, u32), Result<Path, Verdict>>,
}

pub(super) fn kind_of(path: &Path) -> ContainerKind {
    path.last().map_or(ContainerKind::Map, |(_, kind)| *kind)
}

impl Containers {
    /// Applies a change whose past was applied; returns what every run comes to.
    pub(super) fn apply(&mut self, change: &Change) -> Vec<(OpId, Verdict)> {
        let Some(runs) = &change.runs else { return vec![(change.first, Verdict::Invalid)] };
        let verdicts = runs.iter().map(|run| {
            let path = match self.bind(run.first.replica, run.container, &change.declared, &run.seen) {
                Ok(path) => path,
                Err(verdict) => return (run.first, verdict),
            };
            let state = self.states.entry(path.clone()).or_default();
            let verdict = match (kind_of(&path), &run.deed) {
                (ContainerKind::Unknown(_), _) => {
                    state.used = true;
                    Verdict::Unknown
                }
                (_, Deed::Unknown) => Verdict::Unknown,
                (kind, _) if state.apply(kind, run) => Verdict::Valid,
                _ => Verdict::Invalid,
            };
            (run.first, verdict)
        });
        verdicts.collect()
    }

    fn bind(&mut self, author: ReplicaId, index: u32, declared: &[Declared], seen: &Seen) -> Result<Path, Verdict> {
        let mut unbound = Vec::new();
        let mut at = index;
        while at > 0 && !self.bound.contains_key(&(author, at)) {
            unbound.push(at);
            at = declared[at as usize - 1].parent;
        }
        let mut path = if at == 0 { Ok(Path::new()) } else { self.bound[&(author, at)].clone() };
        for at in unbound.into_iter().rev() {
            let declared = &declared[at as usize - 1];
            path = path.and_then(|mut parent| match kind_of(&parent) {
                ContainerKind::Unknown(_) => Err(Verdict::Unknown),
                _ if !self.can_hold(&parent, declared, seen) => Err(Verdict::Invalid),
                _ => {
                    parent.push((declared.place.clone(), declared.kind));
                    Ok(parent)
                }
            });
            self.bound.insert((author, at), path.clone());
        }
        path
    }

    fn can_hold(&self, parent: &Path, declared: &Declared, seen: &Seen) -> bool {
        let fits = match (kind_of(parent), &declared.place) {
            (ContainerKind::Map, Place::Name(_)) => true,
            (ContainerKind::List, Place::Element(element)) => {
                let list = self.states.get(parent);
                seen.contains(*element) && list.is_some_and(|list| list.elements.contains_key(element))
            }
            (ContainerKind::Tree, Place::Element(node)) => {
                let known = self.states.get(parent).is_some_and(|state| state.tree.knows(Some(*node), seen));
                known && declared.kind == ContainerKind::Map
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
            (ContainerKind::Tree, deed) => self.tree.apply(deed, run),
            (ContainerKind::BoundedCounter, Deed::CounterAdd { by }) => self.deal(run, Deal::Add(*by)),
            (ContainerKind::BoundedCounter, Deed::CounterTransfer { to, amount }) => {
                self.deal(run, Deal::Transfer(*to, *amount))
            }
            (ContainerKind::Set | ContainerKind::RemoveWinsSet, Deed::SetAdd { value }) => {
                self.set.push((id, seen, value.clone(), true));
                true
            }
            (ContainerKind::Set | ContainerKind::RemoveWinsSet, Deed::SetRemove { value }) => {
                self.set.push((id, seen, value.clone(), false));
                true
            }
            _ => false,
        }
    }

    /// Takes part in a bounded counter, if the author has seen that it has the rights for it.
    fn deal(&mut self, run: &Run, deal: Deal) -> bool {
        let me = run.first.replica;
        let rights = self.deals.iter().filter(|(id, _)| run.seen.contains(*id)).map(|(id, deal)| match deal {
            Deal::Add(by) if id.replica == me => i128::from(*by),
            Deal::Add(_) => 0,
            Deal::Transfer(to, amount) => i128::from(*amount) * (i128::from(*to == me) - i128::from(id.replica == me)),
        });
        let needed = match deal {
            Deal::Add(by) => -i128::from(by),
            Deal::Transfer(_, amount) => i128::from(amount),
        };
        let valid = needed <= 0 || needed <= rights.sum::<i128>();
        self.deals.extend(valid.then_some((run.first, deal)));
        valid
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

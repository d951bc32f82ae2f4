//! `Step`: what must be remembered of an operation in order to take it back, written down as the operation is made.
//!
//! Always holds: an operation that changes nothing to see is not recorded; consecutive insertions or deletions in one container
//! are one step. Nothing is recorded unless an `UndoManager` asked for it.

use crate::crdt::{Content, Handle, MultiValue, Piece, Standing};
use crate::doc::{Doc, OWN};
use crate::graph::Dot;
use crate::op::{OpRun, Value};

/// A value of a register and the operation that wrote it.
pub(super) type Write = (Dot, Value);

/// Operations of ours on one container, from `dot` on.
#[derive(Debug)]
pub(in crate::doc) struct Step {
    pub(super) handle: Handle,
    pub(super) dot: Dot,
    pub(super) deed: Deed,
}

/// What they did.
#[derive(Debug)]
pub(super) enum Deed {
    TextInsert {
        len: u32,
    },
    /// The characters, in the order of the operations that deleted them.
    TextDelete {
        text: String,
        len: u32,
    },
    /// With what counted before where it marks.
    Mark {
        key: String,
        before: Vec<Piece>,
    },
    ListInsert {
        len: u32,
    },
    /// With the slot that shows the element from then on, if there is one.
    ListDelete {
        slot: Dot,
        element: Dot,
        other: Option<Dot>,
    },
    ListMove {
        element: Dot,
    },
    ListSet {
        element: Dot,
        before: Option<Write>,
    },
    /// Sets a key, or (`cleared`) deletes it.
    Map {
        key: String,
        before: Option<Write>,
        cleared: bool,
    },
    Register {
        before: Option<Write>,
        cleared: bool,
    },
    /// `first`: the counter was empty before.
    CounterAdd {
        by: i64,
        first: bool,
    },
    /// What it took back, and our own increments among that.
    CounterReset {
        by: i64,
        own: Vec<Dot>,
    },
    SetAdd {
        value: Value,
    },
    /// With our own additions that it took back.
    SetRemove {
        value: Value,
        own: Vec<Dot>,
    },
    BoundedAdd {
        by: i64,
    },
    RemoveWinsAdd {
        value: Value,
    },
    RemoveWinsRemove {
        value: Value,
    },
    TreeCreate,
    /// Moves or removes a node.
    TreeMove {
        node: Dot,
        before: Standing,
    },
}

impl Step {
    pub(super) fn is_text(&self) -> bool {
        matches!(self.deed, Deed::TextInsert { .. } | Deed::TextDelete { .. } | Deed::Mark { .. })
    }

    /// Makes `next` part of this step, if it goes on where this one ends; gives it back otherwise.
    fn join(&mut self, next: Self) -> Option<Self> {
        let follows = |len: u32| self.handle == next.handle && self.dot.plus(len) == next.dot;
        match (&mut self.deed, &next.deed) {
            (Deed::TextInsert { len }, Deed::TextInsert { len: more })
            | (Deed::ListInsert { len }, Deed::ListInsert { len: more })
                if follows(*len) =>
            {
                *len += more;
            }
            (Deed::TextDelete { text, len }, Deed::TextDelete { text: behind, len: more }) if follows(*len) => {
                text.push_str(behind);
                *len += more;
            }
            _ => return Some(next),
        }
        None
    }
}

/// Adds a step.
pub(super) fn put(steps: &mut Vec<Step>, step: Step) {
    let step = match steps.last_mut() {
        Some(last) => last.join(step),
        None => Some(step),
    };
    steps.extend(step);
}

fn winner(register: Option<&MultiValue>) -> Option<Write> {
    register.and_then(|register| register.writes().next()).map(|(dot, value)| (dot, value.clone()))
}

impl Doc {
    /// What taking back a run will need, asked before the run is applied. `None` if nobody records, or if it does nothing.
    pub(in crate::doc) fn step(&mut self, handle: Handle, run: &OpRun<'_>, target: Option<Dot>) -> Option<Step> {
        self.recording.as_ref()?;
        let dot = self.next_dot();
        let deed = match (self.containers.content_mut(handle), run) {
            (Content::Tree(_), OpRun::TreeCreate { .. }) => Deed::TreeCreate,
            (Content::Tree(tree), OpRun::TreeMove { .. } | OpRun::TreeDelete { .. }) => {
                let node = target?;
                Deed::TreeMove { node, before: tree.standing(node)? }
            }
            (Content::Text(_), OpRun::TextInsert { chars, .. }) => Deed::TextInsert { len: *chars },
            (Content::Text(text), OpRun::Delete { pos, len, .. }) => {
                Deed::TextDelete { text: text.rope().slice(*pos, *len), len: *len }
            }
            (Content::Text(text), OpRun::Mark(mark)) => {
                Deed::Mark { key: mark.key.to_owned(), before: text.pieces_under(mark) }
            }
            (Content::List(_), OpRun::ListInsert { values, .. }) => Deed::ListInsert { len: values.len() as u32 },
            (Content::List(list), OpRun::Delete { pos, .. }) => {
                let slot = list.slot_at(*pos)?;
                let element = list.element_of(slot);
                if list.shown_slot(element) != Some(slot) {
                    return None;
                }
                Deed::ListDelete { slot, element, other: list.other_slot(element, slot) }
            }
            (Content::List(_), OpRun::ListMove { .. }) => Deed::ListMove { element: target? },
            (Content::List(list), OpRun::ListSet { .. }) => {
                let element = target?;
                Deed::ListSet { element, before: winner(list.value(element)) }
            }
            (Content::Map(map), OpRun::MapSet { key, .. }) => {
                Deed::Map { key: (*key).to_owned(), before: winner(map.get(key)), cleared: false }
            }
            (Content::Map(map), OpRun::MapDelete { key }) => {
                Deed::Map { key: (*key).to_owned(), before: Some(winner(map.get(key))?), cleared: true }
            }
            (Content::Register(register), OpRun::RegisterSet { .. }) => {
                Deed::Register { before: winner(Some(register)), cleared: false }
            }
            (Content::Register(register), OpRun::RegisterClear) => {
                Deed::Register { before: Some(winner(Some(register))?), cleared: true }
            }
            (Content::Counter(counter), OpRun::CounterAdd { by }) if *by != 0 || counter.is_empty() => {
                Deed::CounterAdd { by: *by, first: counter.is_empty() }
            }
            (Content::Counter(counter), OpRun::CounterReset) => {
                let own = counter.increments().map(|(dot, _)| dot).filter(|dot| dot.log == OWN);
                Deed::CounterReset { by: counter.value(), own: own.collect() }
            }
            (Content::Set(set), OpRun::SetAdd { value }) if !set.contains(value) => {
                Deed::SetAdd { value: value.clone() }
            }
            (Content::Set(set), OpRun::SetRemove { value }) => {
                let own = set.additions(value).iter().copied().filter(|dot| dot.log == OWN);
                Deed::SetRemove { value: value.clone(), own: own.collect() }
            }
            (Content::BoundedCounter(_), OpRun::CounterAdd { by }) if *by != 0 => Deed::BoundedAdd { by: *by },
            (Content::RemoveWinsSet(set), OpRun::SetAdd { value }) if !set.contains(value) => {
                Deed::RemoveWinsAdd { value: value.clone() }
            }
            (Content::RemoveWinsSet(set), OpRun::SetRemove { value }) if set.contains(value) => {
                Deed::RemoveWinsRemove { value: value.clone() }
            }
            // Rights that were given to another replica are that replica's.
            (Content::BoundedCounter(_), OpRun::CounterTransfer { .. }) => return None,
            // Nothing to see: a value that was in the set, or was not; an addition of nothing.
            (Content::Counter(_) | Content::BoundedCounter(_), _) => return None,
            (Content::Set(_) | Content::RemoveWinsSet(_), _) => return None,
            (
                Content::Map(_)
                | Content::List(_)
                | Content::Text(_)
                | Content::Register(_)
                | Content::Tree(_)
                | Content::Unknown(_),
                _,
            ) => unreachable!("an edit was not checked before it was pushed"),
        };
        Some(Step { handle, dot, deed })
    }

    /// Writes a step down.
    pub(in crate::doc) fn record(&mut self, step: Option<Step>) {
        if let (Some(steps), Some(step)) = (&mut self.recording, step) {
            put(steps, step);
        }
    }
}

//! Differences between two states of one container, as the events that lead from the one to the other.
//!
//! Texts and lists are compared by the identity of their elements, which stand in the same order in every state: what
//! is in both is kept, so the result is as short as identities allow. Both states know who wrote what (`Containers::clear_to_track`)
//! and number their logs alike.

use super::sequence::Sequence;
use super::{Content, Event, Extent, ListState, MapState, TextState};
use crate::graph::{Dot, Logs};
use crate::op::Value;
use crate::ordered::OrdSet;

/// What turns state `a` of a container into state `b`. O(n log n) in the stretches of elements, O(n) otherwise.
pub(crate) fn diff(a: &mut Content, b: &mut Content, logs: &Logs) -> Vec<Event> {
    match (a, b) {
        (Content::Map(a), Content::Map(b)) => maps(a, b),
        (Content::List(a), Content::List(b)) => lists(a, b),
        (Content::Text(a), Content::Text(b)) => texts(a, b, logs),
        (Content::Register(a), Content::Register(b)) if a.get() != b.get() => {
            vec![Event::Register { value: b.get().cloned() }]
        }
        (Content::Counter(a), Content::Counter(b)) if a.value() != b.value() => {
            vec![Event::Counter { by: b.value().wrapping_sub(a.value()) }]
        }
        (Content::Set(a), Content::Set(b)) => {
            let gone = a.values().filter(|value| !b.contains(value));
            let new = b.values().filter(|value| !a.contains(value));
            let gone = gone.map(|value| Event::SetRemove { value: value.clone() });
            gone.chain(new.map(|value| Event::SetAdd { value: value.clone() })).collect()
        }
        _ => Vec::new(),
    }
}

fn maps(a: &MapState, b: &MapState) -> Vec<Event> {
    let keys: OrdSet<&str> = a.keys().chain(b.keys()).collect();
    let value = |map: &MapState, key: &str| map.get(key).and_then(|register| register.get()).cloned();
    let changed = keys.into_iter().filter_map(|key| {
        let now = value(b, key);
        (value(a, key) != now).then(|| Event::MapSet { key: key.to_owned(), value: now })
    });
    changed.collect()
}

/// A step from one sequence to another.
enum Step {
    /// Elements that are in both: their place in the new one.
    Keep { at: u32, len: u32 },
    /// Elements of the old one only.
    Delete { len: u32 },
    /// Elements of the new one only, from place `at` on.
    Insert { at: u32, len: u32 },
}

/// The steps from `a` to `b`, in order.
fn steps(a: &Sequence, b: &Sequence) -> Vec<Step> {
    let mut places: Vec<(Dot, u32, u32)> = Vec::new();
    let mut total = 0;
    for (dot, len) in b.shown() {
        places.push((dot, len, total));
        total += len;
    }
    places.sort_unstable();
    let (mut steps, mut done) = (Vec::new(), 0);
    for (first, len) in a.shown() {
        let mut offset = 0;
        while offset < len {
            let dot = first.plus(offset);
            let next = places.partition_point(|(other, ..)| *other <= dot);
            let home = next.checked_sub(1).map(|before| places[before]);
            match home.filter(|(home, count, _)| home.log == dot.log && dot.seq - home.seq < *count) {
                Some((home, count, place)) => {
                    let (inside, place) = (dot.seq - home.seq, place + dot.seq - home.seq);
                    let kept = (count - inside).min(len - offset);
                    if place > done {
                        steps.push(Step::Insert { at: done, len: place - done });
                    }
                    steps.push(Step::Keep { at: place, len: kept });
                    (done, offset) = (place + kept, offset + kept);
                }
                None => {
                    let until = places.get(next).filter(|(other, ..)| other.log == dot.log);
                    let gone = until.map_or(len - offset, |(other, ..)| (other.seq - dot.seq).min(len - offset));
                    match steps.last_mut() {
                        Some(Step::Delete { len }) => *len += gone,
                        _ => steps.push(Step::Delete { len: gone }),
                    }
                    offset += gone;
                }
            }
        }
    }
    if total > done {
        steps.push(Step::Insert { at: done, len: total - done });
    }
    steps
}

fn texts(a: &mut TextState, b: &mut TextState, logs: &Logs) -> Vec<Event> {
    let (mut rope, new) = (a.rope().clone(), b.rope().clone());
    let (Some(old), Some(wanted)) = (a.sequence(logs), b.sequence(logs)) else { return Vec::new() };
    let (mut events, mut index) = (Vec::new(), 0);
    for step in steps(old, wanted) {
        let index_utf16 = rope.utf16_of(index);
        match step {
            Step::Keep { len, .. } => index += len,
            Step::Delete { len } => {
                let len_utf16 = rope.utf16_of(index + len) - index_utf16;
                rope.delete(index, len);
                events.push(Event::TextDelete { index, len, index_utf16, len_utf16 });
            }
            Step::Insert { at, len } => {
                let text = new.slice(at, len);
                rope.insert(index, &text, Extent::of(&text));
                events.push(Event::TextInsert { index, index_utf16, text });
                index += len;
            }
        }
    }
    events
}

fn lists(a: &ListState, b: &ListState) -> Vec<Event> {
    let value = |list: &ListState, place: u32| -> Option<Value> {
        list.element_at(place).and_then(|element| list.value(element)).and_then(|register| register.get()).cloned()
    };
    let (mut events, mut index, mut old) = (Vec::new(), 0, 0);
    for step in steps(a.sequence(), b.sequence()) {
        match step {
            Step::Keep { at, len } => {
                for i in 0..len {
                    let now = value(b, at + i);
                    if value(a, old + i) != now {
                        events.push(Event::ListSet { index: index + i, value: now });
                    }
                }
                (index, old) = (index + len, old + len);
            }
            Step::Delete { len } => {
                events.push(Event::ListDelete { index, len });
                old += len;
            }
            Step::Insert { at, len } => {
                events.push(Event::ListInsert { index, values: (at..at + len).map(|at| value(b, at)).collect() });
                index += len;
            }
        }
    }
    events
}

//! Differences between two states of one container, as the events that lead from the one to the other.
//!
//! Texts and lists are compared by the identity of their elements, which stand in the same order in every state: what
//! is in both is kept, so the result is as short as identities allow. Both states know who wrote what (`Containers::clear_to_track`)
//! and number their logs alike.

mod marks;

use self::marks::Kept;
use super::sequence::Sequence;
use super::{Content, Event, Extent, ListState, MapState, Stretches, TextState, TreeState};
use crate::graph::Dot;
use crate::op::Value;
use crate::ordered::OrdSet;

/// What turns state `a` of a container into state `b`; `a` is of no use afterwards. `whole` knows all operations of both.
/// O(n log n) in the stretches of elements and in the nodes of a tree, O(n) otherwise.
pub(crate) fn diff(a: &mut Content, b: &mut Content, whole: &Content) -> Vec<Event> {
    match (a, b) {
        (Content::Map(a), Content::Map(b)) => maps(a, b),
        (Content::List(a), Content::List(b)) => lists(a, b),
        (Content::Text(a), Content::Text(b)) => texts(a, b),
        (Content::Register(a), Content::Register(b)) => {
            let changed = a.get() != b.get();
            changed.then(|| Event::Register { value: b.get().cloned() }).into_iter().collect()
        }
        (Content::Counter(a), Content::Counter(b)) => {
            let by = b.value().wrapping_sub(a.value());
            if by == 0 { Vec::new() } else { vec![Event::Counter { by }] }
        }
        (Content::BoundedCounter(a), Content::BoundedCounter(b)) => sums(a.value(), b.value()),
        (Content::Set(a), Content::Set(b)) => sets(a.values().collect(), b.values().collect()),
        (Content::RemoveWinsSet(a), Content::RemoveWinsSet(b)) => sets(a.values().collect(), b.values().collect()),
        (Content::Tree(a), Content::Tree(b)) => match whole {
            Content::Tree(whole) => TreeState::clone(whole).turn(a, b),
            _ => unreachable!("a container has one kind"),
        },
        // Nobody here knows what is in it.
        (Content::Unknown(_), _) => Vec::new(),
        (
            Content::Map(_)
            | Content::List(_)
            | Content::Text(_)
            | Content::Register(_)
            | Content::Counter(_)
            | Content::BoundedCounter(_)
            | Content::Set(_)
            | Content::RemoveWinsSet(_)
            | Content::Tree(_),
            _,
        ) => unreachable!("a container has one kind"),
    }
}

fn sets(a: OrdSet<&Value>, b: OrdSet<&Value>) -> Vec<Event> {
    let gone = a.iter().filter(|value| !b.contains(*value));
    let new = b.iter().filter(|value| !a.contains(*value));
    let gone = gone.map(|value| Event::SetRemove { value: (*value).clone() });
    gone.chain(new.map(|value| Event::SetAdd { value: (*value).clone() })).collect()
}

/// One event holds 63 bits, as one operation does.
fn sums(a: u128, b: u128) -> Vec<Event> {
    let (mut events, mut left) = (Vec::new(), a.abs_diff(b));
    while left > 0 {
        let by = i64::try_from(left).unwrap_or(i64::MAX);
        events.push(Event::Counter { by: if a < b { by } else { -by } });
        left -= u128::from(by.unsigned_abs());
    }
    events
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
    // Elements of `b`, mapped to their places.
    let (mut places, mut total) = (Stretches::default(), 0);
    for (dot, len) in b.shown() {
        places.insert(dot, len, Dot { log: 0, seq: total });
        total += len;
    }
    let (mut steps, mut done) = (Vec::new(), 0);
    for (mut dot, mut left) in a.shown() {
        while left > 0 {
            let (place, len) = places.find(dot, left);
            match (place, steps.last_mut()) {
                (Some(Dot { seq: at, .. }), _) => {
                    if at > done {
                        steps.push(Step::Insert { at: done, len: at - done });
                    }
                    steps.push(Step::Keep { at, len });
                    done = at + len;
                }
                (None, Some(Step::Delete { len: before })) => *before += len,
                (None, _) => steps.push(Step::Delete { len }),
            }
            left -= len;
            if left > 0 {
                dot = dot.plus(len);
            }
        }
    }
    if total > done {
        steps.push(Step::Insert { at: done, len: total - done });
    }
    steps
}

/// The rope of `a` becomes that of `b` on the way.
fn texts(a: &mut TextState, b: &mut TextState) -> Vec<Event> {
    let (Some(old), Some(new)) = (a.sequence(), b.sequence()) else { return Vec::new() };
    let steps = steps(old, new);
    let marked = marks::changed(a, b, &Kept::all(&steps));
    let (rope, new) = (a.rope_mut(), b.rope());
    let (mut events, mut index) = (Vec::new(), 0);
    for step in steps {
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
    events.extend(marked);
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

//! Differences in the marks of one text.
//!
//! Always holds: a stretch that is told reads another value than before, where characters that are only in the new text had
//! none. Positions are those of the new text. Not here: the characters.

use super::Step;
use crate::crdt::marks::Stretch;
use crate::crdt::text::marked_event;
use crate::crdt::{Event, TextState};
use crate::op::Value;
use crate::ordered::{OrdMap, sort_by_key};

/// Characters that are in both texts: their place in the old one and in the new one.
pub(super) struct Kept {
    old: u32,
    new: u32,
    len: u32,
}

impl Kept {
    pub(super) fn all(steps: &[Step]) -> Vec<Self> {
        let (mut kept, mut old) = (Vec::new(), 0);
        for step in steps {
            match *step {
                Step::Keep { at, len } => {
                    kept.push(Self { old, new: at, len });
                    old += len;
                }
                Step::Delete { len } => old += len,
                Step::Insert { .. } => {}
            }
        }
        kept
    }
}

/// Values of one key, each from one place up to another, in order.
type Values<'a> = Vec<(u32, u32, &'a Value)>;

/// The stretches of text `b` whose marks changed. O(n log n) in the stretches of marks and of characters kept, for each key.
pub(super) fn changed(a: &TextState, b: &TextState, kept: &[Kept]) -> Vec<Event> {
    let (before, now) = (a.stretches(), b.stretches());
    let mut keys: OrdMap<&str, (Values<'_>, Values<'_>)> = OrdMap::new();
    for Stretch { start, end, key, value } in &before {
        let first = kept.partition_point(|kept| kept.old + kept.len <= *start);
        let values = &mut keys.entry(*key).or_default().0;
        for part in kept[first..].iter().take_while(|kept| kept.old < *end) {
            let (from, to) = (part.old.max(*start), (part.old + part.len).min(*end));
            values.push((part.new + (from - part.old), part.new + (to - part.old), *value));
        }
    }
    for Stretch { start, end, key, value } in &now {
        keys.entry(*key).or_default().1.push((*start, *end, *value));
    }
    let mut events = Vec::new();
    for (key, (before, now)) in &keys {
        let changes = differences(before, now).into_iter();
        events.extend(changes.map(|(start, end, value)| marked_event(b.rope(), (start, end), key, value.cloned())));
    }
    events
}

/// Where the values differ, and what the new ones are.
fn differences<'a>(before: &Values<'a>, now: &Values<'a>) -> Vec<(u32, u32, Option<&'a Value>)> {
    let mut cuts: Vec<u32> = before.iter().chain(now).flat_map(|(start, end, _)| [*start, *end]).collect();
    sort_by_key(&mut cuts, |cut| *cut);
    cuts.dedup();
    let mut found: Vec<(u32, u32, Option<&Value>)> = Vec::new();
    for cut in cuts.windows(2) {
        let (old, new) = (value_at(before, cut[0]), value_at(now, cut[0]));
        match found.last_mut() {
            _ if old == new => {}
            Some((_, end, value)) if *end == cut[0] && *value == new => *end = cut[1],
            _ => found.push((cut[0], cut[1], new)),
        }
    }
    found
}

fn value_at<'a>(values: &Values<'a>, place: u32) -> Option<&'a Value> {
    let next = values.partition_point(|(start, _, _)| *start <= place);
    let (_, end, value) = values[..next].last()?;
    (place < *end).then_some(*value)
}

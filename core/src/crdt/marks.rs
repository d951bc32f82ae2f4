//! Marks on the characters of a text, after Peritext (Litt et al., "Peritext: A CRDT for Collaborative Rich Text
//! Editing", 2022): an operation marks what lies between two bounds; where several with one key overlap, the one with
//! the largest (depth, replica, seq) counts, whether it sets a value or takes one away.
//!
//! So a key is a step function over the bounds of the sequence, and an operation raises it to the maximum of itself and
//! what is there: commutative, associative, idempotent. The order of bounds never changes, so text that comes and goes
//! changes nothing here. Always holds: a key's steps are sorted, the first has a winner, and so has one of any two
//! neighbours that differ. Not here: the characters (`text`), and bytes
//! (`state`).

mod state;

use std::cmp::Ordering;
use std::sync::Arc;

use super::sequence::{Bound, Sequence, Side};
use crate::graph::Dot;
use crate::id::ReplicaId;
use crate::op::{Expand, Value};
use crate::ordered::OrdMap;
use crate::planted::{self, Bug};

/// What an operation says of the characters that it covers.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// What decides among several.
    pub(crate) rank: (u64, ReplicaId, u32),
    /// `None` takes the mark away.
    pub(crate) value: Option<Value>,
    pub(crate) expand: Expand,
}

/// From `at` up to the next step, `winner` counts.
#[derive(Clone, Debug)]
struct Step {
    at: Bound,
    winner: Option<Arc<Mark>>,
}

impl Step {
    fn value(&self) -> Option<&Value> {
        self.winner.as_ref().and_then(|winner| winner.value.as_ref())
    }
}

/// What counts between two bounds.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) from: Bound,
    pub(crate) to: Bound,
    pub(crate) winner: Option<Arc<Mark>>,
}

/// A stretch of the view with one value for one key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretch<'a> {
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) key: &'a str,
    pub(crate) value: &'a Value,
}

/// The marks of one text. Memory is in proportion to the operations, whatever overlaps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    keys: OrdMap<String, Vec<Step>>,
}

impl Marks {
    /// Marks what lies between two bounds and tells `changed` of the stretches that read another value than before.
    /// O(log n) for each step of the key between the bounds.
    pub(crate) fn apply(
        &mut self,
        sequence: &Sequence,
        key: &str,
        (from, to): (Bound, Bound),
        mark: Mark,
        mut changed: impl FnMut(Bound, Bound),
    ) {
        if !self.keys.contains_key(key) {
            self.keys.insert(key.to_owned(), Vec::new());
        }
        let Some(steps) = self.keys.get_mut(key) else { return };
        let (first, end) = (split(steps, sequence, from), split(steps, sequence, to));
        let mark = Arc::new(mark);
        for i in first..end {
            let winner = steps[i].winner.take();
            let never = planted::is(Bug::MarkIsNeverReplaced);
            if winner.as_ref().is_some_and(|winner| winner.rank > mark.rank || never) {
                steps[i].winner = winner;
                continue;
            }
            if winner.and_then(|winner| winner.value.clone()) != mark.value {
                changed(steps[i].at, steps[i + 1].at);
            }
            steps[i].winner = Some(mark.clone());
        }
        let rank = |step: &Step| step.winner.as_ref().map(|winner| winner.rank);
        let mut before = first.checked_sub(1).and_then(|before| rank(&steps[before]));
        let differs = |step: &Step| std::mem::replace(&mut before, rank(step)) != rank(step);
        let kept: Vec<Step> = steps.drain(first..=end).filter(differs).collect();
        steps.splice(first..first, kept);
    }

    /// The operation of a key that counts for an element.
    pub(crate) fn winner(&self, sequence: &Sequence, key: &str, dot: Dot) -> Option<&Mark> {
        winner_at(self.keys.get(key)?, sequence, dot)
    }

    /// Whether any element from `first` to `last` may have a mark with this key, deleted ones included.
    pub(crate) fn is_used_between(&self, sequence: &Sequence, key: &str, first: Dot, last: Dot) -> bool {
        let Some(steps) = self.keys.get(key) else { return false };
        let (start, end) = (behind(steps, sequence, first), behind(steps, sequence, last));
        steps[start.saturating_sub(1)..end].iter().any(|step| step.value().is_some())
    }

    /// What counts behind the last of the deleted elements between two that are next to each other in the view, where
    /// a mark begins or ends behind one of them, and differs from what counts behind `left`. `right` is the bound of
    /// the second one.
    pub(crate) fn behind_deleted(
        &self,
        sequence: &Sequence,
        left: Dot,
        right: Bound,
    ) -> Vec<(&str, Option<&Value>, Expand)> {
        let mut found = Vec::new();
        for (key, steps) in self.keys.iter() {
            let (start, end) = (behind(steps, sequence, left), before(steps, sequence, right));
            let gap = steps[start.min(end)..end].iter();
            let last = gap.rev().find(|step| step.at.side == Side::After);
            let here = start.checked_sub(1).and_then(|here| steps[here].winner.as_deref());
            let Some(last) = last else { continue };
            if last.value() != here.and_then(|mark| mark.value.as_ref()) {
                let outside = here.map(|mark| mark.expand.outside());
                let expand = last.winner.as_ref().map(|winner| winner.expand).or(outside);
                found.extend(expand.map(|expand| (key.as_str(), last.value(), expand)));
            }
        }
        found
    }

    /// What counts for a key between two bounds, piece by piece. O(log n) for each.
    pub(crate) fn pieces(&self, sequence: &Sequence, key: &str, (from, to): (Bound, Bound)) -> Vec<Piece> {
        let steps = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        let first = steps.partition_point(|step| sequence.compare_bounds(step.at, from) != Ordering::Greater);
        let inside = steps[first..].iter().take_while(|step| sequence.compare_bounds(step.at, to) == Ordering::Less);
        let winner = first.checked_sub(1).and_then(|before| steps[before].winner.clone());
        let mut pieces = vec![Piece { from, to, winner }];
        for step in inside {
            let last = pieces.len() - 1;
            pieces[last].to = step.at;
            pieces.push(Piece { from: step.at, to, winner: step.winner.clone() });
        }
        pieces
    }

    /// The marks of an element, sorted by key. O(log n) for each key of the text.
    pub(crate) fn of(&self, sequence: &Sequence, dot: Dot) -> impl Iterator<Item = (&str, &Value)> {
        self.keys.iter().filter_map(move |(key, steps)| {
            let value = winner_at(steps, sequence, dot)?.value.as_ref()?;
            Some((key.as_str(), value))
        })
    }

    /// Every stretch of the view that has a value, by key. O(log n) for each step.
    pub(crate) fn stretches(&self, sequence: &Sequence) -> Vec<Stretch<'_>> {
        let mut all: Vec<Stretch<'_>> = Vec::new();
        for (key, steps) in self.keys.iter() {
            let places: Vec<u32> = steps.iter().map(|step| sequence.view_before(step.at)).collect();
            for (i, step) in steps.iter().enumerate() {
                let Some(value) = step.value() else { continue };
                let (start, end) = (places[i], places.get(i + 1).copied().unwrap_or(sequence.len()));
                match all.last_mut() {
                    _ if start == end => {}
                    Some(last) if last.key == key && last.end == start && last.value == value => last.end = end,
                    _ => all.push(Stretch { start, end, key, value }),
                }
            }
        }
        all
    }
}

/// The number of the step that begins at a bound, made if there is none.
fn split(steps: &mut Vec<Step>, sequence: &Sequence, at: Bound) -> usize {
    let index = before(steps, sequence, at);
    if steps.get(index).is_none_or(|step| step.at != at) {
        let winner = index.checked_sub(1).and_then(|before| steps[before].winner.clone());
        steps.insert(index, Step { at, winner });
    }
    index
}

/// How many steps begin before a bound.
fn before(steps: &[Step], sequence: &Sequence, at: Bound) -> usize {
    steps.partition_point(|step| sequence.compare_bounds(step.at, at) == Ordering::Less)
}

/// How many steps begin before an element or with it.
fn behind(steps: &[Step], sequence: &Sequence, dot: Dot) -> usize {
    before(steps, sequence, Bound { dot, side: Side::After })
}

fn winner_at<'a>(steps: &'a [Step], sequence: &Sequence, dot: Dot) -> Option<&'a Mark> {
    steps[..behind(steps, sequence, dot)].last()?.winner.as_deref()
}

//! Marks by the book: an operation covers the characters between its two edges; of all operations with one key that
//! cover a character, the one with the largest (depth, replica, seq) counts. Every character asks every operation.

use std::collections::BTreeMap;
use std::ops::Range;

use selvedge::op::Expand;
use selvedge::{OpId, ReplicaId, Value};
use serde_json::{Value as Json, json};

use super::containers::State;
use super::json::plain;

/// One end of what an operation covers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Edge {
    Start,
    Before(OpId),
    After(OpId),
    End,
}

/// A marking operation. Without a value it takes the mark away.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) rank: (u64, ReplicaId, u64),
    pub(super) from: Edge,
    pub(super) to: Edge,
    pub(super) key: String,
    pub(super) value: Option<Value>,
}

impl Edge {
    /// The edges of a range of what the author sees.
    pub(super) fn of(visible: &[OpId], range: Range<usize>, expand: Expand) -> (Self, Self) {
        let from = match (expand.before(), range.start) {
            (false, start) => Self::Before(visible[start]),
            (true, 0) => Self::Start,
            (true, start) => Self::After(visible[start - 1]),
        };
        let to = match (expand.after(), visible.get(range.end)) {
            (false, _) => Self::After(visible[range.end - 1]),
            (true, Some(next)) => Self::Before(*next),
            (true, None) => Self::End,
        };
        (from, to)
    }

    /// How many of all characters lie before the edge.
    fn place(self, order: &[OpId]) -> usize {
        let at = |id| order.iter().position(|known| *known == id).unwrap_or(order.len());
        match self {
            Self::Start => 0,
            Self::Before(id) => at(id),
            Self::After(id) => at(id) + 1,
            Self::End => order.len(),
        }
    }
}

/// A text as a list of runs with equal marks.
pub(super) fn runs(state: &State) -> Json {
    let order = state.sequence.order();
    let places: Vec<Range<usize>> =
        state.marks.iter().map(|mark| mark.from.place(&order)..mark.to.place(&order)).collect();
    let mut runs: Vec<(String, BTreeMap<&str, &Value>)> = Vec::new();
    for (at, id) in order.iter().enumerate().filter(|(_, id)| !state.sequence.is_deleted(**id)) {
        let covering = state.marks.iter().zip(&places).filter(|(_, place)| place.contains(&at)).map(|(mark, _)| mark);
        let mut winners: BTreeMap<&str, &Mark> = BTreeMap::new();
        for mark in covering {
            let winner = winners.entry(&mark.key).or_insert(mark);
            *winner = if mark.rank > winner.rank { mark } else { *winner };
        }
        let marks = winners.into_iter().filter_map(|(key, mark)| Some((key, mark.value.as_ref()?))).collect();
        match runs.last_mut() {
            Some((text, last)) if *last == marks => text.push(state.chars[id]),
            _ => runs.push((state.chars[id].to_string(), marks)),
        }
    }
    let json = |marks: BTreeMap<&str, &Value>| -> Json {
        marks.into_iter().map(|(key, value)| (key.to_owned(), plain(value))).collect()
    };
    runs.into_iter().map(|(text, marks)| json!([text, json(marks)])).collect()
}

//! What a text does with the identities of its characters: marks and anchors.

use super::{Ids, TextState};
use crate::crdt::marks::{Mark, Marks, Piece, Stretch};
use crate::crdt::rope::{Extent, Rope};
use crate::crdt::sequence::{Bound, Sequence, Side};
use crate::crdt::{Applied, Context, Event};
use crate::graph::{Dot, Past};
use crate::op::{Expand, MarkRun, Value};

impl TextState {
    /// Whether anything in the text was ever marked.
    #[inline]
    pub(crate) fn is_marked(&self) -> bool {
        self.marks.is_some()
    }

    fn marked(&self) -> Option<(&Marks, &Sequence)> {
        Some((self.marks.as_deref()?, &self.ids.as_deref()?.sequence))
    }

    /// The identities, caught up and prepared for what has seen everything; `None` if the text does not know them.
    fn caught_up(&mut self) -> Option<&mut Sequence> {
        let ids = self.ids.as_deref_mut()?;
        ids.prepare(&Past::everything());
        Some(&mut ids.sequence)
    }

    /// Marks characters, or takes a mark away from them.
    pub(crate) fn mark(
        &mut self,
        context: &Context<'_>,
        run: &MarkRun<'_>,
        events: &mut Option<Vec<Event>>,
    ) -> Applied {
        let Some(sequence) = self.caught_up() else { return Applied::NeedsHistory };
        sequence.prepare(context.past);
        let is_value = !matches!(run.value, Some(Value::Null | Value::Container(_)));
        if run.start >= run.end || run.end > sequence.prepared_len() || !is_value {
            return Applied::Invalid;
        }
        let bounds = prepared_bounds(sequence, run);
        let rank = (context.lamport, context.logs.replica(context.dot.log), context.dot.seq);
        let mark = Mark { rank, value: run.value.clone(), expand: run.expand };
        let Some(Ids { sequence, .. }) = self.ids.as_deref() else { return Applied::NeedsHistory };
        let rope = &self.rope;
        self.marks.get_or_insert_default().apply(sequence, run.key, bounds, mark, |from, to| {
            let (index, end) = (sequence.view_before(from), sequence.view_before(to));
            if let Some(events) = events.as_mut().filter(|_| index < end) {
                events.push(marked_event(rope, (index, end), run.key, run.value.clone()));
            }
        });
        Applied::Done
    }

    /// What counts, before it is made, in the place of a mark that is made here.
    pub(crate) fn pieces_under(&mut self, run: &MarkRun<'_>) -> Vec<Piece> {
        let Some(sequence) = self.caught_up() else { return Vec::new() };
        let bounds = prepared_bounds(sequence, run);
        self.pieces(run.key, bounds)
    }

    /// What counts for a key between two bounds.
    pub(crate) fn pieces(&self, key: &str, bounds: (Bound, Bound)) -> Vec<Piece> {
        let Some(Ids { sequence, .. }) = self.ids.as_deref() else { return Vec::new() };
        match &self.marks {
            Some(marks) => marks.pieces(sequence, key, bounds),
            None => Marks::default().pieces(sequence, key, bounds),
        }
    }

    /// The mark that gives the characters that are between two bounds now this value; `None` if there are none.
    pub(crate) fn mark_between<'a>(
        &self,
        (from, to): (Bound, Bound),
        key: &'a str,
        value: Option<Value>,
    ) -> Option<MarkRun<'a>> {
        let Ids { sequence, .. } = self.ids.as_deref()?;
        let (start, end) = (sequence.view_before(from), sequence.view_before(to));
        let expand = Expand::new(from.side == Side::After, to.side == Side::Before);
        (start < end).then_some(MarkRun { start, end, expand, key, value })
    }

    /// Tells of the marks that characters have by the place where they were just inserted.
    pub(crate) fn tell_inherited(&self, dot: Dot, index: u32, extent: Extent, events: &mut Option<Vec<Event>>) {
        if let (Some(events), Some((marks, sequence))) = (events, self.marked()) {
            let range = (index, index + extent.chars);
            let inherited = marks.of(sequence, dot);
            events.extend(inherited.map(|(key, value)| marked_event(&self.rope, range, key, Some(value.clone()))));
        }
    }

    /// The marks of a character, sorted by key.
    pub(crate) fn marks_at(&self, pos: u32) -> Vec<(String, Value)> {
        let marked = self.marked().and_then(|(marks, sequence)| Some((marks, sequence, sequence.element(pos)?)));
        let of = |(marks, sequence, dot): (&Marks, _, _)| {
            marks.of(sequence, dot).map(|(key, value)| (key.to_owned(), value.clone())).collect()
        };
        marked.map_or_else(Vec::new, of)
    }

    /// Every stretch of characters that has a mark, by key.
    pub(crate) fn stretches(&self) -> Vec<Stretch<'_>> {
        self.marked().map_or_else(Vec::new, |(marks, sequence)| marks.stretches(sequence))
    }

    /// What the mark of a character does with text at its ends; `None` if it has no mark with this key.
    pub(crate) fn expand_at(&self, pos: u32, key: &str) -> Option<Expand> {
        let (marks, sequence) = self.marked()?;
        let mark = marks.winner(sequence, key, sequence.element(pos)?)?;
        mark.value.is_some().then_some(mark.expand)
    }

    /// Whether characters from `first` to `last` may have a mark with this key.
    pub(crate) fn has_mark(&self, first: u32, last: u32, key: &str) -> bool {
        let has = |(marks, sequence): (&Marks, &Sequence)| {
            let (first, last) = (sequence.element(first)?, sequence.element(last)?);
            Some(marks.is_used_between(sequence, key, first, last))
        };
        self.marked().and_then(has).unwrap_or(false)
    }

    /// The marks that differ behind the deleted characters that follow the one at `pos`.
    pub(crate) fn marks_behind_deleted(&self, pos: u32) -> Vec<(String, Option<Value>, Expand)> {
        let Some((marks, sequence)) = self.marked() else { return Vec::new() };
        let Some(left) = sequence.element(pos) else { return Vec::new() };
        let right = Bound { dot: sequence.element(pos + 1).unwrap_or(Dot::NONE), side: Side::Before };
        if sequence.is_next(left, right) {
            return Vec::new();
        }
        let found = marks.behind_deleted(sequence, left, right).into_iter();
        found.map(|(key, value, expand)| (key.to_owned(), value.cloned(), expand)).collect()
    }

    /// The bound at a position that stays with the character on one side; `None` if the text is not tracked.
    pub(crate) fn bound_at(&mut self, pos: u32, side: Side) -> Option<Bound> {
        let sequence = self.caught_up()?;
        Some(sequence.prepared_bound(pos, side))
    }

    /// The position of a bound; `None` if the text is not tracked or never had the character.
    pub(crate) fn position_of(&mut self, bound: Bound) -> Option<u32> {
        let sequence = self.caught_up()?;
        (bound.dot == Dot::NONE || sequence.has(bound.dot)).then(|| sequence.view_before(bound))
    }
}

/// The bounds of a mark at the prepare version.
fn prepared_bounds(sequence: &Sequence, run: &MarkRun<'_>) -> (Bound, Bound) {
    let (start_side, end_side) = sides(run.expand);
    (sequence.prepared_bound(run.start, start_side), sequence.prepared_bound(run.end, end_side))
}

/// The sides on which the bounds of a mark lie: what expands stays with the neighbour outside.
fn sides(expand: Expand) -> (Side, Side) {
    let start = if expand.before() { Side::After } else { Side::Before };
    let end = if expand.after() { Side::Before } else { Side::After };
    (start, end)
}

/// Characters that read another value for a key.
pub(in crate::crdt) fn marked_event(rope: &Rope, (index, end): (u32, u32), key: &str, value: Option<Value>) -> Event {
    let (index_utf16, end_utf16) = (rope.utf16_of(index), rope.utf16_of(end));
    let (len, len_utf16) = (end - index, end_utf16 - index_utf16);
    Event::TextMark { index, len, index_utf16, len_utf16, key: key.to_owned(), value }
}

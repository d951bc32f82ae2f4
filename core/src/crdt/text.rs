//! `Text`: characters in a rope, and, once somebody asks for it, which operation wrote each of them.
//!
//! An operation that has seen everything that happened to the text means the positions of the rope: it needs no
//! identities. The identities (`sequence`) are needed for an operation that has not, and for anchors; they are made by
//! replaying the document's history, and what happens afterwards is put down here, to be caught up with when they are
//! asked for again. Always holds: character i of the rope is element i of the sequence's view, once that has caught up;
//! a text with marks (`marks`) is always caught up. Operations count Unicode scalar values. Not here: marks and anchors
//! (`rich`), bytes (`state`).

mod rich;
mod state;

use smallvec::SmallVec;

pub(super) use self::rich::marked_event;
use super::marks::Marks;
use super::rope::{Extent, Rope};
use super::sequence::Sequence;
use super::{Applied, Context, Event};
use crate::graph::{Dot, Past};

#[derive(Clone, Debug)]
pub(crate) struct TextState {
    rope: Rope,
    /// Exclusive ends of the operations in it, by log.
    ends: SmallVec<[(u32, u32); 2]>,
    ids: Option<Box<Ids>>,
    marks: Option<Box<Marks>>,
}

/// Which operation wrote what, as far as it was caught up.
#[derive(Clone, Debug)]
struct Ids {
    sequence: Sequence,
    backlog: Vec<Step>,
}

/// Operations that had seen everything before them in this text.
#[derive(Clone, Copy, Debug)]
struct Step {
    dot: Dot,
    pos: u32,
    len: u32,
    kind: StepKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepKind {
    Insert,
    Delete { backward: bool },
}

impl Step {
    /// Makes `next` part of this step, if it goes on where this one ends.
    fn join(&mut self, next: &Self) -> bool {
        if self.dot.log != next.dot.log || self.dot.seq + self.len != next.dot.seq {
            return false;
        }
        let single = |step: &Self| step.len == 1 && step.kind != StepKind::Insert;
        let kind = match (self.kind, next.kind) {
            (StepKind::Insert, StepKind::Insert) if self.pos + self.len == next.pos => StepKind::Insert,
            (StepKind::Delete { backward: false }, StepKind::Delete { backward: false }) if self.pos == next.pos => {
                self.kind
            }
            (StepKind::Delete { backward }, StepKind::Delete { .. })
                if (backward || single(self)) && single(next) && next.pos + self.len == self.pos =>
            {
                StepKind::Delete { backward: true }
            }
            _ => return false,
        };
        (self.kind, self.len) = (kind, self.len + next.len);
        true
    }
}

impl Ids {
    fn put_down(&mut self, step: Step) {
        if !self.backlog.last_mut().is_some_and(|last| last.join(&step)) {
            self.backlog.push(step);
        }
    }

    /// Puts the operations of the backlog into the sequence and moves its prepare version to `past`. They are put in
    /// where they stand in the view, each as counting at that version or not: so none has to be taken back.
    fn prepare(&mut self, past: &Past) {
        let Self { sequence, backlog } = self;
        sequence.prepare(past);
        for step in backlog.drain(..) {
            let seen = past.end(step.dot.log).map_or(step.len, |end| end.saturating_sub(step.dot.seq).min(step.len));
            for (start, len, counted) in [(0, seen, true), (seen, step.len - seen, false)] {
                let dot = step.dot.plus(start);
                match step.kind {
                    _ if len == 0 => {}
                    StepKind::Insert => sequence.insert_seen(dot, step.pos + start, len, counted),
                    StepKind::Delete { backward } => {
                        let pos = if backward { step.pos - start } else { step.pos };
                        sequence.delete_seen(dot, pos, len, backward, counted);
                    }
                }
            }
        }
    }
}

impl TextState {
    /// An empty text; `tracked` says whether it is to know who wrote what from the beginning.
    pub(crate) fn new(tracked: bool) -> Self {
        let ids = || Box::new(Ids { sequence: Sequence::new(), backlog: Vec::new() });
        Self { rope: Rope::new(), ends: SmallVec::new(), ids: tracked.then(ids), marks: None }
    }

    #[inline]
    pub(crate) fn rope(&self) -> &Rope {
        &self.rope
    }

    /// The characters, for somebody who does not need the rest any more.
    pub(crate) fn rope_mut(&mut self) -> &mut Rope {
        &mut self.rope
    }

    /// Which operation wrote what, caught up; `None` before the history was replayed for it.
    pub(crate) fn sequence(&mut self) -> Option<&Sequence> {
        let ids = self.ids.as_mut()?;
        ids.prepare(&Past::everything());
        Some(&ids.sequence)
    }

    /// Whether an operation with this past has seen everything that happened to this text.
    #[inline]
    fn is_seen_by(&self, past: &Past) -> bool {
        past.is_everything() || self.ends.iter().all(|(log, end)| past.end(*log).is_none_or(|seen| *end <= seen))
    }

    #[inline]
    fn note(&mut self, dot: Dot, len: u32) {
        match self.ends.first_mut() {
            Some((log, end)) if *log == dot.log => *end = dot.seq + len,
            _ => self.note_other(dot.log, dot.seq + len),
        }
    }

    /// Puts the author of the last operation first.
    fn note_other(&mut self, log: u32, end: u32) {
        self.ends.retain(|(other, _)| *other != log);
        self.ends.insert(0, (log, end));
    }

    /// Inserts characters for an operation that has seen everything that happened to this text.
    #[inline]
    pub(crate) fn insert_seen(&mut self, dot: Dot, pos: u32, text: &str, extent: Extent) {
        if let Some(ids) = &mut self.ids {
            ids.put_down(Step { dot, pos, len: extent.chars, kind: StepKind::Insert });
            if self.marks.is_some() {
                ids.prepare(&Past::everything());
            }
        }
        self.note(dot, extent.chars);
        self.rope.insert(pos, text, extent);
    }

    /// Deletes characters for an operation that has seen everything that happened to this text.
    #[inline]
    pub(crate) fn delete_seen(
        &mut self,
        dot: Dot,
        pos: u32,
        len: u32,
        backward: bool,
        events: &mut Option<Vec<Event>>,
    ) {
        if let Some(ids) = &mut self.ids {
            ids.put_down(Step { dot, pos, len, kind: StepKind::Delete { backward } });
            if self.marks.is_some() {
                ids.prepare(&Past::everything());
            }
        }
        self.note(dot, len);
        remove(&mut self.rope, if backward { pos + 1 - len } else { pos }, len, events);
    }

    /// Inserts characters.
    pub(crate) fn insert(
        &mut self,
        context: &Context<'_>,
        pos: u32,
        text: &str,
        events: &mut Option<Vec<Event>>,
    ) -> Applied {
        let extent = Extent::of(text);
        let mut tell = |rope: &Rope, index| {
            if let Some(events) = events {
                let index_utf16 = rope.utf16_of(index);
                events.push(Event::TextInsert { index, index_utf16, text: text.to_owned() });
            }
        };
        if self.is_seen_by(context.past) {
            if pos > self.rope.len() {
                return Applied::Invalid;
            }
            tell(&self.rope, pos);
            self.insert_seen(context.dot, pos, text, extent);
            self.tell_inherited(context.dot, pos, extent, events);
            return Applied::Done;
        }
        let Some(ids) = &mut self.ids else { return Applied::NeedsHistory };
        ids.prepare(context.past);
        let placed = ids.sequence.insert(context.dot, pos, extent.chars, false, context.logs);
        let Some(index) = placed else { return Applied::Invalid };
        tell(&self.rope, index);
        self.note(context.dot, extent.chars);
        self.rope.insert(index, text, extent);
        self.tell_inherited(context.dot, index, extent, events);
        Applied::Done
    }

    /// Deletes characters.
    pub(crate) fn delete(
        &mut self,
        context: &Context<'_>,
        pos: u32,
        len: u32,
        backward: bool,
        events: &mut Option<Vec<Event>>,
    ) -> Applied {
        if self.is_seen_by(context.past) {
            let total = self.rope.len();
            let fits = if backward { pos < total && len <= pos + 1 } else { pos <= total && len <= total - pos };
            if fits {
                self.delete_seen(context.dot, pos, len, backward, events);
            }
            return fits.into();
        }
        let Some(ids) = &mut self.ids else { return Applied::NeedsHistory };
        ids.prepare(context.past);
        if !ids.sequence.can_delete(pos, len, backward) {
            return Applied::Invalid;
        }
        let rope = &mut self.rope;
        ids.sequence.delete(context.dot, pos, len, backward, |deleted| {
            if let Some(index) = deleted.view {
                remove(rope, index, deleted.len, events);
            }
        });
        self.note(context.dot, len);
        Applied::Done
    }
}

/// Takes characters out of the rope and tells of it.
#[inline]
fn remove(rope: &mut Rope, index: u32, len: u32, events: &mut Option<Vec<Event>>) {
    if let Some(events) = events {
        let index_utf16 = rope.utf16_of(index);
        let len_utf16 = rope.utf16_of(index + len) - index_utf16;
        events.push(Event::TextDelete { index, len, index_utf16, len_utf16 });
    }
    rope.delete(index, len);
}

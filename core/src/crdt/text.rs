//! `Text`: characters in a sequence, with the text itself in a rope beside it.
//!
//! Always holds: character i of the rope is element i of the view. Operations count Unicode scalar values; the rope
//! converts to UTF-16 and UTF-8 in O(log n).

use ropey::Rope;

use super::sequence::Sequence;
use super::{Context, Event};

#[derive(Clone, Debug)]
pub(crate) struct TextState {
    sequence: Sequence,
    rope: Rope,
}

impl TextState {
    pub(crate) fn new() -> Self {
        Self { sequence: Sequence::new(), rope: Rope::new() }
    }

    pub(crate) fn rope(&self) -> &Rope {
        &self.rope
    }

    /// Inserts; `false` if there is no such position.
    pub(crate) fn insert(
        &mut self,
        context: &Context<'_>,
        pos: u32,
        chars: u32,
        text: &str,
        events: &mut Option<Vec<Event>>,
    ) -> bool {
        self.sequence.prepare(context.past);
        let Some(index) = self.sequence.insert(context.dot, pos, chars, false, context.logs) else { return false };
        if let Some(events) = events {
            let index_utf16 = self.rope.char_to_utf16_cu(index as usize) as u32;
            events.push(Event::TextInsert { index, index_utf16, text: text.to_owned() });
        }
        self.rope.insert(index as usize, text);
        true
    }

    /// Deletes; `false` if there are no such positions.
    pub(crate) fn delete(
        &mut self,
        context: &Context<'_>,
        pos: u32,
        len: u32,
        backward: bool,
        events: &mut Option<Vec<Event>>,
    ) -> bool {
        self.sequence.prepare(context.past);
        if !self.sequence.can_delete(pos, len, backward) {
            return false;
        }
        let rope = &mut self.rope;
        self.sequence.delete(context.dot, pos, len, backward, |deleted| {
            let Some(index) = deleted.view else { return };
            let (start, end) = (index as usize, (index + deleted.len) as usize);
            if let Some(events) = events {
                let index_utf16 = rope.char_to_utf16_cu(start) as u32;
                let len_utf16 = rope.char_to_utf16_cu(end) as u32 - index_utf16;
                events.push(Event::TextDelete { index, len: deleted.len, index_utf16, len_utf16 });
            }
            rope.remove(start..end);
        });
        true
    }
}

//! Reading a text: lengths and offsets in every unit, pieces, and marks.

use std::ops::Range;

use super::TextRef;
use crate::crdt::{Metric, Rope, TextState};
use crate::doc::{DeltaOp, EditError};
use crate::op::Value;
use crate::ordered::sort_by_key;

/// A stretch of a text whose characters have the same marks.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Position of the first character, in Unicode scalar values.
    pub start: usize,
    /// Number of characters.
    pub len: usize,
    /// Keys and values, sorted by key.
    pub marks: Vec<(String, Value)>,
}

impl TextRef<'_> {
    fn state(&self) -> Option<&TextState> {
        self.handle.and_then(|handle| self.doc.text_state(handle))
    }

    fn rope(&self) -> Option<&Rope> {
        self.state().map(TextState::rope)
    }

    /// Length in Unicode scalar values.
    pub fn len(&self) -> usize {
        self.rope().map_or(0, |rope| rope.len() as usize)
    }

    /// Length in UTF-16 code units.
    pub fn len_utf16(&self) -> usize {
        self.rope().map_or(0, |rope| rope.extent().utf16 as usize)
    }

    /// Length in bytes of UTF-8.
    pub fn len_utf8(&self) -> usize {
        self.rope().map_or(0, |rope| rope.extent().bytes)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An offset that counts `from`, as one that counts `to`. O(log n).
    ///
    /// # Errors
    /// If the offset is past the end or inside a character.
    pub fn convert(&self, offset: usize, from: Metric, to: Metric) -> Result<usize, EditError> {
        match self.rope() {
            Some(rope) => convert(rope, offset, from, to),
            None => convert(&Rope::new(), offset, from, to),
        }
    }

    /// The characters in a range of positions in Unicode scalar values.
    ///
    /// # Errors
    /// If the range goes past the end or runs backward.
    pub fn slice(&self, range: Range<usize>) -> Result<String, EditError> {
        let (start, len) = narrow(&range, self.len())?;
        Ok(self.rope().map_or_else(String::new, |rope| rope.slice(start, len)))
    }

    /// The marks of the character at a position in Unicode scalar values, sorted by key; none past the end.
    /// O(log n) for each key in the text.
    pub fn marks(&self, pos: usize) -> Vec<(String, Value)> {
        let pos = u32::try_from(pos).unwrap_or(u32::MAX);
        self.state().map_or_else(Vec::new, |text| text.marks_at(pos))
    }

    /// The whole text as stretches with the same marks, in order. O(m log n) for m marks, and what is returned.
    pub fn runs(&self) -> Vec<Span> {
        let Some(text) = self.state() else { return Vec::new() };
        let stretches = text.stretches();
        // Ends of stretches come before beginnings at the same place: a key's value is replaced there.
        let begins = stretches.iter().map(|stretch| (stretch.start, true, stretch.key, stretch.value));
        let ends = stretches.iter().map(|stretch| (stretch.end, false, stretch.key, stretch.value));
        let mut turns: Vec<_> = begins.chain(ends).collect();
        // Of one key at one place, in one direction, there is one turn at most.
        sort_by_key(&mut turns, |(at, begins, key, _)| (*at, *begins, *key));
        let (mut spans, mut start, mut marks) = (Vec::new(), 0, Vec::<(String, Value)>::new());
        let mut close = |end: u32, start: &mut u32, marks: &Vec<(String, Value)>| {
            if end > *start {
                spans.push(Span { start: *start as usize, len: (end - *start) as usize, marks: marks.clone() });
                *start = end;
            }
        };
        for (at, begins, key, value) in turns {
            close(at, &mut start, &marks);
            let place = marks.binary_search_by(|(known, _)| known.as_str().cmp(key));
            match (begins, place) {
                (true, Ok(place)) => marks[place].1 = value.clone(),
                (true, Err(place)) => marks.insert(place, (key.to_owned(), value.clone())),
                (false, Ok(place)) => drop(marks.remove(place)),
                (false, Err(_)) => {}
            }
        }
        close(text.rope().len(), &mut start, &marks);
        spans
    }

    /// The whole text as insertions in the form of Quill's Delta. As costly as `runs`, and the text.
    pub fn to_delta(&self) -> Vec<DeltaOp> {
        let text = self.to_string();
        let mut rest = text.as_str();
        let insert = |span: Span| {
            let end = rest.char_indices().nth(span.len).map_or(rest.len(), |(byte, _)| byte);
            let (piece, behind) = rest.split_at(end);
            rest = behind;
            let attributes = span.marks.into_iter().map(|(key, value)| (key, Some(value))).collect();
            DeltaOp::Insert { text: piece.to_owned(), attributes }
        };
        self.runs().into_iter().map(insert).collect()
    }
}

impl std::fmt::Display for TextRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.rope().into_iter().flat_map(Rope::chunks).try_for_each(|chunk| f.write_str(chunk))
    }
}

/// An offset into a text in another unit.
pub(in crate::doc) fn convert(rope: &Rope, offset: usize, from: Metric, to: Metric) -> Result<usize, EditError> {
    let len = rope.extent().get(from);
    if offset > len {
        let what = match from {
            Metric::Scalar => "position",
            Metric::Utf16 => "UTF-16 offset",
            Metric::Utf8 => "UTF-8 offset",
        };
        return Err(EditError::OutOfRange { what, index: offset, len });
    }
    let place = rope.locate(from, offset);
    place.map(|place| place.get(to)).ok_or(EditError::InsideCharacter { offset })
}

/// A range of positions as start and length, if it lies within `total`.
pub(in crate::doc) fn narrow(range: &Range<usize>, total: usize) -> Result<(u32, u32), EditError> {
    if range.end > total {
        return Err(EditError::OutOfRange { what: "end of the range", index: range.end, len: total });
    }
    match range.end.checked_sub(range.start) {
        Some(len) => Ok((range.start as u32, len as u32)),
        None => Err(EditError::OutOfRange { what: "start of the range", index: range.start, len: range.end }),
    }
}

//! `TextMut`.

use super::range;
use crate::crdt::{Handle, TextState};
use crate::doc::{Doc, EditError};
use crate::op::OpRun;

/// Edits a text. Positions count Unicode scalar values, or UTF-16 code units where the name says so.
#[derive(Debug)]
pub struct TextMut<'a> {
    pub(in crate::doc) doc: &'a mut Doc,
    pub(in crate::doc) handle: Handle,
}

impl TextMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Length in Unicode scalar values.
    pub fn len(&self) -> usize {
        self.state().rope().len_chars()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends text.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn push_str(&mut self, text: &str) -> Result<(), EditError> {
        self.insert(self.len(), text)
    }

    /// Inserts text at a position in Unicode scalar values.
    ///
    /// # Errors
    /// If the position is past the end, or the transaction or the log is full.
    pub fn insert(&mut self, pos: usize, text: &str) -> Result<(), EditError> {
        let (pos, _) = range("position", pos, 0, self.len())?;
        if text.is_empty() {
            return Ok(());
        }
        let chars = text.chars().count() as u32;
        self.doc.push_op(self.handle, OpRun::TextInsert { pos, chars, text })
    }

    /// Deletes `len` Unicode scalar values at a position.
    ///
    /// # Errors
    /// If the range goes past the end, or the transaction or the log is full.
    pub fn delete(&mut self, pos: usize, len: usize) -> Result<(), EditError> {
        let (pos, len) = range("end of the range", pos, len, self.len())?;
        if len == 0 {
            return Ok(());
        }
        self.doc.push_op(self.handle, OpRun::Delete { pos, len, backward: false })
    }

    /// Length in UTF-16 code units.
    pub fn len_utf16(&self) -> usize {
        self.state().rope().len_utf16_cu()
    }

    /// Inserts text at an offset in UTF-16 code units.
    ///
    /// # Errors
    /// If the offset is past the end or inside a surrogate pair, or the transaction or the log is full.
    pub fn insert_utf16(&mut self, offset: usize, text: &str) -> Result<(), EditError> {
        let pos = self.scalar_position(offset)?;
        self.insert(pos, text)
    }

    /// Deletes `len` UTF-16 code units at an offset.
    ///
    /// # Errors
    /// If the range goes past the end or cuts a surrogate pair, or the transaction or the log is full.
    pub fn delete_utf16(&mut self, offset: usize, len: usize) -> Result<(), EditError> {
        let start = self.scalar_position(offset)?;
        let end = self.scalar_position(offset.saturating_add(len))?;
        self.delete(start, end - start)
    }

    fn scalar_position(&self, offset: usize) -> Result<usize, EditError> {
        let (rope, len) = (self.state().rope(), self.len_utf16());
        let fail = EditError::OutOfRange { what: "UTF-16 offset", index: offset, len };
        let pos = rope.try_utf16_cu_to_char(offset).map_err(|_| fail)?;
        if rope.char_to_utf16_cu(pos) == offset { Ok(pos) } else { Err(EditError::InsideCharacter { offset }) }
    }

    fn state(&self) -> &TextState {
        self.doc.text_state(self.handle).expect("a text handle means a text")
    }
}

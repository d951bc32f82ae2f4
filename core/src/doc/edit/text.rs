//! `TextMut`: characters in and out, at offsets in every unit. Not here: marks (`mark`).

use super::range;
use crate::crdt::{Handle, Metric, TextState};
use crate::doc::read::convert;
use crate::doc::{Doc, EditError};

/// Edits a text. Positions count Unicode scalar values, or UTF-16 code units or bytes of UTF-8 where the name says so.
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
        self.state().rope().len() as usize
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
        self.doc.push_text(self.handle, pos, text)?;
        if self.state().is_marked() { self.settle_marks(pos as usize, text.chars().count()) } else { Ok(()) }
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
        self.doc.push_text_delete(self.handle, pos, len)
    }

    /// Length in UTF-16 code units.
    pub fn len_utf16(&self) -> usize {
        self.state().rope().extent().utf16 as usize
    }

    /// Length in bytes of UTF-8.
    pub fn len_utf8(&self) -> usize {
        self.state().rope().extent().bytes
    }

    /// Inserts text at an offset in UTF-16 code units.
    ///
    /// # Errors
    /// If the offset is past the end or inside a surrogate pair, or the transaction or the log is full.
    pub fn insert_utf16(&mut self, offset: usize, text: &str) -> Result<(), EditError> {
        let pos = self.convert(offset, Metric::Utf16, Metric::Scalar)?;
        self.insert(pos, text)
    }

    /// Deletes `len` UTF-16 code units at an offset.
    ///
    /// # Errors
    /// If the range goes past the end or cuts a surrogate pair, or the transaction or the log is full.
    pub fn delete_utf16(&mut self, offset: usize, len: usize) -> Result<(), EditError> {
        self.delete_in(Metric::Utf16, offset, len)
    }

    /// Inserts text at an offset in bytes of UTF-8.
    ///
    /// # Errors
    /// If the offset is past the end or inside a character, or the transaction or the log is full.
    pub fn insert_utf8(&mut self, offset: usize, text: &str) -> Result<(), EditError> {
        let pos = self.convert(offset, Metric::Utf8, Metric::Scalar)?;
        self.insert(pos, text)
    }

    /// Deletes `len` bytes of UTF-8 at an offset.
    ///
    /// # Errors
    /// If the range goes past the end or cuts a character, or the transaction or the log is full.
    pub fn delete_utf8(&mut self, offset: usize, len: usize) -> Result<(), EditError> {
        self.delete_in(Metric::Utf8, offset, len)
    }

    fn delete_in(&mut self, metric: Metric, offset: usize, len: usize) -> Result<(), EditError> {
        let start = self.convert(offset, metric, Metric::Scalar)?;
        let end = self.convert(offset.saturating_add(len), metric, Metric::Scalar)?;
        self.delete(start, end - start)
    }

    /// An offset that counts `from`, as one that counts `to`. O(log n).
    ///
    /// # Errors
    /// If the offset is past the end or inside a character.
    pub fn convert(&self, offset: usize, from: Metric, to: Metric) -> Result<usize, EditError> {
        convert(self.state().rope(), offset, from, to)
    }

    pub(super) fn state(&self) -> &TextState {
        self.doc.text_state(self.handle).expect("a text handle means a text")
    }
}

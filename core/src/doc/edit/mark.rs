//! `TextMut`: marks, and edits in the form of Quill's Delta.

use std::ops::Range;

use super::TextMut;
use crate::crdt::Metric;
use crate::doc::read::narrow;
use crate::doc::{DeltaOp, EditError};
use crate::op::{Expand, MarkRun, OpRun, Value};

impl TextMut<'_> {
    /// Gives characters a mark, in place of one with the same key. Positions count Unicode scalar values; an empty
    /// range marks nothing. The first mark of a document replays its history once.
    ///
    /// # Errors
    /// If the range goes past the end or runs backward, the value is null or a container, or the transaction or the
    /// log is full.
    pub fn mark(
        &mut self,
        range: Range<usize>,
        key: &str,
        value: impl Into<Value>,
        expand: Expand,
    ) -> Result<(), EditError> {
        self.put_mark(&range, key, Some(value.into()), expand)
    }

    /// Takes a mark away from characters. Text at the edges is left to the rule of the mark that was there. Where no
    /// character has the mark, nothing is done.
    ///
    /// # Errors
    /// If the range goes past the end or runs backward, or the transaction or the log is full.
    pub fn unmark(&mut self, range: Range<usize>, key: &str) -> Result<(), EditError> {
        let (start, len) = narrow(&range, self.len())?;
        let text = self.state();
        if len == 0 || !text.has_mark(start, start + len - 1, key) {
            return Ok(());
        }
        let before = text.expand_at(start, key).is_some_and(|expand| expand.outside().before());
        let after = text.expand_at(start + len - 1, key).is_some_and(|expand| expand.outside().after());
        self.put_mark(&range, key, None, Expand::new(before, after))
    }

    fn put_mark(
        &mut self,
        range: &Range<usize>,
        key: &str,
        value: Option<Value>,
        expand: Expand,
    ) -> Result<(), EditError> {
        let (start, len) = narrow(range, self.len())?;
        if matches!(value, Some(Value::Null | Value::Container(_))) {
            return Err(EditError::NoMarkValue);
        }
        if len == 0 {
            return Ok(());
        }
        self.doc.track();
        let mark = MarkRun { start, end: start + len, expand, key, value };
        self.doc.push_op(self.handle, OpRun::Mark(Box::new(mark)))
    }

    /// Edits the text as a Delta says: retain, insert and delete, with lengths in UTF-16 code units. Inserted text gets
    /// exactly the attributes given, whatever is around it; a retained attribute that is null is taken away.
    /// `expand` tells what a key's marks do with text at their ends.
    ///
    /// # Errors
    /// If the Delta goes past the end or cuts a character, a value cannot be a mark's, or the transaction or the log is
    /// full.
    pub fn apply_delta(&mut self, delta: &[DeltaOp], expand: &dyn Fn(&str) -> Expand) -> Result<(), EditError> {
        let mut at = 0;
        for op in delta {
            match op {
                DeltaOp::Retain { len, attributes } => {
                    let end = self.behind(at, *len)?;
                    for (key, value) in attributes {
                        match value {
                            Some(value) => self.mark(at..end, key, value.clone(), expand(key))?,
                            None => self.unmark(at..end, key)?,
                        }
                    }
                    at = end;
                }
                DeltaOp::Delete { len } => {
                    let end = self.behind(at, *len)?;
                    self.delete(at, end - at)?;
                }
                DeltaOp::Insert { text, .. } if text.is_empty() => {}
                DeltaOp::Insert { text, attributes } => {
                    self.doc.push_text(self.handle, at as u32, text)?;
                    let end = at + text.chars().count();
                    self.set_marks(at..end, attributes, expand)?;
                    at = end;
                }
            }
        }
        Ok(())
    }

    /// The position `len` UTF-16 code units behind a position.
    fn behind(&self, at: usize, len: usize) -> Result<usize, EditError> {
        let start = self.convert(at, Metric::Scalar, Metric::Utf16)?;
        self.convert(start.saturating_add(len), Metric::Utf16, Metric::Scalar)
    }

    /// Leaves text that was just inserted with these marks and no others.
    fn set_marks(
        &mut self,
        range: Range<usize>,
        wanted: &[(String, Option<Value>)],
        expand: &dyn Fn(&str) -> Expand,
    ) -> Result<(), EditError> {
        let inherited = self.state().marks_at(range.start as u32);
        let is_wanted = |key: &str| wanted.iter().any(|(known, value)| known == key && value.is_some());
        for (key, _) in inherited.iter().filter(|(key, _)| !is_wanted(key)) {
            self.unmark(range.clone(), key)?;
        }
        for (key, value) in wanted {
            let Some(value) = value else { continue };
            if !inherited.iter().any(|(known, other)| known == key && other == value) {
                self.mark(range.clone(), key, value.clone(), expand(key))?;
            }
        }
        Ok(())
    }

    /// Settles the marks of text that was just inserted before deleted characters behind which a mark ends or begins:
    /// it counts as typed behind them. (Peritext inserts it there; positions here cannot say so.)
    pub(super) fn settle_marks(&mut self, start: usize, chars: usize) -> Result<(), EditError> {
        for (key, value, expand) in self.state().marks_behind_deleted((start + chars - 1) as u32) {
            self.put_mark(&(start..start + chars), &key, value, expand)?;
        }
        Ok(())
    }
}

//! A leaf of the rope: a string with its extent.

use super::{Extent, Metric};

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) text: String,
    pub(super) extent: Extent,
    pub(super) parent: u32,
}

impl Leaf {
    /// The byte at which character number `at` starts (at most the leaf's length).
    #[inline]
    pub(super) fn byte(&self, at: u32) -> usize {
        if self.extent.chars as usize == self.text.len() {
            return at as usize;
        }
        self.text.char_indices().nth(at as usize).map_or(self.text.len(), |(byte, _)| byte)
    }

    /// The byte at an offset in any metric; `None` inside of a character.
    pub(super) fn byte_of(&self, metric: Metric, offset: usize) -> Option<usize> {
        match metric {
            Metric::Scalar => Some(self.byte(offset as u32)),
            Metric::Utf8 => self.text.is_char_boundary(offset).then_some(offset),
            Metric::Utf16 if self.extent.utf16 as usize == self.text.len() => Some(offset),
            Metric::Utf16 => {
                let mut left = offset;
                for (byte, c) in self.text.char_indices() {
                    if left == 0 {
                        return Some(byte);
                    }
                    left = left.checked_sub(c.len_utf16())?;
                }
                (left == 0).then_some(self.text.len())
            }
        }
    }

    #[inline]
    pub(super) fn insert(&mut self, at: u32, text: &str, extent: Extent) {
        let byte = self.byte(at);
        if byte == self.text.len() {
            self.text.push_str(text);
        } else {
            self.text.insert_str(byte, text);
        }
        self.extent = self.extent.plus(extent);
    }

    /// Deletes characters and returns how much that was.
    #[inline]
    pub(super) fn delete(&mut self, at: u32, len: u32) -> Extent {
        let start = self.byte(at);
        let gone = if self.extent.chars as usize == self.text.len() {
            Extent { bytes: len as usize, chars: len, utf16: len }
        } else {
            let rest = &self.text[start..];
            let end = rest.char_indices().nth(len as usize).map_or(rest.len(), |(byte, _)| byte);
            Extent::of(&rest[..end])
        };
        self.text.drain(start..start + gone.bytes);
        self.extent = self.extent.minus(gone);
        gone
    }
}

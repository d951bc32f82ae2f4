//! Marking operations: a stretch of a text, a key, and whether the mark takes in what is typed at its ends.

use serde::{Deserialize, Serialize};

use super::Value;

/// Whether text that is inserted right at an end of a marked stretch becomes part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expand {
    /// At neither end: links, comments.
    None,
    /// At the beginning.
    Before,
    /// At the end, so that typing goes on in the same style: bold, italic.
    #[default]
    After,
    /// At both ends.
    Both,
}

impl Expand {
    /// All rules, in the order of their tags.
    pub const ALL: [Self; 4] = [Self::None, Self::Before, Self::After, Self::Both];

    /// Whether it takes in what is inserted at the beginning.
    pub fn before(self) -> bool {
        matches!(self, Self::Before | Self::Both)
    }

    /// Whether it takes in what is inserted at the end.
    pub fn after(self) -> bool {
        matches!(self, Self::After | Self::Both)
    }

    /// The rule for taking a mark with this rule away: what is inserted between a character that keeps the mark and one
    /// that lost it has the mark if it expands there.
    pub fn outside(self) -> Self {
        Self::new(!self.after(), !self.before())
    }

    /// The rule with these two answers.
    pub fn new(before: bool, after: bool) -> Self {
        Self::ALL[usize::from(before) + 2 * usize::from(after)]
    }

    pub(crate) fn tag(self) -> u8 {
        self as u8
    }
}

/// Marks the characters of a text, or takes a mark away from them: one operation.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkRun<'a> {
    /// Position of the first character, in Unicode scalar values.
    pub start: u32,
    /// Exclusive end, behind `start`.
    pub end: u32,
    /// What becomes of text at the ends.
    pub expand: Expand,
    /// The key.
    pub key: &'a str,
    /// The value, `None` to take the mark away.
    pub value: Option<Value>,
}

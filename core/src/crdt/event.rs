//! `Event`: what an operation did to the view, by container and position.

use crate::graph::Dot;
use crate::op::Value;

/// A difference in the view of one container. Positions are those at the moment of the event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Event {
    /// The value that a map key reads changed (`None`: it has none now).
    MapSet { key: String, value: Option<Value> },
    /// Elements came into a list.
    ListInsert { index: u32, values: Vec<Option<Value>> },
    /// Elements left a list.
    ListDelete { index: u32, len: u32 },
    /// An element of a list changed its value.
    ListSet { index: u32, value: Option<Value> },
    /// Characters were inserted.
    TextInsert { index: u32, index_utf16: u32, text: String },
    /// Characters were deleted.
    TextDelete { index: u32, len: u32, index_utf16: u32, len_utf16: u32 },
    /// Characters read another value for a key of their marks (`None`: none now).
    TextMark { index: u32, len: u32, index_utf16: u32, len_utf16: u32, key: String, value: Option<Value> },
    /// A counter changed by this much.
    Counter { by: i64 },
    /// The value that a register reads changed.
    Register { value: Option<Value> },
    /// A value came into a set.
    SetAdd { value: Value },
    /// A value left a set.
    SetRemove { value: Value },
    /// A node came into a tree; those below it follow.
    TreeCreate { node: Dot, parent: Option<Dot>, index: u32 },
    /// A node of a tree stands somewhere else, with everything below it. The index counts without it.
    TreeMove { node: Dot, parent: Option<Dot>, index: u32 },
    /// A node left a tree, with everything below it.
    TreeDelete { node: Dot },
}

//! `Bound`: a place in a sequence that stays with one of its elements, deleted or not: what anchors and the ends of
//! marks are.
//!
//! Always holds: the order of two bounds never changes, whatever is inserted and deleted around them.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::Sequence;
use super::run::Run;
use super::tree::Cursor;
use crate::graph::Dot;

/// The side of an element on which a bound lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Right before the element: what is inserted between it and the one before it lies before the bound.
    Before,
    /// Right behind the element: what is inserted between it and the next one lies behind the bound.
    After,
}

/// One side of an element. `Dot::NONE` is the edge: the end on its `Before` side, the beginning on its `After` side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) dot: Dot,
    pub(crate) side: Side,
}

impl Sequence {
    /// Whether an element of this name was ever inserted.
    pub(crate) fn has(&self, dot: Dot) -> bool {
        self.tree.place_of(dot).is_some()
    }

    /// The bound at position `pos` of the prepare version (at most its length) that stays with the element behind it
    /// (`Before`) or with the one before it (`After`).
    pub(crate) fn prepared_bound(&self, pos: u32, side: Side) -> Bound {
        let element = match side {
            Side::Before => (pos < self.prepared_len()).then_some(pos),
            Side::After => pos.checked_sub(1),
        };
        Bound { dot: self.dot(element.map(|pos| self.tree.prepared(pos))), side }
    }

    /// Whether nothing, not even deleted elements, stands between an element and the bound before the next one in the
    /// view.
    pub(crate) fn is_next(&self, left: Dot, right: Bound) -> bool {
        let at = self.tree.locate(left);
        self.dot(self.tree.behind(Cursor { offset: at.offset + 1, ..at })) == right.dot
    }

    /// Number of elements in the view that lie before a bound, whose element exists.
    pub(crate) fn view_before(&self, bound: Bound) -> u32 {
        match (bound.dot, bound.side) {
            (Dot::NONE, Side::Before) => self.len(),
            (Dot::NONE, Side::After) => 0,
            (dot, side) => {
                let at = self.tree.locate(dot);
                let visible = self.tree.run(at).is_some_and(Run::is_visible);
                self.tree.before(at).view + u32::from(visible && side == Side::After)
            }
        }
    }

    /// Which of two bounds, whose elements exist, comes first.
    pub(crate) fn compare_bounds(&self, a: Bound, b: Bound) -> Ordering {
        let edge = |bound: Bound| match (bound.dot, bound.side) {
            (Dot::NONE, Side::After) => -1,
            (Dot::NONE, Side::Before) => 1,
            _ => 0,
        };
        match (edge(a), edge(b)) {
            (0, 0) if a.dot == b.dot => a.side.cmp(&b.side),
            (0, 0) => self.tree.compare(a.dot, b.dot),
            (a, b) => a.cmp(&b),
        }
    }
}

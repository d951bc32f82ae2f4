//! A run: consecutive elements of one author that were inserted together and share one fate.

use crate::graph::Dot;

/// A run of elements. Element `i` is `dot + i`; its left origin is the element before it in the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// The first element.
    pub(super) dot: Dot,
    /// Number of elements, at least one.
    pub(super) len: u32,
    /// Left origin of the first element.
    pub(super) left: Dot,
    /// Right origin of every element.
    pub(super) right: Dot,
    /// At the prepare version: 0 not inserted yet, 1 visible, 1 + n deleted by n operations.
    pub(super) prepare: u32,
    /// Why it is not in the view: two for every known operation that deletes it, one if it is hidden although not
    /// deleted (a list slot that another slot of its element outranks).
    pub(super) gone: u32,
}

/// What happens to the fate of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change {
    pub(super) prepare: i32,
    pub(super) gone: i32,
}

impl Run {
    pub(super) fn last(&self) -> Dot {
        self.dot.plus(self.len - 1)
    }

    pub(super) fn contains(&self, dot: Dot) -> bool {
        dot.log == self.dot.log && dot.seq >= self.dot.seq && dot.seq - self.dot.seq < self.len
    }

    pub(super) fn is_visible(&self) -> bool {
        self.gone == 0
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.gone % 2 == 1
    }

    /// By how many known operations it was deleted.
    pub(super) fn deletes(&self) -> u32 {
        self.gone / 2
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deletes() > 0
    }

    /// Whether it was inserted at the prepare version, deleted since or not.
    pub(super) fn is_inserted(&self) -> bool {
        self.prepare > 0
    }

    #[inline]
    pub(super) fn sums(&self) -> Sums {
        Sums {
            prepare: if self.prepare == 1 { self.len } else { 0 },
            view: if self.gone == 0 { self.len } else { 0 },
            inserted: if self.prepare > 0 { self.len } else { 0 },
        }
    }

    pub(super) fn change(&mut self, by: Change) {
        self.prepare = self.prepare.wrapping_add_signed(by.prepare);
        self.gone = self.gone.wrapping_add_signed(by.gone);
    }

    /// Cuts the run before element `at` and returns the second part.
    pub(super) fn split(&mut self, at: u32) -> Self {
        let mut tail = *self;
        (tail.dot, tail.len, tail.left) = (self.dot.plus(at), self.len - at, self.dot.plus(at - 1));
        self.len = at;
        tail
    }

    /// Whether `next`, which stands right behind, goes on with this run.
    pub(super) fn joins(&self, next: &Self) -> bool {
        self.dot.log == next.dot.log
            && self.dot.seq + self.len == next.dot.seq
            && next.left == self.last()
            && self.right == next.right
            && (self.prepare, self.gone) == (next.prepare, next.gone)
    }
}

/// Elements below a node. Differences wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Visible at the prepare version.
    pub(super) prepare: u32,
    /// Visible in the view.
    pub(super) view: u32,
    /// Inserted at the prepare version, deleted since or not.
    pub(super) inserted: u32,
}

impl Sums {
    #[inline]
    pub(super) fn add(&mut self, other: Self) {
        self.prepare = self.prepare.wrapping_add(other.prepare);
        self.view = self.view.wrapping_add(other.view);
        self.inserted = self.inserted.wrapping_add(other.inserted);
    }

    #[inline]
    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            prepare: self.prepare.wrapping_sub(other.prepare),
            view: self.view.wrapping_sub(other.view),
            inserted: self.inserted.wrapping_sub(other.inserted),
        }
    }
}

//! Which operation stands for which: an undo that brings back a deleted character, an overwritten value or a removed
//! addition makes a new one, and whatever meant the old one means the new one from then on.
//!
//! Always holds: every operation has at most one successor (it dies once), and successors are our own newest operations. Only
//! of a mark several may be left, each of which knows what it stands for.

use crate::crdt::Stretches;
use crate::doc::OWN;
use crate::graph::Dot;

/// Successors and origins, as stretches of operations by their first one.
#[derive(Debug, Default)]
pub(super) struct Reborn {
    next: Stretches,
    origin: Stretches,
    /// The new operations, in their order.
    order: Vec<Dot>,
}

impl Reborn {
    /// From now on, operations `new .. new + len` stand for `old .. old + len`.
    pub(super) fn add(&mut self, old: Dot, len: u32, new: Dot) {
        self.next.insert(old, len, new);
        self.origin.insert(new, len, old);
        self.order.push(new);
    }

    /// From now on, `new` stands for `old` somewhere; something else may elsewhere.
    pub(super) fn add_partly(&mut self, old: Dot, new: Dot) {
        self.origin.insert(new, 1, old);
        self.order.push(new);
    }

    /// What stands for `dot` next, and for how many operations from it on that answer holds.
    pub(super) fn next(&self, dot: Dot, max: u32) -> (Option<Dot>, u32) {
        self.next.find(dot, max)
    }

    /// What stands for `dot` in the end.
    pub(super) fn latest(&self, mut dot: Dot) -> Dot {
        while let (Some(next), _) = self.next.find(dot, 1) {
            dot = next;
        }
        dot
    }

    /// What `dot` stood for when our operation number `seq` was made; `None` if nothing did then.
    pub(super) fn at(&self, mut dot: Dot, seq: u32) -> Option<Dot> {
        while dot.log == OWN && dot.seq > seq {
            dot = self.origin.find(dot, 1).0?;
        }
        Some(dot)
    }

    /// This point, to come back to.
    pub(super) fn mark(&self) -> usize {
        self.order.len()
    }

    /// Forgets what was added since `mark`.
    pub(super) fn reset(&mut self, mark: usize) {
        for new in self.order.drain(mark..) {
            if let Some(old) = self.origin.remove(new) {
                self.next.remove(old);
            }
        }
    }
}

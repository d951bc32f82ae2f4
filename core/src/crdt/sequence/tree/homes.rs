//! In which leaf an element is.
//!
//! An entry stands for the elements from its own on, up to the next entry of the same author: what is split and joined
//! within one leaf needs none. Always holds: the last entry at or before an element names its leaf.

use smallvec::SmallVec;

use super::super::run::Run;
use crate::graph::Dot;
use crate::ordered::OrdMap;

#[derive(Clone, Debug, Default)]
pub(super) struct Homes(OrdMap<Dot, u32>);

impl Homes {
    /// The leaf of an element, if it exists.
    pub(super) fn of(&self, dot: Dot) -> Option<u32> {
        self.0.range(..=dot).next_back().map(|(_, leaf)| *leaf)
    }

    /// Notes the leaf of new elements, which are the last of their author.
    pub(super) fn insert(&mut self, first: Dot, leaf: u32) {
        self.0.insert(first, leaf);
    }

    /// Notes that some of the runs of leaf `left` have moved to leaf `right`.
    pub(super) fn part(&mut self, kept: &[Run], left: u32, moved: &[Run], right: u32) {
        for run in moved {
            if run.len > 1 {
                // Left from runs that were joined to this one.
                let stale = self.0.range(run.dot.plus(1)..=run.last());
                let stale: SmallVec<[Dot; 4]> = stale.map(|(dot, _)| *dot).collect();
                for dot in stale {
                    self.0.remove(&dot);
                }
            }
            self.0.insert(run.dot, right);
            // What comes next may have stood under the entry of this run.
            let next = run.dot.plus(run.len);
            if kept.iter().any(|other| other.dot == next) {
                self.0.insert(next, left);
            }
        }
    }
}

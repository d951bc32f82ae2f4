//! Asking a sequence about elements: where they stand, who deleted them, and which operation deleted which.
//!
//! What undo, blame and differences need. Nothing here changes anything.

use std::cmp::Ordering;

use super::{Deed, Sequence};
use crate::graph::Dot;

/// Elements of one author that stand side by side and share one fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) len: u32,
    /// How many operations deleted them.
    pub(crate) deletes: u32,
    /// Where the first of them is in the view, if they are in it.
    pub(crate) view: Option<u32>,
}

/// What a stretch of deleting operations deleted: elements `first .. first + len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// The first of the operations, counted from the one that was asked for.
    pub(crate) op: u32,
    pub(crate) first: Dot,
    pub(crate) len: u32,
    /// Whether the first operation deleted the last element.
    pub(crate) backward: bool,
}

impl Sequence {
    /// The elements in the view, in order, as stretches: the first of each and how many.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (Dot, u32)> {
        self.tree.runs().filter(|run| run.is_visible()).map(|run| (run.dot, run.len))
    }

    /// The stretch that begins with an element, of at most `max` elements.
    pub(crate) fn stretch(&self, first: Dot, max: u32) -> Stretch {
        let at = self.tree.locate(first);
        let run = self.tree.run(at).expect("located");
        let view = run.is_visible().then(|| self.tree.before(at).view);
        Stretch { len: max.min(run.len - at.offset), deletes: run.deletes(), view }
    }

    /// How many elements of the view stand before an element.
    pub(crate) fn shown_before(&self, dot: Dot) -> u32 {
        self.tree.before(self.tree.locate(dot)).view
    }

    /// Which of two elements stands first.
    pub(crate) fn compare(&self, a: Dot, b: Dot) -> Ordering {
        self.tree.compare(a, b)
    }

    /// What `len` deleting operations from `op` on deleted.
    pub(crate) fn deleted_by(&self, op: Dot, len: u32) -> Vec<Deletion> {
        let Some(author) = self.history.authors.iter().find(|author| author.log == op.log) else { return Vec::new() };
        let from = author.records.partition_point(|record| record.seq + record.len <= op.seq);
        let records = author.records[from..].iter().take_while(|record| record.seq < op.seq + len);
        let deletions = records.filter_map(|record| {
            let Deed::Delete { backward, .. } = record.deed else { return None };
            let start = record.seq.max(op.seq);
            let len = (record.seq + record.len).min(op.seq + len) - start;
            Some(Deletion { op: start - op.seq, first: record.target(op.log, start, len), len, backward })
        });
        deletions.collect()
    }
}

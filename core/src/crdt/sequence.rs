//! The sequence that texts and lists are made of: replay of positional operations in the manner of Eg-walker
//! (arXiv 2409.14252) over a tree of runs that is kept alive, with FugueMax order among concurrent insertions
//! (arXiv 2305.00583, integrated by left and right origin with the rule published as YjsMod).
//!
//! An operation's positions count what is visible at its own causal past: the tree keeps, beside the view, a second
//! count at a "prepare version" that is moved there first, at a cost in proportion to what is concurrent. An operation
//! that has seen everything moves nothing. Always holds: whether an operation is valid depends on its causal past alone.
//! Not here: the content of the elements (`text`, `list`).

mod bound;
mod history;
mod lookup;
mod run;
mod tree;

use std::cmp::Ordering;

pub(crate) use self::bound::Bound;
pub use self::bound::Side;
use self::history::{Deed, History};
use self::run::Run;
use self::tree::{Count, Cursor, Tree};
use crate::graph::{Dot, Logs, Past};

/// Elements in an order that all copies agree on.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    tree: Tree,
    history: History,
}

/// Elements of one author that stand and were made one behind the other, and share one fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SettledRun {
    /// The first.
    pub(crate) dot: Dot,
    /// How many.
    pub(crate) len: u32,
    /// Whether they were deleted.
    pub(crate) deleted: bool,
    /// Whether they are kept out of the view although not deleted.
    pub(crate) hidden: bool,
}

impl SettledRun {
    fn goes_on(&self, next: &Self) -> bool {
        self.dot.log == next.dot.log
            && self.dot.seq + self.len == next.dot.seq
            && (self.deleted, self.hidden) == (next.deleted, next.hidden)
    }
}

/// Deleted elements of one stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deleted {
    /// Where they were in the view, `None` if they were not in it.
    pub(crate) view: Option<u32>,
    /// The first of them, in the order of the sequence.
    pub(crate) first: Dot,
    /// How many.
    pub(crate) len: u32,
}

impl Sequence {
    pub(crate) fn new() -> Self {
        Self { tree: Tree::new(), history: History::default() }
    }

    /// A sequence of which everything is seen by whoever comes later, bulk-loaded in order.
    pub(crate) fn settled(runs: &[SettledRun]) -> Self {
        let runs = runs.iter().map(|run| {
            let deletes = u32::from(run.deleted);
            Run {
                dot: run.dot,
                len: run.len,
                left: Dot::NONE,
                right: Dot::NONE,
                prepare: 1 + deletes,
                deletes,
                hidden: run.hidden,
            }
        });
        Self { tree: Tree::from_runs(runs), history: History::default() }
    }

    /// The runs in order, as long as they go on.
    pub(crate) fn settled_runs(&self) -> impl Iterator<Item = SettledRun> {
        let mut runs = self.tree.runs().peekable();
        std::iter::from_fn(move || {
            let settled =
                |run: &Run| SettledRun { dot: run.dot, len: run.len, deleted: run.deletes > 0, hidden: run.hidden };
            let mut run = settled(runs.next()?);
            while let Some(next) = runs.next_if(|next| run.goes_on(&settled(next))) {
                run.len += next.len;
            }
            Some(run)
        })
    }

    /// Number of elements in the view.
    pub(crate) fn len(&self) -> u32 {
        self.tree.total().view
    }

    /// Moves the prepare version to `past`.
    pub(crate) fn prepare(&mut self, past: &Past) {
        for shift in self.history.prepare(past) {
            let (mut dot, mut left) = (shift.first, shift.len);
            while left > 0 {
                let at = self.tree.locate(dot);
                let run = self.tree.run(at).expect("located");
                let len = left.min(run.len - at.offset);
                self.tree
                    .update(at, len, |run| run.prepare = if shift.forward { run.prepare + 1 } else { run.prepare - 1 });
                left -= len;
                if left > 0 {
                    dot = dot.plus(len);
                }
            }
        }
    }

    /// Number of elements at the prepare version.
    pub(crate) fn prepared_len(&self) -> u32 {
        self.tree.total().prepare
    }

    /// Inserts `len` elements before position `pos` of the prepare version. Returns their place in the view, or `None`
    /// if there is no such position.
    pub(crate) fn insert(&mut self, dot: Dot, pos: u32, len: u32, hidden: bool, logs: &Logs) -> Option<u32> {
        if pos > self.prepared_len() {
            return None;
        }
        let (at, left) = match pos {
            0 => (self.tree.start(), Dot::NONE),
            _ => {
                let (at, _) = self.tree.find(Count::Prepare, pos - 1);
                let run = self.tree.run(at).expect("found");
                (Cursor { offset: at.offset + 1, ..at }, run.dot.plus(at.offset))
            }
        };
        let (right, concurrent) = self.right_origin(at);
        let at = if concurrent { self.integrate(at, dot, left, right, logs) } else { at };
        let view = self.tree.before(at).view;
        self.tree.insert(at, Run { dot, len, left, right, prepare: 1, deletes: 0, hidden });
        self.history.record(dot, len, Deed::Insert);
        Some(view)
    }

    /// The first element behind a place that exists at the prepare version, and whether others stand before it.
    fn right_origin(&self, at: Cursor) -> (Dot, bool) {
        let mut concurrent = false;
        let mut next = match self.tree.run(at) {
            Some(run) if at.offset < run.len => Some(at),
            _ => self.tree.next_run(at),
        };
        while let Some(at) = next {
            let run = self.tree.run(at).expect("a place of a run");
            if run.prepare > 0 {
                return (run.dot.plus(at.offset), concurrent);
            }
            concurrent = true;
            next = self.tree.next_run(at);
        }
        (Dot::NONE, concurrent)
    }

    /// Finds the place among concurrent insertions: between them and the right origin, run by run.
    fn integrate(&self, at: Cursor, dot: Dot, left: Dot, right: Dot, logs: &Logs) -> Cursor {
        let (mut place, mut scanning) = (at, false);
        let mut next = match self.tree.run(at) {
            Some(run) if at.offset < run.len => Some(at),
            _ => self.tree.next_run(at),
        };
        while let Some(at) = next {
            let run = self.tree.run(at).expect("a place of a run");
            if run.contains(right) {
                break;
            }
            match self.compare_left(run.left, left) {
                Ordering::Less => break,
                Ordering::Greater => {}
                Ordering::Equal => match self.compare_right(run.right, right) {
                    Ordering::Less => scanning = true,
                    Ordering::Greater => scanning = false,
                    Ordering::Equal => {
                        if logs.replica(dot.log) < logs.replica(run.dot.log) {
                            break;
                        }
                        scanning = false;
                    }
                },
            }
            if !scanning {
                place = Cursor { offset: run.len, ..at };
            }
            next = self.tree.next_run(at);
        }
        place
    }

    fn compare_left(&self, a: Dot, b: Dot) -> Ordering {
        match (a == b, a == Dot::NONE, b == Dot::NONE) {
            (true, ..) => Ordering::Equal,
            (_, true, _) => Ordering::Less,
            (_, _, true) => Ordering::Greater,
            _ => self.tree.compare(a, b),
        }
    }

    fn compare_right(&self, a: Dot, b: Dot) -> Ordering {
        match (a == b, a == Dot::NONE, b == Dot::NONE) {
            (true, ..) => Ordering::Equal,
            (_, true, _) => Ordering::Greater,
            (_, _, true) => Ordering::Less,
            _ => self.tree.compare(a, b),
        }
    }

    /// Whether `len` elements can be deleted at `pos` of the prepare version.
    pub(crate) fn can_delete(&self, pos: u32, len: u32, backward: bool) -> bool {
        let total = self.prepared_len();
        if backward { pos < total && len <= pos + 1 } else { pos <= total && len <= total - pos }
    }

    /// Deletes `len` elements at `pos` of the prepare version (`can_delete`), telling `removed` of each stretch.
    pub(crate) fn delete(&mut self, dot: Dot, pos: u32, len: u32, backward: bool, mut removed: impl FnMut(Deleted)) {
        let mut done = 0;
        while done < len {
            let position = if backward { pos - done } else { pos };
            let (found, before) = self.tree.find(Count::Prepare, position);
            let run = *self.tree.run(found).expect("found");
            let (at, count) = if backward {
                let count = (found.offset + 1).min(len - done);
                (Cursor { offset: found.offset + 1 - count, ..found }, count)
            } else {
                (found, (run.len - found.offset).min(len - done))
            };
            let first = run.dot.plus(at.offset);
            let view = run.is_visible().then(|| before.view - (found.offset - at.offset));
            self.tree.update(at, count, |run| (run.prepare, run.deletes) = (run.prepare + 1, run.deletes + 1));
            let target = if backward { first.plus(count - 1) } else { first };
            self.history.record(dot.plus(done), count, Deed::Delete { target, backward });
            removed(Deleted { view, first, len: count });
            done += count;
        }
    }

    /// Takes one element out of the view or puts it back, without deleting it. Returns its place in the view if that
    /// changed anything.
    pub(crate) fn set_hidden(&mut self, dot: Dot, hidden: bool) -> Option<u32> {
        let at = self.tree.locate(dot);
        let run = *self.tree.run(at).expect("located");
        if run.hidden == hidden {
            return None;
        }
        let view = self.tree.before(at).view;
        self.tree.update(at, 1, |run| run.hidden = hidden);
        (run.deletes == 0).then_some(view)
    }

    /// Whether the element was deleted by any operation that is known.
    pub(crate) fn is_deleted(&self, dot: Dot) -> bool {
        self.tree.run(self.tree.locate(dot)).is_some_and(|run| run.deletes > 0)
    }

    /// The element at a position of the view.
    pub(crate) fn element(&self, view: u32) -> Option<Dot> {
        if view >= self.len() {
            return None;
        }
        let (at, _) = self.tree.find(Count::View, view);
        self.tree.run(at).map(|run| run.dot.plus(at.offset))
    }

    /// The element at a position of the prepare version.
    pub(crate) fn prepared_element(&self, pos: u32) -> Option<Dot> {
        if pos >= self.prepared_len() {
            return None;
        }
        let (at, _) = self.tree.find(Count::Prepare, pos);
        self.tree.run(at).map(|run| run.dot.plus(at.offset))
    }

    /// An element's place in the view, `None` if it is not in it.
    pub(crate) fn view_position(&self, dot: Dot) -> Option<u32> {
        let at = self.tree.locate(dot);
        let visible = self.tree.run(at).is_some_and(Run::is_visible);
        visible.then(|| self.tree.before(at).view)
    }

    /// An element's position at the prepare version.
    pub(crate) fn prepared_position(&self, dot: Dot) -> u32 {
        self.tree.before(self.tree.locate(dot)).prepare
    }

    /// The elements in the view, in order.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Dot> {
        let visible = self.tree.runs().filter(|run| run.is_visible());
        visible.flat_map(|run| (0..run.len).map(|i| run.dot.plus(i)))
    }
}

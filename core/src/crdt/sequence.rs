//! The sequence that texts and lists are made of: replay of positional operations in the manner of Eg-walker
//! (arXiv 2409.14252) over a tree of runs that is kept alive, with FugueMax order among concurrent insertions
//! (arXiv 2305.00583, integrated by left and right origin with the rule published as YjsMod).
//!
//! An operation's positions count what is visible at its own causal past: the tree keeps, beside the view, a second
//! count at a "prepare version" that is moved there first, at a cost in proportion to what is concurrent. An operation
//! that has seen everything moves nothing, and branches that arrive in turns have a tree each (`lane`). Always holds:
//! whether an operation is valid depends on its causal past alone. Not here: the content of the elements (`text`, `list`).

mod bound;
mod history;
mod lane;
mod lookup;
mod run;
#[cfg(test)]
mod tests;
mod tree;

use std::cmp::Ordering;

pub(crate) use self::bound::Bound;
pub use self::bound::Side;
use self::history::{Deed, History};
use self::lane::Lane;
use self::run::{Change, Run, Sums};
use self::tree::{Cursor, Tree};
use crate::graph::{Dot, Logs, Past};

/// Elements in an order that all copies agree on.
#[derive(Clone, Debug)]
pub(crate) struct Sequence {
    tree: Tree,
    history: History,
    lanes: Vec<Lane>,
    /// Records moved since a lane was opened, as far as they were many at once.
    moved: usize,
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
    /// The elements.
    pub(crate) fn dots(&self) -> impl Iterator<Item = Dot> + use<> {
        let first = self.dot;
        (0..self.len).map(move |i| first.plus(i))
    }

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
        Self { tree: Tree::new(), history: History::default(), lanes: Vec::new(), moved: 0 }
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
                gone: 2 * deletes + u32::from(run.hidden),
            }
        });
        Self { tree: Tree::from_runs(&runs.collect::<Vec<Run>>()), ..Self::new() }
    }

    /// The runs in order, as long as they go on.
    pub(crate) fn settled_runs(&self) -> impl Iterator<Item = SettledRun> {
        let mut runs = self.tree.runs().peekable();
        std::iter::from_fn(move || {
            let settled = |run: &Run| SettledRun {
                dot: run.dot,
                len: run.len,
                deleted: run.is_deleted(),
                hidden: run.is_hidden(),
            };
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
        if self.history.is_at(past) {
            return;
        }
        self.choose_lane(past);
        let Self { tree, history, .. } = self;
        history.prepare(past, |shift, near| {
            let by = Change { prepare: if shift.forward { 1 } else { -1 }, gone: 0 };
            lane::change(tree, shift.first, shift.len, by, near);
        });
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
        let (at, left, view) = match pos {
            0 => (Cursor::START, Dot::NONE, 0),
            _ => {
                let found = self.tree.find_prepared(pos - 1);
                self.behind(found)
            }
        };
        let next = self.tree.behind(at);
        let end = match next {
            Some(next) if !self.is_inserted(next) => self.tree.next_inserted(next),
            next => next,
        };
        let right = self.dot(end);
        let (at, view) = if end == next {
            (at, view)
        } else {
            let child = end.and_then(|end| self.before_child(end, left));
            child.unwrap_or_else(|| self.integrate((at, view), end, dot, left, right, logs))
        };
        let before = Sums { prepare: pos, view, inserted: 0 };
        self.put(at, Some(before), Run { dot, len, left, right, prepare: 1, gone: u32::from(hidden) });
        Some(view)
    }

    /// Inserts `len` elements before position `pos` of the view, for operations that have seen everything; `counted`
    /// tells whether they count at the prepare version.
    pub(crate) fn insert_seen(&mut self, dot: Dot, pos: u32, len: u32, counted: bool) {
        let (at, left, _) = match pos {
            0 => (Cursor::START, Dot::NONE, 0),
            _ => self.behind((self.tree.find_view(pos - 1), pos - 1)),
        };
        let right = self.dot(self.tree.behind(at));
        self.put(at, None, Run { dot, len, left, right, prepare: u32::from(counted), gone: 0 });
    }

    /// The place behind an element with its place in the view, the element itself, and its successor's place in the view.
    fn behind(&self, (at, view): (Cursor, u32)) -> (Cursor, Dot, u32) {
        let run = self.tree.run(at).expect("found");
        let place = Cursor { offset: at.offset + 1, ..at };
        (place, run.dot.plus(at.offset), view + u32::from(run.is_visible()))
    }

    fn put(&mut self, at: Cursor, before: Option<Sums>, run: Run) {
        if !self.lanes.is_empty() {
            self.insert_in_lanes(self.tree.element_before(at), run);
        }
        let near = self.tree.insert(at, before, run);
        self.history.record(run.dot, run.len, Deed::Insert, run.is_inserted(), near);
    }

    fn is_inserted(&self, at: Cursor) -> bool {
        self.tree.run(at).is_some_and(Run::is_inserted)
    }

    /// The element behind a place, `NONE` at the end.
    fn dot(&self, at: Option<Cursor>) -> Dot {
        at.and_then(|at| Some(self.tree.run(at)?.dot.plus(at.offset))).unwrap_or(Dot::NONE)
    }

    /// The place right before the right origin, if it is there that an element belongs. If both have the same left origin,
    /// the right origin is the element's parent in the tree of Fugue; if moreover nothing of what stands right before has
    /// the same right origin, the element is its only left child. Without this, whoever types backwards beside somebody
    /// else's insertions would walk over all of them for every character.
    fn before_child(&self, right: Cursor, left: Dot) -> Option<(Cursor, u32)> {
        let parent = self.tree.run(right)?;
        let place = self.tree.end_before(right)?;
        let only = parent.left == left && self.tree.run(place)?.right != parent.dot;
        only.then(|| (place, self.tree.before(place).view))
    }

    /// Finds the place among concurrent insertions: between them and the right origin at `end`, run by run. Returns it
    /// with what is before it in the view.
    fn integrate(
        &self,
        start: (Cursor, u32),
        end: Option<Cursor>,
        dot: Dot,
        left: Dot,
        right: Dot,
        logs: &Logs,
    ) -> (Cursor, u32) {
        let (mut place, mut scanning) = (start, false);
        let (mut next, mut view) = (self.tree.behind(start.0), start.1);
        while let Some(at) = next.filter(|_| next != end) {
            let run = self.tree.run(at).expect("a place of a run");
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
            view += run.sums().view;
            if !scanning {
                place = (Cursor { offset: run.len, ..at }, view);
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
            let found = self.tree.find_prepared(if backward { pos - done } else { pos });
            let deleted = self.delete_at(dot.plus(done), found, len - done, backward, true);
            done += deleted.len;
            removed(deleted);
        }
    }

    /// Deletes `len` elements at `pos` of the view, for operations that have seen everything; `counted` tells whether
    /// they count at the prepare version.
    pub(crate) fn delete_seen(&mut self, dot: Dot, pos: u32, len: u32, backward: bool, counted: bool) {
        let mut done = 0;
        while done < len {
            let view = if backward { pos - done } else { pos };
            let found = (self.tree.find_view(view), view);
            done += self.delete_at(dot.plus(done), found, len - done, backward, counted).len;
        }
    }

    /// Deletes up to `len` elements of one run, from an element on whose place in the view comes with it.
    fn delete_at(
        &mut self,
        dot: Dot,
        (found, view): (Cursor, u32),
        len: u32,
        backward: bool,
        counted: bool,
    ) -> Deleted {
        let run = *self.tree.run(found).expect("found");
        let len = len.min(if backward { found.offset + 1 } else { run.len - found.offset });
        let at = if backward { Cursor { offset: found.offset + 1 - len, ..found } } else { found };
        let first = run.dot.plus(at.offset);
        let near = self.tree.update(at, len, Change { prepare: i32::from(counted), gone: 2 });
        if !self.lanes.is_empty() {
            self.change_in_lanes(first, len, 2);
        }
        let target = if backward { first.plus(len - 1) } else { first };
        self.history.record(dot, len, Deed::Delete { target, backward }, counted, near);
        let view = run.is_visible().then(|| view - (found.offset - at.offset));
        Deleted { view, first, len }
    }

    /// Takes one element out of the view or puts it back, without deleting it. Returns its place in the view if that
    /// changed anything.
    pub(crate) fn set_hidden(&mut self, dot: Dot, hidden: bool) -> Option<u32> {
        let at = self.tree.locate(dot);
        let run = *self.tree.run(at).expect("located");
        if run.is_hidden() == hidden {
            return None;
        }
        let view = self.tree.before(at).view;
        let gone = if hidden { 1 } else { -1 };
        self.tree.update(at, 1, Change { prepare: 0, gone });
        self.change_in_lanes(dot, 1, gone);
        (!run.is_deleted()).then_some(view)
    }

    /// Whether the element was deleted by any operation that is known.
    pub(crate) fn is_deleted(&self, dot: Dot) -> bool {
        self.tree.run(self.tree.locate(dot)).is_some_and(Run::is_deleted)
    }

    /// The element at a position of the view.
    pub(crate) fn element(&self, view: u32) -> Option<Dot> {
        if view >= self.len() {
            return None;
        }
        Some(self.dot(Some(self.tree.find_view(view))))
    }

    /// The element at a position of the prepare version.
    pub(crate) fn prepared_element(&self, pos: u32) -> Option<Dot> {
        if pos >= self.prepared_len() {
            return None;
        }
        Some(self.dot(Some(self.tree.prepared(pos))))
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

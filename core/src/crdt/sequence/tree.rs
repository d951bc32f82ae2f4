//! The B-tree of runs, in an arena: found by position (at the prepare version or in the view) and by element.
//!
//! Always holds: every node's sums equal those of the runs below it; `homes` names the leaf of every run by its first
//! element; runs are never removed, only split and joined. All single steps cost O(log n).

use std::cmp::Ordering;

use super::run::{Run, Sums};
use crate::graph::Dot;
use crate::ordered::OrdMap;

const LEAF_MAX: usize = 32;
const NODE_MAX: usize = 16;
const NO_PARENT: u32 = u32::MAX;

/// A place between two elements: behind the first `offset` elements of run `index` of `leaf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) leaf: u32,
    pub(super) index: usize,
    pub(super) offset: u32,
}

#[derive(Clone, Debug)]
struct Leaf {
    runs: Vec<Run>,
    parent: u32,
    next: Option<u32>,
}

#[derive(Clone, Debug)]
struct Node {
    /// Leaves on the lowest level, nodes above.
    children: Vec<(u32, Sums)>,
    parent: u32,
    over_leaves: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    leaves: Vec<Leaf>,
    nodes: Vec<Node>,
    root: u32,
    homes: OrdMap<Dot, u32>,
    total: Sums,
}

/// Which of the two counts a position means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Prepare,
    View,
}

impl Count {
    fn of(self, sums: Sums) -> u32 {
        match self {
            Self::Prepare => sums.prepare,
            Self::View => sums.view,
        }
    }
}

impl Tree {
    pub(super) fn new() -> Self {
        Self {
            leaves: vec![Leaf { runs: Vec::new(), parent: 0, next: None }],
            nodes: vec![Node { children: vec![(0, Sums::default())], parent: NO_PARENT, over_leaves: true }],
            root: 0,
            homes: OrdMap::new(),
            total: Sums::default(),
        }
    }

    /// Runs in order.
    pub(super) fn from_runs(runs: impl Iterator<Item = Run>) -> Self {
        let mut tree = Self::new();
        let mut leaf = 0;
        for run in runs {
            tree.bump(leaf, run.sums());
            let index = tree.leaves[leaf as usize].runs.len();
            (leaf, _) = tree.insert_in_leaf(leaf, index, run);
        }
        tree
    }

    pub(super) fn total(&self) -> Sums {
        self.total
    }

    pub(super) fn start(&self) -> Cursor {
        Cursor { leaf: 0, index: 0, offset: 0 }
    }

    pub(super) fn run(&self, at: Cursor) -> Option<&Run> {
        self.leaves[at.leaf as usize].runs.get(at.index)
    }

    /// The element at `position`, with the sums of everything before it. The position must exist.
    pub(super) fn find(&self, count: Count, position: u32) -> (Cursor, Sums) {
        let (mut id, mut left, mut before) = (self.root, position, Sums::default());
        loop {
            let node = &self.nodes[id as usize];
            let mut chosen = None;
            for (child, sums) in &node.children {
                if left < count.of(*sums) {
                    chosen = Some(*child);
                    break;
                }
                left -= count.of(*sums);
                before.add(*sums);
            }
            let child = chosen.expect("the position exists");
            if !node.over_leaves {
                id = child;
                continue;
            }
            for (index, run) in self.leaves[child as usize].runs.iter().enumerate() {
                let sums = run.sums();
                if left < count.of(sums) {
                    let part = |whole: u32| if whole > 0 { left } else { 0 };
                    before.add(Sums { prepare: part(sums.prepare), view: part(sums.view) });
                    return (Cursor { leaf: child, index, offset: left }, before);
                }
                left -= count.of(sums);
                before.add(sums);
            }
            unreachable!("the sums of a node equal those of its runs");
        }
    }

    /// The place of an element.
    pub(super) fn locate(&self, dot: Dot) -> Cursor {
        self.place_of(dot).expect("the element exists")
    }

    /// The place of an element, `None` if there never was one of this name.
    pub(super) fn place_of(&self, dot: Dot) -> Option<Cursor> {
        let leaf = *self.homes.range(..=dot).next_back()?.1;
        let runs = &self.leaves[leaf as usize].runs;
        let index = runs.iter().position(|run| run.contains(dot))?;
        Some(Cursor { leaf, index, offset: dot.seq - runs[index].dot.seq })
    }

    /// The sums of everything before a place.
    pub(super) fn before(&self, at: Cursor) -> Sums {
        let mut before = Sums::default();
        let runs = &self.leaves[at.leaf as usize].runs;
        runs[..at.index].iter().for_each(|run| before.add(run.sums()));
        if let Some(run) = runs.get(at.index) {
            let sums = run.sums();
            before.add(Sums { prepare: sums.prepare.min(at.offset), view: sums.view.min(at.offset) });
        }
        let (mut child, mut parent) = (at.leaf, self.leaves[at.leaf as usize].parent);
        while parent != NO_PARENT {
            let node = &self.nodes[parent as usize];
            node.children.iter().take_while(|(id, _)| *id != child).for_each(|(_, sums)| before.add(*sums));
            (child, parent) = (parent, node.parent);
        }
        before
    }

    /// The run behind a place, and the place of its beginning. A place at a run's end moves to the next run.
    pub(super) fn next_run(&self, at: Cursor) -> Option<Cursor> {
        let leaf = &self.leaves[at.leaf as usize];
        if at.index + 1 < leaf.runs.len() {
            return Some(Cursor { leaf: at.leaf, index: at.index + 1, offset: 0 });
        }
        let mut next = leaf.next;
        while let Some(id) = next {
            if !self.leaves[id as usize].runs.is_empty() {
                return Some(Cursor { leaf: id, index: 0, offset: 0 });
            }
            next = self.leaves[id as usize].next;
        }
        None
    }

    /// The order of two elements in the sequence.
    pub(super) fn compare(&self, a: Dot, b: Dot) -> Ordering {
        let (a, b) = (self.locate(a), self.locate(b));
        if a.leaf == b.leaf {
            return (a.index, a.offset).cmp(&(b.index, b.offset));
        }
        self.path(a.leaf).cmp(&self.path(b.leaf))
    }

    /// Child indices from the root down to a leaf.
    fn path(&self, leaf: u32) -> smallvec::SmallVec<[usize; 8]> {
        let mut path = smallvec::SmallVec::new();
        let (mut child, mut parent) = (leaf, self.leaves[leaf as usize].parent);
        while parent != NO_PARENT {
            let node = &self.nodes[parent as usize];
            path.push(node.children.iter().position(|(id, _)| *id == child).expect("a child of its parent"));
            (child, parent) = (parent, node.parent);
        }
        path.reverse();
        path
    }

    /// Inserts a run at a place, joining it with the run before where it goes on with that.
    pub(super) fn insert(&mut self, at: Cursor, run: Run) {
        let added = run.sums();
        let runs = &mut self.leaves[at.leaf as usize].runs;
        let at_end = runs.get(at.index).is_none_or(|before| at.offset == before.len);
        if at_end && let Some(before) = runs.get_mut(at.index).filter(|before| before.joins(&run)) {
            before.len += run.len;
            self.bump(at.leaf, added);
            return;
        }
        let at = self.make_boundary(at);
        self.bump(at.leaf, added);
        self.insert_in_leaf(at.leaf, at.index, run);
    }

    /// Changes the fate of elements `at.offset .. at.offset + len` of a run by `change`.
    pub(super) fn update(&mut self, at: Cursor, len: u32, change: impl FnOnce(&mut Run)) {
        let start = self.make_boundary(at);
        let whole = self.leaves[start.leaf as usize].runs[start.index].len == len;
        let start = if whole {
            start
        } else {
            let end = self.make_boundary(Cursor { offset: len, ..start });
            if end.index > 0 { Cursor { leaf: end.leaf, index: end.index - 1, offset: 0 } } else { start }
        };
        let run = &mut self.leaves[start.leaf as usize].runs[start.index];
        debug_assert_eq!(run.len, len);
        let before = run.sums();
        change(run);
        let difference = run.sums().minus(before);
        self.bump(start.leaf, difference);
        self.join_around(start.leaf, start.index);
    }

    /// Splits a run at a place if need be; returns the place as a boundary: run `index` begins there.
    fn make_boundary(&mut self, at: Cursor) -> Cursor {
        let runs = &mut self.leaves[at.leaf as usize].runs;
        match runs.get_mut(at.index) {
            Some(run) if at.offset > 0 && at.offset < run.len => {
                let tail = run.split(at.offset);
                let (leaf, index) = self.insert_in_leaf(at.leaf, at.index + 1, tail);
                Cursor { leaf, index, offset: 0 }
            }
            Some(run) if at.offset > 0 && at.offset == run.len => Cursor { index: at.index + 1, offset: 0, ..at },
            _ => at,
        }
    }

    /// Puts a run into a leaf (whose sums already count it), splitting the leaf if it is full.
    fn insert_in_leaf(&mut self, leaf: u32, index: usize, run: Run) -> (u32, usize) {
        self.homes.insert(run.dot, leaf);
        self.leaves[leaf as usize].runs.insert(index, run);
        if self.leaves[leaf as usize].runs.len() <= LEAF_MAX {
            return (leaf, index);
        }
        let right = self.split_leaf(leaf);
        let kept = self.leaves[leaf as usize].runs.len();
        if index < kept { (leaf, index) } else { (right, index - kept) }
    }

    fn split_leaf(&mut self, left: u32) -> u32 {
        let right = self.leaves.len() as u32;
        let leaf = &mut self.leaves[left as usize];
        // Typing goes on at the end: leave the left leaf nearly full there.
        let keep = if leaf.next.is_none() { LEAF_MAX - 2 } else { LEAF_MAX / 2 };
        let runs = leaf.runs.split_off(keep);
        let (parent, next) = (leaf.parent, leaf.next.replace(right));
        let mut sums = Sums::default();
        for run in &runs {
            sums.add(run.sums());
            self.homes.insert(run.dot, right);
        }
        self.leaves.push(Leaf { runs, parent, next });
        self.add_child(parent, left, right, sums);
        right
    }

    /// Adds `right`, whose sums were part of its left neighbour's, behind `left`.
    fn add_child(&mut self, parent: u32, left: u32, right: u32, sums: Sums) {
        let node = &mut self.nodes[parent as usize];
        let index = node.children.iter().position(|(id, _)| *id == left).expect("a child of its parent");
        node.children[index].1 = node.children[index].1.minus(sums);
        node.children.insert(index + 1, (right, sums));
        if node.children.len() > NODE_MAX {
            self.split_node(parent);
        }
    }

    fn split_node(&mut self, left: u32) {
        let right = self.nodes.len() as u32;
        let node = &mut self.nodes[left as usize];
        let children = node.children.split_off(NODE_MAX / 2);
        let (mut parent, over_leaves) = (node.parent, node.over_leaves);
        let mut sums = Sums::default();
        for (child, child_sums) in &children {
            sums.add(*child_sums);
            if over_leaves {
                self.leaves[*child as usize].parent = right;
            } else {
                self.nodes[*child as usize].parent = right;
            }
        }
        if parent == NO_PARENT {
            parent = right + 1;
            self.nodes.push(Node { children, parent, over_leaves });
            let total = self.total;
            self.nodes.push(Node { children: vec![(left, total)], parent: NO_PARENT, over_leaves: false });
            self.nodes[left as usize].parent = parent;
            self.root = parent;
        } else {
            self.nodes.push(Node { children, parent, over_leaves });
        }
        self.add_child(parent, left, right, sums);
    }

    /// Joins run `index` of a leaf with its neighbours in the leaf.
    fn join_around(&mut self, leaf: u32, index: usize) {
        let runs = &mut self.leaves[leaf as usize].runs;
        for first in [Some(index), index.checked_sub(1)].into_iter().flatten() {
            if first + 1 < runs.len() && runs[first].joins(&runs[first + 1]) {
                let next = runs.remove(first + 1);
                runs[first].len += next.len;
                self.homes.remove(&next.dot);
            }
        }
    }

    /// Adds a difference to the sums of all nodes above a leaf.
    fn bump(&mut self, leaf: u32, difference: Sums) {
        if difference == Sums::default() {
            return;
        }
        self.total.add(difference);
        let (mut child, mut parent) = (leaf, self.leaves[leaf as usize].parent);
        while parent != NO_PARENT {
            let node = &mut self.nodes[parent as usize];
            let entry = node.children.iter_mut().find(|(id, _)| *id == child);
            entry.expect("a child of its parent").1.add(difference);
            (child, parent) = (parent, node.parent);
        }
    }

    /// All runs in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let leaf = &self.leaves[next? as usize];
            next = leaf.next;
            Some(leaf.runs.iter())
        })
        .flatten()
    }
}

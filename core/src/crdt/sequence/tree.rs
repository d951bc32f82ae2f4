//! The B-tree of runs, in an arena: how it changes.
//!
//! Always holds: every node's sums equal those of the runs below it; every leaf and node knows its parent and its number
//! there; runs are never removed, only split and joined. All single steps cost O(log n). Not here: how a place is found
//! (`find`), the leaf of an element (`homes`), and how a whole tree is made at once (`bulk`).

mod bulk;
mod find;
mod homes;

use self::homes::Homes;
use super::run::{Change, Run, Sums};

/// Most runs of a leaf, and children of a node: with one more, just before it is split, their memory is a power of two.
const LEAF_MAX: usize = 31;
const NODE_MAX: usize = 15;
const NO_PARENT: u32 = u32::MAX;

/// A place between two elements: behind the first `offset` elements of run `index` of `leaf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) leaf: u32,
    pub(super) index: u32,
    pub(super) offset: u32,
}

impl Cursor {
    /// Where the sequence begins.
    pub(super) const START: Self = Self { leaf: 0, index: 0, offset: 0 };

    fn run(leaf: u32, index: usize) -> Self {
        Self { leaf, index: index as u32, offset: 0 }
    }

    fn is_same_run(self, other: Self) -> bool {
        (self.leaf, self.index) == (other.leaf, other.index)
    }
}

/// Where a leaf or a node hangs.
#[derive(Clone, Copy, Debug)]
struct Link {
    parent: u32,
    slot: u32,
}

#[derive(Clone, Debug)]
struct Leaf {
    runs: Vec<Run>,
    link: Link,
    next: Option<u32>,
}

/// A leaf on the lowest level, a node above.
#[derive(Clone, Copy, Debug)]
struct Child {
    id: u32,
    sums: Sums,
}

#[derive(Clone, Debug)]
struct Node {
    children: Vec<Child>,
    link: Link,
    over_leaves: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Tree {
    leaves: Vec<Leaf>,
    nodes: Vec<Node>,
    root: u32,
    homes: Homes,
    total: Sums,
    /// The run of the last edit or search, with the sums of everything before it: most edits go on where the last one was.
    recent: Option<(Cursor, Sums)>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Link { parent: NO_PARENT, slot: 0 };
        let children = vec![Child { id: 0, sums: Sums::default() }];
        Self {
            leaves: vec![Leaf { runs: Vec::new(), link: Link { parent: 0, slot: 0 }, next: None }],
            nodes: vec![Node { children, link: root, over_leaves: true }],
            root: 0,
            homes: Homes::default(),
            total: Sums::default(),
            recent: None,
        }
    }

    pub(super) fn total(&self) -> Sums {
        self.total
    }

    /// Number of runs, roughly: what a copy costs.
    pub(super) fn size(&self) -> usize {
        self.leaves.len() * LEAF_MAX
    }

    pub(super) fn run(&self, at: Cursor) -> Option<&Run> {
        self.leaves[at.leaf as usize].runs.get(at.index as usize)
    }

    /// Inserts a run at a place (`before` are the sums of everything before, if known), joining it with the run before
    /// where it goes on with that. Returns where it is.
    pub(super) fn insert(&mut self, at: Cursor, before: Option<Sums>, run: Run) -> Cursor {
        let added = run.sums();
        let runs = &mut self.leaves[at.leaf as usize].runs;
        if let Some(last) = runs.get_mut(at.index as usize)
            && at.offset == last.len
            && last.joins(&run)
        {
            last.len += run.len;
            self.recent = self.recent.filter(|(recent, _)| recent.is_same_run(at));
            self.bump(at.leaf, added);
            return at;
        }
        let at = self.make_boundary(at);
        self.bump(at.leaf, added);
        let at = self.insert_in_leaf(at, run);
        self.homes.insert(run.dot, at.leaf);
        self.recent = before.map(|before| (at, before));
        at
    }

    /// Changes the fate of elements `at.offset .. at.offset + len` of a run. Returns where they are then.
    pub(super) fn update(&mut self, at: Cursor, len: u32, by: Change) -> Cursor {
        let unmoved = self.recent.filter(|(recent, _)| recent.is_same_run(at) && at.offset > 0);
        let leaves = self.leaves.len();
        let mut at = self.make_boundary(at);
        if self.leaves[at.leaf as usize].runs[at.index as usize].len > len {
            let end = self.make_boundary(Cursor { offset: len, ..at });
            if end.index > 0 {
                at = Cursor { leaf: end.leaf, index: end.index - 1, offset: 0 };
            }
        }
        let run = &mut self.leaves[at.leaf as usize].runs[at.index as usize];
        debug_assert_eq!(run.len, len);
        let before = run.sums();
        run.change(by);
        let difference = run.sums().minus(before);
        self.bump(at.leaf, difference);
        self.recent = unmoved.filter(|_| self.leaves.len() == leaves);
        self.join_around(at)
    }

    /// Splits a run at a place if need be; returns the place as a boundary: run `index` begins there.
    fn make_boundary(&mut self, at: Cursor) -> Cursor {
        let next = Cursor { index: at.index + 1, offset: 0, ..at };
        match self.leaves[at.leaf as usize].runs.get_mut(at.index as usize) {
            Some(run) if at.offset > 0 && at.offset < run.len => {
                let tail = run.split(at.offset);
                self.insert_in_leaf(next, tail)
            }
            Some(run) if at.offset > 0 && at.offset == run.len => next,
            _ => at,
        }
    }

    /// Puts a run before another (the sums count it already), splitting the leaf if it is full. Returns where it is.
    fn insert_in_leaf(&mut self, at: Cursor, run: Run) -> Cursor {
        let runs = &mut self.leaves[at.leaf as usize].runs;
        runs.insert(at.index as usize, run);
        if runs.len() <= LEAF_MAX {
            return at;
        }
        let right = self.split_leaf(at.leaf, run);
        let kept = self.leaves[at.leaf as usize].runs.len() as u32;
        if at.index < kept { at } else { Cursor { leaf: right, index: at.index - kept, ..at } }
    }

    fn split_leaf(&mut self, left: u32, added: Run) -> u32 {
        let right = self.leaves.len() as u32;
        let leaf = &mut self.leaves[left as usize];
        // Typing goes on at the end: leave the left leaf nearly full there.
        let at_end = leaf.next.is_none() && leaf.runs.last().is_some_and(|last| last.dot == added.dot);
        let keep = if at_end { LEAF_MAX - 2 } else { LEAF_MAX / 2 };
        let runs = leaf.runs.split_off(keep);
        let (link, next) = (leaf.link, leaf.next.replace(right));
        let mut sums = Sums::default();
        runs.iter().for_each(|run| sums.add(run.sums()));
        self.homes.part(&leaf.runs, left, &runs, right);
        self.leaves.push(Leaf { runs, link, next });
        self.add_child(link, right, sums);
        right
    }

    /// Hangs up `id`, whose sums were part of its left neighbour's at `link`, behind that neighbour.
    fn add_child(&mut self, link: Link, id: u32, sums: Sums) {
        let slot = link.slot as usize;
        let node = &mut self.nodes[link.parent as usize];
        node.children[slot].sums = node.children[slot].sums.minus(sums);
        node.children.insert(slot + 1, Child { id, sums });
        let full = node.children.len() > NODE_MAX;
        self.number_children(link.parent, slot + 1);
        if full {
            self.split_node(link.parent);
        }
    }

    /// Tells the children of a node, from number `from` on, where they hang.
    fn number_children(&mut self, parent: u32, from: usize) {
        let node = &self.nodes[parent as usize];
        let over_leaves = node.over_leaves;
        for slot in from..node.children.len() {
            let link = Link { parent, slot: slot as u32 };
            let id = self.nodes[parent as usize].children[slot].id as usize;
            if over_leaves {
                self.leaves[id].link = link;
            } else {
                self.nodes[id].link = link;
            }
        }
    }

    fn split_node(&mut self, left: u32) {
        let right = self.nodes.len() as u32;
        let node = &mut self.nodes[left as usize];
        let (mut link, over_leaves) = (node.link, node.over_leaves);
        let children = node.children.split_off(NODE_MAX / 2);
        let mut sums = Sums::default();
        children.iter().for_each(|child| sums.add(child.sums));
        self.nodes.push(Node { children, link, over_leaves });
        self.number_children(right, 0);
        if link.parent == NO_PARENT {
            self.root = right + 1;
            let children = vec![Child { id: left, sums: self.total }];
            self.nodes.push(Node { children, link, over_leaves: false });
            link = Link { parent: self.root, slot: 0 };
            self.nodes[left as usize].link = link;
        }
        self.add_child(link, right, sums);
    }

    /// Joins a run with its neighbours in the leaf. Returns where its elements are then.
    fn join_around(&mut self, at: Cursor) -> Cursor {
        let runs = &mut self.leaves[at.leaf as usize].runs;
        let index = at.index as usize;
        if index + 1 < runs.len() && runs[index].joins(&runs[index + 1]) {
            runs[index].len += runs.remove(index + 1).len;
        }
        if index > 0 && runs[index - 1].joins(&runs[index]) {
            let offset = runs[index - 1].len;
            runs[index - 1].len += runs.remove(index).len;
            return Cursor { leaf: at.leaf, index: at.index - 1, offset };
        }
        at
    }

    /// Adds a difference to the sums of all nodes above a leaf.
    fn bump(&mut self, leaf: u32, difference: Sums) {
        self.total.add(difference);
        let mut link = self.leaves[leaf as usize].link;
        while link.parent != NO_PARENT {
            let node = &mut self.nodes[link.parent as usize];
            node.children[link.slot as usize].sums.add(difference);
            link = node.link;
        }
    }
}

#[cfg(test)]
impl Tree {
    /// Checks what the tree promises.
    pub(super) fn check(&self) {
        let mut total = Sums::default();
        for (id, leaf) in (0..).zip(&self.leaves) {
            let mut sums = Sums::default();
            for run in &leaf.runs {
                sums.add(run.sums());
                (0..run.len).for_each(|i| assert_eq!(self.homes.of(run.dot.plus(i)), Some(id)));
            }
            total.add(sums);
            self.check_link(leaf.link, id, sums);
        }
        assert_eq!(self.total, total);
        for (id, node) in (0..).zip(&self.nodes).filter(|(id, _)| *id != self.root) {
            let mut sums = Sums::default();
            node.children.iter().for_each(|child| sums.add(child.sums));
            self.check_link(node.link, id, sums);
        }
    }

    fn check_link(&self, link: Link, id: u32, sums: Sums) {
        let child = self.nodes[link.parent as usize].children[link.slot as usize];
        assert_eq!((child.id, child.sums), (id, sums));
    }
}

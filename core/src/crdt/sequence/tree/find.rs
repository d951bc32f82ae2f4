//! Finding places in the tree of runs: by position (at the prepare version or in the view), by element, by order.

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::super::run::{Run, Sums};
use super::{Cursor, NO_PARENT, Tree};
use crate::graph::Dot;

impl Tree {
    /// The element at a position of the prepare version, which must exist, and how much of the view is before it.
    pub(in super::super) fn find_prepared(&mut self, position: u32) -> (Cursor, u32) {
        let (at, before) = self.find_near(position, |sums| sums.prepare);
        let visible = self.run(at).is_some_and(Run::is_visible);
        (at, before.view + if visible { at.offset } else { 0 })
    }

    /// The element at a position of the prepare version, which must exist.
    pub(in super::super) fn prepared(&self, position: u32) -> Cursor {
        self.find(position, |sums| sums.prepare).0
    }

    /// The element at a position of the view, which must exist.
    pub(in super::super) fn find_view(&self, position: u32) -> Cursor {
        self.find(position, |sums| sums.view).0
    }

    /// Looks at the run of the last edit or search first.
    #[inline(always)]
    fn find_near(&mut self, position: u32, count: impl Fn(&Sums) -> u32) -> (Cursor, Sums) {
        if let Some((at, before)) = self.recent
            && let Some(run) = self.run(at)
            && let Some(offset) = position.checked_sub(count(&before))
            && offset < count(&run.sums())
        {
            return (Cursor { offset, ..at }, before);
        }
        let (at, before) = self.find(position, count);
        self.recent = Some((Cursor { offset: 0, ..at }, before));
        (at, before)
    }

    /// The element at a position of one count, with the sums of everything before its run.
    #[inline(always)]
    fn find(&self, position: u32, count: impl Fn(&Sums) -> u32) -> (Cursor, Sums) {
        let (mut id, mut before) = (self.root, Sums::default());
        loop {
            let node = &self.nodes[id as usize];
            let mut next = u32::MAX;
            for child in &node.children {
                if position < count(&before) + count(&child.sums) {
                    next = child.id;
                    break;
                }
                before.add(child.sums);
            }
            if !node.over_leaves {
                id = next;
                continue;
            }
            for (index, run) in self.leaves[next as usize].runs.iter().enumerate() {
                let sums = run.sums();
                if position < count(&before) + count(&sums) {
                    let offset = position - count(&before);
                    return (Cursor { offset, ..Cursor::run(next, index) }, before);
                }
                before.add(sums);
            }
            unreachable!("the sums of a node equal those of its runs");
        }
    }

    /// The place of an element.
    pub(in super::super) fn locate(&self, dot: Dot) -> Cursor {
        self.place_of(dot).expect("the element exists")
    }

    /// The place of an element, `None` if there never was one of this name.
    pub(in super::super) fn place_of(&self, dot: Dot) -> Option<Cursor> {
        self.locate_in(self.homes.of(dot)?, dot)
    }

    /// The place of an element that is probably at or around another place.
    pub(in super::super) fn locate_near(&self, near: Cursor, dot: Dot) -> Cursor {
        match self.run(near) {
            Some(run) if run.contains(dot) => Cursor { offset: dot.seq - run.dot.seq, ..near },
            _ => self.locate_in(near.leaf, dot).unwrap_or_else(|| self.locate(dot)),
        }
    }

    fn locate_in(&self, leaf: u32, dot: Dot) -> Option<Cursor> {
        let runs = &self.leaves[leaf as usize].runs;
        let index = runs.iter().position(|run| run.contains(dot))?;
        Some(Cursor { offset: dot.seq - runs[index].dot.seq, ..Cursor::run(leaf, index) })
    }

    /// The sums of everything before a place.
    pub(in super::super) fn before(&self, at: Cursor) -> Sums {
        let mut before = Sums::default();
        let leaf = &self.leaves[at.leaf as usize];
        leaf.runs[..at.index as usize].iter().for_each(|run| before.add(run.sums()));
        if let Some(run) = leaf.runs.get(at.index as usize) {
            before.add(Run { len: at.offset, ..*run }.sums());
        }
        let mut link = leaf.link;
        while link.parent != NO_PARENT {
            let node = &self.nodes[link.parent as usize];
            node.children[..link.slot as usize].iter().for_each(|child| before.add(child.sums));
            link = node.link;
        }
        before
    }

    /// The element right behind a place.
    pub(in super::super) fn behind(&self, at: Cursor) -> Option<Cursor> {
        match self.run(at) {
            Some(run) if at.offset < run.len => Some(at),
            _ => self.next_run(at),
        }
    }

    /// The beginning of the run behind the one of a place.
    pub(in super::super) fn next_run(&self, at: Cursor) -> Option<Cursor> {
        let leaf = &self.leaves[at.leaf as usize];
        let next = at.index as usize + 1;
        if next < leaf.runs.len() { Some(Cursor::run(at.leaf, next)) } else { Some(Cursor::run(leaf.next?, 0)) }
    }

    /// The element right before a place, `NONE` at the beginning.
    pub(in super::super) fn element_before(&self, at: Cursor) -> Dot {
        match self.run(at) {
            Some(run) if at.offset > 0 => run.dot.plus(at.offset - 1),
            _ => self.end_before(at).and_then(|end| self.run(end)).map_or(Dot::NONE, Run::last),
        }
    }

    /// The end of the run before the one of a place.
    pub(in super::super) fn end_before(&self, at: Cursor) -> Option<Cursor> {
        let end_of = |leaf: u32, index: usize| {
            let len = self.leaves[leaf as usize].runs[index].len;
            Cursor { offset: len, ..Cursor::run(leaf, index) }
        };
        if let Some(index) = at.index.checked_sub(1) {
            return Some(end_of(at.leaf, index as usize));
        }
        let mut link = self.leaves[at.leaf as usize].link;
        while link.slot == 0 {
            (link.parent != NO_PARENT).then_some(())?;
            link = self.nodes[link.parent as usize].link;
        }
        let node = &self.nodes[link.parent as usize];
        let (mut id, mut over_leaves) = (node.children[link.slot as usize - 1].id, node.over_leaves);
        while !over_leaves {
            let node = &self.nodes[id as usize];
            (id, over_leaves) = (node.children[node.children.len() - 1].id, node.over_leaves);
        }
        Some(end_of(id, self.leaves[id as usize].runs.len() - 1))
    }

    /// The first run at or behind a place whose elements were inserted at the prepare version.
    pub(in super::super) fn next_inserted(&self, at: Cursor) -> Option<Cursor> {
        let leaf = &self.leaves[at.leaf as usize];
        let first_in = |leaf: u32, from: usize| {
            let found = self.leaves[leaf as usize].runs[from..].iter().position(Run::is_inserted);
            found.map(|index| Cursor::run(leaf, from + index))
        };
        if let Some(found) = first_in(at.leaf, at.index as usize) {
            return Some(found);
        }
        let mut link = leaf.link;
        while link.parent != NO_PARENT {
            let node = &self.nodes[link.parent as usize];
            let rest = &node.children[link.slot as usize + 1..];
            let Some(child) = rest.iter().find(|child| child.sums.inserted > 0) else {
                link = node.link;
                continue;
            };
            let (mut id, mut over_leaves) = (child.id, node.over_leaves);
            while !over_leaves {
                let node = &self.nodes[id as usize];
                let child = node.children.iter().find(|child| child.sums.inserted > 0)?;
                (id, over_leaves) = (child.id, node.over_leaves);
            }
            return first_in(id, 0);
        }
        None
    }

    /// The order of two elements in the sequence.
    pub(in super::super) fn compare(&self, a: Dot, b: Dot) -> Ordering {
        let (a, b) = (self.locate(a), self.locate(b));
        if a.leaf == b.leaf {
            return (a.index, a.offset).cmp(&(b.index, b.offset));
        }
        self.path(a.leaf).cmp(&self.path(b.leaf))
    }

    /// Child numbers from the root down to a leaf.
    fn path(&self, leaf: u32) -> SmallVec<[u32; 8]> {
        let mut path = SmallVec::new();
        let mut link = self.leaves[leaf as usize].link;
        while link.parent != NO_PARENT {
            path.push(link.slot);
            link = self.nodes[link.parent as usize].link;
        }
        path.reverse();
        path
    }

    /// All runs in order.
    pub(in super::super) fn runs(&self) -> impl Iterator<Item = &Run> {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let leaf = &self.leaves[next? as usize];
            next = leaf.next;
            Some(leaf.runs.iter())
        })
        .flatten()
    }
}

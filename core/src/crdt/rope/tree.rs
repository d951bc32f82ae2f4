//! The tree over the leaves: finding a leaf, and keeping the sums right when leaves come and go.

use super::leaf::Leaf;
use super::{Extent, FILL_LEAF, Metric, Open, Rope};

const FANOUT: usize = 16;
const NO_PARENT: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Child {
    id: u32,
    sum: Extent,
}

/// An inner node; its children are leaves or nodes.
#[derive(Clone, Debug)]
pub(super) struct Node {
    children: Vec<Child>,
    parent: u32,
    over_leaves: bool,
}

impl Node {
    /// The root over leaf 0.
    pub(super) fn over_first_leaf() -> Self {
        Self { children: vec![Child { id: 0, sum: Extent::default() }], parent: NO_PARENT, over_leaves: true }
    }

    fn index_of(&self, child: u32) -> usize {
        self.children.iter().position(|entry| entry.id == child).expect("a child of its parent")
    }
}

impl Rope {
    /// The leaf that holds an offset (at most the end), and where it starts.
    pub(super) fn find(&self, metric: Metric, offset: usize) -> (u32, Extent) {
        let open = &self.open;
        let (start, end) = (open.start, open.start.plus(self.leaves[open.leaf as usize].extent));
        if (start.get(metric)..=end.get(metric)).contains(&offset) {
            return (open.leaf, start);
        }
        if offset < start.get(metric) {
            return self.descend(metric, offset, false);
        }
        let stale = end.minus(open.debt).get(metric) + (offset - end.get(metric));
        let (leaf, start) = self.descend(metric, stale, false);
        (leaf, start.plus(open.debt))
    }

    /// Walks down by the sums as they are. `inside`: to the leaf that holds the character behind the offset.
    fn descend(&self, metric: Metric, offset: usize, inside: bool) -> (u32, Extent) {
        let (mut at, mut start) = (self.root, Extent::default());
        let mut left = offset;
        loop {
            let node = &self.nodes[at as usize];
            let last = node.children.len() - 1;
            let mut chosen = node.children[last].id;
            for (i, child) in node.children.iter().enumerate() {
                let len = child.sum.get(metric);
                if left < len || (left == len && !inside) || i == last {
                    chosen = child.id;
                    break;
                }
                left -= len;
                start = start.plus(child.sum);
            }
            if node.over_leaves {
                return (chosen, start);
            }
            at = chosen;
        }
    }

    /// Opens the leaf at a character. `inside`: the one that holds the character behind the position.
    pub(super) fn seek(&mut self, pos: u32, inside: bool) {
        let at = pos.wrapping_sub(self.open.start.chars);
        let len = self.leaves[self.open.leaf as usize].extent.chars;
        if at < len || (at == len && !inside) {
            return;
        }
        self.settle();
        let (leaf, start) = self.descend(Metric::Scalar, pos as usize, inside);
        self.open = Open { leaf, start, debt: Extent::default() };
    }

    /// Writes the open leaf's difference into the sums above it.
    pub(super) fn settle(&mut self) {
        let debt = std::mem::take(&mut self.open.debt);
        if debt != Extent::default() {
            self.add_above(self.open.leaf, debt);
        }
    }

    fn add_above(&mut self, leaf: u32, by: Extent) {
        let (mut child, mut at) = (leaf, self.leaves[leaf as usize].parent);
        while at != NO_PARENT {
            let node = &mut self.nodes[at as usize];
            let index = node.index_of(child);
            node.children[index].sum = node.children[index].sum.plus(by);
            (child, at) = (at, node.parent);
        }
    }

    /// Cuts the open leaf in two at a byte and returns the second part; the first stays open.
    pub(super) fn split_leaf(&mut self, byte: usize) -> u32 {
        self.settle();
        let leaf = &mut self.leaves[self.open.leaf as usize];
        let text = leaf.text.split_off(byte);
        let (extent, parent) = (Extent::of(&text), leaf.parent);
        leaf.extent = leaf.extent.minus(extent);
        let new = Leaf { text, extent, parent };
        let id = match self.free_leaves.pop() {
            Some(id) => {
                self.leaves[id as usize] = new;
                id
            }
            None => {
                self.leaves.push(new);
                self.leaves.len() as u32 - 1
            }
        };
        self.add_child(parent, self.open.leaf, Child { id, sum: extent });
        id
    }

    /// Adds a child behind `left`, whose sum it was part of.
    fn add_child(&mut self, at: u32, left: u32, child: Child) {
        let node = &mut self.nodes[at as usize];
        let index = node.index_of(left);
        node.children[index].sum = node.children[index].sum.minus(child.sum);
        node.children.insert(index + 1, child);
        if node.children.len() > FANOUT {
            self.split_node(at);
        }
    }

    fn split_node(&mut self, at: u32) {
        let node = &mut self.nodes[at as usize];
        let children = node.children.split_off(FANOUT / 2);
        let (over_leaves, parent) = (node.over_leaves, node.parent);
        let sum = children.iter().fold(Extent::default(), |sum, child| sum.plus(child.sum));
        let id = self.add_node(Node { children, parent, over_leaves });
        self.adopt(id);
        if parent != NO_PARENT {
            return self.add_child(parent, at, Child { id, sum });
        }
        let rest = self.nodes[at as usize].children.iter().fold(Extent::default(), |sum, child| sum.plus(child.sum));
        let children = vec![Child { id: at, sum: rest }, Child { id, sum }];
        self.root = self.add_node(Node { children, parent: NO_PARENT, over_leaves: false });
        self.adopt(self.root);
    }

    fn add_node(&mut self, node: Node) -> u32 {
        match self.free_nodes.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
        }
    }

    /// Tells the children of a node who their parent is.
    fn adopt(&mut self, parent: u32) {
        let node = &self.nodes[parent as usize];
        let (ids, over_leaves): (Vec<u32>, bool) =
            (node.children.iter().map(|child| child.id).collect(), node.over_leaves);
        for id in ids {
            if over_leaves {
                self.leaves[id as usize].parent = parent;
            } else {
                self.nodes[id as usize].parent = parent;
            }
        }
    }

    /// Joins the open leaf, which has become small, with the next or the previous in its node, or removes it if it is
    /// empty.
    pub(super) fn join_leaf(&mut self) {
        self.settle();
        let id = self.open.leaf;
        let (len, parent) = (self.leaves[id as usize].text.len(), self.leaves[id as usize].parent);
        let node = &self.nodes[parent as usize];
        let index = node.index_of(id);
        let fits = |other: u32| self.leaves[other as usize].text.len() + len <= FILL_LEAF;
        let next = node.children.get(index + 1).map(|child| child.id).filter(|next| fits(*next));
        let previous = index.checked_sub(1).map(|index| node.children[index].id).filter(|previous| fits(*previous));
        let (left, right) = match (next, previous) {
            (Some(next), _) => (id, next),
            (None, Some(previous)) => (previous, id),
            (None, None) if len == 0 && self.leaves.len() - self.free_leaves.len() > 1 => {
                self.remove_leaf(id);
                return self.open_first();
            }
            _ => return,
        };
        let text = std::mem::take(&mut self.leaves[right as usize].text);
        let extent = self.leaves[right as usize].extent;
        self.remove_leaf(right);
        let leaf = &mut self.leaves[left as usize];
        leaf.text.push_str(&text);
        leaf.extent = leaf.extent.plus(extent);
        self.add_above(left, extent);
        self.open_first();
    }

    fn open_first(&mut self) {
        let (leaf, start) = self.descend(Metric::Scalar, 0, false);
        self.open = Open { leaf, start, debt: Extent::default() };
    }

    /// Takes a leaf out, and the nodes that have no other child.
    fn remove_leaf(&mut self, leaf: u32) {
        let extent = std::mem::take(&mut self.leaves[leaf as usize].extent);
        self.add_above(leaf, Extent::default().minus(extent));
        self.leaves[leaf as usize].text = String::new();
        self.free_leaves.push(leaf);
        let (mut child, mut at) = (leaf, self.leaves[leaf as usize].parent);
        loop {
            let node = &mut self.nodes[at as usize];
            let index = node.index_of(child);
            node.children.remove(index);
            if !node.children.is_empty() || node.parent == NO_PARENT {
                break;
            }
            (child, at) = (at, node.parent);
            self.free_nodes.push(child);
        }
        while let [only] = self.nodes[self.root as usize].children[..]
            && !self.nodes[self.root as usize].over_leaves
        {
            self.free_nodes.push(self.root);
            self.root = only.id;
            self.nodes[self.root as usize].parent = NO_PARENT;
        }
    }

    /// The leaves in order.
    pub(super) fn leaf_order(&self) -> impl Iterator<Item = u32> {
        let mut stack = vec![(self.root, 0)];
        std::iter::from_fn(move || {
            loop {
                let (at, index) = stack.last_mut()?;
                let node = &self.nodes[*at as usize];
                let Some(child) = node.children.get(*index) else {
                    stack.pop();
                    continue;
                };
                *index += 1;
                if node.over_leaves {
                    return Some(child.id);
                }
                stack.push((child.id, 0));
            }
        })
    }
}

//! `TreeRef`. Nodes are named by the operation that made them, which is the same on every copy.

use super::TreeRef;
use crate::crdt::{Content, Handle, Place, TreeState};
use crate::id::OpId;
use crate::op::ContainerKind;

impl TreeRef<'_> {
    fn state(&self) -> Option<&TreeState> {
        match self.doc.containers.content(self.handle?) {
            Content::Tree(tree) => Some(tree),
            _ => None,
        }
    }

    /// The nodes at the top, in order.
    pub fn roots(&self) -> Vec<OpId> {
        self.below(None)
    }

    /// The children of a node, in order; none if the node is not known.
    pub fn children(&self, node: OpId) -> Vec<OpId> {
        if self.doc.dot(node).is_some() { self.below(Some(node)) } else { Vec::new() }
    }

    fn below(&self, parent: Option<OpId>) -> Vec<OpId> {
        let parent = parent.and_then(|parent| self.doc.dot(parent));
        let nodes = self.state().into_iter().flat_map(|tree| tree.children(parent));
        nodes.map(|node| self.doc.op_id(node)).collect()
    }

    /// All nodes, each in front of its children. O(n).
    pub fn nodes(&self) -> Vec<OpId> {
        self.with_parents().into_iter().map(|(node, _)| node).collect()
    }

    /// All nodes, each in front of its children, with their parents.
    pub(in crate::doc) fn with_parents(&self) -> Vec<(OpId, Option<OpId>)> {
        let (mut nodes, mut waiting) = (Vec::new(), Vec::new());
        waiting.extend(self.roots().into_iter().rev().map(|node| (node, None)));
        while let Some((node, parent)) = waiting.pop() {
            nodes.push((node, parent));
            waiting.extend(self.children(node).into_iter().rev().map(|child| (child, Some(node))));
        }
        nodes
    }

    /// Whether a node is in the tree: neither it nor a node above it was removed. O(depth), like all that follow.
    pub fn contains(&self, node: OpId) -> bool {
        let dot = self.doc.dot(node);
        self.state().zip(dot).is_some_and(|(tree, dot)| tree.contains(dot))
    }

    /// The parent of a node, `None` for a node at the top or one that is not in the tree.
    pub fn parent(&self, node: OpId) -> Option<OpId> {
        let parent = self.state()?.parent(self.doc.dot(node)?)?;
        parent.map(|parent| self.doc.op_id(parent))
    }

    /// The place of a node among its siblings, `None` if it is not in the tree.
    pub fn index(&self, node: OpId) -> Option<usize> {
        self.state()?.index(self.doc.dot(node)?).map(|index| index as usize)
    }

    /// The map of a node, `None` if nobody has written into it yet.
    pub fn map(&self, node: OpId) -> Option<Handle> {
        let place = Place::Element(self.doc.dot(node)?);
        self.doc.containers.child(self.handle?, place, ContainerKind::Map)
    }
}

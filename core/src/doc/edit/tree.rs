//! `TreeMut`.

use super::{MapMut, range};
use crate::crdt::{Content, Handle, Place, TreeState};
use crate::doc::{Doc, EditError};
use crate::graph::Dot;
use crate::id::OpId;
use crate::op::{ContainerKind, ElementRef, OpRun};

/// Edits a tree. A node is named by the operation that made it; `None` as a parent means the top.
#[derive(Debug)]
pub struct TreeMut<'a> {
    pub(in crate::doc) doc: &'a mut Doc,
    pub(in crate::doc) handle: Handle,
}

impl TreeMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Makes a node that becomes child number `index` of its parent.
    ///
    /// # Errors
    /// If the parent is not in the tree, `index` is past its last child, or the transaction or the log is full.
    pub fn create(&mut self, parent: Option<OpId>, index: usize) -> Result<OpId, EditError> {
        let parent = self.shown(parent)?;
        let (index, _) = range("tree index", index, 0, self.state().len(parent) as usize)?;
        let pos = self.state().slot_position(parent, None, index);
        let run = OpRun::TreeCreate { parent: parent.map(|_| ElementRef::default()), pos };
        let named: Vec<Dot> = parent.into_iter().collect();
        let dot = self.doc.push_op_on(self.handle, run, &named)?;
        Ok(self.doc.op_id(dot))
    }

    /// Moves a node, with everything below it, so that it becomes child number `index` of `parent`. A node that was
    /// removed comes back.
    ///
    /// # Errors
    /// If the tree never had the node or does not have the parent, the parent lies below the node, `index` is past the last
    /// of the parent's other children, or the transaction or the log is full.
    pub fn move_to(&mut self, node: OpId, parent: Option<OpId>, index: usize) -> Result<(), EditError> {
        let dot = self.known(node)?;
        let under = self.shown(parent)?;
        if let (Some(parent), Some(under)) = (parent, under)
            && self.state().is_inside(under, dot)
        {
            return Err(EditError::WouldCycle { node, parent });
        }
        let from = self.state().parent(dot).zip(self.state().index(dot));
        let others = self.state().len(under) - u32::from(from.is_some_and(|(parent, _)| parent == under));
        let (index, _) = range("tree index", index, 0, others as usize)?;
        if from == Some((under, index)) {
            return Ok(());
        }
        let pos = self.state().slot_position(under, Some(dot), index);
        let (node, parent) = (ElementRef::default(), under.map(|_| ElementRef::default()));
        let named: Vec<Dot> = std::iter::once(dot).chain(under).collect();
        self.doc.push_op_on(self.handle, OpRun::TreeMove { node, parent, pos }, &named).map(drop)
    }

    /// Removes a node with everything below it. One that was removed before is left alone.
    ///
    /// # Errors
    /// If the tree never had the node, or the transaction or the log is full.
    pub fn remove(&mut self, node: OpId) -> Result<(), EditError> {
        let dot = self.known(node)?;
        if !self.state().contains(dot) {
            return Ok(());
        }
        self.doc.push_op_on(self.handle, OpRun::TreeDelete { node: ElementRef::default() }, &[dot]).map(drop)
    }

    /// The map of a node: what the application keeps in it.
    ///
    /// # Errors
    /// If the node is not in the tree, or it is nested too deeply.
    pub fn map(&mut self, node: OpId) -> Result<MapMut<'_>, EditError> {
        let dot = self.known(node)?;
        self.shown(Some(node))?;
        let handle = self.doc.child_at(self.handle, Place::Element(dot), ContainerKind::Map)?;
        Ok(MapMut { doc: self.doc, handle })
    }

    /// A node that the tree has or had.
    fn known(&mut self, node: OpId) -> Result<Dot, EditError> {
        let dot = self.doc.dot(node).filter(|dot| self.state().has(*dot));
        dot.ok_or(EditError::UnknownNode(node))
    }

    /// A node that is in the tree, or the top.
    fn shown(&mut self, node: Option<OpId>) -> Result<Option<Dot>, EditError> {
        let Some(node) = node else { return Ok(None) };
        let dot = self.known(node)?;
        if self.state().contains(dot) { Ok(Some(dot)) } else { Err(EditError::UnknownNode(node)) }
    }

    fn state(&mut self) -> &mut TreeState {
        match self.doc.containers.content_mut(self.handle) {
            Content::Tree(tree) => tree,
            _ => unreachable!("a tree handle means a tree"),
        }
    }
}

//! `ListMut`.

use super::{MapMut, range};
use crate::crdt::{Content, Handle, ListState, Place};
use crate::doc::{Doc, EditError};
use crate::graph::Dot;
use crate::op::{ContainerKind, ElementRef, OpRun, Value};

/// Edits a list. Indices count elements.
#[derive(Debug)]
pub struct ListMut<'a> {
    pub(in crate::doc) doc: &'a mut Doc,
    pub(in crate::doc) handle: Handle,
}

impl ListMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.doc.list_at(self.handle).len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends an element.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn push(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        self.insert(self.len(), value)
    }

    /// Inserts an element before number `index`.
    ///
    /// # Errors
    /// If `index` is past the end, or the transaction or the log is full.
    pub fn insert(&mut self, index: usize, value: impl Into<Value>) -> Result<(), EditError> {
        self.insert_all(index, vec![value.into()])
    }

    /// Inserts elements before number `index`.
    ///
    /// # Errors
    /// If `index` is past the end, or the transaction or the log is full.
    pub fn insert_all(&mut self, index: usize, values: Vec<Value>) -> Result<(), EditError> {
        let (index, _) = range("list index", index, 0, self.len())?;
        if values.is_empty() {
            return Ok(());
        }
        let pos = self.state().insert_position(index);
        self.doc.push_op(self.handle, OpRun::ListInsert { pos, values })
    }

    /// Inserts an empty container before number `index`.
    ///
    /// # Errors
    /// If `index` is past the end, it is nested too deeply, or the transaction or the log is full.
    pub fn insert_container(&mut self, index: usize, kind: ContainerKind) -> Result<Handle, EditError> {
        self.insert(index, kind)?;
        self.container(index, kind)
    }

    /// The container in element number `index`; an element of another kind becomes one of this kind.
    ///
    /// # Errors
    /// If there is no such element, it is nested too deeply, or the transaction or the log is full.
    pub fn container(&mut self, index: usize, kind: ContainerKind) -> Result<Handle, EditError> {
        let element = self.element(index)?;
        if self.doc.list_at(self.handle).get(index) != Some(Value::Container(kind)) {
            self.set(index, kind)?;
        }
        self.doc.child_at(self.handle, Place::Element(element), kind)
    }

    /// The map in element number `index` (`container`).
    ///
    /// # Errors
    /// As `container`.
    pub fn map(&mut self, index: usize) -> Result<MapMut<'_>, EditError> {
        let handle = self.container(index, ContainerKind::Map)?;
        Ok(MapMut { doc: self.doc, handle })
    }

    /// Deletes `len` elements from number `index` on. An element that somebody moves at the same time stays.
    ///
    /// # Errors
    /// If the range goes past the end, or the transaction or the log is full.
    pub fn delete(&mut self, index: usize, len: usize) -> Result<(), EditError> {
        let (index, len) = range("end of the range", index, len, self.len())?;
        for _ in 0..len {
            let element = self.element(index as usize)?;
            self.delete_slots(element)?;
        }
        Ok(())
    }

    /// Deletes all slots of an element.
    pub(in crate::doc) fn delete_slots(&mut self, element: Dot) -> Result<(), EditError> {
        while let Some(pos) = self.state().slot_position(element) {
            self.doc.push_op(self.handle, OpRun::Delete { pos, len: 1, backward: false })?;
        }
        Ok(())
    }

    /// Replaces the value of element number `index`, and takes back what was seen in containers in it.
    ///
    /// # Errors
    /// If there is no such element, or the transaction or the log is full.
    pub fn set(&mut self, index: usize, value: impl Into<Value>) -> Result<(), EditError> {
        let dot = self.element(index)?;
        self.doc.clear_place(self.handle, Place::Element(dot))?;
        let run = OpRun::ListSet { element: ElementRef::default(), value: value.into() };
        self.doc.push_op_on(self.handle, run, &[dot]).map(drop)
    }

    /// Moves element number `from` so that it becomes number `to`. Its identity and content stay: two replicas that
    /// move it at the same time move one element.
    ///
    /// # Errors
    /// If one of the two is no element, or the transaction or the log is full.
    pub fn move_to(&mut self, from: usize, to: usize) -> Result<(), EditError> {
        let dot = self.element(from)?;
        self.element(to)?;
        if from == to {
            return Ok(());
        }
        self.delete_slots(dot)?;
        let pos = self.state().insert_position(to as u32);
        self.doc.push_op_on(self.handle, OpRun::ListMove { pos, element: ElementRef::default() }, &[dot]).map(drop)
    }

    fn element(&self, index: usize) -> Result<Dot, EditError> {
        let len = self.len();
        let element = u32::try_from(index).ok().and_then(|index| self.doc.list_state(self.handle)?.element_at(index));
        element.ok_or(EditError::OutOfRange { what: "list index", index, len })
    }

    fn state(&mut self) -> &mut ListState {
        match self.doc.containers.content_mut(self.handle) {
            Content::List(list) => list,
            _ => unreachable!("a list handle means a list"),
        }
    }
}

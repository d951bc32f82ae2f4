//! `MapMut`.

use super::{BoundedCounterMut, CounterMut, ListMut, RegisterMut, SetMut, TextMut, TreeMut};
use crate::crdt::{Handle, Place};
use crate::doc::{Doc, EditError};
use crate::op::{ContainerKind, OpRun, Value};

/// Edits a map.
#[derive(Debug)]
pub struct MapMut<'a> {
    pub(in crate::doc) doc: &'a mut Doc,
    pub(in crate::doc) handle: Handle,
}

impl MapMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// The value that a key reads.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.doc.map_at(self.handle).get(key)
    }

    /// Sets a key. Whatever was seen in containers under it is taken back; what others do there at the same time stays.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> Result<(), EditError> {
        self.doc.clear_place(self.handle, Place::Name(key))?;
        self.doc.push_op(self.handle, OpRun::MapSet { key, value: value.into() })
    }

    /// Removes a key and what was seen in containers under it. A key that is not there is left alone.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn delete(&mut self, key: &str) -> Result<(), EditError> {
        self.doc.clear_place(self.handle, Place::Name(key))?;
        match self.doc.map_state(self.handle).and_then(|map| map.get(key)) {
            Some(_) => self.doc.push_op(self.handle, OpRun::MapDelete { key }),
            None => Ok(()),
        }
    }

    /// An empty container of this kind under a key, replacing what was there.
    ///
    /// # Errors
    /// If it is nested too deeply, or the transaction or the log is full.
    pub fn set_container(&mut self, key: &str, kind: ContainerKind) -> Result<Handle, EditError> {
        let handle = self.doc.child_at(self.handle, Place::Name(key), kind)?;
        self.set(key, kind)?;
        Ok(handle)
    }

    /// The container of this kind under a key: the same one on every replica, whoever makes it first.
    ///
    /// # Errors
    /// If it is nested too deeply, or the transaction or the log is full.
    pub fn get_or_create(&mut self, key: &str, kind: ContainerKind) -> Result<Handle, EditError> {
        let handle = self.doc.child_at(self.handle, Place::Name(key), kind)?;
        let marked = self.doc.map_at(self.handle).get(key) == Some(Value::Container(kind));
        if self.handle != Handle::ROOT && !marked {
            self.doc.push_op(self.handle, OpRun::MapSet { key, value: kind.into() })?;
        }
        Ok(handle)
    }

    /// The map under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn map(&mut self, key: &str) -> Result<MapMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::Map)?;
        Ok(MapMut { doc: self.doc, handle })
    }

    /// The list under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn list(&mut self, key: &str) -> Result<ListMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::List)?;
        Ok(ListMut { doc: self.doc, handle })
    }

    /// The text under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn text(&mut self, key: &str) -> Result<TextMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::Text)?;
        Ok(TextMut { doc: self.doc, handle })
    }

    /// The register under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn register(&mut self, key: &str) -> Result<RegisterMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::Register)?;
        Ok(RegisterMut { doc: self.doc, handle })
    }

    /// The counter under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn counter(&mut self, key: &str) -> Result<CounterMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::Counter)?;
        Ok(CounterMut { doc: self.doc, handle })
    }

    /// The set of values under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn value_set(&mut self, key: &str) -> Result<SetMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::Set)?;
        Ok(SetMut { doc: self.doc, handle })
    }
    /// The tree under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn tree(&mut self, key: &str) -> Result<TreeMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::Tree)?;
        Ok(TreeMut { doc: self.doc, handle })
    }

    /// The bounded counter under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn bounded_counter(&mut self, key: &str) -> Result<BoundedCounterMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::BoundedCounter)?;
        Ok(BoundedCounterMut { doc: self.doc, handle })
    }

    /// The set of values in which removals win under a key (`get_or_create`).
    ///
    /// # Errors
    /// As `get_or_create`.
    pub fn remove_wins_set(&mut self, key: &str) -> Result<SetMut<'_>, EditError> {
        let handle = self.get_or_create(key, ContainerKind::RemoveWinsSet)?;
        Ok(SetMut { doc: self.doc, handle })
    }
}

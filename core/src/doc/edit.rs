//! Editing handles: one per kind of container, valid inside a transaction. Every edit is checked before it is made.

mod bounded;
mod list;
mod map;
mod mark;
mod text;
mod tree;

pub use bounded::BoundedCounterMut;
pub use list::ListMut;
pub use map::MapMut;
pub use text::TextMut;
pub use tree::TreeMut;

use super::{Doc, EditError};
use crate::crdt::{Content, Handle, Place};
use crate::op::{ContainerKind, OpRun, Value};

/// Edits a register.
#[derive(Debug)]
pub struct RegisterMut<'a> {
    pub(super) doc: &'a mut Doc,
    pub(super) handle: Handle,
}

impl RegisterMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn set(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        self.doc.push_op(self.handle, OpRun::RegisterSet { value: value.into() })
    }

    /// Removes the value.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn clear(&mut self) -> Result<(), EditError> {
        self.doc.push_op(self.handle, OpRun::RegisterClear)
    }
}

/// Edits a counter.
#[derive(Debug)]
pub struct CounterMut<'a> {
    pub(super) doc: &'a mut Doc,
    pub(super) handle: Handle,
}

impl CounterMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Adds `by`, which may be negative. The sum wraps around at 64 bits.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn add(&mut self, by: i64) -> Result<(), EditError> {
        self.doc.push_op(self.handle, OpRun::CounterAdd { by })
    }
}

/// Edits a set, whichever wins in it.
#[derive(Debug)]
pub struct SetMut<'a> {
    pub(super) doc: &'a mut Doc,
    pub(super) handle: Handle,
}

impl SetMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// Adds a value.
    ///
    /// # Errors
    /// If it is a container, or the transaction or the log is full.
    pub fn add(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        let value = value.into();
        if matches!(value, Value::Container(_)) {
            return Err(EditError::ContainerInSet);
        }
        self.doc.push_op(self.handle, OpRun::SetAdd { value })
    }

    /// Removes a value; one that is not there is left alone, except where removals win: there it keeps out what others add
    /// at the same time.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn remove(&mut self, value: impl Into<Value>) -> Result<(), EditError> {
        let value = value.into();
        match self.doc.containers.content(self.handle) {
            Content::Set(set) if !set.contains(&value) => Ok(()),
            _ => self.doc.push_op(self.handle, OpRun::SetRemove { value }),
        }
    }
}

impl Doc {
    /// The container of this kind at a place, made if there is none.
    fn child_at(&mut self, parent: Handle, place: Place<'_>, kind: ContainerKind) -> Result<Handle, EditError> {
        let place_of = || format!("container {}", parent.to_u32());
        if !kind.is_known() {
            return Err(EditError::UnknownKind { place: place_of(), tag: kind.tag() });
        }
        let fail = || EditError::TooDeep(place_of());
        self.containers.get_or_make(parent, place, kind).ok_or_else(fail)
    }

    /// Takes back everything that was seen in the containers at a place.
    fn clear_place(&mut self, parent: Handle, place: Place<'_>) -> Result<(), EditError> {
        let inside: Vec<Handle> = self.containers.at_place(parent, place).collect();
        for handle in inside {
            if self.containers.has_content(handle) {
                self.clear(handle)?;
            }
        }
        Ok(())
    }

    fn clear(&mut self, handle: Handle) -> Result<(), EditError> {
        let run = match self.containers.content(handle) {
            Content::Map(map) => {
                let keys: Vec<String> = map.keys().map(str::to_owned).collect();
                let made: Vec<String> = self.containers.named(handle).map(|(name, _)| name.to_owned()).collect();
                for name in &made {
                    self.clear_place(handle, Place::Name(name))?;
                }
                return keys.iter().try_for_each(|key| self.push_op(handle, OpRun::MapDelete { key }));
            }
            Content::List(list) => {
                let len = list.len() as usize;
                return ListMut { doc: self, handle }.delete(0, len);
            }
            Content::Text(text) => OpRun::Delete { pos: 0, len: text.rope().len(), backward: false },
            Content::Register(_) => OpRun::RegisterClear,
            Content::Counter(_) => OpRun::CounterReset,
            Content::Set(set) => {
                let values: Vec<Value> = set.values().cloned().collect();
                return values.into_iter().try_for_each(|value| self.push_op(handle, OpRun::SetRemove { value }));
            }
            Content::RemoveWinsSet(set) => {
                let values: Vec<Value> = set.values().cloned().collect();
                return values.into_iter().try_for_each(|value| self.push_op(handle, OpRun::SetRemove { value }));
            }
            Content::Tree(_) => {
                let roots = self.tree_at(handle).roots();
                return roots.into_iter().try_for_each(|node| TreeMut { doc: self, handle }.remove(node));
            }
            Content::BoundedCounter(_) => return BoundedCounterMut { doc: self, handle }.spend(),
            // Whoever knows the kind has to take it back.
            Content::Unknown(_) => return Ok(()),
        };
        self.push_op(handle, run)
    }
}

/// Checks that `start .. start + len` lies within `total` and narrows it.
fn range(what: &'static str, start: usize, len: usize, total: usize) -> Result<(u32, u32), EditError> {
    match start.checked_add(len) {
        Some(end) if end <= total => Ok((start as u32, len as u32)),
        end => Err(EditError::OutOfRange { what, index: end.unwrap_or(usize::MAX), len: total }),
    }
}

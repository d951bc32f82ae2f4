//! `BoundedCounterMut`.

use crate::crdt::{Content, Handle};
use crate::doc::{Doc, EditError};
use crate::id::ReplicaId;
use crate::op::OpRun;

/// Edits a bounded counter. What a replica adds it may take away again, or give to another one that may then take it away.
#[derive(Debug)]
pub struct BoundedCounterMut<'a> {
    pub(in crate::doc) doc: &'a mut Doc,
    pub(in crate::doc) handle: Handle,
}

impl BoundedCounterMut<'_> {
    /// The container's handle.
    pub fn handle(&self) -> Handle {
        self.handle
    }

    /// How much this replica may take away or give.
    pub fn rights(&self) -> u64 {
        u64::try_from(self.all_rights()).unwrap_or(u64::MAX)
    }

    /// Adds to the counter, and to the rights of this replica.
    ///
    /// # Errors
    /// If the transaction or the log is full.
    pub fn increment(&mut self, amount: u64) -> Result<(), EditError> {
        self.add(u128::from(amount), 1)
    }

    /// Takes away from the counter.
    ///
    /// # Errors
    /// If it is more than this replica has rights for, or the transaction or the log is full.
    pub fn decrement(&mut self, amount: u64) -> Result<(), EditError> {
        self.check(amount)?;
        self.add(u128::from(amount), -1)
    }

    /// Gives rights to another replica. The value stays.
    ///
    /// # Errors
    /// If it is more than this replica has, or the transaction or the log is full.
    pub fn transfer(&mut self, to: ReplicaId, amount: u64) -> Result<(), EditError> {
        self.check(amount)?;
        if amount == 0 || to == self.doc.replica() {
            return Ok(());
        }
        self.doc.push_op(self.handle, OpRun::CounterTransfer { to, amount })
    }

    /// Takes away whatever this replica may.
    pub(super) fn spend(&mut self) -> Result<(), EditError> {
        self.add(self.all_rights(), -1)
    }

    fn all_rights(&self) -> u128 {
        match self.doc.containers.content(self.handle) {
            Content::BoundedCounter(counter) => counter.rights(self.doc.replica()),
            _ => 0,
        }
    }

    fn check(&self, wanted: u64) -> Result<(), EditError> {
        let available = self.rights();
        if wanted > available { Err(EditError::NotEnoughRights { wanted, available }) } else { Ok(()) }
    }

    /// An operation holds 63 bits.
    fn add(&mut self, mut amount: u128, sign: i64) -> Result<(), EditError> {
        while amount > 0 {
            let step = i64::try_from(amount).unwrap_or(i64::MAX);
            self.doc.push_op(self.handle, OpRun::CounterAdd { by: step * sign })?;
            amount -= step as u128;
        }
        Ok(())
    }
}

//! `Timers`: what wants to be woken when. Heartbeats move with every message, so a timer is a hint: when it fires, its
//! owner looks whether anything is due and sets the next one.
//!
//! Always holds: at most one timer per owner; equal times fire in the order of their owners.

use super::input::ConnId;
use crate::id::DocName;
use crate::ordered::{OrdMap, OrdSet};

/// Who is woken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    Conn(ConnId),
    Room(DocName),
}

/// One timer per owner.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    by_time: OrdSet<(u64, Owner)>,
    by_owner: OrdMap<Owner, u64>,
}

impl Timers {
    /// Wakes `owner` at `at_ms` at the latest.
    pub(crate) fn at_latest(&mut self, owner: Owner, at_ms: u64) {
        if let Some(&sooner) = self.by_owner.get(&owner) {
            if sooner <= at_ms {
                return;
            }
            self.by_time.remove(&(sooner, owner.clone()));
        }
        self.by_owner.insert(owner.clone(), at_ms);
        self.by_time.insert((at_ms, owner));
    }

    /// Forgets an owner.
    pub(crate) fn remove(&mut self, owner: &Owner) {
        if let Some(at_ms) = self.by_owner.remove(owner) {
            self.by_time.remove(&(at_ms, owner.clone()));
        }
    }

    /// The next time that anybody is woken.
    pub(crate) fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at_ms, _)| *at_ms)
    }

    /// Everybody who is due, taken off the list.
    pub(crate) fn due(&mut self, now_ms: u64) -> Vec<Owner> {
        let mut due = Vec::new();
        while self.next().is_some_and(|at_ms| at_ms <= now_ms) {
            if let Some((_, owner)) = self.by_time.pop_first() {
                self.by_owner.remove(&owner);
                due.push(owner);
            }
        }
        due
    }
}

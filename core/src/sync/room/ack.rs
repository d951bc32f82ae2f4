//! `Acks`: what one peer is owed as acknowledgements: of everything that it showed us, cumulative per log.
//!
//! Always holds: an end is acknowledged as durable only if it is; an acknowledgement is never repeated.

use super::Room;
use crate::id::{ReplicaId, VersionVector};
use crate::ordered::OrdMap;
use crate::planted::{self, Bug};

/// Acknowledgements owed to one peer.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    /// Whether the peer wants any.
    pub(crate) wanted: bool,
    /// Shown to us and not durable yet.
    waiting: OrdMap<ReplicaId, u64>,
    received: OrdMap<ReplicaId, u64>,
    durable: OrdMap<ReplicaId, u64>,
}

impl Acks {
    /// For a peer that has `peer`. With `told`, it knows already what of that is durable here.
    pub(crate) fn new(wanted: bool, told: bool, peer: &VersionVector, room: &Room) -> Self {
        let mut acks = Self { wanted, ..Self::default() };
        for (replica, end) in peer.iter().filter(|_| wanted) {
            let shown = end.min(room.version().end(replica));
            let durable = room.keeper.durable().end(replica).min(shown);
            if shown > durable {
                acks.waiting.insert(replica, shown);
            }
            if !told && durable > 0 {
                acks.durable.insert(replica, durable);
            }
        }
        acks
    }

    /// The peer has shown us a log up to `end`, all of which we have; of ours, `durable` is.
    pub(crate) fn shown(&mut self, replica: ReplicaId, end: u64, durable: u64) {
        if !self.wanted || end == 0 {
            return;
        }
        if durable >= end || planted::is(Bug::DurableBeforeStored) {
            raise(&mut self.durable, replica, end);
        } else {
            raise(&mut self.received, replica, end);
            raise(&mut self.waiting, replica, end);
        }
    }

    /// A log became durable up to `end`.
    pub(crate) fn durable(&mut self, replica: ReplicaId, end: u64) {
        let Some(&waiting) = self.waiting.get(&replica) else { return };
        if waiting <= end {
            self.waiting.remove(&replica);
        }
        raise(&mut self.durable, replica, waiting.min(end));
    }

    /// The acknowledgements that are due: received, durable. What is durable is received as well.
    pub(crate) fn take(&mut self) -> (OrdMap<ReplicaId, u64>, OrdMap<ReplicaId, u64>) {
        let durable = std::mem::take(&mut self.durable);
        let mut received = std::mem::take(&mut self.received);
        received.retain(|replica, end| durable.get(replica).is_none_or(|durable| durable < end));
        (received, durable)
    }
}

fn raise(ends: &mut OrdMap<ReplicaId, u64>, replica: ReplicaId, end: u64) {
    let known = ends.entry(replica).or_insert(0);
    *known = (*known).max(end);
}

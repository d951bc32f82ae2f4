//! Where our own changes have got to: the status that an application shows, and the acknowledgements behind it.
//!
//! Always holds: a flag is true only if it holds for everything edited so far; what a document held when it was opened
//! counts as edited, because it may hold changes that never left this device.

use super::Room;
use super::sub::Sub;
use crate::id::{ReplicaId, VersionVector};
use crate::sync::effect::{AckLevel, SyncStatus};
use crate::sync::input::ConnId;

/// What the status is made of, and what was told of it.
#[derive(Debug)]
pub(crate) struct Told {
    own: VersionVector,
    /// What the last remote peer had acknowledged when its connection ended.
    received: bool,
    durable: bool,
    told: Option<SyncStatus>,
}

impl Told {
    pub(crate) fn new(own: VersionVector) -> Self {
        let nothing = own.is_empty();
        Self { own, received: nothing, durable: nothing, told: None }
    }

    /// Keeps the state of a remote peer that goes away, if it was the last one.
    pub(crate) fn remember<'a>(&mut self, gone: &Sub, mut rest: impl Iterator<Item = &'a Sub>) {
        if gone.remote && !rest.any(|sub| sub.remote) {
            (self.received, self.durable) = (gone.not_received.is_empty(), gone.not_durable.is_empty());
        }
    }
}

impl Room {
    /// An own change, up to `end`.
    pub(crate) fn note_edit(&mut self, replica: ReplicaId, end: u64) {
        self.status.own.raise(replica, end);
        (self.status.received, self.status.durable) = (false, false);
        for sub in self.subs.values_mut().filter(|sub| sub.remote) {
            sub.not_received.insert(replica, end);
            sub.not_durable.insert(replica, end);
        }
    }

    /// What a peer that has `received`, of which `durable` is, has not acknowledged of ours; and what it has.
    pub(crate) fn start_status(&self, sub: &mut Sub, received: &VersionVector, durable: &VersionVector) {
        for (replica, end) in self.status.own.iter() {
            if received.end(replica) < end {
                sub.not_received.insert(replica, end);
            }
            if durable.end(replica) < end {
                sub.not_durable.insert(replica, end);
            }
        }
        let lacking = received.iter().filter(|(replica, end)| self.version.end(*replica) < *end);
        sub.missing = lacking.collect();
    }

    /// The part of `version` that we edited.
    pub(crate) fn own_part(&self, version: &VersionVector) -> VersionVector {
        self.status.own.iter().map(|(replica, end)| (replica, end.min(version.end(replica)))).collect()
    }

    /// Takes in an acknowledgement.
    pub(crate) fn acked(&mut self, conn: ConnId, level: AckLevel, ends: &[(ReplicaId, u64)]) {
        let Some(sub) = self.subs.get_mut(&conn) else { return };
        for (replica, acked) in ends {
            let mut lists = vec![&mut sub.not_received];
            if level == AckLevel::Durable {
                lists.push(&mut sub.not_durable);
            }
            for list in lists {
                if list.get(replica).is_some_and(|end| end <= acked) {
                    list.remove(replica);
                }
            }
        }
    }

    /// The status now.
    pub(crate) fn status(&self) -> SyncStatus {
        let mut remotes = self.subs.values().filter(|sub| sub.remote).peekable();
        let connected = remotes.peek().is_some();
        let mut status = SyncStatus {
            saved: self.keeper.is_idle(),
            connected,
            received: !connected && self.status.received,
            durable: !connected && self.status.durable,
            caught_up: false,
            behind: u64::MAX,
        };
        for sub in remotes {
            status.received |= sub.not_received.is_empty();
            status.durable |= sub.not_durable.is_empty();
            status.caught_up |= sub.missing.is_empty();
            let missing = |(replica, end): (&ReplicaId, &u64)| end.saturating_sub(self.version.end(*replica));
            status.behind = status.behind.min(sub.missing.iter().map(missing).sum());
        }
        if !connected {
            status.behind = 0;
        }
        status
    }

    /// The status, if it is not the one that was told last.
    pub(crate) fn status_to_tell(&mut self) -> Option<SyncStatus> {
        let status = self.status();
        (self.app && self.status.told.replace(status) != Some(status)).then_some(status)
    }
}

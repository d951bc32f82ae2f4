//! A room of which stored changes are damaged: which peers can help, and how it becomes whole.
//!
//! Always holds: only peers that have some of the missing changes, and may send them, are let in; when the room is
//! whole, every peer in it is asked for what it has beyond that. Not here: verifying what they send (the driver).

use super::Room;
use super::persist::Keeper;
use crate::id::VersionVector;
use crate::sync::input::{DocState, Rights};

/// What is damaged.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    /// Where the logs end of which changes are missing.
    pub(crate) missing: VersionVector,
    /// For the peers that cannot help.
    pub(crate) reason: String,
}

impl Room {
    /// Why a peer that has `version` is of no use to a damaged room; `None` if it is, or if the room is whole.
    pub(crate) fn cannot_help(&self, version: &VersionVector, rights: Rights) -> Option<String> {
        let damage = self.damage.as_ref()?;
        let helps = damage.missing.iter().any(|(replica, _)| version.end(replica) > self.version.end(replica));
        (!helps || !rights.write).then(|| damage.reason.clone())
    }

    /// The document is whole again, and `state` is what there is of it.
    pub(crate) fn mend(&mut self, state: DocState) {
        let whole = Self::new(state, self.app, self.owner);
        (self.logs, self.version, self.ops) = (whole.logs, whole.version, whole.ops);
        (self.keeper, self.status) = (Keeper::new(self.version.clone()), whole.status);
        (self.damage, self.summary) = (None, None);
        for sub in self.subs.values_mut() {
            for (replica, end) in sub.known.iter() {
                let end = end.min(self.version.end(replica));
                sub.acks.shown(replica, end, end);
            }
            sub.want_load = sub.may_send && !sub.known.includes(&self.version);
            // Whatever it sent meanwhile was not taken in: `Resync` asks for it.
            (sub.gap, sub.peer_done, sub.resyncs) = (true, true, 0);
            (sub.digest_owed, sub.digest_sent, sub.digest_said) = (true, None, None);
        }
    }
}

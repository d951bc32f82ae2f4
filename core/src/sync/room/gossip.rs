//! A room's part in the tree of its links to equals: what arrives shapes it, what is announced and does not come is
//! asked for.
//!
//! Always holds: what a peer announces changes what we ask of it, and nothing else. Not here: the tree itself
//! (`crate::gossip`), and clients, who get every change.

use super::{Room, Sub};
use crate::id::ReplicaId;
use crate::sync::input::ConnId;

impl Room {
    /// Changes were new, up to `end`: a subscriber's, or our own.
    pub(super) fn note_fresh(&mut self, conn: Option<ConnId>, replica: ReplicaId, end: u64) {
        if let Some(swap) = self.tree.fresh(conn, replica, end, self.now_ms) {
            self.want_graft(swap.graft);
            self.want_prune(swap.prune);
        }
    }

    /// A subscriber's changes were all here.
    pub(super) fn note_duplicate(&mut self, conn: ConnId, replica: ReplicaId) {
        if self.tree.duplicate(conn, replica) {
            self.want_prune(conn);
        }
    }

    /// A subscriber has these logs. Returns when to look whether the changes have come.
    pub(crate) fn announced(&mut self, conn: ConnId, ends: &[(ReplicaId, u64)]) -> Option<u64> {
        let sub = self.subs.get_mut(&conn).filter(|_| self.tree.contains(conn))?;
        for (replica, end) in ends {
            sub.known.raise(*replica, *end);
            if self.version.end(*replica) < *end {
                sub.graft |= !self.tree.announced(conn, *replica, *end, self.now_ms);
            }
        }
        self.tree.deadline()
    }

    /// Marks those to be asked whose announcements are due, and says when to look again.
    pub(crate) fn graft_due(&mut self) -> Option<u64> {
        for conn in self.tree.due(self.now_ms) {
            self.want_graft(conn);
        }
        self.tree.deadline()
    }

    /// A subscriber asked us to announce only.
    pub(crate) fn pruned(&mut self, conn: ConnId) {
        self.tree.pruned(conn);
    }

    /// Changes go over this link from now on: one side asked the other.
    pub(crate) fn grafted(&mut self, conn: ConnId) {
        self.tree.grafted(conn);
    }

    fn want_graft(&mut self, conn: ConnId) {
        self.subs.get_mut(&conn).into_iter().for_each(|sub| (sub.graft, sub.prune) = (true, false));
    }

    fn want_prune(&mut self, conn: ConnId) {
        self.subs.get_mut(&conn).into_iter().for_each(|sub| (sub.graft, sub.prune) = (false, true));
    }
}

impl Sub {
    /// The ends to be announced that the peer does not know of; from now on it does.
    pub(crate) fn take_announcements(&mut self) -> Vec<(ReplicaId, u64)> {
        let mut ends: Vec<(ReplicaId, u64)> = std::mem::take(&mut self.announce).into_iter().collect();
        ends.retain(|(replica, end)| self.known.end(*replica) < *end);
        ends.iter().for_each(|(replica, end)| self.known.raise(*replica, *end));
        ends
    }
}

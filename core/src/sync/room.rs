//! `Room`: one document: the ends of its logs, what of them is durable, and every peer that has it open.
//!
//! Always holds: a log advances only by changes that continue it and whose dependencies are known; a change is handed
//! on exactly once. Rooms know no connections beyond their number: the engine writes the messages.

mod accept;
mod ack;
mod damage;
mod digest;
mod gossip;
mod outbox;
mod persist;
mod presence;
mod status;
mod sub;

use std::collections::VecDeque;
use std::sync::Arc;

use super::input::{ConnId, DocState, Role};
use super::message::Fingerprint;
use crate::clock::Hlc;
use crate::gossip::Plumtree;
use crate::id::{ReplicaId, VersionVector};
use crate::op::{Digest, LogHead, LogState, chain, chain_start};
use crate::ordered::{OrdMap, OrdSet};
use crate::planted::{self, Bug};

pub(crate) use accept::Fault;
pub(crate) use ack::Acks;
pub(crate) use damage::Damage;
pub(crate) use digest::{Compared, DigestSaid, Summary};
pub(crate) use outbox::{CHUNK_BYTES, Chunk, Piece, cut, to_batch};
pub(crate) use persist::Keeper;
pub(crate) use presence::{MAX_KEY_BYTES, MAX_VALUE_BYTES, PresenceTable, Said, Took};
pub(crate) use sub::Sub;

/// What a peer says that it has.
#[derive(Clone, Debug)]
pub(crate) struct PeerHas {
    pub(crate) version: VersionVector,
    pub(crate) fingerprint: Fingerprint,
}

/// The end of one log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    head: LogHead,
    digest: Digest,
    /// The digests at the last ends, oldest first, the present one included: what others say of the past is held against
    /// them.
    recent: VecDeque<(u64, Digest)>,
}

/// Ends of a log whose digests are remembered.
const RECENT: usize = 32;

impl Log {
    fn new(replica: ReplicaId) -> Self {
        Self::at(LogHead::default(), chain_start(replica))
    }

    fn at(head: LogHead, digest: Digest) -> Self {
        Self { recent: VecDeque::from([(head.end, digest)]), head, digest }
    }

    /// Moves the digest behind a change that the head has read.
    fn chain(&mut self, change: &[u8]) {
        self.digest = chain(&self.digest, change);
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((self.head.end, self.digest));
    }

    /// The digest at an end, if it is remembered.
    fn digest_at(&self, end: u64) -> Option<&Digest> {
        let place = self.recent.binary_search_by_key(&end, |(end, _)| *end);
        place.ok().map(|place| &self.recent[place].1)
    }

    fn mark(&self) -> (u64, Hlc, usize, Digest) {
        (self.head.end, self.head.hlc, self.head.names.len(), self.digest)
    }

    fn reset(&mut self, mark: (u64, Hlc, usize, Digest)) {
        (self.head.end, self.head.hlc, self.digest) = (mark.0, mark.1, mark.3);
        self.head.names.truncate(mark.2);
        while self.recent.back().is_some_and(|(end, _)| *end > mark.0) {
            self.recent.pop_back();
        }
        if self.recent.is_empty() {
            self.recent.push_back((mark.0, mark.3));
        }
    }
}

/// One document.
#[derive(Debug)]
pub(crate) struct Room {
    /// Opened by the application, not only for peers.
    pub(crate) app: bool,
    /// How urgent the application needs it.
    pub(crate) priority: u8,
    /// Who sends presence from here.
    pub(crate) owner: Option<ReplicaId>,
    pub(crate) subs: OrdMap<ConnId, Sub>,
    pub(crate) presence: PresenceTable,
    pub(crate) keeper: Keeper,
    /// Accepted from others since the last flush.
    pub(crate) fresh: Vec<Arc<Piece>>,
    pub(crate) idle_since_ms: Option<u64>,
    /// Stored changes are damaged: the logs stand still until the document is whole again.
    pub(crate) damage: Option<Damage>,
    logs: OrdMap<ReplicaId, Log>,
    version: VersionVector,
    ops: u64,
    summary: Option<Summary>,
    /// Subscribers that sent changes whose dependencies are not here.
    blocked: OrdSet<ConnId>,
    status: status::Told,
    /// Over which links to equals changes go; the others get announcements. Clients are not in it.
    tree: Plumtree<ConnId>,
    /// When the room was last about to change.
    pub(crate) now_ms: u64,
}

impl Room {
    pub(crate) fn new(state: DocState, app: bool, owner: Option<ReplicaId>) -> Self {
        let mut logs = OrdMap::new();
        for LogState { replica, head, digest } in state.logs {
            if head.end > 0 {
                logs.insert(replica, Log::at(head, digest));
            }
        }
        let version: VersionVector = logs.iter().map(|(replica, log)| (*replica, log.head.end)).collect();
        Self {
            app,
            priority: 0,
            owner,
            subs: OrdMap::new(),
            presence: PresenceTable::default(),
            keeper: Keeper::new(version.clone()),
            fresh: Vec::new(),
            idle_since_ms: None,
            damage: None,
            ops: version.ops(),
            status: status::Told::new(version.clone()),
            logs,
            version,
            summary: None,
            blocked: OrdSet::new(),
            tree: Plumtree::default(),
            now_ms: 0,
        }
    }

    /// Everything that is known.
    pub(crate) fn version(&self) -> &VersionVector {
        &self.version
    }

    /// The digest at the end of a log.
    #[cfg(test)]
    pub(crate) fn log_digest(&self, replica: ReplicaId) -> Option<Digest> {
        self.logs.get(&replica).map(|log| log.digest)
    }

    /// What may be sent: an application's copy speaks only of what survives a crash here.
    pub(crate) fn sendable(&self) -> &VersionVector {
        if self.app && !planted::is(Bug::SentBeforeStored) { self.keeper.durable() } else { &self.version }
    }

    /// Whether something may be sent that `known` does not include.
    pub(crate) fn has_more_than(&self, known: &VersionVector) -> bool {
        !known.includes(self.sendable())
    }

    /// Logs of which less is durable than known, with the durable ends. O(logs) if there are any.
    pub(crate) fn undurable(&self) -> Vec<(ReplicaId, u64)> {
        if self.keeper.is_idle() {
            return Vec::new();
        }
        let durable = self.keeper.durable();
        let less = self.version.iter().filter(|(replica, end)| durable.end(*replica) < *end);
        less.map(|(replica, _)| (replica, durable.end(replica))).collect()
    }

    /// Whether changes must be loaded for a subscriber now; notes that they need not be, if so.
    pub(crate) fn wants_load(&self, sub: &mut Sub) -> bool {
        if sub.loading.is_some() || !sub.want_load {
            return false;
        }
        sub.want_load = false;
        sub.may_send && self.has_more_than(&sub.known)
    }

    /// Queues pieces for every subscriber that may have them; where the tree does not pass, only their ends. Who is behind
    /// gets them from the log.
    pub(crate) fn fan_out(&mut self, pieces: &[Arc<Piece>]) {
        for (conn, sub) in self.subs.iter_mut().filter(|(_, sub)| sub.may_send) {
            if self.tree.is_lazy(*conn) {
                sub.announce.extend(pieces.iter().map(|piece| (piece.replica, piece.end)));
            } else if sub.is_behind() {
                sub.want_load = true;
            } else {
                sub.outbox.extend(pieces);
            }
        }
    }

    /// Lets a subscriber in; with `gossip`, as a link of the tree.
    pub(crate) fn add_sub(&mut self, conn: ConnId, sub: Sub, gossip: bool) {
        self.subs.insert(conn, sub);
        if gossip {
            self.tree.up(conn);
        }
    }

    /// How urgent the document is to anybody. O(subscribers).
    pub(crate) fn urgency(&self) -> u8 {
        self.subs.values().map(|sub| sub.priority).fold(self.priority, u8::max)
    }

    /// Whether the document must stay in memory: the application has it open, or a peer that came to us. Peers that we
    /// dialed have it for our sake alone.
    pub(crate) fn in_use(&self) -> bool {
        self.app || self.subs.values().any(|sub| sub.role == Role::Acceptor)
    }

    /// Forgets a subscriber, and ends the presence that came from it.
    pub(crate) fn remove_sub(&mut self, conn: ConnId) -> Option<Sub> {
        let sub = self.subs.remove(&conn)?;
        self.blocked.remove(&conn);
        self.tree.down(conn);
        self.status.remember(&sub, self.subs.values());
        Some(sub)
    }
}

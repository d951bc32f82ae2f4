//! Fetching: a relay brings documents that nobody has open up to the copies of a peer that it dialed, and lets them go.
//!
//! Always holds: every `Input::Fetch` is answered by one `Effect::Fetched`; a document that was fetched and is not used
//! otherwise leaves memory at once. Not here: which documents differ (`merkle`), and when to ask (the driver).

use super::Engine;
use crate::id::DocName;
use crate::sync::conn::Phase;
use crate::sync::room::Room;
use crate::sync::{ConnId, Effect, Role};

impl Engine {
    pub(super) fn fetch(&mut self, id: ConnId, doc: DocName) {
        let dialed = self.conns.get(&id).filter(|conn| conn.role == Role::Dialer && conn.phase == Phase::Ready);
        let Some(conn) = dialed.filter(|_| self.config.serve) else {
            return self.effects.push_back(Effect::Fetched { conn: id, doc });
        };
        let refused = conn.refused.contains_key(&doc);
        let new = !self.rooms.contains_key(&doc) && !self.asked.contains_key(&doc) && !self.fetches.contains_key(&doc);
        self.fetches.entry(doc.clone()).or_default().insert(id);
        if new {
            return self.effects.push_back(Effect::Open { doc });
        }
        if refused {
            self.ask(id, &doc);
        }
        if let Some(sub) = self.room(&doc).and_then(|room| room.subs.get_mut(&id)) {
            // Copies that agreed once may differ by now: a digest finds out.
            (sub.digest_owed, sub.digest_replies, sub.digest_sent) = (true, 0, None);
        }
    }

    /// A room was flushed: what was fetched into it may be there by now.
    pub(super) fn finish_fetches(&mut self, doc: &DocName) {
        let (Some(ids), Some(room)) = (self.fetches.get(doc), self.rooms.get_mut(doc)) else { return };
        let here: Vec<ConnId> = ids.iter().copied().filter(|id| is_here(room, *id)).collect();
        here.into_iter().for_each(|id| self.fetched(id, doc));
    }

    /// A fetch has ended, well or not.
    pub(super) fn fetched(&mut self, id: ConnId, doc: &DocName) {
        let Some(ids) = self.fetches.get_mut(doc).filter(|ids| ids.contains(&id)) else { return };
        ids.remove(&id);
        let last = ids.is_empty();
        self.effects.push_back(Effect::Fetched { conn: id, doc: doc.clone() });
        if last {
            self.fetches.remove(doc);
            if self.rooms.get(doc).is_some_and(|room| !room.in_use() && room.keeper.is_idle()) {
                self.evict(doc);
            }
        }
    }

    /// Ends all fetches of a document that is closed or cannot be loaded.
    pub(super) fn give_up_fetches(&mut self, doc: &DocName) {
        for id in self.fetches.remove(doc).into_iter().flatten() {
            self.effects.push_back(Effect::Fetched { conn: id, doc: doc.clone() });
        }
    }

    /// Ends all fetches over a connection that is gone.
    pub(super) fn give_up_fetches_over(&mut self, id: ConnId) {
        let docs: Vec<DocName> =
            self.fetches.iter().filter(|(_, ids)| ids.contains(&id)).map(|(doc, _)| doc.clone()).collect();
        docs.iter().for_each(|doc| self.fetched(id, doc));
    }
}

/// Whether all that a peer has is durable here, and it has what we may send it.
fn is_here(room: &mut Room, id: ConnId) -> bool {
    let ends = room.summary().ends;
    let Some(sub) = room.subs.get(&id) else { return false };
    let whole = if sub.may_send { sub.agreed == Some(ends) } else { sub.peer_done && sub.missing.is_empty() };
    whole && room.keeper.is_idle()
}

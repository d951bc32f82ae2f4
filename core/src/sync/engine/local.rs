//! What the application and its store say: edits, completions, presence of our own.
//!
//! Always holds: what could not be stored is kept and tried again (an application's copy), or given back to its
//! senders (a served copy, which then leaves memory, so that nothing is shown that a restart would lose).

use super::{Engine, Task};
use crate::graph::Fork;
use crate::id::DocName;
use crate::op::{Batch, Dep};
use crate::sync::room::{Fault, cut};
use crate::sync::timers::Owner;
use crate::sync::{ConnId, Effect, RefuseCode, Role, Token};

impl Engine {
    pub(super) fn edited(&mut self, doc: &DocName, batch: &Batch) {
        let Some(room) = self.room(doc) else { return };
        room.keeper.retry_now();
        let mut wrong = None;
        for segment in &batch.segments {
            match room.edit(segment.replica, segment.first_seq, &segment.frames) {
                Ok(true) => {}
                Ok(false) => wrong = Some("they do not continue what the engine knows".to_owned()),
                Err(Fault::Invalid(error)) => wrong = Some(error.to_string()),
                Err(Fault::Fork(at)) => {
                    let (seq, replica) = (at.seq, at.replica);
                    wrong = Some(format!("another change of replica {replica} is there at operation {seq} or before"));
                }
            }
        }
        let read_only: Vec<ConnId> =
            room.subs.iter().filter(|(_, sub)| !sub.may_send && !sub.read_only_told).map(|(id, _)| *id).collect();
        read_only.into_iter().for_each(|id| self.tell_read_only(id, doc));
        if let Some(wrong) = wrong {
            let text = format!("own changes were not taken: {wrong}");
            self.effects.push_back(Effect::Refused { doc: doc.clone(), code: RefuseCode::Unreadable, text });
        }
    }

    pub(super) fn persisted(&mut self, token: Token) {
        if let Some(Task::Persist(doc)) = self.tasks.remove(&token)
            && let Some(room) = self.room(&doc)
        {
            room.persisted(token);
        }
    }

    pub(super) fn persist_failed(&mut self, token: Token, reason: &str) {
        let now_ms = self.now_ms;
        let Some(Task::Persist(doc)) = self.tasks.remove(&token) else { return };
        let Some(room) = self.room(&doc) else { return };
        if !room.keeper.fail(token, now_ms) {
            return;
        }
        if !room.app {
            return self.evict_unstored(&doc, reason);
        }
        if let Some(at_ms) = room.keeper.retry_ms() {
            self.wake_room_by(&doc, at_ms);
        }
    }

    /// What a peer sent depends on another life of a writer than the one that is stored.
    pub(super) fn forked(&mut self, doc: &DocName, fork: Fork) {
        let Some(room) = self.rooms.get(doc).filter(|room| !room.app) else { return };
        if let Some(id) = room.keeper.sender(fork.by) {
            self.fault(id, doc, Fault::Fork(fork.at));
        }
        self.evict_unstored(doc, "some of them depend on another content than is stored, and were refused");
    }

    fn evict_unstored(&mut self, doc: &DocName, reason: &str) {
        let text = format!("changes cannot be stored now: {reason}");
        let subs = self.rooms.get(doc).map(|room| room.subs.iter().map(|(id, sub)| (*id, sub.channel)).collect());
        let subs: Vec<_> = subs.unwrap_or_default();
        for (id, number) in subs {
            self.refuse(id, number, RefuseCode::NotStored, &text);
        }
        self.evict(doc);
    }

    /// A served document leaves memory, and the links that we had it open over.
    pub(super) fn evict(&mut self, doc: &DocName) {
        let dialed = self.conns.iter().filter(|(_, conn)| conn.role == Role::Dialer);
        let open: Vec<_> = dialed.filter_map(|(id, conn)| Some((*id, *conn.by_doc.get(doc)?))).collect();
        for (id, number) in open {
            self.leave(id, Role::Dialer, number, RefuseCode::Unknown, "");
        }
        self.rooms.remove(doc);
        self.dirty_rooms.remove(doc);
        self.give_up_fetches(doc);
        self.timers.remove(&Owner::Room(doc.clone()));
        self.effects.push_back(Effect::Evict { doc: doc.clone() });
    }

    pub(super) fn loaded(&mut self, token: Token, batch: Batch, digests: &[Dep]) {
        let Some(Task::Load(doc, id)) = self.tasks.remove(&token) else { return };
        let Some(room) = self.room(&doc) else { return };
        let limit = room.sendable().clone();
        let Some(sub) = room.subs.get_mut(&id).filter(|sub| sub.loading == Some(token)) else { return };
        (sub.loading, sub.loaded) = (None, true);
        let cut = cut(batch, digests, &sub.known, &limit).map(|pieces| sub.outbox.extend(&pieces));
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.flow.loading.remove(&doc);
            self.lagging.insert(id);
        }
        if let Err(error) = cut {
            self.load_broken(&doc, id, &error.to_string());
        }
    }

    pub(super) fn load_failed(&mut self, token: Token, reason: &str) {
        let Some(Task::Load(doc, id)) = self.tasks.remove(&token) else { return };
        let sub = self.rooms.get(&doc).and_then(|room| room.subs.get(&id));
        if sub.is_some_and(|sub| sub.loading == Some(token)) {
            self.load_broken(&doc, id, reason);
        }
    }

    fn load_broken(&mut self, doc: &DocName, id: ConnId, reason: &str) {
        let Some(conn) = self.conns.get(&id) else { return };
        let (role, Some(number)) = (conn.role, conn.by_doc.get(doc).copied()) else { return };
        let text = format!("the history cannot be read: {reason}");
        self.leave(id, role, number, RefuseCode::Unreadable, &text);
        if role == Role::Dialer {
            let code = RefuseCode::Unreadable;
            self.effects.push_back(Effect::Refused { doc: doc.clone(), code, text });
        }
    }

    pub(super) fn set_presence(&mut self, doc: &DocName, key: String, value: Option<Vec<u8>>) {
        let (limits, now_ms) = (self.config.limits.clone(), self.now_ms);
        let Some(room) = self.room(doc) else { return };
        if room.set_presence(key, value, &limits, now_ms) {
            self.wake_room_by(doc, now_ms.saturating_add(limits.presence_refresh_ms));
        }
    }
}

//! Channels end: refused, left, or gone with their connection; and what a changed grant does to them.

use super::Engine;
use crate::id::DocName;
use crate::sync::conn::{Channel, Retry};
use crate::sync::message::{Message, clip};
use crate::sync::timers::Owner;
use crate::sync::{ConnId, Effect, RefuseCode, Rights, Role};

const FIRST_RETRY_MS: u64 = 5_000;
const LAST_RETRY_MS: u64 = 60_000;

impl Engine {
    /// Forgets a channel on both sides of it: the connection's and the room's.
    pub(super) fn drop_channel(&mut self, id: ConnId, number: u32) -> Option<DocName> {
        let channel = self.conns.get_mut(&id)?.drop_channel(number)?;
        let doc = channel.doc().clone();
        self.lagging.insert(id);
        match channel {
            Channel::Asking(..) => {}
            Channel::Asked(..) => {
                if let Some(asked) = self.asked.get_mut(&doc) {
                    asked.remove(&id);
                }
            }
            Channel::Live(_) => self.sub_gone(id, &doc),
        }
        self.fetched(id, &doc);
        Some(doc)
    }

    fn sub_gone(&mut self, id: ConnId, doc: &DocName) {
        let (limits, now_ms) = (self.config.limits.clone(), self.now_ms);
        let Some(room) = self.room(doc) else { return };
        if room.remove_sub(id).is_none() {
            return;
        }
        let ended = room.end_presence(id, &limits, now_ms);
        if !room.in_use() {
            room.idle_since_ms = Some(now_ms);
            self.wake_room_by(doc, now_ms.saturating_add(limits.idle_timeout_ms));
        }
        self.tell_presence(doc, &ended);
    }

    /// Tells the peer that a channel is closed, and why.
    pub(super) fn refuse(&mut self, id: ConnId, number: u32, code: RefuseCode, text: &str) {
        let max = self.config.limits.max_documents_per_conn;
        let Some(doc) = self.drop_channel(id, number) else { return };
        let Some(conn) = self.conn(id) else { return };
        conn.push(&Message::Refused { channel: number, code: code.number(), text: clip(text) });
        // A peer whose copy is a fork brings the same again: it is not offered the document, so that others can go on.
        if conn.role == Role::Acceptor && code != RefuseCode::Fork && conn.unserved.len() < max {
            conn.unserved.insert(doc);
        }
    }

    /// The peer closed a channel, or never opened it.
    pub(super) fn refused(&mut self, id: ConnId, number: u32, code: RefuseCode, text: &str) {
        let Some(doc) = self.drop_channel(id, number) else { return };
        let now_ms = self.now_ms;
        if let Some(conn) = self.conns.get_mut(&id).filter(|conn| conn.role == Role::Dialer) {
            let retry = conn.refused.entry(doc.clone()).or_default();
            let again = matches!(code, RefuseCode::Unreadable | RefuseCode::NotStored | RefuseCode::Limit);
            retry.delay_ms = (retry.delay_ms * 2).clamp(FIRST_RETRY_MS, LAST_RETRY_MS);
            retry.at_ms = again.then(|| now_ms.saturating_add(retry.delay_ms));
            if let Retry { at_ms: Some(at_ms), .. } = *retry {
                self.timers.at_latest(Owner::Conn(id), at_ms);
            }
        }
        self.effects.push_back(Effect::Refused { doc: doc.clone(), code, text: clip(text).to_owned() });
        if code == RefuseCode::Fork {
            self.tell_forked(id, doc);
        }
    }

    /// Holds the open channels of a connection against its new grant. A channel whose rights changed is closed; if it
    /// may still be read, the peer is asked to open it anew, and learns its rights by that.
    pub(super) fn apply_grant(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let mut changed = Vec::new();
        for (number, channel) in &conn.channels {
            let rights = conn.grant.rights(channel.doc());
            let sub = self.rooms.get(channel.doc()).and_then(|room| room.subs.get(&id));
            let was = sub.map_or(Rights { read: true, write: rights.write }, |sub| sub.rights);
            if was != rights {
                changed.push((*number, channel.doc().clone(), rights));
            }
        }
        for (number, doc, rights) in changed {
            self.refuse(id, number, RefuseCode::Forbidden, "the rights of this credential changed");
            if rights.read {
                self.offer(id, doc);
            }
        }
    }

    /// Says that an `Open` of this document, refused before, could succeed now.
    pub(super) fn offer(&mut self, id: ConnId, doc: DocName) {
        if let Some(conn) = self.conn(id) {
            conn.unserved.remove(&doc);
            conn.push(&Message::Offer { name: doc });
        }
    }
}

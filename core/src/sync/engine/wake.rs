//! What time does: heartbeats, timeouts, retries, presence that ends, rooms that leave memory.

use super::Engine;
use crate::id::DocName;
use crate::sync::conn::{Channel, Phase};
use crate::sync::message::Message;
use crate::sync::timers::Owner;
use crate::sync::{CloseCode, ConnId};

impl Engine {
    pub(super) fn wake(&mut self) {
        for owner in self.timers.due(self.now_ms) {
            match owner {
                Owner::Conn(id) => self.wake_conn(id),
                Owner::Room(doc) => self.wake_room(&doc),
            }
        }
    }

    fn wake_conn(&mut self, id: ConnId) {
        let (limits, now_ms) = (self.config.limits.clone(), self.now_ms);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match conn.phase {
            Phase::Closing => return,
            Phase::Greeting | Phase::Authenticating if conn.due_ms(&limits) <= now_ms => {
                return self.close(id, CloseCode::Timeout, "the greeting took too long");
            }
            Phase::Ready if conn.heard_ms.saturating_add(limits.timeout_ms) <= now_ms => {
                let text = format!("nothing was heard for {} ms", limits.timeout_ms);
                return self.close(id, CloseCode::Timeout, &text);
            }
            Phase::Ready if conn.is_stalled(&limits, now_ms) => {
                let text = format!("nothing was taken for {} ms", limits.stall_timeout_ms);
                return self.close(id, CloseCode::Timeout, &text);
            }
            _ => {}
        }
        let mut due: Vec<DocName> = Vec::new();
        for (doc, retry) in &mut conn.refused {
            if retry.at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                retry.at_ms = None;
                due.push(doc.clone());
            }
        }
        let quiet = conn.phase == Phase::Ready && conn.sent_ms.saturating_add(limits.ping_after_ms) <= now_ms;
        due.iter().for_each(|doc| self.ask(id, doc));
        if quiet {
            self.heartbeat(id);
        }
        if let Some(conn) = self.conns.get(&id) {
            self.timers.at_latest(Owner::Conn(id), conn.due_ms(&limits).max(now_ms.saturating_add(1)));
        }
    }

    /// A sign of life, and a look at whether quiet copies are equal.
    fn heartbeat(&mut self, id: ConnId) {
        let now_ms = self.now_ms;
        let Some(conn) = self.conn(id) else { return };
        conn.push(&Message::Ping);
        conn.sent_ms = now_ms;
        let live = conn.channels.values().filter(|channel| matches!(channel, Channel::Live(_)));
        let docs: Vec<DocName> = live.map(|channel| channel.doc().clone()).collect();
        for doc in docs {
            let Some(room) = self.room(&doc) else { continue };
            let ends = room.summary().ends;
            if let Some(sub) = room.subs.get_mut(&id).filter(|sub| sub.agreed != Some(ends)) {
                (sub.digest_owed, sub.digest_replies) = (true, 0);
            }
        }
    }

    fn wake_room(&mut self, doc: &DocName) {
        let (limits, now_ms) = (self.config.limits.clone(), self.now_ms);
        let Some(room) = self.room(doc) else { return };
        let ended = room.tick_presence(&limits, now_ms);
        let graft_ms = room.graft_due();
        let idle_ms = room.idle_since_ms.map(|since_ms| since_ms.saturating_add(limits.idle_timeout_ms));
        if !room.in_use() && room.keeper.is_idle() && idle_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            return self.evict(doc);
        }
        // An idle room that is still being stored is looked at again a little later.
        let idle_ms = idle_ms.map(|at_ms| at_ms.max(now_ms.saturating_add(1_000)));
        let waits = [room.presence_due_ms(), room.keeper.retry_ms(), idle_ms, graft_ms];
        if let Some(at_ms) = waits.into_iter().flatten().min() {
            self.wake_room_by(doc, at_ms.max(now_ms.saturating_add(1)));
        }
        self.tell_presence(doc, &ended);
    }
}

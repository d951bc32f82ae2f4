//! Priorities: of many documents over one connection, the one on screen comes first.
//!
//! Always holds: within one turn of the driver what is urgent is asked for, and sent, before what is not; documents of
//! one priority go in the order of their names. Not here: how much may wait for a slow connection (the driver).

use super::Engine;
use crate::id::DocName;
use crate::ordered::ranking;
use crate::sync::conn::Channel;
use crate::sync::message::Message;
use crate::sync::room::Room;
use crate::sync::{ConnId, Role};

impl Engine {
    pub(super) fn prioritize(&mut self, doc: &DocName, priority: u8) {
        let Some(room) = self.rooms.get_mut(doc).filter(|room| room.priority != priority) else { return };
        room.priority = priority;
        for (id, conn) in &mut self.conns {
            if let Some(&channel) = conn.by_doc.get(doc).filter(|_| conn.role == Role::Dialer) {
                conn.push(&Message::Priority { channel, priority });
                self.dirty_conns.insert(*id);
            }
        }
    }

    /// The peer says how urgent it needs a document.
    pub(super) fn on_priority(&mut self, id: ConnId, number: u32, priority: u8) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match conn.channels.get_mut(&number) {
            Some(Channel::Asked(_, request)) => request.priority = priority,
            Some(Channel::Live(doc)) => {
                let sub = self.rooms.get_mut(doc).and_then(|room| room.subs.get_mut(&id));
                sub.into_iter().for_each(|sub| sub.priority = priority);
            }
            _ => {}
        }
    }

    /// Documents, given in the order of their names, with the urgent ones first.
    pub(super) fn by_priority(&self, docs: Vec<DocName>) -> Vec<DocName> {
        let urgency = |doc: &DocName| self.rooms.get(doc).map_or(0, Room::urgency);
        let calm: Vec<u64> = docs.iter().map(|doc| u64::MAX - u64::from(urgency(doc))).collect();
        ranking(&calm).into_iter().map(|at| docs[at as usize].clone()).collect()
    }
}

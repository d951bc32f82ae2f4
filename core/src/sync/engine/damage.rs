//! Documents of which stored changes are damaged: who may help, and what becomes of them.
//!
//! Always holds: while a document is damaged nothing that peers send moves its logs: it goes to the driver, which
//! verifies it, stores it, and opens the document anew. Not here: the verification (the driver knows what was stored).

use super::Engine;
use crate::id::{DocName, ReplicaId};
use crate::op::{Batch, Segment};
use crate::sync::input::DocState;
use crate::sync::room::{Damage, Room};
use crate::sync::{ConnId, Effect, RefuseCode};

impl Engine {
    /// A document is here, but for what is damaged.
    pub(super) fn opened_damaged(&mut self, doc: DocName, state: DocState, damage: Damage) {
        self.give_up_damaged(&doc, &damage.reason);
        if self.rooms.contains_key(&doc) {
            return;
        }
        let asked = self.asked.remove(&doc);
        let mut room = Room::new(state, false, None);
        room.damage = Some(damage);
        self.enter(&doc, room, asked);
    }

    /// Lets go of a damaged document that is not repaired now; its peers may ask again.
    pub(super) fn give_up_damaged(&mut self, doc: &DocName, reason: &str) {
        let Some(room) = self.rooms.get(doc).filter(|room| room.damage.is_some()) else { return };
        let subs: Vec<_> = room.subs.iter().map(|(id, sub)| (*id, sub.channel)).collect();
        for (id, number) in subs {
            self.refuse(id, number, RefuseCode::Unreadable, reason);
        }
        self.evict(doc);
    }

    /// The driver does not want a peer in a document.
    pub(super) fn refuse_for_driver(&mut self, id: ConnId, doc: &DocName, code: RefuseCode, text: &str) {
        if let Some(number) = self.conns.get(&id).and_then(|conn| conn.by_doc.get(doc)).copied() {
            self.refuse(id, number, code, text);
        }
    }

    /// Changes for a damaged document; whether it is one.
    pub(super) fn salvaged(
        &mut self,
        id: ConnId,
        doc: &DocName,
        replica: ReplicaId,
        first_seq: u64,
        frames: &[u8],
    ) -> bool {
        let damaged = self.rooms.get(doc).is_some_and(|room| room.damage.is_some());
        if damaged {
            let batch = Batch::from(Segment { replica, first_seq, frames: frames.into() });
            self.effects.push_back(Effect::Salvaged { conn: id, doc: doc.clone(), batch });
        }
        damaged
    }
}

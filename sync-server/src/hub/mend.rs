//! The hub's damaged documents: what peers bring for them is verified and put in place, and the document read anew.
//!
//! Always holds: nobody is let into a document between its repair and the reading of it; what is not what was stored is
//! refused. Not here: which records are damaged, and what counts as a repair (`repair`).

use selvedge::DocName;
use selvedge::op::Batch;
use selvedge::store::StoreError;
use selvedge::sync::{ConnId, Input, RefuseCode};

use super::Hub;
use crate::repair::Progress;
use crate::room::Room;

impl Hub {
    /// What stands of a damaged document waits for the rest, unless nothing is missing.
    pub(super) fn room_damaged(&mut self, doc: DocName, mut room: Room) {
        let Some(repair) = &room.repair else { return };
        let (reason, missing) = (repair.reason(&self.store_name, &doc), repair.missing());
        tracing::error!(%doc, "damaged: {reason}");
        if let Progress::Whole(records) = repair.whole() {
            self.mending.insert(doc.clone());
            return self.storage.repair(doc, records);
        }
        let state = room.state();
        self.rooms.insert(doc.clone(), room);
        self.input(Input::Damaged { doc, state, missing, reason });
    }

    /// A peer sends changes that may be the missing ones.
    pub(super) fn salvaged(&mut self, conn: ConnId, doc: DocName, batch: &Batch) {
        let Some(repair) = self.rooms.get_mut(&doc).and_then(|room| room.repair.as_mut()) else { return };
        match repair.take_in(conn, batch) {
            Ok(Progress::Waits) => {}
            Ok(Progress::Whole(records)) => {
                if let Some(room) = self.rooms.get_mut(&doc) {
                    room.repair = None;
                }
                self.mending.insert(doc.clone());
                self.storage.repair(doc, records);
            }
            Err(text) => {
                tracing::warn!(%doc, conn = conn.0, "not taken for the repair: {text}");
                self.input(Input::Refuse { conn, doc, code: RefuseCode::Fork, text });
            }
        }
    }

    /// What a scrub found damaged, the room in memory has. Without a room, whoever opens the document next mends it.
    pub(super) fn mend_from_memory(&mut self, doc: DocName, damaged: Room) {
        let Some(room) = self.rooms.get(&doc).filter(|room| room.repair.is_none() && !self.mending.contains(&doc))
        else {
            return;
        };
        let lacks = room.since(&damaged.version());
        let Some(mut repair) = damaged.repair else { return };
        match repair.take_in(ConnId(u64::MAX), &lacks) {
            Ok(Progress::Whole(records)) => self.storage.repair(doc, records),
            Ok(Progress::Waits) => tracing::error!(%doc, "the room in memory lacks what is damaged in the store"),
            Err(problem) => tracing::error!(%doc, "the room in memory is not what was stored: {problem}"),
        }
    }

    /// The store has what was missing: the document is read anew, as any other.
    pub(super) fn repaired(&mut self, doc: DocName, records: usize, result: Result<(), StoreError>) {
        match result {
            Ok(()) => {
                tracing::warn!(%doc, records, "repaired: what was damaged was fetched again, verified and rewritten");
                if self.mending.remove(&doc) {
                    self.storage.read(doc);
                }
            }
            Err(error) => {
                self.mending.remove(&doc);
                tracing::error!(%doc, "cannot be repaired: {error}");
                self.input(Input::OpenFailed { doc, reason: error.to_string() });
            }
        }
    }
}

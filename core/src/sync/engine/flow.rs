//! Flow control: what the driver has written and the peer has taken makes room, and whoever was behind is served from
//! the log, a part at a time.
//!
//! Always holds: what is most urgent to the peer comes first, and of equals the one that waits longest; a part is
//! loaded only when there is room for it. Not here: how much that is (`sync/flow`), and how parts are sent (`flush`).

use std::cmp::Reverse;

use super::open::Broken;
use super::{Engine, Task, take_token};
use crate::id::DocName;
use crate::sync::room::CHUNK_BYTES;
use crate::sync::{ConnId, Effect};

impl Engine {
    /// The driver has written frames of a connection.
    pub(super) fn written(&mut self, id: ConnId, bytes: usize) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.flow.written(bytes, self.now_ms);
        if !conn.flow.behind.is_empty() {
            self.lagging.insert(id);
        }
    }

    /// The peer has taken changes of a document.
    pub(super) fn on_credit(&mut self, id: ConnId, doc: &DocName, taken: u64) -> Result<(), Broken> {
        let sub = self.rooms.get_mut(doc).and_then(|room| room.subs.get_mut(&id));
        if let Some(sub) = sub {
            sub.window.credit(taken)?;
            self.lagging.insert(id);
        }
        Ok(())
    }

    /// Lets those go on for which there is room again; whether something must be loaded for that.
    pub(super) fn catch_up(&mut self) -> bool {
        let before = self.effects.len();
        while let Some(id) = self.lagging.pop_first() {
            while let Some(doc) = self.next_behind(id) {
                self.serve(id, doc);
            }
        }
        self.effects.len() > before
    }

    /// The document that is most urgent to a peer, of those that are behind and have room. O(documents behind).
    fn next_behind(&self, id: ConnId) -> Option<DocName> {
        let (limits, conn) = (&self.config.limits, self.conns.get(&id)?);
        let room = conn.room(limits);
        if room == 0 {
            return None;
        }
        // Half of it is left to what is live.
        let for_parts = room > limits.max_unwritten_bytes / 2;
        let candidates = conn.flow.behind.iter().filter_map(|doc| {
            let found = self.rooms.get(doc)?;
            let sub = found.subs.get(&id)?;
            let fits = !sub.want_load || (for_parts && (!conn.flow_control || sub.window.left(limits) > 0));
            fits.then_some((Reverse(sub.priority.max(found.priority)), sub.turn, doc))
        });
        candidates.min().map(|(_, _, doc)| doc.clone())
    }

    fn serve(&mut self, id: ConnId, doc: DocName) {
        let (Some(conn), Some(room)) = (self.conns.get_mut(&id), self.rooms.get_mut(&doc)) else { return };
        conn.flow.behind.remove(&doc);
        let Some(mut sub) = room.subs.remove(&id) else { return };
        sub.turn = conn.flow.take_turn();
        if room.wants_load(&mut sub) {
            let token = take_token(&mut self.next_token);
            self.tasks.insert(token, Task::Load(doc.clone(), id));
            sub.loading = Some(token);
            conn.flow.loading.insert(doc.clone());
            let since = sub.known.clone();
            self.effects.push_back(Effect::Load { token, doc: doc.clone(), since, max_bytes: CHUNK_BYTES });
        } else {
            self.dirty_rooms.insert(doc.clone());
        }
        room.subs.insert(id, sub);
    }
}

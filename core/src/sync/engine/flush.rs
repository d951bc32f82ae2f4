//! What has gathered since the last drain becomes effects: changes to store and to import, then one frame per
//! connection.
//!
//! Always holds: `Persist` and `Applied` come before any `Load` or `Send` that counts on them; equal states give equal
//! effects in one order.

use super::{Engine, Task, take_token};
use crate::id::DocName;
use crate::sync::conn::Conn;
use crate::sync::message::{Blob, Message};
use crate::sync::room::{Chunk, Compared, Room, Sub, to_batch};
use crate::sync::{AckLevel, CloseCode, ConnId, Effect, Limits, RefuseCode, Role};

/// How often missing changes are asked for again without any progress.
const MAX_RESYNCS: u8 = 3;

/// Bytes of a `Changes` message beyond its changes, at most.
const CHANGES_OVERHEAD: usize = 64;

/// Why a subscriber cannot go on.
enum Trouble {
    Fork,
    Stuck,
    TooLarge(usize),
}

/// What flushing one subscriber works with.
struct Turn<'a> {
    id: ConnId,
    room: &'a mut Room,
    conn: &'a mut Conn,
    limits: &'a Limits,
}

impl Engine {
    pub(super) fn flush(&mut self) {
        loop {
            while let Some(doc) = self.dirty_rooms.pop_first() {
                self.settle_room(&doc);
                self.settled_rooms.insert(doc);
            }
            if !self.effects.is_empty() {
                // What the driver answers at once goes into the same frames.
                return;
            }
            let settled = std::mem::take(&mut self.settled_rooms).into_iter().collect();
            for doc in self.by_priority(settled) {
                self.flush_room(&doc);
            }
            if self.catch_up() {
                return;
            }
            if self.dirty_rooms.is_empty() {
                break;
            }
        }
        for id in std::mem::take(&mut self.dirty_conns) {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            for bytes in conn.take_frames(&self.config.limits, self.now_ms) {
                conn.sent_ms = self.now_ms;
                self.effects.push_back(Effect::Send { conn: id, bytes });
            }
            if !conn.flow.behind.is_empty() {
                // Deflated, the frames leave more room.
                self.lagging.insert(id);
            }
        }
    }

    /// What the driver has to do for a room: store, import.
    fn settle_room(&mut self, doc: &DocName) {
        let now_ms = self.now_ms;
        let Some(room) = self.rooms.get_mut(doc) else { return };
        if room.keeper.is_due(now_ms) {
            let token = take_token(&mut self.next_token);
            self.tasks.insert(token, Task::Persist(doc.clone()));
            let batch = room.keeper.start(token);
            self.effects.push_back(Effect::Persist { token, doc: doc.clone(), batch });
        }
        let fresh = std::mem::take(&mut room.fresh);
        if !fresh.is_empty() {
            self.effects.push_back(Effect::Applied { doc: doc.clone(), batch: to_batch(&fresh) });
        }
    }

    /// What the peers of a room are to be told.
    fn flush_room(&mut self, doc: &DocName) {
        let Some(room) = self.rooms.get_mut(doc) else { return };
        let mut troubles = Vec::new();
        let mut subs = std::mem::take(&mut room.subs);
        for (id, sub) in &mut subs {
            let Some(conn) = self.conns.get_mut(id) else { continue };
            self.dirty_conns.insert(*id);
            let mut turn = Turn { id: *id, room: &mut *room, conn, limits: &self.config.limits };
            match turn.flush(sub) {
                Ok(false) => {}
                Ok(true) => {
                    conn.flow.behind.insert(doc.clone());
                    self.lagging.insert(*id);
                }
                Err(trouble) => troubles.push((*id, sub.channel, trouble)),
            }
        }
        room.subs = subs;
        for (id, channel, trouble) in troubles {
            self.trouble(id, channel, doc, &trouble);
        }
        let had = self.rooms.get_mut(doc).into_iter().flat_map(|room| room.subs.values_mut());
        let had: Vec<_> = had.filter_map(|sub| sub.had.take()).collect();
        for (received, durable) in had {
            self.tell_acked(doc, AckLevel::Received, received);
            self.tell_acked(doc, AckLevel::Durable, durable);
        }
        self.finish_fetches(doc);
        if let Some(status) = self.rooms.get_mut(doc).and_then(Room::status_to_tell) {
            self.effects.push_back(Effect::Status { doc: doc.clone(), status });
        }
    }

    fn trouble(&mut self, id: ConnId, channel: u32, doc: &DocName, trouble: &Trouble) {
        match trouble {
            Trouble::Fork => self.fork(id, channel, doc, None),
            Trouble::Stuck => {
                let text = format!("changes of document {doc} keep coming without what they depend on");
                self.close(id, CloseCode::InvalidChanges, &text);
            }
            Trouble::TooLarge(bytes) => {
                let text = format!("a change of {bytes} bytes is larger than the other side takes");
                self.refuse(id, channel, RefuseCode::Limit, &text);
                self.effects.push_back(Effect::Refused { doc: doc.clone(), code: RefuseCode::Limit, text });
            }
        }
    }
}

impl Turn<'_> {
    /// Says what is to be said; whether something waits for room.
    fn flush(&mut self, sub: &mut Sub) -> Result<bool, Trouble> {
        self.ask_again(sub)?;
        let waits = self.changes(sub)?;
        let has_room = self.conn.room(self.limits) > 0;
        self.prune(sub);
        if has_room {
            self.announce(sub);
        }
        self.digest(sub)?;
        self.acks(sub);
        if has_room {
            self.presence(sub);
        }
        Ok(waits || !sub.announce.is_empty() || !sub.presence.is_empty())
    }

    /// Asks for what is missing, once the peer has said that it is through, or for what it only announced.
    fn ask_again(&mut self, sub: &mut Sub) -> Result<(), Trouble> {
        let stuck = sub.peer_done && (sub.gap || !sub.held.is_empty());
        if !stuck && !sub.graft {
            return Ok(());
        }
        sub.resyncs += u8::from(stuck);
        if sub.resyncs > MAX_RESYNCS {
            return Err(Trouble::Stuck);
        }
        sub.held.clear();
        sub.graft = false;
        self.room.grafted(self.id);
        (sub.gap, sub.peer_done, sub.digest_replies) = (false, false, 0);
        let version = self.conn.names_out.ends(self.room.version().iter());
        self.conn.push(&Message::Resync { channel: sub.channel, version });
        Ok(())
    }

    /// Sends what is in the outbox, if there is room; otherwise it is dropped, and comes from the log. Returns whether that
    /// waits for room.
    fn changes(&mut self, sub: &mut Sub) -> Result<bool, Trouble> {
        let loaded = std::mem::take(&mut sub.loaded);
        if !loaded && (sub.is_behind() || sub.outbox.bytes() > self.room_for(sub)) {
            sub.outbox.clear();
            sub.want_load |= sub.loading.is_none();
            return Ok(sub.want_load && sub.loading.is_none());
        }
        let (chunks, mut whole) = sub.outbox.drain(&mut sub.known);
        let sent = !chunks.is_empty();
        self.continues(sub, &chunks);
        for chunk in chunks {
            let bytes = chunk.frames.len();
            sub.window.sent(bytes);
            if (bytes + CHANGES_OVERHEAD) as u64 > self.conn.peer_max_bytes {
                return Err(Trouble::TooLarge(bytes));
            }
            let log = self.conn.names_out.index(chunk.replica);
            let (channel, first_seq, frames) = (sub.channel, chunk.first, Blob(&chunk.frames));
            self.conn.push(&Message::Changes { channel, log, first_seq, frames });
        }
        if loaded {
            // A store that had nothing is not asked again before it was written to.
            whole = !self.room.has_more_than(&sub.known);
            sub.starved = !whole && !sent;
            whole |= sub.starved;
        }
        sub.want_load |= !whole;
        Ok(sub.want_load)
    }

    /// How many bytes of changes may be pushed to a subscriber.
    fn room_for(&self, sub: &Sub) -> usize {
        let room = self.conn.room(self.limits);
        if self.conn.flow_control { room.min(sub.window.left(self.limits)) } else { room }
    }

    /// Unless the copies were found equal, says with the first changes of each log what they go on with, in front of all:
    /// two writers with one id are found before anything of the one is taken for a part of the other.
    fn continues(&mut self, sub: &mut Sub, chunks: &[Chunk]) {
        let mut points = Vec::new();
        for chunk in chunks {
            let first = sub.agreed.is_none() && sub.continued.insert(chunk.replica) && chunk.first > 0;
            if let Some(digest) = chunk.before.filter(|_| first) {
                points.push((self.conn.names_out.index(chunk.replica), chunk.first, digest));
            }
        }
        if !points.is_empty() {
            self.conn.push(&Message::Continues { channel: sub.channel, points });
        }
    }

    /// Says that changes need not come over this channel.
    fn prune(&mut self, sub: &mut Sub) {
        if std::mem::take(&mut sub.prune) {
            self.conn.push(&Message::Prune { channel: sub.channel });
        }
    }

    /// Says what could come.
    fn announce(&mut self, sub: &mut Sub) {
        let ends = sub.take_announcements();
        if !ends.is_empty() {
            let ends = self.conn.names_out.ends(ends.into_iter());
            self.conn.push(&Message::Announce { channel: sub.channel, ends });
        }
    }

    fn digest(&mut self, sub: &mut Sub) -> Result<(), Trouble> {
        if let Some(said) = sub.digest_said {
            match self.room.compare(&said) {
                Compared::Unknown => {}
                Compared::Fork => return Err(Trouble::Fork),
                Compared::Equal => {
                    sub.agreed = Some(said.summary.ends);
                    (sub.digest_said, sub.digest_owed) = (None, true);
                }
            }
        }
        // The acceptor speaks first: the dialer's digest then tells of both.
        let turn = sub.role == Role::Acceptor || sub.peer_done;
        if sub.digest_owed && turn && sub.loading.is_none() && !sub.want_load {
            sub.digest_owed = false;
            let summary = self.room.summary();
            if sub.digest_sent != Some(summary.ends) {
                sub.digest_sent = Some(summary.ends);
                self.conn.push(&Message::Digest {
                    channel: sub.channel,
                    ops: self.room.ops(),
                    ends: summary.ends,
                    fingerprint: summary.fingerprint,
                });
            }
        }
        Ok(())
    }

    fn acks(&mut self, sub: &mut Sub) {
        if let Some(taken) = sub.window.take_credit(self.limits).filter(|_| self.conn.flow_control) {
            self.conn.push(&Message::Credit { channel: sub.channel, taken });
        }
        let (received, durable) = sub.acks.take();
        for (level, ends) in [(AckLevel::Received, received), (AckLevel::Durable, durable)] {
            if !ends.is_empty() {
                let ends = self.conn.names_out.ends(ends.into_iter());
                self.conn.push(&Message::Ack { channel: sub.channel, level, ends });
            }
        }
    }

    fn presence(&mut self, sub: &mut Sub) {
        for key in std::mem::take(&mut sub.presence) {
            let Some((said, from)) = self.room.presence.get(&key) else { continue };
            if from == Some(self.id) {
                continue;
            }
            let owner = self.conn.names_out.index(key.0);
            self.conn.push(&Message::Presence {
                channel: sub.channel,
                owner,
                clock: said.clock,
                user: said.user.as_deref(),
                key: &key.1,
                value: said.value.as_deref().map(Blob),
            });
        }
    }
}

//! Messages come in: checked for size, shape and access, then given to the part that knows what to do.
//!
//! Always holds: a frame is decoded whole before its first message counts; whatever a peer sends ends at worst in a
//! closed connection with a number, and touches nobody else.

use super::Engine;
use super::open::Broken;
use crate::id::DocName;
use crate::op::Dep;
use crate::ordered::OrdMap;
use crate::planted::{self, Bug};
use crate::sync::access::{Need, allowed, greeting_allowed, need};
use crate::sync::conn::{Channel, Phase};
use crate::sync::message::{Ends, Frame, MAX_GREETING_BYTES, Message, decode, is_messages, unpack};
use crate::sync::room::{DigestSaid, Fault, MAX_KEY_BYTES, MAX_VALUE_BYTES, Said, Summary, Took};
use crate::sync::{AckLevel, CloseCode, ConnId, Effect, RefuseCode, Role};

/// Digests that we answer with ours during one catch-up while the versions still differ.
const MAX_DIGEST_REPLIES: u8 = 4;

impl Engine {
    pub(super) fn received(&mut self, id: ConnId, bytes: &[u8]) {
        let max = self.config.limits.max_message_bytes;
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.phase == Phase::Closing {
            return;
        }
        conn.heard_ms = self.now_ms;
        let max = if conn.phase == Phase::Ready { max } else { max.min(MAX_GREETING_BYTES) };
        if bytes.len() > max {
            let text = format!("a message of {} bytes is above the limit of {max}", bytes.len());
            return self.close(id, CloseCode::TooLarge, &text);
        }
        let (phase, sender) = (conn.phase, conn.peer_role());
        if phase != Phase::Ready && is_messages(bytes) {
            return self.close(id, CloseCode::Forbidden, "nothing but the greeting is read before it was accepted");
        }
        let unpacked = unpack(bytes, max);
        let result = match unpacked.as_deref().map_err(String::clone).and_then(decode) {
            Err(text) => Err(Broken(CloseCode::Malformed, text)),
            Ok(Frame::Greeting(greeting)) if greeting_allowed(&greeting, phase, sender) => {
                self.greeted(id, &greeting);
                Ok(())
            }
            Ok(Frame::Greeting(_)) => Err(Broken(CloseCode::Forbidden, "this greeting is out of place".into())),
            Ok(Frame::Messages(messages)) => self.messages(id, messages),
        };
        if let Err(Broken(code, text)) = result
            && !planted::is(Bug::DamagedFrameIsPassedOver)
        {
            self.close(id, code, &text);
        }
    }

    fn messages(&mut self, id: ConnId, messages: Vec<Message<'_>>) -> Result<(), Broken> {
        for message in messages {
            // One message may close the connection for the rest of its frame.
            let Some(conn) = self.conns.get(&id).filter(|conn| conn.phase != Phase::Closing) else { return Ok(()) };
            let need = need(&message);
            let (number, open) = match need {
                Need::Connection | Need::Dialer | Need::Acceptor | Need::Answer => (None, false),
                Need::Channel(number) | Need::DialerChannel(number) => (Some(number), false),
                Need::Read(number) | Need::Write(number) => (Some(number), true),
            };
            if number.is_some_and(|number| number >= conn.next_channel) {
                return Err(format!("channel {} was never opened", conn.next_channel).into());
            }
            let live = match number.and_then(|number| conn.channels.get(&number)) {
                Some(Channel::Live(doc)) => Some(doc.clone()),
                // We closed it while the message was on its way.
                None if open && conn.phase == Phase::Ready => continue,
                _ => None,
            };
            let room = live.as_ref().and_then(|doc| self.rooms.get(doc));
            let rights = room.and_then(|room| room.subs.get(&id)).map(|sub| sub.rights);
            if !allowed(need, conn.phase, conn.peer_role(), rights) {
                let text = "a message that is not allowed now, or not with these rights".to_owned();
                return Err(Broken(CloseCode::Forbidden, text));
            }
            self.message(id, live, message)?;
        }
        Ok(())
    }

    /// One message that is allowed. `live`: the document, if it needs an open channel.
    fn message(&mut self, id: ConnId, live: Option<DocName>, message: Message<'_>) -> Result<(), Broken> {
        match (message, live) {
            (Message::Names(names), _) => {
                let max = self.config.limits.max_names_per_conn;
                let fits = self.conns.get_mut(&id).is_none_or(|conn| conn.names_in.extend(names, max));
                if fits { Ok(()) } else { Err(Broken(CloseCode::Limit, format!("more than {max} replicas named"))) }
            }
            (Message::Open(open), _) => self.on_open(id, open),
            (Message::Opened(opened), _) => self.on_opened(id, &opened),
            (Message::Refused { channel, code, text }, _) => {
                let code = RefuseCode::from_number(code).ok_or_else(|| format!("refusal {code} is not known"))?;
                self.refused(id, channel, code, text);
                Ok(())
            }
            (Message::Leave { channel }, _) => {
                self.drop_channel(id, channel);
                Ok(())
            }
            (Message::Offer { name }, _) => {
                self.ask(id, &name);
                Ok(())
            }
            (Message::Changes { log, first_seq, frames, .. }, Some(doc)) => {
                self.on_changes(id, &doc, log, first_seq, frames.0)
            }
            (Message::Digest { ops, ends, fingerprint, .. }, Some(doc)) => {
                self.on_digest(id, &doc, DigestSaid { ops, summary: Summary { ends, fingerprint } });
                Ok(())
            }
            (Message::Resync { version, .. }, Some(doc)) => self.on_resync(id, &doc, &version),
            (Message::Ack { level, ends, .. }, Some(doc)) => self.on_ack(id, &doc, level, &ends),
            (Message::Presence { owner, clock, user, key, value, .. }, Some(doc)) => {
                let said = Said { clock, user: user.map(str::to_owned), value: value.map(|value| value.0.to_vec()) };
                self.on_presence(id, &doc, owner, key, said)
            }
            (Message::Question { collection, question }, _) => self.on_question(id, collection, question.0),
            (Message::Answer { collection, answer }, _) => {
                self.on_answer(id, collection, answer.map(|answer| answer.0))
            }
            (Message::Announce { ends, .. }, Some(doc)) => self.on_announce(id, &doc, &ends),
            (Message::Prune { .. }, Some(doc)) => {
                self.room(&doc).into_iter().for_each(|room| room.pruned(id));
                Ok(())
            }
            (Message::Credit { taken, .. }, Some(doc)) => self.on_credit(id, &doc, taken),
            (Message::Priority { channel, priority }, _) => {
                self.on_priority(id, channel, priority);
                Ok(())
            }
            (Message::Continues { points, .. }, Some(doc)) => self.on_continues(id, &doc, &points),
            (Message::Search { name, question }, _) => self.on_search(id, name, question.0),
            (Message::SearchAnswer { name, answer }, _) => {
                self.on_search_answer(id, &name, answer.map(|answer| answer.0))
            }
            (Message::News { collection }, _) => {
                let collection = collection.to_owned();
                self.effects.push_back(Effect::News { conn: id, collection });
                Ok(())
            }
            (Message::Ping, _) => {
                let half = self.config.limits.ping_after_ms / 2;
                let now_ms = self.now_ms;
                // A background tab sleeps through its timers, but not through this.
                if let Some(conn) = self.conn(id)
                    && conn.sent_ms.saturating_add(half) <= now_ms
                {
                    conn.push(&Message::Ping);
                }
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    fn on_changes(&mut self, id: ConnId, doc: &DocName, log: u32, first: u64, frames: &[u8]) -> Result<(), Broken> {
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let replica = conn.names_in.replica(log)?;
        if frames.is_empty() {
            return Err("a message of changes without a change".to_owned().into());
        }
        let sub = self.room(doc).and_then(|room| room.subs.get_mut(&id));
        sub.into_iter().for_each(|sub| sub.window.took(frames.len()));
        if self.salvaged(id, doc, replica, first, frames) {
            return Ok(());
        }
        let Some(room) = self.room(doc) else { return Ok(()) };
        for (whose, fault) in room.receive(id, replica, first, frames) {
            self.fault(whose, doc, fault);
        }
        Ok(())
    }

    fn on_continues(&mut self, id: ConnId, doc: &DocName, points: &[(u32, u64, [u8; 16])]) -> Result<(), Broken> {
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let point =
            |(log, end, digest): &_| Ok(Dep { replica: conn.names_in.replica(*log)?, end: *end, digest: *digest });
        let points = points.iter().map(point).collect::<Result<Vec<_>, String>>()?;
        let room = self.rooms.get(doc).filter(|room| room.damage.is_none());
        if let Some(fault) = room.and_then(|room| room.continues(&points)) {
            self.fault(id, doc, fault);
        }
        Ok(())
    }

    /// A peer's changes were wrong.
    pub(super) fn fault(&mut self, id: ConnId, doc: &DocName, fault: Fault) {
        match fault {
            Fault::Invalid(error) => {
                let text = format!("changes of document {doc}: {error}");
                self.close(id, CloseCode::InvalidChanges, &text);
            }
            Fault::Fork(at) => {
                if let Some(number) = self.conns.get(&id).and_then(|conn| conn.by_doc.get(doc)).copied() {
                    self.fork(id, number, doc, Some(at));
                }
            }
        }
    }

    fn on_digest(&mut self, id: ConnId, doc: &DocName, said: DigestSaid) {
        let Some(sub) = self.room(doc).and_then(|room| room.subs.get_mut(&id)) else { return };
        sub.peer_done = true;
        sub.digest_said = Some(said);
        if sub.digest_replies < MAX_DIGEST_REPLIES {
            sub.digest_replies += 1;
            sub.digest_owed = true;
        }
    }

    fn on_resync(&mut self, id: ConnId, doc: &DocName, version: &Ends) -> Result<(), Broken> {
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let version = conn.names_in.version(version)?;
        let Some(room) = self.room(doc) else { return Ok(()) };
        room.grafted(id);
        if let Some(sub) = room.subs.get_mut(&id) {
            sub.known = version;
            sub.outbox.clear();
            sub.announce = OrdMap::new();
            (sub.want_load, sub.digest_owed, sub.digest_sent) = (true, true, None);
            sub.digest_replies = 0;
        }
        Ok(())
    }

    fn on_announce(&mut self, id: ConnId, doc: &DocName, ends: &Ends) -> Result<(), Broken> {
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let ends = conn.names_in.ends(ends, false)?;
        if let Some(at_ms) = self.room(doc).and_then(|room| room.announced(id, &ends)) {
            self.wake_room_by(doc, at_ms);
        }
        Ok(())
    }

    fn on_ack(&mut self, id: ConnId, doc: &DocName, level: AckLevel, ends: &[(u32, u64)]) -> Result<(), Broken> {
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let ends = conn.names_in.ends(&ends.to_vec(), false)?;
        let Some(room) = self.room(doc) else { return Ok(()) };
        room.acked(id, level, &ends);
        if room.app {
            self.tell_acked(doc, level, ends.into_iter().collect());
        }
        Ok(())
    }

    /// Bug class J: whose presence it is follows from the channel and the credential, never from the message alone.
    fn on_presence(&mut self, id: ConnId, doc: &DocName, owner: u32, key: &str, mut said: Said) -> Result<(), Broken> {
        let (limits, now_ms) = (self.config.limits.clone(), self.now_ms);
        let Some(conn) = self.conns.get(&id) else { return Ok(()) };
        let owner = conn.names_in.replica(owner)?;
        let (role, is_relay) = (conn.role, conn.grant.is_relay());
        if key.len() > MAX_KEY_BYTES || said.value.as_ref().is_some_and(|value| value.len() > MAX_VALUE_BYTES) {
            return Err(Broken(CloseCode::Limit, "a presence key or value is too long".into()));
        }
        let Some(room) = self.room(doc) else { return Ok(()) };
        let Some(sub) = room.subs.get(&id) else { return Ok(()) };
        // A relay names no owner: it speaks for its clients, whom it has checked.
        let bound = role == Role::Acceptor && !(is_relay && sub.owner.is_none());
        if bound && sub.owner != Some(owner) {
            return Err(Broken(CloseCode::Forbidden, "presence of another replica than the channel's".into()));
        }
        if bound {
            said.user = sub.user.clone();
        }
        let key = (owner, key.to_owned());
        let took = room.presence.take(&key, said, id, bound, &limits, now_ms);
        if took == Took::TooMany {
            return Err(Broken(CloseCode::Limit, "too many presence keys".into()));
        }
        if took != Took::Nothing {
            room.spread_presence(&key);
        }
        self.wake_room_by(doc, now_ms.saturating_add(limits.presence_timeout_ms));
        if took == Took::Changed {
            self.tell_presence(doc, std::slice::from_ref(&key));
        }
        Ok(())
    }

    /// Tells the application what became of presence keys.
    pub(super) fn tell_presence(&mut self, doc: &DocName, keys: &[(crate::id::ReplicaId, String)]) {
        let Some(room) = self.rooms.get(doc).filter(|room| room.app) else { return };
        for (owner, key) in keys {
            let said = room.presence.get(&(*owner, key.clone())).map(|(said, _)| said.clone());
            self.effects.push_back(Effect::Presence {
                doc: doc.clone(),
                owner: *owner,
                user: said.as_ref().and_then(|said| said.user.clone()),
                key: key.clone(),
                value: said.and_then(|said| said.value),
            });
        }
    }
}

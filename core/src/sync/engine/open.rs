//! Documents open and close: on our side, and over connections; the answer to an `Open` starts the catch-up.
//!
//! Always holds: rights are looked at before anything else about the document; the dialer needs one round trip.

use super::Engine;
use crate::id::{DocName, OpId, ReplicaId, VersionVector};
use crate::ordered::{OrdMap, OrdSet};
use crate::sync::conn::{Channel, Phase, Request};
use crate::sync::input::DocState;
use crate::sync::message::{Difference, Message, Open, Opened};
use crate::sync::room::{Acks, PeerHas, Room, Sub};
use crate::sync::{AckLevel, CloseCode, ConnId, Effect, Link, RefuseCode, Rights, Role};

/// A message that breaks the protocol.
pub(super) struct Broken(pub(super) CloseCode, pub(super) String);

impl From<String> for Broken {
    fn from(text: String) -> Self {
        Self(CloseCode::Malformed, text)
    }
}

impl Engine {
    pub(super) fn opened(&mut self, doc: DocName, state: DocState, owner: Option<ReplicaId>) {
        let asked = self.asked.remove(&doc);
        let fetched = self.fetches.contains_key(&doc);
        if let Some(room) = self.room(&doc) {
            room.owner = owner.or(room.owner);
            if room.damage.is_some() {
                room.mend(state);
                self.spread(&doc);
            }
            return;
        }
        let room = Room::new(state, asked.is_none() && !fetched, owner);
        self.enter(&doc, room, asked);
    }

    /// A room is here: for whoever asked for it, and for all that may want it.
    pub(super) fn enter(&mut self, doc: &DocName, mut room: Room, asked: Option<OrdSet<ConnId>>) {
        if !room.app {
            room.idle_since_ms = Some(self.now_ms);
            self.wake_room_by(doc, self.now_ms.saturating_add(self.config.limits.idle_timeout_ms));
        }
        self.rooms.insert(doc.clone(), room);
        self.dirty_rooms.insert(doc.clone());
        for id in asked.into_iter().flatten() {
            self.admit_asked(id, doc);
        }
        self.hand_searches(doc);
        self.spread(doc);
    }

    /// Asks the peers that we dialed for a document, and offers it to those that were refused it.
    fn spread(&mut self, doc: &DocName) {
        let ready = self.conns.iter().filter(|(_, conn)| conn.phase == Phase::Ready);
        let ready: Vec<_> = ready.map(|(id, conn)| (*id, conn.role, conn.unserved.contains(doc))).collect();
        for (id, role, offer) in ready {
            match role {
                Role::Dialer => self.ask(id, doc),
                Role::Acceptor if offer => self.offer(id, doc.clone()),
                Role::Acceptor => {}
            }
        }
    }

    pub(super) fn open_failed(&mut self, doc: &DocName, reason: &str) {
        self.give_up_damaged(doc, reason);
        self.hand_searches(doc);
        for id in self.asked.remove(doc).into_iter().flatten() {
            if let Some(number) = self.conns.get(&id).and_then(|conn| conn.by_doc.get(doc)).copied() {
                self.refuse(id, number, RefuseCode::Unreadable, reason);
            }
        }
        self.give_up_fetches(doc);
    }

    pub(super) fn closed(&mut self, doc: &DocName) {
        let with_channel = self.conns.iter().filter_map(|(id, conn)| Some((*id, conn.role, *conn.by_doc.get(doc)?)));
        for (id, role, number) in with_channel.collect::<Vec<_>>() {
            self.leave(id, role, number, RefuseCode::Unknown, "the document was closed here");
        }
        for conn in self.conns.values_mut() {
            conn.refused.remove(doc);
        }
        self.rooms.remove(doc);
        self.dirty_rooms.remove(doc);
        self.give_up_fetches(doc);
    }

    /// Ends a channel from our side, in the words of our role.
    pub(super) fn leave(&mut self, id: ConnId, role: Role, number: u32, code: RefuseCode, text: &str) {
        if role == Role::Acceptor || code != RefuseCode::Unknown {
            return self.refuse(id, number, code, text);
        }
        self.drop_channel(id, number);
        if let Some(conn) = self.conn(id) {
            conn.push(&Message::Leave { channel: number });
        }
    }

    /// Asks the peer that we dialed for a document of ours.
    pub(super) fn ask(&mut self, id: ConnId, doc: &DocName) {
        let (Some(room), Some(conn)) = (self.rooms.get_mut(doc), self.conns.get_mut(&id)) else { return };
        if conn.phase != Phase::Ready || conn.role != Role::Dialer || conn.by_doc.contains_key(doc) {
            return;
        }
        self.dirty_conns.insert(id);
        if let Some(retry) = conn.refused.get_mut(doc) {
            retry.at_ms = None;
        }
        let version = room.version().clone();
        let open = Open {
            channel: conn.add_channel(Channel::Asking(doc.clone(), version.clone())),
            name: doc.clone(),
            lineage: None,
            version: conn.names_out.ends(version.iter()),
            fingerprint: room.summary().fingerprint,
            owner: room.owner.map(|owner| conn.names_out.index(owner)),
            acks: room.app && conn.link != Link::SharedStore,
        };
        let (channel, priority) = (open.channel, room.priority);
        conn.push(&Message::Open(open));
        if priority > 0 {
            conn.push(&Message::Priority { channel, priority });
        }
    }

    /// A peer asks for a document.
    pub(super) fn on_open(&mut self, id: ConnId, open: Open) -> Result<(), Broken> {
        let limits = self.config.limits.clone();
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        if open.channel != conn.next_channel || conn.by_doc.contains_key(&open.name) {
            return Err(format!("channel {} or its document is open, or a channel was left out", open.channel).into());
        }
        let has = PeerHas { version: conn.names_in.version(&open.version)?, fingerprint: open.fingerprint };
        let owner = open.owner.map(|owner| conn.names_in.replica(owner)).transpose()?;
        let request = Request { channel: open.channel, has, owner, acks: open.acks, priority: 0 };
        let doc = open.name;
        let rights = conn.grant.rights(&doc);
        conn.unserved.remove(&doc);
        conn.add_channel(Channel::Asked(doc.clone(), Box::new(request)));
        let channel = open.channel;
        if !rights.read {
            self.refuse(id, channel, RefuseCode::Forbidden, "this credential may not read the document");
        } else if conn.channels.len() > limits.max_documents_per_conn {
            let text = format!("{} documents are open, which is the limit here", limits.max_documents_per_conn);
            self.refuse(id, channel, RefuseCode::Limit, &text);
        } else if open.lineage.is_some_and(|lineage| lineage != doc.lineage()) {
            self.refuse(id, channel, RefuseCode::Lineage, "the document was reset: this is another life of it");
        } else if self.rooms.contains_key(&doc) {
            self.admit_asked(id, &doc);
        } else if self.config.serve {
            if !self.asked.contains_key(&doc) {
                self.effects.push_back(Effect::Open { doc: doc.clone() });
            }
            self.asked.entry(doc).or_default().insert(id);
        } else {
            self.refuse(id, channel, RefuseCode::Unknown, "the document is not open here");
        }
        Ok(())
    }

    /// Lets a peer into a room that is here now.
    fn admit_asked(&mut self, id: ConnId, doc: &DocName) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let Some(number) = conn.by_doc.get(doc).copied() else { return };
        let Some(Channel::Asked(_, request)) = conn.channels.get(&number) else { return };
        let request = request.clone();
        let (rights, user) = (conn.grant.rights(doc), conn.grant.user.clone());
        let Some(room) = self.rooms.get_mut(doc) else { return };
        let taken = room.subs.values().any(|sub| sub.owner.is_some() && sub.owner == request.owner && sub.user != user);
        if request.owner.is_some() && request.owner == room.owner {
            // It writes with our id: before anything of it is looked at, there are two writers.
            return self.fork(id, number, doc, None);
        }
        if taken {
            return self.refuse(id, number, RefuseCode::Forbidden, "this replica's presence belongs to somebody else");
        }
        if let Some(reason) = room.cannot_help(&request.has.version, rights) {
            return self.refuse(id, number, RefuseCode::Unreadable, &reason);
        }
        let same_version = request.has.version == *room.version();
        let same = same_version && request.has.fingerprint == room.summary().fingerprint;
        if same_version && !same {
            return self.fork(id, number, doc, None);
        }
        self.admit(id, doc, &request, rights, user, same);
    }

    fn admit(
        &mut self,
        id: ConnId,
        doc: &DocName,
        request: &Request,
        rights: Rights,
        user: Option<String>,
        same: bool,
    ) {
        self.dirty_conns.insert(id);
        self.dirty_rooms.insert(doc.clone());
        let (Some(conn), Some(room)) = (self.conns.get_mut(&id), self.rooms.get_mut(doc)) else { return };
        let remote = conn.link != Link::SharedStore;
        let mut sub = Sub::new(request.channel, Role::Acceptor, remote, request.has.version.clone());
        (sub.rights, sub.owner, sub.user, sub.priority) = (rights, request.owner, user, request.priority);
        sub.acks = Acks::new(request.acks && remote, true, &request.has.version, room);
        room.start_status(&mut sub, &request.has.version, &VersionVector::new());
        let summary = room.summary();
        (sub.peer_done, sub.digest_owed) = (same, !same);
        sub.agreed = same.then_some(summary.ends);
        sub.want_load = room.has_more_than(&sub.known);
        sub.presence = room.presence_for(id);
        let undurable = room.undurable();
        let message = Opened {
            channel: request.channel,
            rights,
            state: (!same).then(|| Difference {
                ends: conn.names_out.ends(difference(&request.has.version, room.version())),
                fingerprint: summary.fingerprint,
            }),
            undurable: if request.acks { conn.names_out.ends(undurable.into_iter()) } else { Vec::new() },
            acks: room.app && remote,
        };
        conn.push(&Message::Opened(message));
        conn.channels.insert(request.channel, Channel::Live(doc.clone()));
        room.idle_since_ms = None;
        // Who may not write has nothing to announce.
        room.add_sub(id, sub, conn.gossip && rights.write);
    }

    /// The peer that we dialed has opened a document that we asked for.
    pub(super) fn on_opened(&mut self, id: ConnId, opened: &Opened) -> Result<(), Broken> {
        self.dirty_conns.insert(id);
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        let (doc, offered) = match conn.channels.get(&opened.channel) {
            Some(Channel::Asking(doc, offered)) => (doc.clone(), offered),
            None if opened.channel < conn.next_channel => return Ok(()),
            _ => return Err(format!("channel {} was not asked for", opened.channel).into()),
        };
        let mut has: OrdMap<ReplicaId, u64> = offered.iter().collect();
        if let Some(difference) = &opened.state {
            has.extend(conn.names_in.ends(&difference.ends, true)?);
        }
        let mut durable = has.clone();
        durable.extend(conn.names_in.ends(&opened.undurable, true)?);
        let (has, durable) = (VersionVector::from_iter(has), VersionVector::from_iter(durable));
        conn.channels.insert(opened.channel, Channel::Live(doc.clone()));
        conn.refused.remove(&doc);
        let (remote, gossip) = (conn.link != Link::SharedStore, conn.gossip && opened.rights.write);
        let same = opened.state.is_none();
        let Some(room) = self.room(&doc) else { return Ok(()) };
        let mut sub = Sub::new(opened.channel, Role::Dialer, remote, has.clone());
        sub.may_send = opened.rights.write;
        sub.acks = Acks::new(opened.acks && remote, false, &has, room);
        room.start_status(&mut sub, &has, &durable);
        let equal_ends = *room.version() == has;
        let summary = room.summary();
        (sub.peer_done, sub.digest_owed) = (same, !same);
        sub.agreed = (same && equal_ends).then_some(summary.ends);
        let ahead = room.has_more_than(&has);
        sub.want_load = ahead && sub.may_send;
        if sub.may_send {
            sub.presence = room.presence_for(id);
        }
        if room.app && remote {
            sub.had = Some((room.own_part(&has), room.own_part(&durable)));
        }
        room.add_sub(id, sub, gossip);
        if opened.state.as_ref().is_some_and(|other| equal_ends && other.fingerprint != summary.fingerprint) {
            self.fork(id, opened.channel, &doc, None);
            return Ok(());
        }
        if ahead && !opened.rights.write {
            self.tell_read_only(id, &doc);
        }
        Ok(())
    }

    pub(super) fn tell_acked(&mut self, doc: &DocName, level: AckLevel, version: VersionVector) {
        if !version.is_empty() {
            self.effects.push_back(Effect::Acked { doc: doc.clone(), level, version });
        }
    }

    /// Tells the application once per connection that its changes stay here.
    pub(super) fn tell_read_only(&mut self, id: ConnId, doc: &DocName) {
        let sub = self.rooms.get_mut(doc).and_then(|room| room.subs.get_mut(&id));
        if let Some(sub) = sub.filter(|sub| !sub.read_only_told) {
            sub.read_only_told = true;
            let text = "this credential may read but not write: changes stay on this device".to_owned();
            self.effects.push_back(Effect::Refused { doc: doc.clone(), code: RefuseCode::Forbidden, text });
        }
    }

    /// Two contents for one version, or for what was found to differ: both sides are told, and exchange nothing more.
    pub(super) fn fork(&mut self, id: ConnId, number: u32, doc: &DocName, at: Option<OpId>) {
        let what = match at {
            Some(OpId { replica, seq }) => format!("differ at operation {seq} of replica {replica} or before"),
            None => "contradict each other".to_owned(),
        };
        let text = format!("the two copies {what}: a replica id was used twice");
        self.refuse(id, number, RefuseCode::Fork, &text);
        self.effects.push_back(Effect::Refused { doc: doc.clone(), code: RefuseCode::Fork, text });
        self.tell_forked(id, doc.clone());
    }
}

/// Where `ours` differs from `theirs`, with our ends.
fn difference(theirs: &VersionVector, ours: &VersionVector) -> impl Iterator<Item = (ReplicaId, u64)> {
    let mut ends: OrdMap<ReplicaId, u64> = theirs.iter().map(|(replica, _)| (replica, 0)).collect();
    ends.extend(ours.iter());
    ends.retain(|replica, end| theirs.end(*replica) != *end);
    ends.into_iter()
}

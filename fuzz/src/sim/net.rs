//! Connections: dialed, carrying frames in order, breaking in every way that a WebSocket can, and dialed again.
//!
//! Always holds: a connection is dialed only where both sides reach each other; damage that the frame itself shows must
//! close the connection, and other damage is noticed by the transport, which closes it as well.

use selvedge::DocName;
use selvedge::sync::{CloseCode, ConnId, Input, Link as Medium, Role};

use super::link::{Damage, End, Lane, Link, MAX_WAITING, Packet};
use super::node::{Kind, MAX_UNWRITTEN_BYTES};
use super::tally::Fault;
use super::watch::{Heard, Watch};
use super::wire::{self, Frame, Greeting, Message};
use super::world::{Due, RELAY, World};

/// Frames that a liar remembers.
const MAX_SAID: usize = 32;

/// Frames that one connection may carry without anything having been written; far more than any catch-up.
const MAX_FRAMES: u64 = 20_000;

fn conn_id(link: u64, end: usize) -> ConnId {
    ConnId(link * 2 + end as u64)
}

fn link_of(conn: ConnId) -> (u64, usize) {
    (conn.0 / 2, (conn.0 % 2) as usize)
}

impl World {
    /// The device at the other end of a connection.
    pub(super) fn peer(&self, conn: ConnId) -> Option<usize> {
        let (link, end) = link_of(conn);
        Some(self.links.get(&link)?.ends[1 - end].node)
    }

    pub(super) fn plan_dial(&mut self, node: usize, slot: usize, least_ms: u64, most_ms: u64) {
        if !std::mem::replace(&mut self.nodes[node].slots[slot].dialing, true) {
            let wait_ms = self.random.between(least_ms, most_ms);
            self.after(wait_ms, Due::Dial { node, slot });
        }
    }

    pub(super) fn dial_if_needed(&mut self, node: usize) {
        (0..self.nodes[node].slots.len()).for_each(|slot| self.plan_dial(node, slot, 0, 100));
    }

    pub(super) fn is_blocked(&self, from: usize, to: usize) -> Option<u64> {
        self.blocked.get(&(from, to)).copied().filter(|until_ms| *until_ms > self.now_ms)
    }

    pub(super) fn dial(&mut self, node: usize, number: usize) {
        self.nodes[node].slots[number].dialing = false;
        let slot = self.nodes[node].slots[number].clone();
        if self.nodes[node].process.is_none() || slot.link.is_some() {
            return;
        }
        let apart = self.is_blocked(node, slot.to).or(self.is_blocked(slot.to, node)).is_some();
        if self.nodes[slot.to].process.is_none() || apart {
            return self.plan_dial(node, number, 1_000, 6_000);
        }
        let strange = matches!(self.nodes[node].kind, Kind::Hostile | Kind::Previous) || self.nodes[node].suspect;
        let watch = (!strange).then(Watch::default);
        let link = self.next_link;
        self.next_link += 1;
        let ends = [End { node, open: true }, End { node: slot.to, open: true }];
        let latency_ms = if slot.shared { 1 } else { self.random.between(3, 120) };
        let lanes = [Lane::default(), Lane::default()];
        let shared = slot.shared;
        self.links.insert(link, Link { ends, lanes, slot: number, latency_ms, sent: 0, watch });
        self.nodes[node].slots[number].link = Some(link);
        let credential = (!shared).then(|| format!("{node}:{}", self.nodes[node].token.0));
        let medium = if shared { Medium::SharedStore } else { Medium::Remote };
        for (end, (node, role)) in [(node, Role::Dialer), (slot.to, Role::Acceptor)].into_iter().enumerate() {
            let credential = credential.clone().filter(|_| end == 0);
            self.input(node, Input::Connected { conn: conn_id(link, end), role, link: medium, credential });
        }
        self.drain(slot.to);
        self.drain(node);
    }

    /// An engine sends a frame.
    pub(super) fn send(&mut self, node: usize, conn: ConnId, bytes: Vec<u8>) {
        let (number, end) = link_of(conn);
        let bytes = self.in_its_words(node, bytes);
        self.trace.update(&self.now_ms.to_le_bytes()).update(&conn.0.to_le_bytes()).update(&bytes);
        let Some(link) = self.links.get_mut(&number).filter(|link| link.ends[end].open) else { return };
        let mut heard = Vec::new();
        if let Some(watch) = &mut link.watch {
            match watch.frame(end, &bytes) {
                Ok(said) => {
                    heard = said.heard;
                    link.sent += u64::from(said.busy.is_some());
                    if let Some(message) = said.busy.filter(|_| self.is_settled) {
                        let text: String = message.chars().take(200).collect();
                        self.problem.get_or_insert(format!(
                            "there is talk although all copies are equal: by device {node}: {text}"
                        ));
                    }
                    if link.sent > MAX_FRAMES {
                        self.problem.get_or_insert(format!("a connection never comes to rest: {number}"));
                    }
                    let disk = &self.nodes[node].disk;
                    let unstored = |(doc, replica, upto)| disk.durable(doc).end(replica) < upto;
                    let told = said.changes.iter().map(|told| (&told.doc, told.replica, told.end));
                    let early = node != RELAY && told.clone().any(unstored);
                    let untrue = said.durable.iter().find(|(doc, claimed)| !disk.durable(doc).includes(claimed));
                    if early {
                        self.fail(format!("changes are sent before they are stored: by device {node}"));
                    } else if let Some((doc, claimed)) = untrue {
                        let stored = disk.durable(doc);
                        self.fail(format!("durable is said before it is stored: {claimed:?} of {doc}, the disk of {node} has {stored:?}"));
                    }
                }
                // Where a writer exists twice, two sides may cut its log in different places.
                Err(_) if !self.facts.twice.is_empty() => {}
                Err(problem) => self.fail(format!("{problem} (by device {node})")),
            }
        }
        if self.nodes[node].kind == Kind::Hostile {
            self.remember(node, &bytes);
        }
        self.put(number, end, Packet::Frame(bytes, heard));
    }

    /// A liar keeps what it said, and knows what its connection has come to.
    fn remember(&mut self, node: usize, bytes: &[u8]) {
        let liar = &mut self.nodes[node];
        liar.said.push_front(bytes.to_vec());
        liar.said.truncate(MAX_SAID);
        match wire::read(bytes) {
            Some(Frame::Greeting(_)) => (liar.named, liar.channel) = (0, None),
            Some(Frame::Messages(messages)) => {
                for message in messages {
                    match message {
                        Message::Names(names) => liar.named += names.len() as u32,
                        Message::Open { channel, name, .. } => {
                            liar.channel = DocName::new(name).ok().map(|doc| (channel, doc));
                        }
                        _ => {}
                    }
                }
            }
            None => {}
        }
    }

    /// What a peer of another version says in place of our greeting.
    fn in_its_words(&self, node: usize, bytes: Vec<u8>) -> Vec<u8> {
        let (versions, extension) = match self.nodes[node].kind {
            Kind::Previous => ((0, 0), Vec::new()),
            Kind::Newer => ((0, 9), b"what later versions say".to_vec()),
            _ => return bytes,
        };
        match wire::read(&bytes) {
            Some(Frame::Greeting(Greeting::Hello { max_message_bytes, credential, agent, .. })) => {
                let ((min, max), capabilities) = (versions, u64::from(versions.1) << 40);
                wire::greeting(&Greeting::Hello {
                    min,
                    max,
                    capabilities,
                    max_message_bytes,
                    credential,
                    agent,
                    extension,
                })
            }
            _ => bytes,
        }
    }

    /// Puts a packet on its way.
    pub(super) fn put(&mut self, number: u64, end: usize, packet: Packet) {
        let now_ms = self.now_ms;
        let Some(link) = self.links.get_mut(&number) else { return };
        if link.lanes[end].dead {
            return;
        }
        let at_ms = link.arrival(end, now_ms);
        let slow = link.lanes[end].slow.1 > now_ms;
        let is_frame = matches!(packet, Packet::Frame(..));
        link.lanes[end].queue.push_back((at_ms, packet));
        let (from, waiting) = (link.ends[end].node, link.waiting(end));
        if waiting > MAX_WAITING && self.nodes[from].kind != Kind::Hostile {
            self.fail(format!("{waiting} bytes wait for one peer: sent by device {from}"));
        }
        self.plan(at_ms, Due::Arrive { link: number, end });
        self.tally.add(Fault::SlowPeer, usize::from(slow && is_frame));
    }

    /// A packet that this end sent arrives.
    pub(super) fn arrive(&mut self, number: u64, end: usize) {
        let now_ms = self.now_ms;
        let Some(link) = self.links.get_mut(&number) else { return };
        let (from, to) = (link.ends[end].node, link.ends[1 - end].node);
        let lane = &mut link.lanes[end];
        let Some((at_ms, _)) = lane.queue.front() else { return };
        if *at_ms > now_ms || lane.dead {
            return;
        }
        if let Some(until_ms) = self.is_blocked(from, to) {
            return self.plan(until_ms, Due::Arrive { link: number, end });
        }
        let Some(link) = self.links.get_mut(&number) else { return };
        let Some((_, packet)) = link.lanes[end].queue.pop_front() else { return };
        match packet {
            Packet::Fin => self.hear_end(number, 1 - end),
            Packet::Frame(..) if !link.ends[1 - end].open => {
                // Nobody is there any more: the sender is told.
                self.plan(now_ms + 20, Due::Gone { link: number, end });
            }
            Packet::Frame(bytes, heard) => {
                link.lanes[end].unreported += bytes.len();
                if link.ends[end].open && link.lanes[end].unreported >= MAX_UNWRITTEN_BYTES / 4 {
                    let bytes = std::mem::take(&mut link.lanes[end].unreported);
                    self.input(from, Input::Written { conn: conn_id(number, end), bytes });
                    self.drain(from);
                }
                self.deliver(number, end, bytes, heard);
            }
        }
        self.forget(number);
    }

    fn deliver(&mut self, number: u64, end: usize, bytes: Vec<u8>, heard: Vec<Heard>) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let to = link.ends[1 - end].node;
        if let Some(damage) = link.lanes[end].damage.take() {
            return self.deliver_damaged(number, end, bytes, damage);
        }
        if let Some(watch) = &mut link.watch {
            watch.arrived(1 - end, heard);
        }
        let from = link.ends[end].node;
        let before = (self.nodes[from].kind == Kind::Hostile && self.nodes[from].read_only).then(|| self.held(to));
        self.input(to, Input::Received { conn: conn_id(number, 1 - end), bytes });
        self.drain(to);
        if before.is_some_and(|before| self.held(to) > before) {
            self.fail(format!("changes were taken from somebody who may only read: by device {to}"));
        }
    }

    /// How many operations a process has, of all documents.
    fn held(&self, node: usize) -> u64 {
        let copies = self.nodes[node].process.iter().flat_map(|process| process.copies.values());
        copies.map(|copy| copy.version().ops()).sum()
    }

    /// Damage that still reads as messages is what checksums of the transport are for: it closes the connection.
    fn deliver_damaged(&mut self, number: u64, end: usize, mut bytes: Vec<u8>, damage: Damage) {
        let at = self.random.between(0, bytes.len() as u64) as usize;
        match damage {
            Damage::Truncate => {
                self.tally.add(Fault::Truncated, 1);
                bytes.truncate(at);
            }
            Damage::Flip => {
                self.tally.add(Fault::Flipped, 1);
                bytes[at] ^= 1 << self.random.between(0, 8);
            }
        }
        if wire::read(&bytes).is_some() {
            self.hear_end(number, end);
            return self.hear_end(number, 1 - end);
        }
        let Some(link) = self.links.get(&number) else { return };
        let to = link.ends[1 - end].node;
        self.input(to, Input::Received { conn: conn_id(number, 1 - end), bytes });
        self.drain(to);
        if self.links.get(&number).is_some_and(|link| link.ends[1 - end].open) {
            self.fail(format!("a damaged frame was taken: by device {to}"));
        }
    }

    /// An engine closes a connection; what it said before still arrives.
    pub(super) fn closed_by_us(&mut self, node: usize, conn: ConnId, code: CloseCode, text: &str) {
        let (number, end) = link_of(conn);
        let Some(link) = self.links.get_mut(&number).filter(|link| link.ends[end].open) else { return };
        let other = link.ends[1 - end].node;
        let kinds = [self.nodes[node].kind, self.nodes[other].kind];
        let known_faults = kinds.contains(&Kind::Hostile) || self.nodes[node].suspect || self.nodes[other].suspect;
        match code {
            CloseCode::Version if kinds.contains(&Kind::Previous) => {
                self.tally.add(Fault::PreviousVersion, usize::from(node == RELAY));
            }
            CloseCode::Unauthorized => self.nodes[other.max(node)].token.0 = self.nodes[other.max(node)].token.1,
            CloseCode::Timeout | CloseCode::Malformed | CloseCode::Forbidden if node != other => {}
            // A history that went back may not fit the log that it claims to continue: its device is told.
            CloseCode::InvalidChanges if known_faults => {
                let documents = self.documents.clone();
                [node, other].into_iter().for_each(|told| self.nodes[told].forked.extend(documents.iter().cloned()));
            }
            _ if known_faults => {}
            _ => self.fail(format!(
                "a connection was closed without a reason: by device {node} to {other}, {code:?}, {text}"
            )),
        }
        self.hear_end(number, end);
        self.put(number, end, Packet::Fin);
    }

    /// An end of a link learns that the connection is gone.
    pub(super) fn gone(&mut self, number: u64, end: usize) {
        self.hear_end(number, end);
        self.forget(number);
    }

    fn hear_end(&mut self, number: u64, end: usize) {
        let Some(link) = self.links.get_mut(&number) else { return };
        if !std::mem::replace(&mut link.ends[end].open, false) {
            return;
        }
        let (node, slot) = (link.ends[end].node, link.slot);
        self.input(node, Input::Disconnected { conn: conn_id(number, end) });
        if end == 0 {
            self.nodes[node].slots[slot].link = None;
            // Whoever speaks no version that we do is told so, and does not come again.
            if self.nodes[node].process.is_some() && self.nodes[node].kind != Kind::Previous {
                self.plan_dial(node, slot, 500, 8_000);
            }
        }
        self.drain(node);
    }

    /// Forgets a link that nobody has any more.
    fn forget(&mut self, number: u64) {
        let over = |link: &Link| link.ends.iter().all(|end| !end.open);
        if self.links.get(&number).is_some_and(over) {
            self.links.remove(&number);
        }
    }

    /// The process of a device is gone: its connections are, and sooner or later its peers notice.
    pub(super) fn hang_up(&mut self, node: usize) {
        let numbers: Vec<(u64, usize)> = self.links_of(node);
        for (number, end) in numbers {
            let Some(link) = self.links.get_mut(&number) else { continue };
            let lost = link.in_flight(1 - end);
            (link.ends[end].open, link.lanes[1 - end].dead) = (false, true);
            link.watch.iter_mut().for_each(|watch| watch.gone(end));
            let slot = link.slot;
            if end == 0 {
                self.nodes[node].slots[slot].link = None;
            }
            self.tally.add(Fault::Drop, lost);
            let notice_ms = [10, 50, 50_000][self.random.between(0, 3) as usize];
            self.after(notice_ms, Due::Gone { link: number, end: 1 - end });
            self.forget(number);
        }
    }

    /// The links of a device that it knows of, and which end it has.
    pub(super) fn links_of(&self, node: usize) -> Vec<(u64, usize)> {
        let mine = |end: &End| end.node == node && end.open;
        let found = self.links.iter().filter_map(|(number, link)| Some((*number, link.ends.iter().position(mine)?)));
        found.collect()
    }

    /// The link from a device to the relay.
    pub(super) fn uplink(&self, node: usize) -> Option<u64> {
        self.nodes[node].slots.first()?.link
    }
}

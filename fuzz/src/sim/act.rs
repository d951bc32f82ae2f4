//! What a scenario says, done to the world.
//!
//! Always holds: an event that does not apply does nothing and is not counted.

use selvedge::clock::MAX_DRIFT_MS;
use selvedge::sync::{ConnId, Input};

use super::copies::Copy;
use super::disk::Health;
use super::drive::grant;
use super::link::{Damage, Packet};
use super::node::{Kind, Node};
use super::scenario::{Cut, Event, Harm, Lie, Point, What};
use super::tally::Fault;
use super::wire::{self, Level, Message};
use super::world::{Due, RELAY, World};
use crate::bytes;

impl World {
    pub(super) fn act(&mut self, event: &Event) {
        let number = usize::from(event.node);
        let writers: Vec<usize> = self.all(Kind::is_honest);
        let Some(writer) = writers.get(number % writers.len().max(1)).copied() else { return };
        // The relay breaks as well as the others.
        let anybody = if number % (writers.len() + 2) == 0 { RELAY } else { writer };
        match &event.what {
            What::Edit { document, edits } => self.edit(writer, *document, |open| open.edit(edits)),
            What::Undo { document } => self.edit(writer, *document, |open| open.undo()),
            What::Presence { document, value } => self.share(writer, *document, *value),
            What::Cut(how) => self.cut(writer, *how),
            What::Harm { upward, how } => self.harm(writer, usize::from(!upward), *how),
            What::Partition { up, down, ms } => self.part(writer, *up, *down, *ms),
            What::Crash { at, ms } => self.plan_crash(anybody, *at, *ms),
            What::FullDisk { ms } => {
                self.nodes[anybody].disk.set_health(Health::Full);
                self.after(*ms, Due::Repair { node: anybody });
            }
            What::FailWrite => self.nodes[anybody].disk.set_health(Health::FailsOnce),
            What::FailRead => {
                if self.nodes[anybody].process.is_some() {
                    self.nodes[anybody].disk.fail_read();
                    self.plan_crash(anybody, None, 100);
                }
            }
            What::Backup | What::Restore | What::Clone => self.go_back(number, &event.what),
            What::Clock(by_ms) => self.set_clock(writer, *by_ms),
            What::Expire => self.expire(writer),
            What::ReadOnly { ms } => {
                self.set_read_only(writer, true);
                self.after(*ms, Due::Writable { node: writer });
            }
            What::CloseDocument { document, ms } => self.close_document(writer, *document, *ms),
            What::Lie(lie) => self.lie(*lie),
        }
    }

    pub(super) fn all(&self, which: fn(Kind) -> bool) -> Vec<usize> {
        let found = self.nodes.iter().enumerate().filter(|(_, node)| which(node.kind));
        found.map(|(number, _)| number).collect()
    }

    /// Somebody writes, and the engine is told of the change.
    fn edit(
        &mut self,
        node: usize,
        document: u8,
        what: impl FnOnce(&mut crate::script::Replica) -> Result<(), String>,
    ) {
        let doc = self.documents[usize::from(document) % self.documents.len()].clone();
        self.note_walls();
        let wall_ms = self.wall_ms(node);
        let (kind, suspect) = (self.nodes[node].kind, self.nodes[node].suspect);
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some(copy) = process.copies.get_mut(&doc) else { return };
        let batch = match copy {
            Copy::Open(open) => {
                open.doc.set_now(wall_ms);
                let done = what(open).and_then(|()| open.follow());
                let (batch, time_ms) = (open.doc.take_batch(), open.doc.last_time().ms());
                if !suspect && time_ms > self.latest_ms + MAX_DRIFT_MS {
                    let latest_ms = self.latest_ms;
                    self.fail(format!(
                        "a clock ran ahead of every wall: device {node} is at {time_ms}, no wall beyond {latest_ms}"
                    ));
                }
                // A history that went back may leave a log that its own writer cannot read.
                if let Err(problem) = done.or_else(|problem| if suspect { Ok(()) } else { Err(problem) }) {
                    self.fail(format!("a transaction or its undo went wrong: {doc} on device {node}: {problem}"));
                }
                batch
            }
            Copy::Logs(..) if kind == Kind::Newer => {
                self.tally.add(Fault::NewerVersion, 1);
                copy.write_newer(wall_ms)
            }
            Copy::Logs(..) => copy.write_nonsense(wall_ms, &mut self.random),
        };
        if !batch.is_empty() {
            self.input(node, Input::Edited { doc, batch });
            self.drain(node);
        }
    }

    fn share(&mut self, node: usize, document: u8, value: Option<u8>) {
        let doc = self.documents[usize::from(document) % self.documents.len()].clone();
        let value = value.map(|value| vec![value; 4]);
        self.input(node, Input::SetPresence { doc, key: "cursor".to_owned(), value });
        self.drain(node);
    }

    /// The connection to the relay breaks.
    fn cut(&mut self, node: usize, how: Cut) {
        let Some(number) = self.uplink(node) else { return };
        let Some(link) = self.links.get_mut(&number) else { return };
        let (up, down) = (link.in_flight(0), link.in_flight(1));
        match how {
            Cut::Both => {
                link.lanes.iter_mut().for_each(|lane| lane.dead = true);
                self.tally.add(Fault::Drop, up + down);
                self.after(5, Due::Gone { link: number, end: 0 });
                self.after(9, Due::Gone { link: number, end: 1 });
            }
            Cut::Answers => {
                link.lanes[1].dead = true;
                self.tally.add(Fault::Duplicate, up);
                self.tally.add(Fault::Drop, down);
                self.put(number, 0, Packet::Fin);
                self.gone(number, 0);
            }
            Cut::Overtaken => {
                link.lanes[1].dead = true;
                // What is on its way takes longer than the next connection needs to come up.
                let late_ms = 2_500;
                let waiting: Vec<_> = link.lanes[0].queue.drain(..).collect();
                for (at_ms, packet) in waiting {
                    link.lanes[0].queue.push_back((at_ms + late_ms, packet));
                    link.lanes[0].last_ms = at_ms + late_ms;
                }
                let times: Vec<u64> = link.lanes[0].queue.iter().map(|(at_ms, _)| *at_ms).collect();
                self.tally.add(Fault::Reorder, up);
                times.into_iter().for_each(|at_ms| self.plan(at_ms, Due::Arrive { link: number, end: 0 }));
                self.put(number, 0, Packet::Fin);
                self.gone(number, 0);
                self.plan(self.now_ms + 10, Due::Redial { node });
            }
            Cut::HalfOpen => {
                link.lanes.iter_mut().for_each(|lane| lane.dead = true);
                self.tally.add(Fault::HalfOpen, 1);
                self.tally.add(Fault::Drop, up + down);
                self.gone(number, 0);
            }
        }
    }

    fn harm(&mut self, node: usize, lane: usize, how: Harm) {
        let now_ms = self.now_ms;
        let Some(link) = self.uplink(node).and_then(|number| self.links.get_mut(&number)) else { return };
        let lane = &mut link.lanes[lane];
        match how {
            Harm::Delay(ms) => {
                lane.last_ms = lane.last_ms.max(now_ms) + ms;
                self.tally.add(Fault::Delay, 1);
            }
            Harm::Slow(ms) => lane.slow = (ms, now_ms + 60_000),
            Harm::Truncate => lane.damage = Some(Damage::Truncate),
            Harm::Flip => lane.damage = Some(Damage::Flip),
        }
    }

    fn part(&mut self, node: usize, up: bool, down: bool, ms: u64) {
        let until_ms = self.now_ms + ms;
        if up {
            self.blocked.insert((node, RELAY), until_ms);
        }
        if down {
            self.blocked.insert((RELAY, node), until_ms);
        }
        self.tally.add(if up && down { Fault::Partition } else { Fault::OneWayPartition }, 1);
    }

    fn plan_crash(&mut self, node: usize, at: Option<Point>, ms: u64) {
        if self.nodes[node].process.is_none() {
            return;
        }
        match at {
            Some(point) => self.nodes[node].trap = Some((point, ms)),
            None => {
                let is_tab = self.nodes[node].kind == Kind::Tab;
                self.tally.add(if is_tab { Fault::TabClosed } else { Fault::Kill }, 1);
                self.crash(node, 0, ms);
            }
        }
    }

    /// Histories that go back. Bug class B.
    fn go_back(&mut self, number: usize, what: &What) {
        let clients = self.all(|kind| kind == Kind::Client);
        let node = if number == RELAY { RELAY } else { clients[number % clients.len()] };
        match what {
            What::Backup => self.nodes[node].backup = Some(self.nodes[node].disk.copy()),
            What::Restore => {
                let Some(backup) = self.nodes[node].backup.take() else { return };
                self.tally.add(if node == RELAY { Fault::RestoredRelay } else { Fault::RestoredBackup }, 1);
                if node == RELAY {
                    self.facts.relay_went_back = true;
                } else {
                    self.suspect(node);
                }
                self.crash(node, 0, 2_000);
                self.nodes[node].disk.restore(&backup);
            }
            _ => {
                self.tally.add(Fault::ClonedReplica, 1);
                self.suspect(node);
                let mut clone = Node::new(Kind::Client, self.nodes[node].disk.copy(), self.nodes[node].skew_ms);
                clone.suspect = true;
                self.nodes.push(clone);
                self.furnish(self.nodes.len() - 1);
            }
        }
    }

    /// A device's writers exist twice from now on.
    fn suspect(&mut self, node: usize) {
        self.nodes[node].suspect = true;
        for (link, _) in self.links_of(node) {
            self.links.entry(link).and_modify(|link| link.watch = None);
        }
        for doc in self.documents.clone() {
            let fresh = selvedge::ReplicaId::from(self.random.id());
            let replica = self.nodes[node].replica(&doc, fresh);
            self.facts.twice.insert(replica);
        }
    }

    fn set_clock(&mut self, node: usize, by_ms: i64) {
        self.note_walls();
        self.tally.add(if by_ms > 0 { Fault::ClockForward } else { Fault::ClockBack }, 1);
        let kind = self.nodes[node].kind;
        // A browser has one clock.
        let same = |other: &Node| kind == Kind::Tab && other.kind == Kind::Tab;
        for (number, other) in self.nodes.iter_mut().enumerate() {
            if number == node || same(other) {
                other.skew_ms += by_ms;
            }
        }
    }

    /// The relay takes a credential back.
    fn expire(&mut self, node: usize) {
        self.nodes[node].token.1 += 1;
        if let Some(link) = self.uplink(node).filter(|_| self.nodes[RELAY].process.is_some()) {
            self.tally.add(Fault::TokenExpiry, 1);
            let grant = Err("the token has expired".to_owned());
            self.input(RELAY, Input::Authenticated { conn: ConnId(link * 2 + 1), grant });
            self.drain(RELAY);
        }
    }

    pub(super) fn set_read_only(&mut self, node: usize, read_only: bool) {
        self.nodes[node].read_only = read_only;
        if let Some(link) = self.uplink(node).filter(|_| self.nodes[RELAY].process.is_some()) {
            self.tally.add(Fault::ReadOnly, usize::from(read_only));
            self.input(RELAY, Input::Authenticated { conn: ConnId(link * 2 + 1), grant: Ok(grant(read_only)) });
            self.drain(RELAY);
        }
    }

    /// The application closes a document that is saved.
    fn close_document(&mut self, node: usize, document: u8, ms: u64) {
        let doc = self.documents[usize::from(document) % self.documents.len()].clone();
        let epoch = self.nodes[node].epoch;
        let Some(process) = &mut self.nodes[node].process else { return };
        if process.engine.status(&doc).is_some_and(|status| status.saved) {
            process.copies.remove(&doc);
            self.tally.add(Fault::DocumentClosed, 1);
            self.input(node, Input::Closed { doc: doc.clone() });
            self.drain(node);
            self.after(ms, Due::Open { node, epoch, doc });
        }
    }

    /// The liar says something. Bug class C.
    fn lie(&mut self, lie: Lie) {
        let Some(node) = self.all(|kind| kind == Kind::Hostile).first().copied() else { return };
        if lie == Lie::Change {
            self.tally.add(Fault::ForgedChange, 1);
            let document = self.random.between(0, 3) as u8;
            return self.edit(node, document, |_| Ok(()));
        }
        if lie == Lie::Unasked {
            self.set_read_only(node, true);
            self.after(3_000, Due::WriteUnasked { node });
            return self.after(30_000, Due::Writable { node });
        }
        let Some(link) = self.uplink(node).filter(|link| self.links.contains_key(link)) else { return };
        let said = &self.nodes[node].said;
        let pick = self.random.between(0, said.len().max(1) as u64) as usize;
        let before = said.get(pick).cloned().unwrap_or_else(|| vec![1]);
        let (fault, bytes) = match lie {
            Lie::Noise => {
                let len = self.random.between(0, 60) as usize;
                (Fault::HostileBytes, self.random.bytes(len))
            }
            Lie::Damaged => {
                let mut damaged = before;
                let at = self.random.between(0, 1 << 30) as u32;
                bytes::mutate(&mut damaged, &[(self.random.id() as u8, at, self.random.id() as u8)]);
                // Only who holds a whole log can tell that an old dependency has another digest: not simulated.
                if wire::read(&damaged).is_some_and(|frame| frame.has_changes()) {
                    damaged.truncate(2);
                }
                (Fault::HostileBytes, damaged)
            }
            Lie::Again => (Fault::OutOfPhase, before),
            Lie::Forged(which) => (Fault::ForgedMessage, wire::messages(&[self.forged(which)])),
            Lie::Change | Lie::Unasked => return,
        };
        self.tally.add(fault, 1);
        self.put(link, 0, Packet::Frame(bytes, Vec::new()));
    }

    /// A liar that may only read says what its engine would not: a change of its own that nobody has.
    pub(super) fn write_unasked(&mut self, node: usize) {
        let Some(link) = self.uplink(node).filter(|link| self.links.contains_key(link)) else { return };
        let Some((channel, doc)) = self.nodes[node].channel.clone() else { return };
        let at = self.documents.iter().position(|other| *other == doc).unwrap_or_default();
        self.edit(node, at as u8, |_| Ok(()));
        let stored = self.nodes[RELAY].disk.durable(&doc);
        let copy = self.nodes[node].process.as_mut().and_then(|process| process.copies.get_mut(&doc));
        let Some(copy) = copy else { return };
        let (replica, missing) = (copy.replica(), copy.since(&stored));
        let Some(mine) = missing.segments.into_iter().find(|segment| segment.replica == replica) else { return };
        let names = Message::Names(vec![*replica.as_bytes()]);
        let (log, first_seq) = (self.nodes[node].named, mine.first_seq);
        self.nodes[node].named += 1;
        let bytes =
            wire::messages(&[names, Message::Changes { channel, log, first_seq, frames: mine.frames.into_vec() }]);
        self.tally.add(Fault::UnaskedChange, 1);
        self.put(link, 0, Packet::Frame(bytes, Vec::new()));
    }

    /// A message that is well formed and not true.
    fn forged(&mut self, which: u8) -> Message {
        let random = &mut self.random;
        let channel = random.between(0, 4) as u32;
        let mut noise = [0; 16];
        noise.copy_from_slice(&random.bytes(16));
        let (number, ends) = (random.between(0, 50), vec![(0, random.between(1, 60))]);
        match which % 12 {
            0 => Message::Digest { channel, ops: number, ends: [7; 8], fingerprint: noise },
            1 => Message::Resync { channel, version: ends },
            2 => Message::Ack { channel, level: Level::Durable, ends },
            3 => Message::Ack { channel, level: Level::Received, ends },
            4 => Message::Presence { channel, owner: 0, clock: number, user: None, key: "k".into(), value: None },
            5 => Message::Refused { channel, code: 6, text: "no".into() },
            6 => Message::Leave { channel },
            7 => Message::Offer { name: "document-0".into() },
            8 => Message::Names(vec![noise]),
            9 => Message::Opened { channel, rights: (true, true), state: None, undurable: Vec::new(), acks: true },
            10 => Message::Question { collection: "document".into(), question: noise.to_vec() },
            _ => {
                let frames = noise[..random.between(1, 16) as usize].to_vec();
                Message::Changes { channel, log: 0, first_seq: number, frames }
            }
        }
    }
}

//! A small network of engines: each with documents (opaque logs), a store that can fail or hold back, and wires that
//! deliver frames in order. Time stands still unless a test moves it. Every loop is bounded.

use std::collections::{BTreeMap, VecDeque};

use selvedge::clock::Hlc;
use selvedge::graph::Logs;
use selvedge::merkle::{Collection, respond};
use selvedge::op::{Batch, Change, Dep};
use selvedge::sync::{Config, ConnId, DocState, Effect, Engine, Grant, Input, Link, Role, SyncStatus, Token};
use selvedge::{DocName, ReplicaId, VersionVector};

/// After how many written bytes an engine is told.
const REPORT_BYTES: usize = 16 << 10;

/// What a store does with what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Works,
    Fails,
    Holds,
}

/// One engine with its driver.
pub(crate) struct Peer {
    pub(crate) engine: Engine,
    pub(crate) docs: BTreeMap<DocName, Logs>,
    pub(crate) disk: BTreeMap<DocName, Vec<Batch>>,
    pub(crate) store: Store,
    pub(crate) held: Vec<(Token, DocName, Batch)>,
    /// Loads wait until `finish_loads`.
    pub(crate) slow_loads: bool,
    loads: Vec<(Token, DocName, VersionVector, usize)>,
    pub(crate) grants: BTreeMap<String, Result<Grant, String>>,
    /// The documents on the disk, for questions about them.
    pub(crate) collection: Collection,
    /// Every effect, in order.
    pub(crate) effects: Vec<Effect>,
    pub(crate) replica: ReplicaId,
    writers: BTreeMap<DocName, (Hlc, VersionVector)>,
    conns: u64,
}

/// A connection between two peers; the first one dialed.
pub(crate) struct Wire {
    pub(crate) ends: [(usize, ConnId); 2],
    queues: [VecDeque<Vec<u8>>; 2],
    pub(crate) up: bool,
    /// It swallows everything, and nobody has noticed yet.
    pub(crate) broken: bool,
    /// The end that takes nothing, although it speaks.
    pub(crate) deaf: Option<usize>,
    /// Bytes that were written by each end and not reported.
    unreported: [usize; 2],
}

/// Peers and wires.
#[derive(Default)]
pub(crate) struct Net {
    pub(crate) peers: Vec<Peer>,
    pub(crate) wires: Vec<Wire>,
    pub(crate) now_ms: u64,
    /// (wire, sender's end, bytes) of every frame sent.
    pub(crate) sent: Vec<(usize, usize, usize)>,
}

pub(crate) fn doc(name: &str) -> DocName {
    DocName::new(name).expect("a good name")
}

impl Net {
    pub(crate) fn peer(&mut self, config: Config) -> usize {
        let index = self.peers.len();
        self.peers.push(Peer {
            engine: Engine::new(config),
            docs: BTreeMap::new(),
            disk: BTreeMap::new(),
            store: Store::Works,
            held: Vec::new(),
            slow_loads: false,
            loads: Vec::new(),
            grants: BTreeMap::new(),
            collection: Collection::new([3; 32], index as u64),
            effects: Vec::new(),
            replica: ReplicaId::from(index as u128 + 1),
            writers: BTreeMap::new(),
            conns: 0,
        });
        index
    }

    /// A client with a document open.
    pub(crate) fn client(&mut self, name: &str) -> usize {
        let peer = self.peer(Config::client());
        self.open(peer, name);
        peer
    }

    pub(crate) fn relay(&mut self) -> usize {
        self.peer(Config::relay())
    }

    pub(crate) fn open(&mut self, peer: usize, name: &str) {
        let name = doc(name);
        let logs = read_disk(self.peers[peer].disk.get(&name));
        let (state, owner) = (state_of(&logs), Some(self.peers[peer].replica));
        self.peers[peer].docs.insert(name.clone(), logs);
        self.input(peer, Input::Opened { doc: name, state, presence_owner: owner });
    }

    pub(crate) fn connect(&mut self, dialer: usize, acceptor: usize) -> usize {
        self.connect_as(dialer, acceptor, Link::Remote, None)
    }

    pub(crate) fn connect_as(&mut self, dialer: usize, acceptor: usize, link: Link, credential: Option<&str>) -> usize {
        let ends = [self.new_conn(dialer), self.new_conn(acceptor)];
        let wire = self.wires.len();
        self.wires.push(Wire {
            ends,
            queues: Default::default(),
            up: true,
            broken: false,
            deaf: None,
            unreported: [0; 2],
        });
        for ((peer, conn), role) in ends.into_iter().zip([Role::Dialer, Role::Acceptor]) {
            let credential = credential.filter(|_| role == Role::Dialer).map(str::to_owned);
            self.input(peer, Input::Connected { conn, role, link, credential });
        }
        wire
    }

    fn new_conn(&mut self, peer: usize) -> (usize, ConnId) {
        self.peers[peer].conns += 1;
        (peer, ConnId(self.peers[peer].conns))
    }

    /// Cuts a wire; what is on its way is lost.
    pub(crate) fn cut(&mut self, wire: usize) {
        if !std::mem::replace(&mut self.wires[wire].up, false) {
            return;
        }
        self.wires[wire].queues = Default::default();
        for (peer, conn) in self.wires[wire].ends {
            self.input(peer, Input::Disconnected { conn });
        }
    }

    pub(crate) fn input(&mut self, peer: usize, input: Input) {
        self.peers[peer].engine.handle(self.now_ms, input);
    }

    /// Seals a change that has seen everything this peer has.
    pub(crate) fn edit(&mut self, peer: usize, name: &str, body: &[u8]) {
        let name = doc(name);
        let batch = self.peers[peer].seal(&name, body);
        self.input(peer, Input::Edited { doc: name, batch });
    }

    /// Drains effects and delivers frames until all is quiet.
    pub(crate) fn run(&mut self) {
        for _ in 0..10_000 {
            let effects = self.peers.iter().map(|peer| peer.effects.len()).sum::<usize>();
            (0..self.peers.len()).for_each(|peer| self.drain(peer));
            let drained = self.peers.iter().map(|peer| peer.effects.len()).sum::<usize>() > effects;
            if !self.deliver() && !drained {
                return;
            }
        }
        panic!("the network does not come to rest");
    }

    /// Delivers one frame per direction of every wire; whether there was any.
    pub(crate) fn deliver(&mut self) -> bool {
        let mut any = false;
        for wire in 0..self.wires.len() {
            for sender in 0..2 {
                let deaf = self.wires[wire].deaf == Some(1 - sender);
                let next = if deaf { None } else { self.wires[wire].queues[sender].pop_front() };
                if let Some(bytes) = next {
                    self.written(wire, sender, bytes.len());
                    let (peer, conn) = self.wires[wire].ends[1 - sender];
                    self.input(peer, Input::Received { conn, bytes });
                    any = true;
                }
            }
        }
        any
    }

    /// As drivers do, written bytes are reported many at a time.
    fn written(&mut self, wire: usize, end: usize, bytes: usize) {
        let unreported = &mut self.wires[wire].unreported[end];
        *unreported += bytes;
        if *unreported >= REPORT_BYTES {
            let bytes = std::mem::take(unreported);
            let (peer, conn) = self.wires[wire].ends[end];
            self.input(peer, Input::Written { conn, bytes });
        }
    }

    pub(crate) fn drain(&mut self, peer: usize) {
        for _ in 0..10_000 {
            let Some(effect) = self.peers[peer].engine.poll_effect() else { return };
            self.peers[peer].effects.push(effect.clone());
            self.effect(peer, effect);
        }
        panic!("effects do not end");
    }

    fn effect(&mut self, peer: usize, effect: Effect) {
        match effect {
            Effect::Send { conn, bytes } => {
                let ends = |wire: &Wire| wire.ends.iter().position(|end| *end == (peer, conn));
                let found = self.wires.iter().enumerate().find_map(|(i, wire)| Some((i, ends(wire)?)));
                let (wire, end) = found.expect("a wire for every connection");
                if self.wires[wire].up && !self.wires[wire].broken {
                    self.sent.push((wire, end, bytes.len()));
                    self.wires[wire].queues[end].push_back(bytes);
                }
            }
            Effect::Close { conn, .. } => {
                // The peer hears the last word first.
                let wire = self.wires.iter().position(|wire| wire.ends.contains(&(peer, conn)));
                let wire = wire.expect("a wire for every connection");
                let last: Vec<_> = self.wires[wire].queues.iter_mut().map(std::mem::take).collect();
                for (sender, frames) in last.into_iter().enumerate() {
                    let (to, to_conn) = self.wires[wire].ends[1 - sender];
                    for bytes in frames.into_iter().filter(|_| to != peer) {
                        self.input(to, Input::Received { conn: to_conn, bytes });
                    }
                }
                self.cut(wire);
            }
            other => {
                for input in self.peers[peer].answer(other) {
                    self.input(peer, input);
                }
            }
        }
    }

    /// Lets a store that held back finish.
    pub(crate) fn finish_store(&mut self, peer: usize) {
        for (token, name, batch) in std::mem::take(&mut self.peers[peer].held) {
            self.peers[peer].disk.entry(name).or_default().push(batch);
            self.input(peer, Input::Persisted { token });
        }
    }

    /// Lets slow loads finish, with what is there now.
    pub(crate) fn finish_loads(&mut self, peer: usize) {
        for (token, name, since, max_bytes) in std::mem::take(&mut self.peers[peer].loads) {
            if let Some(logs) = self.peers[peer].docs.get_mut(&name) {
                let (batch, digests) = (logs.part_since(&since, max_bytes), logs.digests_at(&since));
                self.input(peer, Input::Loaded { token, batch, digests });
            }
        }
    }

    /// Kills a peer and starts it again on its disk.
    pub(crate) fn restart(&mut self, peer: usize, config: Config) {
        for wire in 0..self.wires.len() {
            if self.wires[wire].ends.iter().any(|(end, _)| *end == peer) {
                self.cut(wire);
            }
        }
        let old = &mut self.peers[peer];
        old.engine = Engine::new(config);
        old.docs.clear();
        old.held.clear();
        old.loads.clear();
    }

    /// Moves time, waking everybody at their deadlines on the way.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now_ms + ms;
        for _ in 0..100_000 {
            self.run();
            let next = self.peers.iter().filter_map(|peer| peer.engine.deadline()).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now_ms = end;
                return self.run();
            };
            self.now_ms = self.now_ms.max(next);
            (0..self.peers.len()).for_each(|peer| self.input(peer, Input::Woken));
        }
        panic!("timers spin");
    }

    pub(crate) fn status(&self, peer: usize, name: &str) -> SyncStatus {
        self.peers[peer].engine.status(&doc(name)).expect("the document is open")
    }

    pub(crate) fn version(&self, peer: usize, name: &str) -> VersionVector {
        self.peers[peer].docs[&doc(name)].version()
    }

    pub(crate) fn state(&mut self, peer: usize, name: &str) -> DocState {
        state_of(&self.peers[peer].docs[&doc(name)])
    }

    /// Bytes on their way from one end of a wire.
    pub(crate) fn waiting(&self, wire: usize, end: usize) -> usize {
        self.wires[wire].queues[end].iter().map(Vec::len).sum()
    }

    /// Frames and bytes sent over a wire by one end since `mark` entries of `sent`.
    pub(crate) fn traffic(&self, wire: usize, end: usize, mark: usize) -> (usize, usize) {
        let sent = self.sent[mark..].iter().filter(|(w, e, _)| (*w, *e) == (wire, end));
        sent.fold((0, 0), |(frames, bytes), (_, _, len)| (frames + 1, bytes + len))
    }
}

impl Peer {
    /// The driver's answer to an effect.
    fn answer(&mut self, effect: Effect) -> Vec<Input> {
        match effect {
            Effect::Authenticate { conn, credential } => {
                let key = credential.unwrap_or_default();
                let grant = self.grants.get(&key).cloned().unwrap_or(Ok(Grant::all()));
                vec![Input::Authenticated { conn, grant }]
            }
            Effect::Open { doc } => {
                let logs = read_disk(self.disk.get(&doc));
                let state = state_of(&logs);
                self.docs.insert(doc.clone(), logs);
                vec![Input::Opened { doc, state, presence_owner: None }]
            }
            Effect::Evict { doc } => {
                self.docs.remove(&doc);
                Vec::new()
            }
            Effect::Persist { token, doc, batch } => match self.store {
                Store::Works => {
                    self.disk.entry(doc).or_default().push(batch);
                    vec![Input::Persisted { token }]
                }
                Store::Fails => vec![Input::PersistFailed { token, reason: "no space is left".into() }],
                Store::Holds => {
                    self.held.push((token, doc, batch));
                    Vec::new()
                }
            },
            Effect::Load { token, doc, since, max_bytes } if self.slow_loads => {
                self.loads.push((token, doc, since, max_bytes));
                Vec::new()
            }
            Effect::Load { token, doc, since, max_bytes } => {
                let logs = self.docs.get_mut(&doc).expect("an open document");
                let (batch, digests) = (logs.part_since(&since, max_bytes), logs.digests_at(&since));
                vec![Input::Loaded { token, batch, digests }]
            }
            Effect::Applied { doc, batch } => {
                let appended = self
                    .docs
                    .get_mut(&doc)
                    .expect("an open document")
                    .append(&batch)
                    .expect("whole bytes")
                    .expect("the history is here");
                assert_eq!(appended.pending_bytes, 0, "applied changes come with everything they depend on");
                assert!(appended.forks.is_empty());
                let new: VersionVector = batch.ends().expect("whole bytes");
                assert!(!appended.changes.is_empty() && !new.is_empty(), "applied changes are new");
                Vec::new()
            }
            Effect::SearchAsked { conn, doc, question } => {
                let logs = self.docs.get_mut(&doc).expect("an open document");
                vec![Input::SearchAnswer { conn, answer: logs.answer_search(&question).ok() }]
            }
            Effect::Asked { conn, question, .. } => {
                self.refresh_collection();
                vec![Input::Answer { conn, answer: respond(&mut self.collection, &question).ok() }]
            }
            _ => Vec::new(),
        }
    }

    /// Brings the collection up to what is on the disk.
    pub(crate) fn refresh_collection(&mut self) {
        for (name, records) in &self.disk {
            let digest = state_of(&read_disk(Some(records))).digest();
            self.collection.update(name, &digest);
        }
    }

    pub(crate) fn seal(&mut self, name: &DocName, body: &[u8]) -> Batch {
        let logs = self.docs.get_mut(name).expect("an open document");
        let (hlc, seen) = self.writers.entry(name.clone()).or_default();
        let mine = logs.intern(self.replica);
        let mut deps = Vec::new();
        for log in (0..logs.len() as u32).filter(|log| *log != mine) {
            let (replica, end) = (logs.replica(log), logs.end(log));
            if end > seen.end(replica) {
                let digest = logs.digest_at(log, end).expect("a log ends at a change");
                deps.push(Dep { replica, end, digest });
            }
        }
        deps.sort_by_key(|dep| dep.replica);
        *seen = logs.version();
        *hlc = (*hlc).max(logs.head(mine).hlc).next().expect("time goes on");
        let before = logs.end(mine);
        logs.seal(mine, &Change { hlc: *hlc, deps: &deps, message: None, ops: 1, body });
        let mut batch = Batch::default();
        logs.log_since(mine, before, &mut batch);
        batch
    }

    pub(crate) fn refusals(&self) -> Vec<selvedge::sync::RefuseCode> {
        let codes = self.effects.iter().filter_map(|effect| match effect {
            Effect::Refused { code, .. } => Some(*code),
            _ => None,
        });
        codes.collect()
    }

    pub(crate) fn closings(&self) -> Vec<(selvedge::sync::CloseCode, String)> {
        let closings = self.effects.iter().filter_map(|effect| match effect {
            Effect::Close { code, text, .. } => Some((*code, text.clone())),
            _ => None,
        });
        closings.collect()
    }
}

pub(crate) fn state_of(logs: &Logs) -> DocState {
    DocState { logs: logs.clone().state() }
}

pub(crate) fn read_disk(records: Option<&Vec<Batch>>) -> Logs {
    let mut logs = Logs::new();
    for batch in records.into_iter().flatten() {
        let appended = logs.append(batch).expect("what was stored is whole").expect("the history is here");
        assert_eq!(appended.pending_bytes, 0, "every record stands on the ones before it");
    }
    logs
}

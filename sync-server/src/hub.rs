//! The hub: one task that drives one sync engine for all rooms and connections.
//!
//! Always holds: every input that is queued is handled before effects are drained, so that what is pushed to a
//! connection is coalesced; the hub never waits for a socket or a disk; while too much waits for the disk, it takes in
//! nothing from connections; a message of a connection that was closed is not handled.
//! Not here: sockets (`connection`), the store (`storage`), what messages mean (the engine).

mod links;
mod mend;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use selvedge::DocName;
use selvedge::merkle::StateDigest;
use selvedge::op::Batch;
use selvedge::store::{Append, Salvage, StoreError};
use selvedge::sync::{CloseCode, ConnId, Effect, Engine, Input, Link, Role, Token};
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Instant;

use self::links::Links;
use crate::auth::{Gate, unix_now};
use crate::connection::Dialed;
use crate::outbox::Outbox;
use crate::room::{Misfit, Room};
use crate::storage::{Answer, Storage};

/// Most inputs that are handled before effects are drained.
const MAX_TURN: usize = 1024;

/// Bytes that may wait for the disk before connections have to wait too.
const MAX_BACKLOG_BYTES: usize = 64 << 20;

/// How often expiries are looked at, at least.
const MAX_EXPIRY_WAIT: Duration = Duration::from_secs(60);

/// How long a shutdown waits for the disk.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// What connections tell the hub.
#[derive(Debug)]
pub(crate) enum FromConn {
    Connected {
        conn: ConnId,
        outbox: Arc<Outbox>,
        /// That we dialed, if we did.
        dialed: Option<Dialed>,
    },
    /// A message; the permit is its share of the memory for messages on their way in.
    Received {
        conn: ConnId,
        bytes: Vec<u8>,
        permit: OwnedSemaphorePermit,
    },
    /// Messages were written, of so many bytes since the last time.
    Written {
        conn: ConnId,
        bytes: usize,
    },
    Disconnected {
        conn: ConnId,
    },
}

/// What was made of records off the hub's task.
enum Loaded {
    Room(DocName, Result<Room, StoreError>),
    Digest(DocName, Result<StateDigest, StoreError>),
}

/// The hub's state.
pub(crate) struct Hub {
    engine: Engine,
    gate: Gate,
    storage: Storage,
    rooms: BTreeMap<DocName, Room>,
    /// Documents that nobody is let into before they were repaired and read anew.
    mending: BTreeSet<DocName>,
    connections: BTreeMap<ConnId, Arc<Outbox>>,
    links: Links,
    /// When tokens expire (seconds since 1970), and whose.
    expiries: BTreeSet<(u64, ConnId)>,
    /// Bytes handed to the storage thread and not answered yet.
    backlog: usize,
    loaded: mpsc::UnboundedSender<Loaded>,
    started: Instant,
    started_ms: u64,
    store_name: String,
}

/// Where the hub's inputs come from.
pub(crate) struct Sources {
    pub(crate) connections: mpsc::Receiver<FromConn>,
    pub(crate) answers: mpsc::UnboundedReceiver<Answer>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// One thing that happened.
enum Event {
    Conn(FromConn),
    Answer(Answer),
    Loaded(Loaded),
    Tick,
    Stop,
}

impl Hub {
    /// `peers` are the addresses of the relays that are dialed.
    pub(crate) fn new(
        engine: Engine,
        gate: Gate,
        storage: Storage,
        store_name: String,
        peers: Vec<String>,
    ) -> (Self, LoadedRooms) {
        let (loaded, rooms) = mpsc::unbounded_channel();
        let hub = Self {
            engine,
            gate,
            storage,
            rooms: BTreeMap::new(),
            mending: BTreeSet::new(),
            connections: BTreeMap::new(),
            links: Links::new(peers),
            expiries: BTreeSet::new(),
            backlog: 0,
            loaded,
            started: Instant::now(),
            started_ms: unix_now().as_millis() as u64,
            store_name,
        };
        (hub, LoadedRooms(rooms))
    }

    /// Runs until it is stopped; then everything queued for the disk is stored, and every peer was told goodbye.
    pub(crate) async fn run(mut self, mut sources: Sources, mut rooms: LoadedRooms) {
        loop {
            let event = self.wait(&mut sources, &mut rooms).await;
            if matches!(event, Event::Stop) {
                break;
            }
            self.take(event);
            for _ in 1..MAX_TURN {
                let Some(event) = self.queued(&mut sources, &mut rooms) else { break };
                self.take(event);
            }
            self.perform();
        }
        self.finish(&mut sources).await;
    }

    async fn wait(&self, sources: &mut Sources, rooms: &mut LoadedRooms) -> Event {
        let accepts = self.backlog < MAX_BACKLOG_BYTES;
        let wake = self.next_wake();
        tokio::select! {
            Some(answer) = sources.answers.recv() => Event::Answer(answer),
            Some(loaded) = rooms.0.recv() => Event::Loaded(loaded),
            Some(message) = sources.connections.recv(), if accepts => Event::Conn(message),
            () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => Event::Tick,
            _ = sources.stop.wait_for(|stop| *stop) => Event::Stop,
        }
    }

    /// What is there already.
    fn queued(&self, sources: &mut Sources, rooms: &mut LoadedRooms) -> Option<Event> {
        if let Ok(answer) = sources.answers.try_recv() {
            return Some(Event::Answer(answer));
        }
        if let Ok(loaded) = rooms.0.try_recv() {
            return Some(Event::Loaded(loaded));
        }
        if self.backlog >= MAX_BACKLOG_BYTES {
            return None;
        }
        sources.connections.try_recv().ok().map(Event::Conn)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Conn(message) => self.heard(message),
            Event::Answer(answer) => self.answered(answer),
            Event::Loaded(Loaded::Room(doc, result)) => self.room_loaded(doc, result),
            Event::Loaded(Loaded::Digest(doc, result)) => self.surveyed(&doc, result),
            Event::Tick => {
                self.input(Input::Woken);
                self.close_expired();
            }
            Event::Stop => {}
        }
    }

    fn heard(&mut self, message: FromConn) {
        match message {
            FromConn::Connected { conn, outbox, dialed } => {
                self.connections.insert(conn, outbox);
                let (role, link, credential) = match dialed {
                    Some(Dialed { peer, credential }) => {
                        self.linked(conn, peer);
                        (Role::Dialer, Link::Equal, credential)
                    }
                    None => (Role::Acceptor, Link::Remote, None),
                };
                self.input(Input::Connected { conn, role, link, credential });
            }
            FromConn::Received { conn, bytes, permit } => {
                if self.connections.contains_key(&conn) {
                    self.input(Input::Received { conn, bytes });
                }
                drop(permit);
            }
            FromConn::Written { conn, bytes } => self.input(Input::Written { conn, bytes }),
            FromConn::Disconnected { conn } => self.forget(conn),
        }
    }

    fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Persisted { token, doc, bytes, result } => {
                self.backlog = self.backlog.saturating_sub(bytes);
                match result {
                    Ok(()) => {
                        self.input(Input::Persisted { token });
                        self.note(&doc);
                    }
                    Err(reason) => {
                        self.input(Input::PersistFailed { token, reason });
                        self.survey_again(doc);
                    }
                }
            }
            Answer::Read { doc, result } => self.build_room(doc, result),
            Answer::Surveyed { doc, result } => self.digest_records(doc, result),
            Answer::Documents { result } => self.survey(result),
            Answer::Damaged { doc, room } => self.mend_from_memory(doc, *room),
            Answer::Repaired { doc, records, result } => self.repaired(doc, records, result),
        }
    }

    /// Large documents take a while to read: other rooms go on meanwhile.
    fn build_room(&self, doc: DocName, found: Result<Salvage, StoreError>) {
        let (file, loaded) = (self.store_name.clone(), self.loaded.clone());
        tokio::task::spawn_blocking(move || {
            let room = found.and_then(|found| Room::from_salvage(&file, &doc, found));
            // The hub is gone only when the relay ends.
            let _ = loaded.send(Loaded::Room(doc, room));
        });
    }

    fn room_loaded(&mut self, doc: DocName, result: Result<Room, StoreError>) {
        match result {
            Ok(room) if room.repair.is_some() => self.room_damaged(doc, room),
            Ok(mut room) => {
                let state = room.state();
                tracing::debug!(%doc, logs = state.logs.len(), "room loaded");
                self.rooms.insert(doc.clone(), room);
                self.input(Input::Opened { doc, state, presence_owner: None });
            }
            Err(error) => {
                tracing::error!(%doc, "cannot load the document: {error}");
                self.input(Input::OpenFailed { doc, reason: error.to_string() });
            }
        }
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(self.now_ms(), input);
    }

    /// The time of day when the relay started, and on from there whatever the clock is set to.
    fn now_ms(&self) -> u64 {
        self.started_ms + self.started.elapsed().as_millis() as u64
    }

    /// Drains the engine, and lets the links go on.
    fn perform(&mut self) {
        self.perform_effects();
        while self.follow() {
            self.perform_effects();
        }
    }

    /// Some effects are answered at once, which makes more effects.
    fn perform_effects(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Authenticate { conn, credential } => self.authenticate(conn, credential.as_deref()),
                Effect::Open { doc } => self.storage.read(doc),
                Effect::Evict { doc } => {
                    tracing::debug!(%doc, "room left memory");
                    self.rooms.remove(&doc);
                    self.mending.remove(&doc);
                }
                Effect::Persist { token, doc, batch } => self.persist(token, doc, &batch),
                Effect::Load { token, doc, since, max_bytes } => {
                    let input = match self.rooms.get_mut(&doc) {
                        Some(room) => {
                            let (batch, digests) = (room.part_since(&since, max_bytes), room.digests_at(&since));
                            Input::Loaded { token, batch, digests }
                        }
                        None => Input::LoadFailed { token, reason: "the document is not open".to_owned() },
                    };
                    self.input(input);
                }
                Effect::Send { conn, bytes } => self.send(conn, bytes),
                Effect::Close { conn, code, text } => self.close(conn, code, text),
                Effect::Applied { doc, batch } => self.applied(&doc, &batch),
                Effect::Salvaged { conn, doc, batch } => self.salvaged(conn, doc, &batch),
                // A relay has no changes and no presence of its own.
                Effect::Acked { .. } | Effect::Status { .. } | Effect::Presence { .. } | Effect::Refused { .. } => {}
                // What a relay has keeps its name: whoever dials it yields. Between relays a fork stays one.
                Effect::Forked { .. } | Effect::SearchAnswered { .. } => {}
                Effect::SearchAsked { conn, doc, question } => {
                    let answer = self.rooms.get_mut(&doc).and_then(|room| room.answer_search(&question));
                    self.input(Input::SearchAnswer { conn, answer });
                }
                Effect::Asked { conn, collection, question } => self.asked(conn, collection, question),
                Effect::Answered { conn, answer, .. } => self.answered_by(conn, answer.as_deref()),
                Effect::News { conn, .. } => self.news_from(conn),
                Effect::Fetched { conn, doc } => self.fetched(conn, &doc),
            }
        }
    }

    fn authenticate(&mut self, conn: ConnId, credential: Option<&str>) {
        let grant = match self.gate.check(credential) {
            Ok(admission) => {
                tracing::debug!(conn = conn.0, user = admission.grant.user.as_deref(), "admitted");
                self.expiries.extend(admission.expires_s.map(|expires| (expires, conn)));
                Ok(admission.grant)
            }
            Err(reason) => {
                tracing::info!(conn = conn.0, "not admitted: {reason}");
                Err(reason)
            }
        };
        self.input(Input::Authenticated { conn, grant });
    }

    /// Changes that are being passed on: whoever comes now must get them too, before they are durable.
    fn applied(&mut self, doc: &DocName, batch: &Batch) {
        if let Some(Err(misfit)) = self.rooms.get_mut(doc).map(|room| room.append(batch)) {
            tracing::warn!(%doc, "changes do not fit the document and will not be stored: {misfit}");
            if let Misfit::Fork(fork) = misfit {
                self.input(Input::Forked { doc: doc.clone(), fork });
            }
        }
    }

    /// What does not fit is not stored: a document that was stored can always be loaded.
    fn persist(&mut self, token: Token, doc: DocName, batch: &Batch) {
        let Some(room) = self.rooms.get_mut(&doc) else {
            let reason = "the document is not open".to_owned();
            return self.input(Input::PersistFailed { token, reason });
        };
        match room.append(batch) {
            Ok(()) => {
                let checkpoints = room.checkpoints(batch);
                let record = Append { doc, bytes: batch.encode(), checkpoints };
                self.backlog += record.bytes.len();
                self.storage.persist(token, record);
            }
            Err(misfit) => {
                tracing::warn!(%doc, "changes are not stored: {misfit}");
                self.input(match misfit {
                    Misfit::Fork(fork) => Input::Forked { doc, fork },
                    misfit => Input::PersistFailed { token, reason: misfit.to_string() },
                });
            }
        }
    }

    fn send(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let Some(outbox) = self.connections.get(&conn) else { return };
        if !outbox.push(bytes) {
            tracing::warn!(conn = conn.0, "far more waits for it than it should: disconnected, to catch up later");
            self.forget(conn);
        }
    }

    fn close(&mut self, conn: ConnId, code: CloseCode, text: String) {
        // A peer may say why and be gone within one turn: the reason is logged all the same.
        tracing::info!(conn = conn.0, ?code, "closing: {text}");
        let Some(outbox) = self.connections.get(&conn) else { return };
        outbox.close(code, text);
        self.forget(conn);
    }

    fn forget(&mut self, conn: ConnId) {
        if self.connections.remove(&conn).is_some() {
            self.expiries.retain(|(_, other)| *other != conn);
            self.unlinked(conn);
            self.rooms.values_mut().filter_map(|room| room.repair.as_mut()).for_each(|repair| repair.forget(conn));
            self.input(Input::Disconnected { conn });
        }
    }

    fn close_expired(&mut self) {
        let now_s = unix_now().as_secs();
        while let Some((expires_s, conn)) = self.expiries.first().copied().filter(|(expires_s, _)| *expires_s <= now_s)
        {
            self.expiries.remove(&(expires_s, conn));
            self.input(Input::Authenticated { conn, grant: Err("the token has expired".to_owned()) });
        }
    }

    /// How long until the engine's deadline or the next expiry.
    fn next_wake(&self) -> Option<Duration> {
        let now_ms = self.now_ms();
        let deadline = self.engine.deadline().map(|deadline| Duration::from_millis(deadline.saturating_sub(now_ms)));
        let expiry =
            self.expiries.first().map(|(expires_s, _)| Duration::from_secs(*expires_s).saturating_sub(unix_now()));
        // Expiries follow the clock on the wall, which may be set.
        let links = self.links.due(now_ms);
        deadline.into_iter().chain(expiry.map(|expiry| expiry.min(MAX_EXPIRY_WAIT))).chain(links).min()
    }

    /// Waits for the disk, passes on its answers, and tells every peer goodbye.
    async fn finish(mut self, sources: &mut Sources) {
        let deadline = Instant::now() + SHUTDOWN_PATIENCE;
        self.perform();
        while self.backlog > 0 {
            match tokio::time::timeout_at(deadline, sources.answers.recv()).await {
                Ok(Some(answer @ Answer::Persisted { .. })) => {
                    self.answered(answer);
                    self.perform_effects();
                }
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => {
                    tracing::error!(bytes = self.backlog, "ending although not everything was stored");
                    break;
                }
            }
        }
        for outbox in self.connections.values() {
            outbox.close(CloseCode::GoingAway, "the relay is shutting down".to_owned());
        }
    }
}

/// A hub that is dropped without being stopped leaves no connection behind.
impl Drop for Hub {
    fn drop(&mut self) {
        self.connections.values().for_each(|outbox| outbox.abandon());
    }
}

/// The rooms that were read, on their way to the hub.
pub(crate) struct LoadedRooms(mpsc::UnboundedReceiver<Loaded>);

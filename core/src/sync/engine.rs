//! `Engine`: takes inputs, hands out effects, and says when it wants to be woken.
//!
//! Always holds: `handle` only notes what must be said; frames are made when the effects are drained, so that all that
//! happened in between leaves in one frame per connection. Not here: what the parts do (the files beside `engine`).

mod channel;
mod compare;
mod damage;
mod fetch;
mod flow;
mod flush;
mod greet;
mod local;
mod open;
mod priority;
mod receive;
mod search;
mod wake;

use std::collections::VecDeque;

use super::conn::Conn;
use super::room::{Damage, Room};
use super::timers::{Owner, Timers};
use super::{Config, ConnId, Effect, Input, SyncStatus, Token};
use crate::id::DocName;
use crate::ordered::{OrdMap, OrdSet};

/// What a completion is for.
#[derive(Debug)]
enum Task {
    Persist(DocName),
    Load(DocName, ConnId),
}

/// The sync engine of one process (or one relay room).
#[derive(Debug)]
pub struct Engine {
    config: Config,
    now_ms: u64,
    rooms: OrdMap<DocName, Room>,
    conns: OrdMap<ConnId, Conn>,
    /// Documents that the driver loads for peers, and who asked.
    asked: OrdMap<DocName, OrdSet<ConnId>>,
    /// Documents that the driver wants to have as the peers that we dialed have them, and over which connections.
    fetches: OrdMap<DocName, OrdSet<ConnId>>,
    tasks: OrdMap<Token, Task>,
    next_token: u64,
    timers: Timers,
    effects: VecDeque<Effect>,
    dirty_rooms: OrdSet<DocName>,
    /// Dirty rooms of which the driver has its part.
    settled_rooms: OrdSet<DocName>,
    dirty_conns: OrdSet<ConnId>,
    /// Connections with documents that are behind, which may go on.
    lagging: OrdSet<ConnId>,
}

impl Engine {
    /// An engine without documents and connections.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now_ms: 0,
            rooms: OrdMap::new(),
            conns: OrdMap::new(),
            asked: OrdMap::new(),
            fetches: OrdMap::new(),
            tasks: OrdMap::new(),
            next_token: 0,
            timers: Timers::default(),
            effects: VecDeque::new(),
            dirty_rooms: OrdSet::new(),
            settled_rooms: OrdSet::new(),
            dirty_conns: OrdSet::new(),
            lagging: OrdSet::new(),
        }
    }

    /// Takes an input. `now_ms` is a time in milliseconds that does not run back (if it does, the latest one counts).
    /// It should be the time of day where replicas outlive the process: it orders presence values across restarts.
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        self.now_ms = self.now_ms.max(now_ms);
        match input {
            Input::Connected { conn, role, link, credential } => self.connected(conn, role, link, credential),
            Input::Disconnected { conn } => self.disconnected(conn),
            Input::Received { conn, bytes } => self.received(conn, &bytes),
            Input::Written { conn, bytes } => self.written(conn, bytes),
            Input::Authenticated { conn, grant } => self.authenticated(conn, grant),
            Input::Opened { doc, state, presence_owner } => self.opened(doc, state, presence_owner),
            Input::Damaged { doc, state, missing, reason } => {
                self.opened_damaged(doc, state, Damage { missing, reason })
            }
            Input::Refuse { conn, doc, code, text } => self.refuse_for_driver(conn, &doc, code, &text),
            Input::OpenFailed { doc, reason } => self.open_failed(&doc, &reason),
            Input::Closed { doc } => self.closed(&doc),
            Input::Prioritize { doc, priority } => self.prioritize(&doc, priority),
            Input::Edited { doc, batch } => self.edited(&doc, &batch),
            Input::Close { conn, code, text } => self.close_for_driver(conn, code, &text),
            Input::Persisted { token } => self.persisted(token),
            Input::PersistFailed { token, reason } => self.persist_failed(token, &reason),
            Input::Forked { doc, fork } => self.forked(&doc, fork),
            Input::Loaded { token, batch, digests } => self.loaded(token, batch, &digests),
            Input::LoadFailed { token, reason } => self.load_failed(token, &reason),
            Input::Ask { conn, collection, question } => self.ask_about(conn, collection, question),
            Input::News { collection } => self.tell_news(&collection),
            Input::Fetch { conn, doc } => self.fetch(conn, doc),
            Input::Answer { conn, answer } => self.answer(conn, answer.as_deref()),
            Input::Search { conn, doc, question } => self.search(conn, doc, question),
            Input::SearchAnswer { conn, answer } => self.search_answer(conn, answer.as_deref()),
            Input::SetPresence { doc, key, value } => self.set_presence(&doc, key, value),
            Input::Woken => {}
        }
        self.wake();
    }

    /// The next effect. Drain it until it returns `None`, then wait for an input or the deadline.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        if self.effects.is_empty() {
            self.flush();
        }
        self.effects.pop_front()
    }

    /// When `Input::Woken` is due, in the same milliseconds as `handle`'s; `None` if nothing waits for time. Valid once
    /// the effects are drained.
    pub fn deadline(&self) -> Option<u64> {
        self.timers.next()
    }

    /// Where our changes of a document have got to; `None` if it is not open here.
    pub fn status(&self, doc: &DocName) -> Option<SyncStatus> {
        self.rooms.get(doc).map(Room::status)
    }

    /// A room, about to change.
    fn room(&mut self, doc: &DocName) -> Option<&mut Room> {
        let room = self.rooms.get_mut(doc)?;
        room.now_ms = self.now_ms;
        self.dirty_rooms.insert(doc.clone());
        Some(room)
    }

    /// A connection, about to be written to.
    fn conn(&mut self, conn: ConnId) -> Option<&mut Conn> {
        let found = self.conns.get_mut(&conn)?;
        self.dirty_conns.insert(conn);
        Some(found)
    }

    fn wake_room_by(&mut self, doc: &DocName, at_ms: u64) {
        self.timers.at_latest(Owner::Room(doc.clone()), at_ms);
    }
}

fn take_token(next: &mut u64) -> Token {
    let token = Token(*next);
    *next += 1;
    token
}

//! One turn of the actor: what comes in, and what is done when all of it was taken.
//!
//! Always holds: what was edited in a turn is sealed and with the engine before any effect is performed.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use selvedge::DocName;
use selvedge::sync::{self, CloseCode, Input, Role};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Actor, Command, Link, OpenDoc};
use crate::error::ClientError;
use crate::handle::Access;
use crate::progress::Connection;
use crate::socket::{self, NetEvent};
use crate::store::Stored;

/// Most commands taken in one turn.
const COMMANDS_PER_TURN: usize = 1024;

/// Most network events taken in one turn.
const EVENTS_PER_TURN: usize = 64;

impl Actor {
    /// Takes what has arrived meanwhile, up to a bound, so that nobody waits for ever.
    pub(super) fn take_what_waits(&mut self) {
        while let Ok(stored) = self.ports.stored.try_recv() {
            self.on_stored(stored);
        }
        for _ in 0..EVENTS_PER_TURN {
            let Ok(event) = self.ports.net.try_recv() else { break };
            self.on_net(event);
        }
        for _ in 0..COMMANDS_PER_TURN {
            if self.is_congested() {
                break;
            }
            let Ok(command) = self.ports.inbox.try_recv() else { break };
            self.on_command(command);
        }
    }

    pub(super) fn on_command(&mut self, command: Command) {
        match command {
            Command::Open { doc, hold, reply } => self.open(doc, hold, reply),
            Command::Run { doc, job } => self.run_job(doc, |access| job(access)),
            Command::Seal { doc, reply } => {
                self.touched.insert(doc.clone());
                self.seals.push((doc, reply));
            }
            Command::Subscribe { doc, reply } => {
                if let Some(open) = self.docs.get_mut(&doc) {
                    open.doc.record_patches(true);
                    open.recording = true;
                    let _ = reply.send(open.patches.subscribe());
                }
            }
            Command::SetPresence { doc, key, value } => self.handle(Input::SetPresence { doc, key, value }),
            Command::Replace { doc } => self.replace(&doc),
            Command::Prioritize { doc, priority } => self.handle(Input::Prioritize { doc, priority }),
            Command::Follow { prefix, found } => self.follow(prefix, found),
            Command::Close { doc, reply } => self.close(doc, reply),
            Command::Shutdown { reply } => self.finished = Some(reply),
        }
    }

    fn run_job(&mut self, doc: DocName, job: impl FnOnce(&mut Access<'_>)) {
        let Some(open) = self.docs.get_mut(&doc) else { return };
        open.doc.set_now(unix_ms());
        job(&mut Access::new(&mut open.doc, open.held.as_mut()));
        self.touched.insert(doc);
    }

    fn close(&mut self, doc: DocName, reply: oneshot::Sender<()>) {
        self.seal(&doc);
        if self.docs.remove(&doc).is_some() {
            self.handle(Input::Closed { doc });
        }
        let _ = reply.send(());
    }

    pub(super) fn on_net(&mut self, event: NetEvent) {
        match event {
            NetEvent::Up { conn, relay, out } => {
                self.links.insert(conn, Link { relay, out });
                for open in self.docs.values() {
                    open.clear_error(|error| matches!(error, ClientError::Refused { .. }));
                }
                let (role, credential) = match relay {
                    Some(relay) => {
                        self.set_state(relay, Connection::Online);
                        (Role::Dialer, self.credential.clone())
                    }
                    None => (Role::Acceptor, None),
                };
                self.handle(Input::Connected { conn, role, link: sync::Link::Remote, credential });
                if relay.is_some() {
                    self.follow_over(conn);
                }
            }
            NetEvent::Received { conn, bytes } => self.handle(Input::Received { conn, bytes }),
            NetEvent::Written { conn, bytes } => self.handle(Input::Written { conn, bytes }),
            NetEvent::Down { conn, relay, code, problem, retry_ms } => {
                if let Some(conn) = conn {
                    self.links.remove(&conn);
                    self.unfollow_over(conn);
                    self.search_broken(conn);
                    self.handle(Input::Disconnected { conn });
                }
                if let Some(relay) = relay {
                    self.relay_down(relay, code, problem, retry_ms);
                }
            }
        }
    }

    fn relay_down(&mut self, relay: usize, code: Option<u16>, problem: String, retry_ms: u64) {
        let is_rejected = |state: Option<&Connection>| matches!(state, Some(Connection::Rejected { .. }));
        if let Some(code) = socket::final_code(code) {
            self.reject(relay, code, problem);
        } else if !is_rejected(self.net.states.get(relay)) {
            self.set_state(relay, Connection::Offline { problem, retry_ms });
        }
        if is_rejected(self.net.states.get(relay)) {
            self.net.relays.get_mut(relay).and_then(Option::take).inspect(JoinHandle::abort);
        }
    }

    /// A relay will not have us: when this connection has ended there is no other attempt.
    pub(super) fn reject(&mut self, relay: usize, code: CloseCode, text: String) {
        self.set_state(relay, Connection::Rejected { code, text: text.clone() });
        // Another relay may still take what is made here.
        if matches!(*self.connection.borrow(), Connection::Rejected { .. }) {
            self.docs.values().for_each(|open| open.fail(ClientError::Rejected { code, text: text.clone() }));
        }
    }

    /// Notes how a relay is, and tells how the best one is.
    fn set_state(&mut self, relay: usize, state: Connection) {
        if let Some(known) = self.net.states.get_mut(relay) {
            *known = state;
        }
        if let Some(best) = self.net.states.iter().min_by_key(|state| state.rank()) {
            self.connection.send_replace(best.clone());
        }
    }

    pub(super) fn on_stored(&mut self, stored: Stored) {
        match stored {
            Stored::Appended { token, bytes, result } => {
                self.storing_bytes = self.storing_bytes.saturating_sub(bytes);
                let open = self.storing.remove(&token).and_then(|doc| self.docs.get(&doc));
                match result {
                    Ok(()) => {
                        open.inspect(|open| open.clear_error(|error| matches!(error, ClientError::Store(_))));
                        self.handle(Input::Persisted { token });
                    }
                    Err(error) => {
                        let reason = error.to_string();
                        open.inspect(|open| open.fail(ClientError::Store(error)));
                        self.handle(Input::PersistFailed { token, reason });
                    }
                }
            }
            Stored::Repaired { doc, result } => self.mended(&doc, result),
            Stored::Replaced { doc, result } => self.replaced(&doc, result),
            Stored::Loaded { doc, result } => self.loaded(doc, result.map_err(ClientError::Store)),
        }
    }

    /// Seals what was edited, hands it to the engine, performs the effects and tells whoever asked.
    pub(super) fn finish_turn(&mut self) {
        let touched = std::mem::take(&mut self.touched);
        touched.iter().for_each(|doc| self.seal(doc));
        self.perform_effects();
        self.mend();
        for (doc, reply) in std::mem::take(&mut self.seals) {
            if let Some(open) = self.docs.get(&doc) {
                let _ = reply.send((open.doc.replica(), open.own_end));
            }
        }
        self.docs.values_mut().filter(|open| open.recording).for_each(OpenDoc::publish_patches);
    }

    fn seal(&mut self, doc: &DocName) {
        let Some(open) = self.docs.get_mut(doc).filter(|open| !open.is_being_rewritten()) else { return };
        let batch = open.doc.take_batch();
        if batch.is_empty() {
            return;
        }
        let replica = open.doc.replica();
        open.own_end = open.doc.version().end(replica);
        if let Some(held) = &mut open.held
            && let Err(source) = held.own(replica, &batch)
        {
            open.fail(ClientError::Changes { doc: doc.clone(), origin: "this device", source });
        }
        self.handle(Input::Edited { doc: doc.clone(), batch });
    }

    pub(super) fn handle(&mut self, input: Input) {
        self.engine.handle(self.now_ms(), input);
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

impl OpenDoc {
    pub(super) fn fail(&self, error: ClientError) {
        tracing::warn!(%error);
        self.progress.send_modify(|progress| progress.error = Some(error));
    }

    pub(super) fn clear_error(&self, which: impl FnOnce(&ClientError) -> bool) {
        self.progress.send_if_modified(|progress| progress.error.take_if(|error| which(error)).is_some());
    }

    fn publish_patches(&mut self) {
        let patches = self.doc.take_patches();
        if self.patches.receiver_count() == 0 {
            self.doc.record_patches(false);
            self.recording = false;
        } else if !patches.is_empty() {
            let _ = self.patches.send(Arc::from(patches));
        }
    }
}

/// Milliseconds since the Unix epoch; 0 on a device whose clock stands before it.
pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

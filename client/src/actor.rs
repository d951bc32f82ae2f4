//! The one task that owns the engine and the documents.
//!
//! It works in turns: it takes everything that waits (commands, messages, completions), then seals and hands over what
//! was edited, then drains the engine's effects, once. So many small changes cost little each. Always holds: nothing
//! else touches a document; when too much waits to be stored, no commands are taken.
//! Not here: sockets (`socket`), disks (`store`).

mod effects;
mod follow;
mod heal;
mod mend;
mod open;
mod turn;

pub(crate) use follow::Found;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use selvedge::doc::{Doc, Patch};
use selvedge::sync::{ConnId, Engine, Input, Token};
use selvedge::{DocName, ReplicaId};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::error::ClientError;
use crate::handle::{Access, DocHandle, Presence};
use crate::held::Held;
use crate::progress::{Connection, Progress};
use crate::socket::{NetEvent, Outbox};
use crate::store::{Stored, Worker};

/// Bytes that may wait to be stored before commands have to wait.
const MAX_STORING_BYTES: usize = 16 << 20;

/// How long the end of the client waits for the connection to close.
const GOODBYE: Duration = Duration::from_secs(2);

/// Something to do with a document, inside the actor.
pub(crate) type Job = Box<dyn FnOnce(&mut Access<'_>) + Send>;

type OpenReply = oneshot::Sender<Result<DocHandle, ClientError>>;

/// What handles ask for. A reply that is dropped says that the document or the client is closed.
pub(crate) enum Command {
    Open {
        doc: DocName,
        hold: bool,
        reply: OpenReply,
    },
    Run {
        doc: DocName,
        job: Job,
    },
    /// Seals what was edited and replies with our id and the end of our own log.
    Seal {
        doc: DocName,
        reply: oneshot::Sender<(ReplicaId, u64)>,
    },
    Subscribe {
        doc: DocName,
        reply: oneshot::Sender<broadcast::Receiver<Arc<[Patch]>>>,
    },
    SetPresence {
        doc: DocName,
        key: String,
        value: Option<Vec<u8>>,
    },
    Prioritize {
        doc: DocName,
        priority: u8,
    },
    /// Tries again to rewrite a healed document.
    Replace {
        doc: DocName,
    },
    /// Opens every document of this prefix as it appears.
    Follow {
        prefix: String,
        found: Found,
    },
    Close {
        doc: DocName,
        reply: oneshot::Sender<()>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}

/// Where things come from.
pub(crate) struct Ports {
    pub(crate) commands: mpsc::WeakSender<Command>,
    pub(crate) inbox: mpsc::Receiver<Command>,
    pub(crate) net: mpsc::Receiver<NetEvent>,
    pub(crate) stored: mpsc::UnboundedReceiver<Stored>,
}

/// The tasks behind `Ports::net`.
#[derive(Default)]
pub(crate) struct Net {
    /// One per relay dials and pumps; `None` after the relay has rejected us.
    pub(crate) relays: Vec<Option<JoinHandle<()>>>,
    /// How each of them is.
    pub(crate) states: Vec<Connection>,
    /// Takes connections from other devices.
    pub(crate) listener: Option<JoinHandle<()>>,
    /// What those must present.
    pub(crate) listen_token: Option<String>,
}

/// A connection that is up.
struct Link {
    /// Which relay it was dialled to.
    relay: Option<usize>,
    out: Outbox,
}

/// A document that is open here.
struct OpenDoc {
    doc: Doc,
    /// With `hold_remote`: what arrived and was not imported yet.
    held: Option<Held>,
    /// Stored records of it are damaged.
    mending: Option<mend::Mending>,
    /// Another copy has written with our id.
    healing: Option<heal::Healing>,
    /// The end of our own log, as far as the engine knows it.
    own_end: u64,
    progress: watch::Sender<Progress>,
    patches: broadcast::Sender<Arc<[Patch]>>,
    recording: bool,
    presence: broadcast::Sender<Presence>,
}

/// The task's state.
pub(crate) struct Actor {
    engine: Engine,
    credential: Option<String>,
    ports: Ports,
    net: Net,
    worker: Option<Worker>,
    connection: watch::Sender<Connection>,
    started: Instant,
    docs: BTreeMap<DocName, OpenDoc>,
    opening: BTreeMap<DocName, Vec<(bool, OpenReply)>>,
    links: BTreeMap<ConnId, Link>,
    followings: Vec<follow::Following>,
    storing: BTreeMap<Token, DocName>,
    storing_bytes: usize,
    /// Completions of effects that complete at once.
    answers: VecDeque<Input>,
    touched: BTreeSet<DocName>,
    seals: Vec<(DocName, oneshot::Sender<(ReplicaId, u64)>)>,
    finished: Option<oneshot::Sender<()>>,
}

impl Actor {
    pub(crate) fn new(
        engine: Engine,
        credential: Option<String>,
        ports: Ports,
        net: Net,
        worker: Option<Worker>,
        connection: watch::Sender<Connection>,
    ) -> Self {
        Self {
            engine,
            credential,
            ports,
            net,
            worker,
            connection,
            started: Instant::now(),
            docs: BTreeMap::new(),
            opening: BTreeMap::new(),
            links: BTreeMap::new(),
            followings: Vec::new(),
            storing: BTreeMap::new(),
            storing_bytes: 0,
            answers: VecDeque::new(),
            touched: BTreeSet::new(),
            seals: Vec::new(),
            finished: None,
        }
    }

    /// Works until the client and all its handles are gone, or until it is told to end.
    pub(crate) async fn run(mut self) {
        while self.wait().await {
            self.take_what_waits();
            self.finish_turn();
            if self.finished.is_some() {
                break;
            }
        }
        self.finish_turn();
        self.say_goodbye().await;
    }

    /// Waits for the first thing of the next turn; `false` when nobody is left to work for.
    async fn wait(&mut self) -> bool {
        let congested = self.is_congested();
        let deadline = self.engine.deadline().into_iter().chain(self.follow_due_ms()).min();
        let deadline = deadline.map(|ms| self.started + Duration::from_millis(ms));
        tokio::select! {
            Some(stored) = self.ports.stored.recv() => self.on_stored(stored),
            Some(event) = self.ports.net.recv() => self.on_net(event),
            command = self.ports.inbox.recv(), if !congested => match command {
                Some(command) => self.on_command(command),
                None => return false,
            },
            () = sleep_until(deadline.unwrap_or(self.started)), if deadline.is_some() => self.handle(Input::Woken),
        }
        true
    }

    fn is_congested(&self) -> bool {
        self.storing_bytes > MAX_STORING_BYTES
    }

    async fn say_goodbye(mut self) {
        self.docs.clear();
        let mut closing = self.links.len();
        self.links.clear();
        if let Some(worker) = self.worker.take() {
            // It finishes what it was given.
            let _ = tokio::task::spawn_blocking(move || drop(worker)).await;
        }
        let close = async {
            while closing > 0 {
                let Some(event) = self.ports.net.recv().await else { return };
                closing -= usize::from(matches!(event, NetEvent::Down { conn: Some(_), .. }));
            }
        };
        let _ = timeout(GOODBYE, close).await;
        for task in self.net.relays.drain(..).chain([self.net.listener.take()]).flatten() {
            task.abort();
            let _ = task.await;
        }
        if let Some(finished) = self.finished.take() {
            let _ = finished.send(());
        }
    }
}

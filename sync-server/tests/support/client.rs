//! A client for tests: a real engine and a real document behind a WebSocket, with a store that is always at once done.
//!
//! Always holds: `until` ends after a bounded number of steps; nothing in it is a stand-in for the relay.

#![allow(dead_code, reason = "every test file uses another part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use selvedge::op::Batch;
use selvedge::sync::{AckLevel, Config, ConnId, Effect, Engine, Input, Link, RefuseCode, Role};
use selvedge::{Doc, DocName, ReplicaId, VersionVector};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Only there to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Opens a WebSocket to a relay.
pub(crate) async fn socket(addr: SocketAddr) -> Socket {
    connect_async_with_config(format!("ws://{addr}/sync"), None, true).await.expect("connects").0
}

/// Reads until the relay closes; returns the close code and its text.
pub(crate) async fn closing(socket: &mut Socket) -> (u16, String) {
    let reads = async {
        while let Some(message) = socket.next().await {
            match message {
                Ok(Message::Close(Some(frame))) => return (u16::from(frame.code), frame.reason.to_string()),
                Ok(_) => {}
                Err(error) => panic!("no close frame, but {error}"),
            }
        }
        panic!("no close frame");
    };
    tokio::time::timeout(PATIENCE, reads).await.expect("the relay closes")
}

/// A replica of one document.
pub(crate) struct Client {
    pub(crate) doc: Doc,
    pub(crate) name: DocName,
    /// What the relay said is durable.
    pub(crate) durable: VersionVector,
    pub(crate) refused: Vec<(RefuseCode, String)>,
    /// The close frame.
    pub(crate) closed: Option<(u16, String)>,
    /// Every message sent over the present connection.
    pub(crate) sent: Vec<Vec<u8>>,
    engine: Engine,
    socket: Option<Socket>,
    conn: ConnId,
    now_ms: u64,
}

impl Client {
    /// An empty copy, not connected.
    pub(crate) fn new(replica: u128, name: &str) -> Self {
        let name = DocName::new(name).expect("a name");
        let (mut engine, mut doc) = (Engine::new(Config::client()), Doc::new(ReplicaId::from(replica)));
        let state = selvedge::sync::DocState { logs: doc.log_states() };
        let presence_owner = Some(doc.replica());
        engine.handle(0, Input::Opened { doc: name.clone(), state, presence_owner });
        let (conn, durable) = (ConnId(0), VersionVector::new());
        let (refused, closed, sent) = (Vec::new(), None, Vec::new());
        Self { doc, name, durable, refused, closed, sent, engine, socket: None, conn, now_ms: 0 }
    }

    /// An empty copy, connected.
    pub(crate) async fn connected(replica: u128, name: &str, addr: SocketAddr) -> Self {
        let mut client = Self::new(replica, name);
        client.connect(addr, None).await;
        client
    }

    /// Connects (again) and greets.
    pub(crate) async fn connect(&mut self, addr: SocketAddr, credential: Option<&str>) {
        self.disconnect();
        self.conn = ConnId(self.conn.0 + 1);
        self.socket = Some(socket(addr).await);
        (self.closed, self.refused, self.sent) = (None, Vec::new(), Vec::new());
        let (link, credential) = (Link::Remote, credential.map(str::to_owned));
        self.input(Input::Connected { conn: self.conn, role: Role::Dialer, link, credential });
        self.perform().await;
    }

    /// Drops the socket without a goodbye.
    pub(crate) fn disconnect(&mut self) {
        if self.socket.take().is_some() {
            self.input(Input::Disconnected { conn: self.conn });
        }
    }

    /// Makes an edit and sends it, if connected.
    pub(crate) async fn edit(&mut self, text: &str) {
        self.note(text);
        self.perform().await;
    }

    /// Makes an edit without sending it.
    pub(crate) fn note(&mut self, text: &str) {
        self.doc.change(|tx| tx.list("log").push(text)).expect("an edit");
        let batch = self.doc.take_batch();
        self.input(Input::Edited { doc: self.name.clone(), batch });
    }

    /// Sends changes that no document of ours would make.
    pub(crate) async fn forge(&mut self, batch: Batch) {
        self.input(Input::Edited { doc: self.name.clone(), batch });
        self.perform().await;
    }

    /// Everything in the list, in its order.
    pub(crate) fn log(&self) -> Vec<String> {
        let json = self.doc.to_json();
        let items = json.get("log").and_then(|list| list.as_array()).cloned().unwrap_or_default();
        items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether everything here is durable on the relay.
    pub(crate) fn is_durable(&self) -> bool {
        self.durable.end(self.doc.replica()) >= self.doc.version().end(self.doc.replica())
    }

    /// Takes messages until `done`; the connection must live that long.
    pub(crate) async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let steps = async {
            for _ in 0..200_000 {
                self.perform().await;
                if done(self) {
                    return;
                }
                assert!(self.step().await, "{what}: the connection ended: {:?}", self.closed);
            }
            panic!("{what}: not after 200,000 messages");
        };
        if tokio::time::timeout(PATIENCE, steps).await.is_err() {
            panic!("{what}: nothing more comes; refused: {:?}", self.refused);
        }
    }

    /// Takes messages until the relay closes; returns the close code and its text.
    pub(crate) async fn until_closed(&mut self) -> (u16, String) {
        let steps = async { while self.step().await {} };
        tokio::time::timeout(PATIENCE, steps).await.expect("the relay closes");
        self.closed.clone().expect("a close frame")
    }

    /// Takes one message or lets time pass; `false` if the connection is gone.
    pub(crate) async fn step(&mut self) -> bool {
        self.perform().await;
        let Some(socket) = &mut self.socket else { return false };
        let wait_ms = self.engine.deadline().map_or(60_000, |deadline| deadline.saturating_sub(self.now_ms));
        let Ok(message) = tokio::time::timeout(Duration::from_millis(wait_ms), socket.next()).await else {
            self.now_ms += wait_ms;
            self.input(Input::Woken);
            return true;
        };
        match message {
            Some(Ok(Message::Binary(bytes))) => self.input(Input::Received { conn: self.conn, bytes: bytes.into() }),
            Some(Ok(Message::Close(frame))) => {
                self.closed = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
            }
            Some(Ok(_)) => {}
            None | Some(Err(_)) => self.disconnect(),
        }
        true
    }

    fn input(&mut self, input: Input) {
        self.engine.handle(self.now_ms, input);
    }

    async fn perform(&mut self) {
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                Effect::Persist { token, .. } => self.input(Input::Persisted { token }),
                Effect::Load { token, since, max_bytes, .. } => {
                    let (batch, digests) = (self.doc.part_since(&since, max_bytes), self.doc.digests_at(&since));
                    self.input(Input::Loaded { token, batch, digests });
                }
                Effect::Applied { batch, .. } => {
                    self.doc.import_batch(&batch).expect("valid changes");
                }
                Effect::Send { bytes, .. } => self.send(bytes).await,
                Effect::Acked { level: AckLevel::Durable, version, .. } => self.durable.merge(&version),
                Effect::Refused { code, text, .. } => self.refused.push((code, text)),
                _ => {}
            }
        }
    }

    async fn send(&mut self, bytes: Vec<u8>) {
        self.sent.push(bytes.clone());
        if let Some(socket) = &mut self.socket {
            let written = Input::Written { conn: self.conn, bytes: bytes.len() };
            // A relay that was killed is noticed when reading.
            let _ = socket.send(Message::Binary(bytes.into())).await;
            self.input(written);
        }
    }

    /// Takes the socket away from the engine, for bytes that no engine sends.
    pub(crate) fn take_socket(&mut self) -> Socket {
        self.socket.take().expect("connected")
    }
}

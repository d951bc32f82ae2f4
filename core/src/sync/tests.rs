//! Tests that speak the protocol by hand: what an honest engine never sends.

mod access;
mod damage;
mod flow;
mod fork;
mod gossip;
mod hostile;
mod wire;

use super::conn::FRAME_BYTES;
use super::message::{self, Blob, Fingerprint, Frame, Greeting, Hello, Message, Open};
use super::*;
use crate::clock::Hlc;
use crate::graph::Logs;
use crate::id::{DocName, ReplicaId};
use crate::op::{Batch, Change, Dep, LogHead, Segment, put_frame};
use crate::ordered::OrdMap;

/// An engine and a peer that is played by the test.
struct Hand {
    engine: Engine,
    effects: Vec<Effect>,
    names: u32,
    /// What there is of each document.
    stored: OrdMap<DocName, Logs>,
    /// Whether the transport takes what it is given.
    writes: bool,
}

const CONN: ConnId = ConnId(7);

impl Hand {
    fn new(config: Config) -> Self {
        Self { engine: Engine::new(config), effects: Vec::new(), names: 0, stored: OrdMap::new(), writes: true }
    }

    /// A relay that a stranger has dialed.
    fn dialed(config: Config) -> Self {
        let mut hand = Self::new(config);
        hand.connect(CONN, Role::Acceptor);
        hand
    }

    fn connect(&mut self, conn: ConnId, role: Role) {
        self.engine.handle(1, Input::Connected { conn, role, link: Link::Remote, credential: None });
    }

    /// A relay whose dialer has greeted and has these rights.
    fn ready(grant: Grant) -> Self {
        let mut hand = Self::dialed(Config::relay());
        hand.greet(CONN, grant);
        hand
    }

    fn greet(&mut self, conn: ConnId, grant: Grant) {
        self.engine.handle(1, Input::Received { conn, bytes: hello(1, 1) });
        self.engine.handle(1, Input::Authenticated { conn, grant: Ok(grant) });
        self.drain();
    }

    fn say(&mut self, messages: &[Message<'_>]) {
        let mut bytes = vec![message::FORMAT_MESSAGES];
        messages.iter().for_each(|message| bytes.extend(message::encode(message)));
        self.say_bytes(CONN, bytes);
    }

    fn say_bytes(&mut self, conn: ConnId, bytes: Vec<u8>) {
        self.engine.handle(1, Input::Received { conn, bytes });
        self.drain();
    }

    fn drain(&mut self) {
        for _ in 0..1_000 {
            let Some(effect) = self.engine.poll_effect() else { return };
            self.effects.push(effect.clone());
            match effect {
                Effect::Open { doc } => {
                    let logs = self.stored.get_mut(&doc).map(Logs::state);
                    let (state, presence_owner) = (DocState { logs: logs.unwrap_or_default() }, None);
                    self.engine.handle(1, Input::Opened { doc, state, presence_owner });
                }
                Effect::Persist { token, .. } => self.engine.handle(1, Input::Persisted { token }),
                Effect::Send { conn, bytes } if self.writes => {
                    self.engine.handle(1, Input::Written { conn, bytes: bytes.len() })
                }
                Effect::Load { token, doc, since, max_bytes } => {
                    let batch = self.stored.get(&doc).map(|logs| logs.part_since(&since, max_bytes));
                    let batch = batch.unwrap_or_default();
                    self.engine.handle(1, Input::Loaded { token, batch, digests: Vec::new() });
                }
                _ => {}
            }
        }
        panic!("effects do not end");
    }

    /// Opens a document that the played peer knows nothing of, as replica 9.
    fn open(&mut self, channel: u32, name: &str) {
        self.name(ReplicaId::from(9));
        self.say(&[open(channel, name, Some(0))]);
    }

    fn name(&mut self, replica: ReplicaId) -> u32 {
        self.say(&[Message::Names(vec![replica])]);
        self.names += 1;
        self.names - 1
    }

    fn closed(&self) -> Option<(CloseCode, String)> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::Close { conn: CONN, code, text } => Some((*code, text.clone())),
            _ => None,
        })
    }

    fn applied(&self) -> usize {
        self.effects.iter().filter(|effect| matches!(effect, Effect::Applied { .. })).count()
    }

    /// What the engine said on the connection, as text for assertions.
    fn heard(&self) -> Vec<String> {
        let frames = self.effects.iter().filter_map(|effect| match effect {
            Effect::Send { conn: CONN, bytes } => Some(bytes),
            _ => None,
        });
        let words = |bytes: &Vec<u8>| match message::decode(bytes).expect("the engine speaks well") {
            Frame::Greeting(greeting) => vec![format!("{greeting:?}")],
            Frame::Messages(messages) => messages.iter().map(|message| format!("{message:?}")).collect(),
        };
        frames.flat_map(words).collect()
    }

    fn heard_count(&self, start: &str) -> usize {
        self.heard().iter().filter(|words| words.starts_with(start)).count()
    }
}

fn hello(min: u16, max: u16) -> Vec<u8> {
    message::encode_greeting(&Greeting::Hello(Hello {
        min,
        max,
        capabilities: 0,
        max_message_bytes: 1 << 20,
        credential: Some("secret"),
        agent: "test",
        extension: Blob(b"something that a later version says"),
    }))
}

fn doc(name: &str) -> DocName {
    DocName::new(name).expect("a good name")
}

/// The fingerprint of a document without changes.
fn empty_fingerprint() -> Fingerprint {
    super::room::Room::new(DocState::default(), true, None).summary().fingerprint
}

fn open(channel: u32, name: &str, owner: Option<u32>) -> Message<'static> {
    Message::Open(Open {
        channel,
        name: doc(name),
        lineage: None,
        version: Vec::new(),
        fingerprint: empty_fingerprint(),
        owner,
        acks: true,
    })
}

/// Framed changes of one log, one operation each.
fn changes(head: &mut LogHead, bodies: &[&[u8]], deps: &[Dep]) -> Vec<u8> {
    let mut frames = Vec::new();
    for (i, body) in bodies.iter().enumerate() {
        let mut bytes = Vec::new();
        let hlc = head.hlc.next().unwrap_or(Hlc::ZERO);
        let deps = if i == 0 { deps } else { &[] };
        head.write(&Change { hlc, deps, message: None, ops: 1, body }, &mut bytes);
        put_frame(&mut frames, &bytes);
    }
    frames
}

//! What goes over the wire, read and written a second time from docs/protocol.md: for checks of what is said, and for
//! peers that say what they must not.
//!
//! Always holds: nothing is shared with the engine but deflate and integers. Not here: what is checked (`watch`).

use std::borrow::Cow;

use selvedge::codec::{Reader, inflate};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8] = b"\0selvedge";

/// Log ends: (name, exclusive end).
pub(super) type Ends = Vec<(u32, u64)>;

/// A greeting (§2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Greeting {
    Hello {
        min: u16,
        max: u16,
        capabilities: u64,
        max_message_bytes: u64,
        credential: Option<String>,
        agent: String,
        extension: Vec<u8>,
    },
    Welcome {
        version: u16,
        capabilities: u64,
        max_message_bytes: u64,
        max_documents: u64,
        agent: String,
        extension: Vec<u8>,
    },
    Close {
        code: u16,
        text: String,
    },
}

/// How safe acknowledged changes are (§6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Level {
    Received,
    Durable,
}

/// A message of version 1 (§3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    Names(Vec<[u8; 16]>),
    Open {
        channel: u32,
        name: String,
        lineage: Option<[u8; 16]>,
        version: Ends,
        fingerprint: [u8; 16],
        owner: Option<u32>,
        acks: bool,
    },
    Opened {
        channel: u32,
        rights: (bool, bool),
        state: Option<(Ends, [u8; 16])>,
        undurable: Ends,
        acks: bool,
    },
    Refused {
        channel: u32,
        code: u16,
        text: String,
    },
    Leave {
        channel: u32,
    },
    Offer {
        name: String,
    },
    Changes {
        channel: u32,
        log: u32,
        first_seq: u64,
        frames: Vec<u8>,
    },
    Digest {
        channel: u32,
        ops: u64,
        ends: [u8; 8],
        fingerprint: [u8; 16],
    },
    Resync {
        channel: u32,
        version: Ends,
    },
    Ack {
        channel: u32,
        level: Level,
        ends: Ends,
    },
    Presence {
        channel: u32,
        owner: u32,
        clock: u64,
        user: Option<String>,
        key: String,
        value: Option<Vec<u8>>,
    },
    Ping,
    Question {
        collection: String,
        question: Vec<u8>,
    },
    Answer {
        collection: String,
        answer: Option<Vec<u8>>,
    },
    Announce {
        channel: u32,
        ends: Ends,
    },
    Prune {
        channel: u32,
    },
    News {
        collection: String,
    },
    Priority {
        channel: u32,
        priority: u8,
    },
    Continues {
        channel: u32,
        points: Vec<(u32, u64, [u8; 16])>,
    },
    Search {
        name: String,
        question: Vec<u8>,
    },
    SearchAnswer {
        name: String,
        answer: Option<Vec<u8>>,
    },
    Credit {
        channel: u32,
        taken: u64,
    },
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    Greeting(Greeting),
    Messages(Vec<Message>),
}

impl Frame {
    pub(super) fn has_changes(&self) -> bool {
        matches!(self, Self::Messages(all) if all.iter().any(|message| matches!(message, Message::Changes { .. })))
    }
}

/// Reads a frame; `None` if it is malformed.
pub(super) fn read(bytes: &[u8]) -> Option<Frame> {
    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        let (greeting, rest) = postcard::take_from_bytes(rest).ok()?;
        return rest.is_empty().then_some(Frame::Greeting(greeting));
    }
    let frame = match bytes.first()? {
        2 => {
            let mut reader = Reader::new(&bytes[1..]);
            let len = reader.u64("frame length").ok().filter(|len| *len <= 16 << 20)?;
            Cow::Owned(inflate(reader.rest(), len as usize)?)
        }
        _ => Cow::Borrowed(bytes),
    };
    let mut rest = frame.strip_prefix(&[1])?;
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let (message, after) = postcard::take_from_bytes(rest).ok()?;
        messages.push(message);
        rest = after;
    }
    (!messages.is_empty()).then_some(Frame::Messages(messages))
}

/// Writes a greeting.
pub(super) fn greeting(greeting: &Greeting) -> Vec<u8> {
    postcard::to_extend(greeting, MAGIC.to_vec()).unwrap_or_default()
}

/// Writes a frame of messages.
pub(super) fn messages(messages: &[Message]) -> Vec<u8> {
    let frame = messages.iter().try_fold(vec![1], |frame, message| postcard::to_extend(message, frame));
    frame.unwrap_or_default()
}

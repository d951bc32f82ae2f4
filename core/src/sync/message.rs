//! What goes over the wire: the greeting, which every version reads, and the messages of protocol version 1.
//!
//! A transport message (a frame) starts with a byte that tells its format. 0: the word `selvedge` and one `Greeting`.
//! 1: one or more `Message`s, one behind the other. 2: a frame of format 1, deflated. Always holds: enums only grow at their end; bytes have one
//! encoding; nothing is allocated before its length was compared with what is there; nothing may follow the last
//! message. Not here: who may send what when (`access`), and what a message does (`engine`).

use std::borrow::Cow;
use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::effect::AckLevel;
use super::input::Rights;
use crate::codec::{Effort, MAX_INFLATION, Reader, deflate, inflate, put_u64};
use crate::id::{DocName, Lineage, ReplicaId};
use crate::planted::{self, Bug};

/// Oldest protocol version that this build speaks.
pub(crate) const PROTOCOL_MIN: u16 = 1;
/// Newest protocol version that this build speaks.
pub(crate) const PROTOCOL_MAX: u16 = 1;
/// Capability bit: changes go along a tree over this connection, and are announced where it does not pass.
pub(crate) const GOSSIP: u64 = 1;
/// Capability bit: whoever takes changes says so, and the other side sends no more of a document than is to be taken.
pub(crate) const FLOW: u64 = 2;
/// Largest greeting, in bytes: what a stranger may make us read.
pub(crate) const MAX_GREETING_BYTES: usize = 16 << 10;
/// Most messages in one frame.
pub(crate) const MAX_MESSAGES_PER_FRAME: usize = 4_096;
/// Longest text for people in a message, in bytes.
pub(crate) const MAX_TEXT_BYTES: usize = 1_024;

const FORMAT_GREETING: u8 = 0;
/// First byte of a frame of messages.
pub(crate) const FORMAT_MESSAGES: u8 = 1;
const FORMAT_DEFLATED: u8 = 2;
/// Frames above this are deflated if that helps, in bytes.
const DEFLATE_ABOVE: usize = 1 << 10;
const MAGIC: &[u8; 8] = b"selvedge";

/// Bytes inside a message, borrowed from the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blob<'a>(pub(crate) &'a [u8]);

impl Serialize for Blob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Blob<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BlobVisitor;
        impl<'de> Visitor<'de> for BlobVisitor {
            type Value = Blob<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_borrowed_bytes<E: serde::de::Error>(self, bytes: &'de [u8]) -> Result<Blob<'de>, E> {
                Ok(Blob(bytes))
            }
        }
        deserializer.deserialize_bytes(BlobVisitor)
    }
}

/// Log ends: (index in the sender's names, exclusive end), strictly ascending by index.
pub(crate) type Ends = Vec<(u32, u64)>;

/// The dialer's greeting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hello<'a> {
    pub(crate) min: u16,
    pub(crate) max: u16,
    pub(crate) capabilities: u64,
    pub(crate) max_message_bytes: u64,
    pub(crate) credential: Option<&'a str>,
    pub(crate) agent: &'a str,
    /// Room for later versions; skipped.
    #[serde(borrow)]
    pub(crate) extension: Blob<'a>,
}

/// The acceptor's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Welcome<'a> {
    pub(crate) version: u16,
    pub(crate) capabilities: u64,
    pub(crate) max_message_bytes: u64,
    pub(crate) max_documents: u64,
    pub(crate) agent: &'a str,
    /// Room for later versions; skipped.
    #[serde(borrow)]
    pub(crate) extension: Blob<'a>,
}

/// What every version reads and writes in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Greeting<'a> {
    #[serde(borrow)]
    Hello(Hello<'a>),
    Welcome(Welcome<'a>),
    Close {
        code: u16,
        text: &'a str,
    },
}

/// The dialer asks for a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Open {
    /// Counts up from 0, without gaps, over all `Open`s of the connection.
    pub(crate) channel: u32,
    pub(crate) name: DocName,
    /// `None`: the one that follows from the name.
    pub(crate) lineage: Option<Lineage>,
    pub(crate) version: Ends,
    pub(crate) fingerprint: Fingerprint,
    /// Index of the replica whose presence may be sent over this channel.
    pub(crate) owner: Option<u32>,
    /// Whether the dialer wants acknowledgements.
    pub(crate) acks: bool,
}

/// The acceptor has the document open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) channel: u32,
    /// What the dialer may do.
    pub(crate) rights: Rights,
    /// `None`: we have exactly what the dialer has.
    pub(crate) state: Option<Difference>,
    /// Ends of logs of which less is durable than we have.
    pub(crate) undurable: Ends,
    /// Whether the acceptor wants acknowledgements.
    pub(crate) acks: bool,
}

/// How the acceptor's version differs from the one in `Open`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Difference {
    /// Ends that differ; 0 for a log that the acceptor does not have.
    pub(crate) ends: Ends,
    pub(crate) fingerprint: Fingerprint,
}

/// Hash of all (replica, end, log digest) of a document.
pub(crate) type Fingerprint = [u8; 16];

/// A message of protocol version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message<'a> {
    /// Gives the next indices of the sender's names to these replicas.
    Names(Vec<ReplicaId>),
    Open(Open),
    Opened(Opened),
    /// The channel is closed (or was never opened) for this reason.
    Refused {
        channel: u32,
        code: u16,
        text: &'a str,
    },
    /// The dialer does not need the document any more.
    Leave {
        channel: u32,
    },
    /// The acceptor could answer an `Open` of this document differently now.
    Offer {
        name: DocName,
    },
    /// Consecutive changes of one log.
    Changes {
        channel: u32,
        log: u32,
        first_seq: u64,
        #[serde(borrow)]
        frames: Blob<'a>,
    },
    /// What the sender has, after it sent everything that it owed.
    Digest {
        channel: u32,
        ops: u64,
        ends: [u8; 8],
        fingerprint: Fingerprint,
    },
    /// Changes are missing: send everything behind this version.
    Resync {
        channel: u32,
        version: Ends,
    },
    /// Changes of the peer are this safe, up to these ends.
    Ack {
        channel: u32,
        level: AckLevel,
        ends: Ends,
    },
    /// A presence value; without a value, its end.
    Presence {
        channel: u32,
        owner: u32,
        clock: u64,
        user: Option<&'a str>,
        key: &'a str,
        #[serde(borrow)]
        value: Option<Blob<'a>>,
    },
    /// Nothing to say, but here.
    Ping,
    /// What the dialer wants to know of a collection: of the documents whose names begin with this text.
    Question {
        collection: &'a str,
        #[serde(borrow)]
        question: Blob<'a>,
    },
    /// What the acceptor says of it; nothing if it compares no collections, or not with these rights.
    Answer {
        collection: &'a str,
        #[serde(borrow)]
        answer: Option<Blob<'a>>,
    },
    /// The sender has these logs up to these ends, and sends them if asked by `Resync`.
    Announce {
        channel: u32,
        ends: Ends,
    },
    /// What comes over this channel comes otherwise too: announce it from now on, until a `Resync`.
    Prune {
        channel: u32,
    },
    /// A collection that the dialer asked about has changed since.
    News {
        collection: &'a str,
    },
    /// How urgent the dialer needs the document of a channel; what is urgent is sent first.
    Priority {
        channel: u32,
        priority: u8,
    },
    /// The sender's digests of logs where the changes that follow go on.
    Continues {
        channel: u32,
        points: Vec<(u32, u64, [u8; 16])>,
    },
    /// The dialer wants to know where the acceptor's copy of a document differs from its own.
    Search {
        name: DocName,
        #[serde(borrow)]
        question: Blob<'a>,
    },
    /// What the acceptor says to that; nothing if it has no answer, or the dialer may not read the document.
    SearchAnswer {
        name: DocName,
        #[serde(borrow)]
        answer: Option<Blob<'a>>,
    },
    /// So many bytes of changes were taken since the channel was opened.
    Credit {
        channel: u32,
        taken: u64,
    },
}

/// A frame, decoded.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Greeting(Greeting<'a>),
    Messages(Vec<Message<'a>>),
}

/// Reads a frame.
///
/// # Errors
/// In words for the peer, if the bytes are malformed.
pub(crate) fn decode(bytes: &[u8]) -> Result<Frame<'_>, String> {
    let Some((&format, rest)) = bytes.split_first() else {
        return Err("the message is empty".into());
    };
    match format {
        FORMAT_GREETING => {
            let rest = rest.strip_prefix(MAGIC).ok_or("the greeting does not start with the word selvedge")?;
            let (greeting, rest) = decode_one(rest, 0)?;
            if rest.is_empty() { Ok(Frame::Greeting(greeting)) } else { Err("bytes follow the greeting".into()) }
        }
        FORMAT_MESSAGES => decode_messages(rest).map(Frame::Messages),
        other => Err(format!("message format {other} is not known here")),
    }
}

/// A frame of messages as it is sent: deflated if it is large, that helps, and the other side may inflate it.
pub(crate) fn pack(frame: Vec<u8>) -> Vec<u8> {
    if frame.len() <= DEFLATE_ABOVE {
        return frame;
    }
    let mut out = vec![FORMAT_DEFLATED];
    put_u64(&mut out, frame.len() as u64);
    let packed = deflate(&frame, Effort::Wire);
    out.extend_from_slice(&packed);
    if out.len() < frame.len() && packed.len() * MAX_INFLATION >= frame.len() { out } else { frame }
}

/// A frame as it was packed: of at most `max` bytes, and at most twelve times as long as it came.
///
/// # Errors
/// In words for the peer, if the bytes are malformed.
pub(crate) fn unpack(bytes: &[u8], max: usize) -> Result<Cow<'_, [u8]>, String> {
    if bytes.first() != Some(&FORMAT_DEFLATED) {
        return Ok(bytes.into());
    }
    let mut reader = Reader::new(&bytes[1..]);
    let len = reader.u64("frame length").map_err(|error| error.to_string())?;
    let max = max.min(reader.remaining() * MAX_INFLATION);
    if len > max as u64 {
        return Err(format!("a deflated frame of {len} bytes is above the limit of {max}"));
    }
    let frame = inflate(reader.rest(), len as usize).filter(|frame| frame.first() == Some(&FORMAT_MESSAGES));
    frame.map(Cow::Owned).ok_or_else(|| "the deflated frame is damaged".to_owned())
}

/// Whether a frame claims to hold messages; none of it was read.
pub(crate) fn is_messages(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(&FORMAT_MESSAGES | &FORMAT_DEFLATED))
}

fn decode_messages(mut rest: &[u8]) -> Result<Vec<Message<'_>>, String> {
    let mut messages = Vec::new();
    while !rest.is_empty() {
        if messages.len() == MAX_MESSAGES_PER_FRAME {
            return Err(format!("more than {MAX_MESSAGES_PER_FRAME} messages in one frame"));
        }
        let (message, after) = match decode_one(rest, messages.len()) {
            Err(_) if planted::is(Bug::FrameIsReadAsFarAsItGoes) && !messages.is_empty() => return Ok(messages),
            decoded => decoded?,
        };
        messages.push(message);
        rest = after;
    }
    if messages.is_empty() { Err("the frame holds no message".into()) } else { Ok(messages) }
}

fn decode_one<'a, T: Deserialize<'a> + Serialize>(bytes: &'a [u8], index: usize) -> Result<(T, &'a [u8]), String> {
    let (message, rest) = postcard::take_from_bytes::<T>(bytes).map_err(|error| match error {
        postcard::Error::DeserializeUnexpectedEnd => format!("message {index} of the frame is cut off"),
        _ => format!("message {index} of the frame is malformed"),
    })?;
    let used = &bytes[..bytes.len() - rest.len()];
    // Postcard reads integers that are longer than need be; ours have one encoding.
    if encode_into(&message, Vec::with_capacity(used.len())) != used {
        return Err(format!("message {index} of the frame is not in its shortest form"));
    }
    Ok((message, rest))
}

fn encode_into<T: Serialize>(message: &T, out: Vec<u8>) -> Vec<u8> {
    match postcard::to_extend(message, out) {
        Ok(out) => out,
        Err(_) => unreachable!("our messages have only types that postcard writes, and a Vec grows"),
    }
}

/// A whole frame that holds a greeting.
pub(crate) fn encode_greeting(greeting: &Greeting<'_>) -> Vec<u8> {
    let mut out = vec![FORMAT_GREETING];
    out.extend_from_slice(MAGIC);
    encode_into(greeting, out)
}

/// A message alone; a frame of them begins with `FORMAT_MESSAGES`.
pub(crate) fn encode(message: &Message<'_>) -> Vec<u8> {
    encode_into(message, Vec::new())
}

/// The part of a text that fits into a message.
pub(crate) fn clip(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

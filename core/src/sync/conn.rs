//! `Conn`: one connection: how far its greeting has got, its channels, and the frames that wait to be sent.
//!
//! Always holds: messages leave in the order in which they were pushed; a replica is named before it is used.
//! Not here: what a channel's document has (`room`).

use std::collections::VecDeque;

use super::config::Limits;
use super::flow::Flow;
use super::input::{Grant, Link, Role};
use super::message::{self, FLOW, GOSSIP, Greeting, MAX_MESSAGES_PER_FRAME, Message};
use super::names::{NamesIn, NamesOut};
use super::room::PeerHas;
use crate::id::{DocName, ReplicaId, VersionVector};
use crate::ordered::{OrdMap, OrdSet};

/// A frame is cut before it grows beyond this, in bytes, unless one message alone is larger.
pub(crate) const FRAME_BYTES: usize = 256 << 10;

/// How far a connection has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The dialer has greeted, or is about to.
    Greeting,
    /// The acceptor's driver looks at the credential.
    Authenticating,
    /// Documents may be opened.
    Ready,
    /// Closed by us; the transport is still there.
    Closing,
}

/// A channel that is not closed.
#[derive(Debug)]
pub(crate) enum Channel {
    /// We asked for the document, and said that we have this.
    Asking(DocName, VersionVector),
    /// The peer asked for a document that is being loaded.
    Asked(DocName, Box<Request>),
    /// Open: the rest is in the room.
    Live(DocName),
}

impl Channel {
    pub(crate) fn doc(&self) -> &DocName {
        match self {
            Self::Asking(doc, _) | Self::Asked(doc, _) | Self::Live(doc) => doc,
        }
    }
}

/// What a peer said when it asked for a document.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) channel: u32,
    pub(crate) has: PeerHas,
    pub(crate) owner: Option<ReplicaId>,
    pub(crate) acks: bool,
    pub(crate) priority: u8,
}

/// When a refused document is asked for again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Retry {
    /// `None`: only when the peer offers it.
    pub(crate) at_ms: Option<u64>,
    pub(crate) delay_ms: u64,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Conn {
    pub(crate) role: Role,
    pub(crate) link: Link,
    pub(crate) phase: Phase,
    pub(crate) grant: Grant,
    pub(crate) names_in: NamesIn,
    pub(crate) names_out: NamesOut,
    pub(crate) channels: OrdMap<u32, Channel>,
    pub(crate) by_doc: OrdMap<DocName, u32>,
    pub(crate) next_channel: u32,
    /// Documents that were refused to us.
    pub(crate) refused: OrdMap<DocName, Retry>,
    /// Documents that we refused and may offer later.
    pub(crate) unserved: OrdSet<DocName>,
    /// The collection of the question that is not answered yet: ours, or the peer's if it dialed.
    pub(crate) asked: Option<String>,
    /// Questions of ours that come next, with their collections.
    pub(crate) questions: VecDeque<(String, Vec<u8>)>,
    /// Collections that the peer asked about, and was not told of a change since.
    pub(crate) watched: OrdSet<String>,
    /// The document of the search that is not answered yet: ours, or the peer's if it dialed. Its question, while the
    /// document is being loaded for it, or the answer is waited for.
    pub(crate) searched: Option<(DocName, Vec<u8>)>,
    /// Searches of ours that come next.
    pub(crate) searches: VecDeque<(DocName, Vec<u8>)>,
    pub(crate) peer_max_bytes: u64,
    /// Whether both sides pass changes on: the connection is a link of the trees of its documents.
    pub(crate) gossip: bool,
    /// Whether the peer says what it has taken.
    pub(crate) flow_control: bool,
    pub(crate) flow: Flow,
    pub(crate) up_ms: u64,
    pub(crate) heard_ms: u64,
    pub(crate) sent_ms: u64,
    frames: Vec<Vec<u8>>,
    /// Bytes in `frames`.
    cut_bytes: usize,
    frame: Vec<u8>,
    in_frame: usize,
}

impl Conn {
    pub(crate) fn new(role: Role, link: Link, now_ms: u64) -> Self {
        Self {
            role,
            link,
            phase: Phase::Greeting,
            // A dialer chose its peer and shows it everything; whoever dials us starts with nothing.
            grant: if role == Role::Dialer { Grant::all() } else { Grant::default() },
            names_in: NamesIn::default(),
            names_out: NamesOut::default(),
            channels: OrdMap::new(),
            by_doc: OrdMap::new(),
            next_channel: 0,
            refused: OrdMap::new(),
            unserved: OrdSet::new(),
            asked: None,
            questions: VecDeque::new(),
            watched: OrdSet::new(),
            searched: None,
            searches: VecDeque::new(),
            peer_max_bytes: u64::MAX,
            gossip: false,
            flow_control: false,
            flow: Flow::default(),
            up_ms: now_ms,
            heard_ms: now_ms,
            sent_ms: now_ms,
            frames: Vec::new(),
            cut_bytes: 0,
            frame: Vec::new(),
            in_frame: 0,
        }
    }

    /// The capabilities to be offered (as dialer).
    pub(crate) fn capabilities(&self) -> u64 {
        if self.link == Link::Remote { FLOW } else { FLOW | GOSSIP }
    }

    /// The role of the other side.
    pub(crate) fn peer_role(&self) -> Role {
        match self.role {
            Role::Dialer => Role::Acceptor,
            Role::Acceptor => Role::Dialer,
        }
    }

    /// Queues a message behind the names that it uses.
    pub(crate) fn push(&mut self, message: &Message<'_>) {
        for names in self.names_out.take_fresh() {
            self.append(&Message::Names(names));
        }
        self.append(message);
    }

    fn append(&mut self, message: &Message<'_>) {
        let bytes = message::encode(message);
        if self.frame.len() + bytes.len() > FRAME_BYTES || self.in_frame == MAX_MESSAGES_PER_FRAME {
            self.cut();
        }
        if self.frame.is_empty() {
            self.frame.push(message::FORMAT_MESSAGES);
        }
        self.frame.extend_from_slice(&bytes);
        self.in_frame += 1;
    }

    fn cut(&mut self) {
        if !self.frame.is_empty() {
            let frame = message::pack(std::mem::take(&mut self.frame));
            self.cut_bytes += frame.len();
            self.frames.push(frame);
        }
        self.in_frame = 0;
    }

    /// Queues a greeting, a frame of its own.
    pub(crate) fn greet(&mut self, greeting: &Greeting<'_>) {
        self.cut();
        let frame = message::encode_greeting(greeting);
        self.cut_bytes += frame.len();
        self.frames.push(frame);
    }

    /// The frames that wait, for the driver.
    pub(crate) fn take_frames(&mut self, limits: &Limits, now_ms: u64) -> Vec<Vec<u8>> {
        self.cut();
        self.flow.given(std::mem::take(&mut self.cut_bytes), limits, now_ms);
        std::mem::take(&mut self.frames)
    }

    /// How many bytes may be pushed now.
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        self.flow.room(limits).saturating_sub(self.cut_bytes + self.frame.len())
    }

    /// Gives the next channel to a document.
    pub(crate) fn add_channel(&mut self, channel: Channel) -> u32 {
        let number = self.next_channel;
        self.next_channel += 1;
        self.by_doc.insert(channel.doc().clone(), number);
        self.channels.insert(number, channel);
        number
    }

    /// Forgets a channel, and returns what it was.
    pub(crate) fn drop_channel(&mut self, number: u32) -> Option<Channel> {
        let channel = self.channels.remove(&number)?;
        self.by_doc.remove(channel.doc());
        self.flow.forget(channel.doc());
        Some(channel)
    }

    /// When it is closed because the peer takes nothing.
    fn stalls_ms(&self, limits: &Limits) -> Option<u64> {
        Some(self.flow.stalled_since_ms(limits)?.saturating_add(limits.stall_timeout_ms))
    }

    /// Whether the peer has taken nothing for too long.
    pub(crate) fn is_stalled(&self, limits: &Limits, now_ms: u64) -> bool {
        self.stalls_ms(limits).is_some_and(|at_ms| at_ms <= now_ms)
    }

    /// When the connection must be looked at again, given what is known now.
    pub(crate) fn due_ms(&self, limits: &Limits) -> u64 {
        let silence =
            self.sent_ms.saturating_add(limits.ping_after_ms).min(self.heard_ms.saturating_add(limits.timeout_ms));
        let retry = self.refused.values().filter_map(|retry| retry.at_ms).min();
        match self.phase {
            Phase::Ready => silence.min(retry.into_iter().chain(self.stalls_ms(limits)).min().unwrap_or(u64::MAX)),
            Phase::Greeting | Phase::Authenticating => self.up_ms.saturating_add(limits.greeting_timeout_ms),
            Phase::Closing => u64::MAX,
        }
    }
}

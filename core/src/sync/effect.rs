//! What comes out of the engine.

use crate::id::{DocName, ReplicaId, VersionVector};
use crate::op::Batch;

use super::input::{ConnId, Token};

/// How safe acknowledged changes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum AckLevel {
    /// The peer has them in memory.
    Received,
    /// The peer has them on its disk, synced.
    Durable,
}

/// Why a connection is closed; sent to the peer, and the WebSocket close code is `4000 + code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u16)]
#[non_exhaustive]
pub enum CloseCode {
    /// The message does not parse.
    Malformed = 1,
    /// The message is larger than allowed.
    TooLarge = 2,
    /// No protocol version in common.
    Version = 3,
    /// The credential is missing, wrong or out of date.
    Unauthorized = 4,
    /// A message that is not allowed at this point or with these rights.
    Forbidden = 5,
    /// Changes that do not fit the logs they claim to continue.
    InvalidChanges = 6,
    /// Too many documents, connections or messages.
    Limit = 7,
    /// Nothing was heard for too long.
    Timeout = 8,
    /// We are shutting down.
    GoingAway = 9,
    /// Something broke on our side.
    Internal = 10,
}

impl CloseCode {
    /// The code with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Malformed,
            2 => Self::TooLarge,
            3 => Self::Version,
            4 => Self::Unauthorized,
            5 => Self::Forbidden,
            6 => Self::InvalidChanges,
            7 => Self::Limit,
            8 => Self::Timeout,
            9 => Self::GoingAway,
            10 => Self::Internal,
            _ => return None,
        })
    }

    /// The number, as it stands in the closing message.
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// Why a document is refused while the connection lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u16)]
#[non_exhaustive]
pub enum RefuseCode {
    /// No right to read it.
    Forbidden = 1,
    /// Another lineage: the document was reset.
    Lineage = 2,
    /// It cannot be loaded.
    Unreadable = 3,
    /// It is not served here.
    Unknown = 4,
    /// Changes cannot be stored now (a full disk); they are kept by the sender.
    NotStored = 5,
    /// Two different contents for one operation: a replica id was used twice.
    Fork = 6,
    /// Too many documents are open.
    Limit = 7,
}

impl RefuseCode {
    /// The code with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Forbidden,
            2 => Self::Lineage,
            3 => Self::Unreadable,
            4 => Self::Unknown,
            5 => Self::NotStored,
            6 => Self::Fork,
            7 => Self::Limit,
            _ => return None,
        })
    }

    /// The number, as it stands in the message.
    pub fn number(self) -> u16 {
        self as u16
    }
}

/// Where our own changes of a document have got to. Each flag tells of everything edited so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// Saved on this device.
    pub saved: bool,
    /// A connection to a remote peer is up and the document is open over it.
    pub connected: bool,
    /// A remote peer has received it.
    pub received: bool,
    /// A remote peer has stored it durably.
    pub durable: bool,
    /// Everything that the remote peer had when the document was opened has arrived.
    pub caught_up: bool,
    /// How many operations of that have not arrived yet: counts down to 0 while a large history comes in, and goes on
    /// where it stopped after a lost connection.
    pub behind: u64,
}

/// An effect: what the driver must do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Check the credential of an acceptor's connection, then answer with `Input::Authenticated`.
    Authenticate {
        /// The connection.
        conn: ConnId,
        /// What the peer presented.
        credential: Option<String>,
    },
    /// A peer asks for a document that is not open: load it (or make it), then answer with `Input::Opened`.
    Open {
        /// The document.
        doc: DocName,
    },
    /// A served document leaves memory: nobody uses it any more, or its changes could not be stored. Drop the copy in
    /// memory, with whatever of it was not stored; asked for again, the document comes as `Open`.
    Evict {
        /// The document.
        doc: DocName,
    },
    /// Store the changes so that they survive a crash, then answer with `Input::Persisted`. One at a time per document:
    /// what comes meanwhile is in the next one, so records are stored in an order in which each stands on those before.
    Persist {
        /// For the answer.
        token: Token,
        /// The document.
        doc: DocName,
        /// The changes, all of them new.
        batch: Batch,
    },
    /// Fetch the changes behind `since`, then answer with `Input::Loaded`: with everything that was edited, or handed out
    /// as `Applied`, before this effect, or with a part of that (`Doc::part_since`, `Logs::part_since`).
    Load {
        /// For the answer.
        token: Token,
        /// The document.
        doc: DocName,
        /// What the peer knows.
        since: VersionVector,
        /// How large the part should be, in bytes; at least one change.
        max_bytes: usize,
    },
    /// Send a message. Messages of one connection are sent in order. They come after the effects that a driver may
    /// answer at once: what it answers before it polls again goes into the same messages. `Input::Written` says when
    /// they are out; what waits for that is bounded by `Limits::max_unwritten_bytes`.
    Send {
        /// The connection.
        conn: ConnId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Changes of others arrived, all new, with everything they depend on: import them into the document.
    Applied {
        /// The document.
        doc: DocName,
        /// The changes.
        batch: Batch,
    },
    /// Changes for a document that is damaged here (`Input::Damaged`), as a peer sent them: verify them before they count.
    Salvaged {
        /// The connection.
        conn: ConnId,
        /// The document.
        doc: DocName,
        /// The changes, not even parsed.
        batch: Batch,
    },
    /// A remote peer acknowledged changes; the version is cumulative per level and names only what moved.
    Acked {
        /// The document.
        doc: DocName,
        /// How safe they are.
        level: AckLevel,
        /// The ends of the logs that moved.
        version: VersionVector,
    },
    /// The status of a document changed.
    Status {
        /// The document.
        doc: DocName,
        /// The new status.
        status: SyncStatus,
    },
    /// A peer asks about a collection, all of which it may read: the documents whose names begin with this text.
    /// Answer with `Input::Answer`; it asks nothing more before. Only with `Config::collections`.
    Asked {
        /// The connection.
        conn: ConnId,
        /// The collection.
        collection: String,
        /// The question, for `merkle::respond`.
        question: Vec<u8>,
    },
    /// What a peer says of a collection that `Input::Ask` asked about.
    Answered {
        /// The connection.
        conn: ConnId,
        /// The collection.
        collection: String,
        /// The answer, for `merkle::Initiator::receive`; `None` if the peer does not compare the collection with us.
        answer: Option<Vec<u8>>,
    },
    /// A collection that we asked the peer about has changed since (`Input::News` at the other end).
    News {
        /// The connection.
        conn: ConnId,
        /// The collection.
        collection: String,
    },
    /// An `Input::Fetch` is through: both copies were found equal, and ours is durable; or the document cannot be had
    /// over this connection now.
    Fetched {
        /// The connection.
        conn: ConnId,
        /// The document.
        doc: DocName,
    },
    /// Our copy and that of a peer that we dialed contradict each other, and are not synced over this connection
    /// (`Refused` was said as well). The driver finds out where (`Input::Search`), lets our branch go on under an alias
    /// (`Doc::heal`), stores that, and opens the document anew: `Input::Closed`, then `Opened`.
    Forked {
        /// The connection.
        conn: ConnId,
        /// The document.
        doc: DocName,
    },
    /// A peer that may read the document asks where our copy differs from its own. Answer with `Input::SearchAnswer`; it
    /// asks nothing more before.
    SearchAsked {
        /// The connection.
        conn: ConnId,
        /// The document, which is here.
        doc: DocName,
        /// The question, for `graph::Logs::answer_search`.
        question: Vec<u8>,
    },
    /// What a peer says to `Input::Search`.
    SearchAnswered {
        /// The connection.
        conn: ConnId,
        /// The document.
        doc: DocName,
        /// The answer, for `graph::ForkSearch::next`; `None` if the peer has none.
        answer: Option<Vec<u8>>,
    },
    /// Somebody's presence changed (`None`: it ended).
    Presence {
        /// The document.
        doc: DocName,
        /// Whose.
        owner: ReplicaId,
        /// The user that the owner's credential names, as the relay vouches for it.
        user: Option<String>,
        /// The key.
        key: String,
        /// The value.
        value: Option<Vec<u8>>,
    },
    /// A document is not synced over a connection (which lives on), or its changes are not taken: the peer says so,
    /// or we found out.
    Refused {
        /// The document.
        doc: DocName,
        /// Why.
        code: RefuseCode,
        /// The peer's words.
        text: String,
    },
    /// Close the connection with this reason (a final message that names it was sent already).
    Close {
        /// The connection.
        conn: ConnId,
        /// Why.
        code: CloseCode,
        /// For people.
        text: String,
    },
}

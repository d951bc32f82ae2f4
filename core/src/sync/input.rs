//! What goes into the engine.

use serde::{Deserialize, Serialize};

use crate::graph::Fork;
use crate::id::{DocName, ReplicaId, VersionVector};
use crate::op::{Batch, Dep, LogState};

use super::effect::{CloseCode, RefuseCode};

/// A transport connection, numbered by the driver; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Ties a completion to the effect that asked for it; numbered by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// Who greets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// We opened the connection: we send the greeting and open documents over it.
    Dialer,
    /// The peer opened the connection: it greets, and nothing else is read before it was authenticated.
    Acceptor,
}

/// What lies at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// A peer with a store of its own.
    Remote,
    /// The same, and it passes changes on as we do (relays that are linked, devices among themselves): over such links
    /// changes go along a tree, so that several of them do not bring everything several times. The dialer says so; the
    /// acceptor learns it from the greeting.
    Equal,
    /// A peer that shares our store (another tab): what it sends is in that store already and is not persisted again.
    SharedStore,
}

/// What a connection may do with a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// Receive its changes and presence.
    pub read: bool,
    /// Send changes and presence.
    pub write: bool,
}

impl Rights {
    /// Read and write.
    pub const ALL: Self = Self { read: true, write: true };
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false };
}

/// Rights for the documents that a pattern names: an exact name, or a prefix followed by `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRule {
    /// The pattern.
    pub documents: String,
    /// The rights.
    pub rights: Rights,
}

/// What a credential is worth: who it names, and the rights of all rules that match a document together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// The user, passed on with presence.
    pub user: Option<String>,
    /// The rules.
    pub rules: Vec<GrantRule>,
}

impl Grant {
    /// Everything, for nobody in particular.
    pub fn all() -> Self {
        Self { user: None, rules: vec![GrantRule { documents: "*".into(), rights: Rights::ALL }] }
    }

    /// The rights for a document.
    pub fn rights(&self, doc: &DocName) -> Rights {
        let mut rights = Rights::NONE;
        for rule in &self.rules {
            let matches = match rule.documents.strip_suffix('*') {
                Some(prefix) => doc.as_str().starts_with(prefix),
                None => doc.as_str() == rule.documents,
            };
            if matches {
                rights.read |= rule.rights.read;
                rights.write |= rule.rights.write;
            }
        }
        rights
    }

    /// Whether this is another relay: it names no user, and may read and write every document. What it says of presence
    /// is passed on as it is.
    pub fn is_relay(&self) -> bool {
        let all = |rule: &GrantRule| rule.documents == "*" && rule.rights == Rights::ALL;
        self.user.is_none() && self.rules.iter().any(all)
    }

    /// Whether every document whose name begins with `prefix` may be read.
    pub fn may_read_all(&self, prefix: &str) -> bool {
        let covers = |rule: &GrantRule| rule.documents.strip_suffix('*').is_some_and(|stem| prefix.starts_with(stem));
        self.rules.iter().any(|rule| rule.rights.read && covers(rule))
    }
}

/// What the engine must know of a document: the ends of its logs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocState {
    /// One entry per log, in any order.
    pub logs: Vec<LogState>,
}

/// An input. Every one is answered by effects only.
#[derive(Clone, Debug)]
pub enum Input {
    /// A transport is up.
    Connected {
        /// Its number.
        conn: ConnId,
        /// Who greets first.
        role: Role,
        /// What lies at its other end.
        link: Link,
        /// What we present in the greeting (dialers only).
        credential: Option<String>,
    },
    /// A transport is gone.
    Disconnected {
        /// Its number.
        conn: ConnId,
    },
    /// A whole message arrived.
    Received {
        /// The connection.
        conn: ConnId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// The transport has taken bytes of messages that `Effect::Send` gave out: the network has them, or the system does.
    /// May be gathered, up to a quarter of `Limits::max_unwritten_bytes`: smaller remains need not be told.
    Written {
        /// The connection.
        conn: ConnId,
        /// How many, since the last time.
        bytes: usize,
    },
    /// Answers `Effect::Authenticate`: the grant, or why there is none (told to the peer). Given again later, it
    /// replaces the rights at once (`Err`: the connection is closed).
    Authenticated {
        /// The connection.
        conn: ConnId,
        /// What the credential is worth.
        grant: Result<Grant, String>,
    },
    /// A document is here: opened by the application, or loaded because of `Effect::Open`.
    Opened {
        /// Its name.
        doc: DocName,
        /// What there is of it; everything in it is durable.
        state: DocState,
        /// Who sends presence from here: this replica's id.
        presence_owner: Option<ReplicaId>,
    },
    /// Answers `Effect::Open` for a document of which stored changes are damaged. What stands without them is here; peers
    /// that have some of the missing ones are let in and what they send comes as `Effect::Salvaged`, others are refused.
    /// `Opened` follows when the document is whole again, or `OpenFailed`.
    Damaged {
        /// The document.
        doc: DocName,
        /// What there is of it without the damaged changes.
        state: DocState,
        /// Where the logs end of which changes are missing.
        missing: VersionVector,
        /// What is damaged, told to the peers that cannot help.
        reason: String,
    },
    /// The driver will not sync a document with a peer, and says why.
    Refuse {
        /// The connection.
        conn: ConnId,
        /// The document.
        doc: DocName,
        /// Why.
        code: RefuseCode,
        /// For people.
        text: String,
    },
    /// `Effect::Open` failed, or a damaged document could not be repaired.
    OpenFailed {
        /// The document.
        doc: DocName,
        /// Why, told to the peers that asked.
        reason: String,
    },
    /// The application closed a document. Wait for `SyncStatus::saved` first: what is not stored yet is forgotten.
    Closed {
        /// Its name.
        doc: DocName,
    },
    /// How urgent the application needs a document: what is more urgent is asked for and sent first, here and by the
    /// peers that we dialed. 0 until this is said; the document on screen has the largest.
    Prioritize {
        /// The document.
        doc: DocName,
        /// The priority.
        priority: u8,
    },
    /// The application sealed changes of its own.
    Edited {
        /// The document.
        doc: DocName,
        /// The changes, in order.
        batch: Batch,
    },
    /// The driver wants a connection closed (it shuts down, or a limit of its own was passed): the peer is told why,
    /// then `Effect::Close` follows.
    Close {
        /// The connection.
        conn: ConnId,
        /// Why.
        code: CloseCode,
        /// For people.
        text: String,
    },
    /// `Effect::Persist` completed: its changes survive a crash.
    Persisted {
        /// The effect's token.
        token: Token,
    },
    /// `Effect::Persist` failed. A document of the application keeps its changes and tries again, at the next edit or
    /// after 1 s, doubling to 60 s; a served document is refused to its peers (`NotStored`) and evicted.
    PersistFailed {
        /// The effect's token.
        token: Token,
        /// Why.
        reason: String,
    },
    /// Answers `Effect::Persist` or `Effect::Applied` at once for a served document: a change in it depends on another
    /// content of a log than the one that is stored. The engine knows the digests of log ends only; the driver has the
    /// logs. Nothing of that batch is stored or passed on: whoever sent the change is refused (`Fork`), all others may
    /// come again (`NotStored`), and the document is evicted.
    Forked {
        /// The document.
        doc: DocName,
        /// What `graph::Logs::append` says.
        fork: Fork,
    },
    /// `Effect::Load` completed.
    Loaded {
        /// The effect's token.
        token: Token,
        /// What is known and was asked for, or a part of it.
        batch: Batch,
        /// The digests of the logs where `since` ends, as far as a change ends there (`graph::Logs::digests_at`): the peer
        /// finds out by them if it has another content.
        digests: Vec<Dep>,
    },
    /// `Effect::Load` failed.
    LoadFailed {
        /// The effect's token.
        token: Token,
        /// Why.
        reason: String,
    },
    /// Ask the peer that we dialed about a collection: the documents whose names begin with this text (at most 256
    /// bytes). The question is one of `merkle::Initiator`; `Effect::Answered` follows, unless the connection goes.
    /// Questions of one connection are asked one after the other, from when its greeting is through.
    Ask {
        /// The connection.
        conn: ConnId,
        /// The collection.
        collection: String,
        /// The question.
        question: Vec<u8>,
    },
    /// A collection has changed. Every peer that asked about it since the last news is told once, so that nobody need
    /// ask for nothing.
    News {
        /// The collection.
        collection: String,
    },
    /// Make a document equal to the copy of a peer that we dialed, whether anybody has it open or not (with
    /// `Config::serve`): it is opened over the connection, and asked for with `Effect::Open` if it is not in memory.
    /// `Effect::Fetched` follows; then it leaves memory again if nobody else uses it.
    Fetch {
        /// The connection.
        conn: ConnId,
        /// The document.
        doc: DocName,
    },
    /// Answers `Effect::Asked`.
    Answer {
        /// The connection.
        conn: ConnId,
        /// What `merkle::respond` says; `None` if the collection is not compared here.
        answer: Option<Vec<u8>>,
    },
    /// Ask the peer that we dialed where its copy of a document differs from ours (`Effect::Forked`). The question is one of
    /// `graph::ForkSearch`; `Effect::SearchAnswered` follows, unless the connection goes.
    Search {
        /// The connection.
        conn: ConnId,
        /// The document.
        doc: DocName,
        /// The question.
        question: Vec<u8>,
    },
    /// Answers `Effect::SearchAsked`.
    SearchAnswer {
        /// The connection.
        conn: ConnId,
        /// What `graph::Logs::answer_search` says; `None` if the document or a part of it cannot be read.
        answer: Option<Vec<u8>>,
    },
    /// The application sets (or with `None` removes) a presence key of its own. Ignored if it is too long, one of more
    /// keys than `Limits::max_presence_per_owner`, or if the document was opened without a presence owner.
    SetPresence {
        /// The document.
        doc: DocName,
        /// The key, at most 64 bytes.
        key: String,
        /// The value, at most 4 KiB.
        value: Option<Vec<u8>>,
    },
    /// The deadline has passed (or may have).
    Woken,
}

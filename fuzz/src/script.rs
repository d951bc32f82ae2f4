//! `Script`: what several replicas do, as data. It is drawn at random, shrunk, stored as JSON and replayed.
//!
//! Always holds: every number is taken modulo what is there, so that every script is valid and stays valid when a part
//! of it is left out. Not here: running it (`world`), what must hold afterwards (`oracle`).

mod edit;
mod world;

use selvedge::ContainerKind;
use selvedge::doc::Side;
use serde::{Deserialize, Serialize};

pub use world::{Replica, World, split};

/// What `replicas` replicas (2 to 5) do, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// How many.
    pub replicas: u8,
    /// What they do.
    pub actions: Vec<Action>,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// One transaction.
    Edit {
        /// Where.
        replica: u8,
        /// What is edited in it.
        edits: Vec<Edit>,
    },
    /// A transaction that fails after its edits and must leave no trace.
    Fail {
        /// Where.
        replica: u8,
        /// What is edited before it fails.
        edits: Vec<Edit>,
        /// How it fails.
        how: Failure,
    },
    /// Seals the pending change with a message.
    Commit {
        /// Where.
        replica: u8,
        /// The message.
        message: String,
    },
    /// Asks for the version, which ends the pending change without sealing it.
    Cut {
        /// Where.
        replica: u8,
    },
    /// Both tell each other everything.
    Exchange {
        /// One.
        a: u8,
        /// The other.
        b: u8,
    },
    /// `from` tells `to` what it lacks, or only that many changes of it.
    Send {
        /// Who tells.
        from: u8,
        /// Who hears.
        to: u8,
        /// How many changes arrive, all if absent.
        changes: Option<u16>,
    },
    /// Puts what `to` lacks into its mailbox, to be delivered later.
    Hold {
        /// Who tells.
        from: u8,
        /// Who will hear.
        to: u8,
        /// Every change on its own, instead of all in one batch.
        single: bool,
    },
    /// Delivers one batch out of the mailbox, whichever it is.
    Deliver {
        /// Whose mailbox.
        to: u8,
        /// Which batch.
        pick: u16,
        /// Leave a copy there, to be delivered again.
        keep: bool,
    },
    /// Saves the document and opens it again under a fresh id.
    SaveLoad {
        /// Where.
        replica: u8,
    },
    /// Sets the clock, in milliseconds since the Unix epoch.
    Clock {
        /// Where.
        replica: u8,
        /// The time it is there.
        ms: u64,
    },
    /// Remembers a position, for everybody to find again.
    Anchor {
        /// Where.
        replica: u8,
        /// Which of the texts and lists.
        at: u16,
        /// The position in it.
        pos: u16,
        /// The side on which it stays.
        side: Side,
    },
    /// Takes back what the replica edited last, brings it back, and takes it back again.
    Undo {
        /// Where.
        replica: u8,
    },
    /// Brings back what was taken back last.
    Redo {
        /// Where.
        replica: u8,
    },
    /// Remembers the version, reads two that were remembered before, and goes from one to the other by patches.
    Visit {
        /// Where.
        replica: u8,
        /// One version.
        a: u16,
        /// The other.
        b: u16,
    },
    /// Forks the document at a version that was remembered, edits the fork, and merges it back.
    Fork {
        /// Where.
        replica: u8,
        /// Which version.
        at: u16,
        /// What is edited in the fork.
        edits: Vec<Edit>,
    },
    /// Fills the document with initial content if it is empty.
    Init {
        /// Where.
        replica: u8,
        /// Which content.
        content: u8,
    },
}

/// How a transaction fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The caller gives up.
    Cancel,
    /// A deletion past the end of a text.
    PastEnd,
    /// A UTF-16 offset inside a surrogate pair.
    InsideCharacter,
    /// An index that a list does not have.
    NoElement,
    /// A container in a set.
    ContainerInSet,
    /// A node below itself.
    Cycle,
    /// More than there are rights for.
    NoRights,
}

/// One edit of one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Which container of the kind that is edited: 0 is the one in the root named after its kind.
    pub at: u16,
    /// What is done to it.
    pub what: What,
}

/// An edit. Keys are numbers into a small alphabet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum What {
    MapSet { key: u8, value: Plain },
    MapDelete { key: u8 },
    MapChild { key: u8, kind: ContainerKind },
    MapReplace { key: u8, kind: ContainerKind },
    RegisterSet { value: Plain },
    RegisterClear,
    CounterAdd { by: i64 },
    SetAdd { value: Plain },
    SetRemove { pick: u16 },
    ListInsert { index: u16, values: Vec<Plain> },
    ListDelete { index: u16, len: u16 },
    ListSet { index: u16, value: Plain },
    ListMove { from: u16, to: u16 },
    ListInsertContainer { index: u16, kind: ContainerKind },
    ListChild { index: u16, kind: ContainerKind },
    TextInsert { pos: u16, text: String },
    TextDelete { pos: u16, len: u16 },
    TextInsertUtf16 { pos: u16, text: String },
    TextDeleteUtf16 { pos: u16, len: u16 },
    TreeCreate { parent: u16, index: u16 },
    TreeMove { node: u16, parent: u16, index: u16 },
    TreeRemove { node: u16 },
    TreeData { node: u16, key: u8, value: Plain },
    BoundedAdd { amount: u32 },
    BoundedTake { amount: u16 },
    BoundedTransfer { to: u8, amount: u16 },
    RemoveWinsAdd { value: Plain },
    RemoveWinsRemove { pick: u16 },
    TextMark { pos: u16, len: u16, key: u8, value: u8, expand: u8 },
    TextUnmark { pos: u16, len: u16, key: u8 },
    TextDelta { steps: Vec<(u8, u8, u8)> },
}

impl What {
    /// The kind of container that is edited.
    pub fn kind(&self) -> ContainerKind {
        match self {
            Self::MapSet { .. } | Self::MapDelete { .. } | Self::MapChild { .. } | Self::MapReplace { .. } => {
                ContainerKind::Map
            }
            Self::RegisterSet { .. } | Self::RegisterClear => ContainerKind::Register,
            Self::CounterAdd { .. } => ContainerKind::Counter,
            Self::SetAdd { .. } | Self::SetRemove { .. } => ContainerKind::Set,
            Self::ListInsert { .. }
            | Self::ListDelete { .. }
            | Self::ListSet { .. }
            | Self::ListMove { .. }
            | Self::ListInsertContainer { .. }
            | Self::ListChild { .. } => ContainerKind::List,
            Self::TextInsert { .. }
            | Self::TextDelete { .. }
            | Self::TextInsertUtf16 { .. }
            | Self::TextDeleteUtf16 { .. }
            | Self::TextMark { .. }
            | Self::TextUnmark { .. }
            | Self::TextDelta { .. } => ContainerKind::Text,
            Self::TreeCreate { .. } | Self::TreeMove { .. } | Self::TreeRemove { .. } | Self::TreeData { .. } => {
                ContainerKind::Tree
            }
            Self::BoundedAdd { .. } | Self::BoundedTake { .. } | Self::BoundedTransfer { .. } => {
                ContainerKind::BoundedCounter
            }
            Self::RemoveWinsAdd { .. } | Self::RemoveWinsRemove { .. } => ContainerKind::RemoveWinsSet,
        }
    }
}

/// A value that is no container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Plain {
    Null,
    Bool(bool),
    Int(i64),
    /// The bits of the number, so that a NaN survives JSON.
    Float(u64),
    Str(String),
    Bytes(Vec<u8>),
}

/// Runs a script given as JSON and returns, as JSON, the digests of what came out: equal on every platform.
///
/// The result is `{"before": [R, ...], "after": [R, ...], "document": J}` with one R per replica, `{"save": HEX, "update": HEX,
/// "json": HEX}`, before and after the final exchange, or `{"error": TEXT}`.
pub fn run_json(script: &str) -> String {
    let outcome = serde_json::from_str::<Script>(script).map_err(|error| format!("no script: {error}"));
    let digests = outcome.and_then(|script| {
        let mut world = World::new(&script);
        world.run(&script)?;
        let before = world.digests();
        world.settle()?;
        let document = world.replicas[0].doc.to_json();
        Ok(serde_json::json!({ "before": before, "after": world.digests(), "document": document }))
    });
    digests.unwrap_or_else(|error| serde_json::json!({ "error": error })).to_string()
}

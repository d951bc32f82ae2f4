//! `Scenario`: who takes part in a run, and what happens when, as data. It is drawn from a seed, shrunk, stored as JSON
//! and replayed.
//!
//! Always holds: every number is taken modulo what is there, so that a scenario stays valid when a part of it is left
//! out; an event that does not apply (a tab that is closed is closed again) does nothing.
//! Not here: what becomes of it (`world`).

mod draw;
mod shrink;

use serde::{Deserialize, Serialize};

pub use self::draw::draw;
pub(super) use self::shrink::smaller;
use crate::script::Edit;

/// A scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// The seed of everything that is drawn while it runs.
    pub seed: u64,
    /// Who takes part.
    pub cast: Cast,
    /// What happens, in the order of time.
    pub events: Vec<Event>,
}

/// Who takes part, beside one relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cast {
    /// Native clients, each with a disk of its own.
    pub clients: u8,
    /// Tabs of one browser, which share a store.
    pub tabs: u8,
    /// A peer that speaks later versions as well, and writes what only they know.
    pub newer: bool,
    /// A peer that speaks only versions before ours.
    pub previous: bool,
    /// A peer that lies.
    pub hostile: bool,
    /// Documents, which everybody has open.
    pub documents: u8,
    /// By how much each device's clock is wrong, in milliseconds, in turn.
    pub skews_ms: Vec<i64>,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, in milliseconds since the beginning.
    pub at_ms: u64,
    /// To whom.
    pub node: u8,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// One transaction.
    Edit {
        /// In which document.
        document: u8,
        /// What is edited.
        edits: Vec<Edit>,
    },
    /// The last transaction is undone, redone, and undone.
    Undo {
        /// In which document.
        document: u8,
    },
    /// Something is shared that nobody stores.
    Presence {
        /// In which document.
        document: u8,
        /// The value; none ends it.
        value: Option<u8>,
    },
    /// The connection to the relay breaks.
    Cut(Cut),
    /// The connection to the relay is damaged or slow.
    Harm {
        /// Whether it is what the peer sends, or what it is sent.
        upward: bool,
        /// How.
        how: Harm,
    },
    /// The relay is not reached for a while.
    Partition {
        /// Whether what the peer sends is stopped.
        up: bool,
        /// Whether what it is sent is stopped.
        down: bool,
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// The process ends, and starts again.
    Crash {
        /// At which point of a write; right now if absent.
        at: Option<Point>,
        /// For how long it is gone, in milliseconds.
        ms: u64,
    },
    /// The disk is full for a while.
    FullDisk {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// The next write fails.
    FailWrite,
    /// The process starts again, and cannot read its disk at first.
    FailRead,
    /// The disk is copied, to be restored later.
    Backup,
    /// The disk goes back to its last copy.
    Restore,
    /// The device is copied with all that it has, and the copy is used as well.
    Clone,
    /// The clock jumps by so many milliseconds.
    Clock(i64),
    /// The credential is not good any more.
    Expire,
    /// The credential allows reading only, for a while.
    ReadOnly {
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// The application closes a document for a while.
    CloseDocument {
        /// Which.
        document: u8,
        /// For how long, in milliseconds.
        ms: u64,
    },
    /// The liar says something.
    Lie(Lie),
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cut {
    /// What is on its way is lost.
    Both,
    /// What the peer sent arrives, the answers are lost.
    Answers,
    /// The peer dials again while what it sent is still on its way.
    Overtaken,
    /// Only the peer is told.
    HalfOpen,
}

/// What is wrong with one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// It stands still for so many milliseconds.
    Delay(u64),
    /// Every frame takes so many milliseconds, for a minute.
    Slow(u64),
    /// The next frame is cut short.
    Truncate,
    /// A bit of the next frame is flipped.
    Flip,
}

/// A point of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Point {
    /// Written, not synced: nothing stays.
    BeforeFsync,
    /// Written, not synced: a part stays.
    Torn,
    /// Synced, and nobody was told.
    AfterFsync,
}

/// What a liar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lie {
    /// Bytes from nowhere.
    Noise,
    /// What it said before, damaged.
    Damaged,
    /// What it said before, once more.
    Again,
    /// A well-formed message, made of the numbers that are in use.
    Forged(u8),
    /// A change of its own log that makes no sense.
    Change,
    /// A change although it may only read.
    Unasked,
}

//! `Node` and `Process`: a device with its disk and its clock, and the program that runs there until it ends.
//!
//! Always holds: whatever a process knew that is not on its disk is gone with it. Not here: what it does (`drive`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use selvedge::op::Batch;
use selvedge::sync::{Config, Engine, Input, Limits, Token};
use selvedge::{DocName, ReplicaId};

use super::copies::Copy;
use super::disk::Disk;
use super::heal::Searches;
use super::scenario::Point;

/// Bounds on what is on its way, small as the documents are.
pub(super) const MAX_UNWRITTEN_BYTES: usize = 4_000;
pub(super) const WINDOW_BYTES: usize = 2_000;

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Relay,
    Client,
    /// One of the tabs of a browser, which share a disk.
    Tab,
    /// Speaks later versions as well.
    Newer,
    /// Speaks only versions before ours.
    Previous,
    Hostile,
}

impl Kind {
    /// Whether it must end up with what everybody has.
    pub(super) fn is_honest(self) -> bool {
        matches!(self, Self::Client | Self::Tab | Self::Newer)
    }
}

/// What the disk is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Append(Token, DocName, Batch),
    Read(DocName),
}

/// A running program.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) engine: Engine,
    pub(super) copies: BTreeMap<DocName, Copy>,
    pub(super) jobs: VecDeque<Job>,
    /// The first of the jobs that the disk is busy with.
    pub(super) busy: usize,
    /// What the disk has done and the engine was not told.
    pub(super) answers: Vec<Input>,
    pub(super) searches: Searches,
}

/// A place to which a device keeps a connection.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) to: usize,
    pub(super) shared: bool,
    pub(super) link: Option<u64>,
    /// Somebody will dial already.
    pub(super) dialing: bool,
}

/// A device.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) disk: Disk,
    pub(super) skew_ms: i64,
    pub(super) process: Option<Process>,
    /// Counts the processes: what was planned for an earlier one is void.
    pub(super) epoch: u64,
    pub(super) slots: Vec<Slot>,
    /// Where in the next write the power goes, and for how long.
    pub(super) trap: Option<(Point, u64)>,
    /// The credential that it shows, and the one that is good.
    pub(super) token: (u64, u64),
    pub(super) read_only: bool,
    pub(super) backup: Option<Disk>,
    /// It was copied or went back in time: its history may be refused.
    pub(super) suspect: bool,
    /// Why peers refused its documents.
    pub(super) forked: BTreeSet<DocName>,
    /// Documents whose fork it cannot heal: a newer version has written in its branch.
    pub(super) incurable: BTreeSet<DocName>,
    /// Frames that it sent lately (liars use them again).
    pub(super) said: VecDeque<Vec<u8>>,
    /// How many replicas it has named over its connection, and the last channel that it opened (liars use it).
    pub(super) named: u32,
    pub(super) channel: Option<(u32, DocName)>,
    /// Deadlines that came in a row without the time moving.
    pub(super) spins: u32,
}

impl Node {
    pub(super) fn new(kind: Kind, disk: Disk, skew_ms: i64) -> Self {
        Self {
            kind,
            disk,
            skew_ms,
            process: None,
            epoch: 0,
            slots: Vec::new(),
            trap: None,
            token: (0, 0),
            read_only: false,
            backup: None,
            suspect: false,
            forked: BTreeSet::new(),
            incurable: BTreeSet::new(),
            said: VecDeque::new(),
            named: 0,
            channel: None,
            spins: 0,
        }
    }

    pub(super) fn config(&self) -> Config {
        let config = if self.kind == Kind::Relay { Config::relay() } else { Config::client() };
        let limits = Limits { max_unwritten_bytes: MAX_UNWRITTEN_BYTES, window_bytes: WINDOW_BYTES, ..config.limits };
        Config { limits, ..config }
    }

    /// The id under which it writes: that of its disk, or a fresh one for every tab.
    pub(super) fn replica(&self, doc: &DocName, fresh: ReplicaId) -> ReplicaId {
        if self.kind == Kind::Tab { fresh } else { self.disk.lease(doc, fresh) }
    }
}

impl Process {
    pub(super) fn new(config: Config) -> Self {
        Self {
            engine: Engine::new(config),
            copies: BTreeMap::new(),
            jobs: VecDeque::new(),
            busy: 0,
            answers: Vec::new(),
            searches: Searches::new(),
        }
    }
}

//! `Doc`: a document as an application sees it. Transactions in, JSON, views and patches out, changes exchanged with
//! other copies, edits undone, older versions read.
//!
//! Always holds: the state equals what applying every known change in causal order gives; a failed import or
//! transaction leaves no trace; a version never points inside a change; sealed changes never change.
//! Not here: how types merge (`crdt`), and how bytes travel (`sync`, the drivers).

mod anchor;
mod apply;
mod delta;
mod edit;
mod error;
mod exchange;
mod file;
mod heal;
mod history;
mod json;
mod patch;
mod pending;
mod read;
mod shallow;
mod state;
mod stored;
mod transaction;
mod undo;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use anchor::{Anchor, Position};
pub use delta::{Attributes, DeltaOp};
pub use edit::{BoundedCounterMut, CounterMut, ListMut, MapMut, RegisterMut, SetMut, TextMut, TreeMut};
pub use error::EditError;
pub use exchange::Imported;
pub use heal::{HealError, Healed};
pub use history::{Blame, ChangeInfo, Checkout};
pub use patch::{Patch, PatchKind, PatchValue, PathItem};
pub use read::{BoundedCounterRef, CounterRef, Entry, ListRef, MapRef, RegisterRef, SetRef, Span, TextRef, TreeRef};
pub use transaction::Transaction;
pub use undo::UndoManager;

pub use crate::crdt::{Metric, Side};
pub use crate::op::Expand;

use self::apply::Names;
use self::pending::Pending;
use self::shallow::Base;
use self::stored::Stored;
use crate::clock::{Clock, Hlc};
use crate::crdt::Containers;
pub use crate::graph::VersionError;
use crate::graph::{Graph, Logs};
use crate::id::{ReplicaId, VersionVector};
use crate::op::{BodyWriter, LogState};

/// The log of this document's own replica.
const OWN: u32 = 0;

/// A document: one replica's copy, with its whole history.
#[derive(Debug)]
pub struct Doc {
    me: ReplicaId,
    clock: Clock,
    logs: Logs,
    graph: Graph,
    /// What each log has mentioned, by log.
    names: Vec<Names>,
    /// The order in which changes were applied: stretches of (log, number of changes).
    order: Vec<(u32, u32)>,
    containers: Containers,
    pending: Option<Pending>,
    /// The file behind the document.
    stored: Option<Stored>,
    /// What the document starts from, if its history has no beginning.
    base: Option<Base>,
    /// An operation that only a newer version knows was met: the state is not all there is.
    has_unknown: bool,
    /// The state was read, not made by a replay: containers that are gone from it are not known.
    from_state: bool,
    /// The operations of the pending change.
    draft: BodyWriter,
    /// Somebody was told the version: the pending change must not grow any more.
    cut: AtomicBool,
    /// What `take_batch` has not handed out: (log, first seq).
    untaken: Vec<(u32, u64)>,
    /// What undoing the running transaction will need, if somebody wants to.
    recording: Option<Vec<undo::Step>>,
    /// No other document has this one: an undo manager knows its document by it.
    identity: Arc<()>,
}

impl Doc {
    /// An empty document in which `replica` writes. Draw a fresh id (`ReplicaId::random`) for every writer: two writers
    /// with one id fork the document.
    pub fn new(replica: ReplicaId) -> Self {
        let mut logs = Logs::new();
        let own = logs.intern(replica);
        debug_assert_eq!(own, OWN);
        Self {
            me: replica,
            clock: Clock::new(),
            logs,
            graph: Graph::default(),
            names: vec![Names::default()],
            order: Vec::new(),
            containers: Containers::new(),
            pending: None,
            stored: None,
            base: None,
            has_unknown: false,
            from_state: false,
            draft: BodyWriter::default(),
            cut: AtomicBool::new(false),
            untaken: Vec::new(),
            recording: None,
            identity: Arc::new(()),
        }
    }

    /// The replica that writes here.
    pub fn replica(&self) -> ReplicaId {
        self.me
    }

    /// Tells the document the time, in milliseconds since the Unix epoch; changes made from now on carry it.
    pub fn set_now(&mut self, now_ms: u64) {
        self.clock.set_now(now_ms);
    }

    /// The largest time seen or given to a change.
    pub fn last_time(&self) -> Hlc {
        self.clock.last()
    }

    /// What is known here, own edits included. It cuts: edits made from now on are a new change. O(replicas).
    pub fn version(&self) -> VersionVector {
        let mut version = self.logs.version();
        if let Some(pending) = &self.pending {
            version.raise(self.me, pending.end(&self.draft));
            self.cut.store(true, Ordering::Relaxed);
        }
        version
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty() && self.pending.is_none()
    }

    /// The ends of all logs with their digests, for the sync engine. Seals the pending change.
    pub fn log_states(&mut self) -> Vec<LogState> {
        self.commit(None);
        self.logs.state()
    }

    /// The first half of the digest of a replica's log at `end`; `None` if no change of it that is here ends there.
    pub fn log_digest(&mut self, replica: ReplicaId, end: u64) -> Option<[u8; 16]> {
        let log = self.logs.find(replica)?;
        self.logs.digest_at(log, end)
    }
}

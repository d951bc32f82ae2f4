//! Which changes are known and what each has seen: the logs of a document and the causal graph over them.
//!
//! Always holds: a change is added after everything it depends on; a log grows only at its end; replicas are interned
//! to small indices in the order in which they became known here (the order differs between copies of a document, so
//! it never decides anything). Operation bodies are opaque bytes at this level. Not here: what changes mean (`crdt`).

mod causal;
mod log;
mod logs;

pub use causal::{Graph, Past};
pub use logs::{Appended, Fork, ForkSearch, LoggedChange, Logs, SearchStep, VersionError};

/// An operation id with its replica interned: what the structures inside a document hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Index of the replica's log.
    pub log: u32,
    /// The replica's own counter.
    pub seq: u32,
}

impl Dot {
    /// No operation: the edge of a sequence.
    pub const NONE: Self = Self { log: u32::MAX, seq: u32::MAX };

    /// The operation `by` places later in the same log.
    pub fn plus(self, by: u32) -> Self {
        Self { log: self.log, seq: self.seq + by }
    }

    /// The operation `by` places earlier in the same log.
    pub fn minus(self, by: u32) -> Self {
        Self { log: self.log, seq: self.seq - by }
    }
}

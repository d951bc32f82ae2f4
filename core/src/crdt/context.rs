//! What an operation is applied with: its identity and what it has seen.

use crate::clock::Hlc;
use crate::graph::{Dot, Logs, Past};

/// The circumstances of a run of operations.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    /// The first operation of the run.
    pub(crate) dot: Dot,
    /// When its change was made.
    pub(crate) hlc: Hlc,
    /// Its depth in the causal graph.
    pub(crate) lamport: u64,
    /// What it has seen, itself and everything before it in its change included.
    pub(crate) past: &'a Past,
    /// The logs, for the replicas behind indices.
    pub(crate) logs: &'a Logs,
}

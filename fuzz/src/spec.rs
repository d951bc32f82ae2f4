//! The naive specification: what a set of changes means, computed from the definitions, however slowly.
//!
//! Nothing is shared with the library but ids, operation types and the reading of sealed bytes. An operation's causal past is
//! the set of operations reached through dependencies; a register's values are the writes that no write or clear has
//! seen; sets, counters and a map are defined the same way; a tree is what all its moves make, played in their order; sequences are trees of FugueMax (`sequence`), a
//! formulation that core does not use. Not here: anything incremental. (Bug class A: equality with a naive spec.)

mod containers;
mod history;
mod json;
mod marks;
mod sequence;
mod tree;

use selvedge::op::Batch;
use selvedge::{OpId, ReplicaId};
use serde_json::Value as Json;

use self::containers::{Containers, Verdict};
use self::history::History;

/// A document as the definitions have it.
#[derive(Debug)]
pub struct Spec {
    containers: Containers,
    invalid: Vec<OpId>,
    unknown: Vec<OpId>,
}

impl Spec {
    /// What the changes in `batch` mean: whole logs, each from its beginning, with everything they depend on.
    ///
    /// # Errors
    /// If a header is malformed, or a log or a dependency is not whole.
    pub fn read(batch: &Batch) -> Result<Self, String> {
        let history = History::read(batch)?;
        let mut containers = Containers::default();
        let (mut invalid, mut unknown) = (Vec::new(), Vec::new());
        for change in history.in_causal_order()? {
            for (first, verdict) in containers.apply(&change) {
                match verdict {
                    Verdict::Valid => {}
                    Verdict::Invalid => invalid.push(first),
                    Verdict::Unknown => unknown.push(first),
                }
            }
        }
        invalid.sort_unstable();
        unknown.sort_unstable();
        Ok(Self { containers, invalid, unknown })
    }

    /// What is left of the texts and lists without what one replica inserted and deleted.
    pub fn without(mut self, replica: ReplicaId) -> Self {
        self.containers.states.values_mut().for_each(|state| state.sequence.forget(replica));
        self
    }

    /// The whole document as JSON.
    pub fn to_json(&self) -> Json {
        json::document(&self.containers)
    }

    /// The same with every text as a list of its characters' runs: text, and marks by key.
    pub fn to_rich_json(&self) -> Json {
        json::rich_document(&self.containers)
    }

    /// The first operation of every run that is invalid where it stands, sorted.
    pub fn invalid(&self) -> &[OpId] {
        &self.invalid
    }

    /// The first operation of every run that only a newer version understands, sorted.
    pub fn unknown(&self) -> &[OpId] {
        &self.unknown
    }
}

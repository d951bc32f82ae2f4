//! Replicas by small index: each side of a connection names a replica once, and from then on says its index.
//!
//! Always holds: indices count up from 0 in the order of naming; a connection names at most `max_names_per_conn`.
//! Not here: the names inside of changes (`op::LogNames`), which are the author's own.

use super::message::Ends;
use crate::id::{ReplicaId, VersionVector};
use crate::op::MAX_SEQ;
use crate::ordered::{OrdMap, sort_by_key};

/// Names per `Names` message, so that none grows large.
const NAMES_PER_MESSAGE: usize = 4_096;

/// The names that we gave.
#[derive(Debug, Default)]
pub(crate) struct NamesOut {
    index: OrdMap<ReplicaId, u32>,
    fresh: Vec<ReplicaId>,
}

impl NamesOut {
    /// The index of a replica; a new one waits in `take_fresh` to be told first.
    pub(crate) fn index(&mut self, replica: ReplicaId) -> u32 {
        let next = self.index.len() as u32;
        *self.index.entry(replica).or_insert_with(|| {
            self.fresh.push(replica);
            next
        })
    }

    /// Log ends in their one order.
    pub(crate) fn ends(&mut self, ends: impl Iterator<Item = (ReplicaId, u64)>) -> Ends {
        let mut ends: Ends = ends.map(|(replica, end)| (self.index(replica), end)).collect();
        sort_by_key(&mut ends, |item| *item);
        ends
    }

    /// Names that must be sent before the message that uses them.
    pub(crate) fn take_fresh(&mut self) -> Vec<Vec<ReplicaId>> {
        let fresh = std::mem::take(&mut self.fresh);
        fresh.chunks(NAMES_PER_MESSAGE).map(<[ReplicaId]>::to_vec).collect()
    }
}

/// The names that the peer gave.
#[derive(Debug, Default)]
pub(crate) struct NamesIn(Vec<ReplicaId>);

impl NamesIn {
    /// Takes in more names; `false` if they are too many.
    pub(crate) fn extend(&mut self, names: Vec<ReplicaId>, max: usize) -> bool {
        let fits = names.len() <= max.saturating_sub(self.0.len());
        if fits {
            self.0.extend(names);
        }
        fits
    }

    /// The replica with this index.
    pub(crate) fn replica(&self, index: u32) -> Result<ReplicaId, String> {
        self.0.get(index as usize).copied().ok_or_else(|| format!("no replica was named {index}"))
    }

    /// Log ends in the order of the peer's names, each at most once; 0 only where `zero` allows it.
    pub(crate) fn ends(&self, ends: &Ends, zero: bool) -> Result<Vec<(ReplicaId, u64)>, String> {
        let ascending = ends.windows(2).all(|pair| pair[0].0 < pair[1].0);
        if !ascending || ends.iter().any(|(_, end)| *end > MAX_SEQ || (*end == 0 && !zero)) {
            return Err("log ends are out of order or out of range".into());
        }
        ends.iter().map(|(index, end)| Ok((self.replica(*index)?, *end))).collect()
    }

    /// A version vector.
    pub(crate) fn version(&self, ends: &Ends) -> Result<VersionVector, String> {
        self.ends(ends, false).map(VersionVector::from_iter)
    }
}

//! Logs without their beginnings: what stands before the *base* of each is nowhere here.
//!
//! Always holds: a change gets in only if it has seen everything before all bases, which its header tells: it goes on from
//! a change that has, or it names all that nobody before the bases had seen. Not here: logs whose older changes are in a
//! file (`put_history`).

use super::Logs;
use crate::graph::Dot;
use crate::id::{ReplicaId, VersionVector};
use crate::op::ChangeHeader;

impl Logs {
    /// The logs that were started at a state (`start_at`) go on without what was before; `frontier` is what nobody had seen.
    pub fn stand_alone(&mut self, frontier: &[Dot]) {
        self.base = Some(frontier.iter().map(|dot| (dot.log, u64::from(dot.seq) + 1)).collect());
    }

    /// The version that the logs begin with, if what was before is nowhere here; nothing otherwise. O(logs).
    pub fn base_version(&self) -> VersionVector {
        let bases = self.base.iter().flat_map(|_| &self.logs);
        bases.map(|log| (log.replica, log.base().end)).collect()
    }

    /// Whether a change has seen all that the base stands for, if what it depends on is here.
    pub(super) fn covers_base(&self, author: ReplicaId, header: &ChangeHeader) -> bool {
        let Some(frontier) = &self.base else { return true };
        // A log that is not known here begins with nothing.
        let base = |replica| self.find(replica).map_or(0, |log| self.logs[log as usize].base().end);
        let heads = || header.deps.iter().map(|dep| (dep.replica, dep.end)).chain([(author, header.first_seq)]);
        let goes_on = || heads().any(|(replica, end)| end > base(replica));
        let names_all = || frontier.iter().all(|(log, end)| heads().any(|head| head == (self.replica(*log), *end)));
        header.deps.iter().all(|dep| dep.end >= base(dep.replica)) && (goes_on() || names_all())
    }
}

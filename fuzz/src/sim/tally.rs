//! `Fault` and `Tally`: everything that can go wrong in a run, by name, and how often it did.
//!
//! Always holds: a fault is counted where it takes effect, not where it was planned: a write that fails on a disk that
//! nobody writes to is none.

use std::collections::BTreeMap;

use serde::Serialize;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// A frame is lost with its connection.
    Drop,
    /// A frame arrived, the answer is lost with the connection: it will be said again over the next one.
    Duplicate,
    /// A frame of an old connection arrives after the next connection is up.
    Reorder,
    /// A connection stands still for seconds.
    Delay,
    /// Two peers do not reach each other.
    Partition,
    /// One peer does not reach the other, which reaches it.
    OneWayPartition,
    /// A frame arrives cut short.
    Truncated,
    /// A frame arrives with a flipped bit.
    Flipped,
    /// A peer takes its frames so slowly that they pile up.
    SlowPeer,
    /// One side is told that the connection is gone, the other is not.
    HalfOpen,
    /// The process ends between two steps.
    Kill,
    /// The power goes after a write, before it is synced.
    CrashBeforeFsync,
    /// The power goes in the middle of a write: a part of it stays, its end damaged.
    TornWrite,
    /// The power goes after a sync, before anybody is told.
    CrashAfterFsync,
    /// No space is left.
    FullDisk,
    /// A write fails.
    FailedWrite,
    /// A read fails.
    FailedRead,
    /// A device is copied, with the ids that it writes under.
    ClonedReplica,
    /// A device goes back to an earlier state of its disk.
    RestoredBackup,
    /// The relay goes back to an earlier state of its disk.
    RestoredRelay,
    /// The relay starts again.
    RelayRestart,
    /// A device's clock is wrong from the start.
    ClockSkew,
    /// A device's clock jumps forward.
    ClockForward,
    /// A device's clock jumps back.
    ClockBack,
    /// Random bytes from a peer.
    HostileBytes,
    /// A message that is well formed and not true.
    ForgedMessage,
    /// A message that has no place where it stands.
    OutOfPhase,
    /// A change that no document of ours would write.
    ForgedChange,
    /// A change of somebody who may only read.
    UnaskedChange,
    /// A peer that speaks only versions before ours.
    PreviousVersion,
    /// A change of a peer that speaks later versions as well.
    NewerVersion,
    /// A tab is closed in the middle of something.
    TabClosed,
    /// The relay takes back a credential.
    TokenExpiry,
    /// The relay lets somebody read only.
    ReadOnly,
    /// The application closes a document, and opens it again later.
    DocumentClosed,
    /// A device's branch of a fork went on under an alias: what becomes of copied devices and restored disks.
    HealedFork,
}

impl Fault {
    /// Its name in reports.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Faults by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Fault, u64>);

impl Tally {
    pub(super) fn add(&mut self, fault: Fault, times: usize) {
        if times > 0 {
            *self.0.entry(fault).or_default() += times as u64;
        }
    }

    /// Takes in the counts of another run.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(fault, count)| *self.0.entry(*fault).or_default() += count);
    }

    /// The counts, by name.
    pub fn by_name(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(fault, count)| (fault.name(), *count)).collect()
    }

    /// All faults together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

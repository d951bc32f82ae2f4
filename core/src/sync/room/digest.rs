//! Fingerprints: one hash of everything that a copy has, compared when two copies have the same ends.
//!
//! Always holds: copies with equal ends and different fingerprints are told so and exchange nothing more.

use super::Room;
use crate::codec::put_u64;
use crate::merkle::StateDigest;
use crate::planted::{self, Bug};
use crate::sync::input::DocState;
use crate::sync::message::Fingerprint;

/// A version and its content in a few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Hash of all (replica, end).
    pub(crate) ends: [u8; 8],
    /// Hash of all (replica, end, log digest).
    pub(crate) fingerprint: Fingerprint,
}

/// What a peer said of its copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DigestSaid {
    pub(crate) ops: u64,
    pub(crate) summary: Summary,
}

/// The outcome of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// The ends differ: nothing follows.
    Unknown,
    Equal,
    Fork,
}

impl DocState {
    /// What stands for this state in a collection (`merkle::Collection`). O(logs).
    pub fn digest(&self) -> StateDigest {
        Room::new(self.clone(), false, None).summary().fingerprint
    }
}

impl Room {
    /// Operations known.
    pub(crate) fn ops(&self) -> u64 {
        self.ops
    }

    /// The summary of what is here. O(logs) after a change.
    pub(crate) fn summary(&mut self) -> Summary {
        if let Some(summary) = self.summary {
            return summary;
        }
        let mut ends = blake3::Hasher::new_derive_key("selvedge 2026 document version");
        let mut content = blake3::Hasher::new_derive_key("selvedge 2026 document fingerprint");
        let mut entry = Vec::with_capacity(64);
        for (replica, log) in &self.logs {
            entry.clear();
            entry.extend_from_slice(replica.as_bytes());
            put_u64(&mut entry, log.head.end);
            ends.update(&entry);
            entry.extend_from_slice(&log.digest);
            content.update(&entry);
        }
        let summary = Summary { ends: first(ends), fingerprint: first(content) };
        self.summary = Some(summary);
        summary
    }

    /// Compares our copy with what a peer said of its own.
    pub(crate) fn compare(&mut self, said: &DigestSaid) -> Compared {
        if said.ops != self.ops {
            return Compared::Unknown;
        }
        let summary = self.summary();
        match (summary.ends == said.summary.ends, summary.fingerprint == said.summary.fingerprint) {
            (false, _) => Compared::Unknown,
            (true, true) => Compared::Equal,
            (true, false) if planted::is(Bug::DigestsAlwaysAgree) => Compared::Equal,
            (true, false) => Compared::Fork,
        }
    }
}

fn first<const N: usize>(hash: blake3::Hasher) -> [u8; N] {
    let mut out = [0; N];
    hash.finalize_xof().fill(&mut out);
    out
}

//! Who wrote what: replica, operation and document identities, and the version vectors made of them.
//!
//! Always holds: a `ReplicaId` names one writer for ever; a `VersionVector` never stores a zero.
//! Not here: the interned form used inside a document (`graph::Dot`) and any encoding (`codec`).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::ordered::OrdMap;

/// One writer: 128 random bits, never reused for other content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReplicaId([u8; 16]);

impl ReplicaId {
    /// Draws a fresh id. Two devices collide with a probability of 2⁻¹²⁸ per pair, given a good generator.
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The id whose big-endian bytes are given.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes of the id, big-endian.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The reserved writer of an initial change: named by its content, so that every client makes the same one.
    pub fn for_init(content: &[u8]) -> Self {
        Self(derive16("selvedge 2026 init replica", content))
    }

    /// The id under which a branch of this replica's log lives on that begins at operation `seq` with these bytes of a
    /// change, after another branch has kept the id. Its first half is that of the id, so that among the ids of others
    /// the alias stands where the id stands; the second half is 64 bits of a hash over all three.
    pub fn alias(self, seq: u64, change: &[u8]) -> Self {
        let content = [&self.0, &seq.to_le_bytes()[..], change].concat();
        let mut bytes = self.0;
        bytes[8..].copy_from_slice(&derive16("selvedge 2026 fork alias", &content)[..8]);
        Self(bytes)
    }
}

impl From<u128> for ReplicaId {
    fn from(number: u128) -> Self {
        Self(number.to_be_bytes())
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{:x}", u128::from_be_bytes(self.0))
    }
}

impl FromStr for ReplicaId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match u128::from_str_radix(text, 16) {
            Ok(number) if text.len() == 32 && !text.starts_with('+') => Ok(Self::from(number)),
            _ => Err(InvalidId { what: "replica id", rule: "32 hexadecimal digits", got: text.to_owned() }),
        }
    }
}

/// The identity of one operation: the `seq`-th operation (from 0) of `replica`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OpId {
    /// The writer.
    pub replica: ReplicaId,
    /// That writer's own counter, without gaps.
    pub seq: u64,
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.seq, self.replica)
    }
}

/// A name that is not allowed, with the rule that it breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{got:?} is no {what}: it must be {rule}")]
pub struct InvalidId {
    what: &'static str,
    rule: &'static str,
    got: String,
}

/// The name of a document: 1 to 256 bytes of UTF-8 without control characters. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocName(Arc<str>);

impl DocName {
    /// Longest name, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Checks a name.
    ///
    /// # Errors
    /// `InvalidId` if it is empty, longer than 256 bytes or has a control character.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidId> {
        let name = name.into();
        if name.is_empty() || name.len() > Self::MAX_BYTES || name.chars().any(char::is_control) {
            let rule = "1 to 256 bytes without control characters";
            return Err(InvalidId { what: "document name", rule, got: name.chars().take(64).collect() });
        }
        Ok(Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The document's lineage until somebody resets it: 128 bits from its name.
    pub fn lineage(&self) -> Lineage {
        Lineage(derive16("selvedge 2026 lineage", self.0.as_bytes()))
    }
}

impl fmt::Display for DocName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for DocName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DocName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::new(name).map_err(serde::de::Error::custom)
    }
}

/// Which life of a document: histories of different lineages never merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lineage(pub [u8; 16]);

fn derive16(context: &str, content: &[u8]) -> [u8; 16] {
    let mut out = [0; 16];
    blake3::Hasher::new_derive_key(context).update(content).finalize_xof().fill(&mut out);
    out
}

/// How much of every replica's log is known: one exclusive end per replica, zero where none is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VersionVector(OrdMap<ReplicaId, u64>);

impl VersionVector {
    /// The version of an empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// The exclusive end of `replica`'s log.
    pub fn end(&self, replica: ReplicaId) -> u64 {
        self.0.get(&replica).copied().unwrap_or(0)
    }

    /// Raises the end of `replica`'s log to `end`; never lowers it.
    pub fn raise(&mut self, replica: ReplicaId, end: u64) {
        if end > 0 {
            let known = self.0.entry(replica).or_insert(0);
            *known = (*known).max(end);
        }
    }

    /// Takes in everything that `other` knows. O(n log n) in the replicas of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (replica, end) in other.iter() {
            self.raise(replica, end);
        }
    }

    /// Whether everything in `other` is known here too.
    pub fn includes(&self, other: &Self) -> bool {
        other.iter().all(|(replica, end)| self.end(replica) >= end)
    }

    /// Whether the operation is known here.
    pub fn contains(&self, id: OpId) -> bool {
        id.seq < self.end(id.replica)
    }

    /// Replicas and exclusive ends, ordered by replica.
    pub fn iter(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        self.0.iter().map(|(replica, end)| (*replica, *end))
    }

    /// Number of replicas known.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Operations known, of all replicas together.
    pub fn ops(&self) -> u64 {
        self.0.values().fold(0, |sum, end| sum.saturating_add(*end))
    }
}

impl FromIterator<(ReplicaId, u64)> for VersionVector {
    fn from_iter<I: IntoIterator<Item = (ReplicaId, u64)>>(ends: I) -> Self {
        let mut version = Self::new();
        for (replica, end) in ends {
            version.raise(replica, end);
        }
        version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_vectors_compare_by_what_they_know() {
        let (a, b) = (ReplicaId::from(1), ReplicaId::from(2));
        let small: VersionVector = [(a, 3)].into_iter().collect();
        let mut large: VersionVector = [(a, 2), (b, 1)].into_iter().collect();
        assert!(!large.includes(&small));
        large.merge(&small);
        assert!(large.includes(&small) && !small.includes(&large));
        assert!(large.contains(OpId { replica: a, seq: 2 }) && !large.contains(OpId { replica: a, seq: 3 }));
    }

    #[test]
    fn names_are_checked_and_ids_print_as_they_parse() {
        assert!(DocName::new("").is_err() && DocName::new("a\nb").is_err() && DocName::new("x".repeat(257)).is_err());
        let id = ReplicaId::from(0xfeed);
        assert_eq!(id.to_string().parse::<ReplicaId>(), Ok(id));
        assert!("+0000000000000000000000000000001".parse::<ReplicaId>().is_err());
        let (one, two) = (DocName::new("one"), DocName::new("two"));
        assert_ne!(one.map(|n| n.lineage()), two.map(|n| n.lineage()));
    }
}

//! `MultiValue`: the register inside map keys, list elements and `Register` containers.
//!
//! Law: the values kept are those that no known write or clear has seen. A causal overwrite always wins, whatever the
//! clocks say; among concurrent values the one with the largest (HLC, replica) is read first.

use smallvec::SmallVec;

use super::{Context, StateReader, StateWriter};
use crate::clock::Hlc;
use crate::codec::DecodeError;
use crate::graph::Dot;
use crate::id::ReplicaId;
use crate::op::Value;
use crate::planted::{self, Bug};

#[derive(Clone, Debug)]
struct Entry {
    dot: Dot,
    hlc: Hlc,
    replica: ReplicaId,
    value: Value,
}

/// Concurrent values, the winner first.
#[derive(Clone, Debug, Default)]
pub(crate) struct MultiValue {
    entries: SmallVec<[Entry; 1]>,
}

impl MultiValue {
    /// Writes a value over everything that the operation has seen.
    pub(crate) fn set(&mut self, context: &Context<'_>, value: Value) {
        self.clear(context);
        let replica = context.logs.replica(context.dot.log);
        let entry = Entry { dot: context.dot, hlc: context.hlc, replica, value };
        if planted::is(Bug::RegisterKeepsTheLastArrival) {
            return self.entries.insert(0, entry);
        }
        let at = self.entries.partition_point(|other| (other.hlc, other.replica) > (entry.hlc, entry.replica));
        self.entries.insert(at, entry);
    }

    /// Removes everything that the operation has seen.
    pub(crate) fn clear(&mut self, context: &Context<'_>) {
        self.entries.retain(|entry| !context.past.contains(entry.dot));
    }

    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        out.count(self.entries.len());
        for entry in &self.entries {
            out.dot(entry.dot);
            out.hlc(entry.hlc);
            out.value(&entry.value);
        }
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        for _ in 0..from.count("value count")? {
            let (dot, hlc) = (from.dot("value author")?, from.hlc("value time")?);
            let (replica, value) = (from.replica(dot.log), from.value()?);
            self.entries.push(Entry { dot, hlc, replica, value });
        }
        Ok(())
    }

    /// The one value of a new element, which `dot` has inserted.
    pub(crate) fn inserted(dot: Dot, time: u64, replica: ReplicaId, value: Value) -> Self {
        Self { entries: smallvec::smallvec![Entry { dot, hlc: Hlc::from_bits(time), replica, value }] }
    }

    /// Its only value with its time, if that is the one that `dot` has written.
    pub(crate) fn inserted_by(&self, dot: Dot) -> Option<(Hlc, &Value)> {
        match &self.entries[..] {
            [entry] if entry.dot == dot => Some((entry.hlc, &entry.value)),
            _ => None,
        }
    }

    /// The value that is read.
    pub(crate) fn get(&self) -> Option<&Value> {
        self.entries.first().map(|entry| &entry.value)
    }

    /// All concurrent values with the operations that wrote them, the winner first.
    pub(crate) fn writes(&self) -> impl Iterator<Item = (Dot, &Value)> {
        self.entries.iter().map(|entry| (entry.dot, &entry.value))
    }

    /// All concurrent values, the winner first.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.entries.iter().map(|entry| &entry.value)
    }

    /// Whether there is no value.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

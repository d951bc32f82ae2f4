//! The finished state of containers as bytes: what a saved document starts with, so that opening it replays nothing.
//!
//! Equal states have equal bytes: logs are numbered in the order of their replicas, containers in the order of their
//! places. Always holds: reading gives a state or a `DecodeError`. What only concurrent operations would need (origins,
//! who deleted what) is not here: one that has not seen the whole state asks for the history instead. Who wrote each
//! character is only there if a mark needs it, or if the state is to stand for its history (`StateWriter::new`).
//! Normative: docs/format.md. Not here: logs and names (`doc`), and what each type writes (beside the type).

mod runs;
mod streams;

use smallvec::SmallVec;

#[cfg(test)]
pub(crate) use self::streams::changed;
pub(crate) use self::streams::{Column, Unpacked, is_base};
use self::streams::{Columns, Streams};
use super::containers::{Containers, Content, Handle, Place, Spot};
use crate::clock::Hlc;
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_i64, put_str, put_u64};
use crate::graph::Dot;
use crate::id::ReplicaId;
use crate::op::{ContainerKind, Value};
use crate::ordered::sort_by_key;

/// Deeper than any operation can be: a log has fewer than 2³² operations.
pub(crate) const MAX_DEPTH: u64 = 1 << 56;

/// Collects a state. Texts are kept apart: they deflate better together.
#[derive(Debug)]
pub(crate) struct StateWriter<'a> {
    pub(crate) out: Vec<u8>,
    pub(crate) text: String,
    pub(crate) streams: Streams,
    /// Whether it stands for its history: then texts tell who wrote what.
    pub(crate) is_base: bool,
    /// The number of each log in the state, by log.
    ranks: &'a [u32],
    /// The replicas, ascending: by rank.
    replicas: &'a [ReplicaId],
    last_seq: u32,
    last_hlc: u64,
    /// Where the last run of each author ended, by rank.
    ends: Vec<u32>,
}

impl<'a> StateWriter<'a> {
    pub(crate) fn new(ranks: &'a [u32], replicas: &'a [ReplicaId], is_base: bool) -> Self {
        let ends = vec![0; replicas.len()];
        let streams = Streams::default();
        let (out, text) = (Vec::new(), String::new());
        Self { out, text, streams, is_base, ranks, replicas, last_seq: 0, last_hlc: 0, ends }
    }

    /// The state.
    pub(crate) fn pack(self) -> Vec<u8> {
        self.streams.pack(self.is_base, self.out, self.text)
    }

    pub(crate) fn count(&mut self, count: usize) {
        put_u64(&mut self.out, count as u64);
    }

    pub(crate) fn rank(&self, log: u32) -> u32 {
        self.ranks[log as usize]
    }

    pub(crate) fn rank_of(&self, replica: ReplicaId) -> u64 {
        self.replicas.partition_point(|other| *other < replica) as u64
    }

    pub(crate) fn dot(&mut self, dot: Dot) {
        self.op(u64::from(self.ranks[dot.log as usize]), dot.seq);
    }

    /// An operation by the rank of its log.
    pub(crate) fn op(&mut self, rank: u64, seq: u32) {
        put_u64(&mut self.out, rank);
        put_i64(&mut self.out, i64::from(seq) - i64::from(self.last_seq));
        self.last_seq = seq;
    }

    pub(crate) fn dots(&mut self, dots: &[Dot]) {
        let mut sorted: SmallVec<[Dot; 4]> = dots.into();
        sort_by_key(&mut sorted, |dot| (self.rank(dot.log), dot.seq));
        self.count(sorted.len());
        sorted.into_iter().for_each(|dot| self.dot(dot));
    }

    pub(crate) fn hlc(&mut self, hlc: Hlc) {
        put_i64(&mut self.out, hlc.to_bits().wrapping_sub(self.last_hlc) as i64);
        self.last_hlc = hlc.to_bits();
    }

    pub(crate) fn value(&mut self, value: &Value) {
        value.write(&mut self.out);
    }

    pub(crate) fn str(&mut self, text: &str) {
        put_str(&mut self.out, text);
    }
}

/// Reads a state.
#[derive(Debug)]
pub(crate) struct StateReader<'a> {
    pub(crate) reader: Reader<'a>,
    pub(crate) columns: Columns<'a>,
    /// Of format version 1: there are no columns.
    pub(crate) is_old: bool,
    /// Whether it stands for its history.
    pub(crate) is_base: bool,
    text: &'a str,
    /// The logs of the state, with their ends.
    logs: &'a [(u32, u64)],
    /// By log.
    replicas: &'a [ReplicaId],
    /// The other way round: by log.
    ranks: Vec<u32>,
    last_seq: u32,
    last_hlc: u64,
    /// Where the last run of each author ended, by rank.
    ends: Vec<u32>,
}

impl<'a> StateReader<'a> {
    /// Of a state without columns (format version 1), or with those of `state`.
    pub(crate) fn new(
        reader: Reader<'a>,
        text: &'a str,
        state: Option<&'a Unpacked<'_>>,
        (logs, replicas): (&'a [(u32, u64)], &'a [ReplicaId]),
    ) -> Self {
        let columns = state.map_or_else(Columns::none, Unpacked::columns);
        let (ends, mut ranks) = (vec![0; logs.len()], vec![0; replicas.len()]);
        logs.iter().zip(0..).for_each(|((log, _), rank)| ranks[*log as usize] = rank);
        let (is_old, is_base) = (state.is_none(), state.is_some_and(|state| state.is_base));
        Self { reader, columns, is_old, is_base, text, logs, replicas, ranks, last_seq: 0, last_hlc: 0, ends }
    }

    pub(crate) fn fail<T>(&self, field: &'static str, why: &'static str) -> Result<T, DecodeError> {
        Err(self.reader.error(field, DecodeErrorKind::Inconsistent(why)))
    }

    /// A number of things that take at least one byte each.
    pub(crate) fn count(&mut self, field: &'static str) -> Result<usize, DecodeError> {
        let left = self.reader.remaining() as u64;
        self.reader.bounded(field, left).map(|count| count as usize)
    }

    pub(crate) fn log(&mut self, field: &'static str) -> Result<(u32, u64), DecodeError> {
        let at = self.reader.clone();
        let rank = self.reader.u64(field)?;
        let log = usize::try_from(rank).ok().and_then(|rank| self.logs.get(rank)).copied();
        log.ok_or_else(|| at.error(field, DecodeErrorKind::Inconsistent("there is no such log")))
    }

    pub(crate) fn dot(&mut self, field: &'static str) -> Result<Dot, DecodeError> {
        let (log, end) = self.log(field)?;
        let seq = i64::from(self.last_seq).checked_add(self.reader.i64(field)?);
        match seq.filter(|seq| (0..end as i64).contains(seq)) {
            Some(seq) => {
                self.last_seq = seq as u32;
                Ok(Dot { log, seq: seq as u32 })
            }
            None => self.fail(field, "it is not in its log"),
        }
    }

    /// The first operation of a run, and the end of its log.
    pub(crate) fn run_start(&mut self, field: &'static str) -> Result<(Dot, u64), DecodeError> {
        let dot = self.dot(field)?;
        let end = self.logs.iter().find(|(log, _)| *log == dot.log).map_or(0, |(_, end)| *end);
        Ok((dot, end))
    }

    pub(crate) fn dots<A: smallvec::Array<Item = Dot>>(
        &mut self,
        field: &'static str,
    ) -> Result<SmallVec<A>, DecodeError> {
        let count = self.count(field)?;
        (0..count).map(|_| self.dot(field)).collect()
    }

    /// The replica that writes a log.
    pub(crate) fn replica(&self, log: u32) -> ReplicaId {
        self.replicas[log as usize]
    }

    pub(crate) fn hlc(&mut self, field: &'static str) -> Result<Hlc, DecodeError> {
        self.last_hlc = self.last_hlc.wrapping_add(self.reader.i64(field)? as u64);
        Ok(Hlc::from_bits(self.last_hlc))
    }

    pub(crate) fn value(&mut self) -> Result<Value, DecodeError> {
        Value::read(&mut self.reader)
    }

    pub(crate) fn str(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        self.reader.str(field)
    }

    /// The next `len` bytes of text.
    pub(crate) fn text(&mut self, len: u64) -> Result<&'a str, DecodeError> {
        let split = usize::try_from(len).ok().and_then(|len| self.text.split_at_checked(len));
        let Some((text, rest)) = split else { return self.fail("text", "there is not as much text") };
        self.text = rest;
        Ok(text)
    }

    /// Refuses what is left over.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        if !self.text.is_empty() {
            return self.fail("text", "there is more of it than the state uses");
        }
        self.columns.end()?;
        self.reader.end("state")
    }

    /// A depth in the causal graph.
    pub(crate) fn depth(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        self.reader.bounded(field, MAX_DEPTH)
    }
}

impl Content {
    /// Whether `write_state` can tell all of it.
    fn has_state(&self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    fn write_state(&self, out: &mut StateWriter<'_>) {
        match self {
            Self::Map(map) => map.write_state(out),
            Self::List(list) => list.write_state(out),
            Self::Text(text) => text.write_state(out),
            Self::Register(register) => register.write_state(out),
            Self::Counter(counter) => counter.write_state(out),
            Self::Set(set) => set.write_state(out),
            Self::BoundedCounter(counter) => counter.write_state(out),
            Self::RemoveWinsSet(set) => set.write_state(out),
            Self::Tree(tree) => tree.write_state(out),
            Self::Unknown(_) => {}
        }
    }

    fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        match self {
            Self::Map(map) => map.read_state(from),
            Self::List(list) => list.read_state(from),
            Self::Text(text) => text.read_state(from),
            Self::Register(register) => register.read_state(from),
            Self::Counter(counter) => counter.read_state(from),
            Self::Set(set) => set.read_state(from),
            Self::BoundedCounter(counter) => counter.read_state(from),
            Self::RemoveWinsSet(set) => set.read_state(from),
            Self::Tree(tree) => tree.read_state(from),
            Self::Unknown(_) => from.fail("container kind", "its state cannot be written"),
        }
    }
}

impl Containers {
    /// The containers in the order of the state, the root first, with what keeps no state left out: containers that no
    /// operation has made. `None` if there is one whose state cannot be written.
    pub(crate) fn in_state_order(&self, is_made: impl Fn(Handle) -> bool, ranks: &[u32]) -> Option<Vec<Handle>> {
        let mut order = Vec::new();
        let mut stack = vec![Handle::ROOT];
        while let Some(handle) = stack.pop() {
            order.push(handle);
            stack.extend(self.children(handle, ranks).into_iter().rev());
        }
        // Whatever has a container inside that was made was made itself.
        let mut kept = vec![false; self.len()];
        for handle in order.iter().rev() {
            if kept[handle.0 as usize] || is_made(*handle) || self.is_mentioned(*handle) {
                kept[handle.0 as usize] = true;
                kept[self.place(*handle).0.0 as usize] = true;
            }
        }
        order.retain(|handle| kept[handle.0 as usize] || *handle == Handle::ROOT);
        order.iter().all(|handle| self.content(*handle).has_state()).then_some(order)
    }

    /// Whether a value says that the container is there.
    fn is_mentioned(&self, handle: Handle) -> bool {
        let (parent, place) = self.place(handle);
        let says = |value: &Value| *value == Value::Container(self.kind(handle));
        match (self.content(parent), place) {
            (Content::Map(map), Place::Name(name)) => map.get(name).is_some_and(|values| values.values().any(says)),
            (Content::List(list), Place::Element(dot)) => {
                list.value(dot).is_some_and(|values| values.values().any(says))
            }
            _ => false,
        }
    }

    /// Writes the containers in the order that `in_state_order` gives.
    pub(crate) fn write_state(&self, order: &[Handle], out: &mut StateWriter<'_>) {
        let mut numbers = vec![0; self.len()];
        for (number, handle) in order.iter().enumerate() {
            numbers[handle.0 as usize] = number;
        }
        out.count(order.len() - 1);
        for handle in order {
            if *handle != Handle::ROOT {
                let (parent, place) = self.place(*handle);
                out.count(numbers[parent.0 as usize]);
                match place {
                    Place::Name(name) => {
                        out.out.push(0);
                        out.str(name);
                    }
                    Place::Element(dot) => {
                        out.out.push(1);
                        out.dot(dot);
                    }
                }
                out.out.push(self.kind(*handle).tag());
            }
            self.content(*handle).write_state(out);
        }
    }

    /// Reads what `write_state` wrote, into containers that are empty. Returns them in the order of the state.
    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<Vec<Handle>, DecodeError> {
        let count = from.count("container count")?;
        let mut handles = vec![Handle::ROOT];
        // Handles stay when a state is read again: that one is known does not say that it was read before.
        let mut was_read = vec![false; self.len()];
        was_read[0] = true;
        self.content_mut(Handle::ROOT).read_state(from)?;
        for _ in 0..count {
            let parent = from.reader.bounded("container parent", handles.len() as u64 - 1)?;
            let spot = match from.reader.u8("container place")? {
                0 => Spot::Name(from.str("container key")?.to_owned()),
                1 => Spot::Element(from.dot("container element")?),
                _ => return from.fail("container place", "it is none that is known"),
            };
            let place = match &spot {
                Spot::Name(name) => Place::Name(name),
                Spot::Element(dot) => Place::Element(*dot),
            };
            let kind = ContainerKind::read(&mut from.reader)?;
            let made = self.get_or_make(handles[parent as usize], place, kind);
            was_read.resize(self.len(), false);
            let new = |handle: &Handle| !std::mem::replace(&mut was_read[handle.0 as usize], true);
            let Some(handle) = made.filter(new) else {
                return from.fail("container place", "no container can be there");
            };
            handles.push(handle);
            self.content_mut(handle).read_state(from)?;
        }
        self.note_tracked(&handles);
        Ok(handles)
    }

    /// Notes whether all texts know who wrote what, as a state has it.
    fn note_tracked(&mut self, handles: &[Handle]) {
        let mut texts = handles.iter().filter_map(|handle| match self.content(*handle) {
            Content::Text(text) => Some(text.has_ids()),
            _ => None,
        });
        let tracked = texts.next().unwrap_or(self.is_tracked()) && texts.all(|has_ids| has_ids);
        self.set_tracked(tracked);
    }
}

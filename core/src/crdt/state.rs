//! The finished state of containers as bytes: what a saved document starts with, so that opening it replays nothing.
//!
//! Equal states have equal bytes: logs are numbered in the order of their replicas, containers in the order of their
//! places. Always holds: reading gives a state or a `DecodeError`. What only concurrent operations would need (origins,
//! who deleted what) is not here: one that has not seen the whole state asks for the history instead.
//! Normative: docs/format.md. Not here: logs and names (`doc`).

use smallvec::SmallVec;

use super::containers::{Containers, Content, Handle, Place, Spot};
use crate::clock::Hlc;
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_i64, put_str, put_u64};
use crate::graph::Dot;
use crate::id::ReplicaId;
use crate::op::{ContainerKind, Value};
use crate::ordered::sort_by_key;

/// Collects a state. Texts are kept apart, and come last: they deflate better together.
#[derive(Debug)]
pub(crate) struct StateWriter<'a> {
    pub(crate) out: Vec<u8>,
    pub(crate) text: String,
    /// The number of each log in the state, by log.
    ranks: &'a [u32],
    last_seq: u32,
    last_hlc: u64,
}

impl<'a> StateWriter<'a> {
    pub(crate) fn new(ranks: &'a [u32]) -> Self {
        Self { out: Vec::new(), text: String::new(), ranks, last_seq: 0, last_hlc: 0 }
    }

    pub(crate) fn count(&mut self, count: usize) {
        put_u64(&mut self.out, count as u64);
    }

    pub(crate) fn rank(&self, log: u32) -> u32 {
        self.ranks[log as usize]
    }

    pub(crate) fn dot(&mut self, dot: Dot) {
        put_u64(&mut self.out, u64::from(self.ranks[dot.log as usize]));
        put_i64(&mut self.out, i64::from(dot.seq) - i64::from(self.last_seq));
        self.last_seq = dot.seq;
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
    text: &'a str,
    /// The logs of the state, with their ends.
    logs: &'a [(u32, u64)],
    /// By log.
    replicas: &'a [ReplicaId],
    last_seq: u32,
    last_hlc: u64,
}

impl<'a> StateReader<'a> {
    pub(crate) fn new(reader: Reader<'a>, text: &'a str, logs: &'a [(u32, u64)], replicas: &'a [ReplicaId]) -> Self {
        Self { reader, text, logs, replicas, last_seq: 0, last_hlc: 0 }
    }

    fn fail<T>(&self, field: &'static str, why: &'static str) -> Result<T, DecodeError> {
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
        self.reader.end("state")
    }
}

impl Content {
    /// Whether `write_state` can tell all of it.
    fn has_state(&self) -> bool {
        match self {
            Self::Tree(_) | Self::Unknown(_) => false,
            Self::Text(text) => !text.is_marked(),
            _ => true,
        }
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
            Self::Tree(_) | Self::Unknown(_) => {}
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
            Self::Tree(_) | Self::Unknown(_) => from.fail("container kind", "its state cannot be written"),
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
                list.kept_value(dot).is_some_and(|values| values.values().any(says))
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

    /// Reads what `write_state` wrote, into nothing but the root. Returns the containers in the order of the state.
    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<Vec<Handle>, DecodeError> {
        let count = from.count("container count")?;
        let mut handles = vec![Handle::ROOT];
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
            let parent = handles[parent as usize];
            let known = self.child(parent, place, kind).is_some();
            match self.get_or_make(parent, place, kind).filter(|_| !known) {
                Some(handle) => handles.push(handle),
                None => return from.fail("container place", "no container can be there"),
            }
            let handle = *handles.last().expect("pushed above");
            self.content_mut(handle).read_state(from)?;
        }
        Ok(handles)
    }
}

//! The finished state of a whole document: the ends of its logs, what they have mentioned, the frontier, the containers.
//!
//! Normative: docs/format.md. Always holds: equal documents have equal states, byte for byte; reading one gives a document
//! or a `DecodeError`. A document made of a state lacks its older changes until they are put in front (`stored`), or for
//! ever (`shallow`).

use super::Doc;
use super::apply::{Binding, Names};
use super::file::StateBytes;
use crate::clock::Hlc;
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_i64, put_str, put_u64};
use crate::crdt::{Applied, Handle, MAX_DEPTH, StateReader, StateWriter, Unpacked};
use crate::graph::{Dot, Graph};
use crate::id::ReplicaId;
use crate::op::{ContainerDecl, ContainerKind, ElementRef, Key, LogHead, LogNames, LogState};
use crate::ordered::sort_by_key;

impl Doc {
    /// The state, without the pending change; with `is_base`, one that can stand for the history, for which texts must
    /// know who wrote what (`track`). `None` if there is a container whose state cannot be written.
    pub(super) fn write_state(&mut self, is_base: bool) -> Option<Vec<u8>> {
        if self.has_unknown {
            return None;
        }
        let states = self.logs.state();
        let mut ranks = vec![u32::MAX; self.logs.len()];
        let mut logs = Vec::new();
        for (rank, state) in states.iter().enumerate() {
            let log = self.logs.find(state.replica)?;
            ranks[log as usize] = rank as u32;
            logs.push(log);
        }
        let made = |handle| logs.iter().any(|log| self.names[*log as usize].index_of(handle).is_some());
        let order = self.containers.in_state_order(made, &ranks)?;
        let mut numbers = vec![0; self.containers.len()];
        order.iter().enumerate().for_each(|(number, handle)| numbers[handle.to_u32() as usize] = number as u64);
        let replicas: Vec<ReplicaId> = states.iter().map(|state| state.replica).collect();
        let mut writer = StateWriter::new(&ranks, &replicas, is_base);
        let out = &mut writer.out;
        put_u64(out, states.len() as u64);
        for (state, log) in states.iter().zip(&logs) {
            write_log(state, &self.names[*log as usize], &numbers, out)?;
        }
        let mut frontier = self.graph.frontier_depths();
        sort_by_key(&mut frontier, |(dot, _)| ranks[dot.log as usize]);
        put_u64(out, frontier.len() as u64);
        for (dot, depth) in frontier {
            put_u64(out, u64::from(ranks[dot.log as usize]));
            put_u64(out, u64::from(dot.seq));
            put_u64(out, depth);
        }
        if is_base {
            self.containers.catch_up();
        }
        self.containers.write_state(&order, &mut writer);
        Some(writer.pack())
    }

    /// The document with this state, in which `replica` writes.
    pub(super) fn read_state(replica: ReplicaId, state: &StateBytes<'_>) -> Result<Self, DecodeError> {
        let mut doc = Self::new(replica);
        doc.take_state(state, true)?;
        Ok(doc)
    }

    /// Takes over a state. The containers are empty, and the logs, too, if they are to `begin` where the state ends.
    pub(super) fn take_state(&mut self, state: &StateBytes<'_>, begin: bool) -> Result<(), DecodeError> {
        let unpacked = if state.is_old { None } else { Some(Unpacked::read(&state.bytes)?) };
        let mut reader = Reader::new(unpacked.as_ref().map_or(&state.bytes, Unpacked::rest));
        let (mut logs, mut bindings) = (Vec::new(), Vec::new());
        for _ in 0..reader.bounded("log count", (reader.remaining() / 50) as u64)? {
            let at = reader.clone();
            let (state, names, bound) = read_log(&mut reader)?;
            if logs.last().is_some_and(|(_, _, last)| *last >= state.replica) {
                return Err(at.error("log", DecodeErrorKind::NotCanonical));
            }
            let log = if begin { self.logs.start_at(&state) } else { self.logs.intern(state.replica) };
            self.clock.observe(state.head.hlc);
            *self.names_of(log) = names;
            logs.push((log, state.head.end, state.replica));
            bindings.push(bound);
        }
        let frontier = read_frontier(&mut reader, &logs)?;
        let mut ends = vec![0; self.logs.len()];
        logs.iter().for_each(|(log, end, _)| ends[*log as usize] = *end as u32);
        self.graph = Graph::starting_at(ends, frontier);
        let text = match &unpacked {
            Some(unpacked) => unpacked.text()?,
            None => {
                let containers = Reader::new(reader.bytes("containers")?);
                let (offset, text) = (reader.offset(), std::str::from_utf8(reader.rest()));
                reader = containers;
                text.map_err(|_| DecodeError { field: "text", offset, kind: DecodeErrorKind::NotUtf8 })?
            }
        };
        let replicas: Vec<ReplicaId> = (0..self.logs.len() as u32).map(|log| self.logs.replica(log)).collect();
        let logs: Vec<(u32, u64)> = logs.into_iter().map(|(log, end, _)| (log, end)).collect();
        let mut from = StateReader::new(reader, text, unpacked.as_ref(), (&logs, &replicas));
        let handles = self.containers.read_state(&mut from)?;
        from.end()?;
        for ((log, _), bound) in logs.iter().zip(bindings) {
            bind(&mut self.names[*log as usize], &bound, &handles).ok_or_else(|| {
                from.reader.error("container binding", DecodeErrorKind::Inconsistent("there is no such one"))
            })?;
        }
        Ok(())
    }
}

fn write_log(state: &LogState, names: &Names, numbers: &[u64], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(state.replica.as_bytes());
    put_u64(out, state.head.end);
    put_u64(out, state.head.hlc.to_bits());
    out.extend_from_slice(&state.digest);
    put_u64(out, state.head.names.len() as u64);
    state.head.names.iter().for_each(|replica| out.extend_from_slice(replica.as_bytes()));
    out.push(u8::from(names.is_opaque()));
    put_u64(out, names.log.replicas.len() as u64);
    names.log.replicas.iter().for_each(|replica| out.extend_from_slice(replica.as_bytes()));
    let (current, cursor) = names.log.place();
    put_u64(out, u64::from(current));
    put_u64(out, u64::from(cursor));
    put_u64(out, names.log.containers.len() as u64);
    for (decl, binding) in names.log.containers.iter().zip(names.bindings()) {
        put_u64(out, u64::from(decl.parent));
        out.push(decl.kind.tag() << 1 | u8::from(matches!(decl.key, Key::Element(_))));
        match &decl.key {
            Key::Name(name) => put_str(out, name),
            Key::Element(element) => {
                put_u64(out, u64::from(element.name));
                put_i64(out, i64::from(element.seq));
            }
        }
        put_u64(
            out,
            match binding {
                Binding::Unbound => 0,
                Binding::Refused(Applied::Invalid) => 1,
                Binding::Refused(_) => return None,
                Binding::Bound(handle) => 2 + numbers[handle.to_u32() as usize],
            },
        );
    }
    Some(())
}

type LogParts = (LogState, Names, Vec<u64>);

fn read_log(reader: &mut Reader<'_>) -> Result<LogParts, DecodeError> {
    let replica = reader.replica("log replica")?;
    let end = reader.bounded("log end", crate::op::MAX_SEQ)?;
    let hlc = Hlc::from_bits(reader.u64("log time")?);
    let digest = reader.array("log digest")?;
    let replicas = |reader: &mut Reader<'_>| {
        let count = reader.bounded("replica count", (reader.remaining() / 16) as u64)?;
        (0..count).map(|_| reader.replica("replica")).collect::<Result<Vec<_>, _>>()
    };
    let head = LogHead { end, hlc, names: replicas(reader)? };
    let opaque = reader.bounded("log flag", 1)? == 1;
    let mentioned = replicas(reader)?;
    let (current, cursor) = (reader.u32("current container")?, reader.u32("cursor")?);
    let (mut containers, mut bound) = (Vec::new(), Vec::new());
    for known in 0..reader.bounded("mention count", (reader.remaining() / 4) as u64)? {
        let parent = reader.bounded("container parent", known)? as u32;
        let tag = reader.u8("container kind")?;
        let kind = ContainerKind::read(&mut Reader::new(&[tag >> 1])).map_err(|e| reader.error(e.field, e.kind))?;
        let key = if tag & 1 == 1 {
            let name = reader.bounded("element author", mentioned.len() as u64)? as u32;
            let seq = reader.i64("element")?;
            let seq = u32::try_from(seq).map_err(|_| reader.error("element", DecodeErrorKind::NotCanonical))?;
            Key::Element(ElementRef { name, seq })
        } else {
            Key::Name(reader.str("container key")?.to_owned())
        };
        containers.push(ContainerDecl { parent, key, kind });
        bound.push(reader.u64("container binding")?);
    }
    if u64::from(current) > containers.len() as u64 {
        return Err(reader.error("current container", DecodeErrorKind::Inconsistent("it was never mentioned")));
    }
    let log = LogNames::resume(containers, mentioned, (current, cursor));
    Ok((LogState { replica, head, digest }, Names::resume(log, opaque), bound))
}

fn read_frontier(reader: &mut Reader<'_>, logs: &[(u32, u64, ReplicaId)]) -> Result<Vec<(Dot, u64)>, DecodeError> {
    let (mut frontier, mut next) = (Vec::new(), 0);
    for _ in 0..reader.bounded("frontier length", logs.len() as u64)? {
        let at = reader.clone();
        let rank = reader.bounded("frontier log", logs.len().saturating_sub(1) as u64)?;
        let (log, end, _) = logs[rank as usize];
        let seq = reader.bounded("frontier operation", end.saturating_sub(1))?;
        if rank < next || seq + 1 != end {
            return Err(at.error("frontier", DecodeErrorKind::Inconsistent("it is not the ends of logs, in order")));
        }
        next = rank + 1;
        frontier.push((Dot { log, seq: seq as u32 }, reader.bounded("depth", MAX_DEPTH)?));
    }
    if frontier.is_empty() && !logs.is_empty() {
        return Err(reader.error("frontier length", DecodeErrorKind::Inconsistent("every history has an end")));
    }
    Ok(frontier)
}

/// Settles what a log means by the containers that it has mentioned.
fn bind(names: &mut Names, bound: &[u64], handles: &[Handle]) -> Option<()> {
    for (at, number) in bound.iter().enumerate() {
        let binding = match number {
            0 => Binding::Unbound,
            1 => Binding::Refused(Applied::Invalid),
            number => Binding::Bound(*handles.get(usize::try_from(number - 2).ok()?)?),
        };
        names.settle(at as u32 + 1, binding);
    }
    Some(())
}

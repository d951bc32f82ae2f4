//! The pending change: local transactions that were not sealed yet, and how they are sealed or taken back.

use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::{Doc, EditError};
use crate::clock::Hlc;
use crate::crdt::{Context, Effect, Handle, Place};
use crate::graph::{Dot, Past};
use crate::op::{
    BodyMark, BodyWriter, Change, ContainerDecl, Dep, ElementRef, Key, LogNames, MAX_CHANGE_BYTES, MAX_MESSAGE_BYTES,
    MAX_SEQ, NamesMark, OpRun, Value,
};

/// A pending change grows up to this many bytes; then the next transaction begins a new one.
const SEAL_BYTES: usize = 64 << 10;

/// Room for a header in a change.
const HEADER_BYTES: usize = MAX_MESSAGE_BYTES + (64 << 10);

/// A change in the making.
#[derive(Debug)]
pub(super) struct Pending {
    first: Dot,
    hlc: Hlc,
    lamport: u64,
    deps: SmallVec<[Dot; 2]>,
    body: BodyWriter,
    /// Bytes of first mentions, which the body may not have written yet.
    mentions: usize,
}

impl Pending {
    /// The exclusive end of its sequence numbers.
    pub(super) fn end(&self) -> u64 {
        u64::from(self.first.seq) + u64::from(self.body.ops())
    }
}

/// The state of the pending change before a transaction.
pub(super) struct Mark {
    body: Option<BodyMark>,
    names: NamesMark,
    mentions: usize,
    events: usize,
}

impl Doc {
    /// Makes sure that there is a pending change to write into.
    fn open_pending(&mut self) -> Dot {
        if let Some(pending) = &self.pending {
            return pending.first;
        }
        let log = self.logs.intern(self.me);
        self.names_of(log);
        let first = Dot { log, seq: self.logs.end(log) as u32 };
        let deps = self.graph.frontier().iter().copied().filter(|dot| dot.log != log).collect();
        let body = BodyWriter::new(&self.names[log as usize].log);
        // Our own log may lie ahead of a clock that was set back, or that does not believe it.
        let after_own = self.logs.head(log).hlc.next().unwrap_or(Hlc::ZERO);
        let (hlc, lamport) = (self.clock.tick().max(after_own), self.graph.next_lamport());
        self.pending = Some(Pending { first, hlc, lamport, deps, body, mentions: 0 });
        first
    }

    pub(super) fn mark(&mut self) -> Mark {
        if self.cut.swap(false, Ordering::Relaxed)
            || self.pending.as_ref().is_some_and(|p| p.body.bytes() >= SEAL_BYTES)
        {
            self.commit(None);
        }
        let log = self.logs.intern(self.me);
        self.names_of(log);
        let names = &mut self.names[log as usize].log;
        if let Some(pending) = &mut self.pending {
            pending.body.close_list(names);
        }
        let names = names.mark();
        Mark {
            body: self.pending.as_ref().map(|pending| pending.body.mark()),
            names,
            mentions: self.pending.as_ref().map_or(0, |pending| pending.mentions),
            events: self.containers.events_len(),
        }
    }

    /// Takes back everything since the mark.
    pub(super) fn rollback(&mut self, mark: &Mark) {
        let Some(pending) = &mut self.pending else { return };
        let kept = mark.body.as_ref().map_or(0, BodyMark::ops);
        let undone = pending.body.ops() - kept;
        self.names[pending.first.log as usize].reset(mark.names);
        match &mark.body {
            Some(body) => {
                pending.body.reset(body);
                pending.mentions = mark.mentions;
            }
            None => self.pending = None,
        }
        if undone > 0 {
            self.containers.truncate_events(mark.events);
            self.rebuild();
        }
    }

    /// Writes a run of operations into the pending change and applies it. The caller has checked that it is valid.
    pub(super) fn push_op(&mut self, handle: Handle, run: OpRun<'_>) -> Result<(), EditError> {
        self.push_op_on(handle, run, &[]).map(drop)
    }

    /// The same for an operation that names elements or nodes (`OpRun::elements_mut`), which are filled in here: a log
    /// mentions the container first, then the elements. Returns the first operation of the run.
    pub(super) fn push_op_on(&mut self, handle: Handle, mut run: OpRun<'_>, named: &[Dot]) -> Result<Dot, EditError> {
        let first = self.open_pending();
        let mentions = self.mention_bytes(first.log, handle);
        self.check_room(mentions, &run)?;
        let container = self.own_index(handle);
        for (element, dot) in run.elements_mut().into_iter().zip(named) {
            *element = self.own_element(*dot);
        }
        let pending = self.pending.as_mut().expect("opened above");
        pending.mentions += mentions;
        let names = &mut self.names[first.log as usize];
        let dot = first.plus(pending.body.ops());
        let past = Past::everything();
        let lamport = pending.lamport + u64::from(pending.body.ops());
        let context = Context { dot, hlc: pending.hlc, lamport, past: &past, logs: &self.logs };
        pending.body.push(&mut names.log, container, &run);
        let (names, logs) = (&names.log, &self.logs);
        let element = |element| super::apply::resolve_element(names, logs, first.log, element);
        let effect = self.containers.apply(&context, handle, run, element);
        debug_assert_eq!(effect, Effect::Applied, "an edit was not checked before it was pushed");
        Ok(dot)
    }

    /// An upper bound of what mentioning a container for the first time costs, with those around it.
    fn mention_bytes(&self, log: u32, mut handle: Handle) -> usize {
        let (names, mut bytes) = (&self.names[log as usize], 0);
        while names.index_of(handle).is_none() {
            let (parent, place) = self.containers.place(handle);
            bytes += 48 + if let Place::Name(name) = place { name.len() } else { 0 };
            handle = parent;
        }
        bytes
    }

    fn check_room(&self, mentions: usize, run: &OpRun<'_>) -> Result<(), EditError> {
        let Some(pending) = &self.pending else { return Ok(()) };
        if self.names[pending.first.log as usize].is_opaque() {
            return Err(EditError::LogUnreadable);
        }
        let bytes = pending.body.bytes() + pending.mentions + mentions + run_bytes(run);
        if bytes + HEADER_BYTES > MAX_CHANGE_BYTES {
            return Err(EditError::TooLarge { max: MAX_CHANGE_BYTES - HEADER_BYTES });
        }
        let own = self.logs.head(pending.first.log);
        if pending.end() + u64::from(run.ops()) > MAX_SEQ || (own.end > 0 && pending.hlc <= own.hlc) {
            return Err(EditError::LogFull { max: MAX_SEQ });
        }
        Ok(())
    }

    /// The index of a container in our own log, declaring it and those around it at their first mention.
    fn own_index(&mut self, handle: Handle) -> u32 {
        let log = self.logs.intern(self.me);
        if let Some(index) = self.names_of(log).index_of(handle) {
            return index;
        }
        let (parent, place) = self.containers.place(handle);
        let (name, element) = match place {
            Place::Name(name) => (Some(name.to_owned()), None),
            Place::Element(dot) => (None, Some(dot)),
        };
        let parent = self.own_index(parent);
        let key = match (name, element) {
            (Some(name), _) => Key::Name(name),
            (None, element) => Key::Element(self.own_element(element.expect("a place is one of the two"))),
        };
        let kind = self.containers.kind(handle);
        self.names_of(log).declare(ContainerDecl { parent, key, kind }, handle)
    }

    /// How our own log names an element.
    fn own_element(&mut self, dot: Dot) -> ElementRef {
        let log = self.open_pending().log;
        let (me, author) = (self.me, self.logs.replica(dot.log));
        ElementRef { name: self.names_of(log).log.name(me, author), seq: dot.seq }
    }

    /// Seals the pending change with a commit message (cut at 4 KiB). Without pending edits it does nothing.
    pub fn commit(&mut self, message: Option<&str>) {
        self.cut.store(false, Ordering::Relaxed);
        let Some(pending) = self.pending.take() else { return };
        let log = pending.first.log;
        let ops = pending.body.ops();
        if ops == 0 {
            return;
        }
        let body = pending.body.finish(&mut self.names[log as usize].log);
        let mut deps: SmallVec<[Dep; 2]> = SmallVec::new();
        for dot in &pending.deps {
            let end = u64::from(dot.seq) + 1;
            let digest = self.logs.digest_at(dot.log, end).expect("the frontier lies between changes");
            deps.push(Dep { replica: self.logs.replica(dot.log), end, digest });
        }
        deps.sort_unstable_by_key(|dep| dep.replica);
        let message = message.map(|message| &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)]);
        self.logs.seal(log, &Change { hlc: pending.hlc, deps: &deps, message, ops: u64::from(ops), body: &body });
        self.graph.push(pending.first, ops, &pending.deps);
        self.note_order(log);
        if !self.untaken.iter().any(|(untaken, _)| *untaken == log) {
            self.untaken.push((log, u64::from(pending.first.seq)));
        }
    }

    /// What an initial change would consist of: the pending operations and their bytes.
    pub(super) fn into_body(mut self) -> Option<(u32, Vec<u8>)> {
        let pending = self.pending.take()?;
        let ops = pending.body.ops();
        if ops == 0 {
            return None;
        }
        Some((ops, pending.body.finish(&mut self.names[pending.first.log as usize].log)))
    }

    /// Applies the pending operations again, after the state was rebuilt without them. `names` is what our log will
    /// have mentioned behind them.
    pub(super) fn reapply_pending(&mut self, names: &LogNames) {
        let Some(pending) = self.pending.take() else { return };
        let ops = u64::from(pending.body.ops());
        let body = pending.body.clone().finish(&mut names.clone());
        self.apply_body(pending.first, ops, pending.hlc, pending.lamport, &Past::everything(), &body);
        self.pending = Some(pending);
    }
}

fn run_bytes(run: &OpRun<'_>) -> usize {
    match run {
        OpRun::TextInsert { text, .. } => text.len(),
        OpRun::ListInsert { values, .. } => values.iter().map(Value::size_hint).sum(),
        OpRun::MapSet { key, value } => key.len() + value.size_hint(),
        OpRun::MapDelete { key } => key.len() + 16,
        OpRun::ListSet { value, .. } | OpRun::RegisterSet { value } => value.size_hint(),
        OpRun::SetAdd { value } | OpRun::SetRemove { value } => value.size_hint(),
        _ => 32,
    }
}

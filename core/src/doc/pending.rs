//! The pending change: local transactions that were not sealed yet, and how they are sealed or taken back.

use smallvec::SmallVec;

use super::apply::{Ineffective, apply_body};
use super::{Doc, EditError, OWN};
use crate::clock::{Clock, Hlc};
use crate::crdt::{Applied, Context, Extent, Handle, Place};
use crate::graph::{Dot, Past};
use crate::op::{
    BodyMark, BodyWriter, Change, ContainerDecl, Dep, ElementRef, Key, LogNames, MAX_CHANGE_BYTES, MAX_MESSAGE_BYTES,
    MAX_SEQ, NamesMark, OpRun, Value,
};
use crate::ordered::sort_by_key;

/// A pending change grows up to this many bytes; then the next transaction begins a new one.
const SEAL_BYTES: usize = 64 << 10;

/// Room for a header in a change.
const HEADER_BYTES: usize = MAX_MESSAGE_BYTES + (64 << 10);

/// A change in the making.
#[derive(Debug)]
pub(super) struct Pending {
    first: Dot,
    hlc: Hlc,
    /// Whether the time is exact: it is once a value was set.
    exact: bool,
    deps: SmallVec<[Dot; 2]>,
    /// Whether our log can be written at all.
    sound: bool,
    /// Bytes of first mentions, which the body may not have written yet.
    mentions: usize,
}

impl Pending {
    /// Whether so many bytes and operations more surely fit.
    #[inline]
    fn has_room(&self, draft: &BodyWriter, bytes: usize, ops: u32) -> bool {
        self.sound
            && draft.bytes() + self.mentions + bytes <= MAX_CHANGE_BYTES - HEADER_BYTES - (1 << 10)
            && self.end(draft) + u64::from(ops) <= MAX_SEQ
    }

    /// The exclusive end of its sequence numbers.
    #[inline]
    pub(super) fn end(&self, draft: &BodyWriter) -> u64 {
        u64::from(self.first.seq) + u64::from(draft.ops())
    }
}

/// The state of the pending change before a transaction.
pub(super) struct Mark {
    body: Option<BodyMark>,
    names: NamesMark,
    mentions: usize,
    events: usize,
    clock: Clock,
}

impl Doc {
    /// Makes sure that there is a pending change to write into.
    #[inline]
    fn open_pending(&mut self) {
        if self.pending.is_none() {
            self.start_pending();
        }
    }

    /// The operation that is pushed next.
    pub(super) fn next_dot(&mut self) -> Dot {
        self.open_pending();
        let first = self.pending.as_ref().map_or(Dot::NONE, |pending| pending.first);
        first.plus(self.draft.ops())
    }

    fn start_pending(&mut self) {
        let first = Dot { log: OWN, seq: self.logs.end(OWN) as u32 };
        let deps = self.graph.frontier().iter().copied().filter(|dot| dot.log != OWN).collect();
        self.draft.start(&self.names[OWN as usize].log);
        // Our own log may lie ahead of a clock that was set back, or that does not believe it.
        let after_own = self.logs.head(OWN).hlc.next().unwrap_or(Hlc::ZERO);
        let hlc = self.clock.tick().max(after_own);
        let own = self.logs.head(OWN);
        let sound = !self.names[OWN as usize].is_opaque() && (own.end == 0 || hlc > own.hlc);
        self.pending = Some(Pending { first, hlc, exact: false, deps, sound, mentions: 0 });
    }

    #[inline]
    pub(super) fn mark(&mut self) -> Mark {
        if std::mem::take(self.cut.get_mut()) || (self.pending.is_some() && self.draft.bytes() >= SEAL_BYTES) {
            self.commit(None);
        }
        let names = &mut self.names[OWN as usize].log;
        if self.pending.is_some() {
            self.draft.close_list(names);
        }
        Mark {
            names: names.mark(),
            body: self.pending.as_ref().map(|_| self.draft.mark()),
            mentions: self.pending.as_ref().map_or(0, |pending| pending.mentions),
            events: self.containers.events_len(),
            clock: self.clock.clone(),
        }
    }

    /// Takes back everything since the mark.
    pub(super) fn rollback(&mut self, mark: &Mark) {
        let Some(pending) = &mut self.pending else { return };
        let kept = mark.body.as_ref().map_or(0, BodyMark::ops);
        let undone = self.draft.ops() - kept;
        self.names[OWN as usize].reset(mark.names);
        match &mark.body {
            Some(body) => {
                self.draft.reset(body);
                pending.mentions = mark.mentions;
            }
            None => (self.pending, self.clock) = (None, mark.clock.clone()),
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

    /// Inserts characters into a text (the position was checked). Typing is what happens most: it takes a short way.
    #[inline]
    pub(super) fn push_text(&mut self, handle: Handle, pos: u32, text: &str) -> Result<(), EditError> {
        let extent = Extent::of(text);
        self.open_pending();
        let names = &mut self.names[OWN as usize];
        if let (Some(index), Some(pending)) = (names.index_of(handle), &mut self.pending)
            && pending.has_room(&self.draft, text.len(), extent.chars)
        {
            let dot = pending.first.plus(self.draft.ops());
            if self.recording.is_some() {
                let step = self.step(handle, &OpRun::TextInsert { pos, chars: extent.chars, text }, None);
                self.record(step);
            }
            let names = &mut self.names[OWN as usize];
            self.draft.push_text(&mut names.log, index, pos, extent.chars, text);
            self.containers.type_text(handle, dot, pos, text, extent);
            return Ok(());
        }
        self.push_op(handle, OpRun::TextInsert { pos, chars: extent.chars, text })
    }

    /// Deletes characters of a text (the range was checked).
    #[inline]
    pub(super) fn push_text_delete(&mut self, handle: Handle, pos: u32, len: u32) -> Result<(), EditError> {
        self.open_pending();
        let names = &mut self.names[OWN as usize];
        if let (Some(index), Some(pending)) = (names.index_of(handle), &mut self.pending)
            && pending.has_room(&self.draft, 0, len)
        {
            let dot = pending.first.plus(self.draft.ops());
            if self.recording.is_some() {
                let step = self.step(handle, &OpRun::Delete { pos, len, backward: false }, None);
                self.record(step);
            }
            let names = &mut self.names[OWN as usize];
            self.draft.push_delete(&mut names.log, index, pos, len);
            self.containers.erase_text(handle, dot, pos, len);
            return Ok(());
        }
        self.push_op(handle, OpRun::Delete { pos, len, backward: false })
    }

    /// The same for an operation that names elements or nodes (`OpRun::elements_mut`), which are filled in here: a log
    /// mentions the container first, then the elements. Returns the first operation of the run.
    pub(super) fn push_op_on(&mut self, handle: Handle, mut run: OpRun<'_>, named: &[Dot]) -> Result<Dot, EditError> {
        self.open_pending();
        let container = match self.names[OWN as usize].index_of(handle) {
            Some(index) => {
                self.check_room(0, &run)?;
                index
            }
            None => {
                let mentions = self.mention_bytes(handle);
                self.check_room(mentions, &run)?;
                self.pending.iter_mut().for_each(|pending| pending.mentions += mentions);
                self.own_index(handle)
            }
        };
        let step = self.step(handle, &run, named.first().copied());
        for (element, dot) in run.elements_mut().into_iter().zip(named) {
            *element = self.own_element(*dot);
        }
        let pending = self.pending.as_mut().expect("opened above");
        if run.sets_value() && !std::mem::replace(&mut pending.exact, true) {
            pending.hlc = self.clock.refine(pending.hlc);
        }
        let names = &mut self.names[OWN as usize].log;
        let dot = pending.first.plus(self.draft.ops());
        let past = Past::everything();
        let lamport = self.graph.next_lamport() + u64::from(self.draft.ops());
        let context = Context { dot, hlc: pending.hlc, lamport, past: &past, logs: &self.logs };
        self.draft.push(names, container, &run);
        let element = |element| super::apply::resolve_element(names, &self.logs, OWN, element);
        let applied = self.containers.apply(&context, handle, run, element);
        debug_assert_eq!(applied, Applied::Done, "an edit was not checked before it was pushed");
        self.containers.settle();
        self.record(step);
        Ok(dot)
    }

    /// An upper bound of what mentioning a container for the first time costs, with those around it.
    fn mention_bytes(&self, mut handle: Handle) -> usize {
        let (names, mut bytes) = (&self.names[OWN as usize], 0);
        while names.index_of(handle).is_none() {
            let (parent, place) = self.containers.place(handle);
            bytes += 48 + if let Place::Name(name) = place { name.len() } else { 0 };
            handle = parent;
        }
        bytes
    }

    fn check_room(&self, mentions: usize, run: &OpRun<'_>) -> Result<(), EditError> {
        let Some(pending) = &self.pending else { return Ok(()) };
        if self.names[OWN as usize].is_opaque() {
            return Err(EditError::LogUnreadable);
        }
        let bytes = self.draft.bytes() + pending.mentions + mentions + run_bytes(run);
        if bytes + HEADER_BYTES > MAX_CHANGE_BYTES {
            return Err(EditError::TooLarge { max: MAX_CHANGE_BYTES - HEADER_BYTES });
        }
        let own = self.logs.head(OWN);
        if pending.end(&self.draft) + u64::from(run.ops()) > MAX_SEQ || (own.end > 0 && pending.hlc <= own.hlc) {
            return Err(EditError::LogFull { max: MAX_SEQ });
        }
        Ok(())
    }

    /// The index of a container in our own log, declaring it and those around it at their first mention.
    fn own_index(&mut self, handle: Handle) -> u32 {
        if let Some(index) = self.names[OWN as usize].index_of(handle) {
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
        self.names[OWN as usize].declare(ContainerDecl { parent, key, kind }, handle)
    }

    /// How our own log names an element.
    fn own_element(&mut self, dot: Dot) -> ElementRef {
        let (me, author) = (self.me, self.logs.replica(dot.log));
        ElementRef { name: self.names[OWN as usize].log.name(me, author), seq: dot.seq }
    }

    /// Seals the pending change with a commit message (cut at 4 KiB). Without pending edits it does nothing.
    pub fn commit(&mut self, message: Option<&str>) {
        *self.cut.get_mut() = false;
        let Some(pending) = self.pending.take() else { return };
        let log = pending.first.log;
        let ops = self.draft.ops();
        if ops == 0 {
            return;
        }
        let body = self.draft.finish(&mut self.names[OWN as usize].log);
        let mut deps: SmallVec<[Dep; 1]> = SmallVec::new();
        for dot in &pending.deps {
            let end = u64::from(dot.seq) + 1;
            let digest = self.logs.digest_at(dot.log, end).expect("the frontier lies between changes");
            deps.push(Dep { replica: self.logs.replica(dot.log), end, digest });
        }
        sort_by_key(&mut deps, |dep| dep.replica);
        let message = message.map(|message| &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)]);
        self.logs.seal(log, &Change { hlc: pending.hlc, deps: &deps, message, ops: u64::from(ops), body });
        self.graph.push(pending.first, ops, &pending.deps);
        self.note_order(log);
        if !self.untaken.iter().any(|(untaken, _)| *untaken == log) {
            self.untaken.push((log, u64::from(pending.first.seq)));
        }
    }

    /// What an initial change would consist of: the pending operations and their bytes.
    pub(super) fn into_body(mut self) -> Option<(u32, Vec<u8>)> {
        self.pending.take()?;
        let ops = self.draft.ops();
        (ops > 0).then(|| (ops, self.draft.finish(&mut self.names[OWN as usize].log).to_vec()))
    }

    /// Applies the pending operations again, after the state was rebuilt without them. `names` is what our log will
    /// have mentioned behind them.
    pub(super) fn reapply_pending(&mut self, names: &LogNames) {
        let Some(pending) = self.pending.take() else { return };
        let ops = u64::from(self.draft.ops());
        let body = self.draft.clone().finish(&mut names.clone()).to_vec();
        let past = Past::everything();
        let (dot, hlc, lamport) = (pending.first, pending.hlc, self.graph.next_lamport());
        let context = Context { dot, hlc, lamport, past: &past, logs: &self.logs };
        let (names, containers) = (&mut self.names[OWN as usize], &mut self.containers);
        apply_body(names, containers, &context, ops, &body, &mut Ineffective::default());
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
        OpRun::Mark(mark) => 32 + mark.key.len() + mark.value.as_ref().map_or(0, Value::size_hint),
        _ => 32,
    }
}

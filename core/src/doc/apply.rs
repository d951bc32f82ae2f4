//! Applying sealed changes: names are resolved, operations go to their containers, the graph grows.

use smallvec::SmallVec;

use super::{Doc, OWN};
use crate::crdt::{Applied, Containers, Context, Handle, Place};
use crate::graph::{Dot, Graph, LoggedChange, Logs};
use crate::id::OpId;
use crate::op::{ContainerDecl, ContainerKind, ElementRef, Key, LogNames, ROOT};

/// What a log means by a container that it has mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Binding {
    /// No operation has used it yet.
    Unbound,
    Bound(Handle),
    /// It cannot exist, or lies in one of a newer version: what operations on it come to.
    Refused(Applied),
}

/// Operations that had no effect: the first of every run. Whoever applies changes notes them.
#[derive(Debug, Default)]
pub(super) struct Ineffective {
    /// Invalid where they stand.
    pub(super) invalid: Vec<OpId>,
    /// Of a newer version.
    pub(super) unknown: Vec<OpId>,
}

impl Ineffective {
    /// Notes what the operations of a context came to; `false` if the history has to be replayed first.
    #[inline]
    fn note(&mut self, applied: Applied, context: &Context<'_>) -> bool {
        match applied {
            Applied::Done => {}
            Applied::Invalid => self.invalid.push(op_id(context.logs, context.dot)),
            Applied::Unknown => self.unknown.push(op_id(context.logs, context.dot)),
            Applied::NeedsHistory => return false,
        }
        true
    }

    /// How many were noted, to come back to.
    fn mark(&self) -> (usize, usize) {
        (self.invalid.len(), self.unknown.len())
    }

    fn reset(&mut self, mark: (usize, usize)) {
        self.invalid.truncate(mark.0);
        self.unknown.truncate(mark.1);
    }
}

/// What a log has mentioned, and what that means here.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) log: LogNames,
    bindings: Vec<Binding>,
    /// The way back: which index means a container, by its handle; `ROOT` for those that were not mentioned.
    indices: Vec<u32>,
    /// A body could not be read: what later ones mention is unknown, so they have no effect either.
    opaque: bool,
}

impl Names {
    /// What a log had mentioned; what it means is settled afterwards (`settle`).
    pub(super) fn resume(log: LogNames, opaque: bool) -> Self {
        let bindings = vec![Binding::Unbound; log.containers.len()];
        Self { log, bindings, indices: Vec::new(), opaque }
    }

    /// What the log means by what it has mentioned, in order.
    pub(super) fn bindings(&self) -> impl Iterator<Item = Binding> {
        let unbound = std::iter::repeat(Binding::Unbound);
        self.bindings.iter().copied().chain(unbound).take(self.log.containers.len())
    }

    pub(super) fn settle(&mut self, index: u32, binding: Binding) {
        self.bindings[index as usize - 1] = binding;
        if let Binding::Bound(handle) = binding {
            self.set_index(handle, index);
        }
    }

    /// Whether a body of this log could not be read: nothing that follows in it has an effect.
    pub(super) fn is_opaque(&self) -> bool {
        self.opaque
    }

    pub(super) fn index_of(&self, handle: Handle) -> Option<u32> {
        if handle == Handle::ROOT {
            return Some(ROOT);
        }
        self.indices.get(handle.to_u32() as usize).copied().filter(|index| *index != ROOT)
    }

    fn set_index(&mut self, handle: Handle, index: u32) {
        let at = handle.to_u32() as usize;
        if self.indices.len() <= at {
            self.indices.resize(at + 1, ROOT);
        }
        self.indices[at] = index;
    }

    /// The container of the last operation, if the next body can be read.
    #[inline]
    fn current(&self) -> Option<Handle> {
        let current = self.log.current().checked_sub(1).filter(|_| !self.opaque)?;
        match self.bindings.get(current as usize) {
            Some(Binding::Bound(handle)) => Some(*handle),
            _ => None,
        }
    }

    pub(super) fn declare(&mut self, decl: ContainerDecl, handle: Handle) -> u32 {
        self.bindings.resize(self.log.containers.len(), Binding::Unbound);
        self.bindings.push(Binding::Bound(handle));
        let index = self.log.declare(decl);
        self.set_index(handle, index);
        index
    }

    pub(super) fn reset(&mut self, mark: crate::op::NamesMark) {
        self.log.reset(mark);
        self.bindings.truncate(self.log.containers.len());
        let known = self.log.containers.len();
        self.indices.iter_mut().filter(|index| **index as usize > known).for_each(|index| *index = ROOT);
    }
}

/// The operation that a log means by an element.
pub(super) fn resolve_element(names: &LogNames, logs: &Logs, author: u32, element: ElementRef) -> Option<Dot> {
    let log = match element.name.checked_sub(1) {
        None => author,
        Some(other) => logs.find(names.replicas[other as usize])?,
    };
    Some(Dot { log, seq: element.seq })
}

impl Doc {
    pub(super) fn names_of(&mut self, log: u32) -> &mut Names {
        if self.names.len() <= log as usize {
            self.names.resize_with(log as usize + 1, Names::default);
        }
        &mut self.names[log as usize]
    }

    /// Applies a change that was just added to its log.
    pub(super) fn apply_change(&mut self, change: &LoggedChange, ineffective: &mut Ineffective) {
        let (events, mark) = (self.containers.events_len(), ineffective.mark());
        if self.try_change(change, ineffective) {
            return;
        }
        self.containers.truncate_events(events);
        ineffective.reset(mark);
        self.rebuild();
        if !self.try_change(change, ineffective) {
            self.graph.push(change.first, change.header.ops as u32, &change.deps);
            ineffective.reset(mark);
            ineffective.invalid.push(self.op_id(change.first));
        }
    }

    /// The same; `false` if the history has to be replayed first.
    fn try_change(&mut self, change: &LoggedChange, ineffective: &mut Ineffective) -> bool {
        let first = change.first;
        self.names_of(first.log);
        let Some((past, lamport)) = self.graph.place(first, &change.deps) else { return false };
        let names = &mut self.names[first.log as usize];
        let context = Context { dot: first, hlc: change.header.hlc, lamport, past, logs: &self.logs };
        let body = change.header.body(self.logs.bytes(change));
        let done = apply_body(names, &mut self.containers, &context, change.header.ops, body, ineffective);
        if done {
            self.graph.push(first, change.header.ops as u32, &change.deps);
        }
        done
    }

    pub(super) fn op_id(&self, dot: Dot) -> OpId {
        op_id(&self.logs, dot)
    }

    /// The operation inside, if anything of its author is known.
    pub(super) fn dot(&self, id: OpId) -> Option<Dot> {
        Some(Dot { log: self.logs.find(id.replica)?, seq: u32::try_from(id.seq).ok()? })
    }

    /// Remembers that the next change of `log` was applied now.
    pub(super) fn note_order(&mut self, log: u32) {
        match self.order.last_mut() {
            Some((last, changes)) if *last == log => *changes += 1,
            _ => self.order.push((log, 1)),
        }
    }

    /// Makes the state anew from the whole history and the pending operations, so that texts know who wrote what.
    pub(super) fn rebuild(&mut self) {
        // What would need a history that cannot be read is called invalid; the state stays as it is.
        if self.load_history().is_ok() {
            self.replay(true);
        }
    }

    /// Makes the state anew from the logs and the pending operations. Handles stay, and nobody is told.
    pub(super) fn replay(&mut self, tracked: bool) {
        self.from_state = false;
        let changes = self.changes_in_order();
        // What the pending change has mentioned is in no log yet.
        let own = self.pending.is_some().then(|| self.names[OWN as usize].clone());
        let events = self.containers.pause_listening();
        self.containers.clear(tracked);
        self.graph = Graph::default();
        self.names.iter_mut().for_each(|names| *names = Names::default());
        self.restart();
        // What had no effect was told when it came in.
        let mut ineffective = Ineffective::default();
        let stuck = !changes.iter().all(|change| self.try_change(change, &mut ineffective));
        if stuck && !tracked {
            self.containers.resume_listening(events);
            own.into_iter().for_each(|names| self.names[OWN as usize] = names);
            return self.replay(true);
        }
        if let Some(names) = own {
            self.reapply_pending(&names.log);
            self.names[OWN as usize] = names;
        }
        self.containers.resume_listening(events);
    }

    /// Makes sure that texts know who wrote what: one replay of the history, the first time that somebody asks.
    pub(super) fn track(&mut self) {
        if !self.containers.is_tracked() {
            self.rebuild();
        }
    }

    /// Every sealed change, in the order in which they were applied.
    pub(super) fn changes_in_order(&self) -> Vec<LoggedChange> {
        let mut replays: Vec<_> = (0..self.logs.len() as u32).map(|log| self.logs.replay(log)).collect();
        let mut changes = Vec::new();
        for (log, count) in &self.order {
            changes.extend(replays[*log as usize].by_ref().take(*count as usize).flatten());
        }
        changes
    }
}

pub(super) fn op_id(logs: &Logs, dot: Dot) -> OpId {
    OpId { replica: logs.replica(dot.log), seq: u64::from(dot.seq) }
}

/// Applies the operations of a body, the first of which has `first` as its context. `false` if the history has
/// to be replayed first.
pub(super) fn apply_body(
    names: &mut Names,
    containers: &mut Containers,
    first: &Context<'_>,
    ops: u64,
    body: &[u8],
    ineffective: &mut Ineffective,
) -> bool {
    if let Some(handle) = names.current().filter(|handle| containers.kind(*handle) == ContainerKind::Text)
        && let Some(run) = names.log.read_text_run(ops, body)
    {
        return ineffective.note(containers.apply_text(first, handle, run), first);
    }
    let runs = if names.opaque { None } else { names.log.read(ops, body).ok() };
    let Some(runs) = runs else {
        names.opaque = true;
        return ineffective.note(Applied::Invalid, first);
    };
    names.bindings.resize(names.log.containers.len(), Binding::Unbound);
    let mut done = 0;
    for placed in runs {
        let (dot, count) = (first.dot.plus(done), placed.run.ops());
        let context = Context { dot, lamport: first.lamport + u64::from(done), ..*first };
        let applied = match bind(names, containers, &context, placed.container) {
            Ok(handle) => {
                let element = |element| resolve_element(&names.log, first.logs, dot.log, element);
                containers.apply(&context, handle, placed.run, element)
            }
            Err(refused) => refused,
        };
        if !ineffective.note(applied, &context) {
            return false;
        }
        done += count;
    }
    containers.settle();
    true
}

/// What the log means by a container, settled when the first operation uses it. The way up to the root is walked, not
/// recursed: a hostile log may declare a chain of any length.
fn bind(names: &mut Names, containers: &mut Containers, context: &Context<'_>, index: u32) -> Result<Handle, Applied> {
    let mut unbound: SmallVec<[u32; 4]> = SmallVec::new();
    let mut at = index;
    let mut parent = loop {
        let Some(binding) = at.checked_sub(1).map(|at| names.bindings[at as usize]) else { break Ok(Handle::ROOT) };
        match binding {
            Binding::Bound(handle) => break Ok(handle),
            Binding::Refused(applied) => break Err(applied),
            Binding::Unbound => unbound.push(at),
        }
        at = names.log.containers[at as usize - 1].parent;
    };
    for index in unbound.into_iter().rev() {
        let decl = names.log.containers[index as usize - 1].clone();
        let place = match &decl.key {
            Key::Name(name) => Some(Place::Name(name)),
            Key::Element(element) => resolve_element(&names.log, context.logs, context.dot.log, *element)
                .filter(|dot| context.past.contains(*dot))
                .map(Place::Element),
        };
        parent = parent.and_then(|parent| match place {
            _ if !containers.kind(parent).is_known() => Err(Applied::Unknown),
            Some(place) => containers.get_or_make(parent, place, decl.kind).ok_or(Applied::Invalid),
            None => Err(Applied::Invalid),
        });
        names.bindings[index as usize - 1] = parent.map_or_else(Binding::Refused, Binding::Bound);
        if let Ok(handle) = parent {
            names.set_index(handle, index);
        }
    }
    parent
}

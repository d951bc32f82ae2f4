//! Applying sealed changes: names are resolved, operations go to their containers, the graph grows.

use smallvec::SmallVec;

use super::Doc;
use crate::crdt::{Applied, Containers, Context, Handle, Place};
use crate::graph::{Dot, Graph, LoggedChange, Logs};
use crate::id::OpId;
use crate::op::{ContainerDecl, ContainerKind, ElementRef, Key, LogNames, ROOT};

/// What a log means by a container that it has mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    /// No operation has used it yet.
    Unbound,
    Bound(Handle),
    /// It cannot exist; operations on it have no effect.
    Invalid,
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

    /// Applies a change that was just added to its log. Returns the operations that are invalid where they stand.
    pub(super) fn apply_change(&mut self, change: &LoggedChange) -> Vec<OpId> {
        let events = self.containers.events_len();
        if let Some(invalid) = self.try_change(change) {
            return invalid;
        }
        self.containers.truncate_events(events);
        self.rebuild();
        self.try_change(change).expect("nothing is missing behind a replay of the history")
    }

    /// The same; `None` if the history has to be replayed first.
    fn try_change(&mut self, change: &LoggedChange) -> Option<Vec<OpId>> {
        let first = change.first;
        let parents = change.parents();
        let (past, lamport) = (self.graph.past(&parents), self.graph.lamport_after(&parents));
        self.names_of(first.log);
        let names = &mut self.names[first.log as usize];
        let context = Context { dot: first, hlc: change.header.hlc, lamport, past: &past, logs: &self.logs };
        let invalid = match change.header.body(self.logs.change(first.log, change.index)) {
            Ok(body) => apply_body(names, &mut self.containers, &context, change.header.ops, &body)?,
            Err(_) => {
                names.opaque = true;
                vec![op_id(&self.logs, first)]
            }
        };
        self.graph.push(first, change.header.ops as u32, &change.deps);
        Some(invalid)
    }

    /// Remembers that the next change of `log` was applied now.
    pub(super) fn note_order(&mut self, log: u32) {
        match self.order.last_mut() {
            Some((last, changes)) if *last == log => *changes += 1,
            _ => self.order.push((log, 1)),
        }
    }

    /// Makes the state anew from the logs and the pending operations. Handles stay, and nobody is told.
    pub(super) fn rebuild(&mut self) {
        let changes = self.changes_in_order();
        let own = self.logs.find(self.me).map(|log| (log, self.names_of(log).clone()));
        let events = self.containers.pause_listening();
        self.containers.clear_to_track();
        self.graph = Graph::default();
        self.names.iter_mut().for_each(|names| *names = Names::default());
        for change in &changes {
            self.apply_change(change);
        }
        if let Some((log, names)) = own {
            self.reapply_pending(&names.log);
            self.names[log as usize] = names;
        }
        self.containers.resume_listening(events);
    }

    /// Every sealed change, in the order in which they were applied.
    pub(super) fn changes_in_order(&self) -> Vec<LoggedChange> {
        let mut replays: Vec<_> = (0..self.logs.len() as u32).map(|log| self.logs.replay(log)).collect();
        let mut changes = Vec::new();
        for (log, count) in &self.order {
            changes.extend(replays[*log as usize].by_ref().take(*count as usize).flatten().map(|(change, _)| change));
        }
        changes
    }
}

pub(super) fn op_id(logs: &Logs, dot: Dot) -> OpId {
    OpId { replica: logs.replica(dot.log), seq: u64::from(dot.seq) }
}

/// Applies the operations of a body, the first of which has `first` as its context. Returns those that are invalid
/// where they stand, or `None` if the history has to be replayed first.
pub(super) fn apply_body(
    names: &mut Names,
    containers: &mut Containers,
    first: &Context<'_>,
    ops: u64,
    body: &[u8],
) -> Option<Vec<OpId>> {
    if let Some(handle) = names.current().filter(|handle| containers.kind(*handle) == ContainerKind::Text)
        && let Some(run) = names.log.read_text_run(ops, body)
    {
        return match containers.apply_text(first, handle, run) {
            Applied::Done => Some(Vec::new()),
            Applied::Invalid => Some(vec![op_id(first.logs, first.dot)]),
            Applied::NeedsHistory => None,
        };
    }
    let runs = if names.opaque { None } else { names.log.read(ops, body).ok() };
    let Some(runs) = runs else {
        names.opaque = true;
        return Some(vec![op_id(first.logs, first.dot)]);
    };
    names.bindings.resize(names.log.containers.len(), Binding::Unbound);
    let (mut done, mut invalid) = (0, Vec::new());
    for placed in runs {
        let (dot, count) = (first.dot.plus(done), placed.run.ops());
        let context = Context { dot, lamport: first.lamport + u64::from(done), ..*first };
        let applied = match bind(names, containers, &context, placed.container) {
            Some(handle) => {
                let element = |element| resolve_element(&names.log, first.logs, dot.log, element);
                containers.apply(&context, handle, placed.run, element)
            }
            None => Applied::Invalid,
        };
        match applied {
            Applied::Done => {}
            Applied::Invalid => invalid.push(op_id(first.logs, dot)),
            Applied::NeedsHistory => return None,
        }
        done += count;
    }
    Some(invalid)
}

/// What the log means by a container, settled when the first operation uses it. The way up to the root is walked, not
/// recursed: a hostile log may declare a chain of any length.
fn bind(names: &mut Names, containers: &mut Containers, context: &Context<'_>, index: u32) -> Option<Handle> {
    let mut unbound: SmallVec<[u32; 4]> = SmallVec::new();
    let mut at = index;
    let mut parent = loop {
        let Some(binding) = at.checked_sub(1).map(|at| names.bindings[at as usize]) else { break Some(Handle::ROOT) };
        match binding {
            Binding::Bound(handle) => break Some(handle),
            Binding::Invalid => break None,
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
        parent = parent.zip(place).and_then(|(parent, place)| containers.get_or_make(parent, place, decl.kind));
        names.bindings[index as usize - 1] = parent.map_or(Binding::Invalid, Binding::Bound);
        if let Some(handle) = parent {
            names.set_index(handle, index);
        }
    }
    parent
}

//! Applying sealed changes: names are resolved, operations go to their containers, the graph grows.

use super::Doc;
use crate::clock::Hlc;
use crate::crdt::{Containers, Context, Effect, Handle, Place};
use crate::graph::{Dot, Graph, LoggedChange, Logs, Past};
use crate::id::OpId;
use crate::op::{ContainerDecl, ElementRef, Key, LogNames, ROOT};
use crate::ordered::OrdMap;

/// What a log means by a container that it has mentioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    /// No operation has used it yet.
    Unbound,
    Bound(Handle),
    /// It cannot exist, or lies in one of a newer version: what operations on it come to.
    Refused(Effect),
}

/// Operations that had no effect: the first of every run.
#[derive(Debug, Default)]
pub(super) struct Ineffective {
    /// Invalid where they stand.
    pub(super) invalid: Vec<OpId>,
    /// Of a newer version.
    pub(super) unknown: Vec<OpId>,
}

/// What a log has mentioned, and what that means here.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) log: LogNames,
    bindings: Vec<Binding>,
    /// The way back: which index means a container.
    indices: OrdMap<Handle, u32>,
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
        self.indices.get(&handle).copied()
    }

    pub(super) fn declare(&mut self, decl: ContainerDecl, handle: Handle) -> u32 {
        self.bindings.resize(self.log.containers.len(), Binding::Unbound);
        self.bindings.push(Binding::Bound(handle));
        let index = self.log.declare(decl);
        self.indices.insert(handle, index);
        index
    }

    pub(super) fn reset(&mut self, mark: crate::op::NamesMark) {
        self.log.reset(mark);
        self.bindings.truncate(self.log.containers.len());
        self.indices.retain(|_, index| *index as usize <= self.log.containers.len());
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
    pub(super) fn apply_change(&mut self, change: &LoggedChange) -> Ineffective {
        let parents = change.parents();
        let (past, lamport) = (self.graph.past(&parents), self.graph.lamport_after(&parents));
        let ops = change.header.ops;
        let bytes = self.logs.change(change.first.log, change.index);
        let ineffective = match change.header.body(bytes) {
            Ok(body) => {
                let body = body.into_owned();
                self.apply_body(change.first, ops, change.header.hlc, lamport, &past, &body)
            }
            Err(_) => {
                self.names_of(change.first.log).opaque = true;
                Ineffective { invalid: vec![self.op_id(change.first)], ..Ineffective::default() }
            }
        };
        self.graph.push(change.first, ops as u32, &change.deps);
        ineffective
    }

    pub(super) fn apply_body(
        &mut self,
        first: Dot,
        ops: u64,
        hlc: Hlc,
        lamport: u64,
        past: &Past,
        body: &[u8],
    ) -> Ineffective {
        let names = self.names_of(first.log);
        let runs = if names.opaque { None } else { names.log.read(ops, body).ok() };
        let Some(runs) = runs else {
            names.opaque = true;
            return Ineffective { invalid: vec![self.op_id(first)], ..Ineffective::default() };
        };
        let names = &mut self.names[first.log as usize];
        names.bindings.resize(names.log.containers.len(), Binding::Unbound);
        let (mut done, mut ineffective) = (0, Ineffective::default());
        for placed in runs {
            let (dot, count) = (first.plus(done), placed.run.ops());
            let names = &mut self.names[first.log as usize];
            let context = Context { dot, hlc, lamport: lamport + u64::from(done), past, logs: &self.logs };
            let handle = bind(names, &mut self.containers, &context, placed.container);
            let element = |element| resolve_element(&names.log, &self.logs, first.log, element);
            let effect = match handle {
                Ok(handle) => self.containers.apply(&context, handle, placed.run, element),
                Err(refused) => refused,
            };
            match effect {
                Effect::Applied => {}
                Effect::Invalid => ineffective.invalid.push(self.op_id(dot)),
                Effect::Unknown => ineffective.unknown.push(self.op_id(dot)),
            }
            done += count;
        }
        ineffective
    }

    pub(super) fn op_id(&self, dot: Dot) -> OpId {
        OpId { replica: self.logs.replica(dot.log), seq: u64::from(dot.seq) }
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

    /// Makes the state anew from the logs and the pending operations. Handles stay, and nobody is told.
    pub(super) fn rebuild(&mut self) {
        let changes = self.changes_in_order();
        let own = self.logs.find(self.me).map(|log| (log, self.names_of(log).clone()));
        let events = self.containers.pause_listening();
        self.containers.clear();
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

    fn changes_in_order(&self) -> Vec<LoggedChange> {
        let mut replays: Vec<_> = (0..self.logs.len() as u32).map(|log| self.logs.replay(log)).collect();
        let mut changes = Vec::new();
        for (log, count) in &self.order {
            changes.extend(replays[*log as usize].by_ref().take(*count as usize).flatten().map(|(change, _)| change));
        }
        changes
    }
}

/// What the log means by a container, settled when the first operation uses it. The way up to the root is walked, not
/// recursed: a hostile log may declare a chain of any length.
fn bind(names: &mut Names, containers: &mut Containers, context: &Context<'_>, index: u32) -> Result<Handle, Effect> {
    let mut unbound = Vec::new();
    let mut at = index;
    let mut parent = loop {
        let Some(binding) = at.checked_sub(1).map(|at| names.bindings[at as usize]) else { break Ok(Handle::ROOT) };
        match binding {
            Binding::Bound(handle) => break Ok(handle),
            Binding::Refused(effect) => break Err(effect),
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
            _ if !containers.kind(parent).is_known() => Err(Effect::Unknown),
            Some(place) => containers.get_or_make(parent, place, decl.kind).ok_or(Effect::Invalid),
            None => Err(Effect::Invalid),
        });
        names.bindings[index as usize - 1] = parent.map_or_else(Binding::Refused, Binding::Bound);
        names.indices.extend(parent.ok().map(|handle| (handle, index)));
    }
    parent
}

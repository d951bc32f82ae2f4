//! Changes read out of their sealed bytes, and what each operation has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use selvedge::op::{Batch, ContainerDecl, ElementRef, Expand, Key, LogHead, LogNames, OpRun};
use selvedge::{ContainerKind, OpId, ReplicaId, Value};

/// What an operation has seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Before its change.
    before: Rc<BTreeSet<OpId>>,
    author: ReplicaId,
    /// The operations of its own change that stand before it.
    within: (u64, u64),
}

impl Seen {
    pub(super) fn contains(&self, id: OpId) -> bool {
        let (from, to) = self.within;
        self.before.contains(&id) || (id.replica == self.author && (from..to).contains(&id.seq))
    }

    /// The same for the operation `by` places later in the change.
    pub(super) fn later(&self, by: u64) -> Self {
        Self { within: (self.within.0, self.within.1 + by), ..self.clone() }
    }
}

/// A place inside a container.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Name(String),
    Element(OpId),
}

/// The first mention of a container in a log.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    pub(super) parent: u32,
    pub(super) place: Place,
    pub(super) kind: ContainerKind,
}

/// A run of operations, owned, with elements named by their ids.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    TextInsert { pos: usize, text: Vec<char> },
    Delete { pos: usize, len: usize, backward: bool },
    ListInsert { pos: usize, values: Vec<Value> },
    ListMove { pos: usize, element: OpId },
    ListSet { element: OpId, value: Value },
    MapSet { key: String, value: Value },
    MapDelete { key: String },
    RegisterSet { value: Value },
    RegisterClear,
    CounterAdd { by: i64 },
    CounterReset,
    SetAdd { value: Value },
    SetRemove { value: Value },
    TreeCreate { parent: Option<OpId>, pos: usize },
    TreeMove { node: OpId, parent: Option<OpId>, pos: usize },
    TreeDelete { node: OpId },
    CounterTransfer { to: ReplicaId, amount: u64 },
    Unknown,
    Mark { start: usize, end: usize, expand: Expand, key: String, value: Option<Value> },
}

/// A run where it stands.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) first: OpId,
    /// Index of the container in the author's log.
    pub(super) container: u32,
    pub(super) deed: Deed,
    pub(super) seen: Seen,
    pub(super) hlc: u64,
    /// Length of the longest chain of operations that leads here.
    pub(super) depth: u64,
}

/// A change with everything known about it.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) first: OpId,
    /// All containers that its log had mentioned by its end.
    pub(super) declared: Rc<Vec<Declared>>,
    /// `None`: the body, or an earlier one of the log, cannot be read.
    pub(super) runs: Option<Vec<Run>>,
}

struct Raw {
    first: u64,
    ops: u64,
    hlc: u64,
    deps: Vec<(ReplicaId, u64)>,
    declared: Rc<Vec<Declared>>,
    runs: Option<Vec<(u32, Deed, u64)>>,
}

/// The operations known at the end of a change, itself included, and the depth of its last operation.
type Known = (Rc<BTreeSet<OpId>>, u64);

/// All logs, read.
pub(super) struct History {
    logs: BTreeMap<ReplicaId, Vec<Raw>>,
}

impl History {
    pub(super) fn read(batch: &Batch) -> Result<Self, String> {
        let mut logs = BTreeMap::new();
        for segment in &batch.segments {
            if segment.first_seq != 0 || logs.contains_key(&segment.replica) {
                return Err(format!("the log of {} is not whole", segment.replica));
            }
            let (mut head, mut names, mut opaque) = (LogHead::default(), LogNames::default(), false);
            let mut changes = Vec::new();
            for bytes in segment.changes() {
                let bytes = bytes.map_err(|error| error.to_string())?;
                let header = head.read(bytes).map_err(|error| error.to_string())?;
                let runs = Some(header.body(bytes)).filter(|_| !opaque).and_then(|body| {
                    let runs = names.read(header.ops, body).ok()?;
                    let runs: Vec<_> = runs.iter().map(|run| (run.container, run.run.clone())).collect();
                    Some(runs.into_iter().map(|(at, run)| own(at, run, &names, segment.replica)).collect::<Vec<_>>())
                });
                opaque |= runs.is_none();
                let declared = names.containers.iter().map(|decl| declare(decl, &names, segment.replica));
                changes.push(Raw {
                    first: header.first_seq,
                    ops: header.ops,
                    hlc: header.hlc.to_bits(),
                    deps: header.deps.iter().map(|dep| (dep.replica, dep.end)).collect(),
                    declared: Rc::new(declared.collect()),
                    runs,
                });
            }
            logs.insert(segment.replica, changes);
        }
        Ok(Self { logs })
    }

    /// Every change after those that it depends on, with pasts and depths found by following dependencies.
    pub(super) fn in_causal_order(self) -> Result<Vec<Change>, String> {
        let mut waiting: Vec<(ReplicaId, Raw)> = Vec::new();
        for (replica, changes) in self.logs {
            waiting.extend(changes.into_iter().map(|change| (replica, change)));
        }
        // The end of every change that is done.
        let mut done: BTreeMap<(ReplicaId, u64), Known> = BTreeMap::new();
        let mut ordered = Vec::new();
        while !waiting.is_empty() {
            let parents = |replica: &ReplicaId, raw: &Raw| {
                let own = (raw.first > 0).then_some((*replica, raw.first));
                own.into_iter().chain(raw.deps.iter().copied()).collect::<Vec<_>>()
            };
            let ready = waiting
                .iter()
                .position(|(replica, raw)| parents(replica, raw).iter().all(|parent| done.contains_key(parent)));
            let Some(ready) = ready else { return Err("a dependency is missing".to_owned()) };
            let (replica, raw) = waiting.remove(ready);
            let (mut before, mut depth) = (BTreeSet::new(), 0);
            for parent in parents(&replica, &raw) {
                let (known, last) = &done[&parent];
                before.extend(known.iter().copied());
                depth = depth.max(last + 1);
            }
            let mut after = before.clone();
            after.extend((raw.first..raw.first + raw.ops).map(|seq| OpId { replica, seq }));
            done.insert((replica, raw.first + raw.ops), (Rc::new(after), depth + raw.ops - 1));
            ordered.push(place(replica, raw, &Rc::new(before), depth));
        }
        Ok(ordered)
    }
}

fn place(replica: ReplicaId, raw: Raw, before: &Rc<BTreeSet<OpId>>, depth: u64) -> Change {
    let mut offset = 0;
    let runs = raw.runs.map(|runs| {
        let runs = runs.into_iter().map(|(container, deed, ops)| {
            let seen = Seen { before: before.clone(), author: replica, within: (raw.first, raw.first + offset) };
            let first = OpId { replica, seq: raw.first + offset };
            let run = Run { first, container, deed, seen, hlc: raw.hlc, depth: depth + offset };
            offset += ops;
            run
        });
        runs.collect()
    });
    Change { first: OpId { replica, seq: raw.first }, declared: raw.declared, runs }
}

fn element(element: ElementRef, names: &LogNames, author: ReplicaId) -> OpId {
    let replica = match element.name {
        0 => author,
        name => names.replicas[name as usize - 1],
    };
    OpId { replica, seq: u64::from(element.seq) }
}

fn declare(decl: &ContainerDecl, names: &LogNames, author: ReplicaId) -> Declared {
    let place = match &decl.key {
        Key::Name(name) => Place::Name(name.clone()),
        Key::Element(at) => Place::Element(element(*at, names, author)),
    };
    Declared { parent: decl.parent, place, kind: decl.kind }
}

/// A run with what it borrowed, and its number of operations.
fn own(container: u32, run: OpRun<'_>, names: &LogNames, author: ReplicaId) -> (u32, Deed, u64) {
    let ops = u64::from(run.ops());
    let id = |at| element(at, names, author);
    let deed = match run {
        OpRun::TextInsert { pos, text, .. } => Deed::TextInsert { pos: pos as usize, text: text.chars().collect() },
        OpRun::Delete { pos, len, backward } => Deed::Delete { pos: pos as usize, len: len as usize, backward },
        OpRun::ListInsert { pos, values } => Deed::ListInsert { pos: pos as usize, values },
        OpRun::ListMove { pos, element: at } => Deed::ListMove { pos: pos as usize, element: id(at) },
        OpRun::ListSet { element: at, value } => Deed::ListSet { element: id(at), value },
        OpRun::MapSet { key, value } => Deed::MapSet { key: key.to_owned(), value },
        OpRun::MapDelete { key } => Deed::MapDelete { key: key.to_owned() },
        OpRun::RegisterSet { value } => Deed::RegisterSet { value },
        OpRun::RegisterClear => Deed::RegisterClear,
        OpRun::CounterAdd { by } => Deed::CounterAdd { by },
        OpRun::CounterReset => Deed::CounterReset,
        OpRun::SetAdd { value } => Deed::SetAdd { value },
        OpRun::SetRemove { value } => Deed::SetRemove { value },
        OpRun::TreeCreate { parent, pos } => Deed::TreeCreate { parent: parent.map(id), pos: pos as usize },
        OpRun::TreeMove { node, parent, pos } => {
            Deed::TreeMove { node: id(node), parent: parent.map(id), pos: pos as usize }
        }
        OpRun::TreeDelete { node } => Deed::TreeDelete { node: id(node) },
        OpRun::CounterTransfer { to, amount } => Deed::CounterTransfer { to, amount },
        OpRun::Unknown { .. } => Deed::Unknown,
        OpRun::Mark(mark) => Deed::Mark {
            start: mark.start as usize,
            end: mark.end as usize,
            expand: mark.expand,
            key: mark.key.to_owned(),
            value: mark.value,
        },
    };
    (container, deed, ops)
}

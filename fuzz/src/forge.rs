//! Forged histories: logs that no document of ours would write. Any causal shape, positions past the end, elements and
//! containers that are not there, operations on the wrong kind, bodies that are garbage; but whole, with digests that
//! are right, so that every copy takes them in and must agree on what they mean. Bug classes A and C.

use quickcheck::{Arbitrary, Gen};
use selvedge::clock::Hlc;
use selvedge::op::{
    Batch, BodyWriter, Change, ContainerDecl, Dep, Digest, ElementRef, Expand, Key, LogHead, LogNames, MarkRun, OpRun,
    Segment, chain, chain_start, put_frame,
};
use selvedge::{ContainerKind, Doc, ReplicaId, Value, VersionVector};
use serde::{Deserialize, Serialize};

use crate::arbitrary::{below, kind, one_in, snippet};
use crate::bytes::exercise;
use crate::rich;
use crate::script::split;
use crate::spec::Spec;
use crate::view::View;

const AUTHORS: u8 = 4;

/// A recipe for a history. Numbers are taken modulo what is there only where anything else could not be written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recipe {
    /// The changes, each after those that it may depend on.
    pub changes: Vec<ForgedChange>,
}

/// One change.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForgedChange {
    /// Who.
    pub author: u8,
    /// Dependencies: an author and one of its changes.
    pub deps: Vec<(u8, u16)>,
    /// How much later than the author's previous change it is, in steps of the clock.
    pub later: u64,
    /// What it does.
    pub ops: Vec<ForgedOp>,
    /// Bytes to put in place of the body.
    pub garbage: Option<Vec<u8>>,
}

/// A run of operations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForgedOp {
    /// Which of the containers that the log has mentioned.
    pub container: u16,
    /// A container to mention first, and to act on: parent, key (of a map, or an element), kind.
    pub declare: Option<(u16, ForgedKey, ContainerKind)>,
    /// The kind of operation.
    pub what: u8,
    /// Position.
    pub pos: u8,
    /// Count.
    pub len: u8,
    /// An element.
    pub element: (u8, u8),
    /// A text.
    pub text: String,
    /// Whether the container that is mentioned is of a kind that only a newer version knows.
    #[serde(default)]
    pub newer: bool,
}

/// Where in its parent a container is said to be.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum ForgedKey {
    /// Under a name.
    Name(u8),
    /// In an element: author and seq.
    Element(u8, u8),
}

#[derive(Default)]
struct Log {
    head: LogHead,
    names: LogNames,
    /// End and digest of every change.
    ends: Vec<(u64, Digest)>,
    frames: Vec<u8>,
}

fn author(number: u8) -> ReplicaId {
    // The order of the ids is not the order of the numbers.
    ReplicaId::from(u128::from(number % AUTHORS * 7 % 5) + 1)
}

impl Recipe {
    /// Writes the history: whole logs.
    pub fn forge(&self) -> Batch {
        let mut logs: Vec<Log> = (0..AUTHORS).map(|_| Log::default()).collect();
        for change in &self.changes {
            let deps = dependencies(change, &logs);
            let own = usize::from(change.author % AUTHORS);
            let log = &mut logs[own];
            let mut writer = BodyWriter::new(&log.names);
            change.ops.iter().for_each(|op| op.write(own as u8, &mut writer, &mut log.names));
            let ops = u64::from(writer.ops());
            if ops == 0 {
                continue;
            }
            let written = writer.finish(&mut log.names);
            let body = change.garbage.as_deref().unwrap_or(written);
            let hlc = Hlc::from_bits(log.head.hlc.to_bits() + change.later + u64::from(log.head.end > 0));
            let mut bytes = Vec::new();
            log.head.write(&Change { hlc, deps: &deps, message: None, ops, body }, &mut bytes);
            let before = log.ends.last().map_or_else(|| chain_start(author(own as u8)), |(_, digest)| *digest);
            log.ends.push((log.head.end, chain(&before, &bytes)));
            put_frame(&mut log.frames, &bytes);
        }
        let written = logs.into_iter().enumerate().filter(|(_, log)| !log.frames.is_empty());
        let segment = |(number, log): (usize, Log)| Segment {
            replica: author(number as u8),
            first_seq: 0,
            frames: log.frames.into(),
        };
        written.map(segment).collect()
    }
}

fn dependencies(change: &ForgedChange, logs: &[Log]) -> Vec<Dep> {
    let mut deps: Vec<Dep> = Vec::new();
    for (number, pick) in &change.deps {
        let (replica, log) = (author(*number), &logs[usize::from(*number % AUTHORS)]);
        let known = deps.iter().any(|dep| dep.replica == replica) || *number % AUTHORS == change.author % AUTHORS;
        if known || log.ends.is_empty() {
            continue;
        }
        let (end, digest) = log.ends[usize::from(*pick) % log.ends.len()];
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        deps.push(Dep { replica, end, digest: half });
    }
    deps.sort_unstable_by_key(|dep| dep.replica);
    deps
}

impl ForgedOp {
    fn write(&self, own: u8, writer: &mut BodyWriter, names: &mut LogNames) {
        let known = names.containers.len() as u32 + 1;
        let container = match &self.declare {
            Some((parent, key, kind)) => {
                let key = match key {
                    ForgedKey::Name(key) => Key::Name(["a", "b", ""][usize::from(*key) % 3].to_owned()),
                    ForgedKey::Element(author, seq) => Key::Element(named(own, *author, *seq, names)),
                };
                let kind = if self.newer { newer_kind() } else { *kind };
                names.declare(ContainerDecl { parent: u32::from(*parent) % known, key, kind })
            }
            None => u32::from(self.container) % known,
        };
        let (pos, len) = (u32::from(self.pos), u32::from(self.len).max(1));
        let value = match self.len % 4 {
            0 if self.newer => Value::Container(newer_kind()),
            0 => Value::Container(ContainerKind::ALL[usize::from(self.pos) % ContainerKind::ALL.len()]),
            _ => Value::Int(i64::from(self.len)),
        };
        let text = if self.text.is_empty() { "-" } else { &self.text };
        let key = ["a", "b", ""][usize::from(self.pos) % 3];
        let mut node = |number: u8| named(own, number, self.element.1, names);
        let run = match self.what % 24 {
            15 | 16 => OpRun::TreeCreate { parent: (len > 1).then(|| node(self.element.0)), pos },
            17 | 18 => {
                let (node, parent) = (node(self.element.0), (len > 1).then(|| node(self.element.0 / AUTHORS)));
                OpRun::TreeMove { node, parent: parent.map(|parent| ElementRef { seq: len, ..parent }), pos }
            }
            19 => OpRun::TreeDelete { node: node(self.element.0) },
            20 => OpRun::CounterTransfer { to: author(self.element.0), amount: u64::from(len) - 1 },
            21 => OpRun::Unknown { code: 1_000 + u64::from(pos), ops: len, fields: text.as_bytes() },

            0 | 1 => OpRun::TextInsert { pos, chars: text.chars().count() as u32, text },
            2 => OpRun::Delete { pos, len, backward: false },
            3 if len > 1 => OpRun::Delete { pos, len: len.min(pos + 1), backward: len.min(pos + 1) > 1 },
            3 => OpRun::Delete { pos, len: 1, backward: false },
            4 | 5 => OpRun::ListInsert { pos, values: vec![value; len as usize] },
            6 => OpRun::ListMove { pos, element: named(own, self.element.0, self.element.1, names) },
            7 => OpRun::ListSet { element: named(own, self.element.0, self.element.1, names), value },
            8 => OpRun::MapSet { key, value },
            9 => OpRun::MapDelete { key },
            10 => OpRun::RegisterSet { value },
            11 => OpRun::RegisterClear,
            12 if len % 2 == 0 => OpRun::CounterReset,
            12 => OpRun::CounterAdd { by: i64::from(pos) - 4 },
            13 => OpRun::SetAdd { value },
            14 => OpRun::SetRemove { value },
            code => OpRun::Mark(Box::new(MarkRun {
                start: pos,
                end: pos + len,
                expand: Expand::ALL[usize::from(self.element.1) % 4],
                key,
                value: (code == 15).then_some(value),
            })),
        };
        writer.push(names, container, &run);
    }
}

/// A kind that this version does not know, which cannot be had but by reading.
fn newer_kind() -> ContainerKind {
    // Mentions container 1, in the root under "", of kind 100, and clears a register in it.
    let mut names = LogNames::default();
    let read = names.read(1, &[0, 1, 0, 100 << 1, 0, 10]).map(|runs| runs.len());
    assert_eq!(read, Ok(1), "a container of a newer version can be mentioned");
    names.containers[0].kind
}

fn named(own: u8, number: u8, seq: u8, names: &mut LogNames) -> ElementRef {
    ElementRef { name: names.name(author(own), author(number)), seq: u32::from(seq) }
}

/// Checks that every copy takes the history to mean the same, which is what the specification says, and that the copies
/// can be used afterwards.
///
/// # Errors
/// What does not hold, in words.
pub fn check(recipe: &Recipe) -> Result<(), String> {
    let batch = recipe.forge();
    let spec = Spec::read(&batch)?;
    let singles = split(&batch);
    let orders: [Vec<&Batch>; 3] = [vec![&batch], singles.iter().rev().collect(), singles.iter().collect()];
    for (number, order) in orders.into_iter().enumerate() {
        // The last copy is one of the authors, come back with nothing.
        let mut doc = Doc::new(if number == 2 { author(0) } else { ReplicaId::from(99) });
        doc.record_patches(true);
        let (mut invalid, mut unknown, mut view) = (Vec::new(), Vec::new(), View::of(&doc));
        for batch in order {
            let imported = doc.import_batch(batch).map_err(|error| format!("a whole history is refused: {error}"))?;
            invalid.extend(imported.invalid);
            unknown.extend(imported.unknown);
            doc.take_patches().iter().try_for_each(|patch| view.apply(patch))?;
        }
        invalid.sort_unstable();
        unknown.sort_unstable();
        view.compare(&doc)?;
        if rich::to_json(&doc) != spec.to_rich_json() {
            let (found, wanted) = (rich::to_json(&doc), spec.to_rich_json());
            return Err(format!("order {number} gives {found}, the specification {wanted}"));
        }
        if invalid != spec.invalid() {
            return Err(format!(
                "order {number}: invalid are {invalid:?}, says the specification {:?}",
                spec.invalid()
            ));
        }
        if unknown != spec.unknown() {
            return Err(format!("order {number}: unknown are {unknown:?}, not {:?}", spec.unknown()));
        }
        exercise(&mut doc)?;
        let spec = Spec::read(&doc.batch_since(&VersionVector::new()))?;
        if doc.to_json() != spec.to_json() {
            return Err(format!("edited, it is {}, the specification says {}", doc.to_json(), spec.to_json()));
        }
    }
    Ok(())
}

impl Arbitrary for ForgedOp {
    fn arbitrary(g: &mut Gen) -> Self {
        let key = |g: &mut Gen| {
            if bool::arbitrary(g) {
                ForgedKey::Name(u8::arbitrary(g))
            } else {
                ForgedKey::Element(u8::arbitrary(g), below(g, 12) as u8)
            }
        };
        let reach = if one_in(g, 4) { 20 } else { 5 };
        Self {
            container: u16::arbitrary(g),
            declare: one_in(g, 3).then(|| (u16::arbitrary(g), key(g), kind(g))),
            what: u8::arbitrary(g),
            pos: below(g, reach) as u8,
            len: below(g, 5) as u8,
            element: (u8::arbitrary(g), below(g, 12) as u8),
            text: snippet(g),
            newer: one_in(g, 12),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let this = self.clone();
        let plain = (self.text != "a").then(|| Self { text: "a".to_owned(), ..this.clone() });
        let near = (self.pos > 0).then(|| Self { pos: self.pos - 1, ..this.clone() });
        let short = (self.len > 1).then(|| Self { len: self.len - 1, ..this.clone() });
        Box::new(plain.into_iter().chain(near).chain(short))
    }
}

impl Arbitrary for ForgedChange {
    fn arbitrary(g: &mut Gen) -> Self {
        let count = below(g, 4);
        Self {
            author: below(g, usize::from(AUTHORS)) as u8,
            deps: (0..count).map(|_| (u8::arbitrary(g), if one_in(g, 3) { u16::arbitrary(g) } else { 0 })).collect(),
            later: if one_in(g, 3) { below(g, 200_000) as u64 } else { 0 },
            ops: (0..1 + below(g, 5)).map(|_| ForgedOp::arbitrary(g)).collect(),
            garbage: one_in(g, 60).then(|| (0..below(g, 12)).map(|_| below(g, 24) as u8).collect()),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let this = self.clone();
        let fewer = self.ops.shrink().map({
            let this = this.clone();
            move |ops| Self { ops, ..this.clone() }
        });
        let free = (!self.deps.is_empty()).then(|| Self { deps: Vec::new(), ..this.clone() });
        let whole = self.garbage.is_some().then(|| Self { garbage: None, ..this.clone() });
        let early = (self.later > 0).then(|| Self { later: 0, ..this.clone() });
        Box::new(fewer.chain(free).chain(whole).chain(early))
    }
}

/// Makes all operations act on one container, so that much is concurrent at one place.
fn focus(g: &mut Gen, changes: &mut [ForgedChange]) {
    let (kind, codes): (_, &[u8]) = match below(g, 15) {
        0..3 => (ContainerKind::Text, &[0, 1, 1, 2, 3, 22, 22, 23]),
        3..6 => (ContainerKind::List, &[2, 3, 4, 4, 5, 6, 6, 7]),
        9..12 => (ContainerKind::Tree, &[15, 16, 17, 17, 18, 18, 19]),
        12..14 => (ContainerKind::BoundedCounter, &[12, 12, 20, 20]),
        14 => (ContainerKind::RemoveWinsSet, &[13, 13, 14, 14]),
        6 => (ContainerKind::Counter, &[12]),
        7 => (ContainerKind::Set, &[13, 13, 14]),
        _ => (ContainerKind::Register, &[10, 10, 11]),
    };
    let mut mentioned = [false; AUTHORS as usize];
    for change in changes {
        change.garbage = None;
        for op in &mut change.ops {
            let first = !std::mem::replace(&mut mentioned[usize::from(change.author % AUTHORS)], true);
            op.declare = first.then_some((0, ForgedKey::Name(0), kind));
            op.newer = false;
            (op.container, op.what) = (1, codes[below(g, codes.len())]);
            (op.pos, op.len) = (below(g, 6) as u8, 1 + below(g, 3) as u8);
            if kind == ContainerKind::List && !first && one_in(g, 5) {
                // A counter in an element that may be there, or not yet.
                let key = ForgedKey::Element(u8::arbitrary(g), below(g, 8) as u8);
                (op.declare, op.what) = (Some((1, key, ContainerKind::Counter)), 12);
            } else if kind == ContainerKind::Tree && !first && one_in(g, 5) {
                // The map of a node that may be there, or not yet; or what no node holds.
                let (key, inside) =
                    (ForgedKey::Element(u8::arbitrary(g), below(g, 8) as u8), ContainerKind::ALL[below(g, 2)]);
                (op.declare, op.what) = (Some((1, key, inside)), 8);
            } else if kind == ContainerKind::Tree {
                // Nodes at the top to begin with, and then moves of few nodes among each other.
                (op.pos, op.len) = (if first { 0 } else { below(g, 3) as u8 }, 1 + below(g, 4) as u8);
                (op.element.1, op.len) = (below(g, 3) as u8, if first { 1 } else { op.len });
                op.what = if first { codes[0] } else { op.what };
            } else if first && matches!(kind, ContainerKind::Text | ContainerKind::List) {
                // Something to begin with.
                (op.what, op.pos, op.len) = (codes[0] + if kind == ContainerKind::List { 2 } else { 0 }, 0, 3);
            }
        }
    }
}

impl Arbitrary for Recipe {
    fn arbitrary(g: &mut Gen) -> Self {
        let count = 1 + below(g, 24);
        let mut changes: Vec<ForgedChange> = (0..count).map(|_| ForgedChange::arbitrary(g)).collect();
        if !one_in(g, 3) {
            focus(g, &mut changes);
        }
        Self { changes }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        Box::new(self.changes.shrink().map(|changes| Self { changes }))
    }
}

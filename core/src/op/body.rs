//! The body of a change: runs of operations, written and read against the names that the author's log has mentioned.
//!
//! Layout: the heads of all runs (numbers, keys, values) until the header's operation count is reached, then the text
//! of all text insertions. Always holds: a body that fails to read leaves the log's names as they were; operations that
//! only a newer version knows are passed over by their length.
//! Not here: whether an operation is valid where it stands (`crdt`).

mod extension;
mod read;
mod write;

pub use write::{BodyMark, BodyWriter};

use smallvec::{SmallVec, smallvec};

use super::{ContainerKind, MarkRun, Value};
use crate::id::ReplicaId;

/// The index that every log gives to the root map.
pub const ROOT: u32 = 0;

/// An element of a list or a node of a tree: the operation that made it, its author named by index in `LogNames::replicas`
/// (0 is the log's own author).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementRef {
    /// Index of the author.
    pub name: u32,
    /// The author's sequence number.
    pub seq: u32,
}

/// Where in its parent a container lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// Under this key of a map.
    Name(String),
    /// In this element of a list, or in this node of a tree.
    Element(ElementRef),
}

/// The first mention of a container in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerDecl {
    /// Index of the parent among the log's containers.
    pub parent: u32,
    /// The place in the parent.
    pub key: Key,
    /// The kind.
    pub kind: ContainerKind,
}

/// What a log has mentioned so far: the context in which its next body is read or written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogNames {
    /// Containers; index i + 1 stands for `containers[i]`, index 0 for the root map.
    pub containers: Vec<ContainerDecl>,
    /// Authors of elements and nodes; index i + 1 stands for `replicas[i]`, index 0 for the log's own author.
    pub replicas: Vec<ReplicaId>,
    current: u32,
    cursor: u32,
}

impl LogNames {
    /// What a log had mentioned, and where it stood (`place`).
    pub(crate) fn resume(containers: Vec<ContainerDecl>, replicas: Vec<ReplicaId>, place: (u32, u32)) -> Self {
        Self { containers, replicas, current: place.0, cursor: place.1 }
    }

    /// The current container and the cursor.
    pub(crate) fn place(&self) -> (u32, u32) {
        (self.current, self.cursor)
    }

    /// The container of the last operation.
    pub fn current(&self) -> u32 {
        self.current
    }

    /// This point, to come back to.
    pub fn mark(&self) -> NamesMark {
        let (containers, replicas) = (self.containers.len() as u32, self.replicas.len() as u32);
        NamesMark { containers, replicas, current: self.current, cursor: self.cursor }
    }

    /// Forgets what was mentioned since `mark`.
    pub fn reset(&mut self, mark: NamesMark) {
        self.containers.truncate(mark.containers as usize);
        self.replicas.truncate(mark.replicas as usize);
        (self.current, self.cursor) = (mark.current, mark.cursor);
    }
}

/// A point to which the names can be taken back.
#[derive(Clone, Copy, Debug)]
pub struct NamesMark {
    containers: u32,
    replicas: u32,
    current: u32,
    cursor: u32,
}

/// A run of operations on one container, with text and strings borrowed from the body.
#[derive(Clone, Debug, PartialEq)]
pub enum OpRun<'a> {
    /// Inserts `chars` characters before position `pos`: one operation each.
    TextInsert {
        /// Position in Unicode scalar values.
        pos: u32,
        /// Number of Unicode scalar values in `text`.
        chars: u32,
        /// The characters.
        text: &'a str,
    },
    /// Deletes `len` characters or list slots, one operation each: all at `pos`, or backward from `pos` down.
    Delete {
        /// Position of the first one deleted.
        pos: u32,
        /// How many.
        len: u32,
        /// Whether operation i deletes position `pos - i` (a held backspace key) instead of `pos`.
        backward: bool,
    },
    /// Inserts list elements before slot position `pos`: one operation each.
    ListInsert {
        /// Slot position.
        pos: u32,
        /// The elements.
        values: Vec<Value>,
    },
    /// Opens a slot before slot position `pos` for an element that is there already.
    ListMove {
        /// Slot position.
        pos: u32,
        /// The element that moves.
        element: ElementRef,
    },
    /// Replaces the value of a list element.
    ListSet {
        /// The element.
        element: ElementRef,
        /// Its new value.
        value: Value,
    },
    /// Sets a map key.
    MapSet {
        /// The key.
        key: &'a str,
        /// Its new value.
        value: Value,
    },
    /// Removes the values of a map key that were seen.
    MapDelete {
        /// The key.
        key: &'a str,
    },
    /// Sets a register.
    RegisterSet {
        /// Its new value.
        value: Value,
    },
    /// Removes the values of a register that were seen.
    RegisterClear,
    /// Adds to a counter.
    CounterAdd {
        /// How much; negative to decrement.
        by: i64,
    },
    /// Takes back the increments that were seen.
    CounterReset,
    /// Adds a value to a set.
    SetAdd {
        /// The value.
        value: Value,
    },
    /// Removes the additions of a value that were seen.
    SetRemove {
        /// The value.
        value: Value,
    },
    /// Marks characters of a text, or takes a mark away from them.
    Mark(Box<MarkRun<'a>>),
    /// Makes a node of a tree, named by the operation.
    TreeCreate {
        /// The parent, `None` at the top.
        parent: Option<ElementRef>,
        /// Slot position among the parent's children.
        pos: u32,
    },
    /// Opens a slot under a parent for a node that is there already.
    TreeMove {
        /// The node that moves.
        node: ElementRef,
        /// The parent, `None` at the top.
        parent: Option<ElementRef>,
        /// Slot position among the parent's children.
        pos: u32,
    },
    /// Takes a node out of a tree, with everything below it.
    TreeDelete {
        /// The node.
        node: ElementRef,
    },
    /// Gives rights of a bounded counter away.
    CounterTransfer {
        /// Who gets them.
        to: ReplicaId,
        /// How many.
        amount: u64,
    },
    /// Operations of a newer version.
    Unknown {
        /// What they are called there.
        code: u64,
        /// How many.
        ops: u32,
        /// What they say.
        fields: &'a [u8],
    },
}

impl OpRun<'_> {
    /// How many operations the run holds.
    pub fn ops(&self) -> u32 {
        match self {
            Self::TextInsert { chars, .. } => *chars,
            Self::Delete { len, .. } => *len,
            Self::ListInsert { values, .. } => values.len() as u32,
            Self::Unknown { ops, .. } => *ops,
            _ => 1,
        }
    }

    /// Whether it sets a value of which there may be concurrent ones: the change's time decides which is read first.
    pub fn sets_value(&self) -> bool {
        matches!(self, Self::ListInsert { .. } | Self::ListSet { .. } | Self::MapSet { .. } | Self::RegisterSet { .. })
    }

    /// The elements and nodes that the run names, in the order in which it names them.
    pub fn elements_mut(&mut self) -> SmallVec<[&mut ElementRef; 2]> {
        match self {
            Self::ListMove { element, .. } | Self::ListSet { element, .. } => smallvec![element],
            Self::TreeCreate { parent, .. } => parent.iter_mut().collect(),
            Self::TreeMove { node, parent, .. } => std::iter::once(node).chain(parent).collect(),
            Self::TreeDelete { node } => smallvec![node],
            _ => SmallVec::new(),
        }
    }
}

/// A run on a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextRun<'a> {
    /// Inserts characters, as `OpRun::TextInsert` does.
    Insert {
        /// Position in Unicode scalar values.
        pos: u32,
        /// The characters.
        text: &'a str,
    },
    /// Deletes characters, as `OpRun::Delete` does.
    Delete {
        /// Position of the first one deleted.
        pos: u32,
        /// How many.
        len: u32,
        /// Whether operation i deletes position `pos - i` instead of `pos`.
        backward: bool,
    },
}

/// A run with the container it acts on, by its index in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedOp<'a> {
    /// Index in `LogNames::containers`, plus one; 0 is the root map.
    pub container: u32,
    /// The operations.
    pub run: OpRun<'a>,
}

pub(super) mod opcode {
    pub(in crate::op) const CONTAINER: u8 = 0;
    pub(in crate::op) const TEXT_INSERT: u8 = 1;
    pub(in crate::op) const DELETE: u8 = 2;
    pub(in crate::op) const DELETE_BACKWARD: u8 = 3;
    pub(in crate::op) const LIST_INSERT: u8 = 4;
    pub(in crate::op) const LIST_MOVE: u8 = 5;
    pub(in crate::op) const LIST_SET: u8 = 6;
    pub(in crate::op) const MAP_SET: u8 = 7;
    pub(in crate::op) const MAP_DELETE: u8 = 8;
    pub(in crate::op) const REGISTER_SET: u8 = 9;
    pub(in crate::op) const REGISTER_CLEAR: u8 = 10;
    pub(in crate::op) const COUNTER_ADD: u8 = 11;
    pub(in crate::op) const COUNTER_RESET: u8 = 12;
    pub(in crate::op) const SET_ADD: u8 = 13;
    pub(in crate::op) const SET_REMOVE: u8 = 14;
    /// An operation with a number and a length, so that whoever does not know it can pass over it.
    pub(in crate::op) const EXTENSION: u8 = 15;
    /// The first mention of a replica.
    pub(in crate::op) const REPLICA: u8 = 0x10;

    /// The low bits of a head are the opcode.
    pub(in crate::op) const MASK: u8 = 0x0f;
    /// The run holds one operation.
    pub(in crate::op) const ONE: u8 = 0x10;
    /// The run starts at the cursor (one before it, for a backward deletion).
    pub(in crate::op) const AT_CURSOR: u8 = 0x20;
}

/// Where the cursor stands after a run: where the next run of the same kind most likely starts.
fn cursor_after(run: &OpRun<'_>) -> Option<u32> {
    match run {
        OpRun::TextInsert { pos, chars, .. } => Some(pos.saturating_add(*chars)),
        OpRun::ListInsert { pos, values } => Some(pos.saturating_add(values.len() as u32)),
        OpRun::ListMove { pos, .. } => Some(pos.saturating_add(1)),
        OpRun::Delete { pos, backward: false, .. } => Some(*pos),
        OpRun::Delete { pos, len, backward: true } => Some(pos.saturating_sub(len - 1)),
        _ => None,
    }
}

/// The position that a run's head takes for granted.
fn expected_pos(cursor: u32, backward: bool) -> u32 {
    if backward { cursor.wrapping_sub(1) } else { cursor }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Expand;

    fn round_trip(write: impl Fn(&mut BodyWriter, &mut LogNames)) -> (Vec<u8>, usize) {
        let (mut names, mut writer) = (LogNames::default(), BodyWriter::default());
        write(&mut writer, &mut names);
        let ops = writer.ops();
        let body = writer.finish(&mut names).to_vec();
        let mut read = LogNames::default();
        let runs = read.read(u64::from(ops), &body).expect("reads what was written");
        assert_eq!(runs.iter().map(|placed| placed.run.ops()).sum::<u32>(), ops);
        let count = runs.len();
        drop(runs);
        assert_eq!(read, names);
        for cut in 0..body.len() {
            let mut read = LogNames::default();
            let failed = read.read(u64::from(ops), &body[..cut]).is_err();
            assert!(!failed || read == LogNames::default(), "a failure at {cut} changed the names");
            assert!(failed, "cut at {cut} of {}", body.len());
        }
        (body, count)
    }

    fn text(names: &mut LogNames) -> u32 {
        names.declare(ContainerDecl { parent: ROOT, key: Key::Name("text".into()), kind: ContainerKind::Text })
    }

    #[test]
    fn typing_and_backspacing_become_runs() {
        let (_, runs) = round_trip(|writer, names| {
            let text = text(names);
            for (pos, c) in "hello".chars().enumerate() {
                writer.push(
                    names,
                    text,
                    &OpRun::TextInsert { pos: pos as u32, chars: 1, text: c.encode_utf8(&mut [0; 4]) },
                );
            }
            for pos in (2..5).rev() {
                writer.push(names, text, &OpRun::Delete { pos, len: 1, backward: false });
            }
        });
        assert_eq!(runs, 2);
    }

    #[test]
    fn a_keystroke_in_a_known_text_takes_two_bytes() {
        let (mut names, mut writer) = (LogNames::default(), BodyWriter::default());
        let text = text(&mut names);
        writer.push(&mut names, text, &OpRun::TextInsert { pos: 0, chars: 1, text: "a" });
        writer.finish(&mut names);
        let mut writer = BodyWriter::new(&names);
        writer.push(&mut names, text, &OpRun::TextInsert { pos: 1, chars: 1, text: "b" });
        assert_eq!(writer.finish(&mut names).len(), 2);
    }

    #[test]
    fn every_kind_of_run_round_trips() {
        let (_, runs) = round_trip(|writer, names| {
            let list =
                names.declare(ContainerDecl { parent: ROOT, key: Key::Name("l".into()), kind: ContainerKind::List });
            let me = ElementRef { name: 0, seq: 0 };
            let other = ElementRef { name: names.name(ReplicaId::from(1), ReplicaId::from(2)), seq: 70_000 };
            writer.push(names, list, &OpRun::ListInsert { pos: 0, values: vec![1.into(), "two".into()] });
            writer.push(names, list, &OpRun::ListInsert { pos: 2, values: vec![Value::Null] });
            writer.push(names, list, &OpRun::ListMove { pos: 9, element: me });
            writer.push(names, list, &OpRun::ListSet { element: other, value: true.into() });
            writer.push(names, list, &OpRun::Delete { pos: 3, len: 4, backward: false });
            let child =
                names.declare(ContainerDecl { parent: list, key: Key::Element(other), kind: ContainerKind::Map });
            writer.push(names, child, &OpRun::MapSet { key: "k", value: Value::Float(0.5) });
            writer.push(names, child, &OpRun::MapDelete { key: "k" });
            writer.push(names, ROOT, &OpRun::RegisterSet { value: Value::Null });
            writer.push(names, ROOT, &OpRun::RegisterClear);
            writer.push(names, ROOT, &OpRun::CounterAdd { by: -3 });
            writer.push(names, ROOT, &OpRun::CounterReset);
            writer.push(names, ROOT, &OpRun::SetAdd { value: 1.into() });
            writer.push(names, ROOT, &OpRun::SetRemove { value: 1.into() });
            let mark = MarkRun { start: 3, end: 300, expand: Expand::Both, key: "bold", value: Some(true.into()) };
            writer.push(names, ROOT, &OpRun::Mark(Box::new(mark.clone())));
            writer.push(names, ROOT, &OpRun::Mark(Box::new(MarkRun { value: None, expand: Expand::None, ..mark })));
        });
        assert_eq!(runs, 14);
    }

    #[test]
    fn a_mark_has_one_encoding() {
        let (body, _) = round_trip(|writer, names| {
            let mark = MarkRun { start: 2, end: 5, expand: Expand::After, key: "b", value: Some(Value::Null) };
            writer.push(names, ROOT, &OpRun::Mark(Box::new(mark)));
        });
        assert_eq!(body, [opcode::EXTENSION | opcode::ONE, 4, 6, 2, 3, 2, 1, b'b', 0]);
        for wrong in
            [&[2, 0, 2, 1, b'b', 0][..], &[2, 3, 4, 1, b'b', 0], &[2, 3, 2, 1, b'b'], &[2, 3, 2, 1, b'b', 0, 0]]
        {
            let body = [&[opcode::EXTENSION | opcode::ONE, 4, wrong.len() as u8], wrong].concat();
            assert!(LogNames::default().read(1, &body).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn every_extension_round_trips() {
        let (_, runs) = round_trip(|writer, names| {
            let me = ElementRef { name: 0, seq: 0 };
            let third = ReplicaId::from(3);
            let [other, last] = [2, 3].map(|n| names.name(ReplicaId::from(1), ReplicaId::from(n)));
            let [other, last] = [(other, 70_000), (last, 1)].map(|(name, seq)| ElementRef { name, seq });
            writer.push(names, ROOT, &OpRun::TreeCreate { parent: None, pos: 0 });
            writer.push(names, ROOT, &OpRun::TreeCreate { parent: Some(last), pos: 7 });
            writer.push(names, ROOT, &OpRun::TreeMove { node: me, parent: Some(other), pos: 300 });
            writer.push(names, ROOT, &OpRun::TreeMove { node: other, parent: None, pos: 0 });
            writer.push(names, ROOT, &OpRun::TreeDelete { node: last });
            writer.push(names, ROOT, &OpRun::CounterTransfer { to: third, amount: u64::MAX });
            writer.push(names, ROOT, &OpRun::Unknown { code: 4_000, ops: 5, fields: b"later" });
        });
        assert_eq!(runs, 7);
        let (body, _) =
            round_trip(|writer, names| writer.push(names, ROOT, &OpRun::TreeCreate { parent: None, pos: 5 }));
        assert_eq!(body, [opcode::EXTENSION | opcode::ONE, 0, 2, 0, 5]);
    }

    #[test]
    fn an_unknown_extension_is_passed_over() {
        let unknown = OpRun::Unknown { code: 100, ops: 3, fields: &[1, 2] };
        let body = [opcode::EXTENSION, 100, 3, 2, 1, 2, opcode::REGISTER_CLEAR];
        let runs = LogNames::default().read(4, &body).map(|runs| runs.into_iter().map(|placed| placed.run).collect());
        assert_eq!(runs, Ok(vec![unknown, OpRun::RegisterClear]));
        // A count of one has a shorter form, no count is larger than what is left, and the fields must be there.
        assert!(LogNames::default().read(4, &[opcode::EXTENSION, 100, 1, 0, opcode::REGISTER_CLEAR]).is_err());
        assert!(LogNames::default().read(2, &[opcode::EXTENSION, 100, 3, 0]).is_err());
        assert!(LogNames::default().read(3, &[opcode::EXTENSION, 100, 3, 2, 1]).is_err());
        // Known ones say all that they must and nothing else.
        assert!(LogNames::default().read(1, &[opcode::EXTENSION | opcode::ONE, 0, 3, 0, 0, 0]).is_err());
        assert!(LogNames::default().read(2, &[opcode::EXTENSION, 0, 2, 2, 0, 0]).is_err());
        assert!(LogNames::default().read(1, &[opcode::EXTENSION | opcode::ONE, 2, 2, 1, 0]).is_err());
    }

    #[test]
    fn references_to_what_was_never_mentioned_are_refused() {
        let mut names = LogNames::default();
        assert!(names.read(1, &[opcode::CONTAINER, 2, opcode::REGISTER_CLEAR]).is_err());
        assert!(names.read(1, &[opcode::LIST_SET, 2, 0, 0]).is_err());
        assert!(names.read(2, &[opcode::DELETE, 200]).is_err());
        assert!(names.read(1, &[opcode::REGISTER_CLEAR, b'x']).is_err());
        assert_eq!(names, LogNames::default());
    }
}

//! Patches: what edits and imports did to the view, for a user interface to follow.

use serde::Serialize;

use super::Doc;
use crate::crdt::{Content, Event, Handle, Place};
use crate::graph::Dot;
use crate::id::OpId;
use crate::op::{ContainerKind, Value};

/// One step on the way to a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PathItem {
    /// A key of a map.
    Key(String),
    /// An index of a list.
    Index(u32),
    /// A node of a tree.
    Node(#[serde(serialize_with = "text")] OpId),
}

/// A difference in the view of one container. Apply patches in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Patch {
    /// Where the container is now, `None` if it is not shown any more.
    pub path: Option<Vec<PathItem>>,
    /// The container.
    #[serde(serialize_with = "number")]
    pub container: Handle,
    /// The difference.
    #[serde(flatten)]
    pub kind: PatchKind,
    /// Whether it was made here (and not imported).
    pub local: bool,
}

/// What changed. Text positions are given in Unicode scalar values and in UTF-16 code units.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PatchKind {
    /// What a map key reads (`None`: nothing any more).
    MapSet {
        /// The key.
        key: String,
        /// What it reads.
        value: Option<PatchValue>,
    },
    /// Elements came into a list.
    ListInsert {
        /// The index of the first.
        index: u32,
        /// The elements.
        values: Vec<Option<PatchValue>>,
    },
    /// Elements left a list.
    ListDelete {
        /// The index of the first.
        index: u32,
        /// How many.
        len: u32,
    },
    /// An element changed its value.
    ListSet {
        /// The index.
        index: u32,
        /// What it reads.
        value: Option<PatchValue>,
    },
    /// Characters were inserted.
    TextInsert {
        /// Position in Unicode scalar values.
        index: u32,
        /// Offset in UTF-16 code units.
        index_utf16: u32,
        /// The characters.
        text: String,
    },
    /// Characters were deleted.
    TextDelete {
        /// Position in Unicode scalar values.
        index: u32,
        /// Number of Unicode scalar values.
        len: u32,
        /// Offset in UTF-16 code units.
        index_utf16: u32,
        /// Number of UTF-16 code units.
        len_utf16: u32,
    },
    /// Characters got a mark, changed or lost it. Inserted text comes without marks; the marks that it has by its place
    /// follow in patches of their own.
    TextMark {
        /// Position in Unicode scalar values.
        index: u32,
        /// Number of Unicode scalar values.
        len: u32,
        /// Offset in UTF-16 code units.
        index_utf16: u32,
        /// Number of UTF-16 code units.
        len_utf16: u32,
        /// The mark's key.
        key: String,
        /// Its value, `None` if the characters do not have it any more.
        value: Option<PatchValue>,
    },
    /// A counter changed.
    Counter {
        /// By how much.
        by: i64,
    },
    /// A register changed.
    Register {
        /// What it reads.
        value: Option<PatchValue>,
    },
    /// A value came into a set.
    SetAdd {
        /// The value.
        value: PatchValue,
    },
    /// A value left a set.
    SetRemove {
        /// The value.
        value: PatchValue,
    },
    /// A node came into a tree, without children: those that it has follow.
    TreeCreate {
        /// The node.
        #[serde(serialize_with = "text")]
        node: OpId,
        /// Its parent, `None` at the top.
        #[serde(serialize_with = "optional_text")]
        parent: Option<OpId>,
        /// Its place among the parent's children.
        index: u32,
    },
    /// A node of a tree stands somewhere else, with everything below it.
    TreeMove {
        /// The node.
        #[serde(serialize_with = "text")]
        node: OpId,
        /// Its parent, `None` at the top.
        #[serde(serialize_with = "optional_text")]
        parent: Option<OpId>,
        /// Its place among the parent's children, after it has left where it was.
        index: u32,
    },
    /// A node left a tree, with everything below it.
    TreeDelete {
        /// The node.
        #[serde(serialize_with = "text")]
        node: OpId,
    },
}

/// A value in a patch.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum PatchValue {
    /// JSON's null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A container of this kind; patches of its own tell what is in it.
    Container {
        /// The kind.
        container: ContainerKind,
    },
}

impl From<Value> for PatchValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => Self::Int(value),
            Value::Float(value) => Self::Float(value),
            Value::String(value) => Self::String(value),
            Value::Bytes(value) => Self::Bytes(value),
            Value::Container(container) => Self::Container { container },
        }
    }
}

fn number<S: serde::Serializer>(handle: &Handle, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(handle.to_u32())
}

fn text<S: serde::Serializer>(id: &OpId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

fn optional_text<S: serde::Serializer>(id: &Option<OpId>, serializer: S) -> Result<S::Ok, S::Error> {
    id.map(|id| id.to_string()).serialize(serializer)
}

impl Doc {
    /// Begins or ends to record patches.
    pub fn record_patches(&mut self, on: bool) {
        self.containers.listen(on);
    }

    /// The patches since the last call.
    pub fn take_patches(&mut self) -> Vec<Patch> {
        let events = self.containers.take_events();
        let mut last: Option<(Handle, Option<Vec<PathItem>>)> = None;
        let patches = events.into_iter().map(|(container, local, event)| {
            let path = match &last {
                Some((handle, path)) if *handle == container => path.clone(),
                _ => self.path(container),
            };
            last = Some((container, path.clone()));
            Patch { path, container, kind: self.patch_kind(event), local }
        });
        patches.collect()
    }

    /// The way from the root to a container, `None` if it is not shown.
    pub fn path(&self, handle: Handle) -> Option<Vec<PathItem>> {
        let (mut path, mut at) = (Vec::new(), handle);
        while at != Handle::ROOT {
            let (parent, place) = self.containers.place(at);
            path.push(match (place, self.containers.content(parent)) {
                (Place::Name(name), _) => PathItem::Key(name.to_owned()),
                (Place::Element(element), Content::List(list)) => PathItem::Index(list.index_of(element)?),
                (Place::Element(node), Content::Tree(tree)) if tree.contains(node) => PathItem::Node(self.op_id(node)),
                _ => return None,
            });
            at = parent;
        }
        path.reverse();
        Some(path)
    }

    pub(super) fn patch_kind(&self, event: Event) -> PatchKind {
        let id = |dot: Option<Dot>| dot.map(|dot| self.op_id(dot));
        match event {
            Event::MapSet { key, value } => PatchKind::MapSet { key, value: value.map(Into::into) },
            Event::ListInsert { index, values } => {
                PatchKind::ListInsert { index, values: values.into_iter().map(|value| value.map(Into::into)).collect() }
            }
            Event::ListDelete { index, len } => PatchKind::ListDelete { index, len },
            Event::ListSet { index, value } => PatchKind::ListSet { index, value: value.map(Into::into) },
            Event::TextInsert { index, index_utf16, text } => PatchKind::TextInsert { index, index_utf16, text },
            Event::TextDelete { index, len, index_utf16, len_utf16 } => {
                PatchKind::TextDelete { index, len, index_utf16, len_utf16 }
            }
            Event::TextMark { index, len, index_utf16, len_utf16, key, value } => {
                PatchKind::TextMark { index, len, index_utf16, len_utf16, key, value: value.map(Into::into) }
            }
            Event::Counter { by } => PatchKind::Counter { by },
            Event::Register { value } => PatchKind::Register { value: value.map(Into::into) },
            Event::SetAdd { value } => PatchKind::SetAdd { value: value.into() },
            Event::SetRemove { value } => PatchKind::SetRemove { value: value.into() },
            Event::TreeCreate { node, parent, index } => {
                PatchKind::TreeCreate { node: self.op_id(node), parent: id(parent), index }
            }
            Event::TreeMove { node, parent, index } => {
                PatchKind::TreeMove { node: self.op_id(node), parent: id(parent), index }
            }
            Event::TreeDelete { node } => PatchKind::TreeDelete { node: self.op_id(node) },
        }
    }
}

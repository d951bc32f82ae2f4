//! The view on its way out: all of it once, patches from then on.
//!
//! Always holds: a container is told with its content the first time that it is shown, by its handle from then on; what
//! changes in a container that was told is told as well, whether it is shown or not. What a key of a map shows may
//! change with what is in the containers under it, so every patch settles the keys above its container too.

use std::collections::BTreeSet;

use js_sys::{Array, Object, Reflect};
use selvedge::doc::{DeltaOp, Entry, PatchKind, PatchValue, PathItem};
use selvedge::{ContainerKind, Doc, Handle, Patch};
use wasm_bindgen::JsValue;

use crate::slots;

/// What JavaScript knows of a document.
#[derive(Debug, Default)]
pub(crate) struct View {
    told: Handles,
    /// Told for the first time in the call that is being made.
    fresh: Handles,
}

/// Containers, in the order in which they were added.
#[derive(Debug, Default)]
struct Handles {
    list: Vec<Handle>,
    /// By number; handles are numbered without gaps.
    has: Vec<bool>,
}

impl Handles {
    fn contains(&self, handle: Handle) -> bool {
        self.has.get(handle.to_u32() as usize).copied().unwrap_or(false)
    }

    /// Whether it was not there before.
    fn insert(&mut self, handle: Handle) -> bool {
        let number = handle.to_u32() as usize;
        if self.contains(handle) {
            return false;
        }
        if self.has.len() <= number {
            self.has.resize(number + 1, false);
        }
        self.has[number] = true;
        self.list.push(handle);
        true
    }
}

/// In a call with more patches than this, lists that changed are told as a whole: to look up the containers in them
/// one by one costs more.
const FEW_PATCHES: usize = 256;

/// What the patches of one call leave to be settled at their end.
#[derive(Default)]
struct Unsettled {
    keys: BTreeSet<(Handle, String)>,
    /// Lists of which all elements are told.
    lists: Handles,
    /// Counters, registers and sets: they are told as a whole.
    wholes: Handles,
}

impl View {
    /// Everything, from the root.
    pub(crate) fn whole(&mut self, doc: &Doc) -> JsValue {
        *self = Self::default();
        self.container(doc, Handle::ROOT, ContainerKind::Map)
    }

    /// What changed since the last call.
    pub(crate) fn patches(&mut self, doc: &Doc, patches: &[Patch]) -> Array {
        let (out, mut unsettled) = (Array::new(), Unsettled::default());
        self.fresh = Handles::default();
        let mut seen = Handles::default();
        for (number, patch) in patches.iter().enumerate() {
            let at = patch.container;
            if seen.insert(at) {
                note_above(doc, patch, &mut unsettled.keys);
                if patches.len() > FEW_PATCHES && doc.kind(at) == ContainerKind::List {
                    unsettled.lists.insert(at);
                }
            }
            // What is told for the first time in this call is told as it is in the end.
            if self.told.contains(at) && !self.fresh.contains(at) && !unsettled.lists.contains(at) {
                self.patch(doc, patch, &patches[number + 1..], &out, &mut unsettled);
            }
        }
        self.settle(doc, &out, unsettled);
        out
    }

    fn patch(&mut self, doc: &Doc, patch: &Patch, later: &[Patch], out: &Array, unsettled: &mut Unsettled) {
        let at = patch.container;
        match &patch.kind {
            PatchKind::MapSet { key, .. } => drop(unsettled.keys.insert((at, key.clone()))),
            PatchKind::ListInsert { index, values } => {
                let slot = |(i, value): (usize, &Option<PatchValue>)| {
                    self.element(doc, at, *index + i as u32, value.as_ref(), later)
                };
                let slots: Array = values.iter().enumerate().map(slot).collect();
                emit(out, "listInsert", at, &[(*index).into(), slots.into()]);
            }
            PatchKind::ListDelete { index, len } => {
                emit(out, "listDelete", at, &[(*index).into(), (*len).into()]);
            }
            PatchKind::ListSet { index, value } => {
                let slot = self.element(doc, at, *index, value.as_ref(), later);
                emit(out, "listSet", at, &[(*index).into(), slot]);
            }
            PatchKind::TextInsert { index_utf16, text, .. } => {
                emit(out, "textSplice", at, &[(*index_utf16).into(), 0.into(), text.into()]);
            }
            PatchKind::TextDelete { index_utf16, len_utf16, .. } => {
                emit(out, "textSplice", at, &[(*index_utf16).into(), (*len_utf16).into(), "".into()]);
            }
            PatchKind::TextMark { index_utf16, len_utf16, key, value, .. } => {
                let value = value.as_ref().map_or(JsValue::UNDEFINED, |value| patch_value(Some(value)));
                emit(out, "textMark", at, &[(*index_utf16).into(), (*len_utf16).into(), key.into(), value]);
            }
            PatchKind::Counter { .. }
            | PatchKind::Register { .. }
            | PatchKind::SetAdd { .. }
            | PatchKind::SetRemove { .. } => drop(unsettled.wholes.insert(at)),
            PatchKind::TreeCreate { .. } | PatchKind::TreeMove { .. } | PatchKind::TreeDelete { .. } => {}
        }
    }

    /// What an element shows that a patch told of. A container is looked up where the element is in the end; one that
    /// is gone by then reads as null until a later patch takes it away.
    fn element(&mut self, doc: &Doc, list: Handle, index: u32, value: Option<&PatchValue>, later: &[Patch]) -> JsValue {
        if !matches!(value, Some(PatchValue::Container { .. })) {
            return patch_value(value);
        }
        let mut index = index;
        for patch in later.iter().filter(|patch| patch.container == list) {
            match &patch.kind {
                PatchKind::ListInsert { index: at, values } if *at <= index => index += values.len() as u32,
                PatchKind::ListDelete { index: at, len } if at + len <= index => index -= len,
                PatchKind::ListDelete { index: at, .. } if *at <= index => return JsValue::NULL,
                _ => {}
            }
        }
        doc.list_at(list).entry(index as usize).map_or(JsValue::NULL, |entry| self.slot(doc, entry))
    }

    fn settle(&mut self, doc: &Doc, out: &Array, unsettled: Unsettled) {
        for at in unsettled.wholes.list {
            let (kind, content) = (doc.kind(at), content_of(doc, at, doc.kind(at)));
            let name = match kind {
                ContainerKind::Counter => "counter",
                ContainerKind::Register => "register",
                _ => "set",
            };
            emit(out, name, at, &[content]);
        }
        for at in unsettled.lists.list {
            if self.told.contains(at) {
                let slots = self.elements(doc, at);
                emit(out, "list", at, &[slots.into()]);
            }
        }
        for (at, key) in unsettled.keys {
            if !self.told.contains(at) {
                continue;
            }
            match doc.map_at(at).entry(&key) {
                Some(entry) => {
                    let slot = self.slot(doc, entry);
                    emit(out, "mapSet", at, &[key.into(), slot]);
                }
                None => emit(out, "mapDelete", at, &[key.into()]),
            }
        }
    }

    fn slot(&mut self, doc: &Doc, entry: Entry) -> JsValue {
        match entry {
            Entry::Container(kind, handle) if in_javascript(kind) => self.container(doc, handle, kind),
            Entry::Container(..) => JsValue::NULL,
            Entry::Value(value) => slots::value(&value),
        }
    }

    /// A container: with its content if it was not told before.
    fn container(&mut self, doc: &Doc, handle: Handle, kind: ContainerKind) -> JsValue {
        let object = Object::new();
        set(&object, "handle", &handle.to_u32().into());
        set(&object, "kind", &kind.tag().into());
        if self.told.insert(handle) {
            self.fresh.insert(handle);
            let content = match kind {
                ContainerKind::Map => self.entries(doc, handle).into(),
                ContainerKind::List => self.elements(doc, handle).into(),
                kind => content_of(doc, handle, kind),
            };
            set(&object, "content", &content);
        }
        object.into()
    }

    fn entries(&mut self, doc: &Doc, handle: Handle) -> Array {
        let (out, map) = (Array::new(), doc.map_at(handle));
        for key in map.keys() {
            if let Some(entry) = map.entry(&key) {
                out.push(&key.into());
                out.push(&self.slot(doc, entry));
            }
        }
        out
    }

    fn elements(&mut self, doc: &Doc, handle: Handle) -> Array {
        let entries = doc.list_at(handle).entries();
        entries.into_iter().map(|entry| self.slot(doc, entry)).collect()
    }
}

/// Whether the npm package has a class for this kind. Containers of other kinds read as null there, and their patches are
/// not told.
fn in_javascript(kind: ContainerKind) -> bool {
    kind <= ContainerKind::Set
}

/// What a container without containers in it holds.
fn content_of(doc: &Doc, handle: Handle, kind: ContainerKind) -> JsValue {
    match kind {
        ContainerKind::Text => doc.text_at(handle).to_string().into(),
        ContainerKind::Counter => slots::integer(doc.counter_at(handle).value()),
        ContainerKind::Register => slots::optional(doc.register_at(handle).get().as_ref()),
        _ => doc.set_at(handle).values().iter().map(slots::value).collect::<Array>().into(),
    }
}

/// A run of a text: its text, and keys and values of its marks in turn.
pub(crate) fn run(op: &DeltaOp) -> JsValue {
    let out = Array::new();
    if let DeltaOp::Insert { text, attributes } = op {
        out.push(&text.into());
        for (key, value) in attributes {
            out.push(&key.into());
            out.push(&slots::optional(value.as_ref()));
        }
    }
    out.into()
}

/// Notes the keys of maps on the way to a patch's container.
fn note_above(doc: &Doc, patch: &Patch, keys: &mut BTreeSet<(Handle, String)>) {
    let Some(path) = &patch.path else { return };
    let mut at = Handle::ROOT;
    for (i, item) in path.iter().enumerate() {
        let kind = match path.get(i + 1) {
            Some(PathItem::Key(_)) => ContainerKind::Map,
            Some(PathItem::Node(_)) => ContainerKind::Tree,
            Some(PathItem::Index(_)) => ContainerKind::List,
            None => doc.kind(patch.container),
        };
        let inside = match item {
            PathItem::Key(key) => {
                keys.insert((at, key.clone()));
                doc.map_at(at).child(key, kind)
            }
            PathItem::Index(index) => match doc.list_at(at).entry(*index as usize) {
                Some(Entry::Container(found, handle)) if found == kind => Some(handle),
                _ => None,
            },
            PathItem::Node(_) => return,
        };
        let Some(inside) = inside else { return };
        at = inside;
    }
}

pub(crate) fn patch_value(value: Option<&PatchValue>) -> JsValue {
    use selvedge::Value;
    let value = match value {
        None | Some(PatchValue::Null | PatchValue::Container { .. }) => Value::Null,
        Some(PatchValue::Bool(value)) => (*value).into(),
        Some(PatchValue::Int(value)) => (*value).into(),
        Some(PatchValue::Float(value)) => (*value).into(),
        Some(PatchValue::String(value)) => value.as_str().into(),
        Some(PatchValue::Bytes(value)) => value.clone().into(),
    };
    slots::value(&value)
}

fn emit(out: &Array, name: &str, at: Handle, rest: &[JsValue]) {
    let patch = Array::of2(&name.into(), &at.to_u32().into());
    for item in rest {
        patch.push(item);
    }
    out.push(&patch);
}

fn set(object: &Object, key: &str, value: &JsValue) {
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(object, &key.into(), value);
}

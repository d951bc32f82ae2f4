//! Undo, older versions, differences, changes and blame, on their way out: arrays that the npm package makes objects of.

use js_sys::{Array, Object};
use selvedge::clock::Hlc;
use selvedge::doc::{PatchKind, PathItem, VersionError};
use selvedge::{Patch, ReplicaId, UndoManager, VersionVector};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::fail::{edit_error, fail, misuse};
use crate::replica::{Replica, millis};
use crate::slots;
use crate::view::{View, patch_value};

#[wasm_bindgen]
impl Replica {
    /// From now on, what `apply` is given with this origin can be undone; edits within `merge` milliseconds together.
    #[wasm_bindgen(js_name = recordUndo)]
    pub fn record_undo(&self, origin: String, merge: f64) -> Result<(), JsValue> {
        self.tell(|inner| {
            let mut undo = UndoManager::new(&inner.doc);
            undo.set_merge_interval(millis(merge));
            inner.undo.push((origin, undo));
        })
    }

    /// Undoes (`back`) or redoes. Takes where the cursor is and returns where it was; undefined if there is nothing to do.
    pub fn turn(&self, origin: &str, back: bool, cursor: String) -> Result<Option<String>, JsValue> {
        self.with(|inner| {
            let undo = inner.undo.iter_mut().find(|(known, _)| known == origin);
            let (_, undo) = undo.ok_or_else(|| misuse("nothing is recorded for this origin"))?;
            undo.set_cursor(cursor.into_bytes());
            let turned = if back { undo.undo(&mut inner.doc) } else { undo.redo(&mut inner.doc) };
            Ok(turned.map_err(edit_error)?.and_then(|cursor| String::from_utf8(cursor).ok()))
        })
    }

    /// Whether there is something to undo (`back`) or to redo.
    #[wasm_bindgen(js_name = canTurn)]
    pub fn can_turn(&self, origin: &str, back: bool) -> Result<bool, JsValue> {
        self.with(|inner| {
            let mut known = inner.undo.iter().filter(|(known, _)| known == origin);
            Ok(known.any(|(_, undo)| if back { undo.can_undo() } else { undo.can_redo() }))
        })
    }

    /// Everything that there was to see at an older version.
    pub fn checkout(&self, version: &Object) -> Result<JsValue, JsValue> {
        let version = read_version(version)?;
        self.with(|inner| {
            let past = inner.doc.checkout(&version).map_err(version_error)?;
            Ok(View::default().whole(&past))
        })
    }

    /// What turns what was shown at one version into what was shown at another: `[kind, path, ...]`.
    pub fn diff(&self, from: &Object, to: &Object) -> Result<Array, JsValue> {
        let (from, to) = (read_version(from)?, read_version(to)?);
        self.with(|inner| {
            let patches = inner.doc.diff(&from, &to).map_err(version_error)?;
            Ok(patches.iter().filter_map(difference).collect())
        })
    }

    /// All changes: `[author, seq, ops, time, message, [author, seq, ...]]`.
    pub fn changes(&self) -> Result<Array, JsValue> {
        self.with(|inner| {
            let changes = inner.doc.changes();
            let told = changes.into_iter().map(|change| {
                let deps = change.deps.iter().flat_map(|dep| [text(dep.replica), number(dep.seq)]);
                let (id, deps) = (change.id, deps.collect::<Array>());
                let (ops, time) = (number(change.ops), number(change.time.ms()));
                array([text(id.replica), number(id.seq), ops, time, change.message.into(), deps.into()])
            });
            Ok(told.collect())
        })
    }

    /// Who wrote a text or list: `[length, author, time, message]`, text in UTF-16 units.
    pub fn blame(&self, handle: u32) -> Result<Array, JsValue> {
        self.with(|inner| {
            let handle = inner.doc.handle(handle).ok_or_else(|| misuse("there is no such container"))?;
            let blame = inner.doc.blame(handle);
            let shown = inner.doc.text_at(handle).to_string();
            let mut chars = shown.chars();
            let told = blame.into_iter().map(|run| {
                let units: usize = chars.by_ref().take(run.len).map(char::len_utf16).sum();
                // A list has no characters.
                let len = number(units.max(run.len) as u64);
                // Documents here have their whole history: there is a time.
                let time = number(run.time.map_or(0, Hlc::ms));
                Array::of4(&len, &text(run.id.replica), &time, &run.message.into())
            });
            Ok(told.collect())
        })
    }
}

/// A path as keys and indices; `None` if it leads through a tree, which is not shown here.
pub(crate) fn path_keys(path: &[PathItem]) -> Option<Array> {
    let key = |item: &PathItem| match item {
        PathItem::Key(key) => Some(JsValue::from_str(key)),
        PathItem::Index(index) => Some((*index).into()),
        PathItem::Node(_) => None,
    };
    path.iter().map(key).collect()
}

fn difference(patch: &Patch) -> Option<JsValue> {
    let path = path_keys(patch.path.as_ref()?)?;
    let (name, rest): (&str, Array) = match &patch.kind {
        PatchKind::MapSet { key, value: None } => ("mapDelete", array([key.into()])),
        PatchKind::MapSet { key, value } => ("mapSet", array([key.into(), patch_value(value.as_ref())])),
        PatchKind::ListInsert { index, values } => {
            let values: Array = values.iter().map(|value| patch_value(value.as_ref())).collect();
            ("listInsert", array([(*index).into(), values.into()]))
        }
        PatchKind::ListDelete { index, len } => ("listDelete", array([(*index).into(), (*len).into()])),
        PatchKind::ListSet { index, value } => ("listSet", array([(*index).into(), patch_value(value.as_ref())])),
        PatchKind::TextInsert { index_utf16, text, .. } => {
            ("textSplice", array([(*index_utf16).into(), 0.into(), text.into()]))
        }
        PatchKind::TextDelete { index_utf16, len_utf16, .. } => {
            ("textSplice", array([(*index_utf16).into(), (*len_utf16).into(), "".into()]))
        }
        PatchKind::Counter { by } => ("counter", array([slots::integer(*by)])),
        PatchKind::Register { value } => ("register", array([patch_value(value.as_ref())])),
        PatchKind::SetAdd { value } => ("setAdd", array([patch_value(Some(value))])),
        PatchKind::SetRemove { value } => ("setRemove", array([patch_value(Some(value))])),
        PatchKind::TextMark { index_utf16, len_utf16, key, value, .. } => {
            ("textMark", array([(*index_utf16).into(), (*len_utf16).into(), key.into(), patch_value(value.as_ref())]))
        }
        // Trees are not shown here.
        PatchKind::TreeCreate { .. } | PatchKind::TreeMove { .. } | PatchKind::TreeDelete { .. } => return None,
    };
    rest.unshift(&path);
    rest.unshift(&name.into());
    Some(rest.into())
}

fn read_version(version: &Object) -> Result<VersionVector, JsValue> {
    let entries = Object::entries(version);
    let ends = entries.iter().map(|entry| {
        let entry = Array::from(&entry);
        let replica = entry.get(0).as_string().and_then(|replica| replica.parse::<ReplicaId>().ok());
        let end = entry.get(1).as_f64().filter(|end| end.fract() == 0.0 && *end >= 0.0);
        let pair = replica.zip(end.map(millis));
        pair.ok_or_else(|| misuse("a version is what doc.version gave: whole numbers by replica id"))
    });
    ends.collect()
}

pub(crate) fn version_error(error: VersionError) -> JsValue {
    fail("unknown-version", &error.to_string())
}

fn array<const N: usize>(items: [JsValue; N]) -> Array {
    items.into_iter().collect()
}

fn text(replica: ReplicaId) -> JsValue {
    replica.to_string().into()
}

fn number(number: u64) -> JsValue {
    JsValue::from_f64(number as f64)
}

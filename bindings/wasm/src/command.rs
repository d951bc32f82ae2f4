//! `Command`: one edit of a transaction, addressed by the keys and kinds that lead from the root to its container.
//!
//! Pure: the same commands make the same bytes natively and in wasm. Not here: how they come out of JavaScript (`decode`).

use std::collections::BTreeMap;

use selvedge::doc::{DeltaOp, EditError, Expand, Metric};
use selvedge::{ContainerKind, Handle, Transaction, Value};

/// A step on the way to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A key of a map.
    Name(String),
    /// An index of a list.
    Index(usize),
}

/// The way from the root to a container, which is made where there is none.
pub type Path = Vec<(Key, ContainerKind)>;

/// Plain data: containers are made for maps and lists. Keys are sorted, so equal data makes equal bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum Plain {
    /// A value that is replaced as a whole.
    Value(Value),
    /// An array.
    List(Vec<Plain>),
    /// An object.
    Map(BTreeMap<String, Plain>),
}

/// An edit. Positions in texts count UTF-16 units.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Sets a key of a map.
    MapSet(String, Plain),
    /// Deletes a key of a map.
    MapDelete(String),
    /// Inserts elements into a list.
    ListInsert(usize, Vec<Plain>),
    /// Replaces an element of a list.
    ListSet(usize, Plain),
    /// Deletes elements of a list: index and length.
    ListDelete(usize, usize),
    /// Moves an element of a list: from and to.
    ListMove(usize, usize),
    /// Replaces a part of a text: offset, length, what comes instead.
    TextSplice(usize, usize, String),
    /// Marks a part of a text, or without a value takes a mark away: offset, length, key, value, rule at the ends.
    TextMark(usize, usize, String, Option<Value>, Expand),
    /// Edits a text as a Delta says, with the rules of the keys in it.
    TextDelta(Vec<DeltaOp>, Vec<(String, Expand)>),
    /// Adds to a counter.
    CounterAdd(i64),
    /// Adds to a set.
    SetAdd(Value),
    /// Removes from a set.
    SetRemove(Value),
    /// Sets a register.
    RegisterSet(Value),
    /// Empties a register.
    RegisterClear,
}

/// An edit and where it is made.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The container.
    pub path: Path,
    /// The edit.
    pub edit: Edit,
}

/// Makes all edits in order.
///
/// # Errors
/// At the first one that cannot be made; the transaction is to be given up then.
pub fn apply(tx: &mut Transaction<'_>, commands: &[Command]) -> Result<(), EditError> {
    commands.iter().try_for_each(|command| apply_one(tx, command))
}

/// Sets the keys of the root map: the content of an initial change.
///
/// # Errors
/// If it is nested too deeply or too large.
pub fn fill_root(tx: &mut Transaction<'_>, content: &BTreeMap<String, Plain>) -> Result<(), EditError> {
    content.iter().try_for_each(|(key, plain)| set_key(tx, Handle::ROOT, key, plain))
}

fn apply_one(tx: &mut Transaction<'_>, command: &Command) -> Result<(), EditError> {
    let at = resolve(tx, &command.path)?;
    match &command.edit {
        Edit::MapSet(key, plain) => set_key(tx, at, key, plain),
        Edit::MapDelete(key) => tx.map_at(at)?.delete(key),
        Edit::ListInsert(index, values) => insert(tx, at, *index, values),
        Edit::ListSet(index, plain) => set_element(tx, at, *index, plain),
        Edit::ListDelete(index, len) => tx.list_at(at)?.delete(*index, *len),
        Edit::ListMove(from, to) => tx.list_at(at)?.move_to(*from, *to),
        Edit::TextSplice(index, deleted, added) => {
            let mut text = tx.text_at(at)?;
            text.delete_utf16(*index, *deleted)?;
            text.insert_utf16(*index, added)
        }
        Edit::TextMark(index, len, key, value, expand) => {
            let mut text = tx.text_at(at)?;
            let start = text.convert(*index, Metric::Utf16, Metric::Scalar)?;
            let end = text.convert(index.saturating_add(*len), Metric::Utf16, Metric::Scalar)?;
            match value {
                Some(value) => text.mark(start..end, key, value.clone(), *expand),
                None => text.unmark(start..end, key),
            }
        }
        Edit::TextDelta(delta, rules) => {
            let rule = |key: &str| rules.iter().find(|(known, _)| known == key).map(|(_, rule)| *rule);
            tx.text_at(at)?.apply_delta(delta, &|key| rule(key).unwrap_or_default())
        }
        Edit::CounterAdd(by) => tx.counter_at(at)?.add(*by),
        Edit::SetAdd(value) => tx.set_at(at)?.add(value.clone()),
        Edit::SetRemove(value) => tx.set_at(at)?.remove(value.clone()),
        Edit::RegisterSet(value) => tx.register_at(at)?.set(value.clone()),
        Edit::RegisterClear => tx.register_at(at)?.clear(),
    }
}

fn resolve(tx: &mut Transaction<'_>, path: &Path) -> Result<Handle, EditError> {
    path.iter().try_fold(Handle::ROOT, |at, (key, kind)| match key {
        Key::Name(name) => tx.map_at(at)?.get_or_create(name, *kind),
        Key::Index(index) => tx.list_at(at)?.container(*index, *kind),
    })
}

fn set_key(tx: &mut Transaction<'_>, map: Handle, key: &str, plain: &Plain) -> Result<(), EditError> {
    match plain {
        Plain::Value(value) => tx.map_at(map)?.set(key, value.clone()),
        Plain::List(items) => {
            let list = tx.map_at(map)?.set_container(key, ContainerKind::List)?;
            insert(tx, list, 0, items)
        }
        Plain::Map(entries) => {
            let child = tx.map_at(map)?.set_container(key, ContainerKind::Map)?;
            entries.iter().try_for_each(|(key, plain)| set_key(tx, child, key, plain))
        }
    }
}

fn set_element(tx: &mut Transaction<'_>, list: Handle, index: usize, plain: &Plain) -> Result<(), EditError> {
    match plain {
        Plain::Value(value) => tx.list_at(list)?.set(index, value.clone()),
        container => {
            tx.list_at(list)?.set(index, kind_of(container))?;
            fill_element(tx, list, index, container)
        }
    }
}

fn insert(tx: &mut Transaction<'_>, list: Handle, index: usize, plain: &[Plain]) -> Result<(), EditError> {
    let values = plain.iter().map(|plain| match plain {
        Plain::Value(value) => value.clone(),
        container => Value::Container(kind_of(container)),
    });
    tx.list_at(list)?.insert_all(index, values.collect())?;
    let containers = plain.iter().enumerate().filter(|(_, plain)| !matches!(plain, Plain::Value(_)));
    containers.into_iter().try_for_each(|(i, plain)| fill_element(tx, list, index + i, plain))
}

/// Fills the empty container in an element.
fn fill_element(tx: &mut Transaction<'_>, list: Handle, index: usize, plain: &Plain) -> Result<(), EditError> {
    let child = tx.list_at(list)?.container(index, kind_of(plain))?;
    match plain {
        Plain::Value(_) => Ok(()),
        Plain::List(items) => insert(tx, child, 0, items),
        Plain::Map(entries) => entries.iter().try_for_each(|(key, plain)| set_key(tx, child, key, plain)),
    }
}

fn kind_of(plain: &Plain) -> ContainerKind {
    if matches!(plain, Plain::List(_)) { ContainerKind::List } else { ContainerKind::Map }
}

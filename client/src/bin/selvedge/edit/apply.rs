//! Statements in a transaction.
//!
//! Always holds: what is missing on the way is made; what is something else is left alone and named in the error.

use selvedge::doc::{EditError, Entry};
use selvedge::{ContainerKind, Handle, Transaction, Value};
use serde_json::Value as Json;

use super::statement::{Statement, Verb};

/// A place in a container: what a path leads to.
enum Place {
    Key(Handle, String),
    Element(Handle, usize),
}

pub(super) fn apply(tx: &mut Transaction<'_>, statement: &Statement) -> Result<(), EditError> {
    let path = &statement.path;
    match &statement.verb {
        Verb::Set(value) => {
            let place = find(tx, path)?;
            put(tx, &place, value)
        }
        Verb::Delete => match find(tx, path)? {
            Place::Key(map, key) if tx.doc().map_at(map).entry(&key).is_some() => tx.map_at(map)?.delete(&key),
            Place::Key(..) => Err(cancelled(format!("there is nothing at {}", path.join(".")))),
            Place::Element(list, index) => tx.list_at(list)?.delete(index, 1),
        },
        Verb::DeleteRange { pos, len } => match existing(tx, path)? {
            Some((ContainerKind::List, list)) => tx.list_at(list)?.delete(*pos, *len),
            Some((ContainerKind::Text, text)) => tx.text_at(text)?.delete(*pos, *len),
            _ => Err(cancelled(format!("{} is neither a text nor a list", path.join(".")))),
        },
        Verb::Push(value) => {
            let list = container(tx, path, ContainerKind::List)?;
            let end = tx.doc().list_at(list).len();
            insert(tx, list, end, value)
        }
        Verb::Insert { pos, word } => match existing(tx, path)? {
            Some((ContainerKind::List, list)) => insert(tx, list, *pos, &word_value(word)),
            _ => {
                let text = container(tx, path, ContainerKind::Text)?;
                let inserted = serde_json::from_str::<String>(word);
                tx.text_at(text)?.insert(*pos, inserted.as_deref().unwrap_or(word))
            }
        },
        Verb::Move { from, to } => {
            let list = container(tx, path, ContainerKind::List)?;
            tx.list_at(list)?.move_to(*from, *to)
        }
        Verb::Increment(by) => {
            let counter = container(tx, path, ContainerKind::Counter)?;
            tx.counter_at(counter)?.add(*by)
        }
        Verb::Add(value) => {
            let set = container(tx, path, ContainerKind::Set)?;
            tx.set_at(set)?.add(plain(value)?)
        }
        Verb::Remove(value) => {
            let set = container(tx, path, ContainerKind::Set)?;
            tx.set_at(set)?.remove(plain(value)?)
        }
    }
}

/// The place at the end of a path; maps on the way are made.
fn find(tx: &mut Transaction<'_>, path: &[String]) -> Result<Place, EditError> {
    let (last, way) = path.split_last().ok_or_else(|| cancelled("the path is empty".into()))?;
    let mut at = Handle::ROOT;
    for (depth, key) in way.iter().enumerate() {
        let place = place(tx, at, key)?;
        at = match entry(tx, &place) {
            Some(Entry::Container(ContainerKind::Map | ContainerKind::List, child)) => child,
            Some(found) => return Err(in_the_way(&path[..=depth], &found, ContainerKind::Map)),
            None => make(tx, &place, ContainerKind::Map)?,
        };
    }
    place(tx, at, last)
}

fn place(tx: &Transaction<'_>, at: Handle, key: &str) -> Result<Place, EditError> {
    if tx.doc().kind(at) != ContainerKind::List {
        return Ok(Place::Key(at, key.to_owned()));
    }
    let index = key.parse().map_err(|_| cancelled(format!("{key:?} is no index of a list")))?;
    Ok(Place::Element(at, index))
}

fn entry(tx: &Transaction<'_>, place: &Place) -> Option<Entry> {
    match place {
        Place::Key(map, key) => tx.doc().map_at(*map).entry(key),
        Place::Element(list, index) => tx.doc().list_at(*list).entry(*index),
    }
}

fn make(tx: &mut Transaction<'_>, place: &Place, kind: ContainerKind) -> Result<Handle, EditError> {
    match place {
        Place::Key(map, key) => tx.map_at(*map)?.get_or_create(key, kind),
        Place::Element(list, index) => tx.list_at(*list)?.container(*index, kind),
    }
}

/// The container of this kind at a path, made if there is nothing.
fn container(tx: &mut Transaction<'_>, path: &[String], kind: ContainerKind) -> Result<Handle, EditError> {
    let place = find(tx, path)?;
    match entry(tx, &place) {
        Some(Entry::Container(found, handle)) if found == kind => Ok(handle),
        Some(found) => Err(in_the_way(path, &found, kind)),
        None => make(tx, &place, kind),
    }
}

/// The container at a path, if there is one.
fn existing(tx: &mut Transaction<'_>, path: &[String]) -> Result<Option<(ContainerKind, Handle)>, EditError> {
    let place = find(tx, path)?;
    Ok(match entry(tx, &place) {
        Some(Entry::Container(kind, handle)) => Some((kind, handle)),
        _ => None,
    })
}

/// Replaces what is at a place.
fn put(tx: &mut Transaction<'_>, place: &Place, value: &Json) -> Result<(), EditError> {
    let kind = match value {
        Json::Object(_) => ContainerKind::Map,
        Json::Array(_) => ContainerKind::List,
        _ => {
            let value = plain(value)?;
            return match place {
                Place::Key(map, key) => tx.map_at(*map)?.set(key, value),
                Place::Element(list, index) => tx.list_at(*list)?.set(*index, value),
            };
        }
    };
    let handle = match place {
        Place::Key(map, key) => tx.map_at(*map)?.set_container(key, kind)?,
        Place::Element(list, index) => {
            tx.list_at(*list)?.set(*index, kind)?;
            tx.list_at(*list)?.container(*index, kind)?
        }
    };
    fill(tx, handle, value)
}

fn insert(tx: &mut Transaction<'_>, list: Handle, index: usize, value: &Json) -> Result<(), EditError> {
    let kind = match value {
        Json::Object(_) => ContainerKind::Map,
        Json::Array(_) => ContainerKind::List,
        _ => return tx.list_at(list)?.insert(index, plain(value)?),
    };
    let handle = tx.list_at(list)?.insert_container(index, kind)?;
    fill(tx, handle, value)
}

/// Writes the members of an object or array into an empty container.
fn fill(tx: &mut Transaction<'_>, handle: Handle, value: &Json) -> Result<(), EditError> {
    match value {
        Json::Object(members) => {
            members.iter().try_for_each(|(key, value)| put(tx, &Place::Key(handle, key.clone()), value))
        }
        Json::Array(items) => (0..).zip(items).try_for_each(|(index, value)| insert(tx, handle, index, value)),
        _ => Ok(()),
    }
}

/// A value that is no container.
fn plain(value: &Json) -> Result<Value, EditError> {
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::Float(value),
            (None, None) => return Err(cancelled(format!("{number} is too large"))),
        },
        Json::String(value) => Value::String(value.clone()),
        Json::Array(_) | Json::Object(_) => return Err(EditError::ContainerInSet),
    })
}

/// A word inserted into a list: JSON, or a plain string.
fn word_value(word: &str) -> Json {
    serde_json::from_str(word).unwrap_or_else(|_| Json::String(word.to_owned()))
}

fn in_the_way(path: &[String], found: &Entry, wanted: ContainerKind) -> EditError {
    match found {
        Entry::Container(found, _) => EditError::WrongKind { place: path.join("."), found: *found, wanted },
        Entry::Value(_) => cancelled(format!("{} is a plain value, not a {wanted:?}; delete it first", path.join("."))),
    }
}

fn cancelled(reason: String) -> EditError {
    EditError::Cancelled(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use selvedge::{Doc, ReplicaId};
    use serde_json::json;

    fn run(doc: &mut Doc, script: &[&str]) -> Result<(), String> {
        let script: Vec<String> = script.iter().map(|&line| line.to_owned()).collect();
        let statements = Statement::parse_script(&script)?;
        doc.change(|tx| statements.iter().try_for_each(|s| apply(tx, s))).map_err(|error| error.to_string())
    }

    #[test]
    fn every_verb_does_what_the_help_says() {
        let mut doc = Doc::new(ReplicaId::from(1));
        let script = [
            "set meta.title Groceries",
            r#"push todos {"text": "milk", "tags": ["a", {"b": null}]}"#,
            "push todos plain",
            "set todos.0.done true",
            "insert todos 1 1.5",
            "insert text 0 Hello",
            r#"insert text 5 " you""#,
            "delete text 0 1",
            "increment visits 5",
            "increment visits -2",
            "add colours red",
            "add colours blue",
            "remove colours red",
            "move todos 2 0",
        ];
        assert_eq!(run(&mut doc, &script), Ok(()));
        let todo = json!({"text": "milk", "done": true, "tags": ["a", {"b": null}]});
        let expected = json!({"meta": {"title": "Groceries"}, "todos": ["plain", todo, 1.5], "text": "ello you",
            "visits": 3, "colours": ["blue"]});
        assert_eq!(doc.to_json(), expected);
        let more = ["set todos.1 [1, 2]", "delete todos 0 1", "delete meta.title", "set meta {}", "set new.deep.er 1"];
        assert_eq!(run(&mut doc, &more), Ok(()));
        assert_eq!(doc.to_json()["todos"], json!([[1, 2], 1.5]));
        assert_eq!((&doc.to_json()["meta"], &doc.to_json()["new"]), (&json!({}), &json!({"deep": {"er": 1}})));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_nothing_happens() {
        let mut doc = Doc::new(ReplicaId::from(1));
        run(&mut doc, &["set title x", "push list 1", "insert text 0 hello"]).unwrap();
        let before = doc.to_json();
        for (line, says) in [
            ("push title 1", "plain value"),
            ("push text 1", "Text"),
            ("increment list 1", "List"),
            ("set title.deep 1", "plain value"),
            ("set list.x 1", "no index"),
            ("set list.7 1", "out of range"),
            ("delete nothing", "nothing at"),
            ("delete title 0 1", "neither"),
            ("insert text 9 x", "out of range"),
            ("add tags {}", "set cannot hold"),
        ] {
            let error = run(&mut doc, &["set other 1", line]).expect_err(line);
            assert!(error.contains(says), "{line}: {error}");
            assert_eq!(doc.to_json(), before, "{line}");
        }
    }
}

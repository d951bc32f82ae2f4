//! The document as JSON.

use serde_json::{Map, Number, Value as Json};

use super::{Doc, Entry};
use crate::crdt::{Content, Handle};
use crate::id::OpId;
use crate::op::Value;

impl Doc {
    /// The whole document: maps as objects, lists and sets as arrays (sets sorted), texts as strings, counters as
    /// numbers, registers as their value. A tree is an array of its nodes, each in front of its children:
    /// `{"node": ID, "parent": ID or null, "data": {...}}`. What a newer version made is null. Bytes are arrays of numbers; a float that JSON cannot hold is null.
    pub fn to_json(&self) -> Json {
        self.container_to_json(Handle::ROOT)
    }

    /// One container as JSON, with what is inside it.
    pub fn container_to_json(&self, handle: Handle) -> Json {
        match self.containers.content(handle) {
            Content::Map(_) => {
                let map = self.map_at(handle);
                let pairs = map.keys().into_iter().filter_map(|key| {
                    let entry = map.entry(&key)?;
                    Some((key, self.entry_to_json(&entry)))
                });
                Json::Object(pairs.collect::<Map<_, _>>())
            }
            Content::List(_) => {
                let entries = self.list_at(handle).entries();
                Json::Array(entries.iter().map(|entry| self.entry_to_json(entry)).collect())
            }
            Content::Text(text) => Json::String(text.rope().chunks().collect()),
            Content::Register(register) => register.get().map_or(Json::Null, value_to_json),
            Content::Counter(counter) => Json::Number(counter.value().into()),
            Content::Set(set) => Json::Array(set.values().map(value_to_json).collect()),
            Content::Tree(_) => self.tree_to_json(handle),
            Content::BoundedCounter(_) => Json::Number(self.bounded_counter_at(handle).value().into()),
            Content::RemoveWinsSet(set) => Json::Array(set.values().map(value_to_json).collect()),
            Content::Unknown(_) => Json::Null,
        }
    }

    /// Flat, because a tree may be deeper than readers of JSON can follow.
    fn tree_to_json(&self, handle: Handle) -> Json {
        let tree = self.tree_at(handle);
        let node = |(id, parent): (OpId, Option<OpId>)| {
            let data = tree.map(id).map_or_else(|| Json::Object(Map::new()), |map| self.container_to_json(map));
            let parent = parent.map_or(Json::Null, |parent| Json::String(parent.to_string()));
            let pairs = [("node", Json::String(id.to_string())), ("parent", parent), ("data", data)];
            Json::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
        };
        Json::Array(tree.with_parents().into_iter().map(node).collect())
    }

    fn entry_to_json(&self, entry: &Entry) -> Json {
        match entry {
            Entry::Value(value) => value_to_json(value),
            Entry::Container(_, handle) => self.container_to_json(*handle),
        }
    }
}

pub(super) fn value_to_json(value: &Value) -> Json {
    match value {
        Value::Null | Value::Container(_) => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number((*value).into()),
        Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::String(value) => Json::String(value.clone()),
        Value::Bytes(value) => Json::Array(value.iter().map(|byte| Json::Number((*byte).into())).collect()),
    }
}

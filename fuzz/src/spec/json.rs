//! What the containers show, as JSON.

use std::collections::BTreeSet;

use selvedge::{ContainerKind, Value};
use serde_json::{Map, Number, Value as Json, json};

use super::containers::{Containers, Deal, MAX_DEPTH, Path, Register, State, kind_of};
use super::history::Place;
use super::marks;

pub(super) fn document(containers: &Containers) -> Json {
    Reader { containers, nothing: State::default(), text }.container(&Path::new())
}

/// The same with texts as lists of runs.
pub(super) fn rich_document(containers: &Containers) -> Json {
    Reader { containers, nothing: State::default(), text: marks::runs }.container(&Path::new())
}

struct Reader<'a> {
    containers: &'a Containers,
    nothing: State,
    /// How a text is shown.
    text: fn(&State) -> Json,
}

impl Reader<'_> {
    fn state(&self, path: &Path) -> &State {
        self.containers.states.get(path).unwrap_or(&self.nothing)
    }

    fn container(&self, path: &Path) -> Json {
        let state = self.state(path);
        match kind_of(path) {
            ContainerKind::Map => {
                let keys = self.names(path).into_iter().chain(state.keys.keys().cloned()).collect::<BTreeSet<_>>();
                let pairs = keys.into_iter().filter_map(|key| {
                    let value = self.entry(path, &Place::Name(key.clone()), state.keys.get(&key))?;
                    Some((key, value))
                });
                Json::Object(pairs.collect::<Map<_, _>>())
            }
            ContainerKind::List => {
                let elements = state.shown().into_iter().map(|slot| state.slots[&slot].element);
                let entry = |element| self.entry(path, &Place::Element(element), state.elements.get(&element));
                Json::Array(elements.filter_map(entry).collect())
            }
            ContainerKind::Text => (self.text)(state),
            ContainerKind::Register => state.register.values().first().map_or(Json::Null, |value| plain(value)),
            ContainerKind::Counter => {
                Json::Number(increments(state).into_iter().fold(0i64, |sum, by| sum.wrapping_add(by)).into())
            }
            ContainerKind::Set => Json::Array(members(state).into_iter().map(plain).collect()),
            ContainerKind::RemoveWinsSet => Json::Array(kept(state).into_iter().map(plain).collect()),
            ContainerKind::BoundedCounter => {
                i64::try_from(sum(state)).map_or(Json::Null, |sum| Json::Number(sum.into()))
            }
            ContainerKind::Tree => {
                let nodes = state.tree.shown().into_iter().map(|(node, parent)| {
                    let mut map = path.clone();
                    map.push((Place::Element(node), ContainerKind::Map));
                    let parent = parent.map(|parent| parent.to_string());
                    json!({ "node": node.to_string(), "parent": parent, "data": self.container(&map) })
                });
                nodes.collect()
            }
            ContainerKind::Unknown(_) => Json::Null,
        }
    }

    /// What is read at a place: the register's winner; without one, the first kind of container that has content.
    fn entry(&self, parent: &Path, place: &Place, register: Option<&Register>) -> Option<Json> {
        let child = |kind| {
            let mut path = parent.clone();
            path.push((place.clone(), kind));
            path
        };
        match register.and_then(|register| register.values().first().copied()) {
            Some(Value::Container(_)) if parent.len() == MAX_DEPTH => Some(Json::Null),
            Some(Value::Container(kind)) => Some(self.container(&child(*kind))),
            Some(value) => Some(plain(value)),
            None => {
                let mut inside = self.kinds(parent, place).into_iter().map(child);
                inside.find(|path| self.has_content(path)).map(|path| self.container(&path))
            }
        }
    }

    /// The names under which a map has containers.
    fn names(&self, map: &Path) -> Vec<String> {
        let inside = self.containers.states.keys().filter(|path| path.len() > map.len() && path.starts_with(map));
        let names = inside.filter_map(|path| match &path[map.len()].0 {
            Place::Name(name) => Some(name.clone()),
            Place::Element(_) => None,
        });
        names.collect()
    }

    /// The kinds of container that were ever used at a place.
    fn kinds(&self, parent: &Path, place: &Place) -> BTreeSet<ContainerKind> {
        let inside = self.containers.states.keys().filter(|path| path.len() > parent.len() && path.starts_with(parent));
        inside.filter(|path| path[parent.len()].0 == *place).map(|path| path[parent.len()].1).collect()
    }

    /// Whether anything is in a container; in a map also whether anything is in a container inside it.
    fn has_content(&self, path: &Path) -> bool {
        let state = self.state(path);
        match kind_of(path) {
            ContainerKind::Map => {
                let own = state.keys.values().any(|register| !register.values().is_empty());
                let inside = |name: String| {
                    let place = Place::Name(name);
                    self.kinds(path, &place).into_iter().any(|kind| {
                        let mut child = path.clone();
                        child.push((place.clone(), kind));
                        self.has_content(&child)
                    })
                };
                own || self.names(path).into_iter().any(inside)
            }
            ContainerKind::List => !state.shown().is_empty(),
            ContainerKind::Text => state.sequence.order().iter().any(|id| !state.sequence.is_deleted(*id)),
            ContainerKind::Register => !state.register.values().is_empty(),
            ContainerKind::Counter => !increments(state).is_empty(),
            ContainerKind::Set => !members(state).is_empty(),
            ContainerKind::RemoveWinsSet => !kept(state).is_empty(),
            ContainerKind::BoundedCounter => sum(state) != 0,
            ContainerKind::Tree => !state.tree.shown().is_empty(),
            ContainerKind::Unknown(_) => state.used,
        }
    }
}

fn text(state: &State) -> Json {
    let alive = state.sequence.order().into_iter().filter(|id| !state.sequence.is_deleted(*id));
    Json::String(alive.map(|id| state.chars[&id]).collect())
}

/// The increments that no reset has seen.
fn increments(state: &State) -> Vec<i64> {
    let reset = |id| state.counter.iter().any(|(_, seen, by)| by.is_none() && seen.contains(id));
    state.counter.iter().filter(|(id, ..)| !reset(*id)).filter_map(|(_, _, by)| *by).collect()
}

/// The values with an addition that no removal of the value has seen, sorted.
fn members(state: &State) -> BTreeSet<&Value> {
    let removed =
        |id, value: &Value| state.set.iter().any(|(_, seen, other, add)| !add && other == value && seen.contains(id));
    let alive = state.set.iter().filter(|(id, _, value, add)| *add && !removed(*id, value));
    alive.map(|(_, _, value, _)| value).collect()
}

/// The values of which every removal was seen by some addition, sorted.
fn kept(state: &State) -> BTreeSet<&Value> {
    let of =
        |value: &Value, add| state.set.iter().filter(move |(_, _, other, is)| *is == add && other == value).collect();
    let is_kept = |value: &&Value| {
        let (additions, removals): (Vec<_>, Vec<_>) = (of(value, true), of(value, false));
        removals.iter().all(|(id, ..)| additions.iter().any(|(_, seen, ..)| seen.contains(*id)))
    };
    state.set.iter().filter(|(.., add)| *add).map(|(_, _, value, _)| value).filter(is_kept).collect()
}

fn sum(state: &State) -> i128 {
    let added = state.deals.iter().map(|(_, deal)| match deal {
        Deal::Add(by) => i128::from(*by),
        Deal::Transfer(..) => 0,
    });
    added.sum()
}

pub(super) fn plain(value: &Value) -> Json {
    match value {
        Value::Null | Value::Container(_) => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::Number((*value).into()),
        Value::Float(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::String(value) => Json::String(value.clone()),
        Value::Bytes(value) => Json::Array(value.iter().map(|byte| Json::Number((*byte).into())).collect()),
    }
}

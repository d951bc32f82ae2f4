//! What the containers show, as JSON.

use std::collections::BTreeSet;

use selvedge::{ContainerKind, Value};
use serde_json::{Map, Number, Value as Json};

use super::containers::{Containers, MAX_DEPTH, Path, Register, State, kind_of};
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
                let kinds = ContainerKind::ALL.into_iter();
                kinds.map(child).find(|path| self.has_content(path)).map(|path| self.container(&path))
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

    /// Whether anything is in a container; in a map also whether anything is in a container inside it.
    fn has_content(&self, path: &Path) -> bool {
        let state = self.state(path);
        match kind_of(path) {
            ContainerKind::Map => {
                let own = state.keys.values().any(|register| !register.values().is_empty());
                let inside = |name: String| {
                    ContainerKind::ALL.into_iter().any(|kind| {
                        let mut child = path.clone();
                        child.push((Place::Name(name.clone()), kind));
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

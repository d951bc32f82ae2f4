//! Reading: a view per kind of container. A container that nobody has made yet reads as empty.

mod text;
mod tree;

pub use text::Span;
pub(super) use text::{convert, narrow};

use super::Doc;
use crate::crdt::{BoundedState, Content, Handle, ListState, MapState, MultiValue, Place, TextState};
use crate::id::ReplicaId;
use crate::op::{ContainerKind, Value};
use crate::ordered::OrdSet;

/// What is at a place: a plain value, or a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A plain value.
    Value(Value),
    /// A container.
    Container(ContainerKind, Handle),
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident, $by_name:ident, $by_handle:ident, $kind:ident $(, or $also:ident)?;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            doc: &'a Doc,
            handle: Option<Handle>,
        }

        impl<'a> $name<'a> {
            /// The container's handle, `None` if nobody has made it yet.
            pub fn handle(&self) -> Option<Handle> {
                self.handle
            }
        }

        impl Doc {
            /// The container of this kind and name in the root map.
            pub fn $by_name(&self, name: &str) -> $name<'_> {
                let handle = self.containers.child(Handle::ROOT, Place::Name(name), ContainerKind::$kind);
                $name { doc: self, handle }
            }

            /// The container behind a handle; empty if it is of another kind.
            pub fn $by_handle(&self, handle: Handle) -> $name<'_> {
                let fits = matches!(self.containers.kind(handle), ContainerKind::$kind $(| ContainerKind::$also)?);
                $name { doc: self, handle: fits.then_some(handle) }
            }
        }
    )* };
}

views! {
    /// Reads a map.
    MapRef, map, map_at, Map;
    /// Reads a list.
    ListRef, list, list_at, List;
    /// Reads a text.
    TextRef, text, text_at, Text;
    /// Reads a register.
    RegisterRef, register, register_at, Register;
    /// Reads a counter.
    CounterRef, counter, counter_at, Counter;
    /// Reads a set, whichever wins in it.
    SetRef, set, set_at, Set, or RemoveWinsSet;
    /// Reads a tree.
    TreeRef, tree, tree_at, Tree;
    /// Reads a bounded counter.
    BoundedCounterRef, bounded_counter, bounded_counter_at, BoundedCounter;
}

impl Doc {
    /// The set in which removals win with this name in the root map.
    pub fn remove_wins_set(&self, name: &str) -> SetRef<'_> {
        let handle = self.containers.child(Handle::ROOT, Place::Name(name), ContainerKind::RemoveWinsSet);
        SetRef { doc: self, handle }
    }

    /// The root map: the document as a whole.
    pub fn root(&self) -> MapRef<'_> {
        self.map_at(Handle::ROOT)
    }

    /// The handle with this number (`Handle::to_u32`).
    pub fn handle(&self, number: u32) -> Option<Handle> {
        self.containers.handle(number)
    }

    /// The kind of a container.
    pub fn kind(&self, handle: Handle) -> ContainerKind {
        self.containers.kind(handle)
    }

    pub(super) fn map_state(&self, handle: Handle) -> Option<&MapState> {
        match self.containers.content(handle) {
            Content::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(super) fn list_state(&self, handle: Handle) -> Option<&ListState> {
        match self.containers.content(handle) {
            Content::List(list) => Some(list),
            _ => None,
        }
    }

    pub(super) fn text_state(&self, handle: Handle) -> Option<&TextState> {
        match self.containers.content(handle) {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }

    /// What is read at a place whose register is `values`: the winner; without one, a container that has content
    /// (somebody edited inside it while somebody else deleted it).
    fn entry(&self, parent: Handle, place: Place<'_>, values: Option<&MultiValue>) -> Option<Entry> {
        match values.and_then(MultiValue::get) {
            Some(Value::Container(kind)) => match self.containers.child(parent, place, *kind) {
                Some(handle) => Some(Entry::Container(*kind, handle)),
                None => Some(Entry::Value(Value::Null)),
            },
            Some(value) => Some(Entry::Value(value.clone())),
            None => {
                let mut inside = self.containers.at_place(parent, place);
                let handle = inside.find(|handle| self.containers.has_content(*handle))?;
                Some(Entry::Container(self.containers.kind(handle), handle))
            }
        }
    }
}

fn plain(entry: Entry) -> Value {
    match entry {
        Entry::Value(value) => value,
        Entry::Container(kind, _) => Value::Container(kind),
    }
}

impl<'a> MapRef<'a> {
    fn state(&self) -> Option<&'a MapState> {
        self.handle.and_then(|handle| self.doc.map_state(handle))
    }

    /// What a key reads: a plain value or a container.
    pub fn entry(&self, key: &str) -> Option<Entry> {
        let (handle, map) = (self.handle?, self.state()?);
        self.doc.entry(handle, Place::Name(key), map.get(key))
    }

    /// The value that a key reads; `Value::Container` for a container.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.entry(key).map(plain)
    }

    /// All concurrent values of a key, the one that is read first.
    pub fn values(&self, key: &str) -> Vec<Value> {
        let values = self.state().and_then(|map| map.get(key));
        values.into_iter().flat_map(MultiValue::values).cloned().collect()
    }

    /// The keys that read something, sorted.
    pub fn keys(&self) -> Vec<String> {
        let (Some(handle), Some(map)) = (self.handle, self.state()) else { return Vec::new() };
        let mut keys: OrdSet<&str> = map.keys().collect();
        for (name, kinds) in self.doc.containers.named(handle) {
            if !keys.contains(name) && kinds.iter().any(|(_, child)| self.doc.containers.has_content(*child)) {
                keys.insert(name);
            }
        }
        keys.into_iter().map(str::to_owned).collect()
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.keys().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The container of this kind under a key, `None` if nobody has made it yet.
    pub fn child(&self, key: &str, kind: ContainerKind) -> Option<Handle> {
        self.doc.containers.child(self.handle?, Place::Name(key), kind)
    }
}

impl<'a> ListRef<'a> {
    fn state(&self) -> Option<&'a ListState> {
        self.handle.and_then(|handle| self.doc.list_state(handle))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.state().map_or(0, |list| list.len() as usize)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What element number `index` reads.
    pub fn entry(&self, index: usize) -> Option<Entry> {
        let (handle, list) = (self.handle?, self.state()?);
        let element = list.element_at(u32::try_from(index).ok()?)?;
        self.doc.entry(handle, Place::Element(element), list.value(element))
    }

    /// The value of element number `index`; `Value::Container` for a container.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.entry(index).map(plain)
    }

    /// All concurrent values of an element, the one that is read first.
    pub fn values(&self, index: usize) -> Vec<Value> {
        let element = self.state().and_then(|list| Some((list, list.element_at(u32::try_from(index).ok()?)?)));
        let values = element.and_then(|(list, element)| list.value(element));
        values.into_iter().flat_map(MultiValue::values).cloned().collect()
    }

    /// What all elements read, in order. O(n).
    pub fn entries(&self) -> Vec<Entry> {
        let (Some(handle), Some(list)) = (self.handle, self.state()) else { return Vec::new() };
        let read = |element| self.doc.entry(handle, Place::Element(element), list.value(element));
        list.elements().filter_map(read).collect()
    }
}

impl RegisterRef<'_> {
    /// The value that is read.
    pub fn get(&self) -> Option<Value> {
        self.values().into_iter().next()
    }

    /// All concurrent values, the one that is read first.
    pub fn values(&self) -> Vec<Value> {
        match self.handle.map(|handle| self.doc.containers.content(handle)) {
            Some(Content::Register(register)) => register.values().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

impl CounterRef<'_> {
    /// The sum.
    pub fn value(&self) -> i64 {
        match self.handle.map(|handle| self.doc.containers.content(handle)) {
            Some(Content::Counter(counter)) => counter.value(),
            _ => 0,
        }
    }
}

impl BoundedCounterRef<'_> {
    fn state(&self) -> Option<&BoundedState> {
        match self.doc.containers.content(self.handle?) {
            Content::BoundedCounter(counter) => Some(counter),
            _ => None,
        }
    }

    /// The value: never below zero. One that does not fit is told as the largest number.
    pub fn value(&self) -> u64 {
        self.state().map_or(0, |counter| u64::try_from(counter.value()).unwrap_or(u64::MAX))
    }

    /// How much of the value a replica may take away or give.
    pub fn rights(&self, replica: ReplicaId) -> u64 {
        self.state().map_or(0, |counter| u64::try_from(counter.rights(replica)).unwrap_or(u64::MAX))
    }
}

impl SetRef<'_> {
    /// The values, sorted.
    pub fn values(&self) -> Vec<Value> {
        match self.handle.map(|handle| self.doc.containers.content(handle)) {
            Some(Content::Set(set)) => set.values().cloned().collect(),
            Some(Content::RemoveWinsSet(set)) => set.values().cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a value is in the set.
    pub fn contains(&self, value: &Value) -> bool {
        match self.handle.map(|handle| self.doc.containers.content(handle)) {
            Some(Content::Set(set)) => set.contains(value),
            Some(Content::RemoveWinsSet(set)) => set.contains(value),
            _ => false,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.values().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

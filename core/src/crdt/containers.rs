//! All containers of a document: who is inside whom, and which operation goes to which.
//!
//! A container is named by (parent, place, kind), so two replicas that make "the same" one offline mean the same one.
//! Always holds: handles are stable for the life of the document; container 0 is the root map; nesting is bounded.

use smallvec::SmallVec;

use super::bounded::BoundedState;
use super::counter::CounterState;
use super::remove_wins::RemoveWinsState;
use super::set::SetState;
use super::{Applied, Context, Event, Extent, ListState, MapState, MultiValue, TextState, TreeState};
use crate::graph::Dot;
use crate::op::{ContainerKind, ElementRef, MarkRun, OpRun, TextRun, Value};
use crate::ordered::{OrdMap, sort_by_key};

/// Deepest nesting of containers; operations on deeper ones have no effect.
pub(crate) const MAX_DEPTH: u32 = 128;

/// A container of one document in memory: cheap to copy, valid as long as the document lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(pub(crate) u32);

impl Handle {
    /// The root map.
    pub const ROOT: Self = Self(0);

    /// A number that stands for the handle outside of Rust.
    pub fn to_u32(self) -> u32 {
        self.0
    }
}

/// Where in its parent a container lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// Under this key of a map.
    Name(&'a str),
    /// In this element of a list or node of a tree.
    Element(Dot),
}

/// A place, owned.
#[derive(Clone, Debug)]
pub(super) enum Spot {
    Name(String),
    Element(Dot),
}

/// The containers at one place, ordered by kind.
type Kinds = SmallVec<[(ContainerKind, Handle); 1]>;

/// The state of a container.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Map(MapState),
    List(ListState),
    Text(TextState),
    Register(MultiValue),
    Counter(CounterState),
    Set(SetState),
    Tree(TreeState),
    BoundedCounter(BoundedState),
    RemoveWinsSet(RemoveWinsState),
    /// Of a kind that only a newer version knows; whether any operation was meant for it.
    Unknown(bool),
}

impl Content {
    fn new(kind: ContainerKind, tracked: bool) -> Self {
        match kind {
            ContainerKind::Map => Self::Map(MapState::default()),
            ContainerKind::List => Self::List(ListState::new()),
            ContainerKind::Text => Self::Text(TextState::new(tracked)),
            ContainerKind::Register => Self::Register(MultiValue::default()),
            ContainerKind::Counter => Self::Counter(CounterState::default()),
            ContainerKind::Set => Self::Set(SetState::default()),
            ContainerKind::Tree => Self::Tree(TreeState::new()),
            ContainerKind::BoundedCounter => Self::BoundedCounter(BoundedState::default()),
            ContainerKind::RemoveWinsSet => Self::RemoveWinsSet(RemoveWinsState::default()),
            ContainerKind::Unknown(_) => Self::Unknown(false),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Map(map) => map.is_empty(),
            Self::List(list) => list.len() == 0,
            Self::Text(text) => text.rope().len() == 0,
            Self::Register(register) => register.is_empty(),
            Self::Counter(counter) => counter.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Tree(tree) => tree.len(None) == 0,
            Self::BoundedCounter(counter) => counter.value() == 0,
            Self::RemoveWinsSet(set) => set.is_empty(),
            Self::Unknown(used) => !used,
        }
    }
}

#[derive(Clone, Debug)]
struct Container {
    parent: Handle,
    spot: Spot,
    kind: ContainerKind,
    depth: u32,
    content: Content,
    named: OrdMap<String, Kinds>,
    in_elements: OrdMap<Dot, Kinds>,
}

impl Container {
    fn new(parent: Handle, spot: Spot, kind: ContainerKind, depth: u32, tracked: bool) -> Self {
        let content = Content::new(kind, tracked);
        Self { parent, spot, kind, depth, content, named: OrdMap::new(), in_elements: OrdMap::new() }
    }

    fn at(&self, place: Place<'_>) -> &[(ContainerKind, Handle)] {
        let kinds = match place {
            Place::Name(name) => self.named.get(name),
            Place::Element(dot) => self.in_elements.get(&dot),
        };
        kinds.map_or(&[], SmallVec::as_slice)
    }
}

/// Every container, and the events since somebody began to listen.
#[derive(Clone, Debug)]
pub(crate) struct Containers {
    all: Vec<Container>,
    /// Container, made here, what happened.
    events: Option<Vec<(Handle, bool, Event)>>,
    local: bool,
    /// Whether texts know who wrote what.
    tracked: bool,
    /// The container that was asked for by name last.
    recent: Handle,
    /// Trees that operations were applied to since they were settled; one may be named twice.
    unsettled: Vec<Handle>,
}

impl Containers {
    pub(crate) fn new() -> Self {
        let root = Container::new(Handle::ROOT, Spot::Name(String::new()), ContainerKind::Map, 0, false);
        Self {
            all: vec![root],
            events: None,
            local: false,
            tracked: false,
            recent: Handle::ROOT,
            unsettled: Vec::new(),
        }
    }

    /// Empties every container; handles stay. `tracked` tells whether texts are to know who wrote what.
    pub(crate) fn clear(&mut self, tracked: bool) {
        self.tracked = tracked;
        for container in &mut self.all {
            container.content = Content::new(container.kind, tracked);
        }
    }

    /// Whether somebody wants to hear of what happens.
    pub(crate) fn is_listening(&self) -> bool {
        self.events.is_some()
    }

    /// Number of containers.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// The containers inside another, ordered by place and kind; elements count by the ranks of their logs.
    pub(super) fn children(&self, handle: Handle, ranks: &[u32]) -> Vec<Handle> {
        let around = &self.all[handle.0 as usize];
        let mut elements: Vec<_> = around.in_elements.iter().collect();
        sort_by_key(&mut elements, |(dot, _)| (ranks[dot.log as usize], dot.seq));
        let kinds = around.named.values().chain(elements.into_iter().map(|(_, kinds)| kinds));
        kinds.flat_map(|kinds| kinds.iter().map(|(_, handle)| *handle)).collect()
    }

    /// The same containers, empty, for a replay behind which texts know who wrote what.
    pub(crate) fn emptied(&self) -> Self {
        let all = self.all.iter().map(|container| Container {
            spot: container.spot.clone(),
            content: Content::new(container.kind, true),
            named: container.named.clone(),
            in_elements: container.in_elements.clone(),
            ..*container
        });
        Self { all: all.collect(), tracked: true, recent: self.recent, ..Self::new() }
    }

    /// Whether texts know who wrote what.
    pub(crate) fn is_tracked(&self) -> bool {
        self.tracked
    }

    /// Tells whether texts that are made from now on know who wrote what.
    pub(super) fn set_tracked(&mut self, tracked: bool) {
        self.tracked = tracked;
    }

    /// Puts what texts have put down into their sequences, as far as they have any.
    pub(crate) fn catch_up(&mut self) {
        for container in &mut self.all {
            if let Content::Text(text) = &mut container.content {
                text.sequence();
            }
        }
    }

    pub(crate) fn content(&self, handle: Handle) -> &Content {
        &self.all[handle.0 as usize].content
    }

    pub(crate) fn content_mut(&mut self, handle: Handle) -> &mut Content {
        &mut self.all[handle.0 as usize].content
    }

    pub(crate) fn kind(&self, handle: Handle) -> ContainerKind {
        self.all[handle.0 as usize].kind
    }

    /// Parent and place; the root is its own parent.
    pub(crate) fn place(&self, handle: Handle) -> (Handle, Place<'_>) {
        let container = &self.all[handle.0 as usize];
        let place = match &container.spot {
            Spot::Name(name) => Place::Name(name),
            Spot::Element(dot) => Place::Element(*dot),
        };
        (container.parent, place)
    }

    /// Whether the elements around the container exist: a transaction that was taken back leaves handles behind.
    pub(crate) fn exists(&self, mut handle: Handle) -> bool {
        while handle != Handle::ROOT {
            let (parent, place) = self.place(handle);
            if !self.holds(parent, place) {
                return false;
            }
            handle = parent;
        }
        true
    }

    /// Whether a container has the element or node that a place in it names.
    fn holds(&self, parent: Handle, place: Place<'_>) -> bool {
        match (self.content(parent), place) {
            (Content::List(list), Place::Element(dot)) => list.has(dot),
            (Content::Tree(tree), Place::Element(dot)) => tree.has(dot),
            _ => true,
        }
    }

    /// The handle with this number.
    pub(crate) fn handle(&self, number: u32) -> Option<Handle> {
        ((number as usize) < self.all.len()).then_some(Handle(number))
    }

    pub(crate) fn child(&self, parent: Handle, place: Place<'_>, kind: ContainerKind) -> Option<Handle> {
        let at = self.all[parent.0 as usize].at(place);
        at.iter().find(|(other, _)| *other == kind).map(|(_, handle)| *handle)
    }

    /// The keys of a map under which containers were ever made, with the containers.
    pub(crate) fn named(&self, parent: Handle) -> impl Iterator<Item = (&str, &[(ContainerKind, Handle)])> {
        self.all[parent.0 as usize].named.iter().map(|(name, kinds)| (name.as_str(), kinds.as_slice()))
    }

    /// The containers of any kind at one place, ordered by kind.
    pub(crate) fn at_place(&self, parent: Handle, place: Place<'_>) -> impl Iterator<Item = Handle> {
        self.all[parent.0 as usize].at(place).iter().map(|(_, handle)| *handle)
    }

    /// The container at a place, made if there is none. `None` if the place cannot be in `parent` or is too deep.
    pub(crate) fn get_or_make(&mut self, parent: Handle, place: Place<'_>, kind: ContainerKind) -> Option<Handle> {
        match self.child(parent, place, kind) {
            // A replay keeps the handles: what is not there yet must not be found by them.
            Some(_) if !self.holds(parent, place) => None,
            Some(child) => Some(child),
            None => self.make(parent, place, kind),
        }
    }

    /// The container of this kind and name in the root map, made if there is none.
    #[inline]
    pub(crate) fn named_in_root(&mut self, name: &str, kind: ContainerKind) -> Handle {
        let recent = &self.all[self.recent.0 as usize];
        if recent.kind == kind && recent.depth == 1 && matches!(&recent.spot, Spot::Name(known) if known == name) {
            return self.recent;
        }
        let found = self.get_or_make(Handle::ROOT, Place::Name(name), kind);
        self.recent = found.expect("the root map holds any name");
        self.recent
    }

    fn make(&mut self, parent: Handle, place: Place<'_>, kind: ContainerKind) -> Option<Handle> {
        let depth = self.all[parent.0 as usize].depth + 1;
        let spot = match (self.content(parent), place) {
            (Content::Map(_), Place::Name(name)) => Spot::Name(name.to_owned()),
            (Content::List(list), Place::Element(dot)) if list.has(dot) => Spot::Element(dot),
            (Content::Tree(tree), Place::Element(dot)) if tree.has(dot) && kind == ContainerKind::Map => {
                Spot::Element(dot)
            }
            _ => return None,
        };
        if depth > MAX_DEPTH {
            return None;
        }
        let handle = Handle(self.all.len() as u32);
        let around = &mut self.all[parent.0 as usize];
        let kinds = match &spot {
            Spot::Name(name) => around.named.entry(name.clone()).or_default(),
            Spot::Element(dot) => around.in_elements.entry(*dot).or_default(),
        };
        kinds.push((kind, handle));
        sort_by_key(kinds, |item| *item);
        self.all.push(Container::new(parent, spot, kind, depth, self.tracked));
        Some(handle)
    }

    /// Whether anything is in the container or in one inside it.
    pub(crate) fn has_content(&self, handle: Handle) -> bool {
        !self.content(handle).is_empty()
            || self.named(handle).any(|(_, kinds)| kinds.iter().any(|(_, child)| self.has_content(*child)))
    }

    /// Applies a run of operations. `element` tells which operation a log means by an element.
    pub(crate) fn apply(
        &mut self,
        context: &Context<'_>,
        handle: Handle,
        run: OpRun<'_>,
        element: impl Fn(ElementRef) -> Option<Dot>,
    ) -> Applied {
        if let Content::Unknown(used) = self.content_mut(handle) {
            *used = true;
            return Applied::Unknown;
        }
        if let OpRun::Unknown { .. } = run {
            return Applied::Unknown;
        }
        if let Content::Tree(_) = self.content(handle) {
            return self.apply_tree(context, handle, &run, element);
        }
        if let Content::Text(_) = self.content(handle) {
            return match run {
                OpRun::TextInsert { pos, text, .. } => self.apply_text(context, handle, TextRun::Insert { pos, text }),
                OpRun::Delete { pos, len, backward } => {
                    self.apply_text(context, handle, TextRun::Delete { pos, len, backward })
                }
                OpRun::Mark(mark) => self.apply_mark(context, handle, &mark),
                _ => Applied::Invalid,
            };
        }
        let mut events = self.events.is_some().then(Vec::new);
        let mentioned = Mentioned::new(context, &run, &element);
        let content = &mut self.all[handle.0 as usize].content;
        let applied = match (content, run) {
            (Content::List(list), OpRun::ListInsert { pos, values }) => {
                list.insert(context, pos, values, &mut events).into()
            }
            (Content::List(list), OpRun::Delete { pos, len, backward }) => {
                list.delete(context, pos, len, backward, &mut events).into()
            }
            (Content::List(list), OpRun::ListMove { pos, element: moved }) => {
                element(moved).is_some_and(|moved| list.open_slot(context, pos, moved, &mut events)).into()
            }
            (Content::List(list), OpRun::ListSet { element: set, value }) => {
                element(set).is_some_and(|set| list.set(context, set, value, &mut events)).into()
            }
            (content, run) => match apply_single(content, context, run) {
                Some(event) => {
                    events.iter_mut().for_each(|events| events.extend(event.clone()));
                    Applied::Done
                }
                None => Applied::Invalid,
            },
        };
        if let Some(events) = events {
            self.tell(handle, events);
        }
        if applied == Applied::Done {
            mentioned.make(self, handle);
        }
        applied
    }

    /// Applies a run to a tree, which shows what it did once it is settled.
    fn apply_tree(
        &mut self,
        context: &Context<'_>,
        handle: Handle,
        run: &OpRun<'_>,
        element: impl Fn(ElementRef) -> Option<Dot>,
    ) -> Applied {
        let Content::Tree(tree) = &mut self.all[handle.0 as usize].content else { return Applied::Invalid };
        // A parent that is not known is no parent; no parent given is the top.
        let above = |parent: &Option<ElementRef>| parent.map_or(Some(None), |parent| element(parent).map(Some));
        let valid = match run {
            OpRun::TreeCreate { parent, pos } => above(parent).is_some_and(|parent| tree.create(context, parent, *pos)),
            OpRun::TreeMove { node, parent, pos } => {
                let named = element(*node).zip(above(parent));
                named.is_some_and(|(node, parent)| tree.move_to(context, node, parent, *pos))
            }
            OpRun::TreeDelete { node } => element(*node).is_some_and(|node| tree.delete(context, node)),
            _ => false,
        };
        if valid && self.unsettled.last() != Some(&handle) {
            self.unsettled.push(handle);
        }
        valid.into()
    }

    /// Settles the trees that operations were applied to: behind every change, and behind every edit made here.
    pub(crate) fn settle(&mut self) {
        for handle in std::mem::take(&mut self.unsettled) {
            let mut events = self.events.is_some().then(Vec::new);
            if let Content::Tree(tree) = self.content_mut(handle) {
                tree.settle(&mut events);
            }
            if let Some(events) = events {
                self.tell(handle, events);
            }
        }
    }

    /// Applies a run to a text.
    #[inline]
    pub(crate) fn apply_text(&mut self, context: &Context<'_>, handle: Handle, run: TextRun<'_>) -> Applied {
        let mut events = self.events.is_some().then(Vec::new);
        let Content::Text(state) = &mut self.all[handle.0 as usize].content else { return Applied::Invalid };
        let applied = match run {
            TextRun::Insert { pos, text } => state.insert(context, pos, text, &mut events),
            TextRun::Delete { pos, len, backward } => state.delete(context, pos, len, backward, &mut events),
        };
        if let Some(events) = events {
            self.tell(handle, events);
        }
        applied
    }

    fn apply_mark(&mut self, context: &Context<'_>, handle: Handle, mark: &MarkRun<'_>) -> Applied {
        let mut events = self.events.is_some().then(Vec::new);
        let Content::Text(state) = &mut self.all[handle.0 as usize].content else { return Applied::Invalid };
        let applied = state.mark(context, mark, &mut events);
        self.tell(handle, events.unwrap_or_default());
        applied
    }

    /// Inserts characters that were typed here, which `dot` is the first of.
    #[inline]
    pub(crate) fn type_text(&mut self, handle: Handle, dot: Dot, pos: u32, text: &str, extent: Extent) {
        let Content::Text(state) = &mut self.all[handle.0 as usize].content else { return };
        if let Some(all) = &mut self.events {
            let index_utf16 = state.rope().utf16_of(pos);
            all.push((handle, true, Event::TextInsert { index: pos, index_utf16, text: text.to_owned() }));
        }
        state.insert_seen(dot, pos, text, extent);
        if state.is_marked() && self.events.is_some() {
            self.tell_inherited(handle, dot, pos, extent);
        }
    }

    #[cold]
    fn tell_inherited(&mut self, handle: Handle, dot: Dot, pos: u32, extent: Extent) {
        let mut events = Some(Vec::new());
        if let Content::Text(state) = &self.all[handle.0 as usize].content {
            state.tell_inherited(dot, pos, extent, &mut events);
        }
        self.tell(handle, events.unwrap_or_default());
    }

    /// Deletes characters here.
    #[inline]
    pub(crate) fn erase_text(&mut self, handle: Handle, dot: Dot, pos: u32, len: u32) {
        let Content::Text(state) = &mut self.all[handle.0 as usize].content else { return };
        let mut events = self.events.is_some().then(Vec::new);
        state.delete_seen(dot, pos, len, false, &mut events);
        if let Some(events) = events {
            self.tell(handle, events);
        }
    }

    fn tell(&mut self, handle: Handle, events: Vec<Event>) {
        if let Some(all) = &mut self.events {
            all.extend(events.into_iter().map(|event| (handle, self.local, event)));
        }
    }

    /// Tells whether the operations that follow are made here.
    pub(crate) fn set_local(&mut self, local: bool) {
        self.local = local;
    }

    /// Begins or ends to keep events.
    pub(crate) fn listen(&mut self, on: bool) {
        self.events = on.then(|| self.events.take().unwrap_or_default());
    }

    pub(crate) fn take_events(&mut self) -> Vec<(Handle, bool, Event)> {
        self.events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(crate) fn events_len(&self) -> usize {
        self.events.as_ref().map_or(0, Vec::len)
    }

    /// Forgets the events behind the first `len`.
    pub(crate) fn truncate_events(&mut self, len: usize) {
        self.events.iter_mut().for_each(|events| events.truncate(len));
    }

    /// Takes the ear away, to be given back to `resume_listening`.
    pub(crate) fn pause_listening(&mut self) -> Option<Vec<(Handle, bool, Event)>> {
        self.events.take()
    }

    pub(crate) fn resume_listening(&mut self, events: Option<Vec<(Handle, bool, Event)>>) {
        self.events = events;
    }
}

/// The containers that a run's values name: they exist from then on, if empty.
struct Mentioned(Vec<(Spot, ContainerKind)>);

impl Mentioned {
    fn new(context: &Context<'_>, run: &OpRun<'_>, element: impl Fn(ElementRef) -> Option<Dot>) -> Self {
        Self(match run {
            OpRun::MapSet { key, value: Value::Container(kind) } => vec![(Spot::Name((*key).to_owned()), *kind)],
            OpRun::ListSet { element: set, value: Value::Container(kind) } => {
                element(*set).map(|dot| (Spot::Element(dot), *kind)).into_iter().collect()
            }
            OpRun::ListInsert { values, .. } => {
                let containers = values.iter().zip(0..).filter_map(|(value, i)| match value {
                    Value::Container(kind) => Some((Spot::Element(context.dot.plus(i)), *kind)),
                    _ => None,
                });
                containers.collect()
            }
            _ => Vec::new(),
        })
    }

    fn make(self, containers: &mut Containers, parent: Handle) {
        for (spot, kind) in self.0 {
            let place = match &spot {
                Spot::Name(name) => Place::Name(name),
                Spot::Element(dot) => Place::Element(*dot),
            };
            containers.get_or_make(parent, place, kind);
        }
    }
}

/// Operations on containers without an order: `None` if the operation is invalid.
fn apply_single(content: &mut Content, context: &Context<'_>, run: OpRun<'_>) -> Option<Option<Event>> {
    let register = |register: &mut MultiValue, value| {
        let before = register.get().cloned();
        match value {
            Some(value) => register.set(context, value),
            None => register.clear(context),
        }
        let now = register.get().cloned();
        (before != now).then_some(Event::Register { value: now })
    };
    Some(match (content, run) {
        (Content::Map(map), OpRun::MapSet { key, value }) => map.set(context, key, value),
        (Content::Map(map), OpRun::MapDelete { key }) => map.delete(context, key),
        (Content::Register(state), OpRun::RegisterSet { value }) => register(state, Some(value)),
        (Content::Register(state), OpRun::RegisterClear) => register(state, None),
        (Content::Counter(counter), OpRun::CounterAdd { by }) => counter.add(context, by),
        (Content::Counter(counter), OpRun::CounterReset) => counter.reset(context),
        (Content::Set(set), OpRun::SetAdd { value }) => set.add(context, value),
        (Content::Set(set), OpRun::SetRemove { value }) => set.remove(context, &value),
        (Content::RemoveWinsSet(set), OpRun::SetAdd { value }) => set.add(context, value),
        (Content::RemoveWinsSet(set), OpRun::SetRemove { value }) => set.remove(context, value),
        (Content::BoundedCounter(counter), OpRun::CounterAdd { by }) => counter.add(context, by)?,
        (Content::BoundedCounter(counter), OpRun::CounterTransfer { to, amount }) => {
            counter.transfer(context, to, amount)?;
            None
        }
        _ => return None,
    })
}

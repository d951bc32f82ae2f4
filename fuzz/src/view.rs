//! `View`: what a user interface knows of a document that it follows by patches alone.
//!
//! Always holds: after a container came into view empty, only patches change it here. Not here: anything that reads the
//! document, but for `View::of` at the beginning and `compare` at the end.

use std::collections::BTreeMap;

use selvedge::doc::{Patch, PatchKind};
use selvedge::{ContainerKind, Doc, Handle, OpId, Value};

/// Keys and values of marks.
type Marks = BTreeMap<String, String>;

/// One container, with values in their debug form (in which a NaN equals itself).
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Map(BTreeMap<String, String>),
    List(Vec<Option<String>>),
    /// Characters, each with its marks.
    Text(Vec<(char, Marks)>),
    Register(Option<String>),
    Counter(i64),
    Set(Vec<String>),
    /// The children of every node, and of the top.
    Tree(Children),
    Nothing,
}

/// All containers of a document, by handle.
#[derive(Clone, Debug, Default)]
pub struct View {
    shapes: BTreeMap<Handle, Shape>,
}

fn told(value: impl Into<selvedge::doc::PatchValue>) -> String {
    format!("{:?}", value.into())
}

fn first(values: Vec<Value>) -> Option<String> {
    values.into_iter().next().map(told)
}

impl Shape {
    fn empty(kind: ContainerKind) -> Self {
        match kind {
            ContainerKind::Map => Self::Map(BTreeMap::new()),
            ContainerKind::List => Self::List(Vec::new()),
            ContainerKind::Text => Self::Text(Vec::new()),
            ContainerKind::Register => Self::Register(None),
            ContainerKind::Counter | ContainerKind::BoundedCounter => Self::Counter(0),
            ContainerKind::Set | ContainerKind::RemoveWinsSet => Self::Set(Vec::new()),
            ContainerKind::Tree => Self::Tree(BTreeMap::new()),
            ContainerKind::Unknown(_) => Self::Nothing,
        }
    }

    /// What the document says itself. Map keys that only show an unmarked container have no value here.
    fn read(doc: &Doc, handle: Handle) -> Self {
        match doc.kind(handle) {
            ContainerKind::Map => {
                let map = doc.map_at(handle);
                let pairs = map.keys().into_iter().filter_map(|key| Some((first(map.values(&key))?, key)));
                Self::Map(pairs.map(|(value, key)| (key, value)).collect())
            }
            ContainerKind::List => {
                let list = doc.list_at(handle);
                Self::List((0..list.len()).map(|index| first(list.values(index))).collect())
            }
            ContainerKind::Text => {
                let (mut text, string) = (Vec::new(), doc.text_at(handle).to_string());
                let mut chars = string.chars();
                for span in doc.text_at(handle).runs() {
                    let marks: Marks = span.marks.into_iter().map(|(key, value)| (key, told(value))).collect();
                    text.extend(chars.by_ref().take(span.len).map(|c| (c, marks.clone())));
                }
                Self::Text(text)
            }
            ContainerKind::Register => Self::Register(doc.register_at(handle).get().map(told)),
            ContainerKind::Counter => Self::Counter(doc.counter_at(handle).value()),
            ContainerKind::BoundedCounter => Self::Counter(doc.bounded_counter_at(handle).value() as i64),
            ContainerKind::Set | ContainerKind::RemoveWinsSet => {
                Self::Set(doc.set_at(handle).values().into_iter().map(told).collect())
            }
            ContainerKind::Tree => {
                let tree = doc.tree_at(handle);
                let parents = tree.nodes().into_iter().map(|node| (Some(node), tree.children(node)));
                let all = parents.chain([(None, tree.roots())]);
                Self::Tree(all.filter(|(_, children)| !children.is_empty()).collect())
            }
            ContainerKind::Unknown(_) => Self::Nothing,
        }
    }

    fn apply(&mut self, kind: &PatchKind) -> Option<()> {
        match (self, kind) {
            (Self::Map(map), PatchKind::MapSet { key, value }) => match value {
                Some(value) => drop(map.insert(key.clone(), told(value.clone()))),
                None => drop(map.remove(key)),
            },
            (Self::List(list), PatchKind::ListInsert { index, values }) => {
                let at = *index as usize;
                let values: Vec<_> = values.iter().cloned().map(|value| value.map(told)).collect();
                list.get(at..)?;
                list.splice(at..at, values);
            }
            (Self::List(list), PatchKind::ListDelete { index, len }) => {
                let (start, end) = (*index as usize, (*index + *len) as usize);
                list.get(start..end)?;
                list.drain(start..end);
            }
            (Self::List(list), PatchKind::ListSet { index, value }) => {
                *list.get_mut(*index as usize)? = value.clone().map(told);
            }
            (Self::Text(text), PatchKind::TextInsert { index, index_utf16, text: added }) => {
                let at = place(text, *index, *index_utf16)?;
                text.splice(at..at, added.chars().map(|c| (c, Marks::new())));
            }
            (Self::Text(text), PatchKind::TextDelete { index, len, index_utf16, len_utf16 }) => {
                let start = place(text, *index, *index_utf16)?;
                let end = place(text, index + len, index_utf16 + len_utf16)?;
                text.drain(start..end);
            }
            (Self::Text(text), PatchKind::TextMark { index, len, index_utf16, len_utf16, key, value }) => {
                let start = place(text, *index, *index_utf16)?;
                let end = place(text, index + len, index_utf16 + len_utf16).filter(|end| start < *end)?;
                for (_, marks) in &mut text[start..end] {
                    let before = match value {
                        Some(value) => marks.insert(key.clone(), told(value.clone())),
                        None => Some(marks.remove(key)?),
                    };
                    // A patch that changes nothing is one too many.
                    if before == value.clone().map(told) {
                        return None;
                    }
                }
            }
            (Self::Counter(counter), PatchKind::Counter { by }) => *counter = counter.wrapping_add(*by),
            (Self::Register(register), PatchKind::Register { value }) => *register = value.clone().map(told),
            (Self::Set(set), PatchKind::SetAdd { value }) => {
                let value = told(value.clone());
                if set.contains(&value) {
                    return None;
                }
                set.push(value);
            }
            (Self::Set(set), PatchKind::SetRemove { value }) => {
                let value = told(value.clone());
                let at = set.iter().position(|known| *known == value)?;
                set.remove(at);
            }
            (Self::Tree(tree), PatchKind::TreeCreate { node, parent, index }) => {
                let known = |node: &OpId| tree.values().flatten().any(|other| other == node);
                if known(node) || parent.is_some_and(|parent| !known(&parent)) {
                    return None;
                }
                put(tree, *node, *parent, *index)?;
            }
            (Self::Tree(tree), PatchKind::TreeMove { node, parent, index }) => {
                let mut above = *parent;
                while let Some(at) = above {
                    above = parent_of(tree, at)?;
                    if at == *node {
                        return None;
                    }
                }
                leave(tree, *node)?;
                put(tree, *node, *parent, *index)?;
            }
            (Self::Tree(tree), PatchKind::TreeDelete { node }) => {
                leave(tree, *node)?;
                let mut gone = vec![*node];
                while let Some(parent) = gone.pop() {
                    gone.extend(tree.remove(&Some(parent)).unwrap_or_default());
                }
            }
            _ => return None,
        }
        Some(())
    }
}

type Children = BTreeMap<Option<OpId>, Vec<OpId>>;

/// The parent of a node that is in the tree.
fn parent_of(tree: &Children, node: OpId) -> Option<Option<OpId>> {
    tree.iter().find(|(_, children)| children.contains(&node)).map(|(parent, _)| *parent)
}

fn put(tree: &mut Children, node: OpId, parent: Option<OpId>, index: u32) -> Option<()> {
    let children = tree.entry(parent).or_default();
    children.get(index as usize..)?;
    children.insert(index as usize, node);
    Some(())
}

fn leave(tree: &mut Children, node: OpId) -> Option<()> {
    let parent = parent_of(tree, node)?;
    tree.get_mut(&parent)?.retain(|child| *child != node);
    tree.retain(|_, children| !children.is_empty());
    Some(())
}

/// A position in a text, if both ways to count it agree.
fn place(text: &[(char, Marks)], chars: u32, utf16: u32) -> Option<usize> {
    let before = text.get(..chars as usize)?;
    let units: usize = before.iter().map(|(c, _)| c.len_utf16()).sum();
    (units == utf16 as usize).then_some(chars as usize)
}

impl View {
    /// A view that begins with what is there now.
    pub fn of(doc: &Doc) -> Self {
        let handles = (0..).map_while(|number| doc.handle(number));
        Self { shapes: handles.map(|handle| (handle, Shape::read(doc, handle))).collect() }
    }

    /// Applies one patch.
    ///
    /// # Errors
    /// If the patch does not fit what the patches before it have made.
    pub fn apply(&mut self, patch: &Patch) -> Result<(), String> {
        let kind = match &patch.kind {
            PatchKind::MapSet { .. } => ContainerKind::Map,
            PatchKind::ListInsert { .. } | PatchKind::ListDelete { .. } | PatchKind::ListSet { .. } => {
                ContainerKind::List
            }
            PatchKind::TextInsert { .. } | PatchKind::TextDelete { .. } | PatchKind::TextMark { .. } => {
                ContainerKind::Text
            }
            PatchKind::Counter { .. } => ContainerKind::Counter,
            PatchKind::Register { .. } => ContainerKind::Register,
            PatchKind::SetAdd { .. } | PatchKind::SetRemove { .. } => ContainerKind::Set,
            PatchKind::TreeCreate { .. } | PatchKind::TreeMove { .. } | PatchKind::TreeDelete { .. } => {
                ContainerKind::Tree
            }
        };
        let shape = self.shapes.entry(patch.container).or_insert_with(|| Shape::empty(kind));
        let before = shape.clone();
        shape.apply(&patch.kind).ok_or_else(|| format!("the patch {patch:?} does not fit {before:?}"))
    }

    /// Checks that every container is what the document says.
    ///
    /// # Errors
    /// The first container that differs.
    pub fn compare(&self, doc: &Doc) -> Result<(), String> {
        for handle in (0..).map_while(|number| doc.handle(number)) {
            let mut shown = self.shapes.get(&handle).cloned().unwrap_or_else(|| Shape::empty(doc.kind(handle)));
            let mut real = Shape::read(doc, handle);
            if let (Shape::Set(shown), Shape::Set(real)) = (&mut shown, &mut real) {
                shown.sort();
                real.sort();
            }
            if shown != real {
                return Err(format!("{handle:?} at {:?} is {real:?}; its patches made {shown:?}", doc.path(handle)));
            }
        }
        Ok(())
    }
}

//! Making one edit of a script inside a transaction.

mod tree;

use selvedge::doc::{BoundedCounterMut, DeltaOp, Expand, ListMut, MapMut, SetMut, TextMut};
use selvedge::{ContainerKind, Doc, EditError, Handle, ReplicaId, Transaction, Value};

use super::{Edit, Failure, Plain, What};

/// Keys of maps; some are the names of root containers too, so that the root map meets them.
const KEYS: [&str; 13] =
    ["a", "b", "é😀", "", "map", "list", "text", "register", "counter", "set", "tree", "bounded", "remove-wins"];

fn key(number: u8) -> &'static str {
    KEYS[usize::from(number) % KEYS.len()]
}

/// The name that a root container of this kind has in scripts.
pub(super) fn root_name(kind: ContainerKind) -> &'static str {
    match kind {
        ContainerKind::Map => "map",
        ContainerKind::List => "list",
        ContainerKind::Text => "text",
        ContainerKind::Register => "register",
        ContainerKind::Counter => "counter",
        ContainerKind::Set => "set",
        ContainerKind::Tree => "tree",
        ContainerKind::BoundedCounter => "bounded",
        _ => "remove-wins",
    }
}

impl From<&Plain> for Value {
    fn from(plain: &Plain) -> Self {
        match plain {
            Plain::Null => Self::Null,
            Plain::Bool(value) => Self::Bool(*value),
            Plain::Int(value) => Self::Int(*value),
            Plain::Float(bits) => Self::Float(f64::from_bits(*bits)),
            Plain::Str(value) => Self::String(value.clone()),
            Plain::Bytes(value) => Self::Bytes(value.clone()),
        }
    }
}

/// All containers of a kind that the document has ever heard of, shown or not.
fn containers(doc: &Doc, kind: ContainerKind) -> Vec<Handle> {
    (0..).map_while(|number| doc.handle(number)).filter(|handle| doc.kind(*handle) == kind).collect()
}

/// Makes an edit. It fails only where nesting is too deep.
pub(super) fn apply(tx: &mut Transaction<'_>, edit: &Edit) -> Result<(), EditError> {
    let kind = edit.what.kind();
    let known = containers(tx.doc(), kind);
    let chosen = usize::from(edit.at) % (known.len() + 1);
    let handle = if chosen > 0 { known[chosen - 1] } else { named(tx, kind) };
    match &edit.what {
        What::RegisterSet { value } => tx.register_at(handle)?.set(value),
        What::RegisterClear => tx.register_at(handle)?.clear(),
        What::CounterAdd { by } => tx.counter_at(handle)?.add(*by),
        What::SetAdd { value } | What::RemoveWinsAdd { value } => tx.set_at(handle)?.add(value),
        What::SetRemove { pick } | What::RemoveWinsRemove { pick } => {
            let values = tx.doc().set_at(handle).values();
            remove(tx.set_at(handle)?, &values, *pick)
        }
        what => match kind {
            ContainerKind::Map => edit_map(tx.map_at(handle)?, what),
            ContainerKind::List => edit_list(tx.list_at(handle)?, what),
            ContainerKind::Tree => tree::edit(tx, handle, what),
            ContainerKind::BoundedCounter => edit_bounded(tx.bounded_counter_at(handle)?, what),
            _ => {
                let text = tx.doc().text_at(handle).to_string();
                edit_text(tx.text_at(handle)?, what, &text)
            }
        },
    }
}

fn named(tx: &mut Transaction<'_>, kind: ContainerKind) -> Handle {
    let name = root_name(kind);
    match kind {
        ContainerKind::Map => tx.map(name).handle(),
        ContainerKind::List => tx.list(name).handle(),
        ContainerKind::Text => tx.text(name).handle(),
        ContainerKind::Register => tx.register(name).handle(),
        ContainerKind::Counter => tx.counter(name).handle(),
        ContainerKind::Set => tx.set(name).handle(),
        ContainerKind::Tree => tx.tree(name).handle(),
        ContainerKind::BoundedCounter => tx.bounded_counter(name).handle(),
        _ => tx.remove_wins_set(name).handle(),
    }
}

fn remove(mut set: SetMut<'_>, values: &[Value], pick: u16) -> Result<(), EditError> {
    match values.len() {
        0 => set.remove("nothing"),
        len => set.remove(values[usize::from(pick) % len].clone()),
    }
}

/// The replicas that a script begins with.
fn replica(number: u8) -> ReplicaId {
    super::world::replica_id(u128::from(number) % 5 + 1)
}

fn edit_bounded(mut counter: BoundedCounterMut<'_>, what: &What) -> Result<(), EditError> {
    let owned = |amount: u16| u64::from(amount) % counter.rights().saturating_add(1);
    match what {
        What::BoundedAdd { amount } => counter.increment(u64::from(*amount)),
        What::BoundedTake { amount } => counter.decrement(owned(*amount)),
        What::BoundedTransfer { to, amount } => counter.transfer(replica(*to), owned(*amount)),
        _ => Ok(()),
    }
}

fn edit_map(mut map: MapMut<'_>, what: &What) -> Result<(), EditError> {
    match what {
        What::MapSet { key: at, value } => map.set(key(*at), value),
        What::MapDelete { key: at } => map.delete(key(*at)),
        What::MapChild { key: at, kind } => map.get_or_create(key(*at), *kind).map(drop),
        What::MapReplace { key: at, kind } => map.set_container(key(*at), *kind).map(drop),
        _ => Ok(()),
    }
}

fn edit_list(mut list: ListMut<'_>, what: &What) -> Result<(), EditError> {
    let len = list.len();
    let gap = |index: u16| usize::from(index) % (len + 1);
    let item = |index: u16| usize::from(index) % len.max(1);
    match what {
        What::ListInsert { index, values } => list.insert_all(gap(*index), values.iter().map(Into::into).collect()),
        What::ListInsertContainer { index, kind } => list.insert_container(gap(*index), *kind).map(drop),
        _ if len == 0 => Ok(()),
        What::ListDelete { index, len: count } => {
            let start = item(*index);
            list.delete(start, usize::from(*count) % (len - start + 1))
        }
        What::ListSet { index, value } => list.set(item(*index), value),
        What::ListMove { from, to } => list.move_to(item(*from), item(*to)),
        What::ListChild { index, kind } => list.container(item(*index), *kind).map(drop),
        _ => Ok(()),
    }
}

/// Marks of scripts: few keys, so that they meet.
fn mark_key(number: u8) -> &'static str {
    ["bold", "link", "é"][usize::from(number) % 3]
}

fn expand(number: u8) -> Expand {
    Expand::ALL[usize::from(number) % Expand::ALL.len()]
}

/// A Delta that fits a text, out of numbers: what is done, over how many characters, and with which mark.
fn delta(steps: &[(u8, u8, u8)], now: &str) -> Vec<DeltaOp> {
    let (mut chars, mut ops) = (now.chars(), Vec::new());
    for (what, len, mark) in steps {
        let value = (mark % 2 == 0).then(|| i64::from(mark % 5).into());
        let attributes = vec![(mark_key(*mark).to_owned(), value)];
        if what % 3 == 0 {
            ops.push(DeltaOp::Insert { text: "n😀w".to_owned(), attributes });
            continue;
        }
        let len = chars.by_ref().take(usize::from(*len) % 4).map(char::len_utf16).sum();
        ops.push(if what % 3 == 1 { DeltaOp::Retain { len, attributes } } else { DeltaOp::Delete { len } });
    }
    ops
}

fn edit_text(mut text: TextMut<'_>, what: &What, now: &str) -> Result<(), EditError> {
    let len = text.len();
    let gap = |pos: u16| usize::from(pos) % (len + 1);
    let utf16 = |pos: usize| now.chars().take(pos).map(char::len_utf16).sum::<usize>();
    match what {
        What::TextInsert { pos, text: added } => text.insert(gap(*pos), added),
        What::TextInsertUtf16 { pos, text: added } => text.insert_utf16(utf16(gap(*pos)), added),
        What::TextDelete { pos, len: count } => {
            let start = gap(*pos);
            text.delete(start, usize::from(*count) % (len - start + 1))
        }
        What::TextDeleteUtf16 { pos, len: count } => {
            let start = gap(*pos);
            let end = start + usize::from(*count) % (len - start + 1);
            text.delete_utf16(utf16(start), utf16(end) - utf16(start))
        }
        What::TextMark { pos, len: count, key, value, expand: rule } => {
            let start = gap(*pos);
            let end = start + usize::from(*count) % (len - start + 1);
            text.mark(start..end, mark_key(*key), i64::from(value % 3), expand(*rule))
        }
        What::TextUnmark { pos, len: count, key } => {
            let start = gap(*pos);
            text.unmark(start..start + usize::from(*count) % (len - start + 1), mark_key(*key))
        }
        What::TextDelta { steps } => text.apply_delta(&delta(steps, now), &|key| expand(key.len() as u8)),
        _ => Ok(()),
    }
}

/// Does what cannot be done.
pub(super) fn fail(tx: &mut Transaction<'_>, how: Failure) -> Result<(), EditError> {
    match how {
        Failure::Cancel => Err(EditError::Cancelled("as the script says".to_owned())),
        Failure::PastEnd => {
            let mut text = tx.text("text");
            let len = text.len();
            text.delete(len, 1)
        }
        Failure::InsideCharacter => {
            let mut text = tx.text("text");
            text.insert(0, "😀")?;
            text.insert_utf16(1, "x")
        }
        Failure::NoElement => {
            let mut list = tx.list("list");
            let len = list.len();
            list.set(len, 1)
        }
        Failure::Cycle => {
            let node = tx.tree("tree").create(None, 0)?;
            let below = tx.tree("tree").create(Some(node), 0)?;
            tx.tree("tree").move_to(node, Some(below), 0)
        }
        Failure::NoRights => {
            let mut counter = tx.bounded_counter("bounded");
            counter.increment(1)?;
            counter.decrement(counter.rights().saturating_add(1))
        }
        Failure::ContainerInSet => tx.set("set").add(ContainerKind::Text),
    }
}

//! Commands on their way in: `["textSplice", path, 3, 1, "x"]` and its like become `Command`s.
//!
//! The npm package has checked what the application gave; what is wrong here is a mistake of ours and refused as such.

use std::collections::BTreeMap;

use js_sys::{Array, Object, Uint8Array};
use selvedge::doc::{DeltaOp, Expand};
use selvedge::{ContainerKind, Value};
use wasm_bindgen::{JsCast, JsValue};

use crate::command::{Command, Edit, Key, Path, Plain};
use crate::fail::{fail, misuse};

/// How deep plain data may be nested; the npm package allows less.
const MAX_DEPTH: u32 = 256;

pub(crate) fn commands(list: &Array) -> Result<Vec<Command>, JsValue> {
    list.iter().map(|item| command(&item)).collect()
}

fn command(item: &JsValue) -> Result<Command, JsValue> {
    let item: &Array = item.dyn_ref().ok_or_else(|| misuse("a command is an array"))?;
    let name = string(&item.get(0))?;
    let (a, b, c) = (item.get(2), item.get(3), item.get(4));
    let edit = match name.as_str() {
        "mapSet" => Edit::MapSet(string(&a)?, plain(&b, 0)?),
        "mapDelete" => Edit::MapDelete(string(&a)?),
        "listInsert" => Edit::ListInsert(index(&a)?, plain_list(&b, 0)?),
        "listSet" => Edit::ListSet(index(&a)?, plain(&b, 0)?),
        "listDelete" => Edit::ListDelete(index(&a)?, index(&b)?),
        "listMove" => Edit::ListMove(index(&a)?, index(&b)?),
        "textSplice" => Edit::TextSplice(index(&a)?, index(&b)?, string(&c)?),
        "textMark" => {
            let value = Some(value(&item.get(5))?).filter(|value| *value != Value::Null);
            Edit::TextMark(index(&a)?, index(&b)?, string(&c)?, value, expand(&item.get(6))?)
        }
        "textDelta" => delta(&a)?,
        "counterAdd" => match value(&a)? {
            Value::Int(by) => Edit::CounterAdd(by),
            _ => return Err(misuse("a counter adds whole numbers")),
        },
        "setAdd" => Edit::SetAdd(value(&a)?),
        "setRemove" => Edit::SetRemove(value(&a)?),
        "registerSet" => Edit::RegisterSet(value(&a)?),
        "registerClear" => Edit::RegisterClear,
        other => return Err(misuse(&format!("there is no command {other}"))),
    };
    Ok(Command { path: path(&item.get(1))?, edit })
}

/// A Delta: each operation an array of what is inserted (a string), retained (its length) or deleted (less than zero),
/// and keys, values and rules of its attributes.
fn delta(list: &JsValue) -> Result<Edit, JsValue> {
    let list: &Array = list.dyn_ref().ok_or_else(|| misuse("a Delta is an array"))?;
    let (mut ops, mut rules) = (Vec::new(), Vec::<(String, Expand)>::new());
    for item in list.iter() {
        let item: &Array = item.dyn_ref().ok_or_else(|| misuse("an operation is an array"))?;
        let mut attributes = Vec::new();
        for i in (1..item.length()).step_by(3) {
            let key = string(&item.get(i))?;
            let rule = expand(&item.get(i + 2))?;
            match rules.iter_mut().find(|(known, _)| *known == key) {
                Some((_, known)) => *known = rule,
                None => rules.push((key.clone(), rule)),
            }
            attributes.push((key, Some(value(&item.get(i + 1))?).filter(|value| *value != Value::Null)));
        }
        let what = item.get(0);
        ops.push(match (what.as_string(), what.as_f64()) {
            (Some(text), _) => DeltaOp::Insert { text, attributes },
            (None, Some(len)) if len < 0.0 => DeltaOp::Delete { len: index(&(-len).into())? },
            _ => DeltaOp::Retain { len: index(&what)?, attributes },
        });
    }
    Ok(Edit::TextDelta(ops, rules))
}

fn expand(item: &JsValue) -> Result<Expand, JsValue> {
    Expand::ALL.get(index(item)?).copied().ok_or_else(|| misuse("there is no such rule"))
}

fn path(list: &JsValue) -> Result<Path, JsValue> {
    let list: &Array = list.dyn_ref().ok_or_else(|| misuse("a path is an array"))?;
    let step = |i: u32| {
        let key = match list.get(i).as_string() {
            Some(name) => Key::Name(name),
            None => Key::Index(index(&list.get(i))?),
        };
        let kind = ContainerKind::ALL.get(index(&list.get(i + 1))?).copied();
        Ok((key, kind.ok_or_else(|| misuse("there is no such kind of container"))?))
    };
    (0..list.length()).step_by(2).map(step).collect()
}

/// Plain data; objects and arrays become maps and lists.
pub(crate) fn plain(item: &JsValue, depth: u32) -> Result<Plain, JsValue> {
    if depth > MAX_DEPTH {
        return Err(fail("unsupported-value", "the data is nested too deeply"));
    }
    if Array::is_array(item) {
        return Ok(Plain::List(plain_list(item, depth)?));
    }
    if !item.is_object() || item.is_instance_of::<Uint8Array>() {
        return Ok(Plain::Value(value(item)?));
    }
    // One by one: collecting would sort them first, with a sort of its own for this type.
    let mut map = BTreeMap::new();
    for entry in Object::entries(item.unchecked_ref()).iter() {
        let entry: &Array = entry.unchecked_ref();
        map.insert(string(&entry.get(0))?, plain(&entry.get(1), depth + 1)?);
    }
    Ok(Plain::Map(map))
}

fn plain_list(item: &JsValue, depth: u32) -> Result<Vec<Plain>, JsValue> {
    let list: &Array = item.dyn_ref().ok_or_else(|| misuse("elements come in an array"))?;
    list.iter().map(|item| plain(&item, depth + 1)).collect()
}

fn value(item: &JsValue) -> Result<Value, JsValue> {
    if item.is_null() {
        return Ok(Value::Null);
    }
    if let Some(value) = item.as_bool() {
        return Ok(value.into());
    }
    if let Some(value) = item.as_f64() {
        // Whole numbers are integers, except for the zero that has a sign.
        let whole =
            value.fract() == 0.0 && value.abs() < (1u64 << 53) as f64 && (value != 0.0 || value.is_sign_positive());
        return Ok(if whole { Value::Int(value as i64) } else { Value::Float(value) });
    }
    if let Some(value) = item.as_string() {
        return Ok(value.into());
    }
    if let Some(bytes) = item.dyn_ref::<Uint8Array>() {
        return Ok(bytes.to_vec().into());
    }
    match i64::try_from(item.clone()) {
        Ok(value) => Ok(value.into()),
        Err(_) => Err(fail("unsupported-value", "a document cannot hold this value")),
    }
}

fn string(item: &JsValue) -> Result<String, JsValue> {
    item.as_string().ok_or_else(|| misuse("a string is missing"))
}

fn index(item: &JsValue) -> Result<usize, JsValue> {
    let number = item.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number));
    number.map(|number| number as usize).ok_or_else(|| misuse("an index is missing"))
}

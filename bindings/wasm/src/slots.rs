//! Values on their way out: plain values as they are, integers as numbers where those are exact and as bigints beyond.

use js_sys::{BigInt, Uint8Array};
use selvedge::Value;
use wasm_bindgen::JsValue;

/// The largest whole number below which every whole number is a JavaScript number.
const MAX_SAFE: i64 = (1 << 53) - 1;

pub(crate) fn integer(value: i64) -> JsValue {
    if (-MAX_SAFE..=MAX_SAFE).contains(&value) { JsValue::from_f64(value as f64) } else { BigInt::from(value).into() }
}

/// A value. A container without content of its own here reads as null, as in JSON.
pub(crate) fn value(value: &Value) -> JsValue {
    match value {
        Value::Null | Value::Container(_) => JsValue::NULL,
        Value::Bool(value) => JsValue::from_bool(*value),
        Value::Int(value) => integer(*value),
        Value::Float(value) => JsValue::from_f64(*value),
        Value::String(value) => JsValue::from_str(value),
        Value::Bytes(value) => Uint8Array::from(value.as_slice()).into(),
    }
}

pub(crate) fn optional(found: Option<&Value>) -> JsValue {
    found.map_or(JsValue::UNDEFINED, value)
}

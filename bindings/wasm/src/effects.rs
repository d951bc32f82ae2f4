//! Effects on their way out, as plain objects with a `type`.

use js_sys::{Object, Reflect, Uint8Array};
use selvedge::sync::{Effect, SyncStatus};
use wasm_bindgen::JsValue;

/// What the driver has to do. `None` for effects that are answered inside of this crate.
pub(crate) fn to_js(effect: Effect) -> Option<JsValue> {
    let object = Object::new();
    let set = |key: &str, value: JsValue| {
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&object, &key.into(), &value);
    };
    match effect {
        Effect::Persist { token, batch, .. } => {
            set("type", "persist".into());
            set("token", number(token.0));
            set("bytes", bytes(&batch.encode()));
        }
        Effect::Send { conn, bytes: message } => {
            set("type", "send".into());
            set("conn", number(conn.0));
            set("bytes", bytes(&message));
        }
        Effect::Status { status, .. } => {
            set("type", "status".into());
            set("status", status_to_js(status));
        }
        Effect::Presence { owner, user, key, value, .. } => {
            set("type", "presence".into());
            set("owner", owner.to_string().into());
            set("user", user.map_or(JsValue::UNDEFINED, Into::into));
            set("key", key.into());
            set("value", value.map_or(JsValue::UNDEFINED, |value| bytes(&value)));
        }
        Effect::Refused { code, text, .. } => {
            set("type", "refused".into());
            set("code", number(code as u64));
            set("text", text.into());
        }
        Effect::Close { conn, code, text } => {
            set("type", "close".into());
            set("conn", number(conn.0));
            set("code", number(code as u64));
            set("text", text.into());
        }
        _ => return None,
    }
    Some(object.into())
}

fn status_to_js(status: SyncStatus) -> JsValue {
    let object = Object::new();
    let flags = [
        ("saved", status.saved),
        ("connected", status.connected),
        ("received", status.received),
        ("durable", status.durable),
        ("caughtUp", status.caught_up),
    ];
    for (key, flag) in flags {
        // Setting a property of a fresh object cannot fail.
        let _ = Reflect::set(&object, &key.into(), &flag.into());
    }
    let _ = Reflect::set(&object, &"behind".into(), &number(status.behind));
    object.into()
}

fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// Tokens and connections are numbered from 1: they stay far below what a number holds exactly.
fn number(number: u64) -> JsValue {
    JsValue::from_f64(number as f64)
}

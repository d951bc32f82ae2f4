//! Errors as JavaScript sees them: objects with a stable `code` and a `message`. Panics too.

use js_sys::{Object, Reflect};
use selvedge::codec::DecodeError;
use selvedge::doc::EditError;
use wasm_bindgen::{JsCast, JsValue};

/// An error object; the npm package makes a `SelvedgeError` of it.
pub(crate) fn fail(code: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    error.unchecked_into::<Object>().into()
}

pub(crate) fn edit_error(error: EditError) -> JsValue {
    let code = match &error {
        EditError::OutOfRange { .. } | EditError::InsideCharacter { .. } => "out-of-range",
        EditError::WrongKind { .. } | EditError::UnknownKind { .. } => "wrong-kind",
        EditError::TooDeep(_) | EditError::ContainerInSet | EditError::NoMarkValue | EditError::Delta(_) => {
            "unsupported-value"
        }
        _ => "too-large",
    };
    fail(code, &error.to_string())
}

pub(crate) fn decode_error(what: &str, error: &DecodeError) -> JsValue {
    fail("malformed", &format!("{what}: {error}"))
}

/// The interface was used in another way than the npm package uses it.
pub(crate) fn misuse(what: &str) -> JsValue {
    fail("invalid-use", what)
}

/// Makes panics clear: the message is thrown as an error, instead of the trap that says "unreachable".
#[cfg(target_arch = "wasm32")]
pub(crate) fn install_panic_hook() {
    use std::sync::Once;
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            wasm_bindgen::throw_val(fail("panic", &format!("a bug in Selvedge: {info}")));
        }));
    });
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn install_panic_hook() {}

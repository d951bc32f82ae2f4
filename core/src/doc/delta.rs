//! Quill's Delta: what a rich text is, and how it is edited, as insertions, retained stretches and deletions.
//!
//! Always holds: lengths count UTF-16 code units, as Quill's do. Embeds (an insertion that is no string) are refused: a
//! text holds characters. Not here: applying a Delta (`edit/mark`), reading one from a text (`read/text`).

use serde_json::{Map, Value as Json, json};

use super::EditError;
use super::json::value_to_json;
use crate::op::Value;

/// Keys and values of marks; `None` (JSON's null) takes a mark away.
pub type Attributes = Vec<(String, Option<Value>)>;

/// One step of a Delta.
#[derive(Clone, Debug, PartialEq)]
pub enum DeltaOp {
    /// Inserts text with exactly these marks.
    Insert {
        /// The characters.
        text: String,
        /// Their marks.
        attributes: Attributes,
    },
    /// Passes over text, changing its marks.
    Retain {
        /// How much, in UTF-16 code units.
        len: usize,
        /// The marks that change.
        attributes: Attributes,
    },
    /// Deletes text.
    Delete {
        /// How much, in UTF-16 code units.
        len: usize,
    },
}

impl DeltaOp {
    /// As JSON: `{"insert": "text", "attributes": {"bold": true}}`.
    pub fn to_json(&self) -> Json {
        let (mut op, attributes) = match self {
            Self::Insert { text, attributes } => (json!({ "insert": text }), attributes.as_slice()),
            Self::Retain { len, attributes } => (json!({ "retain": len }), attributes.as_slice()),
            Self::Delete { len } => (json!({ "delete": len }), [].as_slice()),
        };
        if !attributes.is_empty() {
            let value = |value: &Option<Value>| value.as_ref().map_or(Json::Null, value_to_json);
            let pairs = attributes.iter().map(|(key, of)| (key.clone(), value(of)));
            op["attributes"] = Json::Object(pairs.collect::<Map<_, _>>());
        }
        op
    }

    /// From JSON.
    ///
    /// # Errors
    /// If it is no operation of a Delta, or one that a text cannot hold.
    pub fn from_json(json: &Json) -> Result<Self, EditError> {
        let attributes = attributes(json.get("attributes"))?;
        let len = |name| json.get(name).and_then(Json::as_u64).and_then(|len| usize::try_from(len).ok());
        match (json.get("insert"), len("retain"), len("delete")) {
            (Some(Json::String(text)), None, None) => Ok(Self::Insert { text: text.clone(), attributes }),
            (Some(_), None, None) => Err(EditError::Delta("an embed cannot be held by a text; insert a string")),
            (None, Some(len), None) => Ok(Self::Retain { len, attributes }),
            (None, None, Some(len)) => Ok(Self::Delete { len }),
            _ => Err(EditError::Delta("each operation is one of insert, retain and delete")),
        }
    }
}

fn attributes(json: Option<&Json>) -> Result<Attributes, EditError> {
    let pairs = match json {
        None | Some(Json::Null) => return Ok(Vec::new()),
        Some(Json::Object(pairs)) => pairs.iter(),
        Some(_) => return Err(EditError::Delta("attributes are an object")),
    };
    let value = |json: &Json| match json {
        Json::Null => Ok(None),
        Json::Bool(value) => Ok(Some((*value).into())),
        Json::String(value) => Ok(Some(value.as_str().into())),
        Json::Number(number) => Ok(number.as_i64().map(Value::Int).or_else(|| number.as_f64().map(Value::Float))),
        _ => Err(EditError::Delta("the value of an attribute is a string, a number, a boolean or null")),
    };
    pairs.map(|(key, json)| Ok((key.clone(), value(json)?))).collect()
}

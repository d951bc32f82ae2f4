//! `Value`: what a register, a map key, a list element or a set can hold, and its bytes.

use serde::{Deserialize, Serialize};

use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_bytes, put_i64, put_str};

/// The kinds of container, in the order of their tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerKind {
    /// Keys with a multi-value register each.
    Map,
    /// Movable elements in an order.
    List,
    /// Characters in an order.
    Text,
    /// One multi-value register.
    Register,
    /// A sum of increments.
    Counter,
    /// An observed-remove set of values in which additions win.
    Set,
    /// Nodes that can be moved, each with ordered children and a map.
    Tree,
    /// A sum that never falls below zero.
    BoundedCounter,
    /// A set of values in which removals win.
    RemoveWinsSet,
    /// A kind that a newer version made: kept and passed on, shown as nothing.
    #[serde(skip_deserializing)]
    Unknown(UnknownKind),
}

/// The tag of a kind that this version does not know. Only reading makes one, so it never stands for a known kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct UnknownKind(u8);

impl ContainerKind {
    /// All kinds that this version knows, in the order of their tags.
    pub const ALL: [Self; 9] = [
        Self::Map,
        Self::List,
        Self::Text,
        Self::Register,
        Self::Counter,
        Self::Set,
        Self::Tree,
        Self::BoundedCounter,
        Self::RemoveWinsSet,
    ];

    /// The number that stands for the kind in bytes.
    pub fn tag(self) -> u8 {
        match self {
            Self::Unknown(kind) => kind.0,
            known => Self::ALL.iter().position(|kind| *kind == known).map_or(u8::MAX, |tag| tag as u8),
        }
    }

    pub(crate) fn is_known(self) -> bool {
        !matches!(self, Self::Unknown(_))
    }

    /// The kind with this tag, of which a declaration has seven bits.
    pub(crate) fn from_tag(tag: u8) -> Option<Self> {
        let unknown = (tag < 128).then_some(Self::Unknown(UnknownKind(tag)));
        Self::ALL.get(usize::from(tag)).copied().or(unknown)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.clone();
        let tag = reader.u8("container kind")?;
        Self::from_tag(tag).ok_or_else(|| at.error("container kind", DecodeErrorKind::UnknownTag(u64::from(tag))))
    }
}

/// A value. Floats are compared by their bits, so that equal values have equal bytes; there is one NaN.
#[derive(Clone, Debug)]
pub enum Value {
    /// JSON's null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Float(f64),
    /// A string that is replaced as a whole (a `Text` container is edited character by character).
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// The container of this kind that lives at this place.
    Container(ContainerKind),
}

impl Value {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0),
            Self::Bool(value) => out.push(1 + u8::from(*value)),
            Self::Int(value) => {
                out.push(3);
                put_i64(out, *value);
            }
            Self::Float(value) => {
                out.push(4);
                out.extend_from_slice(&canonical_bits(*value).to_le_bytes());
            }
            Self::String(value) => {
                out.push(5);
                put_str(out, value);
            }
            Self::Bytes(value) => {
                out.push(6);
                put_bytes(out, value);
            }
            Self::Container(kind) => {
                out.push(7);
                out.push(kind.tag());
            }
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let at = reader.clone();
        Ok(match reader.u8("value tag")? {
            0 => Self::Null,
            tag @ (1 | 2) => Self::Bool(tag == 2),
            3 => Self::Int(reader.i64("integer value")?),
            4 => {
                let value = f64::from_le_bytes(reader.array("float value")?);
                if value.to_bits() != canonical_bits(value) {
                    return Err(at.error("float value", DecodeErrorKind::NotCanonical));
                }
                Self::Float(value)
            }
            5 => Self::String(reader.str("string value")?.to_owned()),
            6 => Self::Bytes(reader.bytes("bytes value")?.to_vec()),
            7 => Self::Container(ContainerKind::read(reader)?),
            tag => return Err(at.error("value tag", DecodeErrorKind::UnknownTag(u64::from(tag)))),
        })
    }

    /// An upper bound of the encoding's length for short values, close to it for long ones.
    pub(crate) fn size_hint(&self) -> usize {
        match self {
            Self::String(value) => value.len() + 8,
            Self::Bytes(value) => value.len() + 8,
            _ => 16,
        }
    }

    /// An order over all values, by kind and then by content: what sets are sorted by.
    fn sort_key(&self) -> (u8, i64, u64, &[u8]) {
        match self {
            Self::Null => (0, 0, 0, &[]),
            Self::Bool(value) => (1, i64::from(*value), 0, &[]),
            Self::Int(value) => (2, *value, 0, &[]),
            Self::Float(value) => {
                let bits = canonical_bits(*value);
                let order = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
                (3, 0, order, &[])
            }
            Self::String(value) => (4, 0, 0, value.as_bytes()),
            Self::Bytes(value) => (5, 0, 0, value),
            Self::Container(kind) => (6, i64::from(kind.tag()), 0, &[]),
        }
    }
}

fn canonical_bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN.to_bits() & !(1 << 63) } else { value.to_bits() }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.sort_key() == other.sort_key()
    }
}

impl Eq for Value {}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

macro_rules! value_from {
    ($($from:ty => $to:expr),* $(,)?) => { $(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                $to(value)
            }
        }
    )* };
}

value_from! {
    bool => Value::Bool,
    i32 => |value| Value::Int(i64::from(value)),
    u32 => |value| Value::Int(i64::from(value)),
    i64 => Value::Int,
    f64 => Value::Float,
    &str => |value: &str| Value::String(value.to_owned()),
    String => Value::String,
    Vec<u8> => Value::Bytes,
    ContainerKind => Value::Container,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_trip_and_sort_by_kind_then_content() {
        let values = [
            Value::Null,
            false.into(),
            true.into(),
            i64::MIN.into(),
            7.into(),
            Value::Float(-1.5),
            Value::Float(-0.0),
            Value::Float(0.0),
            Value::Float(f64::NAN),
            "".into(),
            "é".into(),
            vec![1, 2].into(),
            ContainerKind::Set.into(),
        ];
        for pair in values.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        for value in values {
            let mut bytes = Vec::new();
            value.write(&mut bytes);
            assert_eq!(Value::read(&mut Reader::new(&bytes)), Ok(value));
        }
    }

    #[test]
    fn a_kind_of_a_newer_version_keeps_its_tag() {
        for tag in 0..=127 {
            let kind = ContainerKind::read(&mut Reader::new(&[tag]));
            assert_eq!(kind.as_ref().map(|kind| kind.tag()), Ok(tag));
            assert_eq!(kind.is_ok_and(ContainerKind::is_known), usize::from(tag) < ContainerKind::ALL.len());
        }
        assert!(ContainerKind::read(&mut Reader::new(&[128])).is_err());
    }

    #[test]
    fn there_is_one_nan_on_the_wire() {
        let mut bytes = vec![4];
        bytes.extend_from_slice(&(f64::NAN.to_bits() | 3).to_le_bytes());
        assert!(Value::read(&mut Reader::new(&bytes)).is_err());
    }
}

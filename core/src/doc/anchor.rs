//! `Anchor`: a position that survives edits: it stays with a character of a text or an element of a list.
//!
//! Always holds: an anchor means the same on every copy: it names the operation that inserted the character, and the
//! container by its way from the root, never anything that differs between copies. Bytes: docs/format.md, §8.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Doc, EditError};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_str, put_u64};
use crate::crdt::{Bound, Content, Handle, Metric, Place, Side};
use crate::graph::Dot;
use crate::id::OpId;
use crate::op::{ContainerKind, MAX_SEQ};

/// One step on the way from the root to a container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Name(String),
    Element(OpId),
}

/// A position in a text or list that stays with what is there. In JSON it is a string.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Anchor {
    side: Side,
    /// `None`: the beginning (`After`) or the end (`Before`), wherever they are.
    op: Option<OpId>,
    container: Vec<(ContainerKind, Step)>,
}

/// Where an anchor is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The text or list.
    pub container: Handle,
    /// Unicode scalar values before it in a text, elements in a list.
    pub index: usize,
    /// UTF-16 code units before it; in a list the same as `index`.
    pub utf16: usize,
    /// Bytes of UTF-8 before it; in a list the same as `index`.
    pub utf8: usize,
}

impl Doc {
    /// An anchor at a position of a text (in Unicode scalar values) or list. `Side::Before` stays before the character
    /// behind the position, `Side::After` behind the one before it; at the end and at the beginning, where there is no
    /// such character, it stays at the end and the beginning. O(log n); the first one in a document replays its history
    /// once.
    ///
    /// # Errors
    /// If the position is past the end, or the container has no order.
    pub fn anchor(&mut self, container: Handle, pos: usize, side: Side) -> Result<Anchor, EditError> {
        let len = match self.containers.content(container) {
            Content::Text(text) => text.rope().len(),
            Content::List(list) => list.len(),
            _ => {
                let (found, wanted) = (self.kind(container), ContainerKind::Text);
                return Err(EditError::WrongKind { place: format!("container {}", container.to_u32()), found, wanted });
            }
        };
        let pos = u32::try_from(pos).ok().filter(|pos| *pos <= len);
        let pos =
            pos.ok_or(EditError::OutOfRange { what: "position", index: pos.unwrap_or(0) as usize, len: len as usize })?;
        self.track();
        let bound = match self.containers.content_mut(container) {
            Content::Text(text) => text.bound_at(pos, side),
            Content::List(list) => Some(list.bound_at(pos, side)),
            _ => None,
        };
        let dot = bound.map(|bound| bound.dot).filter(|dot| *dot != Dot::NONE);
        Ok(Anchor { side, op: dot.map(|dot| self.op_id(dot)), container: self.way_to(container) })
    }

    /// Where an anchor is now: at its character or, if that was deleted, where it was. `None` if the container or the
    /// character is not known here (yet). O(log n).
    pub fn resolve(&mut self, anchor: &Anchor) -> Option<Position> {
        let container = self.walk(&anchor.container)?;
        let dot = match anchor.op {
            Some(op) => self.dot(op)?,
            None => Dot::NONE,
        };
        self.track();
        let bound = Bound { dot, side: anchor.side };
        match self.containers.content_mut(container) {
            Content::Text(text) => {
                let pos = text.position_of(bound)? as usize;
                let place = text.rope().locate(Metric::Scalar, pos)?;
                Some(Position { container, index: pos, utf16: place.utf16 as usize, utf8: place.bytes })
            }
            Content::List(list) => {
                let index = list.position_of(bound)? as usize;
                Some(Position { container, index, utf16: index, utf8: index })
            }
            _ => None,
        }
    }

    fn way_to(&self, mut container: Handle) -> Vec<(ContainerKind, Step)> {
        let mut way = Vec::new();
        while container != Handle::ROOT {
            let (parent, place) = self.containers.place(container);
            let step = match place {
                Place::Name(name) => Step::Name(name.to_owned()),
                Place::Element(dot) => Step::Element(self.op_id(dot)),
            };
            way.push((self.kind(container), step));
            container = parent;
        }
        way.reverse();
        way
    }

    fn walk(&self, way: &[(ContainerKind, Step)]) -> Option<Handle> {
        way.iter().try_fold(Handle::ROOT, |at, (kind, step)| {
            let place = match step {
                Step::Name(name) => Place::Name(name),
                Step::Element(op) => Place::Element(self.dot(*op)?),
            };
            self.containers.child(at, place, *kind)
        })
    }
}

impl Anchor {
    /// As bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.side == Side::After) | u8::from(self.op.is_some()) << 1];
        if let Some(op) = self.op {
            put_op(&mut out, op);
        }
        for (kind, step) in &self.container {
            out.push(kind.tag() << 1 | u8::from(matches!(step, Step::Element(_))));
            match step {
                Step::Name(name) => put_str(&mut out, name),
                Step::Element(op) => put_op(&mut out, *op),
            }
        }
        out
    }

    /// From bytes.
    ///
    /// # Errors
    /// If they are no anchor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let flags = reader.bounded("anchor flags", 3)?;
        let side = if flags & 1 == 1 { Side::After } else { Side::Before };
        let op = (flags & 2 != 0).then(|| read_op(&mut reader)).transpose()?;
        let mut container = Vec::new();
        while !reader.is_empty() {
            let at = reader.clone();
            let tag = reader.u8("container kind")?;
            let kind = ContainerKind::read(&mut Reader::new(&[tag >> 1])).map_err(|e| at.error(e.field, e.kind))?;
            let step = match tag & 1 {
                0 => Step::Name(reader.str("container key")?.to_owned()),
                _ => Step::Element(read_op(&mut reader)?),
            };
            container.push((kind, step));
        }
        Ok(Self { side, op, container })
    }
}

fn put_op(out: &mut Vec<u8>, op: OpId) {
    out.extend_from_slice(op.replica.as_bytes());
    put_u64(out, op.seq);
}

fn read_op(reader: &mut Reader<'_>) -> Result<OpId, DecodeError> {
    Ok(OpId { replica: reader.replica("anchor author")?, seq: reader.bounded("anchor seq", MAX_SEQ)? })
}

/// The bytes as hexadecimal digits.
impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<Anchor> for String {
    fn from(anchor: Anchor) -> Self {
        anchor.to_string()
    }
}

impl FromStr for Anchor {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let fail =
            || DecodeError { field: "anchor", offset: 0, kind: DecodeErrorKind::Inconsistent("it is not hexadecimal") };
        let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
        let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
        Self::from_bytes(&bytes.ok_or_else(fail)?)
    }
}

impl TryFrom<String> for Anchor {
    type Error = DecodeError;

    fn try_from(text: String) -> Result<Self, DecodeError> {
        text.parse()
    }
}

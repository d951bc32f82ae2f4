//! The walk over a change, field by field: the one description of which column each field belongs to.
//!
//! Always holds: the walk depends on what it met before in the same segment only. Where a segment does not start with its
//! log, every name is taken for known. Not here: the two directions (`split`, `join`).

use super::store::{Bytes, Number};
use crate::codec::DecodeError;
use crate::op::body::opcode;
use crate::op::change::{HAS_DEPS, HAS_MESSAGE, ONE_OP, TIME_FULL, TIME_MASK, TIME_MS};
use crate::ordered::OrdMap;

/// In place of a change's flags: it is kept as it is.
pub(super) const VERBATIM: u8 = 0x80;

/// One direction of the walk: each call moves a field from the change to its column, or back.
pub(super) trait Side {
    fn flags(&mut self) -> Result<u8, DecodeError>;
    fn number(&mut self, column: Number) -> Result<u64, DecodeError>;
    /// A number kept as its difference from `base`.
    fn near(&mut self, column: Number, base: u64) -> Result<u64, DecodeError>;
    /// A number kept as 0 if it is `next`, and as one more than it is otherwise.
    fn or_next(&mut self, column: Number, next: Option<u64>) -> Result<u64, DecodeError>;
    fn byte(&mut self, column: Bytes) -> Result<u8, DecodeError>;
    fn raw(&mut self, column: Bytes, len: u64) -> Result<(), DecodeError>;
    /// The 16 bytes of a replica. Returns its segment, if there is one that starts with the log.
    fn replica(&mut self) -> Result<Option<u32>, DecodeError>;
    /// A dependency's digest; `target` is the segment of the log.
    fn digest(&mut self, target: Option<u32>, end: u64) -> Result<(), DecodeError>;
    /// A key behind its length.
    fn key(&mut self) -> Result<(), DecodeError>;
    /// A head with its position and count, at most `left`. A run may go on from the change before into the `first` head.
    fn head(&mut self, first: bool, left: u64) -> Result<Head, DecodeError>;
    /// The text of a change, which is all that is left of it.
    fn text(&mut self, chars: u64) -> Result<(), DecodeError>;
    /// The error about a value's tag, which was read last.
    fn unknown_tag(&self, tag: u8) -> DecodeError;
}

/// A head: opcode and number of operations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) code: u8,
    pub(super) count: u64,
}

/// What a segment has mentioned so far. `None`: it is unknown how many there are, and nothing is taken for new.
#[derive(Debug, Default)]
pub(super) struct LogState {
    names: Option<u64>,
    containers: Option<u64>,
    authors: Option<u64>,
    /// The segments of the replicas that dependencies name.
    targets: Vec<Option<u32>>,
    /// The ends that dependencies named last, by name.
    ends: OrdMap<u64, u64>,
    /// The seq of the last element.
    element: u64,
}

impl LogState {
    /// At the start of a segment.
    pub(super) fn new(first_seq: u64) -> Self {
        let none = (first_seq == 0).then_some(0);
        Self { names: none, containers: none, authors: none, ..Self::default() }
    }
}

/// What follows a head. A run that is both placed and counted goes on into the next change where that starts at the
/// cursor with the same opcode.
pub(super) struct Layout {
    pub(super) placed: bool,
    pub(super) counted: bool,
    fields: &'static [Field],
}

#[derive(Clone, Copy)]
enum Field {
    Container,
    Text,
    Element,
    Key,
    Value,
    Values,
    Int,
}

const fn layout(placed: bool, counted: bool, fields: &'static [Field]) -> Layout {
    Layout { placed, counted, fields }
}

/// By opcode.
pub(super) const LAYOUTS: [Layout; 15] = [
    layout(false, false, &[Field::Container]),
    layout(true, true, &[Field::Text]),
    layout(true, true, &[]),
    layout(true, true, &[]),
    layout(true, true, &[Field::Values]),
    layout(true, false, &[Field::Element]),
    layout(false, false, &[Field::Element, Field::Value]),
    layout(false, false, &[Field::Key, Field::Value]),
    layout(false, false, &[Field::Key]),
    layout(false, false, &[Field::Value]),
    layout(false, false, &[]),
    layout(false, false, &[Field::Int]),
    layout(false, false, &[]),
    layout(false, false, &[Field::Value]),
    layout(false, false, &[Field::Value]),
];

/// Counts below this are part of a head's token, from 1 on.
pub(super) const NEAR: u64 = 8;

/// By opcode, the token of a head at the cursor (or without a position) with a count of 1 (or without a count).
const TOKENS: [u8; LAYOUTS.len() + 1] = {
    let (mut tokens, mut code) = ([0; LAYOUTS.len() + 1], 0);
    while code < LAYOUTS.len() {
        let width = if LAYOUTS[code].placed { 2 } else { 1 } * if LAYOUTS[code].counted { NEAR as u8 } else { 1 };
        tokens[code + 1] = tokens[code] + width;
        code += 1;
    }
    tokens
};

/// A head in one byte: opcode, whether it is at the cursor, and the count up to `NEAR`, which stands for more.
pub(super) fn token(code: u8, at_cursor: bool, count: u64) -> u8 {
    let layout = &LAYOUTS[usize::from(code)];
    let near = if layout.counted { count.min(NEAR) as u8 - 1 } else { 0 };
    TOKENS[usize::from(code)] + if layout.placed { near * 2 + u8::from(!at_cursor) } else { near }
}

/// What a token stands for; the count is 1 where there is none.
pub(super) fn read_token(token: u8) -> Option<(u8, bool, u64)> {
    let code = TOKENS.partition_point(|first| *first <= token) - 1;
    let layout = LAYOUTS.get(code)?;
    let rest = token - TOKENS[code];
    let (near, at_cursor) = if layout.placed { (rest / 2, rest.is_multiple_of(2)) } else { (rest, true) };
    Some((code as u8, at_cursor, u64::from(near) + 1))
}

/// How many operations a head without a count stands for.
pub(super) fn ops_of(code: u8) -> u64 {
    u64::from(code != opcode::CONTAINER)
}

/// Walks over a change.
pub(super) fn change(side: &mut impl Side, log: &mut LogState) -> Result<(), DecodeError> {
    let flags = side.flags()?;
    let ops = if flags & ONE_OP != 0 { 1 } else { side.number(Number::Ops)? };
    match flags & TIME_MASK {
        TIME_MS => drop(side.number(Number::Ms)?),
        TIME_FULL => drop(side.number(Number::Time)?),
        _ => {}
    }
    if flags & HAS_DEPS != 0 {
        for _ in 0..side.number(Number::DepCount)? {
            dependency(side, log)?;
        }
    }
    if flags & HAS_MESSAGE != 0 {
        let len = side.number(Number::MessageLen)?;
        side.raw(Bytes::Strings, len)?;
    }
    body(side, log, ops)
}

fn dependency(side: &mut impl Side, log: &mut LogState) -> Result<(), DecodeError> {
    let name = side.number(Number::DepName)?;
    if is_new(&mut log.names, name) {
        let target = side.replica()?;
        log.targets.push(target);
    }
    let target = usize::try_from(name).ok().and_then(|name| log.targets.get(name).copied().flatten());
    let end = side.near(Number::DepEnd, log.ends.get(&name).copied().unwrap_or(0))?;
    log.ends.insert(name, end);
    side.digest(target, end)
}

/// Whether `index` is the next one of those that are mentioned; from now on it has been.
fn is_new(known: &mut Option<u64>, index: u64) -> bool {
    match known {
        Some(known) if *known == index => {
            *known += 1;
            true
        }
        _ => false,
    }
}

fn body(side: &mut impl Side, log: &mut LogState, ops: u64) -> Result<(), DecodeError> {
    let (mut done, mut chars, mut first) = (0, 0, true);
    while done < ops {
        let head = side.head(first, ops - done)?;
        for field in LAYOUTS[usize::from(head.code)].fields {
            match field {
                Field::Container => container(side, log)?,
                Field::Text => chars += head.count,
                Field::Element => element(side, log)?,
                Field::Key => side.key()?,
                Field::Value => value(side)?,
                Field::Values => (0..head.count).try_for_each(|_| value(side))?,
                Field::Int => drop(side.number(Number::Int)?),
            }
        }
        (done, first) = (done + head.count, false);
    }
    side.text(chars)
}

fn container(side: &mut impl Side, log: &mut LogState) -> Result<(), DecodeError> {
    // Number 0 is the root map, which needs no mention.
    let index = side.or_next(Number::Container, log.containers.map(|known| known + 1))?.checked_sub(1);
    if !index.is_some_and(|index| is_new(&mut log.containers, index)) {
        return Ok(());
    }
    side.number(Number::Parent)?;
    let in_element = side.byte(Bytes::Tags)? & 1 == 1;
    if in_element { element(side, log) } else { side.key() }
}

fn element(side: &mut impl Side, log: &mut LogState) -> Result<(), DecodeError> {
    // Number 0 is the log's own author, who needs no mention.
    let author = side.number(Number::Author)?.checked_sub(1);
    if author.is_some_and(|author| is_new(&mut log.authors, author)) {
        side.replica()?;
    }
    log.element = side.near(Number::Element, log.element)?;
    Ok(())
}

fn value(side: &mut impl Side) -> Result<(), DecodeError> {
    match side.byte(Bytes::Tags)? {
        0..=2 => Ok(()),
        3 => side.number(Number::Int).map(drop),
        4 => side.raw(Bytes::Raw, 8),
        5 | 6 => {
            let len = side.number(Number::ValueLen)?;
            side.raw(Bytes::Strings, len)
        }
        7 => side.byte(Bytes::Tags).map(drop),
        tag => Err(side.unknown_tag(tag)),
    }
}

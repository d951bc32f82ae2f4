//! The columns themselves: numbers and bytes, written at one end and read at the other.
//!
//! A number is a lead byte and up to eight tail bytes, kept in two streams: leads hold the magnitude and deflate well,
//! tails are nearly random. Always holds: reading past the end of a column is an error that names it. Not here: which
//! fields go where (`walk`), and how streams become bytes (`pack`).

use crate::codec::{DecodeError, DecodeErrorKind, LONE_LEAD, join_number, put_number, tail_len};

/// Columns of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Gap,
    Ops,
    Ms,
    Time,
    DepCount,
    DepName,
    DepEnd,
    DigestGap,
    MessageLen,
    VerbatimLen,
    Position,
    Count,
    Container,
    Parent,
    Author,
    Element,
    Key,
    KeyLen,
    Int,
    ValueLen,
    Replica,
}

/// Columns of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bytes {
    Flags,
    Heads,
    Tags,
    Text,
    Strings,
    Raw,
    Digests,
    Verbatim,
}

const NUMBERS: [&str; 21] = [
    "plain changes",
    "operation count",
    "time in milliseconds",
    "time",
    "dependency count",
    "dependency name",
    "dependency end",
    "computed digests",
    "commit message length",
    "verbatim length",
    "position",
    "run length",
    "container",
    "container parent",
    "element author",
    "element",
    "key",
    "key length",
    "integer value",
    "value length",
    "replica",
];

const BYTES: [&str; 8] =
    ["change flags", "operation heads", "tags", "text", "strings", "raw values", "digests", "verbatim changes"];

/// Streams: leads and tails of all number columns, then the byte columns.
pub(super) const STREAMS: usize = 2 * NUMBERS.len() + BYTES.len();

/// The stream of a number column's leads.
pub(super) const fn leads(column: Number) -> usize {
    2 * column as usize
}

const fn stream(column: Bytes) -> usize {
    2 * NUMBERS.len() + column as usize
}

/// What a stream holds, for errors.
pub(super) fn stream_name(index: usize) -> &'static str {
    NUMBERS.get(index / 2).copied().unwrap_or_else(|| BYTES[index - 2 * NUMBERS.len()])
}

/// Columns being written.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) streams: [Vec<u8>; STREAMS],
}

impl Store {
    pub(super) fn new() -> Self {
        Self { streams: std::array::from_fn(|_| Vec::new()) }
    }

    pub(super) fn put(&mut self, column: Number, value: u64) {
        let lead = leads(column);
        let [leads, tails] = &mut self.streams[lead..lead + 2] else { unreachable!("a column has two streams") };
        put_number(leads, tails, value);
    }

    pub(super) fn bytes(&mut self, column: Bytes) -> &mut Vec<u8> {
        &mut self.streams[stream(column)]
    }

    /// How long the streams are, to come back to.
    pub(super) fn mark(&self) -> [usize; STREAMS] {
        std::array::from_fn(|index| self.streams[index].len())
    }

    pub(super) fn reset(&mut self, mark: &[usize; STREAMS]) {
        self.streams.iter_mut().zip(mark).for_each(|(stream, len)| stream.truncate(*len));
    }
}

/// Columns being read.
#[derive(Debug)]
pub(super) struct View<'a> {
    streams: [&'a [u8]; STREAMS],
    at: [usize; STREAMS],
}

impl<'a> View<'a> {
    pub(super) fn new(streams: [&'a [u8]; STREAMS]) -> Self {
        Self { streams, at: [0; STREAMS] }
    }

    fn take_from(&mut self, index: usize, len: usize) -> Result<&'a [u8], DecodeError> {
        let at = self.at[index];
        let left = &self.streams[index][at..];
        let Some(bytes) = left.get(..len) else {
            let kind = DecodeErrorKind::TooShort { need: len, have: left.len() };
            return Err(DecodeError { field: stream_name(index), offset: at, kind });
        };
        self.at[index] = at + len;
        Ok(bytes)
    }

    pub(super) fn number(&mut self, column: Number) -> Result<u64, DecodeError> {
        let lead = leads(column);
        let byte = self.take_from(lead, 1)?[0];
        if byte < LONE_LEAD {
            return Ok(u64::from(byte));
        }
        let Some(tail) = tail_len(byte) else {
            return Err(self.error(lead, DecodeErrorKind::UnknownTag(u64::from(byte))));
        };
        Ok(join_number(byte, self.take_from(lead + 1, tail)?))
    }

    /// The next number, `None` at the end of the column.
    pub(super) fn next(&mut self, column: Number) -> Result<Option<u64>, DecodeError> {
        let lead = leads(column);
        if self.at[lead] == self.streams[lead].len() { Ok(None) } else { self.number(column).map(Some) }
    }

    pub(super) fn byte(&mut self, column: Bytes) -> Result<u8, DecodeError> {
        self.take_from(stream(column), 1).map(|byte| byte[0])
    }

    pub(super) fn take(&mut self, column: Bytes, len: u64) -> Result<&'a [u8], DecodeError> {
        self.take_from(stream(column), usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// What is left of a column.
    pub(super) fn left(&self, column: Bytes) -> &'a [u8] {
        &self.streams[stream(column)][self.at[stream(column)]..]
    }

    fn error(&self, index: usize, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { field: stream_name(index), offset: self.at[index].saturating_sub(1), kind }
    }

    /// An error about the number that was read last.
    pub(super) fn number_error(&self, column: Number, kind: DecodeErrorKind) -> DecodeError {
        self.error(leads(column), kind)
    }

    /// An error about the byte that was read last.
    pub(super) fn byte_error(&self, column: Bytes, kind: DecodeErrorKind) -> DecodeError {
        self.error(stream(column), kind)
    }

    /// Refuses what is left in any column.
    pub(super) fn end(&self) -> Result<(), DecodeError> {
        let rest = (0..STREAMS).find(|index| self.at[*index] < self.streams[*index].len());
        rest.map_or(Ok(()), |index| {
            let (offset, len) = (self.at[index], self.streams[index].len());
            Err(DecodeError { field: stream_name(index), offset, kind: DecodeErrorKind::Trailing(len - offset) })
        })
    }
}

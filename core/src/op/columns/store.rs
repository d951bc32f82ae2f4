//! The columns themselves: numbers and bytes, written at one end and read at the other.
//!
//! A number is a lead byte and up to eight tail bytes, kept in two streams: leads hold the magnitude and deflate well,
//! tails are nearly random. Always holds: reading past the end of a column is an error that names it. Not here: which
//! fields go where (`walk`), and how streams become bytes (`pack`).

use crate::codec::{DecodeError, DecodeErrorKind};

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

/// Below this, a number is its lead.
const ONE_TAIL: u64 = 192;
/// Leads 192 to 223 hold five bits in front of one tail byte.
const TWO_TAILS: u64 = ONE_TAIL + (32 << 8);
/// Leads 224 to 239 hold four bits in front of two tail bytes.
const PLAIN: u64 = TWO_TAILS + (16 << 16);
/// Lead 240 stands for three tail bytes that hold the number itself, 245 for eight.
const PLAIN_LEAD: usize = 240;

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
        let (byte, tail, bits) = match value {
            ..ONE_TAIL => (value as u8, 0, 0),
            ONE_TAIL..TWO_TAILS => (192 + ((value - ONE_TAIL) >> 8) as u8, 1, value - ONE_TAIL),
            TWO_TAILS..PLAIN => (224 + ((value - TWO_TAILS) >> 16) as u8, 2, value - TWO_TAILS),
            PLAIN.. => {
                let tail = (8 - value.leading_zeros() as usize / 8).max(3);
                ((PLAIN_LEAD + tail - 3) as u8, tail, value)
            }
        };
        self.streams[lead].push(byte);
        self.streams[lead + 1].extend_from_slice(&bits.to_le_bytes()[..tail]);
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

/// A difference as a number: small in both directions.
pub(super) fn zigzag(difference: u64) -> u64 {
    difference << 1 ^ (difference as i64 >> 63) as u64
}

/// The difference again.
pub(super) fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
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
        let (base, tail, bits) = match byte {
            ..192 => return Ok(u64::from(byte)),
            192..224 => (ONE_TAIL, 1, u64::from(byte - 192) << 8),
            224..240 => (TWO_TAILS, 2, u64::from(byte - 224) << 16),
            240..246 => (0, usize::from(byte) - PLAIN_LEAD + 3, 0),
            _ => return Err(self.error(lead, DecodeErrorKind::UnknownTag(u64::from(byte)))),
        };
        let mut low = [0; 8];
        low[..tail].copy_from_slice(self.take_from(lead + 1, tail)?);
        Ok(base + (bits | u64::from_le_bytes(low)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        let mut numbers: Vec<u64> = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit]).collect();
        numbers.extend([ONE_TAIL - 1, ONE_TAIL, TWO_TAILS - 1, TWO_TAILS, PLAIN - 1, PLAIN, u64::MAX]);
        let mut store = Store::new();
        numbers.iter().for_each(|number| store.put(Number::Int, *number));
        let mut view = View::new(std::array::from_fn(|index| &store.streams[index][..]));
        for number in numbers {
            assert_eq!(view.next(Number::Int), Ok(Some(number)));
            assert_eq!(unzigzag(zigzag(number)), number);
        }
        assert_eq!(view.next(Number::Int), Ok(None));
        assert!(view.number(Number::Int).is_err() && view.end().is_ok());
    }
}

//! The streams of a state: columns of numbers, values, texts, and the rest, each deflated if that helps.
//!
//! What is alike lies together: the runs of all sequences, what the elements of all lists have in common. Always holds: a
//! stream inflates at most twelvefold (zeros make up for what is missing), which is checked before anything is allocated; reading past the end of a
//! column is an error that names it. Not here: what the numbers mean (`runs`, `list`).

use std::borrow::Cow;

use crate::codec::{
    DecodeError, DecodeErrorKind, Effort, MAX_INFLATION, Reader, deflate, inflate, join_number, put_bytes, put_number,
    put_u64, tail_len,
};

/// Columns of numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Of runs: the rank of an author, and how many more runs in a row are by that author; the difference to the end of
    /// that author's run before, zigzag; the length less one and the fate.
    RunAuthor,
    RunStart,
    RunLength,
    /// Of list elements: how many as expected come before the next other one. Of that one: what it is, and the differences
    /// of depth and time to what is expected, zigzag.
    ElementGap,
    ElementKind,
    ElementDepth,
    ElementTime,
}

const COLUMNS: [&str; 7] =
    ["run author", "run", "run length", "expected elements", "element kind", "element depth", "element time"];

const VALUES: usize = 2 * COLUMNS.len();
const REST: usize = VALUES + 1;
const TEXT: usize = VALUES + 2;

/// Leads and tails of all columns, then the values of list elements, the rest and the text.
const STREAMS: usize = VALUES + 3;

/// Less than this is not deflated.
const TINY: usize = 32;

fn name(stream: usize) -> &'static str {
    match stream {
        VALUES => "values",
        REST => "state",
        TEXT => "text",
        column => COLUMNS[column / 2],
    }
}

/// Streams in the making.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    all: [Vec<u8>; STREAMS],
}

impl Streams {
    pub(crate) fn put(&mut self, column: Column, value: u64) {
        let leads = 2 * column as usize;
        let [leads, tails] = &mut self.all[leads..leads + 2] else { unreachable!("a column has two streams") };
        put_number(leads, tails, value);
    }

    pub(crate) fn values(&mut self) -> &mut Vec<u8> {
        &mut self.all[VALUES]
    }

    /// All of them, one behind the other.
    pub(crate) fn pack(mut self, is_base: bool, rest: Vec<u8>, text: String) -> Vec<u8> {
        (self.all[REST], self.all[TEXT]) = (rest, text.into_bytes());
        let mut out = vec![u8::from(is_base)];
        for stream in &self.all {
            let packed = if stream.len() >= TINY { deflate(stream, Effort::Disk) } else { Vec::new() };
            let padding = stream.len().div_ceil(MAX_INFLATION).saturating_sub(packed.len());
            let is_packed = stream.len() >= TINY && packed.len() + padding < stream.len();
            put_u64(&mut out, (stream.len() as u64) << 1 | u64::from(is_packed));
            if is_packed {
                put_u64(&mut out, padding as u64);
                out.resize(out.len() + padding, 0);
                put_bytes(&mut out, &packed);
            } else {
                out.extend_from_slice(stream);
            }
        }
        out
    }
}

/// Whether a state stands for its history: its first byte tells.
pub(crate) fn is_base(state: &[u8]) -> bool {
    state.first() == Some(&1)
}

/// Streams, inflated.
#[derive(Debug)]
pub(crate) struct Unpacked<'a> {
    pub(crate) is_base: bool,
    all: [Cow<'a, [u8]>; STREAMS],
}

impl<'a> Unpacked<'a> {
    pub(crate) fn read(state: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(state);
        let is_base = reader.bounded("state kind", 1)? == 1;
        let mut all = std::array::from_fn(|_| Cow::Borrowed(&state[..0]));
        for (index, stream) in all.iter_mut().enumerate() {
            let len = reader.u64(name(index))?;
            let raw = usize::try_from(len >> 1).unwrap_or(usize::MAX);
            if len & 1 == 0 {
                *stream = Cow::Borrowed(reader.take(name(index), raw)?);
                continue;
            }
            let padding = reader.u64("padding")?;
            let padding = reader.take("padding", usize::try_from(padding).unwrap_or(usize::MAX))?;
            if padding.iter().any(|byte| *byte != 0) {
                return Err(reader.error("padding", DecodeErrorKind::NotCanonical));
            }
            let at = reader.clone();
            let packed = reader.bytes(name(index))?;
            let max = (padding.len() + packed.len()) * MAX_INFLATION;
            if raw > max {
                let (got, max) = (raw as u64, max as u64);
                return Err(at.error(name(index), DecodeErrorKind::AboveLimit { got, max }));
            }
            let inflated = inflate(packed, raw);
            *stream = inflated.ok_or_else(|| at.error(name(index), DecodeErrorKind::Compression))?.into();
        }
        reader.end("state")?;
        Ok(Self { is_base, all })
    }

    pub(crate) fn rest(&self) -> &[u8] {
        &self.all[REST]
    }

    pub(crate) fn text(&self) -> Result<&str, DecodeError> {
        let text = std::str::from_utf8(&self.all[TEXT]);
        text.map_err(|_| DecodeError { field: "text", offset: 0, kind: DecodeErrorKind::NotUtf8 })
    }

    pub(crate) fn columns(&self) -> Columns<'_> {
        let streams = std::array::from_fn(|index| Reader::new(&self.all[index]));
        Columns { streams, values: Reader::new(&self.all[VALUES]) }
    }
}

/// Columns being read.
#[derive(Clone, Debug)]
pub(crate) struct Columns<'a> {
    streams: [Reader<'a>; VALUES],
    pub(crate) values: Reader<'a>,
}

impl Columns<'_> {
    /// None: a state of format version 1 has no columns.
    pub(crate) fn none() -> Self {
        Self { streams: std::array::from_fn(|_| Reader::new(&[])), values: Reader::new(&[]) }
    }

    /// How many numbers are left in a column.
    pub(crate) fn left(&self, column: Column) -> usize {
        self.streams[2 * column as usize].remaining()
    }

    #[inline]
    pub(crate) fn number(&mut self, column: Column) -> Result<u64, DecodeError> {
        let stream = 2 * column as usize;
        let lead = self.streams[stream].u8(name(stream))?;
        match tail_len(lead) {
            Some(0) => Ok(u64::from(lead)),
            Some(tail) => Ok(join_number(lead, self.streams[stream + 1].take(name(stream), tail)?)),
            None => Err(self.error(column, DecodeErrorKind::UnknownTag(u64::from(lead)))),
        }
    }

    /// An error about the number that was read last.
    pub(crate) fn error(&self, column: Column, kind: DecodeErrorKind) -> DecodeError {
        let stream = 2 * column as usize;
        DecodeError { field: name(stream), offset: self.streams[stream].offset().saturating_sub(1), kind }
    }

    /// Refuses what is left over.
    pub(crate) fn end(&self) -> Result<(), DecodeError> {
        self.streams.iter().enumerate().try_for_each(|(stream, left)| left.end(name(stream)))?;
        self.values.end(name(VALUES))
    }
}

/// The state with its streams, inflated, changed by `change`.
#[cfg(test)]
pub(crate) fn changed(state: &[u8], change: impl FnOnce(&mut [Vec<u8>])) -> Vec<u8> {
    let unpacked = Unpacked::read(state).expect("a state");
    let mut streams = Streams { all: unpacked.all.map(Cow::into_owned) };
    change(&mut streams.all);
    let (rest, text) = (std::mem::take(&mut streams.all[REST]), std::mem::take(&mut streams.all[TEXT]));
    streams.pack(unpacked.is_base, rest, String::from_utf8_lossy(&text).into_owned())
}

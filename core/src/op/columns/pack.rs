//! Columns as bytes: the segments, the streams that are not empty, each deflated if that helps, and the bound on what
//! decoding may need.
//!
//! Always holds: an encoding is at least a sixteenth as long as what decoding it needs, if that is above 64 KiB; zeros in
//! front make it so. Not here: what the streams hold (`store`, `walk`).

use std::borrow::Cow;

use super::split::Columns;
use super::store::{Number, STREAMS, leads, stream_name};
use crate::codec::{DecodeError, DecodeErrorKind, Effort, Reader, deflate, inflate, put_bytes, put_u64};
use crate::id::ReplicaId;
use crate::op::{MAX_SEQ, Segment};

/// What decoding may need, per byte of input.
const FACTOR: usize = 16;
/// What any input may need.
const ALLOWANCE: usize = 64 << 10;
/// Columns up to this length together are also deflated in one piece, which saves a code table for each.
const SMALL: usize = 8 << 10;
/// Less than this is not deflated: columns are run-length encoded already, and setting up a compressor costs as much as
/// deflating tens of kilobytes.
const TINY: usize = 64;

/// What is kept for a dependency while it is decoded: its hole, half a digest, and the last end of its name.
const DEP_BYTES: usize = 64;
/// What is kept for a key.
const KEY_BYTES: usize = 32;
/// What is kept for a byte of the list of segments, deflated: a segment takes at least 18.
const PLACE_FACTOR: usize = 12;

/// A segment before its changes are there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) replica: ReplicaId,
    pub(super) first_seq: u64,
    pub(super) bytes: usize,
}

/// What decoding needs beyond the segments themselves.
fn cost(stream: usize, len: usize) -> usize {
    const DEPS: usize = leads(Number::DepEnd);
    const KEYS: usize = leads(Number::KeyLen);
    match stream {
        DEPS => len.saturating_mul(DEP_BYTES),
        KEYS => len.saturating_mul(KEY_BYTES),
        _ => 0,
    }
}

/// The bytes of columns.
pub(super) fn pack(segments: &[Segment], columns: &Columns) -> Vec<u8> {
    let streams = &columns.store.streams;
    let raw: usize = streams.iter().map(Vec::len).sum();
    let whole = (raw <= SMALL).then(|| content(segments, columns, |_| None));
    let each = content(segments, columns, |stream| deflated(stream).filter(|packed| packed.len() < stream.len()));
    let packed = whole.as_deref().and_then(deflated).filter(|packed| packed.len() + 2 < each.len());
    let need = segments.iter().map(|segment| segment.frames.len()).sum::<usize>()
        + streams.iter().enumerate().map(|(index, stream)| stream.len() + cost(index, stream.len())).sum::<usize>()
        + whole.as_ref().map_or(0, |whole| whole.len() * PLACE_FACTOR);
    let body = packed.as_ref().unwrap_or(&each);
    let padding = if need > ALLOWANCE { need.div_ceil(FACTOR).saturating_sub(body.len()) } else { 0 };
    let mut out = Vec::with_capacity(body.len() + padding + 8);
    put_u64(&mut out, (padding as u64) << 1 | u64::from(packed.is_some()));
    out.resize(out.len() + padding, 0);
    if let (Some(_), Some(whole)) = (&packed, &whole) {
        put_u64(&mut out, whole.len() as u64);
    }
    out.extend_from_slice(body);
    out
}

fn deflated(raw: &[u8]) -> Option<Vec<u8>> {
    (raw.len() >= TINY).then(|| deflate(raw, Effort::Disk))
}

fn content(segments: &[Segment], columns: &Columns, pack: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    put_u64(&mut out, segments.len() as u64);
    for segment in segments {
        out.extend_from_slice(segment.replica.as_bytes());
        put_u64(&mut out, segment.first_seq);
        put_u64(&mut out, segment.frames.len() as u64);
    }
    out.push(columns.plain);
    let filled = || columns.store.streams.iter().enumerate().filter(|(_, stream)| !stream.is_empty());
    put_u64(&mut out, filled().map(|(index, _)| 1 << index).sum());
    for (_, stream) in filled() {
        let packed = pack(stream);
        put_u64(&mut out, packed.as_ref().map_or(0, |_| stream.len() as u64));
        put_bytes(&mut out, packed.as_ref().unwrap_or(stream));
    }
    out
}

/// The content of an encoding, inflated if it is deflated in one piece, and what decoding it may still need.
pub(super) fn open(bytes: &[u8]) -> Result<(Cow<'_, [u8]>, usize), DecodeError> {
    let budget = bytes.len().saturating_mul(FACTOR).max(ALLOWANCE);
    let mut reader = Reader::new(bytes);
    let start = reader.u64("columns start")?;
    let padding = reader.take("padding", usize::try_from(start >> 1).unwrap_or(usize::MAX))?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(reader.error("padding", DecodeErrorKind::NotCanonical));
    }
    if start & 1 == 0 {
        return Ok((reader.rest().into(), budget));
    }
    let len = reader.bounded("columns length", (budget / PLACE_FACTOR) as u64)? as usize;
    let fail = reader.error("columns", DecodeErrorKind::Compression);
    let content = inflate(reader.rest(), len).ok_or(fail)?;
    Ok((content.into(), budget - len * PLACE_FACTOR))
}

/// Columns, inflated.
#[derive(Debug)]
pub(super) struct Packed<'a> {
    pub(super) places: Vec<Place>,
    pub(super) plain: u8,
    streams: [Cow<'a, [u8]>; STREAMS],
}

impl<'a> Packed<'a> {
    /// Reads columns, if not more than `budget` is needed for them and for what they hold.
    pub(super) fn read(content: &'a [u8], mut budget: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(content);
        let places = read_places(&mut reader, &mut budget)?;
        let plain = reader.u8("usual flags")?;
        let mask = reader.bounded("columns", (1 << STREAMS) - 1)?;
        let mut blocks = [(0, 0, &content[..0]); STREAMS];
        for (index, block) in blocks.iter_mut().enumerate().filter(|(index, _)| mask >> index & 1 == 1) {
            let raw = reader.u64("column length")?;
            let offset = reader.offset();
            let packed = reader.bytes(stream_name(index))?;
            let len = usize::try_from(raw).unwrap_or(usize::MAX);
            spend(&mut budget, len, &reader)?;
            spend(&mut budget, cost(index, len.max(packed.len())), &reader)?;
            *block = (len, offset, packed);
        }
        reader.end("columns")?;
        let mut streams = std::array::from_fn(|_| Cow::Borrowed(&content[..0]));
        for (index, (len, offset, packed)) in blocks.into_iter().enumerate() {
            streams[index] = match len {
                0 => packed.into(),
                len => {
                    let fail = DecodeError { field: stream_name(index), offset, kind: DecodeErrorKind::Compression };
                    inflate(packed, len).ok_or(fail)?.into()
                }
            };
        }
        Ok(Self { places, plain, streams })
    }

    pub(super) fn streams(&self) -> [&[u8]; STREAMS] {
        std::array::from_fn(|index| &*self.streams[index])
    }
}

fn read_places(reader: &mut Reader<'_>, budget: &mut usize) -> Result<Vec<Place>, DecodeError> {
    let count = reader.bounded("segment count", (reader.remaining() / 18) as u64)?;
    let mut places = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let replica = reader.replica("segment replica")?;
        let first_seq = reader.bounded("segment start", MAX_SEQ)?;
        let bytes = usize::try_from(reader.u64("segment length")?).unwrap_or(usize::MAX);
        if bytes == 0 {
            return Err(reader.error("segment length", DecodeErrorKind::NotCanonical));
        }
        spend(budget, bytes, reader)?;
        places.push(Place { replica, first_seq, bytes });
    }
    Ok(places)
}

/// Takes `bytes` off the budget.
fn spend(budget: &mut usize, bytes: usize, reader: &Reader<'_>) -> Result<(), DecodeError> {
    let above = DecodeErrorKind::AboveLimit { got: bytes as u64, max: *budget as u64 };
    *budget = budget.checked_sub(bytes).ok_or_else(|| reader.error("length", above))?;
    Ok(())
}

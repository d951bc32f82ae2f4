//! Updates and saved documents as files: magic, format version, and blocks with a checksum each.
//!
//! A block holds changes, or the finished state that they lead to. Normative: docs/format.md. Always holds: bytes that
//! were damaged or are of another kind or version are refused before anything inside is read.

use std::ops::Range;

use crate::codec::{DecodeError, DecodeErrorKind, Effort, Reader, checksum, deflate, inflate, put_u64};
use crate::op::columns::{self, Chains};
use crate::op::{Batch, Segment};

/// A state inflates to at most this many times its own size; the writer stores it raw otherwise.
const MAX_INFLATION: usize = 12;

/// The format version that this build writes, and the only one it reads so far.
const VERSION: u8 = 1;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Changes for another copy.
    Update,
    /// A whole document.
    Document,
}

impl FileKind {
    fn magic(self) -> [u8; 4] {
        match self {
            Self::Update => *b"SLVu",
            Self::Document => *b"SLVd",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Update => "Selvedge update",
            Self::Document => "Selvedge document",
        }
    }
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// A batch of changes as it is.
    Plain = 0,
    /// Changes as columns.
    Columns = 1,
    /// The state that the changes of the next block lead to.
    State = 2,
    /// The same, deflated.
    PackedState = 3,
}

impl Block {
    const ALL: [Self; 4] = [Self::Plain, Self::Columns, Self::State, Self::PackedState];
}

/// A file in the making.
pub(super) fn begin(kind: FileKind) -> Vec<u8> {
    let mut out = kind.magic().to_vec();
    out.push(VERSION);
    out
}

fn put_block(out: &mut Vec<u8>, block: Block, content: &[u8]) {
    out.push(block as u8);
    out.extend_from_slice(&checksum(content));
    put_u64(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Appends changes, in the shorter form.
pub(super) fn put_changes(out: &mut Vec<u8>, batch: &Batch) {
    let columns = columns::encode(&batch.segments);
    // Without its changes, a segment takes 18 bytes or more.
    if columns.len() > batch.bytes() + batch.segments.len() * 18 {
        let plain = batch.encode();
        if plain.len() <= columns.len() {
            return put_block(out, Block::Plain, &plain);
        }
    }
    put_block(out, Block::Columns, &columns);
}

/// Appends a state.
pub(super) fn put_state(out: &mut Vec<u8>, state: &[u8]) {
    let mut packed = Vec::new();
    put_u64(&mut packed, state.len() as u64);
    packed.append(&mut deflate(state, Effort::Disk));
    if packed.len() < state.len() && packed.len() * MAX_INFLATION >= state.len() {
        put_block(out, Block::PackedState, &packed);
    } else {
        put_block(out, Block::State, state);
    }
}

/// The blocks of a file: what they hold, and where.
pub(super) fn blocks(kind: FileKind, bytes: &[u8]) -> Result<Vec<(Block, Range<usize>)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let start = reader.clone();
    if reader.array::<4>("magic")? != kind.magic() {
        return Err(start.error("magic", DecodeErrorKind::WrongMagic(kind.name())));
    }
    let at = reader.clone();
    let got = reader.u8("format version")?;
    if got != VERSION {
        return Err(at.error("format version", DecodeErrorKind::WrongVersion { got, min: VERSION, max: VERSION }));
    }
    let mut blocks = Vec::new();
    while !reader.is_empty() {
        let at = reader.clone();
        let tag = reader.u8("block")?;
        let block = Block::ALL.get(usize::from(tag)).copied();
        let block = block.ok_or_else(|| at.error("block", DecodeErrorKind::UnknownTag(u64::from(tag))))?;
        let at = reader.clone();
        let sum = reader.array::<4>("checksum")?;
        let content = reader.bytes("block length")?;
        if checksum(content) != sum {
            return Err(at.error("checksum", DecodeErrorKind::Checksum));
        }
        blocks.push((block, reader.offset() - content.len()..reader.offset()));
    }
    if blocks.is_empty() {
        return Err(reader.error("block", DecodeErrorKind::TooShort { need: 1, have: 0 }));
    }
    Ok(blocks)
}

/// The changes in a block, and what was computed of their digests; `None` if it is a state.
pub(super) fn read_changes(block: Block, content: &[u8]) -> Result<Option<(Vec<Segment>, Chains)>, DecodeError> {
    match block {
        Block::Plain => Batch::decode(content).map(|batch| Some((batch.segments.into_vec(), Chains::new()))),
        Block::Columns => columns::decode_chained(content).map(Some),
        Block::State | Block::PackedState => Ok(None),
    }
}

/// The state in a block; `None` if it holds changes.
pub(super) fn read_state(block: Block, content: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
    match block {
        Block::State => Ok(Some(content.to_vec())),
        Block::PackedState => {
            let mut reader = Reader::new(content);
            let len = reader.bounded("state length", (content.len() * MAX_INFLATION) as u64)?;
            let at = reader.clone();
            let state = inflate(reader.rest(), len as usize);
            state.map(Some).ok_or_else(|| at.error("state", DecodeErrorKind::Compression))
        }
        Block::Plain | Block::Columns => Ok(None),
    }
}

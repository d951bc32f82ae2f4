//! Updates and saved documents as files: magic, format version, and blocks with a checksum each.
//!
//! A block holds changes, or the finished state that they lead to. Normative: docs/format.md. Always holds: bytes that
//! were damaged or are of another kind or version are refused before anything inside is read.

use std::borrow::Cow;
use std::ops::Range;

use crate::codec::{DecodeError, DecodeErrorKind, MAX_INFLATION, Reader, checksum, inflate, put_u64};
use crate::crdt::is_base;
use crate::op::columns::{self, Chains};
use crate::op::{Batch, Segment};

/// The format version of files without a state, and the oldest that is read.
const CHANGES_ONLY: u8 = 1;

/// The format version of files with a state.
const WITH_STATE: u8 = 2;

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
    /// The state that the changes of the next block lead to, as format version 1 has it.
    OldState = 2,
    /// The same, deflated.
    OldPackedState = 3,
    /// A state: what the changes of the next block lead to, or what stands for the history before them.
    State = 4,
}

impl Block {
    const ALL: [Self; 5] = [Self::Plain, Self::Columns, Self::OldState, Self::OldPackedState, Self::State];

    /// Whether files of this format version have such blocks.
    fn is_in(self, version: u8) -> bool {
        match self {
            Self::Plain | Self::Columns => true,
            Self::OldState | Self::OldPackedState => version == CHANGES_ONLY,
            Self::State => version == WITH_STATE,
        }
    }
}

/// A file in the making, of changes alone.
pub(super) fn begin(kind: FileKind) -> Vec<u8> {
    let mut out = kind.magic().to_vec();
    out.push(CHANGES_ONLY);
    out
}

/// A file in the making that begins with a state.
pub(super) fn begin_with(kind: FileKind, state: &[u8]) -> Vec<u8> {
    let mut out = kind.magic().to_vec();
    out.push(WITH_STATE);
    put_block(&mut out, Block::State, state);
    out
}

/// The document that an update with a state stands for: all but what tells the two apart.
pub(super) fn as_document(update: &[u8]) -> Vec<u8> {
    let magic = FileKind::Document.magic();
    [&magic[..], &update[magic.len()..]].concat()
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

/// The blocks of a file: what they hold, and where.
pub(super) fn blocks(kind: FileKind, bytes: &[u8]) -> Result<Vec<(Block, Range<usize>)>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let start = reader.clone();
    if reader.array::<4>("magic")? != kind.magic() {
        return Err(start.error("magic", DecodeErrorKind::WrongMagic(kind.name())));
    }
    let at = reader.clone();
    let got = reader.u8("format version")?;
    if !(CHANGES_ONLY..=WITH_STATE).contains(&got) {
        let kind = DecodeErrorKind::WrongVersion { got, min: CHANGES_ONLY, max: WITH_STATE };
        return Err(at.error("format version", kind));
    }
    let mut blocks = Vec::new();
    while !reader.is_empty() {
        let at = reader.clone();
        let tag = reader.u8("block")?;
        let block = Block::ALL.get(usize::from(tag)).copied().filter(|block| block.is_in(got));
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
        Block::OldState | Block::OldPackedState | Block::State => Ok(None),
    }
}

/// A state as bytes.
#[derive(Debug)]
pub(super) struct StateBytes<'a> {
    pub(super) bytes: Cow<'a, [u8]>,
    /// As format version 1 has it.
    pub(super) is_old: bool,
}

impl StateBytes<'_> {
    /// Whether it stands for the history before it.
    pub(super) fn is_base(&self) -> bool {
        !self.is_old && is_base(&self.bytes)
    }
}

/// The state in a block; `None` if it holds changes.
pub(super) fn read_state(block: Block, content: &[u8]) -> Result<Option<StateBytes<'_>>, DecodeError> {
    match block {
        Block::State => Ok(Some(StateBytes { bytes: content.into(), is_old: false })),
        Block::OldState => Ok(Some(StateBytes { bytes: content.into(), is_old: true })),
        Block::OldPackedState => {
            let mut reader = Reader::new(content);
            let len = reader.bounded("state length", (content.len() * MAX_INFLATION) as u64)?;
            let at = reader.clone();
            let state = inflate(reader.rest(), len as usize);
            let state = state.ok_or_else(|| at.error("state", DecodeErrorKind::Compression))?;
            Ok(Some(StateBytes { bytes: state.into(), is_old: true }))
        }
        Block::Plain | Block::Columns => Ok(None),
    }
}

//! The envelope of updates and saved documents: magic, format version, checksum, and a batch of changes, as columns if
//! that is shorter.
//!
//! Normative: docs/format.md. Always holds: bytes that were damaged or are of another kind or version are refused
//! before anything inside is read.

use crate::codec::{DecodeError, DecodeErrorKind, Reader, checksum};
use crate::op::{Batch, columns};

/// The format version that this build writes, and the only one it reads so far.
const VERSION: u8 = 1;

/// What an envelope holds.
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

/// The payload is a batch as it is.
const PLAIN: u8 = 0;
/// The payload is columns.
const COLUMNS: u8 = 1;

pub(super) fn wrap(kind: FileKind, batch: &Batch) -> Vec<u8> {
    let mut body = vec![COLUMNS];
    body.append(&mut columns::encode(&batch.segments));
    // Without its changes, a segment takes 18 bytes or more.
    if body.len() > batch.bytes() + batch.segments.len() * 18 {
        let mut plain = vec![PLAIN];
        batch.write(&mut plain);
        if plain.len() <= body.len() {
            body = plain;
        }
    }
    let mut out = kind.magic().to_vec();
    out.push(VERSION);
    out.extend_from_slice(&checksum(&body));
    out.extend_from_slice(&body);
    out
}

pub(super) fn unwrap(kind: FileKind, bytes: &[u8]) -> Result<Batch, DecodeError> {
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
    let at = reader.clone();
    let sum = reader.array::<4>("checksum")?;
    let body = reader.clone().rest();
    if checksum(body) != sum {
        return Err(at.error("checksum", DecodeErrorKind::Checksum));
    }
    let at = reader.clone();
    match reader.u8("payload form")? {
        PLAIN => Batch::decode(reader.rest()),
        COLUMNS => Ok(Batch { segments: columns::decode(reader.rest())? }),
        tag => Err(at.error("payload form", DecodeErrorKind::UnknownTag(u64::from(tag)))),
    }
}

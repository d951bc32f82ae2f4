//! The envelope of updates and saved documents: magic, format version, checksum, and the payload, deflated if that helps.
//!
//! Normative: docs/format.md. Always holds: bytes that were damaged or are of another kind or version are refused
//! before anything inside is read.

use crate::codec::{DecodeError, DecodeErrorKind, Reader, checksum, deflate, inflate};

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

pub(super) fn wrap(kind: FileKind, payload: Vec<u8>) -> Vec<u8> {
    let packed = deflate(&payload);
    let mut body = vec![u8::from(packed.is_some())];
    body.extend_from_slice(&packed.unwrap_or(payload));
    let mut out = kind.magic().to_vec();
    out.push(VERSION);
    out.extend_from_slice(&checksum(&body));
    out.extend_from_slice(&body);
    out
}

pub(super) fn unwrap(kind: FileKind, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
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
    match reader.u8("compression")? {
        0 => Ok(reader.rest().to_vec()),
        1 => inflate(reader.rest()).ok_or_else(|| at.error("payload", DecodeErrorKind::Compression)),
        tag => Err(at.error("compression", DecodeErrorKind::UnknownTag(u64::from(tag)))),
    }
}

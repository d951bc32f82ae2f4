//! Bytes: LEB128 integers, bounded readers, checksums and compression, and the error that every decoder returns.
//!
//! Always holds: a decoder is total (any bytes give a value or a `DecodeError`), nothing is allocated before its length
//! is checked against the bytes that are there, and every value has exactly one encoding. Not here: what bytes mean.

mod compress;
mod error;
mod number;
mod reader;
mod writer;

pub use compress::{Effort, MAX_INFLATION, deflate, inflate};
pub use error::{DecodeError, DecodeErrorKind};
pub(crate) use number::{LONE_LEAD, join_number, put_number, tail_len, unzigzag, zigzag};
pub use reader::Reader;
pub(crate) use writer::len_u64;
pub use writer::{put_bytes, put_i64, put_str, put_u64, put_version};

/// Four bytes that tell torn or flipped bytes from whole ones (not a defence against an adversary).
pub fn checksum(bytes: &[u8]) -> [u8; 4] {
    let hash = blake3::hash(bytes);
    let mut out = [0; 4];
    out.copy_from_slice(&hash.as_bytes()[..4]);
    out
}

//! `Reader`: reads fields from a byte slice and says which field failed, and where.

use super::{DecodeError, DecodeErrorKind};
use crate::id::{ReplicaId, VersionVector};

/// A cursor over bytes. Every method names the field that it reads, for the error.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Length of the whole.
    len: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, len: bytes.len() }
    }

    /// Bytes read so far.
    pub fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// Bytes not yet read.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Whether everything was read.
    pub fn is_empty(&self) -> bool {
        self.remaining() == 0
    }

    /// An error about `field` at the present offset.
    pub fn error(&self, field: &'static str, kind: DecodeErrorKind) -> DecodeError {
        DecodeError { field, offset: self.offset(), kind }
    }

    /// The next `len` bytes.
    #[inline]
    pub fn take(&mut self, field: &'static str, len: usize) -> Result<&'a [u8], DecodeError> {
        match self.rest.split_at_checked(len) {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.too_short(field, len)),
        }
    }

    #[cold]
    #[inline(never)]
    fn above_limit(&self, field: &'static str, got: u64, max: u64) -> DecodeError {
        self.error(field, DecodeErrorKind::AboveLimit { got, max })
    }

    #[cold]
    #[inline(never)]
    fn too_short(&self, field: &'static str, need: usize) -> DecodeError {
        self.error(field, DecodeErrorKind::TooShort { need, have: self.remaining() })
    }

    /// The next `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        self.chunk(field).copied()
    }

    /// The same where they are.
    #[inline]
    pub(crate) fn chunk<const N: usize>(&mut self, field: &'static str) -> Result<&'a [u8; N], DecodeError> {
        match self.rest.split_first_chunk() {
            Some((bytes, rest)) => {
                self.rest = rest;
                Ok(bytes)
            }
            None => Err(self.too_short(field, N)),
        }
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// One byte.
    #[inline]
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        Ok(self.take(field, 1)?[0])
    }

    /// An unsigned LEB128 integer in its shortest form.
    #[inline]
    pub fn u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_u64(field),
        }
    }

    #[inline(never)]
    fn long_u64(&mut self, field: &'static str) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (i, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                // A last byte of zero adds nothing; of the tenth, one bit is left.
                if (*byte == 0 && i > 0) || (*byte > 1 && i == 9) {
                    break;
                }
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        let ends = self.rest.len() < 10 && self.rest.iter().all(|byte| *byte >= 0x80);
        Err(if ends {
            self.too_short(field, self.rest.len() + 1)
        } else {
            self.error(field, DecodeErrorKind::NotCanonical)
        })
    }

    /// An unsigned integer of at most `max`.
    #[inline]
    pub fn bounded(&mut self, field: &'static str, max: u64) -> Result<u64, DecodeError> {
        let at = self.clone();
        let got = self.u64(field)?;
        if got <= max { Ok(got) } else { Err(at.above_limit(field, got, max)) }
    }

    /// An unsigned integer of 32 bits.
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.bounded(field, u64::from(u32::MAX)).map(|value| value as u32)
    }

    /// A zigzag LEB128 integer.
    pub fn i64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        self.u64(field).map(|value| (value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Bytes behind their length, which is checked against what is left before anything is read.
    #[inline]
    pub fn bytes(&mut self, field: &'static str) -> Result<&'a [u8], DecodeError> {
        let len = self.u64(field)?;
        self.take(field, usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// UTF-8 text behind its length in bytes.
    pub fn str(&mut self, field: &'static str) -> Result<&'a str, DecodeError> {
        let offset = self.offset();
        let bytes = self.bytes(field)?;
        std::str::from_utf8(bytes).map_err(|_| DecodeError { field, offset, kind: DecodeErrorKind::NotUtf8 })
    }

    /// A replica id: 16 bytes.
    #[inline]
    pub fn replica(&mut self, field: &'static str) -> Result<ReplicaId, DecodeError> {
        self.array(field).map(ReplicaId::from_bytes)
    }

    /// A version vector: a count, then (replica, end), strictly ascending by replica.
    pub fn version(&mut self, field: &'static str) -> Result<VersionVector, DecodeError> {
        let count = self.bounded(field, (self.remaining() / 17) as u64)?;
        let mut version = VersionVector::new();
        let mut last = None;
        for _ in 0..count {
            let replica = self.replica(field)?;
            let end = self.u64(field)?;
            if end == 0 || last.is_some_and(|last| last >= replica) {
                return Err(self.error(field, DecodeErrorKind::NotCanonical));
            }
            last = Some(replica);
            version.raise(replica, end);
        }
        Ok(version)
    }

    /// Refuses bytes behind the last field.
    pub fn end(&self, field: &'static str) -> Result<(), DecodeError> {
        if self.is_empty() { Ok(()) } else { Err(self.error(field, DecodeErrorKind::Trailing(self.remaining()))) }
    }
}

//! The writing side of `Reader`: plain functions that append to a `Vec<u8>`.

use crate::id::VersionVector;

/// Appends an unsigned LEB128 integer.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes `put_u64` appends.
#[inline]
pub(crate) fn len_u64(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Appends a zigzag LEB128 integer.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    put_u64(out, (value << 1 ^ value >> 63) as u64);
}

/// Appends bytes behind their length.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u64(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends text behind its length in bytes.
pub fn put_str(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Appends a version vector: a count, then (replica, end), ascending by replica.
pub fn put_version(out: &mut Vec<u8>, version: &VersionVector) {
    put_u64(out, version.len() as u64);
    for (replica, end) in version.iter() {
        out.extend_from_slice(replica.as_bytes());
        put_u64(out, end);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DecodeErrorKind, Reader};
    use super::*;
    use crate::id::ReplicaId;

    #[test]
    fn integers_round_trip_and_have_one_encoding() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_u64(&mut out, value);
            put_i64(&mut out, value as i64);
            let mut reader = Reader::new(&out);
            assert_eq!(reader.u64("n"), Ok(value));
            assert_eq!(reader.i64("n"), Ok(value as i64));
            assert!(reader.is_empty());
        }
        for long in [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 11]] {
            assert_eq!(Reader::new(long).u64("n").map_err(|e| e.kind), Err(DecodeErrorKind::NotCanonical));
        }
    }

    /// Bug class C: a length from the wire is compared with what is there before anything is allocated.
    #[test]
    fn a_length_bomb_is_an_error() {
        let mut out = Vec::new();
        put_u64(&mut out, u64::MAX);
        assert!(matches!(Reader::new(&out).bytes("b").map_err(|e| e.kind), Err(DecodeErrorKind::TooShort { .. })));
        assert!(Reader::new(&out).version("v").is_err());
    }

    #[test]
    fn version_vectors_round_trip_in_one_order() {
        let version = [(ReplicaId::from(9), 4), (ReplicaId::from(2), 700)].into_iter().collect();
        let mut out = Vec::new();
        put_version(&mut out, &version);
        assert_eq!(Reader::new(&out).version("v"), Ok(version));
        let (first, second) = (out[1..19].to_vec(), out[19..].to_vec());
        let swapped = [&out[..1], &second, &first].concat();
        assert!(Reader::new(&swapped).version("v").is_err());
    }
}

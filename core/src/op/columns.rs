//! Columns: logs taken apart field by field, so that what is alike lies together and deflates well.
//!
//! The form of saved documents and updates. Normative: docs/format.md. One walk over a change (`walk`) describes both
//! directions; `split` takes changes apart along it, `join` puts them together. Always holds: the exact bytes of every
//! change come back; any bytes give segments or a `DecodeError`; what decoding needs is known, and compared with the
//! length of the input, before it is allocated. Not here: what changes mean, and whether they are valid.

mod digests;
mod join;
mod pack;
mod split;
mod store;
mod walk;

use super::Segment;
use crate::codec::DecodeError;
pub(crate) use digests::Chains;
use join::Join;
use pack::Packed;
use split::Split;

/// Takes segments apart. Linear in their length, but for sorting the dependencies.
///
/// # Panics
/// If the frames of a segment are not whole.
pub fn encode(segments: &[Segment]) -> Vec<u8> {
    let mut split = Split::new(segments);
    segments.iter().for_each(|segment| split.segment(segment));
    pack::pack(segments, &split.finish(segments))
}

/// Puts together what `encode` took apart. Time is linear in the length of what comes out; that and all that is needed
/// on the way is at most 16 times the input, or 64 KiB.
///
/// # Errors
/// If the bytes are malformed. The changes themselves are read later, against the heads of their logs.
pub fn decode(bytes: &[u8]) -> Result<Vec<Segment>, DecodeError> {
    decode_chained(bytes).map(|(segments, _)| segments)
}

/// The same, with the digests that were computed on the way.
pub(crate) fn decode_chained(bytes: &[u8]) -> Result<(Vec<Segment>, Chains), DecodeError> {
    let (content, budget) = pack::open(bytes)?;
    Join::new(&Packed::read(&content, budget)?)?.segments()
}

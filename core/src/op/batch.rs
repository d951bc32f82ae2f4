//! `Batch`: sealed changes on their way somewhere (to a store, over a wire, into an update), a segment per log.
//!
//! Always holds: inside a segment the changes follow one another without gaps. A segment is not self-contained: it is
//! read against the head of its log.

use smallvec::SmallVec;

use super::{LogHead, MAX_SEQ};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_bytes, put_u64};
use crate::id::{ReplicaId, VersionVector};

/// Consecutive changes of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The author.
    pub replica: ReplicaId,
    /// Sequence number of the first operation.
    pub first_seq: u64,
    /// The changes, each behind its length (`put_frame`). A keystroke takes no memory of its own.
    pub frames: SmallVec<[u8; 32]>,
}

impl Segment {
    /// The changes, in order.
    pub fn changes(&self) -> Frames<'_> {
        Frames(Reader::new(&self.frames))
    }

    /// No changes yet.
    pub fn new(replica: ReplicaId, first_seq: u64) -> Self {
        Self { replica, first_seq, frames: SmallVec::new() }
    }

    /// Appends a change.
    pub fn push(&mut self, change: &[u8]) {
        let mut frame = Vec::new();
        put_frame(&mut frame, change);
        self.frames.extend_from_slice(&frame);
    }

    /// The exclusive end of the sequence numbers, found without the log's head. O(changes).
    ///
    /// # Errors
    /// If a change's frame or first fields are malformed.
    pub fn end(&self) -> Result<u64, DecodeError> {
        let mut end = self.first_seq;
        for change in self.changes() {
            end = end.saturating_add(LogHead::peek_ops(change?)?);
        }
        Ok(end)
    }
}

/// Appends a change behind its length.
pub fn put_frame(out: &mut Vec<u8>, change: &[u8]) {
    put_bytes(out, change);
}

/// An iterator over the changes of a segment; it ends after the first error.
#[derive(Clone, Debug)]
pub struct Frames<'a>(Reader<'a>);

impl<'a> Frames<'a> {
    /// The changes framed in `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes))
    }

    /// Offset of the next frame.
    pub fn offset(&self) -> usize {
        self.0.offset()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<&'a [u8], DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = self.0.bytes("change length");
        if frame.is_err() {
            self.0.rest();
        }
        Some(frame)
    }
}

/// Changes of any number of logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// At most one segment per log in what this crate makes; readers accept several.
    pub segments: SmallVec<[Segment; 1]>,
}

impl From<Segment> for Batch {
    fn from(segment: Segment) -> Self {
        Self { segments: SmallVec::from_buf([segment]) }
    }
}

impl FromIterator<Segment> for Batch {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self { segments: segments.into_iter().collect() }
    }
}

impl Batch {
    /// Appends a segment with these frames.
    #[inline]
    pub fn push(&mut self, replica: ReplicaId, first_seq: u64, frames: &[u8]) {
        self.segments.push(Segment::new(replica, first_seq));
        if let Some(segment) = self.segments.last_mut() {
            segment.frames.reserve_exact(frames.len());
            segment.frames.extend_from_slice(frames);
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Bytes of changes in it.
    pub fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.frames.len()).sum()
    }

    /// The exclusive ends of its segments.
    ///
    /// # Errors
    /// If a change's frame or first fields are malformed.
    pub fn ends(&self) -> Result<VersionVector, DecodeError> {
        self.segments.iter().map(|segment| Ok((segment.replica, segment.end()?))).collect()
    }

    /// Appends the encoding: a count, then per segment the replica, the first seq and the framed changes.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_u64(out, self.segments.len() as u64);
        for segment in &self.segments {
            out.extend_from_slice(segment.replica.as_bytes());
            put_u64(out, segment.first_seq);
            put_bytes(out, &segment.frames);
        }
    }

    /// The encoding, alone.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes() + 32 * self.segments.len() + 4);
        self.write(&mut out);
        out
    }

    /// Reads what `write` wrote.
    ///
    /// # Errors
    /// If the bytes are malformed. The changes themselves are read later, against the heads of their logs.
    #[inline]
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.bounded("segment count", (reader.remaining() / 18) as u64)?;
        let mut batch = Self { segments: SmallVec::with_capacity(count.min(64) as usize) };
        for _ in 0..count {
            let replica = ReplicaId::from_bytes(*reader.chunk("segment replica")?);
            let first_seq = reader.bounded("segment start", MAX_SEQ)?;
            let frames = reader.bytes("segment changes")?;
            if frames.is_empty() {
                return Err(reader.error("segment changes", DecodeErrorKind::NotCanonical));
            }
            batch.push(replica, first_seq, frames);
        }
        Ok(batch)
    }

    /// Reads an encoding that stands alone.
    ///
    /// # Errors
    /// If the bytes are malformed or more follow.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let batch = Self::read(&mut reader)?;
        reader.end("batch")?;
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_round_trip_and_refuse_what_follows() {
        let mut segment = Segment::new(ReplicaId::from(3), 5);
        segment.push(&[1 << 4, 1]);
        segment.push(&[0, 3]);
        assert_eq!(segment.end(), Ok(9));
        let batch = Batch::from(segment);
        let mut bytes = batch.encode();
        assert_eq!(Batch::decode(&bytes), Ok(batch));
        bytes.push(0);
        assert!(Batch::decode(&bytes).is_err());
    }
}

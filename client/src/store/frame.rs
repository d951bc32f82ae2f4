//! The bytes of a document's log file: a header, then frames.
//!
//! ```text
//! header: "SELVLOG" 0 · version 1 · document name (length, UTF-8) · checksum of all that (4)
//! frame:  length of the content (u32, little-endian) · kind (1) · checksum of the frame's offset, length and kind (4)
//!         · content · A5 5A A5 5A
//! kinds:  0 a record · 1 a record that ends a commit    content: as `selvedge::store::record` seals it
//!         2 a lease    content: replica id (16) · identity of the file (u64, little-endian) · checksum of both (4)
//!         3 a checkpoint, in front of the records of its commit    content: as `selvedge::store::Checkpoint` seals it
//! ```
//! Always holds: decoding is total, and a frame is only read at its own offset. Not here: files (`log`).

use selvedge::codec::{DecodeError, DecodeErrorKind, Reader, checksum, put_str};
use selvedge::store::{Checkpoint, record};
use selvedge::{DocName, ReplicaId};

/// Length of what stands in front of a frame's content, in bytes.
pub(super) const FRAME_HEAD: usize = 9;

/// What every frame ends with: bytes that are not zero, as those of a sector that was never written are.
pub(super) const END_MARK: [u8; 4] = [0xa5, 0x5a, 0xa5, 0x5a];

/// Largest content of a frame, in bytes.
pub(super) const MAX_CONTENT: usize = 1 << 30;

/// Longest header: magic, version, name behind its length, checksum.
pub(super) const MAX_HEADER: usize = 8 + 1 + 2 + DocName::MAX_BYTES + 4;

const MAGIC: &[u8; 8] = b"SELVLOG\0";
const VERSION: u8 = 1;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    LastRecord,
    Lease,
    Checkpoint,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Record, Self::LastRecord, Self::Lease, Self::Checkpoint];
}

/// Whose changes a file takes: a replica id, good only in the file with this identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub(super) replica: ReplicaId,
    /// The file's identity when the lease was written (a copied or restored file has another).
    pub(super) identity: u64,
}

impl Lease {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = self.replica.as_bytes().to_vec();
        out.extend_from_slice(&self.identity.to_le_bytes());
        let sum = checksum(&out);
        out.extend_from_slice(&sum);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let replica = reader.replica("replica id")?;
        let identity = u64::from_le_bytes(reader.array("file identity")?);
        let summed = reader.offset();
        if reader.array::<4>("lease checksum")? != checksum(&bytes[..summed]) {
            return Err(reader.error("lease checksum", DecodeErrorKind::Checksum));
        }
        reader.end("lease")?;
        Ok(Self { replica, identity })
    }
}

/// The header of the log of `doc`.
pub(super) fn header(doc: &DocName) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.push(VERSION);
    put_str(&mut out, doc.as_str());
    let sum = checksum(&out);
    out.extend_from_slice(&sum);
    out
}

/// Reads a header at the beginning of `bytes`: the document and the header's length.
pub(super) fn read_header(bytes: &[u8]) -> Result<(DocName, usize), DecodeError> {
    let mut reader = Reader::new(bytes);
    if reader.take("magic", MAGIC.len())? != MAGIC {
        return Err(reader.error("magic", DecodeErrorKind::WrongMagic("log of the Selvedge client")));
    }
    let version = reader.u8("format version")?;
    if version != VERSION {
        let kind = DecodeErrorKind::WrongVersion { got: version, min: VERSION, max: VERSION };
        return Err(reader.error("format version", kind));
    }
    let name = reader.str("document name")?;
    let summed = reader.offset();
    if reader.array::<4>("header checksum")? != checksum(&bytes[..summed]) {
        return Err(reader.error("header checksum", DecodeErrorKind::Checksum));
    }
    let doc = DocName::new(name)
        .map_err(|_| reader.error("document name", DecodeErrorKind::Inconsistent("not a document name")))?;
    Ok((doc, reader.offset()))
}

/// Appends the frame that stands at `offset` of the file. The content is at most `MAX_CONTENT` bytes long.
pub(super) fn put_frame(out: &mut Vec<u8>, offset: u64, kind: Kind, content: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&(content.len() as u32).to_le_bytes());
    out.push(kind as u8);
    let sum = head_sum(offset, &out[start..]);
    out.extend_from_slice(&sum);
    out.extend_from_slice(content);
    out.extend_from_slice(&END_MARK);
}

/// The whole log of `doc` with these records, each a commit, from number 0 on.
pub(super) fn log_of<'a>(doc: &DocName, points: &[Checkpoint], records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = header(doc);
    for point in points {
        let offset = out.len() as u64;
        put_frame(&mut out, offset, Kind::Checkpoint, &point.seal(doc));
    }
    for (index, content) in (0..).zip(records) {
        let (offset, sealed) = (out.len() as u64, record::seal(doc, index, content));
        put_frame(&mut out, offset, Kind::LastRecord, &sealed);
    }
    out
}

/// Reads a frame's head at its offset: kind and length of the content; `None` if it is damaged.
pub(super) fn read_head(offset: u64, head: &[u8; FRAME_HEAD]) -> Option<(Kind, usize)> {
    if head[5..] != head_sum(offset, &head[..5]) {
        return None;
    }
    let len = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
    Kind::ALL.get(usize::from(head[4])).filter(|_| len <= MAX_CONTENT).map(|kind| (*kind, len))
}

fn head_sum(offset: u64, len_and_kind: &[u8]) -> [u8; 4] {
    let mut bytes = offset.to_le_bytes().to_vec();
    bytes.extend_from_slice(len_and_kind);
    checksum(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_are_read_to_the_last_byte() {
        let lease = Lease { replica: ReplicaId::from(7), identity: 11 };
        let bytes = lease.encode();
        assert_eq!(Lease::decode(&bytes), Ok(lease));
        assert!(Lease::decode(&[bytes.as_slice(), &[0]].concat()).is_err());
        for cut in 0..bytes.len() {
            assert!(Lease::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_belongs_to_its_offset() {
        let mut bytes = Vec::new();
        put_frame(&mut bytes, 40, Kind::LastRecord, b"content");
        let mut head: [u8; FRAME_HEAD] = bytes[..FRAME_HEAD].try_into().unwrap();
        assert_eq!(read_head(40, &head), Some((Kind::LastRecord, 7)));
        assert_eq!(read_head(41, &head), None);
        head[3] = 0x40;
        let sum = head_sum(40, &head[..5]);
        head[5..].copy_from_slice(&sum);
        assert_eq!(read_head(40, &head), None, "longer than allowed");
    }

    #[test]
    fn headers_name_their_document_and_other_versions_are_refused() {
        let doc = DocName::new("notes/é").unwrap();
        let mut bytes = header(&doc);
        assert_eq!(read_header(&bytes), Ok((doc, bytes.len())));
        for cut in 0..bytes.len() {
            assert!(read_header(&bytes[..cut]).is_err());
        }
        bytes[8] = 2;
        assert!(matches!(read_header(&bytes).map_err(|e| e.kind), Err(DecodeErrorKind::WrongVersion { got: 2, .. })));
    }
}

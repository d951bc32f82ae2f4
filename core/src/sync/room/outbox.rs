//! `Piece` and `Outbox`: accepted changes on their way to a peer: shared, cut to size, and never sent twice.
//!
//! Always holds: pieces are queued after everything they depend on, except within a loaded part, where the receiver
//! holds back what comes too early; what waits here is of one turn, or one part.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::codec::DecodeError;
use crate::id::{ReplicaId, VersionVector};
use crate::op::{Batch, Dep, Frames, LogHead, Segment};
use crate::planted::{self, Bug};

/// Changes of one message are cut before they grow beyond this, in bytes, unless one change alone is larger.
pub(crate) const CHUNK_BYTES: usize = 250 << 10;

/// Consecutive changes of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) replica: ReplicaId,
    pub(crate) first: u64,
    /// Exclusive.
    pub(crate) end: u64,
    /// The first half of the log's digest in front of them, where it is known.
    pub(crate) before: Option<[u8; 16]>,
    /// Each behind its length.
    pub(crate) frames: Vec<u8>,
}

/// What goes into one `Changes` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) replica: ReplicaId,
    pub(crate) first: u64,
    /// As in the piece that it begins with.
    pub(crate) before: Option<[u8; 16]>,
    pub(crate) frames: Vec<u8>,
}

/// What waits to be sent to one peer.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Arc<Piece>>,
    bytes: usize,
}

impl Outbox {
    pub(crate) fn extend(&mut self, pieces: &[Arc<Piece>]) {
        for piece in pieces {
            self.bytes += piece.frames.len();
            self.pieces.push_back(piece.clone());
        }
    }

    /// Bytes of changes in it.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes everything that `known` does not include, in messages of a bounded size, and raises `known` by it.
    /// `false`: something is missing in between and must be loaded.
    pub(crate) fn drain(&mut self, known: &mut VersionVector) -> (Vec<Chunk>, bool) {
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut whole = true;
        self.bytes = 0;
        for piece in std::mem::take(&mut self.pieces) {
            let from = known.end(piece.replica);
            if piece.end <= from {
                continue;
            }
            if piece.first > from {
                whole = false;
                continue;
            }
            let Ok((seq, start)) = change_at(&piece, from) else { continue };
            push_cut(&mut chunks, &piece, seq, start);
            if !planted::is(Bug::SentIsForgotten) {
                known.raise(piece.replica, piece.end);
            }
        }
        (chunks, whole)
    }
}

/// First seq and offset of the change in `piece` that holds operation `seq`: a peer that claims to know half of it is
/// wrong, and finds that out.
fn change_at(piece: &Piece, seq: u64) -> Result<(u64, usize), DecodeError> {
    let (mut iter, mut at) = (Frames::new(&piece.frames), piece.first);
    loop {
        let offset = iter.offset();
        let Some(change) = iter.next() else { return Ok((at, offset)) };
        let end = at.saturating_add(LogHead::peek_ops(change?)?);
        if end > seq {
            return Ok((at, offset));
        }
        at = end;
    }
}

fn push_cut(chunks: &mut Vec<Chunk>, piece: &Piece, first: u64, start: usize) {
    let frames = &piece.frames[start..];
    if let Some(last) = chunks.last_mut() {
        // Chunks follow one another in the order of their pieces, so the last of this log ends where we go on.
        if last.replica == piece.replica && last.frames.len() + frames.len() <= CHUNK_BYTES {
            last.frames.extend_from_slice(frames);
            return;
        }
    }
    let chunk = |at, frames: &[u8]| {
        let before = piece.before.filter(|_| at == piece.first);
        Chunk { replica: piece.replica, first: at, before, frames: frames.to_vec() }
    };
    if frames.len() <= CHUNK_BYTES {
        chunks.push(chunk(first, frames));
        return;
    }
    let (mut iter, mut seq) = (Frames::new(frames), first);
    let (mut chunk_start, mut chunk_seq) = (0, first);
    loop {
        let at = iter.offset();
        let Some(Ok(change)) = iter.next() else { break };
        if iter.offset() - chunk_start > CHUNK_BYTES && at > chunk_start {
            chunks.push(chunk(chunk_seq, &frames[chunk_start..at]));
            (chunk_start, chunk_seq) = (at, seq);
        }
        seq = seq.saturating_add(LogHead::peek_ops(change).unwrap_or(0));
    }
    chunks.push(chunk(chunk_seq, &frames[chunk_start..]));
}

/// The changes of a loaded batch that lie behind `known` and within `limit`, in pieces. `digests` are those of the logs
/// where the peer's end.
///
/// # Errors
/// If the batch is damaged.
pub(crate) fn cut(
    batch: Batch,
    digests: &[Dep],
    known: &VersionVector,
    limit: &VersionVector,
) -> Result<Vec<Arc<Piece>>, DecodeError> {
    let mut pieces = Vec::new();
    for segment in batch.segments {
        let limit = limit.end(segment.replica);
        let mut queue = cut_segment(segment, known, limit)?;
        if let Some(first) = queue.front_mut() {
            let point = digests.iter().find(|point| point.replica == first.replica && point.end == first.first);
            first.before = point.map(|point| point.digest);
        }
        pieces.extend(queue.into_iter().map(Arc::new));
    }
    Ok(pieces)
}

fn cut_segment(segment: Segment, known: &VersionVector, limit: u64) -> Result<VecDeque<Piece>, DecodeError> {
    let known = known.end(segment.replica);
    let mut queue: VecDeque<Piece> = VecDeque::new();
    let mut seq = segment.first_seq;
    let mut iter = segment.changes();
    loop {
        let at = iter.offset();
        let Some(change) = iter.next() else { break };
        let end = seq.saturating_add(LogHead::peek_ops(change?)?);
        if end + u64::from(planted::is(Bug::LoadCutOffByOne)) > limit {
            break;
        }
        let frame = &segment.frames[at..iter.offset()];
        match queue.back_mut() {
            _ if end <= known => {}
            Some(last) if last.frames.len() + frame.len() <= CHUNK_BYTES / 4 => {
                last.frames.extend_from_slice(frame);
                last.end = end;
            }
            _ => {
                let (replica, frames) = (segment.replica, frame.to_vec());
                queue.push_back(Piece { replica, first: seq, end, before: None, frames });
            }
        }
        seq = end;
    }
    Ok(queue)
}

/// Pieces as one batch: a segment per log, or several where one of them does not go on where the last one ended.
pub(crate) fn to_batch<'a>(pieces: impl IntoIterator<Item = &'a Arc<Piece>>) -> Batch {
    let mut logs: crate::ordered::OrdMap<ReplicaId, (u64, Vec<Segment>)> = crate::ordered::OrdMap::new();
    for piece in pieces {
        let (end, segments) = logs.entry(piece.replica).or_insert_with(|| (piece.first, Vec::new()));
        if segments.is_empty() || *end != piece.first {
            segments.push(Segment::new(piece.replica, piece.first));
        }
        if let Some(segment) = segments.last_mut() {
            segment.frames.extend_from_slice(&piece.frames);
        }
        *end = piece.end;
    }
    Batch { segments: logs.into_values().flat_map(|(_, segments)| segments).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hlc;
    use crate::op::{Change, put_frame};

    const REPLICA: u128 = 4;

    /// `count` changes of two operations each, from `first` on.
    fn piece(first: u64, count: u64, body: &[u8]) -> Piece {
        let replica = ReplicaId::from(REPLICA);
        let (mut frames, mut head) = (Vec::new(), LogHead::default());
        for i in 0..count {
            let mut bytes = Vec::new();
            head.write(&Change { hlc: Hlc::new(i + 1, 1), deps: &[], message: None, ops: 2, body }, &mut bytes);
            put_frame(&mut frames, &bytes);
        }
        Piece { replica, first, end: first + 2 * count, before: None, frames }
    }

    fn ends(chunks: &[Chunk]) -> Vec<(u64, u64)> {
        let end = |chunk: &Chunk| {
            Segment { replica: chunk.replica, first_seq: chunk.first, frames: chunk.frames.clone().into() }.end()
        };
        chunks.iter().map(|chunk| (chunk.first, end(chunk).expect("whole frames"))).collect()
    }

    #[test]
    fn only_what_the_peer_lacks_is_taken() {
        let replica = ReplicaId::from(REPLICA);
        let mut outbox = Outbox::default();
        let mut known: VersionVector = [(replica, 4)].into_iter().collect();
        outbox.extend(&[Arc::new(piece(0, 2, b"a")), Arc::new(piece(0, 4, b"b")), Arc::new(piece(8, 1, b"c"))]);
        let (chunks, whole) = outbox.drain(&mut known);
        assert_eq!((ends(&chunks), whole, known.end(replica)), (vec![(4, 10)], true, 10));
        assert_eq!(outbox.drain(&mut known), (Vec::new(), true));
        // Half of a change cannot be known: all of it is sent, and the peer finds out.
        let mut odd: VersionVector = [(replica, 3)].into_iter().collect();
        outbox.extend(&[Arc::new(piece(0, 3, b"a"))]);
        assert_eq!(ends(&outbox.drain(&mut odd).0), [(2, 6)]);
        // A hole must be loaded.
        outbox.extend(&[Arc::new(piece(20, 1, b"a"))]);
        assert_eq!(outbox.drain(&mut known), (Vec::new(), false));
    }

    #[test]
    fn a_load_is_cut_to_what_is_asked_for() {
        let replica = ReplicaId::from(REPLICA);
        let body: Vec<u8> = (0..30_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let segment = |replica, count| Segment { replica, first_seq: 0, frames: piece(0, count, &body).frames.into() };
        let other = ReplicaId::from(9);
        let batch = Batch::from_iter([segment(replica, 10), segment(other, 20)]);
        let known = [(replica, 4)].into_iter().collect();
        let limit = [(replica, 20), (other, 38)].into_iter().collect();
        let pieces = cut(batch, &[], &known, &limit).expect("whole frames");
        for (log, from, to) in [(replica, 4, 20), (other, 0, 38)] {
            let spans: Vec<_> = pieces.iter().filter(|p| p.replica == log).map(|p| (p.first, p.end)).collect();
            assert_eq!((spans[0].0, spans[spans.len() - 1].1), (from, to));
            assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0), "{spans:?}");
        }
        assert!(pieces.iter().all(|piece| piece.frames.len() <= CHUNK_BYTES));
    }

    /// Bug class D: another tab has stored what lies between.
    #[test]
    fn what_is_stored_around_a_hole_keeps_its_place() {
        let pieces = [piece(0, 2, b"a"), piece(4, 1, b"b"), piece(10, 3, b"c")].map(Arc::new);
        let segments = to_batch(&pieces).segments;
        let spans = segments.iter().map(|segment| (segment.first_seq, segment.end().expect("whole frames")));
        assert_eq!(spans.collect::<Vec<_>>(), [(0, 6), (10, 16)]);
    }
}

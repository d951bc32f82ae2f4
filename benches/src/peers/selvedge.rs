//! Ours. `edit` is `Doc::change`, an update is `Doc::take_batch`, `export` is `export_all`, which begins with the finished
//! state; the history alone is `export_since` of nothing.
//!
//! Updates travel as encoded batches here, and are counted as the messages of a session that carry them.

use anyhow::{Result, ensure};
use selvedge::op::Batch;
use selvedge::{Doc, EditError, ReplicaId, VersionVector};

use super::Peer;
use crate::rows::Row;
use crate::trace::{Edits, Trace};

/// The marker of this peer.
pub(super) struct Selvedge;

const TEXT: &str = "text";
/// Some day in 2023, in ms.
const START_MS: u64 = 1_700_000_000_000;

fn replica(writer: usize) -> ReplicaId {
    // As random as an id is in life, and the same in every run.
    ReplicaId::from((writer as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

fn change(doc: &mut Doc, edits: Edits<'_>) -> Result<(), EditError> {
    doc.change(|tx| {
        let mut text = tx.text(TEXT);
        for edit in edits.iter() {
            if edit.del > 0 {
                text.delete(edit.pos, edit.del)?;
            }
            if !edit.text.is_empty() {
                text.insert(edit.pos, edit.text)?;
            }
        }
        Ok(())
    })
}

fn import(doc: &mut Doc, batch: &Batch) -> Result<()> {
    let imported = doc.import_batch(batch)?;
    ensure!(imported.pending_bytes == 0 && imported.invalid.is_empty() && imported.forks.is_empty(), "{imported:?}");
    Ok(())
}

fn varint_bytes(number: u64) -> u64 {
    u64::from((64 - number.leading_zeros()).div_ceil(7).max(1))
}

/// Bytes of an update in a session: per log a frame with one `Changes` message, in which a format byte, a tag, the
/// channel and the log's index take one byte each (the log was named once, before).
fn session_bytes(batch: &Batch) -> u64 {
    let frame = |segment: &selvedge::op::Segment| {
        let len = segment.frames.len() as u64;
        4 + varint_bytes(segment.first_seq) + varint_bytes(len) + len
    };
    batch.segments.iter().map(frame).sum()
}

/// The file when every transaction was a change of its own, 150 to 400 ms behind the one before.
fn live_file(trace: &Trace) -> Result<u64> {
    let (mut doc, mut now, mut dice) = (Selvedge::create(0)?, START_MS, 1_u64);
    for at in 0..trace.len() {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        now += 150 + (dice >> 33) % 251;
        doc.set_now(now);
        change(&mut doc, trace.edits(at))?;
        doc.commit(None);
    }
    Ok(doc.save().len() as u64)
}

/// The sum of all updates, each a file that any copy can import.
fn alone(trace: &Trace) -> Result<u64> {
    let mut doc = Selvedge::create(0)?;
    let (mut sum, mut version) = (0, VersionVector::new());
    for at in 0..trace.len() {
        change(&mut doc, trace.edits(at))?;
        sum += doc.export_since(&version).len() as u64;
        version = doc.version();
    }
    Ok(sum)
}

impl Peer for Selvedge {
    type Doc = Doc;

    fn create(writer: usize) -> Result<Doc> {
        let mut doc = Doc::new(replica(writer));
        doc.set_now(START_MS);
        Ok(doc)
    }

    fn edit(doc: &mut Doc, edits: Edits<'_>) -> Result<()> {
        Ok(change(doc, edits)?)
    }

    fn edit_emit(doc: &mut Doc, edits: Edits<'_>) -> Result<Vec<u8>> {
        change(doc, edits)?;
        Ok(doc.take_batch().encode())
    }

    fn apply(doc: &mut Doc, update: &[u8]) -> Result<()> {
        import(doc, &Batch::decode(update)?)
    }

    fn text(doc: &Doc) -> Result<String> {
        Ok(doc.text(TEXT).to_string())
    }

    fn save(doc: &mut Doc) -> Result<Vec<u8>> {
        Ok(doc.save())
    }

    fn open(saved: &[u8]) -> Result<Doc> {
        Ok(Doc::load(replica(1_000_000), saved)?)
    }

    fn open_history(saved: &[u8]) -> Result<Option<Doc>> {
        let mut doc = Self::open(saved)?;
        // Nothing else asks for the operations and leaves the document as it is.
        drop(doc.batch_since(&VersionVector::new()));
        Ok(Some(doc))
    }

    fn export(doc: &mut Doc) -> Result<Option<Vec<u8>>> {
        Ok(Some(doc.export_all()))
    }

    fn history(doc: &mut Doc) -> Result<Option<Vec<u8>>> {
        Ok(Some(doc.export_since(&VersionVector::new())))
    }

    fn import_verified(exported: &[u8]) -> Result<Option<Doc>> {
        let mut doc = Self::import(exported)?;
        ensure!(doc.verify()?, "the state is not what the history leads to");
        Ok(Some(doc))
    }

    fn import(exported: &[u8]) -> Result<Doc> {
        let mut doc = Self::create(1_000_000)?;
        doc.import(exported)?;
        Ok(doc)
    }

    fn sizes(doc: &mut Doc, trace: &Trace, updates: &[&[u8]]) -> Result<Vec<(Row, Option<u64>)>> {
        let mut sum = 0;
        for update in updates {
            sum += session_bytes(&Batch::decode(update)?);
        }
        let newest = doc.version();
        let state = doc.save_shallow(&newest)?.len() as u64;
        let mut sizes = vec![(Row::UpdatesBytes, Some(sum)), (Row::StateBytes, Some(state))];
        if !trace.concurrent {
            sizes.push((Row::UpdatesAloneBytes, Some(alone(trace)?)));
            sizes.push((Row::FullBytesLive, Some(live_file(trace)?)));
        }
        Ok(sizes)
    }
}

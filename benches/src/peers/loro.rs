//! `loro`: its file is a snapshot (state and history), its export all updates, its state a shallow snapshot.

use anyhow::Result;
use loro::{ExportMode, LoroDoc, LoroText};

use super::Peer;
use crate::rows::Row;
use crate::trace::{Edits, Trace};

/// The marker of this peer.
pub(super) struct Loro;

/// A document and its text.
pub(super) struct Document {
    doc: LoroDoc,
    text: LoroText,
}

fn document(doc: LoroDoc, writer: usize) -> Result<Document> {
    doc.set_peer_id(writer as u64 + 1)?;
    let text = doc.get_text("text");
    Ok(Document { doc, text })
}

impl Peer for Loro {
    type Doc = Document;

    fn create(writer: usize) -> Result<Document> {
        document(LoroDoc::new(), writer)
    }

    fn edit(doc: &mut Document, edits: Edits<'_>) -> Result<()> {
        for edit in edits.iter() {
            if edit.del > 0 {
                doc.text.delete(edit.pos, edit.del)?;
            }
            if !edit.text.is_empty() {
                doc.text.insert(edit.pos, edit.text)?;
            }
        }
        doc.doc.commit();
        Ok(())
    }

    fn edit_emit(doc: &mut Document, edits: Edits<'_>) -> Result<Vec<u8>> {
        let before = doc.doc.oplog_vv();
        Self::edit(doc, edits)?;
        Ok(doc.doc.export(ExportMode::updates(&before))?)
    }

    fn apply(doc: &mut Document, update: &[u8]) -> Result<()> {
        doc.doc.import(update)?;
        Ok(())
    }

    fn text(doc: &Document) -> Result<String> {
        Ok(doc.text.to_string())
    }

    fn save(doc: &mut Document) -> Result<Vec<u8>> {
        Ok(doc.doc.export(ExportMode::Snapshot)?)
    }

    fn open(saved: &[u8]) -> Result<Document> {
        document(LoroDoc::from_snapshot(saved)?, 1_000_000)
    }

    fn export(doc: &mut Document) -> Result<Option<Vec<u8>>> {
        Ok(Some(doc.doc.export(ExportMode::all_updates())?))
    }

    fn import(exported: &[u8]) -> Result<Document> {
        let doc = document(LoroDoc::new(), 1_000_000)?;
        doc.doc.import(exported)?;
        Ok(doc)
    }

    fn sizes(doc: &mut Document, _trace: &Trace, _updates: &[&[u8]]) -> Result<Vec<(Row, Option<u64>)>> {
        let newest = doc.doc.oplog_frontiers();
        let state = doc.doc.export(ExportMode::shallow_snapshot(&newest))?;
        Ok(vec![(Row::StateBytes, Some(state.len() as u64))])
    }
}

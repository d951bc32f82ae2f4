//! `automerge`: `save` is its document format, `export` the changes one behind the other, an update one change.

use anyhow::{Context, Result};
use automerge::transaction::{CommitOptions, Transactable};
use automerge::{ActorId, AutoCommit, ObjId, ObjType, ROOT, ReadDoc};

use super::Peer;
use crate::rows::Row;
use crate::trace::{Edits, Trace};

/// The marker of this peer.
pub(super) struct Automerge;

/// A document and its text.
pub(super) struct Document {
    doc: AutoCommit,
    text: ObjId,
}

fn actor(writer: usize) -> ActorId {
    ActorId::from((writer as u128 + 1).to_be_bytes())
}

fn document(doc: AutoCommit, writer: usize) -> Result<Document> {
    let mut doc = doc.with_actor(actor(writer));
    let (_, text) = doc.get(ROOT, "text")?.context("the document has no text")?;
    doc.commit();
    Ok(Document { doc, text })
}

impl Peer for Automerge {
    type Doc = Document;

    fn create(writer: usize) -> Result<Document> {
        // The change that makes the text is the same in all documents.
        let mut base = AutoCommit::new().with_actor(ActorId::from([0]));
        base.put_object(ROOT, "text", ObjType::Text)?;
        base.commit_with(CommitOptions::default().with_time(0));
        document(base, writer)
    }

    fn edit(doc: &mut Document, edits: Edits<'_>) -> Result<()> {
        for edit in edits.iter() {
            doc.doc.splice_text(&doc.text, edit.pos, edit.del as isize, edit.text)?;
        }
        doc.doc.commit();
        Ok(())
    }

    fn edit_emit(doc: &mut Document, edits: Edits<'_>) -> Result<Vec<u8>> {
        Self::edit(doc, edits)?;
        let change = doc.doc.get_last_local_change().context("an edit made no change")?;
        Ok(change.raw_bytes().to_vec())
    }

    fn apply(doc: &mut Document, update: &[u8]) -> Result<()> {
        doc.doc.load_incremental(update)?;
        Ok(())
    }

    fn text(doc: &Document) -> Result<String> {
        Ok(doc.doc.text(&doc.text)?)
    }

    fn save(doc: &mut Document) -> Result<Vec<u8>> {
        Ok(doc.doc.save())
    }

    fn open(saved: &[u8]) -> Result<Document> {
        document(AutoCommit::load(saved)?, 1_000_000)
    }

    fn export(doc: &mut Document) -> Result<Option<Vec<u8>>> {
        Ok(Some(doc.doc.save_after(&[])))
    }

    fn import(exported: &[u8]) -> Result<Document> {
        let mut doc = AutoCommit::new();
        doc.load_incremental(exported)?;
        document(doc, 1_000_000)
    }

    fn sizes(doc: &mut Document, _trace: &Trace, _updates: &[&[u8]]) -> Result<Vec<(Row, Option<u64>)>> {
        // Its document format is its history, and smaller than the changes one by one.
        Ok(vec![(Row::HistoryBytes, Some(Self::save(doc)?.len() as u64))])
    }
}

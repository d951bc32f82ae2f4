//! `diamond-types`: an operation log and a branch. Its file is its history, and an update a small file.

use anyhow::{Result, anyhow};
use diamond_types::AgentId;
use diamond_types::list::ListCRDT;
use diamond_types::list::encoding::{ENCODE_FULL, ENCODE_PATCH};

use super::Peer;
use crate::trace::Edits;

/// The marker of this peer.
pub(super) struct Diamond;

/// A log, its newest text, and who writes.
pub(super) struct Document {
    list: ListCRDT,
    agent: AgentId,
}

fn document(mut list: ListCRDT, writer: usize) -> Document {
    let agent = list.get_or_create_agent_id(&format!("w{writer}"));
    Document { list, agent }
}

impl Peer for Diamond {
    type Doc = Document;

    fn create(writer: usize) -> Result<Document> {
        Ok(document(ListCRDT::new(), writer))
    }

    fn edit(doc: &mut Document, edits: Edits<'_>) -> Result<()> {
        for edit in edits.iter() {
            if edit.del > 0 {
                doc.list.delete_without_content(doc.agent, edit.pos..edit.pos + edit.del);
            }
            if !edit.text.is_empty() {
                doc.list.insert(doc.agent, edit.pos, edit.text);
            }
        }
        Ok(())
    }

    fn edit_emit(doc: &mut Document, edits: Edits<'_>) -> Result<Vec<u8>> {
        let before = doc.list.branch.local_version();
        Self::edit(doc, edits)?;
        Ok(doc.list.oplog.encode_from(ENCODE_PATCH, &before))
    }

    fn apply(doc: &mut Document, update: &[u8]) -> Result<()> {
        doc.list.merge_data_and_ff(update).map_err(|error| anyhow!("{error:?}"))?;
        Ok(())
    }

    fn text(doc: &Document) -> Result<String> {
        Ok(doc.list.branch.content().to_string())
    }

    fn save(doc: &mut Document) -> Result<Vec<u8>> {
        Ok(doc.list.oplog.encode(ENCODE_FULL))
    }

    fn open(saved: &[u8]) -> Result<Document> {
        let list = ListCRDT::load_from(saved).map_err(|error| anyhow!("{error:?}"))?;
        Ok(document(list, 1_000_000))
    }

    fn export(doc: &mut Document) -> Result<Option<Vec<u8>>> {
        Self::save(doc).map(Some)
    }

    fn import(exported: &[u8]) -> Result<Document> {
        let mut doc = Self::create(1_000_000)?;
        Self::apply(&mut doc, exported)?;
        Ok(doc)
    }
}

//! `cola-crdt`: it keeps ids and positions, and leaves text and encoding to the caller: here a `JumpRope` and postcard.
//!
//! It has no history to export; what is saved is its tree and the text.

use anyhow::{Result, anyhow};
use cola::{Deletion, EncodedReplica, Insertion, Replica};
use jumprope::JumpRope;
use serde::{Deserialize, Serialize};

use super::Peer;
use crate::rows::Row;
use crate::trace::{Patch, Trace};

/// The marker of this peer.
pub(super) struct Cola;

/// The replica and the text that it is about.
pub(super) struct Document {
    replica: Replica,
    text: JumpRope,
}

#[derive(Serialize, Deserialize)]
enum Edit<'a> {
    Insert(Insertion, #[serde(borrow)] std::borrow::Cow<'a, str>),
    Delete(Deletion),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    replica: EncodedReplica,
    text: String,
}

fn run<'a>(doc: &mut Document, patches: &'a [Patch], mut told: impl FnMut(Edit<'a>)) {
    for patch in patches {
        if patch.del > 0 {
            doc.text.remove(patch.pos..patch.pos + patch.del);
            told(Edit::Delete(doc.replica.deleted(patch.pos..patch.pos + patch.del)));
        }
        if !patch.text.is_empty() {
            doc.text.insert(patch.pos, &patch.text);
            let insertion = doc.replica.inserted(patch.pos, patch.text.chars().count());
            told(Edit::Insert(insertion, patch.text.as_str().into()));
        }
    }
}

impl Peer for Cola {
    type Doc = Document;

    fn create(writer: usize) -> Result<Document> {
        // All replicas of a document are forks of its first.
        let replica = Replica::new(1, 0).fork(writer as u64 + 2);
        Ok(Document { replica, text: JumpRope::new() })
    }

    fn edit(doc: &mut Document, patches: &[Patch]) -> Result<()> {
        run(doc, patches, drop);
        Ok(())
    }

    fn edit_emit(doc: &mut Document, patches: &[Patch]) -> Result<Vec<u8>> {
        let mut edits = Vec::with_capacity(patches.len());
        run(doc, patches, |edit| edits.push(edit));
        Ok(postcard::to_stdvec(&edits)?)
    }

    fn apply(doc: &mut Document, update: &[u8]) -> Result<()> {
        let edits: Vec<Edit<'_>> = postcard::from_bytes(update)?;
        for edit in edits {
            match edit {
                Edit::Insert(insertion, text) => {
                    let at = doc.replica.integrate_insertion(&insertion);
                    doc.text.insert(at.ok_or_else(|| anyhow!("an insertion came too early"))?, &text);
                }
                Edit::Delete(deletion) => {
                    let ranges = doc.replica.integrate_deletion(&deletion);
                    ranges.into_iter().rev().for_each(|range| doc.text.remove(range));
                }
            }
        }
        Ok(())
    }

    fn text(doc: &Document) -> Result<String> {
        Ok(doc.text.to_string())
    }

    fn save(doc: &mut Document) -> Result<Vec<u8>> {
        Ok(postcard::to_stdvec(&Saved { replica: doc.replica.encode(), text: doc.text.to_string() })?)
    }

    fn open(saved: &[u8]) -> Result<Document> {
        let saved: Saved = postcard::from_bytes(saved)?;
        let replica = Replica::decode(1_000_000, &saved.replica).map_err(|error| anyhow!("{error:?}"))?;
        Ok(Document { replica, text: JumpRope::from(saved.text.as_str()) })
    }

    fn export(_doc: &mut Document) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn import(exported: &[u8]) -> Result<Document> {
        Self::open(exported)
    }

    fn sizes(doc: &mut Document, _trace: &Trace, _updates: &[&[u8]]) -> Result<Vec<(Row, Option<u64>)>> {
        let state = Self::save(doc)?.len() as u64;
        Ok(vec![(Row::StateBytes, Some(state)), (Row::FullBytes, None)])
    }
}

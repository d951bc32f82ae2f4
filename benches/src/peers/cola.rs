//! `cola-crdt`: it keeps ids and positions, and leaves text and encoding to the caller: here a `JumpRope` and postcard.
//!
//! It has no history to export; what is saved is its tree and the text.

use anyhow::{Result, anyhow};
use cola::{Deletion, EncodedReplica, Insertion, Replica};
use jumprope::JumpRope;
use serde::{Deserialize, Serialize};

use super::Peer;
use crate::rows::Row;
use crate::trace::{Edits, Trace};

/// The marker of this peer.
pub(super) struct Cola;

/// The replica and the text that it is about.
pub(super) struct Document {
    replica: Replica,
    text: JumpRope,
}

#[derive(Serialize, Deserialize)]
enum Told<'a> {
    Insert(Insertion, #[serde(borrow)] std::borrow::Cow<'a, str>),
    Delete(Deletion),
}

#[derive(Serialize, Deserialize)]
struct Saved {
    replica: EncodedReplica,
    text: String,
}

fn run<'a>(doc: &mut Document, edits: Edits<'a>, mut told: impl FnMut(Told<'a>)) {
    for edit in edits.iter() {
        if edit.del > 0 {
            doc.text.remove(edit.pos..edit.pos + edit.del);
            told(Told::Delete(doc.replica.deleted(edit.pos..edit.pos + edit.del)));
        }
        if !edit.text.is_empty() {
            doc.text.insert(edit.pos, edit.text);
            let insertion = doc.replica.inserted(edit.pos, edit.text.chars().count());
            told(Told::Insert(insertion, edit.text.into()));
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

    fn edit(doc: &mut Document, edits: Edits<'_>) -> Result<()> {
        run(doc, edits, drop);
        Ok(())
    }

    fn edit_emit(doc: &mut Document, edits: Edits<'_>) -> Result<Vec<u8>> {
        let mut told = Vec::new();
        run(doc, edits, |edit| told.push(edit));
        Ok(postcard::to_stdvec(&told)?)
    }

    fn apply(doc: &mut Document, update: &[u8]) -> Result<()> {
        let edits: Vec<Told<'_>> = postcard::from_bytes(update)?;
        for edit in edits {
            match edit {
                Told::Insert(insertion, text) => {
                    let at = doc.replica.integrate_insertion(&insertion);
                    doc.text.insert(at.ok_or_else(|| anyhow!("an insertion came too early"))?, &text);
                }
                Told::Delete(deletion) => {
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

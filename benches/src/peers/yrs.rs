//! `yrs` with its defaults: the content of deleted items is collected, so what it saves is the state, not the history.
//!
//! Updates are of version 1, as its own providers send them. `history_bytes` is of a document that collects nothing,
//! in version 2, which is smaller; it does not tell in which order edits were made. Client ids are small numbers, which
//! makes its updates shorter than in life.

use anyhow::Result;
use yrs::block::ClientID;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, TextRef, Transact, TransactionMut, Update};

use super::Peer;
use crate::rows::Row;
use crate::trace::{Edits, Trace};

/// The marker of this peer.
pub(super) struct Yrs;

/// A document and its text.
pub(super) struct Document {
    doc: Doc,
    text: TextRef,
}

fn document(writer: usize, skip_gc: bool) -> Document {
    let client = ClientID::new(writer as u64 + 1);
    let options = Options { offset_kind: OffsetKind::Utf16, skip_gc, ..Options::with_client_id(client) };
    let doc = Doc::with_options(options);
    let text = doc.get_or_insert_text("text");
    Document { doc, text }
}

fn edit(text: &TextRef, txn: &mut TransactionMut<'_>, edits: Edits<'_>) {
    for edit in edits.iter() {
        let (pos, del) = edit.utf16;
        if del > 0 {
            text.remove_range(txn, pos, del);
        }
        if !edit.text.is_empty() {
            text.insert(txn, pos, edit.text);
        }
    }
}

impl Peer for Yrs {
    type Doc = Document;

    fn refuses(trace: &Trace) -> Option<&'static str> {
        (!trace.utf16).then_some("counts in UTF-16, in which the positions of this trace are not known")
    }

    fn create(writer: usize) -> Result<Document> {
        Ok(document(writer, false))
    }

    fn edit(doc: &mut Document, edits: Edits<'_>) -> Result<()> {
        edit(&doc.text, &mut doc.doc.transact_mut(), edits);
        Ok(())
    }

    fn edit_emit(doc: &mut Document, edits: Edits<'_>) -> Result<Vec<u8>> {
        let mut txn = doc.doc.transact_mut();
        edit(&doc.text, &mut txn, edits);
        Ok(txn.encode_update_v1())
    }

    fn apply(doc: &mut Document, update: &[u8]) -> Result<()> {
        doc.doc.transact_mut().apply_update(Update::decode_v1(update)?)?;
        Ok(())
    }

    fn text(doc: &Document) -> Result<String> {
        Ok(doc.text.get_string(&doc.doc.transact()))
    }

    fn save(doc: &mut Document) -> Result<Vec<u8>> {
        Ok(doc.doc.transact().encode_state_as_update_v1(&StateVector::default()))
    }

    fn open(saved: &[u8]) -> Result<Document> {
        let mut doc = Self::create(1_000_000)?;
        Self::apply(&mut doc, saved)?;
        Ok(doc)
    }

    fn export(doc: &mut Document) -> Result<Option<Vec<u8>>> {
        Self::save(doc).map(Some)
    }

    fn import(exported: &[u8]) -> Result<Document> {
        Self::open(exported)
    }

    fn sizes(doc: &mut Document, _trace: &Trace, updates: &[&[u8]]) -> Result<Vec<(Row, Option<u64>)>> {
        let state = Self::save(doc)?.len() as u64;
        let mut whole = document(1_000_000, true);
        updates.iter().try_for_each(|update| Self::apply(&mut whole, update))?;
        let history = whole.doc.transact().encode_state_as_update_v2(&StateVector::default()).len() as u64;
        Ok(vec![(Row::StateBytes, Some(state)), (Row::HistoryBytes, Some(history)), (Row::FullBytes, None)])
    }
}

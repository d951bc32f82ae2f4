//! `UndoManager`: takes back what was edited through it, and brings it back, leaving everybody else's edits alone.
//!
//! An undo is a transaction of its own: new operations that do the opposite of old ones where these still count, found
//! by the identity of elements and writes, not by position. It is recorded like any other edit, so taking *it* back is
//! what redo does. Always holds: undoing everything leaves what others wrote; undo and redo with nothing in between
//! show the same document; an undo that fails changes neither the document nor the stacks. Not here: what is recorded
//! (`step`), how it is taken back (`revert` and its neighbours).

mod reborn;
mod revert;
mod revert_marks;
mod revert_sequence;
mod revert_tree;
mod step;

use std::sync::Arc;

use self::reborn::Reborn;
pub(super) use self::step::Step;
use super::{Doc, EditError, Transaction};

/// Edits closer together than this are undone together, in milliseconds, unless the manager is told otherwise.
const MERGE_INTERVAL_MS: u64 = 500;

/// What one undo takes back.
#[derive(Debug)]
struct Item {
    steps: Vec<Step>,
    cursor: Vec<u8>,
    /// When its last transaction was made; 0 if nobody told the document the time.
    last_ms: u64,
}

/// Undo and redo for the edits that are made through it. Whatever else happens to the document (imports, edits made
/// elsewhere, by another manager) is somebody else's, and stays.
///
/// ```
/// use selvedge::{Doc, ReplicaId, UndoManager};
///
/// let mut doc = Doc::new(ReplicaId::from(1));
/// let mut undo = UndoManager::new(&doc);
/// undo.change(&mut doc, |tx| tx.text("note").push_str("mine"))?;
/// doc.change(|tx| tx.text("note").insert(2, "---"))?;
/// undo.undo(&mut doc)?;
/// assert_eq!(doc.text("note").to_string(), "---");
/// undo.redo(&mut doc)?;
/// assert_eq!(doc.text("note").to_string(), "mi---ne");
/// # Ok::<(), selvedge::EditError>(())
/// ```
#[derive(Debug)]
pub struct UndoManager {
    /// The one document that it belongs to.
    identity: Arc<()>,
    merge_interval_ms: u64,
    cursor: Vec<u8>,
    done: Vec<Item>,
    undone: Vec<Item>,
    reborn: Reborn,
    /// Whether the last item may take in another transaction.
    open: bool,
}

impl UndoManager {
    /// A manager for the edits of one origin in `doc`: a user, or a part of an application.
    pub fn new(doc: &Doc) -> Self {
        Self {
            identity: doc.identity.clone(),
            merge_interval_ms: MERGE_INTERVAL_MS,
            cursor: Vec::new(),
            done: Vec::new(),
            undone: Vec::new(),
            reborn: Reborn::default(),
            open: false,
        }
    }

    /// Sets within how many milliseconds (by `Doc::set_now`) of each other edits are undone together; 500 otherwise. With
    /// 0, and in a document that is never told the time, every transaction is undone on its own.
    pub fn set_merge_interval(&mut self, ms: u64) {
        self.merge_interval_ms = ms;
    }

    /// Tells where the user's cursor is, in bytes of the application's own. They are kept with the next edit, and given
    /// back when that is undone or redone.
    pub fn set_cursor(&mut self, cursor: Vec<u8>) {
        self.cursor = cursor;
    }

    /// Runs a transaction (`Doc::change`) that this manager can undo. It ends what could be redone.
    ///
    /// # Errors
    /// What `edit` returns; `EditError::OtherDocument` for any document but the manager's.
    pub fn change<T>(
        &mut self,
        doc: &mut Doc,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        self.check(doc)?;
        doc.recording = Some(Vec::new());
        let result = doc.change(edit);
        let steps = doc.recording.take().unwrap_or_default();
        if result.is_ok() && !steps.is_empty() {
            self.push(steps, doc.clock.now_ms());
        }
        result
    }

    fn push(&mut self, steps: Vec<Step>, now_ms: u64) {
        self.undone.clear();
        let interval = self.merge_interval_ms;
        match self.done.last_mut() {
            Some(last) if self.open && last.last_ms > 0 && now_ms.abs_diff(last.last_ms) < interval => {
                steps.into_iter().for_each(|step| step::put(&mut last.steps, step));
                last.last_ms = now_ms;
            }
            _ => self.done.push(Item { steps, cursor: self.cursor.clone(), last_ms: now_ms }),
        }
        self.open = true;
    }

    /// Takes back the last edit that still has an effect. Returns the cursor that was told before it, `None` if there is
    /// nothing to undo.
    ///
    /// # Errors
    /// If the transaction or the log is full; `EditError::OtherDocument` for any document but the manager's. Nothing was
    /// changed then.
    pub fn undo(&mut self, doc: &mut Doc) -> Result<Option<Vec<u8>>, EditError> {
        self.turn(doc, true)
    }

    /// Brings back what the last undo took away. Returns the cursor that was told before that undo, `None` if there is
    /// nothing to redo.
    ///
    /// # Errors
    /// As `undo`.
    pub fn redo(&mut self, doc: &mut Doc) -> Result<Option<Vec<u8>>, EditError> {
        self.turn(doc, false)
    }

    /// Whether there is something to undo. What others overwrote by now still counts here, and is passed over.
    pub fn can_undo(&self) -> bool {
        !self.done.is_empty()
    }

    /// Whether there is something to redo.
    pub fn can_redo(&self) -> bool {
        !self.undone.is_empty()
    }

    fn turn(&mut self, doc: &mut Doc, back: bool) -> Result<Option<Vec<u8>>, EditError> {
        self.check(doc)?;
        self.open = false;
        let (from, to) = if back { (&mut self.done, &mut self.undone) } else { (&mut self.undone, &mut self.done) };
        while let Some(item) = from.pop() {
            if item.steps.iter().any(Step::is_text) {
                doc.track();
            }
            let born = self.reborn.mark();
            doc.recording = Some(Vec::new());
            let result = doc.change(|tx| revert::revert(tx.doc, &item.steps, &mut self.reborn));
            let steps = doc.recording.take().unwrap_or_default();
            if let Err(error) = result {
                self.reborn.reset(born);
                from.push(item);
                return Err(error);
            }
            if !steps.is_empty() {
                let cursor = std::mem::replace(&mut self.cursor, item.cursor.clone());
                to.push(Item { steps, cursor, last_ms: 0 });
                return Ok(Some(item.cursor));
            }
        }
        Ok(None)
    }

    fn check(&self, doc: &Doc) -> Result<(), EditError> {
        if Arc::ptr_eq(&self.identity, &doc.identity) { Ok(()) } else { Err(EditError::OtherDocument) }
    }
}

//! A document as a file: the finished state first, so that opening shows it at once; the history behind it, read when
//! something asks for it; and what was written since, appended.
//!
//! Always holds: a saved document opens to the same state and the same history. The state of a file that came from
//! somebody else is provisional: it is replayed (`Doc::verify`) before it is saved or passed on.

use std::ops::Range;

use super::Doc;
use super::file::{Block, FileKind, as_document, begin, begin_with, blocks, put_changes, read_changes, read_state};
use super::shallow::Base;
use crate::codec::{DecodeError, DecodeErrorKind};
use crate::id::{ReplicaId, VersionVector};
use crate::op::Batch;

/// A file grows by what was written since it was made until that is this share of it; then it is made anew.
const MAX_TAIL: usize = 8;
/// Bytes of changes that may always be appended.
const MIN_TAIL: usize = 16 << 10;

/// The file that a document was opened from or saved to last: a state and the history that leads to it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    bytes: Vec<u8>,
    history: (Block, Range<usize>),
    version: VersionVector,
    /// Whether the history was left in the file.
    left: bool,
    /// The state came from somebody else and was not replayed yet.
    provisional: bool,
}

impl Doc {
    /// The whole document with its history, as a file. Seals the pending change. What was written since the document
    /// was opened or saved is appended as long as that is little: O(bytes) of copying then, and of encoding otherwise.
    /// A document that was opened from a shallow save has the history that this has, and what was written since.
    pub fn save(&mut self) -> Vec<u8> {
        self.commit(None);
        if let Some(base) = &self.base {
            return base.with(&self.logs.since(&VersionVector::new()));
        }
        self.settle_provisional();
        if let Some(stored) = &self.stored {
            let tail = self.logs.since(&stored.version);
            if tail.bytes() <= MIN_TAIL.max(stored.bytes.len() / MAX_TAIL) {
                let mut out = stored.bytes.clone();
                if !tail.is_empty() {
                    put_changes(&mut out, &tail);
                }
                return out;
            }
        }
        let history = self.batch_since(&VersionVector::new());
        let state = if history.is_empty() { None } else { self.write_state(false) };
        let Some(state) = state else {
            let mut out = begin(FileKind::Document);
            put_changes(&mut out, &history);
            return out;
        };
        let mut out = begin_with(FileKind::Document, &state);
        let start = out.len();
        put_changes(&mut out, &history);
        self.remember(&out, start);
        out
    }

    fn remember(&mut self, bytes: &[u8], start: usize) {
        let known = blocks(FileKind::Document, bytes).ok();
        let history = known.and_then(|blocks| blocks.into_iter().find(|(_, range)| range.start > start));
        let version = self.logs.version();
        self.stored =
            history.map(|history| Stored { bytes: bytes.to_vec(), history, version, left: false, provisional: false });
    }

    /// Opens a saved document, in which `replica` writes from now on. Give it the id of the replica that saved it only
    /// if nothing else writes with that id, and no older save of it was ever continued. The history is read when
    /// something asks for it.
    ///
    /// # Errors
    /// If the bytes are damaged or are no whole document.
    pub fn load(replica: ReplicaId, saved: &[u8]) -> Result<Self, DecodeError> {
        let blocks = blocks(FileKind::Document, saved)?;
        let mut doc = Self::new(replica);
        let mut rest = &blocks[..];
        let first = match rest {
            [(block, range), ..] => read_state(*block, &saved[range.clone()])?,
            [] => None,
        };
        if let (Some(state), [_, tail @ ..]) = (first.as_ref().filter(|state| state.is_base()), rest) {
            doc = Self::on_base(replica, Base::new(&state.bytes))?;
            rest = tail;
        } else if let (Some(packed), [_, history, tail @ ..]) = (first, rest) {
            doc = Self::read_state(replica, &packed)?;
            doc.from_state = true;
            let (version, end) = (doc.logs.version(), history.1.end);
            let stored = Stored {
                bytes: saved[..end].to_vec(),
                history: history.clone(),
                version,
                left: true,
                provisional: false,
            };
            doc.stored = Some(stored);
            rest = tail;
        }
        for (block, range) in rest {
            let changes = read_changes(*block, &saved[range.clone()])?;
            let fail =
                |why| DecodeError { field: "document", offset: range.start, kind: DecodeErrorKind::Inconsistent(why) };
            let (segments, chains) =
                changes.ok_or_else(|| fail("a state stands in front of the history that leads to it"))?;
            let imported = doc.import_chained(&Batch { segments: segments.into() }, chains)?;
            if imported.pending_bytes > 0 || !imported.forks.is_empty() || !imported.before_base.is_empty() {
                return Err(fail("changes are missing that others depend on"));
            }
        }
        Ok(doc)
    }

    /// Everything, for somebody who has nothing: an update that begins with the finished state, so that the receiver can
    /// show it before the history is replayed. Seals the pending change. Of a document that was opened from a shallow
    /// save, the changes that are here, which is not everything (`reaches`).
    pub fn export_all(&mut self) -> Vec<u8> {
        self.commit(None);
        self.settle_provisional();
        let history = self.batch_since(&VersionVector::new());
        let state = if self.base.is_some() { None } else { self.write_state(false) };
        let mut out = match state {
            Some(state) => begin_with(FileKind::Update, &state),
            None => begin(FileKind::Update),
        };
        put_changes(&mut out, &history);
        out
    }

    /// Takes over the state of an update made by `export_all`, if this document is still empty. Returns whether it did.
    pub(super) fn adopt(&mut self, update: &[u8]) -> Result<bool, DecodeError> {
        let blocks = blocks(FileKind::Update, update)?;
        let [state, history] = &blocks[..] else { return Ok(false) };
        if !self.is_empty() || self.containers.is_listening() {
            return Ok(false);
        }
        let Some(packed) = read_state(state.0, &update[state.1.clone()])? else { return Ok(false) };
        if packed.is_base() {
            return Ok(false);
        }
        let mut doc = Self::read_state(self.me, &packed)?;
        doc.from_state = true;
        let mut clock = self.clock.clone();
        (0..doc.logs.len() as u32).for_each(|log| {
            clock.observe(doc.logs.head(log).hlc);
        });
        doc.clock = clock;
        let version = doc.logs.version();
        let bytes = as_document(update);
        doc.stored = Some(Stored { bytes, history: history.clone(), version, left: true, provisional: true });
        *self = doc;
        Ok(true)
    }

    /// Whether the state came from somebody else (`export_all`) and was not yet found to be what the history leads to.
    pub fn is_provisional(&self) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.provisional)
    }

    /// Replays the history that a state was opened with and that was not replayed so far. Returns whether the two agree; if
    /// they do not, the document is what the history says. There is none behind the base of a shallow save: who opens one
    /// believes in it. O(history), once.
    ///
    /// # Errors
    /// If the history is malformed, or is not the one that the state is about: drop the document then.
    pub fn verify(&mut self) -> Result<bool, DecodeError> {
        self.commit(None);
        // The history may have been read for something else, and the state still be what the file says.
        if !self.from_state {
            return Ok(true);
        }
        let claimed = self.write_state(false);
        self.load_history()?;
        self.replay(false);
        let agreed = self.write_state(false) == claimed;
        match &mut self.stored {
            Some(stored) if agreed => stored.provisional = false,
            _ => self.stored = None,
        }
        Ok(agreed)
    }

    /// A state that nobody vouches for is neither saved nor passed on.
    fn settle_provisional(&mut self) {
        if self.is_provisional() && self.verify().is_err() {
            self.stored = None;
        }
    }

    /// Puts the history that was left in the file in front of the changes that are here.
    ///
    /// # Errors
    /// If it is malformed, or does not lead to the state that it was saved with.
    pub(super) fn load_history(&mut self) -> Result<(), DecodeError> {
        let Some(stored) = self.stored.as_mut().filter(|stored| stored.left) else { return Ok(()) };
        let (block, range) = stored.history.clone();
        let (segments, chains) = read_changes(block, &stored.bytes[range])?.unwrap_or_default();
        let mut order = self.logs.put_history(segments, chains)?;
        stored.left = false;
        order.append(&mut self.order);
        self.order = order;
        Ok(())
    }
}

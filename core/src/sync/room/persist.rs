//! `Keeper`: what must be stored, and what is: one store operation at a time, so that changes become durable in the
//! order in which they came, and everything that arrives meanwhile goes into the next one.
//!
//! Always holds: a change is durable only when everything before it is; a failed batch is kept and tried again.

use std::sync::Arc;

use super::Room;
use super::outbox::{Piece, to_batch};
use crate::id::{OpId, VersionVector};
use crate::op::Batch;
use crate::planted::{self, Bug};
use crate::sync::input::{ConnId, Token};

const FIRST_RETRY_MS: u64 = 1_000;
const LAST_RETRY_MS: u64 = 60_000;

#[derive(Debug)]
struct Entry {
    piece: Arc<Piece>,
    /// Who sent it; `None`: it was written here.
    from: Option<ConnId>,
    /// It is in the store already: it only keeps its place in the order.
    stored: bool,
}

/// The changes of a room that are not known to be durable.
#[derive(Debug)]
pub(crate) struct Keeper {
    durable: VersionVector,
    writing: Option<Token>,
    /// The first `in_write` of them are being written.
    entries: Vec<Entry>,
    in_write: usize,
    retry_ms: Option<u64>,
    delay_ms: u64,
}

impl Keeper {
    pub(crate) fn new(durable: VersionVector) -> Self {
        Self { durable, writing: None, entries: Vec::new(), in_write: 0, retry_ms: None, delay_ms: FIRST_RETRY_MS }
    }

    /// What survives a crash.
    pub(crate) fn durable(&self) -> &VersionVector {
        &self.durable
    }

    /// Whether everything is stored.
    pub(crate) fn is_idle(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn add(&mut self, piece: Arc<Piece>, from: Option<ConnId>, stored: bool) {
        self.entries.push(Entry { piece, from, stored });
    }

    /// Who sent the change with this operation, which is not stored. O(changes that are not stored).
    pub(crate) fn sender(&self, op: OpId) -> Option<ConnId> {
        let holds = |piece: &Piece| piece.replica == op.replica && (piece.first..piece.end).contains(&op.seq);
        self.entries.iter().find(|entry| holds(&entry.piece))?.from
    }

    /// When a failed batch is tried again.
    pub(crate) fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Tries a failed batch again at once.
    pub(crate) fn retry_now(&mut self) {
        self.retry_ms = None;
    }

    /// Whether `start` has something to store.
    pub(crate) fn is_due(&self, now_ms: u64) -> bool {
        self.writing.is_none() && !self.entries.is_empty() && self.retry_ms.is_none_or(|at_ms| at_ms <= now_ms)
    }

    /// The next batch to store.
    pub(crate) fn start(&mut self, token: Token) -> Batch {
        (self.writing, self.in_write, self.retry_ms) = (Some(token), self.entries.len(), None);
        to_batch(self.entries.iter().filter(|entry| !entry.stored).map(|entry| &entry.piece))
    }

    /// The batch is stored: the changes that became durable by it.
    fn finish(&mut self, token: Token) -> Vec<Arc<Piece>> {
        if self.writing != Some(token) {
            return Vec::new();
        }
        self.writing = None;
        self.delay_ms = FIRST_RETRY_MS;
        let mut count = std::mem::take(&mut self.in_write);
        if planted::is(Bug::LaterWritesCountAsStored) {
            count = self.entries.len();
        }
        self.release(count)
    }

    /// The batch is not stored. Returns whether it was the present one.
    pub(crate) fn fail(&mut self, token: Token, now_ms: u64) -> bool {
        let present = self.writing == Some(token);
        if present {
            if planted::is(Bug::FailedWriteIsDropped) {
                self.entries.drain(..self.in_write);
            }
            (self.writing, self.in_write) = (None, 0);
            self.retry_ms = Some(now_ms.saturating_add(self.delay_ms));
            self.delay_ms = (self.delay_ms * 2).min(LAST_RETRY_MS);
        }
        present
    }

    fn release(&mut self, count: usize) -> Vec<Arc<Piece>> {
        let pieces: Vec<_> = self.entries.drain(..count).map(|entry| entry.piece).collect();
        pieces.iter().for_each(|piece| self.durable.raise(piece.replica, piece.end));
        pieces
    }

    fn release_stored(&mut self) -> Vec<Arc<Piece>> {
        let count = self.entries.iter().take_while(|entry| entry.stored).count();
        if self.writing.is_some() { Vec::new() } else { self.release(count) }
    }
}

impl Room {
    /// A batch is stored: what it made durable may be sent, and is acknowledged.
    pub(crate) fn persisted(&mut self, token: Token) {
        let pieces = self.keeper.finish(token);
        self.became_durable(&pieces);
        self.release_stored();
    }

    /// Lets go of changes that a peer had stored and that nothing unstored stands before.
    pub(crate) fn release_stored(&mut self) {
        let pieces = self.keeper.release_stored();
        self.became_durable(&pieces);
    }

    fn became_durable(&mut self, pieces: &[Arc<Piece>]) {
        if pieces.is_empty() {
            return;
        }
        if self.app {
            self.fan_out(pieces);
        }
        for sub in self.subs.values_mut() {
            sub.want_load |= std::mem::take(&mut sub.starved);
            for piece in pieces {
                sub.acks.durable(piece.replica, piece.end);
            }
        }
    }
}

//! Flow control: how much may be on its way over one connection (`Flow`), and of one document over it (`Window`).
//!
//! Always holds: what the driver holds for a connection and has not written stays near `Limits::max_unwritten_bytes`,
//! and of one document there is at most `Limits::window_bytes` that the peer has not taken, but for one part of a
//! history each; what finds no room is not kept: the log has it. Not here: what is sent when there is room
//! (`engine/flow`).

use super::config::Limits;
use super::room::CHUNK_BYTES;
use crate::id::DocName;
use crate::ordered::OrdSet;

/// After how many bytes of changes at the latest we say that they were taken.
const CREDIT_BYTES: u64 = 64 << 10;

/// What one connection has not written, and the documents that wait for that.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// Bytes that the driver was given and did not report as written.
    unwritten: usize,
    /// When some of them were last written, or there was still room.
    moved_ms: u64,
    /// Documents of which something waits for room.
    pub(crate) behind: OrdSet<DocName>,
    /// Documents of which a part is being loaded.
    pub(crate) loading: OrdSet<DocName>,
    turns: u64,
}

impl Flow {
    /// Frames are given to the driver.
    pub(crate) fn given(&mut self, bytes: usize, limits: &Limits, now_ms: u64) {
        if !self.is_full(limits) {
            self.moved_ms = now_ms;
        }
        self.unwritten += bytes;
    }

    /// The driver has written some of them.
    pub(crate) fn written(&mut self, bytes: usize, now_ms: u64) {
        self.unwritten = self.unwritten.saturating_sub(bytes);
        self.moved_ms = now_ms;
    }

    /// How many bytes may be pushed, beyond those of frames that are being made.
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        let expected = self.loading.len() * CHUNK_BYTES;
        limits.max_unwritten_bytes.saturating_sub(self.unwritten + expected)
    }

    /// Whether nothing goes on because the peer takes nothing; since when.
    pub(crate) fn stalled_since_ms(&self, limits: &Limits) -> Option<u64> {
        (self.is_full(limits) && !self.behind.is_empty()).then_some(self.moved_ms)
    }

    /// Whether no part of a history is given out before something is written.
    fn is_full(&self, limits: &Limits) -> bool {
        self.unwritten >= limits.max_unwritten_bytes / 2
    }

    /// The next turn's number: who had none for longest comes first.
    pub(crate) fn take_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// A document is not open over the connection any more.
    pub(crate) fn forget(&mut self, doc: &DocName) {
        self.behind.remove(doc);
        self.loading.remove(doc);
    }
}

/// Credit-based flow control of one channel, for both directions. Bytes are those of changes, as they were sealed.
#[derive(Debug, Default)]
pub(crate) struct Window {
    sent: u64,
    /// What the peer says to have taken of that.
    credited: u64,
    taken: u64,
    /// What we said to have taken.
    told: u64,
}

impl Window {
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// How many bytes may be sent.
    pub(crate) fn left(&self, limits: &Limits) -> usize {
        limits.window_bytes.saturating_sub((self.sent - self.credited) as usize)
    }

    /// The peer says what it has taken in all.
    ///
    /// # Errors
    /// In words for the peer, if that cannot be.
    pub(crate) fn credit(&mut self, taken: u64) -> Result<(), String> {
        if taken <= self.credited || taken > self.sent {
            let (credited, sent) = (self.credited, self.sent);
            return Err(format!("{taken} bytes cannot be taken of {sent}, of which {credited} were taken before"));
        }
        self.credited = taken;
        Ok(())
    }

    pub(crate) fn took(&mut self, bytes: usize) {
        self.taken += bytes as u64;
    }

    /// What the peer is to be told, when it is time.
    pub(crate) fn take_credit(&mut self, limits: &Limits) -> Option<u64> {
        let step = CREDIT_BYTES.min(limits.window_bytes as u64 / 4);
        if self.taken == self.told || self.taken - self.told < step {
            return None;
        }
        self.told = self.taken;
        Some(self.taken)
    }
}

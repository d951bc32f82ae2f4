//! `Outbox`: the queue between the hub and the writer of one connection.
//!
//! Always holds: `push` never waits; what is queued stays within a bound that only a fault breaks: the engine makes
//! nothing more for a peer that takes nothing. Not here: sockets (`connection`), flow control (the engine).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use selvedge::sync::CloseCode;
use tokio::sync::Notify;

/// Most bytes that wait for one connection, unless one message alone is larger.
const MAX_QUEUED_BYTES: usize = 64 << 20;

/// What a message takes beside its bytes.
const MESSAGE_OVERHEAD: usize = 64;

/// Why a connection ends.
pub(crate) type Reason = (CloseCode, String);

/// What the writer does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Write these and flush once.
    Write(Vec<Vec<u8>>),
    /// Say goodbye.
    Close(CloseCode, String),
    /// The peer is gone.
    Abandon,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// Something for the writer.
    filled: Notify,
    /// The end was decided.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Vec<u8>>,
    /// Waiting or being written.
    bytes: usize,
    /// Messages written so far.
    written: u64,
    end: Option<End>,
}

#[derive(Clone, Debug)]
enum End {
    Close(Reason),
    Abandon,
}

impl Outbox {
    /// Queues a message; `false` if that broke the bound and the connection is being closed behind what fitted.
    pub(crate) fn push(&self, message: Vec<u8>) -> bool {
        let mut queue = self.lock();
        if queue.end.is_some() {
            return true;
        }
        let bytes = message.len() + MESSAGE_OVERHEAD;
        if queue.bytes > 0 && queue.bytes + bytes > MAX_QUEUED_BYTES {
            let text = "messages are read too slowly; reconnect to catch up".to_owned();
            self.end(queue, End::Close((CloseCode::Limit, text)));
            return false;
        }
        queue.bytes += bytes;
        queue.waiting.push_back(message);
        drop(queue);
        self.filled.notify_one();
        true
    }

    /// Closes the connection after what is queued. The first reason counts.
    pub(crate) fn close(&self, code: CloseCode, text: String) {
        self.end(self.lock(), End::Close((code, text)));
    }

    /// The peer is gone: nothing more is written.
    pub(crate) fn abandon(&self) {
        self.end(self.lock(), End::Abandon);
    }

    fn end(&self, mut queue: MutexGuard<'_, Queue>, end: End) {
        if queue.end.is_none() {
            queue.end = Some(end);
        }
        drop(queue);
        self.filled.notify_one();
        self.ended.notify_waiters();
    }

    /// Whether the end was decided.
    pub(crate) fn is_ending(&self) -> bool {
        self.lock().end.is_some()
    }

    /// Waits until the end was decided.
    pub(crate) async fn ending(&self) {
        loop {
            let ended = self.ended.notified();
            if self.is_ending() {
                return;
            }
            ended.await;
        }
    }

    /// Waits for something to do. Everything queued comes at once.
    pub(crate) async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.poll() {
                return next;
            }
            self.filled.notified().await;
        }
    }

    fn poll(&self) -> Option<Next> {
        let mut queue = self.lock();
        if let Some(End::Abandon) = queue.end {
            return Some(Next::Abandon);
        }
        if !queue.waiting.is_empty() {
            return Some(Next::Write(std::mem::take(&mut queue.waiting).into()));
        }
        match queue.end.clone() {
            Some(End::Close((code, text))) => Some(Next::Close(code, text)),
            _ => None,
        }
    }

    /// The writer has written one of the messages that it took.
    pub(crate) fn written(&self, bytes: usize) {
        let mut queue = self.lock();
        queue.bytes -= bytes + MESSAGE_OVERHEAD;
        queue.written += 1;
    }

    /// Messages written so far.
    pub(crate) fn progress(&self) -> u64 {
        self.lock().written
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_queued_comes_at_once_and_the_close_comes_last() {
        let outbox = Outbox::default();
        assert!(outbox.push(vec![1]) && outbox.push(vec![2, 2]));
        outbox.close(CloseCode::GoingAway, "bye".into());
        outbox.close(CloseCode::Internal, "later reasons do not count".into());
        assert_eq!(outbox.next().await, Next::Write(vec![vec![1], vec![2, 2]]));
        assert_eq!(outbox.next().await, Next::Close(CloseCode::GoingAway, "bye".into()));
        outbox.ending().await;
    }

    /// The last line, should flow control fail: a consumer costs the bound and not a byte more; what fitted is written.
    #[tokio::test]
    async fn beyond_the_bound_a_connection_is_closed_behind_what_fitted() {
        let outbox = Outbox::default();
        let message = vec![0; MAX_QUEUED_BYTES / 4];
        assert!(outbox.push(message.clone()) && outbox.push(message.clone()) && outbox.push(message.clone()));
        assert!(!outbox.push(message.clone()));
        assert!(outbox.push(vec![1; 10]), "ignored: the connection is ending");
        assert_eq!(outbox.next().await, Next::Write(vec![message; 3]));
        assert!(matches!(outbox.next().await, Next::Close(CloseCode::Limit, _)));
    }

    #[tokio::test]
    async fn bytes_being_written_count_until_they_are_written() {
        let outbox = Outbox::default();
        let large = vec![0; MAX_QUEUED_BYTES];
        assert!(outbox.push(large.clone()), "a message that is alone may be large");
        assert_eq!(outbox.next().await, Next::Write(vec![large]));
        outbox.written(MAX_QUEUED_BYTES);
        assert_eq!(outbox.progress(), 1);
        assert!(outbox.push(vec![0; 15]));
        assert_eq!(outbox.next().await, Next::Write(vec![vec![0; 15]]));
        assert!(!outbox.push(vec![0; MAX_QUEUED_BYTES - 15]), "the first 15 are not written yet");
    }
}

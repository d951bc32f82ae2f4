//! `Outbox`: the bounded queue between the hub and the writer of one connection.
//!
//! Always holds: `push` never waits; what is queued stays within its bounds in messages and bytes. What breaks a bound
//! is dropped and the connection closed behind what was queued before, so that a peer that reconnects has got further
//! each time, however much it has to catch up with.
//! Not here: sockets (`connection`).

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use selvedge::sync::CloseCode;
use tokio::sync::Notify;

/// How much may wait for one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

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
#[derive(Debug)]
pub(crate) struct Outbox {
    bounds: Bounds,
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
    messages: usize,
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
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, queue: Mutex::default(), filled: Notify::new(), ended: Notify::new() }
    }

    /// Queues a message; `false` if that broke a bound and the connection is being closed. A single message may exceed
    /// the bound in bytes if nothing else waits.
    pub(crate) fn push(&self, message: Vec<u8>) -> bool {
        let mut queue = self.lock();
        if queue.end.is_some() {
            return true;
        }
        let fits = queue.messages < self.bounds.messages
            && (queue.messages == 0 || queue.bytes + message.len() <= self.bounds.bytes);
        if !fits {
            let text = "messages are read too slowly; reconnect to catch up".to_owned();
            self.end(queue, End::Close((CloseCode::Limit, text)));
            return false;
        }
        queue.messages += 1;
        queue.bytes += message.len();
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
        queue.messages -= 1;
        queue.bytes -= bytes;
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
        let outbox = Outbox::new(Bounds { messages: 8, bytes: 100 });
        assert!(outbox.push(vec![1]) && outbox.push(vec![2, 2]));
        outbox.close(CloseCode::GoingAway, "bye".into());
        outbox.close(CloseCode::Internal, "later reasons do not count".into());
        assert_eq!(outbox.next().await, Next::Write(vec![vec![1], vec![2, 2]]));
        assert_eq!(outbox.next().await, Next::Close(CloseCode::GoingAway, "bye".into()));
        outbox.ending().await;
    }

    /// A consumer that never reads costs its bound and not a byte more; what fitted is still written.
    #[tokio::test]
    async fn a_slow_consumer_is_closed_behind_what_fitted() {
        for (bounds, fitting) in [(Bounds { messages: 3, bytes: 1000 }, 3), (Bounds { messages: 99, bytes: 50 }, 5)] {
            let outbox = Outbox::new(bounds);
            for _ in 0..fitting {
                assert!(outbox.push(vec![0; 10]));
            }
            assert!(!outbox.push(vec![0; 10]));
            assert!(outbox.push(vec![1; 10]), "ignored: the connection is ending");
            assert_eq!(outbox.next().await, Next::Write(vec![vec![0; 10]; fitting]));
            assert!(matches!(outbox.next().await, Next::Close(CloseCode::Limit, _)));
        }
    }

    #[tokio::test]
    async fn bytes_being_written_count_until_they_are_written() {
        let outbox = Outbox::new(Bounds { messages: 9, bytes: 20 });
        assert!(outbox.push(vec![0; 90]), "a message that is alone may be large");
        assert_eq!(outbox.next().await, Next::Write(vec![vec![0; 90]]));
        outbox.written(90);
        assert!(outbox.push(vec![0; 15]));
        assert_eq!(outbox.next().await, Next::Write(vec![vec![0; 15]]));
        assert!(!outbox.push(vec![0; 15]), "the first 15 are not written yet");
        assert_eq!(outbox.progress(), 1);
    }
}

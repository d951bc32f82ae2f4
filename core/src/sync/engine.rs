//! `Engine`: takes inputs, hands out effects, and says when it wants to be woken.

use std::collections::VecDeque;

use super::{Config, Effect, Input, SyncStatus};
use crate::id::DocName;

/// The sync engine of one process (or one relay room).
#[derive(Debug)]
pub struct Engine {
    config: Config,
    effects: VecDeque<Effect>,
}

impl Engine {
    /// An engine without documents and connections.
    pub fn new(config: Config) -> Self {
        Self { config, effects: VecDeque::new() }
    }

    /// Takes an input. `now_ms` is a time in milliseconds that never runs back (it need not be the time of day).
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        let _ = (now_ms, input, &self.config);
    }

    /// The next effect. Drain it until it returns `None`, then wait for an input or the deadline.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When `Input::Woken` is due, in the same milliseconds as `handle`'s; `None` if nothing waits for time.
    pub fn deadline(&self) -> Option<u64> {
        None
    }

    /// Where our changes of a document have got to; `None` if it is not open here.
    pub fn status(&self, doc: &DocName) -> Option<SyncStatus> {
        let _ = doc;
        None
    }
}

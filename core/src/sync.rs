//! The sync engine: a state machine that keeps documents equal with any number of peers, without doing any I/O.
//!
//! The driver gives it inputs (`Engine::handle`), drains its effects (`Engine::poll_effect`) and wakes it at
//! `Engine::deadline`. Always holds: `handle` never fails and never panics, whatever a peer sends; the same inputs give
//! the same effects, byte for byte; nothing is acknowledged as durable before its persist effect has completed; our own
//! changes are sent only after they were persisted; operation bodies are opaque bytes here.
//! Not here: sockets, disks, clocks, and what changes mean (`doc`).

mod access;
mod address;
mod config;
mod conn;
mod effect;
mod engine;
mod flow;
mod input;
mod message;
mod names;
mod reconnect;
mod room;
#[cfg(test)]
mod tests;
mod timers;

pub use crate::op::LogState;
pub use address::dial_address;
pub use config::{Config, Limits};
pub use effect::{AckLevel, CloseCode, Effect, RefuseCode, SyncStatus};
pub use engine::Engine;
pub use input::{ConnId, DocState, Grant, GrantRule, Input, Link, Rights, Role, Token};
pub use reconnect::{Circuit, Reconnect};

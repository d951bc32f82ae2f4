//! The relay: rooms on a redb store, one hub that drives the sync engine, and the web server around it.
//!
//! Always holds: nothing is acknowledged as durable before the store has synced it; nothing of a connection is read
//! before its credential was checked; memory per connection is bounded, and whoever reads too slowly is disconnected
//! and catches up later; operation bodies are never decoded here.
//! The binary is `main.rs`; tests and other programs embed the same relay with `serve`. Not here: what documents mean.

pub mod args;
pub mod auth;
mod catalog;
mod connection;
mod http;
mod hub;
mod link;
#[cfg(feature = "testing")]
pub mod lossy;
mod origin;
mod outbox;
pub mod redb_store;
mod repair;
mod rescue;
mod room;
pub mod scrub;
pub mod serve;
mod storage;

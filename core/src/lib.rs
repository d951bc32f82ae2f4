//! Selvedge: documents that are edited anywhere, offline or not, and whose copies all converge.
//!
//! This crate is pure: no I/O, no clock, no randomness of its own. Time, bytes and random generators are arguments, so
//! that the same inputs give the same bytes, natively and in wasm. Drivers (the native client, the relay, the browser
//! package) bring sockets and disks.
//!
//! Modules import one way only: `ordered → id → clock → codec → op → graph`, from there `crdt → doc` and
//! `merkle → sync`; `gossip` stands beside `merkle`; `store` uses only `codec` and `op`. `tests/tidy.rs` holds that.

pub mod clock;
pub mod codec;
mod crdt;
pub mod doc;
pub mod gossip;
pub mod graph;
pub mod id;
pub mod merkle;
pub mod op;
mod ordered;
#[doc(hidden)]
pub mod planted;
pub mod store;
pub mod sync;

pub use crdt::Handle;
pub use doc::{Doc, EditError, Imported, Patch, Transaction, UndoManager};
pub use id::{DocName, InvalidId, Lineage, OpId, ReplicaId, VersionVector};
pub use op::{ContainerKind, Value};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

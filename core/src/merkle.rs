//! Anti-entropy over many documents: which of up to millions of documents differ between two sides, found with bytes in
//! proportion to the difference.
//!
//! A `Collection` knows of every document one `Item`: 16 bytes that stand for its name and state. Two sides compare
//! their collections with the messages of an `Initiator` on one side and `respond` on the other: a change feed for peers
//! that have met (a cursor), a fingerprint that tells equal collections, a rateless IBLT for a small difference, and a
//! Merkle tree for any. Always holds: what a collection says depends on its content alone, never on the order in which
//! that came; the responder keeps nothing between two messages; any bytes give an answer or a `DecodeError`. Not here:
//! what is inside a document, and how documents found to differ are caught up (`sync`).

mod collection;
mod follower;
mod initiator;
mod item;
mod message;
mod respond;
mod symbols;
#[cfg(test)]
mod tests;
mod tree;

pub use collection::{Collection, Cursor};
pub use follower::{Follower, Wish};
pub use initiator::{Initiator, Step};
pub use item::StateDigest;
pub use respond::respond;

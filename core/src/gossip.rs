//! Gossip between equals: who is linked with whom (`HyParView`), and which links carry changes (`Plumtree`).
//!
//! State machines without I/O, clock or randomness: time and a seed are arguments. Always holds: everything that a peer
//! can make us keep is bounded; any bytes give a message or a `DecodeError`; the same inputs give the same effects. A
//! lost message never matters in the end: views repair themselves, and what the tree did not bring is asked for. Not
//! here: connections (drivers), and the changes themselves (`sync` has them, and brings what a push lost).

mod address;
mod dice;
mod hyparview;
mod message;
mod plumtree;
#[cfg(test)]
mod tests;

pub use address::{Address, InvalidAddress};
pub use hyparview::{ACTIVE_PEERS, Effect, HyParView, Input, PASSIVE_PEERS};
pub use message::Message;
pub use plumtree::{Plumtree, Swap};

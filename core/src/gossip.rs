//! Gossip between equals: who is linked with whom (`HyParView`), and which links carry changes (`Plumtree`).
//!
//! State machines without I/O, clock or randomness: time and a seed are arguments. Always holds: everything that a peer
//! can make us keep is bounded; any bytes give a message or a `DecodeError`; the same inputs give the same effects. A
//! lost message never matters in the end: views repair themselves, and what the tree did not bring is asked for. Not
//! here: connections (drivers), and the changes themselves (`sync` has them, and brings what a push lost).
//!
//! How a driver uses a membership:
//!
//! ```
//! use selvedge::gossip::{Address, Effect, HyParView, Input, Message};
//!
//! let (here, contact) = (Address::new("wss://a.example")?, Address::new("wss://b.example")?);
//! let mut member = HyParView::new(here, vec![contact.clone()], 7); // 7: better draw the seed at random
//! member.handle(0, Input::Woken);
//! // The driver sends what it is told to,
//! let join = Effect::Send { to: contact.clone(), message: Message::Join };
//! assert_eq!(member.poll_effect(), Some(join));
//! // hands in what arrives,
//! let bytes = Message::NeighbourReply { accepted: true }.encode();
//! member.handle(40, Input::Received { from: contact.clone(), message: Message::decode(&bytes)? });
//! // keeps a connection to every neighbour,
//! assert_eq!(member.poll_effect(), Some(Effect::Up(contact)));
//! // and hands in `Input::Woken` at the deadline.
//! assert!(member.deadline() > 40);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

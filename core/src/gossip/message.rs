//! What members of an overlay say to each other, and its bytes: a version, the number of the message, its fields.
//!
//! Always holds: each message has one encoding; a list has at most `MAX_LISTED` addresses and is read only as far as
//! there are bytes for it; any bytes give a message or a `DecodeError`. Not here: what follows from it (`hyparview`).

use super::address::Address;
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_bytes};

/// Most addresses in one message.
pub(super) const MAX_LISTED: usize = 8;

/// Longest way of a message that is passed on, in steps.
pub(super) const MAX_STEPS: u8 = 6;

const FORMAT: u8 = 1;

/// A message between two members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The sender is new, and wants to be a neighbour and to be told to others.
    Join,
    /// Somebody is new: passed on at random for this many more steps.
    ForwardJoin {
        /// Who.
        joiner: Address,
        /// How many steps are left.
        steps: u8,
    },
    /// The sender wants to be a neighbour; urgently if it has no other.
    Neighbour {
        /// Whether it has no other.
        urgent: bool,
    },
    /// The answer to `Join` and `Neighbour`.
    NeighbourReply {
        /// Whether the two are neighbours now.
        accepted: bool,
    },
    /// The two are no neighbours, or not any more.
    Disconnect,
    /// Some addresses that `origin` knows, its own included: passed on at random for this many more steps.
    Shuffle {
        /// Whose.
        origin: Address,
        /// How many steps are left.
        steps: u8,
        /// Some that it knows.
        addresses: Vec<Address>,
    },
    /// As many addresses in return.
    ShuffleReply {
        /// Some that the sender knows.
        addresses: Vec<Address>,
    },
    /// The sender is there, and takes the receiver for its neighbour.
    Alive,
}

impl Message {
    /// The bytes of the message.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT];
        match self {
            Self::Join => out.push(0),
            Self::ForwardJoin { joiner, steps } => {
                out.extend([1, *steps]);
                put_bytes(&mut out, joiner.as_bytes());
            }
            Self::Neighbour { urgent } => out.extend([2, u8::from(*urgent)]),
            Self::NeighbourReply { accepted } => out.extend([3, u8::from(*accepted)]),
            Self::Disconnect => out.push(4),
            Self::Shuffle { origin, steps, addresses } => {
                out.extend([5, *steps]);
                put_bytes(&mut out, origin.as_bytes());
                put_list(&mut out, addresses);
            }
            Self::ShuffleReply { addresses } => {
                out.push(6);
                put_list(&mut out, addresses);
            }
            Self::Alive => out.push(7),
        }
        out
    }

    /// Reads a message.
    ///
    /// # Errors
    /// `DecodeError` if the bytes are no message of this version, or have another encoding than ours.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let got = reader.u8("overlay message version")?;
        if got != FORMAT {
            let kind = DecodeErrorKind::WrongVersion { got, min: FORMAT, max: FORMAT };
            return Err(DecodeError { field: "overlay message version", offset: 0, kind });
        }
        let message = match reader.u8("overlay message")? {
            0 => Self::Join,
            1 => {
                let steps = steps(&mut reader)?;
                Self::ForwardJoin { joiner: address(&mut reader)?, steps }
            }
            2 => Self::Neighbour { urgent: flag(&mut reader)? },
            3 => Self::NeighbourReply { accepted: flag(&mut reader)? },
            4 => Self::Disconnect,
            5 => {
                let steps = steps(&mut reader)?;
                Self::Shuffle { origin: address(&mut reader)?, steps, addresses: list(&mut reader)? }
            }
            6 => Self::ShuffleReply { addresses: list(&mut reader)? },
            7 => Self::Alive,
            other => return Err(reader.error("overlay message", DecodeErrorKind::UnknownTag(other.into()))),
        };
        reader.end("overlay message")?;
        Ok(message)
    }
}

fn put_list(out: &mut Vec<u8>, addresses: &[Address]) {
    out.push(addresses.len() as u8);
    addresses.iter().for_each(|address| put_bytes(out, address.as_bytes()));
}

fn steps(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    reader.bounded("steps left", MAX_STEPS.into()).map(|steps| steps as u8)
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    reader.bounded("flag", 1).map(|flag| flag == 1)
}

fn address(reader: &mut Reader<'_>) -> Result<Address, DecodeError> {
    let bytes = reader.bytes("address")?;
    let rule = "an address must have 1 to 256 bytes";
    Address::new(bytes).map_err(|_| reader.error("address", DecodeErrorKind::Inconsistent(rule)))
}

fn list(reader: &mut Reader<'_>) -> Result<Vec<Address>, DecodeError> {
    let count = reader.bounded("number of addresses", MAX_LISTED as u64)?;
    (0..count).map(|_| address(reader)).collect()
}

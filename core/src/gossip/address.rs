//! `Address`: how a peer is reached, in words of the driver.
//!
//! Always holds: 1 to 256 bytes. Not here: what they mean; only a driver can tell whether it may dial one.

use std::fmt;
use std::sync::Arc;

/// The address of a peer: 1 to 256 bytes that a driver understands (a URL, the number of a tab). Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<[u8]>);

/// Bytes that are no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address of {got} bytes: it must have 1 to {}", Address::MAX_BYTES)]
pub struct InvalidAddress {
    /// Their number.
    pub got: usize,
}

impl Address {
    /// Longest address, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// Checks an address.
    ///
    /// # Errors
    /// `InvalidAddress` if it is empty or longer than 256 bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, InvalidAddress> {
        let bytes = bytes.as_ref();
        match bytes.len() {
            1..=Self::MAX_BYTES => Ok(Self(bytes.into())),
            got => Err(InvalidAddress { got }),
        }
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

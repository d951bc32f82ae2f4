//! `ClientError`: why the client did not do what it was asked for, sorted by whose fault it is.
//!
//! Not here: a lost connection. That is a state (`Connection`), not an error: the client goes on trying.

use std::sync::Arc;

use selvedge::codec::DecodeError;
use selvedge::doc::EditError;
use selvedge::store::StoreError;
use selvedge::sync::{CloseCode, RefuseCode};
use selvedge::{DocName, InvalidId};

/// Why something was not done.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The relay's address cannot be used.
    #[error("{url:?} is no address of a relay: {problem}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No connections can be taken at this address.
    #[error("cannot listen on {address}: {problem}")]
    Listen {
        /// The address.
        address: String,
        /// What is wrong.
        problem: String,
    },
    /// The document's name is not allowed.
    #[error(transparent)]
    Name(#[from] InvalidId),
    /// The edit cannot be made; the document is as it was.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The store failed. What was not stored stays in memory.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    /// Stored changes are damaged. What stands is shown, and what is missing is fetched again from the relay, if that has
    /// it; edits stay in memory until then.
    #[error("{0}; it is being fetched again from the relay, and until then edits are not saved on this device")]
    Damaged(Arc<StoreError>),
    /// Stored or received changes cannot be read.
    #[error("document {doc}: changes from {origin} cannot be read: {source}")]
    Changes {
        /// The document.
        doc: DocName,
        /// Where they came from: the store or the relay.
        origin: &'static str,
        /// What is wrong with them.
        source: DecodeError,
    },
    /// The relay refuses the document.
    #[error("the relay refuses document {doc}: {text} ({code:?})")]
    Refused {
        /// The document.
        doc: DocName,
        /// Why.
        code: RefuseCode,
        /// The relay's words.
        text: String,
    },
    /// Another copy has written with the same replica id: a back-up was put back, or a disk copied. What was written here
    /// goes on under another id, with what the other copy wrote beside it; edits are not saved on this device until that
    /// is done.
    #[error(
        "another copy of document {doc} has written with the same replica id; what was written here gets another one"
    )]
    Forked {
        /// The document.
        doc: DocName,
    },
    /// The relay ended the connection for a reason that trying again does not mend.
    #[error("the relay ended the connection: {text} ({code:?})")]
    Rejected {
        /// Why.
        code: CloseCode,
        /// The relay's words.
        text: String,
    },
    /// A relay does not tell which documents begin with this prefix.
    #[error(
        "the relay does not compare documents that begin with {prefix:?}: the token must allow to read '{prefix}*'"
    )]
    NotCompared {
        /// The prefix.
        prefix: String,
    },
    /// The document is open in the other way already (with or without `hold_remote`).
    #[error("document {doc} is open already, in another way")]
    OpenOtherwise {
        /// The document.
        doc: DocName,
    },
    /// There is no relay to wait for.
    #[error("no relay was named: changes stay on this device")]
    NoRelay,
    /// The client or the document was closed.
    #[error("the client or the document was closed")]
    Closed,
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

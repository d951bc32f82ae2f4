//! `EditError`: what a caller asked for that cannot be done. The document is as it was before the transaction.

use crate::op::ContainerKind;

/// An edit that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// A position or range outside of the container.
    #[error("{what} {index} is out of range: the length is {len}")]
    OutOfRange {
        /// What the number is: an index, the end of a range.
        what: &'static str,
        /// The number given.
        index: usize,
        /// The length that it must not exceed.
        len: usize,
    },
    /// A UTF-16 or UTF-8 offset inside a character.
    #[error("offset {offset} lies inside a character")]
    InsideCharacter {
        /// The offset given.
        offset: usize,
    },
    /// A handle or path that means a container of another kind.
    #[error("{place} is a {found:?}, not a {wanted:?}")]
    WrongKind {
        /// Which place.
        place: String,
        /// What is there.
        found: ContainerKind,
        /// What was asked for.
        wanted: ContainerKind,
    },
    /// A handle from a transaction that failed: the list element that the container was in does not exist.
    #[error("{0} was made by a transaction that was taken back")]
    TakenBack(String),
    /// A container that cannot be made here.
    #[error("{0} cannot hold another container: nesting is limited to 128 levels")]
    TooDeep(String),
    /// A set holds plain values only.
    #[error("a set cannot hold a container; use a map or a list")]
    ContainerInSet,
    /// The transaction is larger than a change may be.
    #[error("the transaction is larger than {max} bytes; split it")]
    TooLarge {
        /// The limit in bytes.
        max: usize,
    },
    /// This replica has written as much as a log can hold.
    #[error("this replica's log is full ({max} operations); open the document with a fresh replica id")]
    LogFull {
        /// The limit in operations.
        max: u64,
    },
    /// Somebody wrote a change with this replica's id that cannot be read: nothing that follows it can be either.
    #[error("this replica's log holds a change that cannot be read; open the document with a fresh replica id")]
    LogUnreadable,
    /// An undo manager was used with another document than the one it was made for.
    #[error("this undo manager belongs to another document; make one for this document")]
    OtherDocument,
    /// The caller's own reason to give up a transaction.
    #[error("{0}")]
    Cancelled(String),
}

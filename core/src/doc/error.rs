//! `EditError`: what a caller asked for that cannot be done. The document is as it was before the transaction.

use crate::id::OpId;
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
    /// A container of a kind that a newer version of this library made.
    #[error("{place} is of a kind (number {tag}) that this version does not know; update the application to edit it")]
    UnknownKind {
        /// Which place.
        place: String,
        /// The number of the kind.
        tag: u8,
    },
    /// A node that is not in the tree.
    #[error("the tree has no node {0}: it was removed or never made")]
    UnknownNode(OpId),
    /// A node cannot be moved into itself.
    #[error("node {node} cannot move under {parent}, which is the same node or lies below it")]
    WouldCycle {
        /// The node to move.
        node: OpId,
        /// The parent given.
        parent: OpId,
    },
    /// A bounded counter never falls below zero: a replica takes away and gives only what is its own.
    #[error(
        "{wanted} is more than the {available} that this replica may take from the counter; \
         let another replica transfer some to it"
    )]
    NotEnoughRights {
        /// How much was asked for.
        wanted: u64,
        /// How much this replica has.
        available: u64,
    },
    /// A set holds plain values only.
    #[error("a set cannot hold a container; use a map or a list")]
    ContainerInSet,
    /// A value that no mark can have.
    #[error("a mark's value cannot be null or a container; use unmark to take a mark away")]
    NoMarkValue,
    /// A Delta that a text cannot hold.
    #[error("{0}")]
    Delta(&'static str),
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

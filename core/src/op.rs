//! What is written: values, operations, and the sealed changes of a replica's log in their one canonical byte form.
//!
//! Always holds: sealed bytes never change; a header can be read without reading the body behind it (so a relay never
//! decodes an operation). Bytes: docs/format.md. Not here: what an operation does to a document (`crdt`), and which
//! changes are known (`graph`).

mod batch;
mod body;
mod change;
pub mod columns;
mod mark;
mod value;

pub use batch::{Batch, Frames, Segment, put_frame};
pub use body::{
    BodyMark, BodyWriter, ContainerDecl, ElementRef, Key, LogNames, NamesMark, OpRun, PlacedOp, ROOT, TextRun,
};
pub(crate) use change::half;
pub use change::{Change, ChangeHeader, Dep, Digest, LogHead, LogState, chain, chain_start};
pub use mark::{Expand, MarkRun};
pub use value::{ContainerKind, UnknownKind, Value};

/// Largest sealed change, in bytes. A transaction that would exceed it is refused.
pub const MAX_CHANGE_BYTES: usize = 8 << 20;

/// Longest commit message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 << 10;

/// Exclusive upper end of every log: positions and sequence numbers fit 32 bits.
pub const MAX_SEQ: u64 = (u32::MAX - 1) as u64;

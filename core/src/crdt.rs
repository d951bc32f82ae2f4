//! What changes mean: the state of every container, and how operations merge into it.
//!
//! Each type states its laws beside it; all share three. Operations may be applied in any order that respects
//! causality, and the state is the same (commutative, associative); the log hands each over once (idempotent); and an
//! operation that is invalid at its causal past has no effect, for every copy alike. Clocks decide one thing only:
//! which of several concurrent register values is read first. Not here: transactions, files, versions (`doc`).

mod applied;
mod bounded;
mod containers;
mod context;
mod counter;
mod diff;
mod event;
mod list;
mod map;
mod marks;
mod multi;
mod remove_wins;
mod rope;
mod sequence;
mod set;
mod state;
mod stretches;
mod text;
mod tree;

pub(crate) use applied::Applied;
pub(crate) use bounded::BoundedState;
pub use containers::Handle;
pub(crate) use containers::{Containers, Content, Place};
pub(crate) use context::Context;
pub(crate) use diff::diff;
pub(crate) use event::Event;
pub(crate) use list::ListState;
pub(crate) use map::MapState;
pub(crate) use marks::{Mark, Piece};
pub(crate) use multi::MultiValue;
pub use rope::Metric;
pub(crate) use rope::{Extent, Rope};
pub use sequence::Side;
pub(crate) use sequence::{Bound, Sequence};
#[cfg(test)]
pub(crate) use state::changed;
pub(crate) use state::{Column, MAX_DEPTH, StateReader, StateWriter, Unpacked, is_base};
pub(crate) use stretches::Stretches;
pub(crate) use text::TextState;
pub(crate) use tree::{Standing, TreeState};

//! What changes mean: the state of every container, and how operations merge into it.
//!
//! Each type states its laws beside it; all share three. Operations may be applied in any order that respects
//! causality, and the state is the same (commutative, associative); the log hands each over once (idempotent); and an
//! operation that is invalid at its causal past has no effect, for every copy alike. Clocks decide one thing only:
//! which of several concurrent register values is read first. Not here: transactions, files, versions (`doc`).

mod applied;
mod containers;
mod context;
mod counter;
mod diff;
mod event;
mod list;
mod map;
mod multi;
mod rope;
mod sequence;
mod set;
mod stretches;
mod text;

pub(crate) use applied::Applied;
pub use containers::Handle;
pub(crate) use containers::{Containers, Content, Place};
pub(crate) use context::Context;
pub(crate) use diff::diff;
pub(crate) use event::Event;
pub(crate) use list::ListState;
pub(crate) use map::MapState;
pub(crate) use multi::MultiValue;
pub(crate) use rope::{Extent, Metric, Rope};
pub(crate) use sequence::Sequence;
pub(crate) use stretches::Stretches;
pub(crate) use text::TextState;

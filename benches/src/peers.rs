//! The libraries beside one another: what each must be able to do, and the list of them.
//!
//! Always holds: every peer is driven by the same code (`bed`) through `Peer`, with bytes between documents, never
//! objects. An adapter holds no logic beyond calling the library as its own documentation says.

mod automerge;
mod cola;
mod diamond;
mod floor;
mod loro;
mod selvedge;
mod yrs;

use anyhow::Result;

use crate::bed::{Bed, Subject};
use crate::rows::Row;
use crate::trace::{Edits, Trace};

/// A library, seen from the bench.
pub(crate) trait Peer {
    /// A document, with the text that is edited in it.
    type Doc;

    /// Why this peer cannot do a trace, if so.
    fn refuses(_trace: &Trace) -> Option<&'static str> {
        None
    }

    /// An empty document in which this writer writes.
    fn create(writer: usize) -> Result<Self::Doc>;

    /// One transaction.
    fn edit(doc: &mut Self::Doc, edits: Edits<'_>) -> Result<()>;

    /// One transaction, and the update that tells others of it.
    fn edit_emit(doc: &mut Self::Doc, edits: Edits<'_>) -> Result<Vec<u8>>;

    /// Takes in an update of `edit_emit`.
    fn apply(doc: &mut Self::Doc, update: &[u8]) -> Result<()>;

    /// The text.
    fn text(doc: &Self::Doc) -> Result<String>;

    /// The document as its library stores it.
    fn save(doc: &mut Self::Doc) -> Result<Vec<u8>>;

    /// Opens what `save` wrote.
    fn open(saved: &[u8]) -> Result<Self::Doc>;

    /// The same with its history loaded, if opening leaves it for later.
    fn open_history(_saved: &[u8]) -> Result<Option<Self::Doc>> {
        Ok(None)
    }

    /// Everything, for a document that has nothing; `None` if the library has no such thing.
    fn export(doc: &mut Self::Doc) -> Result<Option<Vec<u8>>>;

    /// Takes in what `export` wrote, into an empty document.
    fn import(exported: &[u8]) -> Result<Self::Doc>;

    /// The operations alone, if `export` holds more than them.
    fn history(_doc: &mut Self::Doc) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Takes in what `export` wrote and holds any finished state in it against the operations; `None` where `import`
    /// trusts nothing to begin with.
    fn import_verified(_exported: &[u8]) -> Result<Option<Self::Doc>> {
        Ok(None)
    }

    /// Sizes that differ from the obvious: `full_bytes` is what `save` wrote, `history_bytes` what `export` wrote, and
    /// `updates_bytes` the sum of the updates, unless a figure stands here. `None` takes the figure away.
    fn sizes(_doc: &mut Self::Doc, _trace: &Trace, _updates: &[&[u8]]) -> Result<Vec<(Row, Option<u64>)>> {
        Ok(Vec::new())
    }
}

/// The floor, then ours, then the others.
pub(crate) fn all() -> Vec<Box<dyn Subject>> {
    vec![
        Box::new(floor::Floor::default()),
        Box::new(Bed::<selvedge::Selvedge>::new("selvedge")),
        Box::new(Bed::<diamond::Diamond>::new("diamond-types")),
        Box::new(Bed::<loro::Loro>::new("loro")),
        Box::new(Bed::<yrs::Yrs>::new("yrs")),
        Box::new(Bed::<cola::Cola>::new("cola-crdt")),
        Box::new(Bed::<automerge::Automerge>::new("automerge")),
    ]
}

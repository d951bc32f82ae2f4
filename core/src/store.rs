//! Durable storage: an append-only log of records per document, behind one small trait.
//!
//! Always holds, for every implementation (the conformance suite checks it): when `append` returns `Ok`, its records
//! survive a crash, all of them; when it returns an error, none was added; records come back as they were written or
//! as an error that names file and record, never silently fewer; what is damaged is kept aside before anything takes
//! its place. Not here: files and databases (the drivers have them), and where the lost bytes come from (peers).

mod checkpoint;
pub mod conformance;
mod memory;
pub mod record;

pub use checkpoint::Checkpoint;
pub use memory::MemoryStore;

use crate::id::DocName;
use crate::op::Batch;

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the document's log, from 0, without gaps; it keeps it for ever.
    pub index: u64,
    /// Its content.
    pub bytes: Vec<u8>,
}

impl Record {
    /// Records for the places of damaged ones: the first has all that was missing, the others are empty batches.
    pub fn in_place_of(damaged: &[Damage], missing: &Batch) -> Vec<Self> {
        let contents = std::iter::once(missing.encode()).chain(std::iter::repeat(Batch::default().encode()));
        damaged.iter().zip(contents).map(|(damage, bytes)| Self { index: damage.index, bytes }).collect()
    }
}

/// One record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The document.
    pub doc: DocName,
    /// The content.
    pub bytes: Vec<u8>,
    /// Where logs of the document have got to with this record, kept apart from it; they replace earlier ones.
    pub checkpoints: Vec<Checkpoint>,
}

/// A record that does not come back as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Its number in the document's log.
    pub index: u64,
    /// What is wrong with it.
    pub problem: String,
}

/// What there is of a document, damaged or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// The records that came back as they were written, in order.
    pub records: Vec<Record>,
    /// The others, in order.
    pub damaged: Vec<Damage>,
    /// Where its logs have got to, for those logs of which that was kept.
    pub checkpoints: Vec<Checkpoint>,
}

/// Why a store did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Stored bytes are not what was written.
    #[error("{file}, record {record}: {problem}; nothing was changed. Restore the file from a backup or a peer")]
    Corrupt {
        /// The file, or the store's name where there is none.
        file: String,
        /// The record: the document's name and the record's index, or an offset.
        record: String,
        /// What is wrong.
        problem: String,
    },
    /// Somebody else has the store open.
    #[error("{file} is in use by another process; close it or name another folder")]
    Locked {
        /// The file.
        file: String,
    },
    /// The medium is full.
    #[error("{file}: no space is left; free some and try again")]
    Full {
        /// The file.
        file: String,
    },
    /// Anything else that the operating system reports.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system says.
        source: std::io::Error,
    },
}

/// An append-only log of records per document. Calls block; drivers give the store a thread of its own.
pub trait Store {
    /// Appends all records, in order, as one commit: durable when it returns.
    ///
    /// # Errors
    /// If nothing was added.
    fn append(&mut self, records: &[Append]) -> Result<(), StoreError>;

    /// The records of `doc` from index `from` on; none for a document that was never written.
    ///
    /// # Errors
    /// If a record cannot be read back as it was written.
    fn read(&mut self, doc: &DocName, from: u64) -> Result<Vec<Record>, StoreError>;

    /// The documents that have records, by name.
    ///
    /// # Errors
    /// If the list cannot be read.
    fn documents(&mut self) -> Result<Vec<DocName>, StoreError>;

    /// All that can be read of `doc`. Damaged records are copied to a place of their own first, durably, and stay where
    /// they are: `read` goes on failing until `repair` has put others in their place.
    ///
    /// # Errors
    /// If the medium fails, or is damaged in a way that no record explains.
    fn salvage(&mut self, doc: &DocName) -> Result<Salvage, StoreError>;

    /// Puts records in the place of damaged ones, by their index, as one commit: durable when it returns.
    ///
    /// # Errors
    /// If nothing was changed: the medium failed, or one of the records in their place is not damaged.
    fn repair(&mut self, doc: &DocName, records: &[Record]) -> Result<(), StoreError>;

    /// How many records were set aside and are still kept, of all documents: for people to look into, and to delete.
    ///
    /// # Errors
    /// If that cannot be read.
    fn set_aside(&mut self) -> Result<u64, StoreError>;

    /// Forgets what is kept in memory, so that what is read next comes from the medium.
    fn forget_caches(&mut self) {}
}

/// The error of `repair` for a record that is as it was written.
pub fn not_damaged(file: impl Into<String>, doc: &DocName, index: u64) -> StoreError {
    let problem = format!("record {index} of document {:?} is whole and is not replaced", doc.as_str());
    let source = std::io::Error::new(std::io::ErrorKind::InvalidInput, problem);
    StoreError::Io { file: file.into(), source }
}

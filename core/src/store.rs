//! Durable storage: an append-only log of records per document, behind one small trait.
//!
//! Always holds, for every implementation (the conformance suite checks it): when `append` returns `Ok`, its records
//! survive a crash, all of them; when it returns an error, none was added; records come back as they were written or
//! as an error that names file and record, never silently fewer. Not here: files and databases (the drivers have them).

pub mod conformance;
mod memory;
pub mod record;

pub use memory::MemoryStore;

use crate::id::DocName;

/// A record as it was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the document's log, from 0, without gaps; it keeps it for ever.
    pub index: u64,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// One record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append {
    /// The document.
    pub doc: DocName,
    /// The content.
    pub bytes: Vec<u8>,
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
}

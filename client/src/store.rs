//! Where a client keeps its documents: nowhere (memory) or in a folder, behind a thread of its own.
//!
//! Always holds: what was stored is read back as it was written, or set aside and named (one batch of changes per
//! record). Not here: what the records mean (`actor`).

mod file;
mod frame;
mod log;
mod salvage;
mod walk;
mod worker;

use std::path::PathBuf;

pub use file::FileStore;
pub(crate) use worker::{Loaded, Stored, Worker};

/// Where documents are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StoreKind {
    /// In memory only: they end with the process, and "saved on this device" is a courtesy title.
    #[default]
    Memory,
    /// In files in this folder, which is made if need be. One process at a time.
    Folder(PathBuf),
}

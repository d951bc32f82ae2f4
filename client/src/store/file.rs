//! `FileStore`: a folder with one append-only log file per document.
//!
//! Always holds: the folder belongs to one process at a time (an exclusive lock, released by the system when the
//! process ends, however it ends); `append` returns `Ok` only after everything was synced; a replica id is handed out
//! only under the lock and only in the file that it was written for. Not here: the bytes (`frame`), one file (`log`).

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use selvedge::codec::checksum;
use selvedge::store::{Append, Record, Salvage, Store, StoreError, not_damaged};
use selvedge::{DocName, ReplicaId};

use super::frame::{self, Lease};
use super::log::{self, LogFile, corrupt, io_error};
use super::salvage;

/// Most log files that are kept open.
const MAX_OPEN_FILES: usize = 64;

const LOCK_FILE: &str = "lock";
const LOG_EXTENSION: &str = "log";

/// Of copies of damaged log files, as they were found.
const ASIDE_EXTENSION: &str = "aside";

/// Of copies of log files as they were before a fork was healed.
const FORKED_EXTENSION: &str = "forked";

/// Documents in a folder. Calls block.
#[derive(Debug)]
pub struct FileStore {
    folder: PathBuf,
    open: BTreeMap<DocName, LogFile>,
    /// Held for as long as the store is open.
    _lock: File,
    /// Every sync fails: for tests.
    #[cfg(test)]
    failing: bool,
}

impl FileStore {
    /// Opens the folder, made if need be, for this process alone.
    ///
    /// # Errors
    /// `StoreError::Locked` if another process has it open; `Io` if it cannot be made or read.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|source| io_error(&folder, source))?;
        let path = folder.join(LOCK_FILE);
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|source| io_error(&path, source))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self {
                folder,
                open: BTreeMap::new(),
                _lock: lock,
                #[cfg(test)]
                failing: false,
            }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { file: folder.display().to_string() }),
            Err(TryLockError::Error(source)) => Err(io_error(&path, source)),
        }
    }

    /// The replica that writes changes of `doc` from this folder: the one that did so before, or `fresh`. A file that
    /// was copied or restored is another file and gets a fresh one, so that no id is used for two contents.
    ///
    /// # Errors
    /// If the log cannot be read or the lease cannot be stored; the id must not be used then.
    pub fn lease(&mut self, doc: &DocName, fresh: impl FnOnce() -> ReplicaId) -> Result<ReplicaId, StoreError> {
        let log = self.log(doc)?;
        let identity = log.identity()?;
        if let Some(lease) = log.tail().lease
            && lease.identity == identity
        {
            return Ok(lease.replica);
        }
        let (tail, lease) = (log.tail(), Lease { replica: fresh(), identity });
        let stored = log.write_lease(lease).and_then(|()| log.sync());
        match stored {
            Ok(()) => Ok(lease.replica),
            Err(error) => {
                log.rollback(tail);
                self.open.remove(doc);
                Err(error)
            }
        }
    }

    /// Begins a document anew with one record, under a lease of its own; the file as it was is set aside.
    ///
    /// # Errors
    /// If the old file cannot be read or set aside, or the new one not written; what was there is there then.
    pub fn replace(&mut self, doc: &DocName, record: &[u8]) -> Result<(), StoreError> {
        let path = self.path(doc);
        self.open.remove(doc);
        if exists(&path)? {
            let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
            let aside = set_aside(&path, &bytes, FORKED_EXTENSION)?;
            tracing::warn!(file = %path.display(), aside = %aside.display(), "rewritten: a copy was set aside");
        }
        #[cfg(test)]
        if self.failing {
            return Err(StoreError::Full { file: path.display().to_string() });
        }
        log::write_whole(&path, &frame::log_of(doc, &[], std::iter::once(record)))
    }

    /// The file of a document: its name's hash, since names may be longer than file names and differ in case only.
    fn path(&self, doc: &DocName) -> PathBuf {
        let hash: String = doc.lineage().0.iter().map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(hash).with_extension(LOG_EXTENSION)
    }

    /// The log files in the folder; each tells its document (`document_of`).
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn logs(&self) -> Result<Vec<PathBuf>, StoreError> {
        self.files(LOG_EXTENSION)
    }

    fn files(&self, wanted: &str) -> Result<Vec<PathBuf>, StoreError> {
        let fail = |source| io_error(&self.folder, source);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.extension().is_some_and(|extension| extension == wanted) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// The document whose log a file is; none if it has no records.
    ///
    /// # Errors
    /// If its header is damaged, or names a document whose log has another file name.
    pub fn document_of(&self, file: &Path) -> Result<Option<DocName>, StoreError> {
        let (doc, has_records) = log::peek(file)?;
        if self.path(&doc) != file {
            return Err(corrupt(file, "header", &format!("the log of {:?} has another file name", doc.as_str())));
        }
        Ok(has_records.then_some(doc))
    }

    fn log(&mut self, doc: &DocName) -> Result<&mut LogFile, StoreError> {
        if !self.open.contains_key(doc) {
            let path = self.path(doc);
            if !exists(&path)? {
                LogFile::create(&path, doc)?;
            }
            let log = LogFile::open(&path, doc)?;
            self.open.insert(doc.clone(), log);
        }
        self.open.get_mut(doc).ok_or_else(|| io_error(&self.folder, io::ErrorKind::NotFound.into()))
    }

    fn write_all(&mut self, by_doc: &BTreeMap<&DocName, Vec<&Append>>) -> Result<(), StoreError> {
        for (doc, records) in by_doc {
            self.log(doc)?.write_records(records)?;
        }
        for doc in by_doc.keys() {
            #[cfg(test)]
            if self.failing {
                return Err(StoreError::Full { file: "a test".into() });
            }
            self.log(doc)?.sync()?;
        }
        Ok(())
    }

    /// Closes files that the next append does not need, down to the limit.
    fn close_some(&mut self, by_doc: &BTreeMap<&DocName, Vec<&Append>>) {
        while self.open.len() + by_doc.len() > MAX_OPEN_FILES {
            let Some(idle) = self.open.keys().find(|doc| !by_doc.contains_key(doc)).cloned() else { return };
            self.open.remove(&idle);
        }
    }
}

impl Store for FileStore {
    fn append(&mut self, records: &[Append]) -> Result<(), StoreError> {
        let mut by_doc: BTreeMap<&DocName, Vec<&Append>> = BTreeMap::new();
        for record in records {
            by_doc.entry(&record.doc).or_default().push(record);
        }
        self.close_some(&by_doc);
        let mut tails = Vec::new();
        for doc in by_doc.keys() {
            tails.push((*doc, self.log(doc)?.tail()));
        }
        let written = self.write_all(&by_doc);
        if written.is_err() {
            for (doc, tail) in tails {
                self.log(doc)?.rollback(tail);
            }
        }
        written
    }

    fn read(&mut self, doc: &DocName, from: u64) -> Result<Vec<Record>, StoreError> {
        if !self.open.contains_key(doc) && !exists(&self.path(doc))? {
            return Ok(Vec::new());
        }
        self.close_some(&BTreeMap::from([(doc, Vec::new())]));
        let mut records = Vec::new();
        self.log(doc)?.scan(from, |index, bytes| records.push(Record { index, bytes }))?;
        Ok(records)
    }

    fn documents(&mut self) -> Result<Vec<DocName>, StoreError> {
        let mut documents = Vec::new();
        for file in self.files(LOG_EXTENSION)? {
            documents.extend(self.document_of(&file)?);
        }
        documents.sort();
        Ok(documents)
    }

    fn salvage(&mut self, doc: &DocName) -> Result<Salvage, StoreError> {
        let path = self.path(doc);
        match self.read(doc, 0) {
            Ok(_) if !exists(&path)? => return Ok(Salvage::default()),
            Ok(records) => {
                let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
                let checkpoints = salvage::look_through(doc, &bytes).checkpoints;
                return Ok(Salvage { records, damaged: Vec::new(), checkpoints });
            }
            Err(StoreError::Corrupt { .. }) => {}
            Err(other) => return Err(other),
        }
        self.open.remove(doc);
        let bytes = fs::read(&path).map_err(|source| io_error(&path, source))?;
        let found = salvage::look_through(doc, &bytes);
        let aside = set_aside(&path, &bytes, ASIDE_EXTENSION)?;
        tracing::error!(file = %path.display(), aside = %aside.display(), "damaged: a copy was set aside");
        Ok(found)
    }

    fn repair(&mut self, doc: &DocName, records: &[Record]) -> Result<(), StoreError> {
        let (path, found) = (self.path(doc), self.salvage(doc)?);
        let file = path.display().to_string();
        let is_damaged = |record: &&Record| found.damaged.iter().any(|damage| damage.index == record.index);
        if let Some(whole) = records.iter().find(|record| !is_damaged(record)) {
            return Err(not_damaged(file, doc, whole.index));
        }
        if let Some(left) = found.damaged.iter().find(|damage| records.iter().all(|with| with.index != damage.index)) {
            return Err(corrupt(&path, &left.index.to_string(), "nothing was given to take its place"));
        }
        if self.read(doc, 0).is_ok() {
            return Ok(());
        }
        #[cfg(test)]
        if self.failing {
            return Err(StoreError::Full { file });
        }
        self.open.remove(doc);
        let all: BTreeMap<u64, &[u8]> =
            found.records.iter().chain(records).map(|record| (record.index, &record.bytes[..])).collect();
        // Another file: its lease is not taken along, so that nobody writes on as the replica that wrote the lost ones.
        log::write_whole(&path, &frame::log_of(doc, &found.checkpoints, all.values().copied()))
    }

    fn set_aside(&mut self) -> Result<u64, StoreError> {
        Ok(self.files(ASIDE_EXTENSION)?.len() as u64)
    }
}

/// Keeps a copy of a file beside it: the same bytes once, however often.
fn set_aside(path: &Path, bytes: &[u8], extension: &str) -> Result<PathBuf, StoreError> {
    let sum: String = checksum(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    let aside = path.with_extension(format!("{sum}.{extension}"));
    if !exists(&aside)? {
        log::write_whole(&aside, bytes)?;
    }
    Ok(aside)
}

fn exists(path: &Path) -> Result<bool, StoreError> {
    path.try_exists().map_err(|source| io_error(path, source))
}

#[cfg(test)]
mod tests;

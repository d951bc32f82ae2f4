//! `RedbStore`: the records of all documents in one redb file, `selvedge.redb` in the data folder.
//!
//! Always holds: an append is one redb transaction of `Durability::Immediate`; every record carries its checksum; the
//! number of a document's records is stored beside them, so a record that is gone is an error and never "fewer"; after
//! an error of the medium the file is opened anew before it is used again.
//! Not here: threads and group commit (`storage`), and what is in a record (`room`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, StorageBackend, TableDefinition};
use selvedge::DocName;
use selvedge::store::{Append, Record, Store, StoreError, record};

/// The file in the data folder.
pub const FILE_NAME: &str = "selvedge.redb";

/// The file beside it that is locked while the store is open.
pub const LOCK_NAME: &str = "selvedge.lock";

/// The layout of the tables below; a file with another one is refused by name.
const FORMAT: u64 = 1;

/// Bytes of pages kept in memory. The logs of the rooms in use are in memory already.
const CACHE_BYTES: usize = 32 << 20;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Document → number of its records.
const DOCUMENTS: TableDefinition<'_, &str, u64> = TableDefinition::new("documents");
/// (document, index) → sealed record.
const RECORDS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("records");

type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send>;

/// The store of the relay.
pub struct RedbStore {
    /// `None` after an error of the medium, until it was opened anew.
    database: Option<Database>,
    opener: Opener,
    file: String,
    /// Held as long as the store is open; `None` where there is no folder.
    lock: Option<File>,
}

impl RedbStore {
    /// Opens the store in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// `Locked` if another process has it open, `Corrupt` if it is no store of this version, `Io` or `Full` otherwise.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let lock = lock_folder(folder)?;
        let path = folder.join(FILE_NAME);
        if !path.exists() {
            make_file(folder, &path)?;
        }
        let name = path.display().to_string();
        let mut store = Self::with_backend(name, move || open_file(&path))?;
        store.lock = Some(lock);
        Ok(store)
    }

    /// Opens a store on any medium, which must not lose power while it is made; `backend` is called for every (re)opening. `file` is its name in errors.
    ///
    /// # Errors
    /// As `open`.
    pub fn with_backend<B: StorageBackend>(
        file: String,
        backend: impl Fn() -> Result<B, DatabaseError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let opener = Box::new(move || Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend()?));
        let mut store = Self { database: None, opener, file, lock: None };
        store.check_format()?;
        Ok(store)
    }

    fn database(&mut self) -> Result<&Database, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => (self.opener)().map_err(|error| self.error(error.into()))?,
        };
        Ok(self.database.insert(database))
    }

    /// Writes the version marker into a new file, and refuses a file with another one.
    fn check_format(&mut self) -> Result<(), StoreError> {
        let found = self.transact(|database| {
            let write = database.begin_write()?;
            let found = {
                let mut meta = write.open_table(META)?;
                let found = meta.get("format")?.map(|format| format.value());
                if found.is_none() {
                    meta.insert("format", FORMAT)?;
                    write.open_table(DOCUMENTS)?;
                    write.open_table(RECORDS)?;
                }
                found
            };
            if found.is_none() {
                write.commit()?
            } else {
                write.abort()?
            }
            Ok(found.unwrap_or(FORMAT))
        })?;
        if found == FORMAT {
            return Ok(());
        }
        let problem = format!("it has format version {found}; this relay reads {FORMAT}");
        Err(StoreError::Corrupt { file: self.file.clone(), record: "the version marker".to_owned(), problem })
    }

    /// Runs `work` on the open database; after an error the database is closed, to be opened anew by the next call.
    fn transact<T>(&mut self, work: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let result = work(self.database()?);
        result.map_err(|error| {
            self.database = None;
            self.error(error)
        })
    }

    fn error(&self, error: redb::Error) -> StoreError {
        let file = self.file.clone();
        match error {
            redb::Error::DatabaseAlreadyOpen => StoreError::Locked { file },
            redb::Error::Io(source) => io_error(&file, source),
            redb::Error::Corrupted(problem) => StoreError::Corrupt { file, record: "a page".to_owned(), problem },
            redb::Error::UpgradeRequired(version) => StoreError::Corrupt {
                file,
                record: "the header".to_owned(),
                problem: format!("redb file format {version} is older than this relay reads"),
            },
            other => StoreError::Io { file, source: io::Error::other(other.to_string()) },
        }
    }
}

impl Store for RedbStore {
    fn append(&mut self, records: &[Append]) -> Result<(), StoreError> {
        if records.is_empty() {
            return Ok(());
        }
        self.transact(|database| {
            let mut write = database.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            {
                let mut counts = write.open_table(DOCUMENTS)?;
                let mut table = write.open_table(RECORDS)?;
                for append in records {
                    let name = append.doc.as_str();
                    let index = counts.get(name)?.map_or(0, |count| count.value());
                    let sealed = record::seal(&append.doc, index, &append.bytes);
                    table.insert((name, index), sealed.as_slice())?;
                    counts.insert(name, index + 1)?;
                }
            }
            write.commit()?;
            Ok(())
        })
    }

    fn read(&mut self, doc: &DocName, from: u64) -> Result<Vec<Record>, StoreError> {
        let file = self.file.clone();
        let name = doc.as_str();
        let found = self.transact(|database| {
            let read = database.begin_read()?;
            let count = read.open_table(DOCUMENTS)?.get(name)?.map_or(0, |count| count.value());
            let table = read.open_table(RECORDS)?;
            let mut records: Vec<Record> = Vec::new();
            for entry in table.range((name, from)..(name, u64::MAX))? {
                let (key, sealed) = entry?;
                let (next, index) = (from + records.len() as u64, key.value().1);
                if index != next {
                    return Ok(Err((next, "it is not there".to_owned())));
                }
                match record::open(doc, index, sealed.value()) {
                    Ok(content) => records.push(Record { index, bytes: content.to_vec() }),
                    Err(problem) => return Ok(Err((index, problem))),
                }
            }
            let end = from.saturating_add(records.len() as u64);
            if end < count || (end > count && !records.is_empty()) {
                return Ok(Err((end, format!("{count} records were stored, {end} are there"))));
            }
            Ok(Ok(records))
        })?;
        found.map_err(|(index, problem)| record::corrupt(file, doc, index, problem))
    }

    fn documents(&mut self) -> Result<Vec<DocName>, StoreError> {
        let names = self.transact(|database| {
            let read = database.begin_read()?;
            let mut names = Vec::new();
            for entry in read.open_table(DOCUMENTS)?.iter()? {
                names.push(entry?.0.value().to_owned());
            }
            Ok(names)
        })?;
        let file = &self.file;
        let checked = names.into_iter().map(|name| {
            DocName::new(name).map_err(|error| StoreError::Corrupt {
                file: file.clone(),
                record: "the list of documents".to_owned(),
                problem: error.to_string(),
            })
        });
        checked.collect()
    }
}

/// Makes the folder if need be, and sees to it that no other process uses it.
fn lock_folder(folder: &Path) -> Result<File, StoreError> {
    let name = folder.display().to_string();
    let is_new = !folder.exists();
    std::fs::create_dir_all(folder).map_err(|source| io_error(&name, source))?;
    if let Some(parent) = folder.parent().filter(|parent| is_new && !parent.as_os_str().is_empty()) {
        sync_folder(parent)?;
    }
    let path = folder.join(LOCK_NAME);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let lock = options.map_err(|source| io_error(&path.display().to_string(), source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { file: name }),
        Err(TryLockError::Error(source)) => Err(io_error(&path.display().to_string(), source)),
    }
}

/// Makes an empty store under another name and moves it into place, so that a crash leaves a whole file or none.
fn make_file(folder: &Path, path: &Path) -> Result<(), StoreError> {
    let unfinished = folder.join(format!("{FILE_NAME}.new"));
    let name = unfinished.display().to_string();
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&name, error)),
        _ => {}
    }
    let opened = unfinished.clone();
    drop(RedbStore::with_backend(name.clone(), move || open_file(&opened))?);
    File::open(&unfinished).and_then(|file| file.sync_all()).map_err(|source| io_error(&name, source))?;
    std::fs::rename(&unfinished, path).map_err(|source| io_error(&name, source))?;
    // Without this, a power failure can take away a file that was synced itself.
    sync_folder(folder)
}

fn open_file(path: &Path) -> Result<FileBackend, DatabaseError> {
    FileBackend::new(OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?)
}

fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    File::open(folder)
        .and_then(|file| file.sync_all())
        .map_err(|source| io_error(&folder.display().to_string(), source))
}

fn io_error(file: &str, source: io::Error) -> StoreError {
    let file = file.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { file },
        _ => StoreError::Io { file, source },
    }
}

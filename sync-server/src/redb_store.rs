//! `RedbStore`: the records of all documents in one redb file, `selvedge.redb` in the data folder.
//!
//! Always holds: an append is one redb transaction of `Durability::Immediate`; every record carries its checksum; the
//! number of a document's records is stored beside them, so a record that is gone is an error and never "fewer"; a
//! damaged record is copied to a table of its own before another takes its place; after an error of the medium the
//! file is opened anew before it is used again.
//! Not here: threads and group commit (`storage`), and what is in a record (`room`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, Durability, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata,
    StorageBackend, TableDefinition, WriteTransaction,
};
use selvedge::DocName;
use selvedge::store::{Append, Checkpoint, Damage, Record, Salvage, Store, StoreError, not_damaged, record};

use crate::rescue::Rescued;

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
/// (document, replica) → sealed checkpoint: where the log has got to.
const CHECKPOINTS: TableDefinition<'_, (&str, &[u8; 16]), &[u8]> = TableDefinition::new("checkpoints");
/// (document, index) → the bytes of a damaged record as they were found; none if it was not there at all.
const ASIDE: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("aside");

/// What is damaged if redb cannot say it better.
const A_PAGE: &str = "a page";

/// Most records that may be missing of one document; if more seem to be, it is their number that is damaged.
const MAX_MISSING: u64 = 1 << 16;

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
            make_file(folder, &path, &Rescued::default())?;
        }
        let name = path.display().to_string();
        let opened = path.clone();
        let mut store = match Self::with_backend(name.clone(), move || open_file(&opened)) {
            Err(refused @ StoreError::Corrupt { .. }) if names_a_page(&refused) => {
                Self::rescue(folder, &path, refused)?;
                Self::with_backend(name, move || open_file(&path))?
            }
            other => other?,
        };
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

    /// Puts what can be found in a file that cannot be opened into a new one, and the old one aside.
    fn rescue(folder: &Path, path: &Path, refused: StoreError) -> Result<(), StoreError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| io_error(&name, source))?;
        let found = Rescued::look_through(&bytes);
        if found.records.is_empty() {
            return Err(refused);
        }
        let aside = (1u32..).map(|number| folder.join(format!("{FILE_NAME}.damaged-{number}")));
        let Some(aside) = aside.into_iter().find(|aside| !aside.exists()) else { return Err(refused) };
        let (records, kept) = (found.records.len(), aside.display().to_string());
        tracing::error!(
            file = name,
            kept,
            records,
            "damaged: {refused}. Every record found in it was put in a new file"
        );
        // The old file keeps its name until the new one is whole.
        std::fs::hard_link(path, &aside).map_err(|source| io_error(&kept, source))?;
        make_file(folder, path, &found)
    }

    fn fill(&mut self, found: &Rescued) -> Result<(), StoreError> {
        self.transact(|database| {
            let write = database.begin_write()?;
            {
                let mut records = write.open_table(RECORDS)?;
                for ((doc, index), content) in &found.records {
                    records.insert((doc.as_str(), *index), record::seal(doc, *index, content).as_slice())?;
                }
                let mut counts = write.open_table(DOCUMENTS)?;
                for (doc, count) in found.counts() {
                    counts.insert(doc.as_str(), count)?;
                }
                let mut checkpoints = write.open_table(CHECKPOINTS)?;
                for ((doc, replica), checkpoint) in &found.checkpoints {
                    checkpoints.insert((doc.as_str(), replica.as_bytes()), checkpoint.seal(doc).as_slice())?;
                }
            }
            write.commit()?;
            Ok(())
        })
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
                if found.unwrap_or(FORMAT) == FORMAT {
                    write.open_table(CHECKPOINTS)?;
                    write.open_table(ASIDE)?;
                }
                found
            };
            write.commit()?;
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
            redb::Error::Corrupted(problem) => StoreError::Corrupt { file, record: A_PAGE.to_owned(), problem },
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
                let mut checkpoints = write.open_table(CHECKPOINTS)?;
                for append in records {
                    let name = append.doc.as_str();
                    let index = counts.get(name)?.map_or(0, |count| count.value());
                    let sealed = record::seal(&append.doc, index, &append.bytes);
                    if table.insert((name, index), sealed.as_slice())?.is_some() {
                        // Dropped without a commit, the transaction changes nothing.
                        let problem = format!("document {name:?} has more records than are counted");
                        return Err(redb::Error::Corrupted(problem));
                    }
                    counts.insert(name, index + 1)?;
                    for checkpoint in &append.checkpoints {
                        let sealed = checkpoint.seal(&append.doc);
                        checkpoints.insert((name, checkpoint.replica.as_bytes()), sealed.as_slice())?;
                    }
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

    fn salvage(&mut self, doc: &DocName) -> Result<Salvage, StoreError> {
        self.transact(|database| {
            let look = Look::through(&database.begin_read()?, doc)?;
            if look.aside.is_empty() && !look.miscounted {
                return Ok(look.salvage);
            }
            let mut write = database.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            look.keep_aside(&write, doc)?;
            write.commit()?;
            Ok(look.salvage)
        })
    }

    fn repair(&mut self, doc: &DocName, records: &[Record]) -> Result<(), StoreError> {
        let name = doc.as_str();
        let whole = self.transact(|database| {
            let mut write = database.begin_write()?;
            write.set_durability(Durability::Immediate)?;
            {
                let mut table = write.open_table(RECORDS)?;
                for Record { index, bytes } in records {
                    let stored = table.get((name, *index))?;
                    if stored.is_some_and(|stored| record::open(doc, *index, stored.value()).is_ok()) {
                        return Ok(Some(*index));
                    }
                    table.insert((name, *index), record::seal(doc, *index, bytes).as_slice())?;
                }
            }
            write.commit()?;
            Ok(None)
        })?;
        whole.map_or(Ok(()), |index| Err(not_damaged(&self.file, doc, index)))
    }

    fn set_aside(&mut self) -> Result<u64, StoreError> {
        self.transact(|database| Ok(database.begin_read()?.open_table(ASIDE)?.len()?))
    }

    fn forget_caches(&mut self) {
        self.database = None;
    }
}

/// What a look through the records of a document found.
#[derive(Default)]
struct Look {
    salvage: Salvage,
    /// What is to be set aside: the bytes of damaged records, nothing for those that are not there.
    aside: Vec<(u64, Vec<u8>)>,
    /// Damaged rows where no record was written: the key itself is what is damaged.
    stray: Vec<u64>,
    /// One more than the largest number of a record.
    end: u64,
    /// There are more records than were counted: it is their number that is damaged.
    miscounted: bool,
}

impl Look {
    fn through(read: &ReadTransaction, doc: &DocName) -> Result<Self, redb::Error> {
        let name = doc.as_str();
        let mut look = Self::default();
        let counted = read.open_table(DOCUMENTS)?.get(name)?.map_or(0, |count| count.value());
        for entry in read.open_table(RECORDS)?.range((name, 0)..=(name, u64::MAX))? {
            let (key, sealed) = entry?;
            let (index, bytes) = (key.value().1, sealed.value());
            match record::open(doc, index, bytes) {
                Ok(content) => {
                    look.missing_until(index);
                    look.salvage.records.push(Record { index, bytes: content.to_vec() });
                }
                Err(_) if index >= counted => {
                    look.stray.push(index);
                    look.aside.push((index, bytes.to_vec()));
                    continue;
                }
                Err(problem) => {
                    look.missing_until(index);
                    look.salvage.damaged.push(Damage { index, problem });
                    look.aside.push((index, bytes.to_vec()));
                }
            }
            look.end = index.saturating_add(1);
        }
        look.miscounted = look.end > counted;
        look.missing_until(counted);
        for entry in read.open_table(CHECKPOINTS)?.range((name, &[0; 16])..=(name, &[0xff; 16]))? {
            look.salvage.checkpoints.extend(Checkpoint::open(doc, entry?.1.value()).ok());
        }
        Ok(look)
    }

    fn missing_until(&mut self, index: u64) {
        let (index, problem) = match index.saturating_sub(self.end) > MAX_MISSING {
            true => (self.end + 1, "far fewer records are there than were counted"),
            false => (index, "it is not there"),
        };
        for index in self.end..index {
            self.salvage.damaged.push(Damage { index, problem: problem.to_owned() });
            self.aside.push((index, Vec::new()));
        }
        self.end = self.end.max(index);
    }

    fn keep_aside(&self, write: &WriteTransaction, doc: &DocName) -> Result<(), redb::Error> {
        let name = doc.as_str();
        let mut aside = write.open_table(ASIDE)?;
        for (index, bytes) in &self.aside {
            if !bytes.is_empty() || aside.get((name, *index))?.is_none() {
                aside.insert((name, *index), bytes.as_slice())?;
            }
        }
        let mut records = write.open_table(RECORDS)?;
        for index in &self.stray {
            records.remove((name, *index))?;
        }
        write.open_table(DOCUMENTS)?.insert(name, self.end)?;
        Ok(())
    }
}

/// Whether redb refuses a file for what is in it, not we for its version.
fn names_a_page(error: &StoreError) -> bool {
    matches!(error, StoreError::Corrupt { record, .. } if record == A_PAGE)
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

/// Makes a store under another name and moves it into place, so that a crash leaves a whole file or none.
fn make_file(folder: &Path, path: &Path, content: &Rescued) -> Result<(), StoreError> {
    let unfinished = folder.join(format!("{FILE_NAME}.new"));
    let name = unfinished.display().to_string();
    match std::fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(&name, error)),
        _ => {}
    }
    let opened = unfinished.clone();
    RedbStore::with_backend(name.clone(), move || open_file(&opened))?.fill(content)?;
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

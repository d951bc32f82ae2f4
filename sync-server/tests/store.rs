//! The relay's store: the conformance suite on a file and on a disk that loses what was not synced, crashes at every
//! single write, and what is refused when a store is opened. Bug class D (31, 34).

use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{BackendError, Database, DatabaseError, ReadableTable, StorageBackend, TableDefinition};
use selvedge::DocName;
use selvedge::store::conformance::{self, Harness};
use selvedge::store::{Append, Record, Store, StoreError};
use selvedge_relay::lossy::{Lose, LossyDisk};
use selvedge_relay::redb_store::{FILE_NAME, RedbStore};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const RECORDS: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("records");

fn doc(name: &str) -> DocName {
    DocName::new(name).expect("a name")
}

fn append(name: &str, bytes: &[u8]) -> Append {
    Append { doc: doc(name), bytes: bytes.to_vec(), checkpoints: Vec::new() }
}

fn contents(records: Vec<Record>) -> Vec<Vec<u8>> {
    records.into_iter().map(|record| record.bytes).collect()
}

/// Changes or removes a stored record with redb alone.
fn tamper(database: &Database, doc: &DocName, index: u64, change: impl FnOnce(&mut Vec<u8>) -> bool) {
    let write = database.begin_write().expect("a transaction");
    {
        let mut table = write.open_table(RECORDS).expect("the table");
        let key = (doc.as_str(), index);
        let mut bytes = table.remove(key).expect("reads").expect("the record is there").value().to_vec();
        if change(&mut bytes) {
            table.insert(key, bytes.as_slice()).expect("writes");
        }
    }
    write.commit().expect("commits");
}

fn flip(bytes: &mut [u8]) -> bool {
    let last = bytes.len() - 1;
    bytes[last] ^= 0x10;
    true
}

/// A file on a file system that can be full.
#[derive(Debug)]
struct FullableFile(FileBackend, Arc<AtomicBool>);

impl FullableFile {
    fn check(&self) -> io::Result<()> {
        if self.1.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for FullableFile {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.0.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.0.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.try_lock_range(start, end)
    }
}

/// Files in folders of their own.
struct OnFiles {
    root: tempfile::TempDir,
    folder: PathBuf,
    made: u32,
    full: Arc<AtomicBool>,
}

impl OnFiles {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a folder");
        Self { folder: root.path().to_owned(), root, made: 0, full: Arc::default() }
    }

    fn next_folder(&mut self) -> PathBuf {
        self.made += 1;
        let folder = self.root.path().join(self.made.to_string());
        std::fs::create_dir(&folder).expect("a folder");
        folder
    }

    fn open(&self) -> Result<RedbStore, StoreError> {
        let (path, full) = (self.folder.join(FILE_NAME), Arc::clone(&self.full));
        RedbStore::with_backend(path.display().to_string(), move || {
            let file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
            Ok(FullableFile(FileBackend::new(file)?, Arc::clone(&full)))
        })
    }

    fn behind(&self, store: RedbStore, change: impl FnOnce(&Database)) -> RedbStore {
        drop(store);
        change(&Database::open(self.folder.join(FILE_NAME)).expect("opens"));
        self.open().expect("opens")
    }
}

impl Harness for OnFiles {
    type Store = RedbStore;

    fn create(&mut self) -> RedbStore {
        self.folder = self.next_folder();
        self.open().expect("a new store")
    }

    fn reopen(&mut self, store: RedbStore) -> Result<RedbStore, StoreError> {
        drop(store);
        self.open()
    }

    /// Goes on with the file as it is while a process has it open: what a killed process leaves.
    fn crash(&mut self, store: RedbStore) -> Result<RedbStore, StoreError> {
        let copy = self.next_folder();
        std::fs::copy(self.folder.join(FILE_NAME), copy.join(FILE_NAME)).expect("copies");
        drop(store);
        self.folder = copy;
        self.open()
    }

    fn damage(&mut self, store: RedbStore, doc: &DocName, index: u64) -> RedbStore {
        self.behind(store, |database| tamper(database, doc, index, |bytes| flip(bytes)))
    }

    fn lose(&mut self, store: RedbStore, doc: &DocName, index: u64) -> RedbStore {
        self.behind(store, |database| tamper(database, doc, index, |_| false))
    }

    fn set_failing(&mut self, _: &mut RedbStore, failing: bool) {
        self.full.store(failing, Ordering::SeqCst);
    }
}

/// Disks that lose what was not synced when the power fails.
struct OnLossyDisks {
    disk: LossyDisk,
    lose: Lose,
}

fn on_disk(disk: &LossyDisk) -> Result<RedbStore, StoreError> {
    let disk = disk.clone();
    RedbStore::with_backend("the lossy disk".to_owned(), move || Ok::<_, DatabaseError>(disk.plug_in()))
}

impl OnLossyDisks {
    fn behind(&self, store: RedbStore, change: impl FnOnce(&Database)) -> RedbStore {
        drop(store);
        change(&Database::builder().create_with_backend(self.disk.plug_in()).expect("opens"));
        on_disk(&self.disk).expect("opens")
    }
}

impl Harness for OnLossyDisks {
    type Store = RedbStore;

    fn create(&mut self) -> RedbStore {
        self.disk = LossyDisk::new();
        on_disk(&self.disk).expect("a new store")
    }

    fn reopen(&mut self, store: RedbStore) -> Result<RedbStore, StoreError> {
        drop(store);
        on_disk(&self.disk)
    }

    fn crash(&mut self, store: RedbStore) -> Result<RedbStore, StoreError> {
        self.disk.power_failure(self.lose);
        drop(store);
        on_disk(&self.disk)
    }

    fn damage(&mut self, store: RedbStore, doc: &DocName, index: u64) -> RedbStore {
        self.behind(store, |database| tamper(database, doc, index, |bytes| flip(bytes)))
    }

    fn lose(&mut self, store: RedbStore, doc: &DocName, index: u64) -> RedbStore {
        self.behind(store, |database| tamper(database, doc, index, |_| false))
    }

    fn set_failing(&mut self, _: &mut RedbStore, failing: bool) {
        self.disk.set_full(failing);
    }
}

#[test]
fn a_store_on_a_file_conforms() {
    assert_eq!(conformance::run(&mut OnFiles::new()).map(|cases| cases > 10), Ok(true));
}

#[test]
fn a_store_on_a_disk_that_loses_power_conforms() {
    for lose in [Lose::All, Lose::Some(1), Lose::Some(2), Lose::Some(3)] {
        let mut harness = OnLossyDisks { disk: LossyDisk::new(), lose };
        assert_eq!(conformance::run(&mut harness).map(|cases| cases > 10), Ok(true), "{lose:?}");
    }
}

/// The crash tests prove something only if the disk really loses what was not synced.
#[test]
fn the_lossy_disk_loses_what_was_not_synced() {
    let disk = LossyDisk::new();
    let backend = disk.plug_in();
    backend.set_len(2048).expect("grows");
    backend.write(0, b"kept").expect("writes");
    backend.sync_data().expect("syncs");
    backend.write(0, b"lost").expect("writes");
    backend.write(1024, b"lost").expect("writes");
    backend.set_len(4096).expect("grows");
    disk.power_failure(Lose::All);
    assert!(backend.len().is_err(), "the old process is gone");
    let backend = disk.plug_in();
    let mut found = [0; 4];
    backend.read(0, &mut found).expect("reads");
    assert_eq!((&found, backend.len().expect("a length")), (b"kept", 2048));
    backend.read(1024, &mut found).expect("reads");
    assert_eq!(&found, &[0; 4]);
}

/// A commit that is not durable is lost with the power; so the tests above would notice a store that does not sync.
#[test]
fn a_commit_without_a_sync_is_lost() {
    let disk = LossyDisk::new();
    drop(on_disk(&disk).expect("a new store"));
    let database = Database::builder().create_with_backend(disk.plug_in()).expect("opens");
    let mut write = database.begin_write().expect("a transaction");
    write.set_durability(redb::Durability::None).expect("is set");
    write.open_table(META).expect("the table").insert("unsynced", 1).expect("writes");
    write.commit().expect("commits");
    disk.power_failure(Lose::All);
    drop(database);
    let database = Database::builder().create_with_backend(disk.plug_in()).expect("opens");
    let write = database.begin_write().expect("a transaction");
    assert!(write.open_table(META).expect("the table").get("unsynced").expect("reads").is_none());
}

/// Bug class D (34): the power fails at every write, in every way; what was acknowledged is there, whole and in order.
#[test]
fn a_crash_at_any_write_keeps_everything_acknowledged() {
    let mut crashes = 0;
    for lose in [Lose::All, Lose::Some(7), Lose::Some(8)] {
        for call in 0..400 {
            let disk = LossyDisk::new();
            // A store is made under another name and moved into place: a crash leaves a whole one or none.
            drop(on_disk(&disk).expect("a new store"));
            disk.fail_at(call, lose);
            let acknowledged = work(&disk);
            let finished = acknowledged == ROUNDS;
            if finished {
                disk.power_failure(lose);
            }
            crashes += 1;
            let mut store = on_disk(&disk).unwrap_or_else(|error| panic!("crash at {call}, {lose:?}: {error}"));
            for name in ["a", "b"] {
                let found = contents(store.read(&doc(name), 0).expect("reads"));
                let expected: Vec<_> = (0..ROUNDS).map(content).collect();
                assert!(found.len() >= acknowledged, "crash at {call}, {lose:?}: {} of {acknowledged}", found.len());
                assert_eq!(found, expected[..found.len()], "crash at {call}, {lose:?}");
            }
            if finished {
                break;
            }
        }
    }
    assert!(crashes > 60, "only {crashes} crashes");
}

const ROUNDS: usize = 8;

fn content(round: usize) -> Vec<u8> {
    vec![round as u8; 1 + round * 3000]
}

/// Appends to two documents until the power fails, and says how many commits were acknowledged.
fn work(disk: &LossyDisk) -> usize {
    let Ok(mut store) = on_disk(disk) else { return 0 };
    let commit = |round: usize| store.append(&[append("a", &content(round)), append("b", &content(round))]).is_ok();
    (0..ROUNDS).map(commit).take_while(|acknowledged| *acknowledged).count()
}

#[test]
fn a_store_is_open_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let _first = RedbStore::open(folder.path()).expect("opens");
    let Err(error) = RedbStore::open(folder.path()) else { panic!("opened twice") };
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    assert!(error.to_string().contains("in use by another process") && !error.to_string().contains('\n'), "{error}");
}

/// What a crash leaves while a store is made is not in the way of the next start.
#[test]
fn an_unfinished_store_is_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(format!("{FILE_NAME}.new")), [0; 5000]).expect("writes");
    let mut store = RedbStore::open(folder.path()).expect("opens");
    store.append(&[append("a", b"one")]).expect("appends");
    drop(store);
    let mut store = RedbStore::open(folder.path()).expect("opens");
    assert_eq!(contents(store.read(&doc("a"), 0).expect("reads")), [b"one"]);
}

fn open_error(folder: &Path) -> StoreError {
    match RedbStore::open(folder) {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

/// Bug class D (31): what cannot be read is an error and stays as it is, never an empty store.
#[test]
fn what_is_no_store_of_ours_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILE_NAME);
    std::fs::write(&path, vec![0x5a; 10_000]).expect("writes");
    let error = open_error(folder.path());
    assert!(error.to_string().contains(FILE_NAME), "{error}");
    assert_eq!(std::fs::read(&path).expect("reads"), vec![0x5a; 10_000]);

    std::fs::remove_file(&path).expect("removes");
    let mut store = RedbStore::open(folder.path()).expect("opens");
    store.append(&[append("a", b"of a newer version")]).expect("appends");
    drop(store);
    let database = Database::open(&path).expect("opens");
    let write = database.begin_write().expect("a transaction");
    write.open_table(META).expect("the table").insert("format", 2).expect("writes");
    write.commit().expect("commits");
    drop(database);
    let error = open_error(folder.path());
    assert!(error.to_string().contains("format version 2; this relay reads 1"), "{error}");
}

/// Whichever byte of the file is flipped, and however the process ended: what is read is what was written, what is not
/// read is named, and the other documents are there.
#[test]
fn a_flipped_byte_anywhere_in_the_file_never_gives_other_records() {
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (0..30).map(|number| format!("document {number}")).collect();
    let content = |number: usize| vec![number as u8; 40 + 37 * number];
    let mut store = RedbStore::open(folder.path()).expect("opens");
    for number in 0..8 {
        let records: Vec<_> = names.iter().map(|name| append(name, &content(number))).collect();
        store.append(&records).expect("appends");
    }
    let path = folder.path().join(FILE_NAME);
    let killed = std::fs::read(&path).expect("reads");
    drop(store);
    let ended = std::fs::read(&path).expect("reads");
    let original: Vec<Record> =
        (0..8).map(|number| Record { index: number, bytes: content(number as usize) }).collect();
    let (mut refused, mut damaged) = (0, 0);
    // Most of the file is empty: bytes that are not zero are what pages are made of.
    let places = |bytes: &[u8]| {
        let used: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] != 0).collect();
        let step = used.len() / 150 + 1;
        used.into_iter().step_by(step).collect::<Vec<_>>()
    };
    let flips = [&killed, &ended].map(|bytes| (bytes, places(bytes)));
    for (bytes, at) in flips.iter().flat_map(|(bytes, places)| places.iter().map(move |at| (*bytes, *at))) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x11;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(FILE_NAME), flipped).expect("writes");
        // redb may panic on a damaged file; the relay takes that as an error of the request.
        let opened = std::panic::catch_unwind(|| RedbStore::open(folder.path()));
        let Ok(Ok(mut store)) = opened else {
            refused += 1;
            continue;
        };
        for name in &names {
            let salvage = std::panic::AssertUnwindSafe(|| store.salvage(&doc(name)));
            let Ok(Ok(found)) = std::panic::catch_unwind(salvage) else {
                damaged += 1;
                continue;
            };
            assert!(found.records.iter().all(|record| original.contains(record)), "byte {at}, {name}");
            // redb takes damage in the last commit before a crash for a commit that was never finished.
            let unfinished = usize::from(bytes == &killed);
            let named = found.records.len() + found.damaged.len();
            // Damage to their number names records that never were.
            assert!(named + unfinished >= original.len(), "byte {at}, {name}: {named}");
            damaged += found.damaged.len();
        }
    }
    println!("{refused} files refused, {damaged} records or documents damaged");
    assert!(damaged > 0, "no byte of a record was hit");
}

/// Records lost from the end are noticed too: their number is stored beside them.
#[test]
fn records_lost_from_the_end_are_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut store = RedbStore::open(folder.path()).expect("opens");
    store.append(&[append("a", b"one"), append("a", b"two")]).expect("appends");
    drop(store);
    tamper(&Database::open(folder.path().join(FILE_NAME)).expect("opens"), &doc("a"), 1, |_| false);
    let mut store = RedbStore::open(folder.path()).expect("opens");
    for from in [0, 1] {
        let error = store.read(&doc("a"), from).expect_err("a record is gone");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    }
}

//! Tests of `FileStore`: the conformance suite, crashes at every byte, flipped bytes, locks and leases.

use selvedge::store::conformance::{self, Harness};
use tempfile::TempDir;

use super::super::frame::{self, END_MARK, FRAME_HEAD, Kind};
use super::*;

fn doc(name: &str) -> DocName {
    DocName::new(name).unwrap()
}

fn append(store: &mut FileStore, records: &[(&str, &[u8])]) -> Result<(), StoreError> {
    let record =
        |(name, bytes): &(&str, &[u8])| Append { doc: doc(name), bytes: bytes.to_vec(), checkpoints: Vec::new() };
    store.append(&records.iter().map(record).collect::<Vec<_>>())
}

fn contents(store: &mut FileStore, name: &str) -> Result<Vec<Vec<u8>>, StoreError> {
    Ok(store.read(&doc(name), 0)?.into_iter().map(|record| record.bytes).collect())
}

/// Offset and length of every record's frame in a log file.
fn frames(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (_, mut at) = frame::read_header(bytes).unwrap();
    let mut frames = Vec::new();
    while at < bytes.len() {
        let head = bytes[at..at + FRAME_HEAD].try_into().unwrap();
        let (kind, len) = frame::read_head(at as u64, &head).unwrap();
        let frame_len = FRAME_HEAD + len + END_MARK.len();
        if kind != Kind::Lease {
            frames.push((at, frame_len));
        }
        at += frame_len;
    }
    frames
}

struct Files {
    folders: Vec<TempDir>,
}

impl Files {
    fn reopen(store: FileStore) -> Result<FileStore, StoreError> {
        let folder = store.folder.clone();
        drop(store);
        FileStore::open(folder)
    }

    fn edit(store: FileStore, name: &DocName, edit: impl FnOnce(&mut Vec<u8>)) -> FileStore {
        let path = store.path(name);
        let mut bytes = fs::read(&path).unwrap();
        edit(&mut bytes);
        fs::write(&path, bytes).unwrap();
        store
    }
}

impl Harness for Files {
    type Store = FileStore;

    fn create(&mut self) -> FileStore {
        self.folders.push(tempfile::tempdir().unwrap());
        FileStore::open(self.folders.last().unwrap().path()).unwrap()
    }

    fn reopen(&mut self, store: FileStore) -> Result<FileStore, StoreError> {
        Self::reopen(store)
    }

    /// The page cache outlives a process: what losing power does to the file is tested byte by byte below.
    fn crash(&mut self, store: FileStore) -> Result<FileStore, StoreError> {
        Self::reopen(store)
    }

    fn damage(&mut self, store: FileStore, name: &DocName, index: u64) -> FileStore {
        Self::edit(store, name, |bytes| {
            let (at, len) = frames(bytes)[index as usize];
            bytes[at + len - END_MARK.len() - 1] ^= 4;
        })
    }

    fn lose(&mut self, store: FileStore, name: &DocName, index: u64) -> FileStore {
        Self::edit(store, name, |bytes| {
            let (at, len) = frames(bytes)[index as usize];
            bytes.drain(at..at + len);
        })
    }

    fn set_failing(&mut self, store: &mut FileStore, failing: bool) {
        store.failing = failing;
    }
}

#[test]
fn the_file_store_conforms() {
    let cases = conformance::run(&mut Files { folders: Vec::new() });
    assert!(cases.as_ref().is_ok_and(|cases| *cases > 10), "{cases:?}");
}

/// A file whose last commit holds two records and ends in zeros; with the length that it had before that commit.
fn written(folder: &TempDir) -> (PathBuf, Vec<u8>, usize) {
    let mut store = FileStore::open(folder.path()).unwrap();
    append(&mut store, &[("a", b"one")]).unwrap();
    let path = store.path(&doc("a"));
    let before = fs::metadata(&path).unwrap().len() as usize;
    let long: Vec<u8> = (0..1_500u32).map(|i| if i < 700 { i as u8 } else { 0 }).collect();
    append(&mut store, &[("a", b"two"), ("a", &long)]).unwrap();
    (path.clone(), fs::read(path).unwrap(), before)
}

/// Bug class D: a crash may leave any beginning of the last append; it then never returned, and is not there.
#[test]
fn an_append_cut_at_any_byte_is_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes, before) = written(&folder);
    for cut in before..bytes.len() {
        fs::write(&path, &bytes[..cut]).unwrap();
        let mut store = FileStore::open(folder.path()).unwrap();
        assert_eq!(contents(&mut store, "a").unwrap(), [b"one"], "cut at {cut}");
        append(&mut store, &[("a", b"next")]).unwrap();
        let mut store = Files::reopen(store).unwrap();
        assert_eq!(contents(&mut store, "a").unwrap(), [&b"one"[..], b"next"], "cut at {cut}");
    }
    fs::write(&path, &bytes).unwrap();
    assert_eq!(contents(&mut FileStore::open(folder.path()).unwrap(), "a").unwrap().len(), 3);
}

/// Bug class D: the file may have grown before the sectors of the last append reached the disk.
#[test]
fn sectors_that_never_reached_the_disk_are_an_unfinished_append() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes, before) = written(&folder);
    let sectors = (before.next_multiple_of(512)..bytes.len()).step_by(512);
    for zero_from in std::iter::once(before).chain(sectors) {
        let mut torn = bytes.clone();
        torn[zero_from..].fill(0);
        fs::write(&path, torn).unwrap();
        let mut store = FileStore::open(folder.path()).unwrap();
        assert_eq!(contents(&mut store, "a").unwrap(), [b"one"], "zeros from {zero_from}");
    }
}

/// Bug class D: damage is an error that names file and record, never fewer records and never an empty document.
#[test]
fn any_flipped_byte_is_corruption() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes, _) = written(&folder);
    for at in 0..bytes.len() {
        for flip in [0xff, bytes[at].max(1)] {
            let mut flipped = bytes.clone();
            flipped[at] ^= flip;
            fs::write(&path, &flipped).unwrap();
            let mut store = FileStore::open(folder.path()).unwrap();
            let failed = contents(&mut store, "a").expect_err("a flipped byte was not noticed");
            assert!(matches!(failed, StoreError::Corrupt { .. }), "byte {at}: {failed}");
            assert!(append(&mut store, &[("a", b"more")]).is_err(), "byte {at}: appended behind damage");
            assert_eq!(fs::read(&path).unwrap(), flipped, "byte {at}: the file was changed");
        }
    }
}

/// Whichever byte is flipped, what is read is what was written; and with what is missing in its place, all of it is.
#[test]
fn any_flipped_byte_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes, _) = written(&folder);
    let original = FileStore::open(folder.path()).unwrap().read(&doc("a"), 0).unwrap();
    // Every place that differs: headers, heads and ends in full, contents here and there (each takes some syncs).
    let heads = frames(&bytes).into_iter().flat_map(|(at, len)| (at..at + 30).chain(at + len - 8..at + len));
    let places: std::collections::BTreeSet<usize> = heads.chain((0..bytes.len()).step_by(40)).collect();
    for at in places {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0xff;
        fs::write(&path, &flipped).unwrap();
        let mut store = FileStore::open(folder.path()).unwrap();
        let found = store.salvage(&doc("a")).unwrap();
        let damaged: Vec<u64> = found.damaged.iter().map(|damage| damage.index).collect();
        assert!(found.records.iter().all(|record| original.contains(record)), "byte {at}");
        assert!(damaged.len() <= 1 && found.records.len() + damaged.len() == 3, "byte {at}: {damaged:?}");
        let replaced: Vec<_> = damaged.iter().map(|index| original[*index as usize].clone()).collect();
        store.repair(&doc("a"), &replaced).unwrap();
        append(&mut store, &[("a", b"more")]).unwrap();
        let mut store = Files::reopen(store).unwrap();
        assert_eq!(store.read(&doc("a"), 0).unwrap()[..3], original, "byte {at}");
        assert_eq!(store.set_aside().unwrap(), 1, "byte {at}");
        for file in store.files(ASIDE_EXTENSION).unwrap() {
            assert_eq!(fs::read(&file).unwrap(), flipped, "byte {at}");
            fs::remove_file(file).unwrap();
        }
    }
}

#[test]
fn a_failed_append_is_taken_back_from_every_document() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FileStore::open(folder.path()).unwrap();
    append(&mut store, &[("a", b"one")]).unwrap();
    fs::create_dir(store.path(&doc("b"))).unwrap();
    assert!(append(&mut store, &[("a", b"two"), ("b", b"two")]).is_err());
    append(&mut store, &[("a", b"three")]).unwrap();
    assert_eq!(contents(&mut store, "a").unwrap(), [&b"one"[..], b"three"]);
}

/// Bug class B: one folder, one process; a second opener must not write as the same replica.
#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = FileStore::open(folder.path()).unwrap();
    assert!(matches!(FileStore::open(folder.path()), Err(StoreError::Locked { .. })));
    drop(store);
    assert!(FileStore::open(folder.path()).is_ok());
}

/// Bug class B: the id stays with its file; a copy of the file, restored or carried elsewhere, gets a fresh one.
#[test]
fn a_replica_id_is_kept_and_never_copied() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FileStore::open(folder.path()).unwrap();
    let lease = |store: &mut FileStore, id: u128| store.lease(&doc("a"), || ReplicaId::from(id)).unwrap();
    assert_eq!(lease(&mut store, 1), ReplicaId::from(1));
    append(&mut store, &[("a", b"one")]).unwrap();
    let mut store = Files::reopen(store).unwrap();
    assert_eq!(lease(&mut store, 2), ReplicaId::from(1));

    let path = store.path(&doc("a"));
    fs::copy(&path, path.with_extension("backup")).unwrap();
    let mut store = Files::reopen(store).unwrap();
    fs::rename(path.with_extension("backup"), &path).unwrap();
    assert_eq!(lease(&mut store, 3), ReplicaId::from(3));
    assert_eq!(contents(&mut store, "a").unwrap(), [b"one"]);
    assert_eq!(lease(&mut Files::reopen(store).unwrap(), 4), ReplicaId::from(3));
}

/// Bug class B: the records of a forked document are kept beside the new one, and the id is not taken along.
#[test]
fn what_is_replaced_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FileStore::open(folder.path()).unwrap();
    append(&mut store, &[("a", b"one"), ("a", b"two")]).unwrap();
    assert_eq!(store.lease(&doc("a"), || ReplicaId::from(1)).unwrap(), ReplicaId::from(1));
    let before = fs::read(store.path(&doc("a"))).unwrap();
    store.failing = true;
    assert!(store.replace(&doc("a"), b"whole").is_err());
    assert_eq!(contents(&mut store, "a").unwrap(), [&b"one"[..], b"two"]);
    store.failing = false;
    store.replace(&doc("a"), b"whole").unwrap();
    assert_eq!(contents(&mut store, "a").unwrap(), [b"whole"]);
    assert_eq!(store.lease(&doc("a"), || ReplicaId::from(2)).unwrap(), ReplicaId::from(2));
    let aside = store.files(FORKED_EXTENSION).unwrap();
    assert_eq!(aside.len(), 1, "once, although it was tried twice");
    assert_eq!(fs::read(&aside[0]).unwrap(), before);
    assert_eq!(store.set_aside().unwrap(), 0, "it is not damaged");
}

#[test]
fn more_documents_than_open_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = FileStore::open(folder.path()).unwrap();
    let names: Vec<String> = (0..MAX_OPEN_FILES + 9).map(|i| format!("doc {i:03}")).collect();
    for round in [b"1", b"2"] {
        for name in &names {
            append(&mut store, &[(name, round)]).unwrap();
        }
    }
    assert!(store.open.len() <= MAX_OPEN_FILES);
    assert_eq!(store.documents().unwrap().len(), names.len());
    for name in &names {
        assert_eq!(contents(&mut store, name).unwrap(), [b"1", b"2"]);
    }
}

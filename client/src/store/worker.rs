//! `Worker`: a thread of its own for a `FileStore`, with group commit.
//!
//! Always holds: jobs are done in the order in which they came; whatever waits while one commit is being synced goes
//! into the next one, together. Not here: what records mean.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use selvedge::store::{Append, Record, Salvage, Store, StoreError};
use selvedge::sync::Token;
use selvedge::{DocName, ReplicaId};
use tokio::sync::mpsc::UnboundedSender;

use super::FileStore;

/// Bytes of records that go into one commit, unless a single one is larger.
const COMMIT_BYTES: usize = 4 << 20;

/// A completion.
#[derive(Debug)]
pub(crate) enum Stored {
    /// `Worker::append` is done.
    Appended { token: Token, bytes: usize, result: Result<(), Arc<StoreError>> },
    /// `Worker::repair` is done.
    Repaired { doc: DocName, result: Result<(), Arc<StoreError>> },
    /// `Worker::replace` is done.
    Replaced { doc: DocName, result: Result<(), Arc<StoreError>> },
    /// `Worker::load` is done.
    Loaded { doc: DocName, result: Result<Loaded, Arc<StoreError>> },
}

/// What there is of a document, and who writes it here.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) replica: ReplicaId,
    /// Its records, oldest first, and which of them are damaged.
    pub(crate) found: Salvage,
    /// What is damaged, by file and record, if anything is: nothing is written until `repair`.
    pub(crate) problem: Option<Arc<StoreError>>,
}

enum Job {
    Append { token: Token, record: Append },
    Load { doc: DocName, fresh: ReplicaId },
    Repair { doc: DocName, records: Vec<Record>, replica: ReplicaId },
    Replace { doc: DocName, bytes: Vec<u8>, replica: ReplicaId },
}

/// The thread. Dropped, it finishes what it was given and ends.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Opens the store in `folder` and starts the thread; completions go to `done`.
    pub(crate) fn start(folder: PathBuf, done: UnboundedSender<Stored>) -> Result<Self, StoreError> {
        let file = folder.display().to_string();
        let store = FileStore::open(folder)?;
        let (jobs, inbox) = mpsc::channel();
        let thread = std::thread::Builder::new().name("selvedge-store".into());
        let thread =
            thread.spawn(move || run(store, &inbox, &done)).map_err(|source| StoreError::Io { file, source })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Stores a record durably.
    pub(crate) fn append(&self, token: Token, record: Append) {
        self.give(Job::Append { token, record });
    }

    /// Reads a document; `fresh` becomes its writer here if it has none.
    pub(crate) fn load(&self, doc: DocName, fresh: ReplicaId) {
        self.give(Job::Load { doc, fresh });
    }

    /// Rewrites a damaged document with these records in the place of the damaged ones; `replica` writes it from then on.
    pub(crate) fn repair(&self, doc: DocName, records: Vec<Record>, replica: ReplicaId) {
        self.give(Job::Repair { doc, records, replica });
    }

    /// Sets the records of a document aside and begins it anew with this one; `replica` writes it from then on.
    pub(crate) fn replace(&self, doc: DocName, bytes: Vec<u8>, replica: ReplicaId) {
        self.give(Job::Replace { doc, bytes, replica });
    }

    fn give(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread lives until `jobs` is dropped; were it gone, the completion would be missing, never wrong.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut store: FileStore, inbox: &mpsc::Receiver<Job>, done: &UnboundedSender<Stored>) {
    let mut next = inbox.recv().ok();
    while let Some(job) = next.take() {
        match job {
            Job::Load { doc, fresh } => {
                let result = load(&mut store, &doc, fresh).map_err(Arc::new);
                let _ = done.send(Stored::Loaded { doc, result });
            }
            Job::Repair { doc, records, replica } => {
                let repaired = store.repair(&doc, &records).and_then(|()| store.lease(&doc, || replica));
                let _ = done.send(Stored::Repaired { doc, result: repaired.map(drop).map_err(Arc::new) });
            }
            Job::Replace { doc, bytes, replica } => {
                let replaced = store.replace(&doc, &bytes).and_then(|()| store.lease(&doc, || replica));
                let _ = done.send(Stored::Replaced { doc, result: replaced.map(drop).map_err(Arc::new) });
            }
            Job::Append { token, record } => {
                let mut bytes = record.bytes.len();
                let (mut tokens, mut records) = (vec![(token, bytes)], vec![record]);
                while bytes < COMMIT_BYTES {
                    match inbox.try_recv() {
                        Ok(Job::Append { token, record }) => {
                            bytes += record.bytes.len();
                            tokens.push((token, record.bytes.len()));
                            records.push(record);
                        }
                        Ok(other) => {
                            next = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                commit(&mut store, &tokens, &records, done);
            }
        }
        next = next.or_else(|| inbox.recv().ok());
    }
}

fn commit(store: &mut FileStore, tokens: &[(Token, usize)], records: &[Append], done: &UnboundedSender<Stored>) {
    let together = store.append(records);
    let apart = together.is_err() && records.len() > 1;
    let together = together.map_err(Arc::new);
    for ((token, bytes), record) in tokens.iter().zip(records) {
        // One document's trouble must not keep the others from being stored.
        let result =
            if apart { store.append(std::slice::from_ref(record)).map_err(Arc::new) } else { together.clone() };
        let _ = done.send(Stored::Appended { token: *token, bytes: *bytes, result });
    }
}

fn load(store: &mut FileStore, doc: &DocName, fresh: ReplicaId) -> Result<Loaded, StoreError> {
    let problem = match store.read(doc, 0) {
        Ok(records) => {
            let found = Salvage { records, ..Salvage::default() };
            return Ok(Loaded { replica: store.lease(doc, || fresh)?, found, problem: None });
        }
        Err(error @ StoreError::Corrupt { .. }) => error,
        Err(other) => return Err(other),
    };
    let found = store.salvage(doc)?;
    if found.damaged.is_empty() {
        // Not a record is damaged, but what lies between them.
        store.repair(doc, &[])?;
        return Ok(Loaded { replica: store.lease(doc, || fresh)?, found, problem: None });
    }
    // The file stays as it is; what is written meanwhile is written as nobody wrote before.
    Ok(Loaded { replica: fresh, found, problem: Some(Arc::new(problem)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_complete_in_order_and_survive_the_end_of_the_thread() {
        let folder = tempfile::tempdir().unwrap();
        let doc = DocName::new("a").unwrap();
        let (done, mut completions) = tokio::sync::mpsc::unbounded_channel();
        let worker = Worker::start(folder.path().into(), done.clone()).unwrap();
        for i in 0..100u8 {
            worker.append(Token(u64::from(i)), Append { doc: doc.clone(), bytes: vec![i], checkpoints: Vec::new() });
        }
        worker.load(doc.clone(), ReplicaId::from(1));
        drop(worker);
        for i in 0..100 {
            let stored = completions.blocking_recv();
            assert!(matches!(stored, Some(Stored::Appended { token: Token(t), result: Ok(()), .. }) if t == i));
        }
        let Some(Stored::Loaded { result: Ok(loaded), .. }) = completions.blocking_recv() else { panic!("not loaded") };
        assert_eq!((loaded.replica, loaded.found.records.len()), (ReplicaId::from(1), 100));
        assert!(Worker::start(folder.path().into(), done).is_ok(), "the lock outlived the worker");
    }

    #[test]
    fn one_unreadable_document_does_not_keep_others_from_being_stored() {
        let folder = tempfile::tempdir().unwrap();
        let (bad, good) = (DocName::new("bad").unwrap(), DocName::new("good").unwrap());
        let hash: String = bad.lineage().0.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(folder.path().join(hash + ".log"), b"nothing of ours").unwrap();
        let mut store = FileStore::open(folder.path()).unwrap();
        let (done, mut completions) = tokio::sync::mpsc::unbounded_channel();
        let records = [bad, good].map(|doc| Append { doc, bytes: vec![1], checkpoints: Vec::new() });
        commit(&mut store, &[(Token(0), 1), (Token(1), 1)], &records, &done);
        let results = [completions.blocking_recv(), completions.blocking_recv()];
        assert!(matches!(&results[0], Some(Stored::Appended { token: Token(0), result: Err(_), .. })));
        assert!(matches!(&results[1], Some(Stored::Appended { token: Token(1), result: Ok(()), .. })));
    }
}

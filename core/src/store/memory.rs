//! `MemoryStore`: the store without a medium, for tests, for the simulator and for documents that need not last.
//!
//! Always holds: it behaves like a store on a disk that loses nothing (until told that it is full); clones share what is stored, so that a
//! clone opened later is "the same disk after a restart". Not here: other faults (the simulator and the tests add them).

use crate::ordered::OrdMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Append, Checkpoint, Damage, Record, Salvage, Store, StoreError, not_damaged, record};
use crate::id::{DocName, ReplicaId};

/// A store in memory. Cheap to clone; clones share their records.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    medium: Arc<Mutex<Medium>>,
}

#[derive(Debug, Default)]
struct Medium {
    documents: Documents,
    checkpoints: OrdMap<(DocName, ReplicaId), Vec<u8>>,
    /// Damaged records, by document and number.
    aside: OrdMap<(DocName, u64), Vec<u8>>,
    full: bool,
}

/// Sealed records by document; the index in the list is the record's number.
type Documents = OrdMap<DocName, Vec<Vec<u8>>>;

const NAME: &str = "the memory store";

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The stored (sealed) records of a document, to be damaged by a test. Creates the document if need be.
    pub fn with_raw_records<T>(&self, doc: &DocName, edit: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        edit(self.lock().documents.entry(doc.clone()).or_default())
    }

    /// Whether the medium is full from now on: every append fails then, as on a full disk.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    fn lock(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn append(&mut self, records: &[Append]) -> Result<(), StoreError> {
        let mut medium = self.lock();
        if medium.full {
            return Err(StoreError::Full { file: NAME.to_owned() });
        }
        for append in records {
            let log = medium.documents.entry(append.doc.clone()).or_default();
            log.push(record::seal(&append.doc, log.len() as u64, &append.bytes));
            for checkpoint in &append.checkpoints {
                medium.checkpoints.insert((append.doc.clone(), checkpoint.replica), checkpoint.seal(&append.doc));
            }
        }
        Ok(())
    }

    fn read(&mut self, doc: &DocName, from: u64) -> Result<Vec<Record>, StoreError> {
        let medium = self.lock();
        let log = medium.documents.get(doc).map_or(&[][..], Vec::as_slice);
        let mut records = Vec::new();
        for (index, stored) in (0..).zip(log).skip_while(|(index, _)| *index < from) {
            let content = record::open(doc, index, stored).map_err(|why| record::corrupt(NAME, doc, index, why))?;
            records.push(Record { index, bytes: content.to_vec() });
        }
        Ok(records)
    }

    fn documents(&mut self) -> Result<Vec<DocName>, StoreError> {
        Ok(self.lock().documents.iter().filter(|(_, log)| !log.is_empty()).map(|(doc, _)| doc.clone()).collect())
    }

    fn salvage(&mut self, doc: &DocName) -> Result<Salvage, StoreError> {
        let mut guard = self.lock();
        let medium = &mut *guard;
        let mut found = Salvage::default();
        for (index, stored) in (0..).zip(medium.documents.get(doc).map_or(&[][..], Vec::as_slice)) {
            match record::open(doc, index, stored) {
                Ok(content) => found.records.push(Record { index, bytes: content.to_vec() }),
                Err(problem) => {
                    medium.aside.insert((doc.clone(), index), stored.clone());
                    found.damaged.push(Damage { index, problem });
                }
            }
        }
        let of_doc = medium.checkpoints.iter().filter(|((other, _), _)| other == doc);
        found.checkpoints = of_doc.filter_map(|(_, stored)| Checkpoint::open(doc, stored).ok()).collect();
        Ok(found)
    }

    fn repair(&mut self, doc: &DocName, records: &[Record]) -> Result<(), StoreError> {
        let mut medium = self.lock();
        if medium.full {
            return Err(StoreError::Full { file: NAME.to_owned() });
        }
        let log = medium.documents.entry(doc.clone()).or_default();
        let is_damaged = |record: &&Record| {
            let stored = log.get(record.index as usize);
            stored.is_some_and(|stored| record::open(doc, record.index, stored).is_err())
        };
        if let Some(whole) = records.iter().find(|record| !is_damaged(record)) {
            return Err(not_damaged(NAME, doc, whole.index));
        }
        for Record { index, bytes } in records {
            log[*index as usize] = record::seal(doc, *index, bytes);
        }
        Ok(())
    }

    fn set_aside(&mut self) -> Result<u64, StoreError> {
        Ok(self.lock().aside.iter().count() as u64)
    }
}

//! `Disk`: a store on a simulated medium: a journal of sealed records, of which what was not synced is lost in a crash.
//!
//! Always holds: `append` returns `Ok` only after a sync; opening cuts off what an append left that never returned, and
//! nothing else. Clones share the medium: tabs of one browser. Not here: when it crashes (`world`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use selvedge::op::Batch;
use selvedge::store::{Append, Record, Salvage, Store, StoreError, not_damaged, record};
use selvedge::{DocName, ReplicaId, VersionVector};

const NAME: &str = "the simulated disk";

/// Bytes in front of a record: its length, and the length of its document's name.
const HEAD: usize = 8;

/// What an append does on this medium now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    /// It works.
    #[default]
    Works,
    /// It fails: no space is left.
    Full,
    /// The next one fails.
    FailsOnce,
}

#[derive(Clone, Debug, Default)]
struct Medium {
    journal: Vec<u8>,
    /// How much of the journal survives a crash.
    synced: usize,
    /// Records by document; `None` until the journal was read after a crash.
    counts: Option<BTreeMap<DocName, u64>>,
    /// What of each document is synced.
    ends: BTreeMap<DocName, VersionVector>,
    /// Who writes here, by document: it survives with the medium.
    leases: BTreeMap<DocName, ReplicaId>,
    health: Health,
    read_fails: bool,
}

/// What the records of a document are, and where they end.
type Found = (BTreeMap<DocName, Vec<Vec<u8>>>, usize);

/// A store on a simulated medium.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    medium: Rc<RefCell<Medium>>,
}

impl Disk {
    /// A disk of its own with the same content.
    pub(super) fn copy(&self) -> Self {
        Self { medium: Rc::new(RefCell::new(self.medium.borrow().clone())) }
    }

    /// Goes back to what another disk holds.
    pub(super) fn restore(&self, backup: &Self) {
        *self.medium.borrow_mut() = backup.medium.borrow().clone();
    }

    /// The id under which this device writes in a document: always the same one.
    pub(super) fn lease(&self, doc: &DocName, fresh: ReplicaId) -> ReplicaId {
        *self.medium.borrow_mut().leases.entry(doc.clone()).or_insert(fresh)
    }

    pub(super) fn set_health(&self, health: Health) {
        self.medium.borrow_mut().health = health;
    }

    pub(super) fn health(&self) -> Health {
        self.medium.borrow().health
    }

    /// Makes the next read fail.
    pub(super) fn fail_read(&self) {
        self.medium.borrow_mut().read_fails = true;
    }

    /// What of a document survives a crash.
    pub(super) fn durable(&self, doc: &DocName) -> VersionVector {
        self.medium.borrow().ends.get(doc).cloned().unwrap_or_default()
    }

    /// A document begins anew with one record, durably, and somebody else writes it.
    pub(super) fn replace(&self, doc: &DocName, batch: &Batch, replica: ReplicaId) {
        let (mut found, _) = self.walk();
        found.insert(doc.clone(), vec![batch.encode()]);
        {
            let mut medium = self.medium.borrow_mut();
            medium.journal.clear();
            medium.counts = Some(BTreeMap::new());
            medium.leases.insert(doc.clone(), replica);
            medium.ends.insert(doc.clone(), batch.ends().unwrap_or_default());
        }
        for (doc, records) in found {
            let append = |bytes| Append { doc: doc.clone(), bytes, checkpoints: Vec::new() };
            self.write(&records.into_iter().map(append).collect::<Vec<_>>());
        }
        let mut medium = self.medium.borrow_mut();
        medium.synced = medium.journal.len();
    }

    /// Writes records without a sync.
    pub(super) fn write(&self, records: &[Append]) {
        let counts = self.medium.borrow_mut().counts.take();
        let mut counts = counts.unwrap_or_else(|| self.recover());
        let mut medium = self.medium.borrow_mut();
        for (number, append) in records.iter().enumerate() {
            let index = counts.entry(append.doc.clone()).or_default();
            let last = u8::from(number + 1 == records.len());
            let sealed = record::seal(&append.doc, *index, &[&[last], &append.bytes[..]].concat());
            *index += 1;
            let name = append.doc.as_str().as_bytes();
            medium.journal.extend_from_slice(&(sealed.len() as u32).to_le_bytes());
            medium.journal.extend_from_slice(&(name.len() as u32).to_le_bytes());
            medium.journal.extend_from_slice(name);
            medium.journal.extend_from_slice(&sealed);
        }
        medium.counts = Some(counts);
    }

    /// Cuts off what no append has finished, and counts the rest.
    fn recover(&self) -> BTreeMap<DocName, u64> {
        let (found, end) = self.walk();
        let mut medium = self.medium.borrow_mut();
        medium.journal.truncate(end);
        medium.synced = end;
        found.into_iter().map(|(doc, records)| (doc, records.len() as u64)).collect()
    }

    /// The power goes: of what was not synced, `kept` bytes are on the medium, the last of them damaged.
    pub(super) fn crash(&self, kept: usize) {
        let mut medium = self.medium.borrow_mut();
        let synced = medium.synced;
        let torn = synced + kept.min(medium.journal.len().saturating_sub(synced));
        medium.journal.truncate(torn);
        if torn > synced {
            medium.journal[torn - 1] ^= 0x40;
        }
        (medium.synced, medium.counts) = (torn, None);
    }

    /// Bytes that a crash would lose.
    pub(super) fn unsynced(&self) -> usize {
        let medium = self.medium.borrow();
        medium.journal.len().saturating_sub(medium.synced)
    }

    /// Reads the journal up to the end of its last whole commit.
    fn walk(&self) -> Found {
        let medium = self.medium.borrow();
        let (mut found, mut at, mut end): (BTreeMap<DocName, Vec<Vec<u8>>>, usize, usize) = Default::default();
        let mut commit = Vec::new();
        while let Some((doc, sealed, after)) = frame(&medium.journal, at) {
            let before = commit.iter().filter(|(other, _)| *other == doc).count();
            let index = found.get(&doc).map_or(0, Vec::len) + before;
            let Ok(content) = record::open(&doc, index as u64, sealed) else { break };
            let Some((last, bytes)) = content.split_first() else { break };
            commit.push((doc, bytes.to_vec()));
            at = after;
            if *last == 1 {
                end = at;
                commit.drain(..).for_each(|(doc, bytes)| found.entry(doc).or_default().push(bytes));
            }
        }
        (found, end)
    }
}

/// The document and the sealed record at an offset, and where they end.
fn frame(journal: &[u8], at: usize) -> Option<(DocName, &[u8], usize)> {
    let number = |at: usize| Some(u32::from_le_bytes(journal.get(at..at + 4)?.try_into().ok()?) as usize);
    let (sealed, name) = (number(at)?, number(at + 4)?);
    let name_end = (at + HEAD).checked_add(name)?;
    let end = name_end.checked_add(sealed)?;
    let doc = DocName::new(std::str::from_utf8(journal.get(at + HEAD..name_end)?).ok()?).ok()?;
    Some((doc, journal.get(name_end..end)?, end))
}

impl Store for Disk {
    fn append(&mut self, records: &[Append]) -> Result<(), StoreError> {
        match self.health() {
            Health::Works => {}
            Health::Full => return Err(StoreError::Full { file: NAME.to_owned() }),
            Health::FailsOnce => {
                self.set_health(Health::Works);
                let source = std::io::Error::other("the write was not taken");
                return Err(StoreError::Io { file: NAME.to_owned(), source });
            }
        }
        self.write(records);
        let mut medium = self.medium.borrow_mut();
        medium.synced = medium.journal.len();
        for append in records {
            let ends = Batch::decode(&append.bytes).ok().and_then(|batch| batch.ends().ok());
            medium.ends.entry(append.doc.clone()).or_default().merge(&ends.unwrap_or_default());
        }
        Ok(())
    }

    fn read(&mut self, doc: &DocName, from: u64) -> Result<Vec<Record>, StoreError> {
        if std::mem::take(&mut self.medium.borrow_mut().read_fails) {
            let source = std::io::Error::other("the sector cannot be read");
            return Err(StoreError::Io { file: NAME.to_owned(), source });
        }
        let records = self.walk().0.remove(doc).unwrap_or_default();
        let records = (0..).zip(records).map(|(index, bytes)| Record { index, bytes });
        Ok(records.skip_while(|record| record.index < from).collect())
    }

    fn documents(&mut self) -> Result<Vec<DocName>, StoreError> {
        Ok(self.walk().0.into_keys().collect())
    }

    // What was synced stays whole on this medium: nothing is ever damaged, set aside or repaired.

    fn salvage(&mut self, doc: &DocName) -> Result<Salvage, StoreError> {
        Ok(Salvage { records: self.read(doc, 0)?, ..Salvage::default() })
    }

    fn repair(&mut self, doc: &DocName, records: &[Record]) -> Result<(), StoreError> {
        records.first().map_or(Ok(()), |record| Err(not_damaged(NAME, doc, record.index)))
    }

    fn set_aside(&mut self) -> Result<u64, StoreError> {
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Append {
        Append { doc: DocName::new("d").expect("a name"), bytes: text.as_bytes().to_vec(), checkpoints: Vec::new() }
    }

    /// Bug class D: what was synced survives, of what was not nothing is read back, wherever it was torn.
    #[test]
    fn a_crash_takes_what_was_not_synced_and_nothing_else() {
        for kept in 0..60 {
            let mut disk = Disk::default();
            disk.append(&[record("one"), record("two")]).expect("it works");
            disk.write(&[record("three"), record("four")]);
            disk.crash(kept);
            assert_eq!(disk.read(&record("").doc, 0).expect("readable").len(), 2, "{kept} bytes kept");
            disk.append(&[record("five")]).expect("it works");
            let read = disk.read(&record("").doc, 1).expect("readable");
            assert_eq!(read.iter().map(|record| &record.bytes[..]).collect::<Vec<_>>(), [&b"two"[..], b"five"]);
        }
    }
}

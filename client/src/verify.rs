//! Verifies the documents in a folder: every record against its checksum, every change by replaying it, and on demand
//! every log against that of another copy.
//!
//! Always holds: nothing is changed but that damaged files are copied aside; a document that cannot be read is a problem
//! of its own and does not keep the others from being read. Not here: how the report is shown.

use std::path::Path;

use selvedge::doc::Doc;
use selvedge::graph::Logs;
use selvedge::op::Batch;
use selvedge::store::{Checkpoint, Store, StoreError};
use selvedge::{DocName, ReplicaId};

use crate::store::FileStore;

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Documents read.
    pub documents: u64,
    /// Records read that are as they were written.
    pub records: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Records that are not; their files were copied aside.
    pub quarantined: u64,
    /// Copies of damaged files that are kept, of this time and of earlier ones.
    pub set_aside: u64,
    /// Each problem.
    pub problems: Vec<Problem>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The folder or file.
    pub file: String,
    /// The document, as far as it is known.
    pub document: Option<String>,
    /// The record, where the problem is that of one.
    pub record: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

/// Verifies all documents in a folder, and compares them with those of the same name in another one.
///
/// # Errors
/// If a folder cannot be opened: another process uses it, or it is none.
pub fn verify(folder: &Path, against: Option<&Path>) -> Result<Verified, StoreError> {
    let mut found = Verified::default();
    let (mut store, mut other) = (open(folder)?, against.map(open).transpose()?);
    for file in store.logs()? {
        let document = match store.document_of(&file) {
            Ok(document) => document,
            Err(error) => {
                found.note(&file, None, None, error.to_string());
                continue;
            }
        };
        let Some(doc) = document else { continue };
        let Some((batch, points)) = found.read(&mut store, &file, &doc) else { continue };
        found.replay(&file, &doc, &batch, &points);
        if let (Some(other), Some(against)) = (&mut other, against) {
            found.compare(&file, &doc, &batch, other, against);
        }
    }
    found.set_aside = store.set_aside()?;
    Ok(found)
}

fn open(folder: &Path) -> Result<FileStore, StoreError> {
    if !folder.is_dir() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such folder");
        return Err(StoreError::Io { file: folder.display().to_string(), source });
    }
    FileStore::open(folder)
}

impl Verified {
    fn note(&mut self, file: &Path, doc: Option<&DocName>, record: Option<u64>, problem: String) {
        let (file, document) = (file.display().to_string(), doc.map(|doc| doc.as_str().to_owned()));
        self.problems.push(Problem { file, document, record, problem });
    }

    /// Everything of a document that can be read.
    fn read(&mut self, store: &mut FileStore, file: &Path, doc: &DocName) -> Option<(Batch, Vec<Checkpoint>)> {
        self.documents += 1;
        let salvage = match store.salvage(doc) {
            Ok(salvage) => salvage,
            Err(error) => {
                self.note(file, Some(doc), None, error.to_string());
                return None;
            }
        };
        for damage in &salvage.damaged {
            self.quarantined += 1;
            self.note(file, Some(doc), Some(damage.index), damage.problem.clone());
        }
        let mut all = Batch::default();
        for record in salvage.records {
            (self.records, self.bytes) = (self.records + 1, self.bytes + record.bytes.len() as u64);
            match Batch::decode(&record.bytes) {
                Ok(batch) => all.segments.extend(batch.segments),
                Err(error) => self.note(file, Some(doc), Some(record.index), error.to_string()),
            }
        }
        Some((all, salvage.checkpoints))
    }

    /// Reads every change anew, and the finished state that is saved against the history that leads to it.
    fn replay(&mut self, file: &Path, doc: &DocName, batch: &Batch, points: &[Checkpoint]) {
        let mut replayed = Doc::new(ReplicaId::from(0));
        let imported = match replayed.import_batch(batch) {
            Ok(imported) => imported,
            Err(error) => return self.note(file, Some(doc), None, format!("a change cannot be read: {error}")),
        };
        if imported.pending_bytes > 0 {
            let problem = format!("{} bytes of changes lack what they depend on", imported.pending_bytes);
            self.note(file, Some(doc), None, problem);
        }
        for fork in imported.forks {
            let problem = format!("two contents for operation {} of replica {}", fork.at.seq, fork.at.replica);
            self.note(file, Some(doc), None, problem);
        }
        for Checkpoint { replica, end, digest } in points {
            if replayed.log_digest(*replica, *end) != Some(*digest) {
                let problem =
                    format!("the log of replica {replica} does not lead to what was stored at operation {end}");
                self.note(file, Some(doc), None, problem);
            }
        }
        let saved = replayed.save();
        match Doc::load(ReplicaId::from(0), &saved).and_then(|mut loaded| loaded.verify()) {
            Ok(true) => {}
            Ok(false) => self.note(file, Some(doc), None, "a replay leads to another state".to_owned()),
            Err(error) => self.note(file, Some(doc), None, format!("what is saved cannot be read back: {error}")),
        }
    }

    /// Finds the first operation of each log that another copy has otherwise.
    fn compare(&mut self, file: &Path, doc: &DocName, batch: &Batch, other: &mut FileStore, against: &Path) {
        let theirs = match other.read(doc, 0) {
            Ok(records) => records,
            Err(error) => return self.note(against, Some(doc), None, error.to_string()),
        };
        let segments = theirs.iter().filter_map(|record| Batch::decode(&record.bytes).ok());
        let theirs = Batch { segments: segments.flat_map(|batch| batch.segments).collect() };
        let (mut logs, mut other) = (Logs::new(), Logs::new());
        // What does not parse was noted when it was replayed.
        if logs.append(batch).is_err() || other.append(&theirs).is_err() {
            return;
        }
        for at in logs.first_differences(&mut other) {
            let problem = format!(
                "differs from the copy in {} from operation {} of replica {} on",
                against.display(),
                at.seq,
                at.replica
            );
            self.note(file, Some(doc), None, problem);
        }
    }
}

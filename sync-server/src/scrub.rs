//! Scrubs: every stored document is read as the medium has it, and held against its checksums and digests.
//!
//! Always holds: what is damaged is set aside, named by file and record, and mended from what the relay has itself, if
//! that is possible; a scrub that runs beside the relay keeps to its rate. Not here: fetching from peers (`repair`).

use std::path::Path;
use std::time::Duration;

use selvedge::DocName;
use selvedge::store::{Salvage, Store, StoreError};
use serde::Serialize;
use tokio::sync::{mpsc, watch};

use crate::redb_store::{FILE_NAME, RedbStore};
use crate::repair::Progress;
use crate::room::Room;
use crate::storage::{Answer, Checked, Storage};

/// How long a relay waits after one scrub before the next.
const PAUSE: Duration = Duration::from_secs(3600);

/// What a scrub found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Documents read.
    pub documents: u64,
    /// Records read that are as they were written.
    pub records: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// Damaged records found, all of them set aside.
    pub quarantined: u64,
    /// Of those, how many were mended at once, because others have what they had.
    pub repaired: u64,
    /// Copies of damaged records that are kept, of this scrub and of earlier ones.
    pub set_aside: u64,
    /// Each problem.
    pub problems: Vec<Problem>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// The document.
    pub document: String,
    /// The record, where the problem is that of one.
    pub record: Option<u64>,
    /// What is wrong.
    pub problem: String,
}

impl Report {
    /// Reads the whole store in a folder. No relay may use it meanwhile.
    ///
    /// # Errors
    /// If the store cannot be opened, or fails.
    pub fn of_folder(folder: &Path) -> Result<Self, StoreError> {
        let file = folder.join(FILE_NAME).display().to_string();
        if !folder.join(FILE_NAME).exists() {
            return Err(StoreError::Io { file, source: std::io::ErrorKind::NotFound.into() });
        }
        let mut store = RedbStore::open(folder)?;
        let mut report = Self::default();
        for doc in store.documents()? {
            let found = store.salvage(&doc);
            if let Some(room) = report.document(&file, &doc, found)
                && let Some(Progress::Whole(records)) = room.repair.map(|repair| repair.whole())
            {
                store.repair(&doc, &records)?;
                report.repaired += records.len() as u64;
            }
        }
        report.set_aside = store.set_aside()?;
        Ok(report)
    }

    /// Counts a document; what there is of it, if it is of use.
    fn document(&mut self, file: &str, doc: &DocName, found: Result<Salvage, StoreError>) -> Option<Room> {
        self.documents += 1;
        let problem =
            |record, problem| Problem { file: file.to_owned(), document: doc.as_str().to_owned(), record, problem };
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                self.problems.push(problem(None, error.to_string()));
                return None;
            }
        };
        self.records += found.records.len() as u64;
        self.bytes += bytes(&found);
        self.quarantined += found.damaged.len() as u64;
        let damaged = found.damaged.clone();
        self.problems.extend(damaged.iter().map(|damage| problem(Some(damage.index), damage.problem.clone())));
        match Room::from_salvage(file, doc, found) {
            Ok(room) => {
                if room.repair.is_some() && damaged.is_empty() {
                    self.problems.push(problem(None, "changes that were stored are not there".to_owned()));
                }
                Some(room)
            }
            Err(error) => {
                self.problems.push(problem(None, error.to_string()));
                None
            }
        }
    }

    /// The report for people: a line per problem, and one that counts.
    pub fn lines(&self) -> Vec<String> {
        let line = |problem: &Problem| {
            let record = problem.record.map(|record| format!(", record {record}")).unwrap_or_default();
            format!("{}, document {:?}{record}: {}", problem.file, problem.document, problem.problem)
        };
        let mut lines: Vec<String> = self.problems.iter().map(line).collect();
        lines.push(format!(
            "{} documents, {} records, {} bytes read; {} quarantined, {} repaired; {} set aside in all; {} problems",
            self.documents,
            self.records,
            self.bytes,
            self.quarantined,
            self.repaired,
            self.set_aside,
            self.problems.len()
        ));
        lines
    }
}

fn bytes(found: &Salvage) -> u64 {
    found.records.iter().map(|record| record.bytes.len() as u64).sum()
}

/// Scrubs beside a running relay, again and again, at most `rate` bytes per second, until it is told to stop.
pub(crate) async fn run(
    storage: Storage,
    found: mpsc::UnboundedSender<Answer>,
    file: String,
    rate: u64,
    mut stop: watch::Receiver<bool>,
) {
    tokio::select! {
        () = scrub_for_ever(&storage, &found, &file, rate) => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

async fn scrub_for_ever(storage: &Storage, found: &mpsc::UnboundedSender<Answer>, file: &str, rate: u64) {
    loop {
        let mut report = Report::default();
        let documents = match storage.check(None).await {
            None => return,
            Some(Ok(Checked::Documents(documents))) => documents,
            Some(Ok(Checked::Document(_))) => Vec::new(),
            Some(Err(error)) => {
                tracing::error!("scrub: {error}");
                Vec::new()
            }
        };
        for doc in documents {
            let salvage = match storage.check(Some(doc.clone())).await {
                None => return,
                Some(Ok(Checked::Document(salvage))) => Ok(salvage),
                Some(Ok(Checked::Documents(_))) => continue,
                Some(Err(error)) => Err(error),
            };
            let (bytes, problems) = (salvage.as_ref().map_or(0, bytes), report.problems.len());
            let (name, of) = (file.to_owned(), doc.clone());
            let looked = tokio::task::spawn_blocking(move || {
                let room = report.document(&name, &of, salvage);
                (report, room)
            });
            let Ok((looked, room)) = looked.await else { return };
            report = looked;
            for Problem { file, document, record, problem } in &report.problems[problems..] {
                tracing::error!(file, document, record, "scrub: {problem}");
            }
            if let Some(room) = room.filter(|room| room.repair.is_some()) {
                // The hub is gone only when the relay ends.
                let _ = found.send(Answer::Damaged { doc, room: Box::new(room) });
            }
            // Documents count at least a page each, so that many small ones keep to the rate as well.
            tokio::time::sleep(Duration::from_secs_f64((bytes + 4096) as f64 / rate as f64)).await;
        }
        tracing::info!(
            documents = report.documents,
            records = report.records,
            bytes = report.bytes,
            problems = report.problems.len(),
            "scrubbed"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

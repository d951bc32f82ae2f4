//! `Room`: the logs of one document in memory, made from the records of the store.
//!
//! Always holds: a room holds everything that is passed on or handed to the store, and all of it fits together; records that do not fit
//! together are an error that names one, never a shorter document. Bodies are never decoded.
//! Not here: who is in the room (the engine).

use selvedge::DocName;
use selvedge::VersionVector;
use selvedge::codec::DecodeError;
use selvedge::graph::Logs;
use selvedge::op::Batch;
use selvedge::store::{Record, StoreError, record};
use selvedge::sync::DocState;

/// A document in memory.
#[derive(Debug, Default)]
pub(crate) struct Room {
    logs: Logs,
}

impl Room {
    /// Reads the records of a document, in order. `file` is the store's name in errors.
    ///
    /// # Errors
    /// If a record is no batch, or does not fit those before it.
    pub(crate) fn from_records(file: &str, doc: &DocName, records: Vec<Record>) -> Result<Self, StoreError> {
        let mut all = Batch::default();
        for stored in &records {
            let batch = Batch::decode(&stored.bytes);
            let batch = batch.map_err(|error| record::corrupt(file, doc, stored.index, error.to_string()))?;
            all.segments.extend(batch.segments);
        }
        let mut room = Self::default();
        match room.append(&all) {
            Ok(()) => Ok(room),
            Err(problem) => Err(Self::find_culprit(file, doc, &records, problem)),
        }
    }

    /// One append of everything is fast; only if it fails, the records are tried one by one to name the wrong one.
    fn find_culprit(file: &str, doc: &DocName, records: &[Record], problem: String) -> StoreError {
        let mut room = Self::default();
        for stored in records {
            let Ok(batch) = Batch::decode(&stored.bytes) else { continue };
            if let Err(problem) = room.append(&batch) {
                return record::corrupt(file, doc, stored.index, problem);
            }
        }
        record::corrupt(file, doc, 0, problem)
    }

    /// Adds changes that are complete. Those that are known cost a look at their length.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<(), String> {
        let knows = |(replica, end)| self.logs.find(replica).is_some_and(|log| self.logs.end(log) >= end);
        if batch.ends().is_ok_and(|ends| ends.iter().all(knows)) {
            return Ok(());
        }
        let appended = self.logs.append(batch).map_err(|error: DecodeError| error.to_string())?.unwrap_or_default();
        if let Some(fork) = appended.forks.first() {
            return Err(format!("there are two contents for operation {:?}", fork.at));
        }
        if appended.pending_bytes > 0 {
            return Err("changes are missing that it depends on".to_owned());
        }
        Ok(())
    }

    /// Every change behind `since`.
    pub(crate) fn since(&self, since: &VersionVector) -> Batch {
        self.logs.since(since)
    }

    /// The ends of the logs, for the engine.
    pub(crate) fn state(&mut self) -> DocState {
        DocState { logs: self.logs.state() }
    }
}

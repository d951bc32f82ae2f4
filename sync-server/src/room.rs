//! `Room`: the logs of one document in memory, made from the records of the store.
//!
//! Always holds: a room holds everything that is passed on or handed to the store, and all of it fits together, up to
//! the digests that were stored apart from it; records that do not fit together are an error that names one, never a
//! shorter document. A room of which records are damaged knows what it lacks. Bodies are never decoded.
//! Not here: who is in the room (the engine), and how it becomes whole (`repair`).

use std::collections::BTreeMap;
use std::fmt;

use selvedge::codec::DecodeError;
use selvedge::graph::{Fork, Logs};
use selvedge::op::{Batch, Dep, LogHead};
use selvedge::store::{Checkpoint, Record, Salvage, StoreError, record};
use selvedge::sync::DocState;
use selvedge::{DocName, VersionVector};

use crate::repair::Repair;

/// Why changes are not taken into a room.
#[derive(Clone, Debug)]
pub(crate) enum Misfit {
    /// They do not parse, or do not fit the log that they continue.
    Malformed(DecodeError),
    /// They are, or depend on, another content than what is here.
    Fork(Fork),
    /// Changes that they depend on are not here.
    Incomplete,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Fork(fork) => write!(f, "there are two contents for operation {:?}", fork.at),
            Self::Incomplete => f.write_str("changes are missing that it depends on"),
        }
    }
}

/// A document in memory.
#[derive(Debug, Default)]
pub(crate) struct Room {
    logs: Logs,
    /// What it lacks, if records of it are damaged.
    pub(crate) repair: Option<Repair>,
    /// Where some log has got to was not stored apart from it; the next record tells.
    uncovered: bool,
}

impl Room {
    /// Puts together what there is of a document. `file` is the store's name in errors.
    ///
    /// # Errors
    /// If a record is no batch, does not fit the others, or if what is damaged cannot be verified when it comes back.
    pub(crate) fn from_salvage(file: &str, doc: &DocName, found: Salvage) -> Result<Self, StoreError> {
        let mut all = Batch::default();
        for stored in &found.records {
            let batch = Batch::decode(&stored.bytes);
            let batch = batch.map_err(|error| record::corrupt(file, doc, stored.index, error.to_string()))?;
            all.segments.extend(batch.segments);
        }
        let mut room = Self::default();
        let appended = room.logs.append(&all).map_err(|error| error.to_string()).map(Option::unwrap_or_default);
        let problem = match &appended {
            Err(problem) => Some(problem.clone()),
            Ok(appended) => {
                appended.forks.first().map(|fork| format!("there are two contents for operation {:?}", fork.at))
            }
        };
        if let Some(problem) = problem {
            return Err(Self::find_culprit(file, doc, &found.records, problem));
        }
        let lacks = room.check(file, doc, &found)?;
        if !lacks && found.damaged.is_empty() {
            return match room.append(&all) {
                Ok(()) => Ok(room),
                Err(misfit) => Err(Self::find_culprit(file, doc, &found.records, misfit.to_string())),
            };
        }
        let held = room.held(&all);
        room.refuse_unverifiable(file, doc, &found, &held)?;
        let states = room.logs.state();
        room.repair = Some(Repair::new(found.damaged, &states, &found.checkpoints, held));
        Ok(room)
    }

    /// Holds the logs against what was stored apart from them. Returns whether some of them ended later.
    fn check(&mut self, file: &str, doc: &DocName, found: &Salvage) -> Result<bool, StoreError> {
        let (mut lacks, mut covered) = (false, 0);
        for Checkpoint { replica, end, digest } in &found.checkpoints {
            let log = self.logs.find(*replica).filter(|log| self.logs.end(*log) >= *end);
            let Some(log) = log else {
                lacks = true;
                continue;
            };
            if self.logs.digest_at(log, *end) != Some(*digest) {
                let problem = format!("the changes of replica {replica} up to operation {end} are not those stored");
                return Err(record::corrupt(file, doc, 0, problem));
            }
            covered += usize::from(self.logs.end(log) == *end);
        }
        self.uncovered = covered < self.logs.len();
        Ok(lacks)
    }

    /// Changes of records that stand, which lack what they follow or depend on: by author and first operation.
    fn held(&self, all: &Batch) -> BTreeMap<(selvedge::ReplicaId, u64), Vec<u8>> {
        let mut held = BTreeMap::new();
        for segment in &all.segments {
            let end = self.logs.find(segment.replica).map_or(0, |log| self.logs.end(log));
            let mut seq = segment.first_seq;
            for change in segment.changes().flatten() {
                if seq >= end {
                    held.insert((segment.replica, seq), change.to_vec());
                }
                seq = seq.saturating_add(LogHead::peek_ops(change).unwrap_or(1));
            }
        }
        held
    }

    /// A log of which it is not known where it ended may lack anything.
    fn refuse_unverifiable(
        &self,
        file: &str,
        doc: &DocName,
        found: &Salvage,
        held: &BTreeMap<(selvedge::ReplicaId, u64), Vec<u8>>,
    ) -> Result<(), StoreError> {
        let logs = (0..self.logs.len() as u32).map(|log| (self.logs.replica(log), self.logs.end(log)));
        let logs = logs.chain(held.keys().map(|(replica, seq)| (*replica, seq + 1)));
        let known = |replica, end| found.checkpoints.iter().any(|point| point.replica == replica && point.end >= end);
        for (replica, end) in logs {
            if !known(replica, end) {
                let (index, problem) =
                    found.damaged.first().map_or((0, "it is not whole"), |damage| (damage.index, &damage.problem));
                let problem = format!("{problem}; where the log of replica {replica} ended is not known either");
                return Err(record::corrupt(file, doc, index, problem));
            }
        }
        Ok(())
    }

    /// Where the logs have got to that a batch has grown, or all of them if that was not stored yet.
    pub(crate) fn checkpoints(&mut self, batch: &Batch) -> Vec<Checkpoint> {
        let ends = if std::mem::take(&mut self.uncovered) { Ok(self.logs.version()) } else { batch.ends() };
        let mut checkpoints = Vec::new();
        // A batch that is in the room has ends.
        for (replica, end) in ends.unwrap_or_default().iter() {
            let Some(log) = self.logs.find(replica) else { continue };
            let digest = self.logs.digest_at(log, end);
            checkpoints.extend(digest.map(|digest| Checkpoint { replica, end, digest }));
        }
        checkpoints
    }

    /// One append of everything is fast; only if it fails, the records are tried one by one to name the wrong one.
    fn find_culprit(file: &str, doc: &DocName, records: &[Record], problem: String) -> StoreError {
        let mut room = Self::default();
        for stored in records {
            let Ok(batch) = Batch::decode(&stored.bytes) else { continue };
            if let Err(misfit) = room.append(&batch) {
                return record::corrupt(file, doc, stored.index, misfit.to_string());
            }
        }
        record::corrupt(file, doc, 0, problem)
    }

    /// Adds changes that are complete. Those that are known cost a look at their length.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub(crate) fn append(&mut self, batch: &Batch) -> Result<(), Misfit> {
        let knows = |(replica, end)| self.logs.find(replica).is_some_and(|log| self.logs.end(log) >= end);
        if batch.ends().is_ok_and(|ends| ends.iter().all(knows)) {
            return Ok(());
        }
        let appended = self.logs.append(batch).map_err(Misfit::Malformed)?.unwrap_or_default();
        if let Some(fork) = appended.forks.first() {
            return Err(Misfit::Fork(*fork));
        }
        if appended.pending_bytes > 0 {
            return Err(Misfit::Incomplete);
        }
        Ok(())
    }

    /// A part of the changes behind `since`, of about `max_bytes`.
    pub(crate) fn part_since(&self, since: &VersionVector, max_bytes: usize) -> Batch {
        self.logs.part_since(since, max_bytes)
    }

    /// Every change behind `since`.
    pub(crate) fn since(&self, since: &VersionVector) -> Batch {
        self.logs.since(since)
    }

    /// The digests of the logs where `since` ends.
    pub(crate) fn digests_at(&mut self, since: &VersionVector) -> Vec<Dep> {
        self.logs.digests_at(since)
    }

    /// Answers a peer that searches for where its copy differs; `None` if the question is malformed.
    pub(crate) fn answer_search(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        self.logs.answer_search(question).ok()
    }

    /// How far the logs go.
    pub(crate) fn version(&self) -> VersionVector {
        self.logs.version()
    }

    /// The ends of the logs, for the engine.
    pub(crate) fn state(&mut self) -> DocState {
        DocState { logs: self.logs.state() }
    }
}

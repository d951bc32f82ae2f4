//! `Copy`: what a process has of a document: the document itself, or its logs alone (a relay, and peers that write what
//! no document of ours would).
//!
//! Always holds: what is taken in came with everything that it depends on.

use selvedge::clock::Hlc;
use selvedge::graph::{Fork, Logs};
use selvedge::op::{Batch, Change, Dep, LogState};
use selvedge::store::Record;
use selvedge::sync::DocState;
use selvedge::{Doc, ReplicaId, VersionVector};

use crate::random::Random;
use crate::script::Replica;

/// What a process has of a document.
#[derive(Debug)]
pub(super) enum Copy {
    /// All of it, with a view that follows it and what undoes its edits.
    Open(Box<Replica>),
    /// Its logs; the writer, if it writes.
    Logs(Logs, ReplicaId),
}

/// What became of changes that were taken in.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// Some lie too far ahead of our clock.
    pub(super) from_the_future: bool,
    /// What is wrong, in words.
    pub(super) problem: Option<String>,
    /// The first fork that was found.
    pub(super) fork: Option<Fork>,
}

/// What was written newer than this version: docs/format.md has the numbers. A container of kind 100, an operation on
/// it, a text with one letter and an unknown operation, and a key.
const NEWER_FIRST: &[u8] = &[
    0, 1, 0, 200, 1, b'n', 15, 0xa0, 0x1f, 3, 2, 9, 9, 0, 2, 0, 4, 1, b't', 0x31, 0x1f, 0xa0, 0x1f, 1, 7, 0, 0, 7, 1,
    b'k', 7, 100, 0, 3, 1, 0, 1, b'm', 7, 1, b'a', 0, b'x',
];
const NEWER_FIRST_OPS: u64 = 7;

/// One letter more.
const NEWER_NEXT: &[u8] = &[0, 2, 0x11, 2, b'y'];

impl Copy {
    /// The copy that a disk holds.
    ///
    /// # Errors
    /// What the disk has lost, in words.
    pub(super) fn from_disk(
        records: &[Record],
        replica: ReplicaId,
        wall_ms: Option<u64>,
    ) -> Result<(Self, Taken), String> {
        let mut all = Batch::default();
        for record in records {
            let batch = Batch::decode(&record.bytes);
            all.segments.extend(batch.map_err(|error| format!("record {}: {error}", record.index))?.segments);
        }
        let mut copy = match wall_ms {
            None => Self::Logs(Logs::new(), replica),
            Some(wall_ms) => {
                let mut doc = Doc::new(replica);
                doc.set_now(wall_ms);
                Self::Open(Box::new(Replica::new(doc)))
            }
        };
        let taken = copy.take(&all);
        match taken.problem {
            Some(problem) => Err(problem),
            None => Ok((copy, taken)),
        }
    }

    /// Takes in changes.
    pub(super) fn take(&mut self, batch: &Batch) -> Taken {
        let (pending, forks, from_the_future) = match self {
            Self::Open(open) => match open.doc.import_batch(batch) {
                Ok(imported) => (imported.pending_bytes, imported.forks, imported.from_the_future > 0),
                Err(error) => return Taken { problem: Some(error.to_string()), ..Taken::default() },
            },
            Self::Logs(logs, _) => match logs.append(batch) {
                Ok(appended) => appended.map(|done| (done.pending_bytes, done.forks, false)).unwrap_or_default(),
                Err(error) => return Taken { problem: Some(error.to_string()), ..Taken::default() },
            },
        };
        let fork = forks.first().copied();
        let problem = match fork {
            Some(fork) => Some(format!("there are two contents for operation {:?}", fork.at)),
            None => (pending > 0).then(|| format!("{pending} bytes wait for what they depend on")),
        };
        Taken { from_the_future, problem, fork }
    }

    pub(super) fn state(&mut self) -> DocState {
        let logs: Vec<LogState> = match self {
            Self::Open(open) => open.doc.log_states(),
            Self::Logs(logs, _) => logs.state(),
        };
        DocState { logs }
    }

    pub(super) fn since(&mut self, version: &VersionVector) -> Batch {
        self.part_since(version, usize::MAX)
    }

    pub(super) fn part_since(&mut self, version: &VersionVector, max_bytes: usize) -> Batch {
        match self {
            Self::Open(open) => open.doc.part_since(version, max_bytes),
            Self::Logs(logs, _) => logs.part_since(version, max_bytes),
        }
    }

    /// The digests of the logs where `version` ends.
    pub(super) fn digests_at(&mut self, version: &VersionVector) -> Vec<Dep> {
        match self {
            Self::Open(open) => open.doc.digests_at(version),
            Self::Logs(logs, _) => logs.digests_at(version),
        }
    }

    /// Answers a peer that searches for where its copy differs; `None` if the question is malformed.
    pub(super) fn answer_search(&mut self, question: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Open(open) => open.doc.answer_search(question).ok(),
            Self::Logs(logs, _) => logs.answer_search(question).ok(),
        }
    }

    pub(super) fn version(&self) -> VersionVector {
        match self {
            Self::Open(open) => open.doc.version(),
            Self::Logs(logs, _) => logs.version(),
        }
    }

    /// Who writes here.
    pub(super) fn replica(&self) -> ReplicaId {
        match self {
            Self::Open(open) => open.doc.replica(),
            Self::Logs(_, replica) => *replica,
        }
    }

    /// A change of a peer that speaks a later version: what this one does not know, and what it does.
    pub(super) fn write_newer(&mut self, wall_ms: u64) -> Batch {
        let Self::Logs(logs, replica) = self else { return Batch::default() };
        let first = logs.find(*replica).is_none_or(|log| logs.end(log) == 0);
        let (ops, body) = if first { (NEWER_FIRST_OPS, NEWER_FIRST) } else { (1, NEWER_NEXT) };
        seal(logs, *replica, wall_ms, ops, body)
    }

    /// A change that no document would write: bytes from nowhere in place of operations, at any time.
    pub(super) fn write_nonsense(&mut self, wall_ms: u64, random: &mut Random) -> Batch {
        let Self::Logs(logs, replica) = self else { return Batch::default() };
        let (len, ops) = (random.between(1, 40) as usize, random.between(1, 9));
        let ahead = [0, 0, 30_000, 86_400_000 * 365][random.between(0, 4) as usize];
        let body: Vec<u8> = random.bytes(len).into_iter().map(|byte| byte % 64).collect();
        seal(logs, *replica, wall_ms + ahead, ops, &body)
    }
}

/// Seals a change that has seen everything that is here.
fn seal(logs: &mut Logs, replica: ReplicaId, wall_ms: u64, ops: u64, body: &[u8]) -> Batch {
    let mine = logs.intern(replica);
    let (head, before) = (logs.head(mine).clone(), logs.end(mine));
    let mut deps = Vec::new();
    let mut latest = Hlc::new(wall_ms, 0).max(head.hlc.next().unwrap_or(head.hlc));
    for log in (0..logs.len() as u32).filter(|log| *log != mine) {
        let (other, end, hlc) = (logs.replica(log), logs.end(log), logs.head(log).hlc);
        if let Some(digest) = logs.digest_at(log, end).filter(|_| end > 0) {
            deps.push(Dep { replica: other, end, digest });
            latest = latest.max(hlc.next().unwrap_or(hlc));
        }
    }
    deps.sort_by_key(|dep| dep.replica);
    logs.seal(mine, &Change { hlc: latest, deps: &deps, message: None, ops, body });
    let mut batch = Batch::default();
    logs.log_since(mine, before, &mut batch);
    batch
}

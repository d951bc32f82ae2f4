//! `Repair`: what a damaged document lacks, and what peers send in its place, until all of it is verified.
//!
//! Always holds: changes count only when the log that they continue reaches, with the records that stand, the digest that
//! was stored apart from it: a repaired document is the one that was stored, byte for byte, and never a fork of it.
//! Not here: what stands without them (`room`), and who sends them (the engine).

use std::collections::BTreeMap;

use selvedge::op::{Batch, Digest, Frames, LogHead, LogState, Segment, chain};
use selvedge::store::{Checkpoint, Damage, Record};
use selvedge::sync::ConnId;
use selvedge::{ReplicaId, VersionVector};

/// Bytes of changes that one peer may have us keep unverified; damage that takes more is mended from a back-up.
const MAX_STAGED_BYTES: usize = 64 << 20;

/// What one damaged document lacks.
#[derive(Debug)]
pub(crate) struct Repair {
    damaged: Vec<Damage>,
    goals: BTreeMap<ReplicaId, Goal>,
    /// Changes in records that stand, by author and first operation; what comes before them is missing.
    held: BTreeMap<(ReplicaId, u64), Vec<u8>>,
    staged: BTreeMap<(ConnId, ReplicaId), Stage>,
    verified: BTreeMap<ReplicaId, Vec<Segment>>,
}

/// How far a log stands, and where it must lead.
#[derive(Clone, Debug)]
struct Goal {
    start: u64,
    start_digest: Digest,
    end: u64,
    digest: [u8; 16],
}

/// What a peer sent of one log.
#[derive(Debug)]
struct Stage {
    end: u64,
    digest: Digest,
    /// The changes that no record that stands has.
    missing: Vec<Segment>,
    kept_end: Option<u64>,
    bytes: usize,
}

/// What became of changes from a peer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// More are missing.
    Waits,
    /// Nothing is: these records take the place of the damaged ones; if none is damaged, they are appended.
    Whole(Vec<Record>),
}

impl Repair {
    /// A repair of logs that stand at `states` and were stored up to `checkpoints`.
    pub(crate) fn new(
        damaged: Vec<Damage>,
        states: &[LogState],
        checkpoints: &[Checkpoint],
        held: BTreeMap<(ReplicaId, u64), Vec<u8>>,
    ) -> Self {
        let mut goals = BTreeMap::new();
        for Checkpoint { replica, end, digest } in checkpoints.iter().copied() {
            let state = states.iter().find(|state| state.replica == replica);
            let start = state.map_or(0, |state| state.head.end);
            let start_digest = state.map_or_else(|| selvedge::op::chain_start(replica), |state| state.digest);
            if end > start {
                goals.insert(replica, Goal { start, start_digest, end, digest });
            }
        }
        let mut repair = Self { damaged, goals, held, staged: BTreeMap::new(), verified: BTreeMap::new() };
        repair.verify_held();
        repair
    }

    /// Logs of which everything stands, though it waits for others that it depends on.
    fn verify_held(&mut self) {
        for (replica, goal) in &self.goals {
            let mut stage = goal.stage();
            self.add_held(&mut stage, *replica);
            if goal.is_reached(&stage) {
                self.verified.insert(*replica, Vec::new());
            }
        }
    }

    /// The logs of which changes are missing.
    fn open_goals(&self) -> impl Iterator<Item = (&ReplicaId, &Goal)> {
        self.goals.iter().filter(|(replica, _)| !self.verified.contains_key(replica))
    }

    /// Where the logs end of which changes are missing.
    pub(crate) fn missing(&self) -> VersionVector {
        self.open_goals().map(|(replica, goal)| (*replica, goal.end)).collect()
    }

    /// What is damaged and what would mend it, in words.
    pub(crate) fn reason(&self, file: &str, doc: &selvedge::DocName) -> String {
        let records = self.damaged.iter().map(|damage| format!("record {}: {}", damage.index, damage.problem));
        let records = records.collect::<Vec<_>>().join("; ");
        let logs = self.open_goals().map(|(replica, goal)| format!("{} to {} of {replica}", goal.start, goal.end - 1));
        let logs = logs.collect::<Vec<_>>().join(", ");
        format!(
            "{file}, document {:?}, {records}; it was set aside, and the document is served again when a client \
             that has operations {logs} connects, or a back-up is restored",
            doc.as_str()
        )
    }

    /// The records that mend the document, if nothing is missing.
    pub(crate) fn whole(&self) -> Progress {
        if self.open_goals().next().is_some() {
            return Progress::Waits;
        }
        let batch = Batch { segments: self.verified.values().flatten().cloned().collect() };
        Progress::Whole(if self.damaged.is_empty() && !batch.is_empty() {
            vec![Record { index: u64::MAX, bytes: batch.encode() }]
        } else {
            Record::in_place_of(&self.damaged, &batch)
        })
    }

    /// Takes changes from a peer.
    ///
    /// # Errors
    /// Why they are not what was stored, naming the author and the operation; everything of that log from that peer is dropped.
    pub(crate) fn take_in(&mut self, conn: ConnId, batch: &Batch) -> Result<Progress, String> {
        for segment in &batch.segments {
            let replica = segment.replica;
            let Some(goal) = self.goals.get(&replica).filter(|_| !self.verified.contains_key(&replica)) else {
                continue;
            };
            let goal = goal.clone();
            let mut stage = self.staged.remove(&(conn, replica)).unwrap_or_else(|| goal.stage());
            self.stage(&mut stage, &goal, segment)?;
            let staged = self.staged.iter().filter(|((other, _), _)| *other == conn);
            if staged.map(|(_, stage)| stage.bytes).sum::<usize>() + stage.bytes > MAX_STAGED_BYTES {
                return Err("more is missing than can be fetched again: restore the document from a back-up".to_owned());
            }
            if stage.end == goal.end {
                self.staged.retain(|(_, other), _| *other != replica);
                self.verified.insert(replica, stage.missing);
            } else {
                self.staged.insert((conn, replica), stage);
            }
        }
        Ok(self.whole())
    }

    fn stage(&self, stage: &mut Stage, goal: &Goal, segment: &Segment) -> Result<(), String> {
        let other = |seq: u64| {
            format!(
                "the changes of replica {} from operation {seq} on are not those that were stored here: \
                 a replica id was used twice",
                segment.replica
            )
        };
        self.add_held(stage, segment.replica);
        let mut seq = segment.first_seq;
        for change in Frames::new(&segment.frames) {
            let change = change.map_err(|error| error.to_string())?;
            let ops = LogHead::peek_ops(change).map_err(|error| error.to_string())?;
            if seq > stage.end || stage.end >= goal.end {
                break;
            }
            if seq == stage.end {
                stage.keep(segment.replica, change, ops);
                stage.pass(change, ops);
                self.add_held(stage, segment.replica);
            } else if seq.saturating_add(ops) > stage.end {
                return Err(other(seq));
            }
            seq = seq.saturating_add(ops);
        }
        if stage.end >= goal.end && !goal.is_reached(stage) {
            return Err(other(goal.start));
        }
        Ok(())
    }

    /// Goes on with the records that stand, as far as they follow.
    fn add_held(&self, stage: &mut Stage, replica: ReplicaId) {
        while let Some(change) = self.held.get(&(replica, stage.end)) {
            let Ok(ops) = LogHead::peek_ops(change) else { return };
            stage.pass(change, ops);
        }
    }

    /// A peer is gone, and what it sent with it.
    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.staged.retain(|(other, _), _| *other != conn);
    }
}

impl Goal {
    fn stage(&self) -> Stage {
        Stage { end: self.start, digest: self.start_digest, missing: Vec::new(), kept_end: None, bytes: 0 }
    }

    fn is_reached(&self, stage: &Stage) -> bool {
        stage.end == self.end && stage.digest[..16] == self.digest
    }
}

impl Stage {
    fn pass(&mut self, change: &[u8], ops: u64) {
        self.digest = chain(&self.digest, change);
        self.end = self.end.saturating_add(ops);
    }

    fn keep(&mut self, replica: ReplicaId, change: &[u8], ops: u64) {
        self.bytes += change.len();
        if self.kept_end != Some(self.end) {
            self.missing.push(Segment::new(replica, self.end));
        }
        if let Some(segment) = self.missing.last_mut() {
            segment.push(change);
        }
        self.kept_end = Some(self.end.saturating_add(ops));
    }
}

//! `Logs`: all logs of a document, and how changes get in: contiguous, after what they depend on, or not yet.
//!
//! Always holds: `append` either fails and changes nothing, or adds every change that can be added; what arrived before
//! its dependencies waits as raw segments, bounded in bytes; the same bytes twice change nothing.

mod base;
mod compare;
mod cut;
mod search;

use std::collections::VecDeque;
use std::ops::Range;

use smallvec::SmallVec;

pub use self::cut::VersionError;
pub use self::search::{ForkSearch, SearchStep};
use super::Dot;
use super::log::Log;
use crate::codec::{DecodeError, DecodeErrorKind};
use crate::id::{OpId, ReplicaId, VersionVector};
use crate::op::columns::Chains;
use crate::op::{Batch, Change, ChangeHeader, Dep, Frames, LogHead, LogState, Segment, half};
use crate::ordered::{OrdMap, sort_by_key};

/// Bytes of changes that may wait for their dependencies; more are dropped, and come again with the next exchange.
const MAX_PENDING_BYTES: usize = 64 << 20;

/// The sealed logs of a document.
#[derive(Clone, Debug, Default)]
pub struct Logs {
    logs: Vec<Log>,
    index: OrdMap<ReplicaId, u32>,
    pending: Vec<Segment>,
    /// The log that grew last.
    recent: u32,
    /// If what stands before the logs' bases is nowhere: the ends that nobody before them had seen, as (log, end).
    base: Option<Vec<(u32, u64)>>,
}

/// A change that was added, with its dependencies resolved.
#[derive(Clone, Debug)]
pub struct LoggedChange {
    /// Its first operation.
    pub first: Dot,
    /// Where in the log its bytes are, counted from where the log began before its history was put in front; modulo
    /// 2³².
    bytes: Range<u32>,
    /// Its header.
    pub header: ChangeHeader,
    /// The last operations of the changes it depends on.
    pub deps: SmallVec<[Dot; 2]>,
}

/// Two contents for one operation: a replica id was used by two writers. The one that came first is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fork {
    /// An operation from which on the two logs differ.
    pub at: OpId,
    /// The first operation of the change that shows it: the other content itself, or what was written after it.
    pub by: OpId,
}

/// Changes that were added, each after what it depends on.
type Changes = SmallVec<[LoggedChange; 1]>;

/// What `append` did.
#[derive(Clone, Debug, Default)]
pub struct Appended {
    /// The changes added, each after what it depends on.
    pub changes: Changes,
    /// Bytes of changes that wait for others.
    pub pending_bytes: usize,
    /// Forks found. The changes that prove them were not added.
    pub forks: Vec<Fork>,
    /// The first operations of changes that have not seen all that a base stands for. They were not added.
    pub before_base: Vec<OpId>,
}

/// A change read against the head of its log, before it is added.
struct Candidate<'a> {
    header: ChangeHeader,
    /// How many replicas its log has named behind it.
    names: usize,
    bytes: &'a [u8],
}

/// The changes of one log that may be added, and the head behind them.
#[derive(Default)]
struct Queue<'a> {
    changes: VecDeque<Candidate<'a>>,
    head: LogHead,
}

impl Logs {
    /// No logs.
    pub fn new() -> Self {
        Self::default()
    }

    /// The index of `replica`'s log, made if there is none.
    pub fn intern(&mut self, replica: ReplicaId) -> u32 {
        *self.index.entry(replica).or_insert_with(|| {
            self.logs.push(Log::new(replica));
            self.logs.len() as u32 - 1
        })
    }

    /// The index of `replica`'s log.
    pub fn find(&self, replica: ReplicaId) -> Option<u32> {
        self.index.get(&replica).copied()
    }

    /// The replica that writes log number `log`.
    pub fn replica(&self, log: u32) -> ReplicaId {
        self.logs[log as usize].replica
    }

    /// Number of logs, empty ones included.
    pub fn len(&self) -> usize {
        self.logs.len()
    }

    /// Whether nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.logs.iter().all(|log| log.head.end == 0)
    }

    /// The exclusive end of log number `log`.
    pub fn end(&self, log: u32) -> u64 {
        self.logs[log as usize].head.end
    }

    /// The head of log number `log`.
    pub fn head(&self, log: u32) -> &LogHead {
        &self.logs[log as usize].head
    }

    /// The bytes of change number `index` among those of log number `log` that are here.
    pub fn change(&self, log: u32, index: usize) -> &[u8] {
        self.logs[log as usize].change(index)
    }

    /// The bytes of a change.
    pub fn bytes(&self, change: &LoggedChange) -> &[u8] {
        self.logs[change.first.log as usize].bytes(&change.bytes)
    }

    /// What is known. O(logs).
    pub fn version(&self) -> VersionVector {
        self.logs.iter().map(|log| (log.replica, log.head.end)).collect()
    }

    /// The ends of all logs with their digests, ordered by replica. Hashes what was added since the last call.
    pub fn state(&mut self) -> Vec<LogState> {
        let written = self.logs.iter_mut().filter(|log| log.head.end > 0);
        let state = written.map(|log| {
            let digest = log.digest_at(log.head.end).expect("a log ends at a change");
            LogState { replica: log.replica, head: log.head.clone(), digest }
        });
        let mut state: Vec<LogState> = state.collect();
        sort_by_key(&mut state, |log| log.replica);
        state
    }

    /// The first half of the digest of log number `log` at `end`, `None` if no change ends there.
    pub fn digest_at(&mut self, log: u32, end: u64) -> Option<[u8; 16]> {
        self.logs[log as usize].digest_at(end).map(|digest| half(&digest))
    }

    /// The digests of the logs where `version` ends, as far as it is within them and changes end there.
    pub fn digests_at(&mut self, version: &VersionVector) -> Vec<Dep> {
        let mut digests = Vec::new();
        for (replica, end) in version.iter() {
            let log = self.find(replica).filter(|log| end <= self.end(*log));
            digests.extend(log.and_then(|log| self.digest_at(log, end)).map(|digest| Dep { replica, end, digest }));
        }
        digests
    }

    /// Every change that `version` does not know, a segment per log, ordered by replica: equal copies give equal bytes.
    /// Of a log whose older changes were left in the file (`needs_history`), what is here.
    pub fn since(&self, version: &VersionVector) -> Batch {
        self.part_since(version, usize::MAX)
    }

    /// A part of `since`, for whoever takes one part after the other: of about `max_bytes`, and at least one change. It
    /// has a prefix of every log, all of them the same share of it, so that little must be held back for what it depends
    /// on; of very many small logs it has the first ones. O(logs + bytes).
    pub fn part_since(&self, version: &VersionVector, max_bytes: usize) -> Batch {
        let logs = self.index.values().map(|log| &self.logs[*log as usize]);
        let missing = logs.filter(|log| log.head.end > version.end(log.replica).max(log.base().end));
        let missing: Vec<_> = missing.map(|log| (log, log.frames_from(version.end(log.replica)))).collect();
        let total: usize = missing.iter().map(|(_, (_, frames))| frames.len()).sum();
        let (mut batch, mut taken) = (Batch::default(), 0);
        for (log, (first_seq, frames)) in missing {
            if taken > 0 && taken >= max_bytes {
                break;
            }
            let mut len = frames.len();
            if total > max_bytes {
                let share = (len as u128 * max_bytes as u128 / total as u128) as usize;
                len = log.whole_frames(first_seq, share);
            }
            taken += len;
            let frames = SmallVec::from_slice(&frames[..len]);
            batch.segments.push(Segment { replica: log.replica, first_seq, frames });
        }
        batch
    }

    /// Adds the changes of one log from `from` on to a batch.
    #[inline]
    pub fn log_since(&self, log: u32, from: u64, batch: &mut Batch) {
        let log = &self.logs[log as usize];
        if log.head.end > from {
            let (first_seq, frames) = log.frames_from(from);
            batch.push(log.replica, first_seq, frames);
        }
    }

    /// Seals a change as the next of log number `log`; its dependencies must be known.
    pub fn seal(&mut self, log: u32, change: &Change<'_>) {
        self.logs[log as usize].seal(change);
    }

    /// A log of which only the end is known; its older changes are in a file.
    pub fn start_at(&mut self, state: &LogState) -> u32 {
        let log = self.intern(state.replica);
        self.logs[log as usize] = Log::starting_at(state);
        log
    }

    /// Whether somebody who knows `version` lacks changes that were left in a file.
    pub fn needs_history(&self, version: &VersionVector) -> bool {
        self.logs.iter().any(|log| log.base().end > version.end(log.replica))
    }

    /// Puts the older changes in front of those that are here. Returns the order in which all changes can be applied:
    /// stretches of (log, number of changes).
    ///
    /// # Errors
    /// If they are malformed, or are not the ones that were left in the file. Nothing was changed then.
    pub(crate) fn put_history(
        &mut self,
        segments: Vec<Segment>,
        chains: Chains,
    ) -> Result<Vec<(u32, u32)>, DecodeError> {
        let fail = |why| DecodeError { field: "history", offset: 0, kind: DecodeErrorKind::Inconsistent(why) };
        let mut whole = Self::new();
        self.logs.iter().for_each(|log| {
            whole.intern(log.replica);
        });
        let mut appended = Appended::default();
        whole.append_to(&segments.into_iter().collect(), chains, &mut appended)?;
        if appended.pending_bytes > 0 || !appended.forks.is_empty() {
            return Err(fail("changes are missing that others depend on"));
        }
        let mut order: Vec<(u32, u32)> = Vec::new();
        for change in &appended.changes {
            match order.last_mut() {
                Some((last, changes)) if *last == change.first.log => *changes += 1,
                _ => order.push((change.first.log, 1)),
            }
        }
        for (own, old) in self.logs.iter().zip(&mut whole.logs) {
            let base = own.base();
            if old.head != *base || old.digest_at(base.end) != own.base_digest() {
                return Err(fail("it does not lead to the state that it is saved with"));
            }
        }
        for (own, old) in self.logs.iter().zip(&mut whole.logs) {
            let start = old.begin_here(own.frames());
            let mut frames = Frames::new(own.frames());
            while let Some(change) = frames.next() {
                let change = change?;
                old.read_next(change, start + frames.offset() - change.len())?;
            }
        }
        whole.pending = std::mem::take(&mut self.pending);
        *self = whole;
        Ok(order)
    }

    /// Takes in changes from anywhere. Returns `None` if that takes changes that were left in a file (`put_history`),
    /// which happens only to logs that were started at a state (`start_at`).
    ///
    /// # Errors
    /// If a header is malformed or does not fit its log. Nothing was changed then.
    pub fn append(&mut self, batch: &Batch) -> Result<Option<Appended>, DecodeError> {
        let mut appended = Appended::default();
        Ok(self.append_to(batch, Chains::new(), &mut appended)?.then_some(appended))
    }

    /// The same, given what was computed of the digests, and told to `appended`, which is empty: a change that comes alone
    /// is not moved about. `false` where `append` returns `None`.
    #[inline]
    pub(crate) fn append_to(
        &mut self,
        batch: &Batch,
        chains: Chains,
        appended: &mut Appended,
    ) -> Result<bool, DecodeError> {
        if let ([segment], true) = (&batch.segments[..], self.pending.is_empty())
            && self.append_next(segment, &mut appended.changes)?
        {
            return Ok(true);
        }
        self.append_batch(batch, chains, appended)
    }

    #[inline(never)]
    fn append_batch(&mut self, batch: &Batch, chains: Chains, appended: &mut Appended) -> Result<bool, DecodeError> {
        if self.base.is_none() && self.logs.iter().any(|log| log.base().end > 0) {
            return Ok(false);
        }
        let pending = std::mem::take(&mut self.pending);
        match self.append_any(&pending, batch, chains) {
            Ok(all) => {
                *appended = all;
                Ok(true)
            }
            Err(error) => {
                self.pending = pending;
                Err(error)
            }
        }
    }

    /// The long way, for what waited until now and what has arrived.
    fn append_any(&mut self, pending: &[Segment], batch: &Batch, mut chains: Chains) -> Result<Appended, DecodeError> {
        let mut appended = Appended::default();
        let apart = pending.len() + batch.segments.len();
        chains.retain(|replica, _| self.find(*replica).is_none_or(|log| self.end(log) == 0));
        let held_back = pending.iter().map(|segment| (segment, true));
        let mut segments: Vec<_> = held_back.chain(batch.segments.iter().map(|segment| (segment, false))).collect();
        sort_by_key(&mut segments, |(segment, _)| (segment.replica, segment.first_seq));
        let mut candidates: OrdMap<ReplicaId, Queue<'_>> = OrdMap::new();
        let mut waiting = Vec::new();
        for (segment, held_back) in segments {
            let head = || self.find(segment.replica).map(|log| self.head(log).clone()).unwrap_or_default();
            let queue = candidates.entry(segment.replica).or_insert_with(|| Queue { head: head(), ..Queue::default() });
            match self.read_segment(segment, queue, &mut appended.forks) {
                Ok(true) => {}
                Ok(false) => waiting.push(segment.clone()),
                // What waited could not be read until now. It is nobody's fault who comes later: it is dropped.
                Err(_) if held_back => {}
                Err(error) => return Err(error),
            }
        }
        if candidates.len() < apart {
            // A log comes in parts: what was computed may be of another part than what is added.
            chains = Chains::new();
        }
        self.add_in_causal_order(&mut candidates, &chains, &mut appended);
        for (replica, chained) in &chains {
            if let Some(log) = self.find(*replica) {
                self.logs[log as usize].skip_to(chained.end, chained.digest);
            }
        }
        self.keep_waiting(waiting, candidates);
        appended.pending_bytes = self.pending.iter().map(|segment| segment.frames.len()).sum();
        Ok(appended)
    }

    /// The short way for changes that go on where their log ends, and depend on nothing that is missing. `false` if they
    /// are not of that kind; nothing was changed then.
    fn append_next(&mut self, segment: &Segment, changes: &mut Changes) -> Result<bool, DecodeError> {
        let recent = self.logs.get(self.recent as usize).filter(|log| log.replica == segment.replica);
        let log = recent.map(|_| self.recent).or_else(|| self.find(segment.replica));
        let Some(log) = log.filter(|log| self.end(*log) == segment.first_seq) else { return Ok(false) };
        self.recent = log;
        let start = self.logs[log as usize].mark();
        let added = self.append_frames(log, segment, changes);
        if !matches!(added, Ok(true)) {
            self.logs[log as usize].reset(&start);
            changes.clear();
        }
        added
    }

    /// Adds changes to the end of their log, up to the first that is malformed or depends on something that is missing.
    #[inline]
    fn append_frames(&mut self, log: u32, segment: &Segment, changes: &mut Changes) -> Result<bool, DecodeError> {
        let base = self.logs[log as usize].append_frames(&segment.frames);
        let mut frames = segment.changes();
        while let Some(change) = frames.next() {
            let (change, end) = (change?, base + frames.offset());
            let own = &mut self.logs[log as usize];
            let header = own.read_next(change, end - change.len())?;
            let (bytes, mut deps) = (own.relative(end - change.len()..end), SmallVec::new());
            if !header.deps.is_empty() || self.base.is_some() {
                if self.missing_dep(segment.replica, &header, &Chains::new()).is_err() {
                    return Ok(false);
                }
                deps = self.dots(&header.deps);
            }
            changes.push(LoggedChange { first: Dot { log, seq: header.first_seq as u32 }, bytes, header, deps });
        }
        Ok(true)
    }

    /// Reads the new changes of a segment; `false` if it lies behind a gap.
    fn read_segment<'a>(
        &self,
        segment: &'a Segment,
        queue: &mut Queue<'a>,
        forks: &mut Vec<Fork>,
    ) -> Result<bool, DecodeError> {
        let log = self.find(segment.replica).map(|log| &self.logs[log as usize]);
        if segment.first_seq > queue.head.end {
            segment.end()?;
            return Ok(false);
        }
        let stored = log.map_or(0, |log| log.head.end);
        let mut seq = segment.first_seq;
        for change in segment.changes() {
            let change = change?;
            let end = seq + LogHead::peek_ops(change)?;
            let base = log.map_or(0, |log| log.base().end);
            let fork = if seq < base {
                // What was left out cannot be compared, but no change is on both sides.
                end > base
            } else if seq < stored {
                !log.is_some_and(|log| log.holds(seq, change))
            } else if seq < queue.head.end {
                let known = queue.changes.binary_search_by_key(&seq, |known| known.header.first_seq);
                !known.is_ok_and(|at| queue.changes[at].bytes == change)
            } else {
                let header = queue.head.read(change)?;
                let names = queue.head.names.len();
                queue.changes.push_back(Candidate { header, names, bytes: change });
                false
            };
            if fork {
                let at = OpId { replica: segment.replica, seq };
                forks.push(Fork { at, by: at });
                return Ok(true);
            }
            seq = end;
        }
        Ok(true)
    }

    /// Adds what can be added, staying with one log as long as it goes on; the rest stays in `candidates`.
    fn add_in_causal_order(
        &mut self,
        candidates: &mut OrdMap<ReplicaId, Queue<'_>>,
        chains: &Chains,
        appended: &mut Appended,
    ) {
        let mut ready: Vec<ReplicaId> = candidates.keys().rev().copied().collect();
        let mut waiters: OrdMap<ReplicaId, Vec<ReplicaId>> = OrdMap::new();
        appended.changes.reserve(candidates.values().map(|queue| queue.changes.len()).sum());
        while let Some(replica) = ready.pop() {
            let Some(queue) = candidates.get_mut(&replica) else { continue };
            let mut moved = false;
            while let Some(next) = queue.changes.front() {
                match self.missing_dep(replica, &next.header, chains) {
                    Ok(()) => {}
                    Err(Missing::Base) => {
                        appended.before_base.push(OpId { replica, seq: next.header.first_seq });
                        queue.changes.clear();
                        break;
                    }
                    Err(Missing::Unknown(dep)) => {
                        waiters.entry(dep).or_default().push(replica);
                        break;
                    }
                    Err(Missing::Fork(at)) => {
                        let by = OpId { replica, seq: next.header.first_seq };
                        appended.forks.push(Fork { at, by });
                        queue.changes.clear();
                        break;
                    }
                }
                if let Some(change) = queue.changes.pop_front() {
                    appended.changes.push(self.add(replica, change, &queue.head.names));
                    moved = true;
                }
            }
            if moved {
                ready.extend(waiters.remove(&replica).unwrap_or_default());
            }
        }
    }

    fn missing_dep(&mut self, replica: ReplicaId, header: &ChangeHeader, chains: &Chains) -> Result<(), Missing> {
        if !self.covers_base(replica, header) {
            return Err(Missing::Base);
        }
        for dep in &header.deps {
            let log = self.find(dep.replica).ok_or(Missing::Unknown(dep.replica))?;
            if self.end(log) < dep.end {
                return Err(Missing::Unknown(dep.replica));
            }
            let computed = chains.get(&dep.replica).and_then(|chained| chained.at(dep.end));
            if computed.or_else(|| self.digest_at(log, dep.end)) != Some(dep.digest) {
                return Err(Missing::Fork(OpId { replica: dep.replica, seq: dep.end - 1 }));
            }
        }
        Ok(())
    }

    /// Adds a change to its log; `names` are those of the log, at least up to this change.
    fn add(&mut self, replica: ReplicaId, change: Candidate<'_>, names: &[ReplicaId]) -> LoggedChange {
        let log = self.intern(replica);
        let own = &mut self.logs[log as usize];
        let bytes = own.push(&change.header, &names[..change.names], change.bytes);
        let bytes = own.relative(bytes);
        let deps = self.dots(&change.header.deps);
        LoggedChange { first: Dot { log, seq: change.header.first_seq as u32 }, bytes, header: change.header, deps }
    }

    fn dots(&self, deps: &[Dep]) -> SmallVec<[Dot; 2]> {
        let dot = |dep: &Dep| self.find(dep.replica).map(|log| Dot { log, seq: (dep.end - 1) as u32 });
        deps.iter().filter_map(dot).collect()
    }

    fn keep_waiting(&mut self, mut waiting: Vec<Segment>, rest: OrdMap<ReplicaId, Queue<'_>>) {
        for (replica, queue) in rest {
            let Some(first) = queue.changes.front() else { continue };
            let mut segment = Segment::new(replica, first.header.first_seq);
            queue.changes.iter().for_each(|change| segment.push(change.bytes));
            waiting.push(segment);
        }
        waiting.dedup();
        let mut room = MAX_PENDING_BYTES;
        waiting.retain(|segment| {
            let fits = segment.frames.len() <= room;
            room -= if fits { segment.frames.len() } else { 0 };
            fits
        });
        self.pending = waiting;
    }

    /// Reads every change of log number `log` anew, for a rebuild.
    ///
    /// # Errors
    /// Never for logs that came in through `append` or `seal`.
    pub fn replay(&self, log: u32) -> impl Iterator<Item = Result<LoggedChange, DecodeError>> {
        self.logs[log as usize].replay().map(move |change| {
            let (header, bytes) = change?;
            let bytes = self.logs[log as usize].relative(bytes);
            let deps = self.dots(&header.deps);
            Ok(LoggedChange { first: Dot { log, seq: header.first_seq as u32 }, bytes, header, deps })
        })
    }
}

enum Missing {
    Unknown(ReplicaId),
    Fork(OpId),
    /// Something before the base, or not all of it was seen.
    Base,
}

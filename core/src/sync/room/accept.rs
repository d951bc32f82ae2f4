//! How changes get into a room: read against the head of their log, after everything they depend on, or held back.
//!
//! Always holds: a message with a malformed header changes nothing; what is held back is raw bytes, bounded per
//! subscriber; the work is linear in the bytes (a log that waits is looked at when the log it waits for has moved).

use std::sync::Arc;

use super::outbox::Piece;
use super::{Log, Room, Sub};
use crate::codec::{DecodeError, DecodeErrorKind};
use crate::id::{OpId, ReplicaId};
use crate::op::{ChangeHeader, Dep, Digest, Frames, LogHead, MAX_SEQ, chain};
use crate::ordered::{OrdMap, OrdSet};
use crate::planted::{self, Bug};
use crate::sync::input::ConnId;

/// Bytes of changes that one subscriber may have us hold back; beyond that they are dropped and asked for again.
const MAX_HELD_BYTES: usize = 32 << 20;

/// What is wrong with changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They do not parse, or do not fit the log that they continue.
    Invalid(DecodeError),
    /// They continue another content than ours of a log; it differs at this operation, or before.
    Fork(OpId),
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Invalid(error)
    }
}

/// Where a log stops for now: its next change needs `end` operations of `on`.
#[derive(Clone, Copy, Debug)]
struct Wait {
    on: ReplicaId,
    end: u64,
}

/// Why reading consecutive changes of one log stopped.
enum Stop {
    /// All are taken.
    End,
    /// The change at this offset must wait.
    Wait(usize, Wait),
    /// The change that comes next is wrong.
    Fault(Fault),
}

/// What became of consecutive changes of one log.
struct Advance {
    piece: Option<Piece>,
    stop: Stop,
}

/// Changes held back, per log.
#[derive(Debug, Default)]
pub(crate) struct Held {
    logs: OrdMap<ReplicaId, HeldLog>,
    waits: OrdMap<ReplicaId, OrdSet<(u64, ReplicaId)>>,
    bytes: usize,
}

/// The changes of one log that wait: the first of them begins at offset `at`.
#[derive(Debug)]
struct HeldLog {
    first: u64,
    end: u64,
    frames: Vec<u8>,
    at: usize,
}

impl Held {
    pub(crate) fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Holds `frames` back; `false` if that would be too much.
    fn insert(&mut self, replica: ReplicaId, log: HeldLog, wait: Wait) -> bool {
        if self.bytes + log.frames.len() > MAX_HELD_BYTES {
            return false;
        }
        self.bytes += log.frames.len();
        self.logs.insert(replica, log);
        self.waits.entry(wait.on).or_default().insert((wait.end, replica));
        true
    }

    /// Appends to a log that is held back already; `None` if it is not, `Some(false)` at a gap or if it is too much.
    fn append(&mut self, replica: ReplicaId, first: u64, frames: &[u8]) -> Result<Option<bool>, DecodeError> {
        let Some(log) = self.logs.get_mut(&replica) else { return Ok(None) };
        if first > log.end {
            return Ok(Some(false));
        }
        let mut seq = first;
        let mut iter = Frames::new(frames);
        while seq < log.end {
            let Some(change) = iter.next() else { return Ok(Some(true)) };
            seq = seq.saturating_add(LogHead::peek_ops(change?)?);
        }
        let new = &frames[iter.offset()..];
        if self.bytes + new.len() > MAX_HELD_BYTES {
            return Ok(Some(false));
        }
        for change in iter {
            seq = seq.saturating_add(LogHead::peek_ops(change?)?);
        }
        log.frames.extend_from_slice(new);
        log.end = seq;
        self.bytes += new.len();
        Ok(Some(true))
    }

    /// Takes out the logs that waited for `replica` to reach `end`.
    fn take_ready(&mut self, replica: ReplicaId, end: u64) -> Vec<(ReplicaId, HeldLog)> {
        let mut ready = Vec::new();
        let Some(waiting) = self.waits.get_mut(&replica) else { return ready };
        while waiting.first().is_some_and(|(needed, _)| *needed <= end) {
            let Some((_, log)) = waiting.pop_first() else { break };
            if let Some(held) = self.logs.remove(&log) {
                self.bytes -= held.frames.len();
                ready.push((log, held));
            }
        }
        if waiting.is_empty() {
            self.waits.remove(&replica);
        }
        ready
    }
}

impl Sub {
    /// What a peer has sent it has, even if it must wait here: it is not sent back when it comes from somebody else.
    fn know_held(&mut self, replica: ReplicaId) {
        if let Some(log) = self.held.logs.get(&replica) {
            self.known.raise(replica, log.end);
        }
    }
}

impl Room {
    /// Takes in changes from a subscriber. What can be accepted is; the rest is held back, or marked as missing.
    /// Returns whose changes were wrong: the sender's, or older ones of others that can be read only now.
    pub(crate) fn receive(
        &mut self,
        conn: ConnId,
        replica: ReplicaId,
        first: u64,
        frames: &[u8],
    ) -> Vec<(ConnId, Fault)> {
        let Some(sub) = self.subs.get_mut(&conn) else { return Vec::new() };
        match sub.held.append(replica, first, frames) {
            Err(error) => return vec![(conn, Fault::Invalid(error))],
            Ok(Some(fits)) => {
                sub.gap |= !fits;
                sub.know_held(replica);
                return Vec::new();
            }
            Ok(None) => {}
        }
        let mut moved = Vec::new();
        match self.receive_run(conn, replica, first, frames) {
            Err(fault) => return vec![(conn, fault)],
            Ok(true) => moved.push(replica),
            Ok(false) => {}
        }
        self.release_held(moved)
    }

    /// What a subscriber says of logs that it goes on with: its digests where it does. Returns the first that differs.
    pub(crate) fn continues(&self, points: &[Dep]) -> Option<Fault> {
        let differs = |point: &&Dep| {
            let ours = self.logs.get(&point.replica).and_then(|log| log.digest_at(point.end));
            ours.is_some_and(|ours| ours[..16] != point.digest) && !planted::is(Bug::DigestsAlwaysAgree)
        };
        let differs = points.iter().find(differs)?;
        Some(Fault::Fork(OpId { replica: differs.replica, seq: differs.end.saturating_sub(1) }))
    }

    /// Takes in own changes. `false` if they do not continue what is here: the caller mixed something up.
    pub(crate) fn edit(&mut self, replica: ReplicaId, first: u64, frames: &[u8]) -> Result<bool, Fault> {
        let Some(advance) = self.advance(replica, first, frames, true)? else { return Ok(false) };
        if let Some(piece) = advance.piece {
            self.note_edit(replica, piece.end);
            self.note_fresh(None, replica, piece.end);
            self.take_in(piece, None, false);
        }
        Ok(matches!(advance.stop, Stop::End))
    }

    /// Changes that just arrived; whether their log moved.
    fn receive_run(&mut self, conn: ConnId, replica: ReplicaId, first: u64, frames: &[u8]) -> Result<bool, Fault> {
        let advance = self.advance(replica, first, frames, true)?;
        let end = self.version.end(replica);
        let Some(sub) = self.subs.get_mut(&conn) else { return Ok(false) };
        let Some(Advance { piece, stop }) = advance else {
            sub.gap = true;
            return Ok(false);
        };
        if piece.is_none() && matches!(stop, Stop::End) {
            self.note_duplicate(conn, replica);
        }
        if let Stop::Wait(at, wait) = stop {
            let frames = frames[at..].to_vec();
            let ops = Frames::new(&frames).filter_map(|change| LogHead::peek_ops(change.ok()?).ok());
            let held_end = ops.fold(end, u64::saturating_add);
            self.hold(conn, replica, HeldLog { first: end, end: held_end, frames, at: 0 }, wait);
        }
        let shown = piece.as_ref().map_or_else(|| known_end(first, frames, end), |piece| piece.end);
        self.shown(conn, replica, shown);
        Ok(self.take_from(conn, piece))
    }

    /// Goes on with changes that were held back; whether their log moved.
    fn resume(&mut self, conn: ConnId, replica: ReplicaId, mut held: HeldLog) -> (bool, Option<Fault>) {
        let (piece, stop) = match self.advance(replica, held.first, &held.frames[held.at..], false) {
            Ok(Some(Advance { piece, stop })) => (piece, stop),
            Ok(None) => return (false, None),
            Err(fault) => (None, Stop::Fault(fault)),
        };
        let end = self.version.end(replica);
        self.shown(conn, replica, end.min(held.end));
        let fault = match stop {
            Stop::End => None,
            Stop::Wait(at, wait) => {
                held.at += at;
                held.first = end;
                self.hold(conn, replica, held, wait);
                None
            }
            Stop::Fault(fault) => Some(fault),
        };
        (self.take_from(conn, piece), fault)
    }

    fn hold(&mut self, conn: ConnId, replica: ReplicaId, log: HeldLog, wait: Wait) {
        let Some(sub) = self.subs.get_mut(&conn) else { return };
        if sub.held.insert(replica, log, wait) {
            sub.know_held(replica);
            self.blocked.insert(conn);
        } else {
            sub.gap = true;
        }
    }

    /// A subscriber has shown us that it has a log up to `end`, as we do.
    fn shown(&mut self, conn: ConnId, replica: ReplicaId, end: u64) {
        let durable = self.keeper.durable().end(replica);
        if let Some(sub) = self.subs.get_mut(&conn) {
            sub.known.raise(replica, end - u64::from(planted::is(Bug::PeerVersionOffByOne) && end > 0));
            sub.acks.shown(replica, end, durable);
        }
    }

    /// Takes in a piece that came from a subscriber; whether there is one.
    fn take_from(&mut self, conn: ConnId, piece: Option<Piece>) -> bool {
        let Some(piece) = piece else { return false };
        let sub = self.subs.get_mut(&conn);
        let stored = sub.is_some_and(|sub| {
            sub.resyncs = 0;
            !sub.remote
        });
        self.note_fresh(Some(conn), piece.replica, piece.end);
        self.take_in(piece, Some(conn), stored);
        true
    }

    /// An accepted piece: to be imported, stored, and handed on.
    fn take_in(&mut self, piece: Piece, from: Option<ConnId>, stored: bool) {
        let piece = Arc::new(piece);
        if from.is_some() {
            self.fresh.push(piece.clone());
        }
        for sub in self.subs.values_mut().filter(|sub| !sub.missing.is_empty()) {
            if sub.missing.get(&piece.replica).is_some_and(|end| *end <= piece.end) {
                sub.missing.remove(&piece.replica);
            }
        }
        if !self.app || planted::is(Bug::SentBeforeStored) {
            self.fan_out(std::slice::from_ref(&piece));
        }
        self.keeper.add(piece, from, stored);
        self.release_stored();
    }

    /// Goes on with held back changes after the logs in `moved` have grown.
    fn release_held(&mut self, mut moved: Vec<ReplicaId>) -> Vec<(ConnId, Fault)> {
        let mut faults = Vec::new();
        while let Some(replica) = moved.pop() {
            let end = self.version.end(replica);
            for conn in self.blocked.clone() {
                let ready = self.subs.get_mut(&conn).map(|sub| sub.held.take_ready(replica, end));
                for (log, held) in ready.unwrap_or_default() {
                    let (grown, fault) = self.resume(conn, log, held);
                    moved.extend(grown.then_some(log));
                    faults.extend(fault.map(|fault| (conn, fault)));
                }
                if self.subs.get(&conn).is_none_or(|sub| sub.held.is_empty()) {
                    self.blocked.remove(&conn);
                }
            }
        }
        faults
    }

    /// Reads changes of one log as far as their dependencies are known, and moves the log behind them. `None`: they
    /// start behind a gap. With `whole`, wrong changes fail all of them, and nothing has moved.
    fn advance(
        &mut self,
        replica: ReplicaId,
        first: u64,
        frames: &[u8],
        whole: bool,
    ) -> Result<Option<Advance>, Fault> {
        let mut log = self.logs.remove(&replica).unwrap_or_else(|| Log::new(replica));
        let before = log.head.end;
        let result = self.advance_log(&mut log, replica, first, frames, whole);
        if log.head.end > before {
            self.version.raise(replica, log.head.end);
            self.ops += log.head.end - before;
            self.summary = None;
        }
        if log.head.end > 0 {
            self.logs.insert(replica, log);
        }
        result
    }

    fn advance_log(
        &self,
        log: &mut Log,
        replica: ReplicaId,
        first: u64,
        frames: &[u8],
        whole: bool,
    ) -> Result<Option<Advance>, Fault> {
        let Some(start) = skip_known(log, replica, first, frames)? else { return Ok(None) };
        let mark = log.mark();
        if whole {
            let checked = Frames::new(&frames[start..]).try_for_each(|change| log.head.read(change?).map(drop));
            log.reset(mark);
            checked?;
        }
        let (taken, stop) = self.take_changes(log, replica, &frames[start..]);
        if let (true, Stop::Fault(fault)) = (whole, &stop) {
            log.reset(mark);
            return Err(fault.clone());
        }
        let stop = if let Stop::Wait(at, wait) = stop { Stop::Wait(start + at, wait) } else { stop };
        let frames = frames[start..start + taken].to_vec();
        let piece = (taken > 0).then_some(Piece {
            replica,
            first: mark.0,
            end: log.head.end,
            before: Some(half(&mark.3)),
            frames,
        });
        Ok(Some(Advance { piece, stop }))
    }

    /// Moves `log` over changes while they can be taken. Returns their bytes, and why it stopped.
    fn take_changes(&self, log: &mut Log, replica: ReplicaId, frames: &[u8]) -> (usize, Stop) {
        let mut iter = Frames::new(frames);
        loop {
            let at = iter.offset();
            let Some(change) = iter.next() else { return (at, Stop::End) };
            let step = log.mark();
            let read = change.and_then(|change| Ok((change, log.head.read(change)?)));
            let missing = match read {
                Ok((change, header)) => self.missing_dep(replica, &header).map(|wait| (change, wait)),
                Err(error) => Err(error.into()),
            };
            match missing {
                Ok((change, None)) => log.chain(change),
                Ok((_, Some(wait))) => {
                    log.reset(step);
                    return (at, Stop::Wait(at, wait));
                }
                Err(fault) => {
                    log.reset(step);
                    return (at, Stop::Fault(fault));
                }
            }
        }
    }

    fn missing_dep(&self, replica: ReplicaId, header: &ChangeHeader) -> Result<Option<Wait>, Fault> {
        if planted::is(Bug::DependencyNotChecked) {
            return Ok(None);
        }
        for dep in &header.deps {
            if dep.replica == replica {
                let kind = DecodeErrorKind::Inconsistent("a change names its own log as a dependency");
                return Err(DecodeError { field: "dependency replica", offset: 0, kind }.into());
            }
            match self.logs.get(&dep.replica) {
                Some(log) if log.head.end == dep.end && log.digest[..16] != dep.digest => {
                    return Err(Fault::Fork(OpId { replica: dep.replica, seq: dep.end - 1 }));
                }
                Some(log) if log.head.end >= dep.end => {}
                _ => return Ok(Some(Wait { on: dep.replica, end: dep.end })),
            }
        }
        Ok(None)
    }
}

/// Offset of the first change that is new to `log`; `None` if there is a gap before the first one. Those that are known
/// are held against the digests that the log remembers.
fn skip_known(log: &Log, replica: ReplicaId, first: u64, frames: &[u8]) -> Result<Option<usize>, Fault> {
    if first > log.head.end || first > MAX_SEQ {
        return Ok(None);
    }
    let (mut seq, mut digest) = (first, None);
    let mut iter = Frames::new(frames);
    while seq < log.head.end {
        let Some(change) = iter.next() else { break };
        let change = change?;
        let before = digest.or_else(|| log.digest_at(seq).copied());
        let end = seq.saturating_add(LogHead::peek_ops(change)?);
        digest = before.map(|before| chain(&before, change));
        let differs = digest.is_some_and(|digest| log.digest_at(end).is_some_and(|ours| *ours != digest));
        if differs && !planted::is(Bug::DigestsAlwaysAgree) {
            return Err(Fault::Fork(OpId { replica, seq }));
        }
        seq = end;
    }
    // A change that ends elsewhere than ours is another change.
    let end = log.head.end;
    if seq > end { Err(Fault::Fork(OpId { replica, seq: end - 1 })) } else { Ok(Some(iter.offset())) }
}

fn half(digest: &Digest) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// Where changes end that are all known, or wait: at most at our own end.
fn known_end(first: u64, frames: &[u8], end: u64) -> u64 {
    let mut seq = first;
    for change in Frames::new(frames) {
        match change.and_then(LogHead::peek_ops) {
            Ok(ops) if seq < end => seq = seq.saturating_add(ops),
            _ => break,
        }
    }
    seq.min(end)
}

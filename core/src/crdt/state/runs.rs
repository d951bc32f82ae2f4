//! The runs of sequences: who made which elements, in which order they stand, and which were deleted.
//!
//! Always holds: no element stands in two places of one sequence, and every one is an operation that its log has.

use super::{Column, MAX_DEPTH, StateReader, StateWriter};
use crate::codec::{DecodeError, DecodeErrorKind, unzigzag, zigzag};
use crate::crdt::sequence::SettledRun;
use crate::graph::Dot;
use crate::ordered::ranking;

impl StateWriter<'_> {
    /// The runs of a sequence; `hides` tells whether it may keep elements out of the view that are not deleted.
    pub(crate) fn runs(&mut self, runs: &[SettledRun], hides: bool) {
        self.count(runs.len());
        for by_author in runs.chunk_by(|a, b| a.dot.log == b.dot.log) {
            let rank = self.rank(by_author[0].dot.log);
            self.streams.put(Column::RunAuthor, u64::from(rank));
            self.streams.put(Column::RunAuthor, by_author.len() as u64 - 1);
            for run in by_author {
                let end = &mut self.ends[rank as usize];
                let difference = i64::from(run.dot.seq) - i64::from(*end);
                *end = run.dot.seq + run.len;
                self.streams.put(Column::RunStart, zigzag(difference as u64));
                let hidden = if hides { u64::from(run.hidden) << 1 } else { 0 };
                let len = u64::from(run.len - 1) << (1 + u32::from(hides));
                self.streams.put(Column::RunLength, len | hidden | u64::from(run.deleted));
            }
        }
    }

    /// Runs in the order in which their authors made them, author by author.
    pub(crate) fn in_order(&self, runs: &[SettledRun]) -> Vec<SettledRun> {
        in_order(runs, |log| self.rank(log))
    }
}

/// Runs by the ranks of their authors, and by seq.
fn in_order(runs: &[SettledRun], rank: impl Fn(u32) -> u32) -> Vec<SettledRun> {
    let key = |run: &SettledRun| u64::from(rank(run.dot.log)) << 32 | u64::from(run.dot.seq);
    let keys: Vec<u64> = runs.iter().map(key).collect();
    ranking(&keys).into_iter().map(|at| runs[at as usize]).collect()
}

impl StateReader<'_> {
    /// What `StateWriter::runs` wrote, and the same in the order of `StateWriter::in_order`.
    pub(crate) fn runs(&mut self, hides: bool) -> Result<(Vec<SettledRun>, Vec<SettledRun>), DecodeError> {
        let left = self.columns.left(Column::RunLength) as u64;
        let count = self.reader.bounded("run count", left)?;
        let mut runs = Vec::with_capacity(count as usize);
        let mut total = 0u64;
        while runs.len() < count as usize {
            let rank = self.columns.number(Column::RunAuthor)?;
            let unknown =
                || self.columns.error(Column::RunAuthor, DecodeErrorKind::Inconsistent("there is no such log"));
            let rank = usize::try_from(rank).ok().filter(|rank| *rank < self.logs.len()).ok_or_else(unknown)?;
            let more = self.columns.number(Column::RunAuthor)?;
            if more >= count - runs.len() as u64 {
                let why = DecodeErrorKind::Inconsistent("there are not as many runs");
                return Err(self.columns.error(Column::RunAuthor, why));
            }
            for _ in 0..=more {
                let run = self.run(rank, hides)?;
                total += u64::from(run.len);
                runs.push(run);
            }
        }
        let sorted = in_order(&runs, |log| self.ranks[log as usize]);
        let overlap = |pair: &[SettledRun]| {
            let [SettledRun { dot, len, .. }, next] = pair else { return false };
            dot.log == next.dot.log && next.dot.seq - dot.seq < *len
        };
        if total > u64::from(u32::MAX) || sorted.windows(2).any(overlap) {
            return self.fail("run", "an element stands in two places");
        }
        Ok((runs, sorted))
    }

    /// A depth, if one can be as large.
    pub(crate) fn checked_depth(&self, depth: u64) -> Result<u64, DecodeError> {
        let above = DecodeErrorKind::AboveLimit { got: depth, max: MAX_DEPTH };
        if depth <= MAX_DEPTH { Ok(depth) } else { Err(self.columns.error(Column::ElementDepth, above)) }
    }

    fn run(&mut self, rank: usize, hides: bool) -> Result<SettledRun, DecodeError> {
        let (log, end) = self.logs[rank];
        let outside = DecodeErrorKind::Inconsistent("it is not in its log");
        let difference = unzigzag(self.columns.number(Column::RunStart)?) as i64;
        let seq = i64::from(self.ends[rank]).checked_add(difference).filter(|seq| (0..end as i64).contains(seq));
        let seq = seq.ok_or_else(|| self.columns.error(Column::RunStart, outside.clone()))? as u32;
        let bits = self.columns.number(Column::RunLength)?;
        let len = (bits >> (1 + u32::from(hides))).saturating_add(1);
        if len > end - u64::from(seq) {
            return Err(self.columns.error(Column::RunLength, outside));
        }
        self.ends[rank] = seq + len as u32;
        Ok(SettledRun {
            dot: Dot { log, seq },
            len: len as u32,
            deleted: bits & 1 == 1,
            hidden: hides && bits & 2 == 2,
        })
    }
}

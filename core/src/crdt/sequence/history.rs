//! Which operations made a sequence, by author: what inserting and deleting has to be taken back and redone when the
//! prepare version moves.
//!
//! Always holds: the records of an author are sorted by seq; the prepare version names every author with records.

use smallvec::SmallVec;

use crate::graph::{Dot, Past};

/// What a stretch of operations did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Inserted the elements that bear the operations' own ids.
    Insert,
    /// Deleted the elements from `target` on, upward, or downward if `backward`.
    Delete { target: Dot, backward: bool },
}

/// Consecutive operations that did one thing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) seq: u32,
    pub(super) len: u32,
    pub(super) deed: Deed,
}

impl Record {
    /// The first of the elements that operations `start .. start + len` concern.
    pub(super) fn target(&self, log: u32, start: u32, len: u32) -> Dot {
        match self.deed {
            Deed::Insert => Dot { log, seq: start },
            Deed::Delete { target, backward: false } => target.plus(start - self.seq),
            Deed::Delete { target, backward: true } => target.minus(start - self.seq + len - 1),
        }
    }
}

/// One author's part.
#[derive(Clone, Debug)]
pub(super) struct Author {
    pub(super) log: u32,
    /// Exclusive end of the author's operations that count at the prepare version.
    prepared: u32,
    pub(super) records: Vec<Record>,
}

impl Author {
    fn end(&self) -> u32 {
        self.records.last().map_or(0, |last| last.seq + last.len)
    }
}

/// A stretch of elements whose prepare count changes by one when the version moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shift {
    pub(super) first: Dot,
    pub(super) len: u32,
    pub(super) forward: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pub(super) authors: SmallVec<[Author; 2]>,
}

impl History {
    /// Notes that operations from `dot` on, which count at the prepare version, did `deed`.
    pub(super) fn record(&mut self, dot: Dot, len: u32, deed: Deed) {
        let author = match self.authors.iter().position(|author| author.log == dot.log) {
            Some(index) => &mut self.authors[index],
            None => {
                self.authors.push(Author { log: dot.log, prepared: 0, records: Vec::new() });
                self.authors.last_mut().expect("pushed above")
            }
        };
        author.prepared = dot.seq + len;
        if let Some(last) = author.records.last_mut()
            && last.seq + last.len == dot.seq
            && goes_on(last, deed, len)
        {
            last.len += len;
            return;
        }
        author.records.push(Record { seq: dot.seq, len, deed });
    }

    /// Moves the prepare version to `past` and returns what changes by it.
    pub(super) fn prepare(&mut self, past: &Past) -> Vec<Shift> {
        let mut shifts = Vec::new();
        for author in &mut self.authors {
            let end = author.end();
            let wanted = past.end(author.log).map_or(end, |seen| seen.min(end));
            let (from, to, forward) =
                (author.prepared.min(wanted), author.prepared.max(wanted), wanted > author.prepared);
            let first = author.records.partition_point(|record| record.seq + record.len <= from);
            for record in author.records[first..].iter().take_while(|record| record.seq < to) {
                let start = from.max(record.seq);
                let len = to.min(record.seq + record.len) - start;
                shifts.push(Shift { first: record.target(author.log, start, len), len, forward });
            }
            author.prepared = wanted;
        }
        shifts
    }
}

/// Whether a deed of `len` more operations goes on where the last record ends; a single deletion has no direction yet.
fn goes_on(last: &mut Record, deed: Deed, len: u32) -> bool {
    match (&mut last.deed, deed) {
        (Deed::Insert, Deed::Insert) => true,
        (Deed::Delete { target, backward }, Deed::Delete { target: next, backward: next_backward }) => {
            if target.log != next.log {
                return false;
            }
            let upward = target.seq + last.len == next.seq && (!*backward || last.len == 1);
            let downward = next.seq + last.len == target.seq && (*backward || last.len == 1);
            if upward && (!next_backward || len == 1) {
                *backward = false;
                return true;
            }
            if downward && (next_backward || len == 1) {
                *backward = true;
                return true;
            }
            false
        }
        _ => false,
    }
}

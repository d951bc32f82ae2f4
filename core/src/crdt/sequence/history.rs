//! Which operations made a sequence, by author: what inserting and deleting has to be taken back and redone when the
//! prepare version moves.
//!
//! Always holds: authors are sorted by log, an author's records by seq; the prepare version names every author with
//! records.

use smallvec::SmallVec;

use super::lane::Reached;
use super::tree::Cursor;
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
    /// Where the elements of its latest shift were.
    near: Cursor,
    pub(super) records: Vec<Record>,
}

impl Author {
    /// How many of its operations count at `past`.
    fn wanted(&self, past: &Past) -> u32 {
        let end = self.end();
        past.end(self.log).map_or(end, |seen| seen.min(end))
    }

    /// Number of records between two ends.
    fn records_between(&self, a: u32, b: u32) -> usize {
        if a == b { 0 } else { self.first_record(a).abs_diff(self.first_record(b)) + 1 }
    }

    fn end(&self) -> u32 {
        self.records.last().map_or(0, |last| last.seq + last.len)
    }

    /// The first record with operations from `seq` on.
    fn first_record(&self, seq: u32) -> usize {
        match &self.records[..] {
            [.., before, _] if before.seq + before.len <= seq => self.records.len() - 1,
            records => records.partition_point(|record| record.seq + record.len <= seq),
        }
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
    /// Notes that operations from `dot` on did `deed`; `counted` tells whether they count at the prepare version. `near`
    /// is a place close to what they did.
    pub(super) fn record(&mut self, dot: Dot, len: u32, deed: Deed, counted: bool, near: Cursor) {
        let author = match self.authors.binary_search_by_key(&dot.log, |author| author.log) {
            Ok(index) => &mut self.authors[index],
            Err(index) => {
                self.authors.insert(index, Author { log: dot.log, prepared: 0, near, records: Vec::new() });
                &mut self.authors[index]
            }
        };
        author.near = near;
        if counted {
            author.prepared = dot.seq + len;
        }
        if let Some(last) = author.records.last_mut()
            && last.seq + last.len == dot.seq
            && goes_on(last, deed, len)
        {
            last.len += len;
            return;
        }
        author.records.push(Record { seq: dot.seq, len, deed });
    }

    /// Whether `past` is the prepare version. O(authors).
    pub(super) fn is_at(&self, past: &Past) -> bool {
        self.authors.iter().all(|author| author.prepared == author.wanted(past))
    }

    /// How many records moving the prepare version to `past` concerns. O(authors × log n).
    pub(super) fn distance(&self, past: &Past) -> usize {
        self.authors.iter().map(|author| author.records_between(author.prepared, author.wanted(past))).sum()
    }

    /// The same from another prepare version.
    pub(super) fn distance_from(&self, reached: &[Reached], past: &Past) -> usize {
        let distance =
            |author: &Author| author.records_between(find(reached, author.log).prepared, author.wanted(past));
        self.authors.iter().map(distance).sum()
    }

    /// The prepare version.
    pub(super) fn reached(&self) -> Vec<Reached> {
        let reached = |author: &Author| Reached { log: author.log, prepared: author.prepared, near: author.near };
        self.authors.iter().map(reached).collect()
    }

    /// Takes over the prepare version of another tree and returns the one before.
    pub(super) fn exchange(&mut self, reached: &[Reached]) -> Vec<Reached> {
        let before = self.reached();
        for author in &mut self.authors {
            Reached { prepared: author.prepared, near: author.near, .. } = find(reached, author.log);
        }
        before
    }

    /// Moves the prepare version to `past`, telling `shift` of what changes by it. O(authors × logs not wholly seen), and
    /// what differs from the version before.
    pub(super) fn prepare(&mut self, past: &Past, mut shift: impl FnMut(Shift, &mut Cursor)) {
        for author in &mut self.authors {
            let wanted = author.wanted(past);
            if author.prepared == wanted {
                continue;
            }
            let (from, to, forward) =
                (author.prepared.min(wanted), author.prepared.max(wanted), wanted > author.prepared);
            for record in &author.records[author.first_record(from)..] {
                if record.seq >= to {
                    break;
                }
                let start = from.max(record.seq);
                let len = to.min(record.seq + record.len) - start;
                let first = record.target(author.log, start, len);
                shift(Shift { first, len, forward }, &mut author.near);
            }
            author.prepared = wanted;
        }
    }
}

/// How far a log was reached.
fn find(reached: &[Reached], log: u32) -> Reached {
    let at = reached.binary_search_by_key(&log, |reached| reached.log);
    at.map_or(Reached { log, prepared: 0, near: Cursor::START }, |at| reached[at])
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

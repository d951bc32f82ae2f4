//! A text as bytes: its characters, and who wrote them if a mark needs that or the state is to stand for its history.
//!
//! Normative: docs/format.md. Always holds: what is read has as many characters as its runs show.

use super::{Ids, TextState};
use crate::codec::{DecodeError, put_u64};
use crate::crdt::marks::Marks;
use crate::crdt::rope::Rope;
use crate::crdt::sequence::{Sequence, SettledRun};
use crate::crdt::{StateReader, StateWriter};

/// What a state tells of a text beyond its characters.
const NOTHING: u64 = 0;
const RUNS: u64 = 1;
const RUNS_AND_MARKS: u64 = 2;

impl TextState {
    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        put_u64(&mut out.out, self.rope.extent().bytes as u64);
        self.rope.chunks().for_each(|chunk| out.text.push_str(chunk));
        let ids = self.ids.as_deref().filter(|_| out.is_base || self.is_marked());
        let Some(Ids { sequence, backlog }) = ids else { return put_u64(&mut out.out, NOTHING) };
        debug_assert!(backlog.is_empty(), "a text was not caught up before its state was written");
        put_u64(&mut out.out, if self.is_marked() { RUNS_AND_MARKS } else { RUNS });
        out.runs(&sequence.settled_runs().collect::<Vec<SettledRun>>(), false);
        if let Some(marks) = &self.marks {
            marks.write_state(out);
        }
    }

    /// Without runs, an operation that was not there to see all of the text needs the history.
    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        let len = from.reader.u64("text length")?;
        self.rope = Rope::from(from.text(len)?);
        let detail = if from.is_old { NOTHING } else { from.reader.bounded("text detail", RUNS_AND_MARKS)? };
        if !from.is_old && (detail == NOTHING && from.is_base || detail == RUNS && !from.is_base) {
            return from.fail("text detail", "runs are there for marks, and where a state stands for its history");
        }
        self.ids = None;
        if detail == NOTHING {
            return Ok(());
        }
        let sequence = Sequence::settled(&from.runs(false)?.0);
        if sequence.len() != self.rope.len() {
            return from.fail("run", "the runs show more or fewer characters than there are");
        }
        if detail == RUNS_AND_MARKS {
            self.marks = Some(Box::new(Marks::read_state(&sequence, from)?));
        }
        self.ids = Some(Box::new(Ids { sequence, backlog: Vec::new() }));
        Ok(())
    }

    /// Whether it is known who wrote what.
    pub(crate) fn has_ids(&self) -> bool {
        self.ids.is_some()
    }
}

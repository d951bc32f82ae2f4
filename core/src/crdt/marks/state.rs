//! Marks as bytes: key by key, the steps in order, each operation once where it counts first.
//!
//! Normative: docs/format.md. Always holds: steps that were read are in order, and stay with characters that exist.

use std::cmp::Ordering;
use std::sync::Arc;

use super::{Mark, Marks, Step};
use crate::codec::{DecodeError, DecodeErrorKind, put_u64};
use crate::crdt::sequence::{Bound, Sequence, Side};
use crate::crdt::{StateReader, StateWriter};
use crate::graph::Dot;
use crate::op::{Expand, Value};
use crate::ordered::OrdMap;

/// Of a bound: it lies behind its character; it has one.
const BEHIND: u8 = 1;
const HAS_CHARACTER: u8 = 2;

impl Marks {
    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        out.count(self.keys.len());
        for (key, steps) in self.keys.iter() {
            out.str(key);
            out.count(steps.len());
            let mut known = OrdMap::new();
            for Step { at, winner } in steps {
                let side = if at.side == Side::After { BEHIND } else { 0 };
                out.out.push(if at.dot == Dot::NONE { side } else { side | HAS_CHARACTER });
                if at.dot != Dot::NONE {
                    out.dot(at.dot);
                }
                let Some(winner) = winner else {
                    out.count(0);
                    continue;
                };
                let new = known.len();
                let number = *known.entry(winner.rank).or_insert_with(|| new);
                out.count(1 + number);
                if number == new {
                    write_mark(winner, out);
                }
            }
        }
    }

    pub(crate) fn read_state(sequence: &Sequence, from: &mut StateReader<'_>) -> Result<Self, DecodeError> {
        let mut marks = Self::default();
        for _ in 0..from.count("mark key count")? {
            let key = from.str("mark key")?.to_owned();
            let (mut steps, mut known): (Vec<Step>, Vec<Arc<Mark>>) = (Vec::new(), Vec::new());
            for _ in 0..from.count("mark step count")? {
                let at = read_bound(sequence, from)?;
                let behind = |last: &Step| sequence.compare_bounds(last.at, at) == Ordering::Less;
                if !steps.last().is_none_or(behind) {
                    return from.fail("mark step", "it does not lie behind the one before");
                }
                let number = from.reader.bounded("mark", known.len() as u64 + 1)? as usize;
                if number > known.len() {
                    known.push(Arc::new(read_mark(from)?));
                }
                let winner = number.checked_sub(1).map(|number| known[number].clone());
                steps.push(Step { at, winner });
            }
            if marks.keys.insert(key, steps).is_some() {
                return from.fail("mark key", "it comes twice");
            }
        }
        Ok(marks)
    }
}

fn write_mark(mark: &Mark, out: &mut StateWriter<'_>) {
    let (depth, replica, seq) = mark.rank;
    put_u64(&mut out.out, depth);
    out.op(out.rank_of(replica), seq);
    out.out.push(mark.expand.tag() << 1 | u8::from(mark.value.is_some()));
    mark.value.iter().for_each(|value| out.value(value));
}

fn read_mark(from: &mut StateReader<'_>) -> Result<Mark, DecodeError> {
    let depth = from.depth("mark depth")?;
    let dot = from.dot("mark author")?;
    let bits = from.reader.bounded("mark rule", 7)?;
    let value = (bits & 1 == 1).then(|| from.value()).transpose()?;
    if matches!(value, Some(Value::Null | Value::Container(_))) {
        return from.fail("mark value", "no mark can have it");
    }
    let rank = (depth, from.replica(dot.log), dot.seq);
    Ok(Mark { rank, value, expand: Expand::ALL[bits as usize >> 1] })
}

fn read_bound(sequence: &Sequence, from: &mut StateReader<'_>) -> Result<Bound, DecodeError> {
    let bits = from.reader.bounded("mark bound", u64::from(BEHIND | HAS_CHARACTER))? as u8;
    let side = if bits & BEHIND == 0 { Side::Before } else { Side::After };
    if bits & HAS_CHARACTER == 0 {
        return Ok(Bound { dot: Dot::NONE, side });
    }
    let dot = from.dot("marked character")?;
    let unknown = DecodeErrorKind::Inconsistent("the text has no such character");
    if sequence.has(dot) { Ok(Bound { dot, side }) } else { Err(from.reader.error("marked character", unknown)) }
}

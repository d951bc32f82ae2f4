//! A list as bytes: the slots where they stand, then what is in them, in the order in which each author made them:
//! depths, times and often values then go on from one to the next.
//!
//! Normative: docs/format.md. Always holds: what is read is a list whose every slot has an element.

use super::{Element, ListState, Slot};
use crate::codec::{DecodeError, DecodeErrorKind, unzigzag, zigzag};
use crate::crdt::sequence::{Sequence, SettledRun};
use crate::crdt::{Column, MultiValue, StateReader, StateWriter};
use crate::graph::Dot;
use crate::op::Value;

/// An element with the one value that it was inserted with.
const NEW: u64 = 0;
/// A slot that a move opened.
const MOVED: u64 = 1;
/// An element with other values.
const OTHER: u64 = 2;

/// What comes next if an author goes on: an element that nobody has touched since, one deeper than the one before, and as
/// much later as that was later than the one before it.
#[derive(Default)]
struct Expected {
    depth: u64,
    last: u64,
    step: u64,
}

impl Expected {
    /// The depth that differs so much from what is expected, and expects the next one.
    fn depth(&mut self, difference: u64) -> u64 {
        let depth = self.depth.wrapping_add(difference);
        self.depth = depth.wrapping_add(1);
        depth
    }

    /// The same for a time.
    fn time(&mut self, difference: u64) -> u64 {
        self.step = self.step.wrapping_add(difference);
        self.last = self.last.wrapping_add(self.step);
        self.last
    }
}

/// A slot that a move opened, its element, and the depth of the move.
type Move = (Dot, Dot, u64);

impl ListState {
    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        let runs: Vec<SettledRun> = self.sequence.settled_runs().collect();
        out.runs(&runs, true);
        let (mut expected, mut gap) = (Expected::default(), 0);
        let none = MultiValue::default();
        for slot in out.in_order(&runs).iter().flat_map(SettledRun::dots) {
            let (element, moved) = (self.elements.get(&slot), self.moved.get(&slot));
            // A deleted element keeps its values: a move can bring it back.
            let value = element.map_or(&none, |element| &element.value);
            let new = value.inserted_by(slot);
            let lamport = match moved {
                Some(element) => self.slot_of(*element, slot).map_or(0, |slot| slot.lamport),
                None => element.map_or(0, |element| element.lamport),
            };
            let depth = lamport.wrapping_sub(expected.depth);
            expected.depth(depth);
            let time = new.map_or(0, |(hlc, _)| hlc.to_bits().wrapping_sub(expected.last).wrapping_sub(expected.step));
            if let Some((_, value)) = new {
                expected.time(time);
                value.write(out.streams.values());
                if (depth, time) == (0, 0) {
                    gap += 1;
                    continue;
                }
            }
            out.streams.put(Column::ElementGap, std::mem::take(&mut gap));
            let kind = if moved.is_some() { MOVED } else { OTHER };
            out.streams.put(Column::ElementKind, if new.is_some() { NEW } else { kind });
            out.streams.put(Column::ElementDepth, zigzag(depth));
            match moved {
                Some(element) => out.dot(*element),
                None if new.is_some() => out.streams.put(Column::ElementTime, zigzag(time)),
                None => value.write_state(out),
            }
        }
        out.streams.put(Column::ElementGap, gap);
    }

    fn slot_of(&self, element: Dot, slot: Dot) -> Option<&Slot> {
        self.elements.get(&element)?.slots.iter().find(|other| other.dot == slot)
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        if from.is_old {
            return self.read_old_state(from);
        }
        let (runs, sorted) = from.runs(true)?;
        let (mut expected, mut moves) = (Expected::default(), Vec::new());
        let mut gap = from.columns.number(Column::ElementGap)?;
        for slot in sorted.iter().flat_map(SettledRun::dots) {
            let (kind, depth) = match gap {
                0 => (from.columns.number(Column::ElementKind)?, unzigzag(from.columns.number(Column::ElementDepth)?)),
                _ => (NEW, 0),
            };
            let lamport = from.checked_depth(expected.depth(depth))?;
            let mut value = MultiValue::default();
            match kind {
                MOVED => moves.push((slot, from.dot("moved element")?, lamport)),
                NEW => {
                    let late = if gap == 0 { unzigzag(from.columns.number(Column::ElementTime)?) } else { 0 };
                    let content = Value::read(&mut from.columns.values)?;
                    value = MultiValue::inserted(slot, expected.time(late), from.replica(slot.log), content);
                }
                OTHER => value.read_state(from)?,
                kind => return Err(from.columns.error(Column::ElementKind, DecodeErrorKind::UnknownTag(kind))),
            }
            if kind != MOVED {
                self.elements.insert(slot, Element { value, slots: Vec::new(), lamport });
            }
            gap = if gap == 0 { from.columns.number(Column::ElementGap)? } else { gap - 1 };
        }
        if gap > 0 {
            return from.fail("expected elements", "there are more than the list has");
        }
        if moves.iter().any(|(_, element, _)| !self.elements.contains_key(element)) {
            return from.fail("moved element", "the list has no such element");
        }
        self.take_moves(moves, from);
        self.sequence = Sequence::settled(&runs);
        Ok(())
    }

    fn take_moves(&mut self, moves: Vec<Move>, from: &StateReader<'_>) {
        for (slot, element, lamport) in moves {
            let Some(entry) = self.elements.get_mut(&element) else { continue };
            if entry.slots.is_empty() {
                let replica = from.replica(element.log);
                entry.slots.push(Slot { lamport: entry.lamport, replica, dot: element });
            }
            entry.slots.push(Slot { lamport, replica: from.replica(slot.log), dot: slot });
            self.moved.insert(slot, element);
        }
    }

    /// A state of format version 1.
    fn read_old_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        let mut runs = Vec::new();
        for _ in 0..from.count("run count")? {
            let (dot, end) = from.run_start("run")?;
            let bits = from.reader.bounded("run length", (end - u64::from(dot.seq)) << 2 | 3)?;
            let (len, hidden, deleted) = ((bits >> 2) as u32, bits & 2 > 0, bits & 1 > 0);
            runs.push(SettledRun { dot, len: len.max(1), hidden, deleted });
        }
        let slots = runs.iter().flat_map(|run| (0..run.len).map(|i| run.dot.plus(i)));
        let mut moves = Vec::new();
        for slot in slots {
            if from.reader.u8("slot")? == 1 {
                moves.push((slot, from.dot("moved element")?, from.reader.u64("depth")?));
                continue;
            }
            let lamport = from.reader.u64("depth")?;
            let mut element = Element { value: MultiValue::default(), slots: Vec::new(), lamport };
            element.value.read_state(from)?;
            self.elements.insert(slot, element);
        }
        self.take_moves(moves, from);
        self.sequence = Sequence::settled(&runs);
        Ok(())
    }
}

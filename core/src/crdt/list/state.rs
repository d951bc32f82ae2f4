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
const USUAL: u64 = 0;
/// A slot that a move opened.
const MOVED: u64 = 1;
/// An element with other values.
const OTHER: u64 = 2;

/// A slot that a move opened, its element, and the depth of the move.
type Move = (Dot, Dot, u64);

impl ListState {
    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        let runs: Vec<SettledRun> = self.sequence.settled_runs().collect();
        out.runs(&runs, true);
        let (mut depth, mut time) = (0, 0);
        let none = MultiValue::default();
        for slot in out.in_order(&runs).iter().flat_map(SettledRun::dots) {
            let element = self.elements.get(&slot);
            let value = element.map_or(&none, |element| &element.value);
            let (kind, lamport) = match self.moved.get(&slot) {
                Some(element) => (MOVED, self.slot_of(*element, slot).map_or(0, |slot| slot.lamport)),
                None => {
                    (if value.inserted_by(slot).is_some() { USUAL } else { OTHER }, element.map_or(0, |e| e.lamport))
                }
            };
            out.streams.put(Column::ElementKind, kind);
            out.streams.put(Column::ElementDepth, zigzag(lamport.wrapping_sub(depth)));
            depth = lamport.wrapping_add(1);
            match (self.moved.get(&slot), value.inserted_by(slot)) {
                (Some(element), _) => out.dot(*element),
                (None, Some((hlc, value))) => {
                    out.streams.put(Column::ElementTime, zigzag(hlc.to_bits().wrapping_sub(time)));
                    time = hlc.to_bits();
                    value.write(out.streams.values());
                }
                // A deleted element keeps its values: a move can bring it back.
                (None, None) => value.write_state(out),
            }
        }
    }

    fn slot_of(&self, element: Dot, slot: Dot) -> Option<&Slot> {
        self.elements.get(&element)?.slots.iter().find(|other| other.dot == slot)
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        if from.is_old {
            return self.read_old_state(from);
        }
        let runs = from.runs(true)?;
        let (mut depth, mut time, mut moves) = (0u64, 0u64, Vec::new());
        for slot in from.in_order(&runs).iter().flat_map(SettledRun::dots) {
            let kind = from.columns.number(Column::ElementKind)?;
            let lamport = depth.wrapping_add(unzigzag(from.columns.number(Column::ElementDepth)?));
            let lamport = from.checked_depth(lamport)?;
            depth = lamport + 1;
            let mut value = MultiValue::default();
            match kind {
                MOVED => {
                    moves.push((slot, from.dot("moved element")?, lamport));
                    continue;
                }
                USUAL => {
                    time = time.wrapping_add(unzigzag(from.columns.number(Column::ElementTime)?));
                    let content = Value::read(&mut from.columns.values)?;
                    value = MultiValue::inserted(slot, time, from.replica(slot.log), content);
                }
                OTHER => value.read_state(from)?,
                kind => return Err(from.columns.error(Column::ElementKind, DecodeErrorKind::UnknownTag(kind))),
            }
            self.elements.insert(slot, Element { value, slots: Vec::new(), lamport });
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

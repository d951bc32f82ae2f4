//! A tree as bytes: its nodes with the places where the moves have put them, and the slots of their children.
//!
//! The moves themselves are not there: one that comes later has seen them all, so none of them is ever taken back. Slots
//! that show nothing are there, since positions count them. Normative: docs/format.md. Always holds: what is read is a
//! tree, every node of which stands in a slot of its parent or in the trash.

use super::{Node, Spot, TOP, TRASH, TreeState};
use crate::codec::DecodeError;
use crate::crdt::sequence::{Sequence, SettledRun};
use crate::crdt::{StateReader, StateWriter};
use crate::ordered::sort_by_key;

impl TreeState {
    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        let mut order: Vec<u32> = (TRASH + 1..self.nodes.len() as u32).collect();
        sort_by_key(&mut order, |node| {
            let dot = self.nodes[*node as usize].dot;
            (out.rank(dot.log), dot.seq)
        });
        let mut numbers = vec![TOP; self.nodes.len()];
        numbers[TRASH as usize] = TRASH;
        order.iter().zip(TRASH + 1..).for_each(|(node, number)| numbers[*node as usize] = number);
        out.count(order.len());
        for node in &order {
            let Node { dot, shown, .. } = &self.nodes[*node as usize];
            out.dot(*dot);
            out.count(numbers[shown.parent as usize] as usize);
            out.dot(shown.slot);
        }
        for parent in std::iter::once(&TOP).chain(&order) {
            let slots = self.nodes[*parent as usize].slots.iter().flat_map(|slots| slots.settled_runs());
            out.runs(&slots.collect::<Vec<SettledRun>>(), true);
        }
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        let count = from.count("node count")? as u32;
        for number in TRASH + 1..TRASH + 1 + count {
            let dot = from.dot("node")?;
            let parent = from.reader.bounded("node parent", u64::from(TRASH + count))? as u32;
            let spot = Spot { parent, slot: from.dot("node slot")? };
            self.nodes.push(Node { played: spot, shown: spot, ..Node::new(dot) });
            if self.numbers.insert(dot, number).is_some() {
                return from.fail("node", "it comes twice");
            }
        }
        for parent in std::iter::once(TOP).chain(TRASH + 1..TRASH + 1 + count) {
            let (runs, _) = from.runs(true)?;
            if !runs.is_empty() {
                self.nodes[parent as usize].slots = Some(Box::new(Sequence::settled(&runs)));
            }
        }
        let mut shown: u64 = self.nodes.iter().flat_map(|node| &node.slots).map(|slots| u64::from(slots.len())).sum();
        for node in TRASH + 1..self.nodes.len() as u32 {
            let Spot { parent, slot } = self.nodes[node as usize].shown;
            if parent == TRASH {
                continue;
            }
            let slots = self.nodes[parent as usize].slots.as_ref();
            let stands = slots.is_some_and(|slots| slots.has(slot) && slots.view_position(slot).is_some());
            if !stands || self.slots.insert(slot, node).is_some() {
                return from.fail("node slot", "the node does not stand in it alone");
            }
            shown -= 1;
        }
        if shown > 0 || !self.is_tree() {
            return from.fail("node parent", "a slot shows nothing, or a node lies below itself");
        }
        Ok(())
    }

    /// Whether the way up from every node ends at the top or in the trash. O(nodes).
    fn is_tree(&self) -> bool {
        // By the walk that came by first; walks that end are all alike.
        let mut walked = vec![0; self.nodes.len()];
        (TRASH + 1..self.nodes.len() as u32).all(|start| {
            let mut at = start;
            while at > TRASH && walked[at as usize] == 0 {
                walked[at as usize] = start;
                at = self.nodes[at as usize].shown.parent;
            }
            at <= TRASH || walked[at as usize] != start
        })
    }
}

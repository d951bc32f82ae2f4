//! Showing what the moves have led to: slots are hidden and shown, and events tell of it one node at a time.
//!
//! Always holds: the shown tree has no cycle at any step. Nodes that stay or come are settled first, from the top down: then
//! the parent of a node that moves stands where it will stand, not below the node. Those that leave are settled last, so that
//! nothing that stays leaves with them.

use super::{Event, Node, Spot, TOP, TRASH, TreeState};
use crate::graph::Dot;
use crate::ordered::sort_by_key;

impl TreeState {
    /// Shows these nodes where the moves have put them.
    pub(super) fn show(&mut self, mut touched: Vec<u32>, events: &mut Option<Vec<Event>>) {
        touched.retain(|node| self.node(*node).shown != self.node(*node).played);
        let mut climbed = Vec::new();
        let rank = |node| (self.rank(node, &mut climbed), node);
        let mut ranked: Vec<((bool, u32), u32)> = touched.into_iter().map(rank).collect();
        climbed.into_iter().for_each(|node| self.nodes[node as usize].rank = None);
        sort_by_key(&mut ranked, |item| *item);
        for ((leaves, _), node) in ranked {
            self.show_one(node, leaves, events);
        }
    }

    /// What leads from the tree that `a` shows to the one that `b` shows, told by a tree that knows all moves of both; it is
    /// of no use afterwards. O(n log n).
    pub(crate) fn turn(&mut self, a: &Self, b: &Self) -> Vec<Event> {
        self.imitate(a, &mut None);
        let mut events = Some(Vec::new());
        self.imitate(b, &mut events);
        events.unwrap_or_default()
    }

    /// Shows what another tree shows.
    fn imitate(&mut self, other: &Self, events: &mut Option<Vec<Event>>) {
        let nodes = TRASH + 1..self.nodes.len() as u32;
        for node in nodes.clone() {
            let shown = other.numbers.get(&self.node(node).dot).map_or(Spot::TRASH, |number| other.node(*number).shown);
            let parent = if shown.parent == TRASH { None } else { self.number(other.dot(shown.parent)) };
            let there = parent.map_or(Spot::TRASH, |parent| Spot { parent, ..shown });
            self.nodes[node as usize].played = there;
        }
        self.show(nodes.collect(), events);
    }

    /// Whether the node ends in the trash, and how deep. Notes it on the nodes climbed over, so that none is climbed twice.
    fn rank(&mut self, node: u32, climbed: &mut Vec<u32>) -> (bool, u32) {
        let (start, mut at) = (climbed.len(), node);
        let (leaves, mut depth) = loop {
            match self.node(at).rank {
                _ if at == TOP || at == TRASH => break (at == TRASH, 0),
                Some(rank) => break rank,
                None => climbed.push(at),
            }
            at = self.node(at).played.parent;
        };
        for below in climbed[start..].iter().rev() {
            depth += 1;
            self.nodes[*below as usize].rank = Some((leaves, depth));
        }
        (leaves, depth)
    }

    fn node(&self, number: u32) -> &Node {
        &self.nodes[number as usize]
    }

    fn show_one(&mut self, number: u32, leaves: bool, events: &mut Option<Vec<Event>>) {
        let was_shown = self.is_shown(number);
        let (from, to) = (self.node(number).shown, self.node(number).played);
        self.set_hidden(from, true);
        self.nodes[number as usize].shown = to;
        let index = self.set_hidden(to, false);
        let Some(events) = events else { return };
        let (node, parent) = (self.node(number).dot, self.dot(to.parent));
        match (was_shown, leaves) {
            (true, true) => events.push(Event::TreeDelete { node }),
            (true, false) => events.extend(index.map(|index| Event::TreeMove { node, parent, index })),
            (false, false) => {
                events.extend(index.map(|index| Event::TreeCreate { node, parent, index }));
                self.tell_below(node, events);
            }
            (false, true) => {}
        }
    }

    /// Hides or shows a slot; returns its place among those shown if that changed.
    fn set_hidden(&mut self, spot: Spot, hidden: bool) -> Option<u32> {
        let slots = self.nodes[spot.parent as usize].slots.as_mut()?;
        if spot.slot == Dot::NONE { None } else { slots.set_hidden(spot.slot, hidden) }
    }

    /// Tells of the nodes below one that has come (back) into the tree.
    fn tell_below(&self, top: Dot, events: &mut Vec<Event>) {
        let mut parents = vec![top];
        while let Some(parent) = parents.pop() {
            for (node, index) in self.children(Some(parent)).zip(0..) {
                events.push(Event::TreeCreate { node, parent: Some(parent), index });
                parents.push(node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hlc;
    use crate::crdt::Context;
    use crate::graph::{Logs, Past};
    use crate::id::ReplicaId;

    /// Two copies hear the same moves in opposite orders; each step is concurrent with all others.
    #[test]
    fn moves_that_cross_settle_in_one_order_whichever_comes_first() {
        let mut logs = Logs::new();
        let [a, b] = [1, 2].map(|replica| logs.intern(ReplicaId::from(replica)));
        let past = Past::everything();
        let context =
            |log, seq, lamport| Context { dot: Dot { log, seq }, hlc: Hlc::ZERO, lamport, past: &past, logs: &logs };
        let [x, y] = [Dot { log: a, seq: 0 }, Dot { log: a, seq: 1 }];
        let mut shown = Vec::new();
        for first in [a, b] {
            let (mut tree, mut events) = (TreeState::new(), Some(Vec::new()));
            assert!(tree.create(&context(a, 0, 0), None, 0));
            assert!(tree.create(&context(a, 1, 1), None, 1));
            tree.settle(&mut events);
            for log in [first, a + b - first] {
                let valid = if log == a {
                    tree.move_to(&context(a, 2, 2), x, Some(y), 0)
                } else {
                    tree.move_to(&context(b, 0, 2), y, Some(x), 0)
                };
                assert!(valid);
                tree.settle(&mut events);
            }
            assert_eq!((tree.parent(x), tree.parent(y)), (Some(Some(y)), Some(None)));
            shown.push((tree.children(None).collect::<Vec<_>>(), events.map_or(0, |events| events.len())));
        }
        // The second copy first shows y below x, then takes that back: two moves more than the creations, and one again.
        assert_eq!(shown, [(vec![y], 3), (vec![y], 5)]);
    }
}

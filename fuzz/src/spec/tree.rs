//! Trees by the definition: all moves in their order, from the first, every time anybody asks.
//!
//! A creation, a move and a removal are all moves of a node: under a parent, or out of the tree. Their order is that of (depth,
//! replica, seq). A move under the node itself or something below it does nothing.

use std::collections::{BTreeMap, BTreeSet};

use selvedge::OpId;

use super::history::{Deed, Run, Seen};
use super::sequence::Sequence;

/// A move: where to (a parent and the slot there), or `None` for out of the tree.
#[derive(Clone, Copy, Debug)]
struct Move {
    depth: u64,
    id: OpId,
    node: OpId,
    to: Option<Spot>,
}

/// The parent, and the operation that opened the slot there.
type Spot = (Option<OpId>, OpId);

/// Everything that a tree has received.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeSet<OpId>,
    moves: Vec<Move>,
    slots: BTreeMap<Option<OpId>, Sequence>,
}

impl Tree {
    /// Whether somebody who has seen this much knows the node (or means the top).
    pub(super) fn knows(&self, node: Option<OpId>, seen: &Seen) -> bool {
        node.is_none_or(|node| seen.contains(node) && self.nodes.contains(&node))
    }

    pub(super) fn apply(&mut self, deed: &Deed, run: &Run) -> bool {
        let (node, to) = match deed {
            Deed::TreeCreate { parent, pos } => (run.first, Some((*parent, *pos))),
            Deed::TreeMove { node, parent, pos } => (*node, Some((*parent, *pos))),
            Deed::TreeDelete { node } => (*node, None),
            _ => return false,
        };
        if !matches!(deed, Deed::TreeCreate { .. }) && !self.knows(Some(node), &run.seen) {
            return false;
        }
        if let Some((parent, pos)) = to {
            let slots = self.slots.get(&parent).cloned().unwrap_or_default();
            if !self.knows(parent, &run.seen) || pos > slots.visible(&run.seen).len() {
                return false;
            }
            self.slots.entry(parent).or_default().insert(run.first, pos, &run.seen);
        }
        self.nodes.insert(node);
        self.moves.push(Move { depth: run.depth, id: run.first, node, to: to.map(|(parent, _)| (parent, run.first)) });
        true
    }

    /// Where every node is that has a place.
    fn spots(&self) -> BTreeMap<OpId, Spot> {
        let mut moves = self.moves.clone();
        moves.sort_by_key(|one| (one.depth, one.id.replica, one.id.seq));
        let mut spots: BTreeMap<OpId, Spot> = BTreeMap::new();
        for Move { node, to, .. } in moves {
            let Some(to) = to else {
                spots.remove(&node);
                continue;
            };
            let mut above = to.0;
            while let Some(at) = above.filter(|at| *at != node) {
                above = spots.get(&at).and_then(|spot| spot.0);
            }
            if above.is_none() {
                spots.insert(node, to);
            }
        }
        spots
    }

    /// All nodes that are in the tree, each in front of its children, with their parents.
    pub(super) fn shown(&self) -> Vec<(OpId, Option<OpId>)> {
        let spots = self.spots();
        let children = |parent: Option<OpId>| {
            let order = self.slots.get(&parent).map(Sequence::order).unwrap_or_default();
            let here = |slot: OpId| spots.iter().find(|(_, spot)| **spot == (parent, slot)).map(|(node, _)| *node);
            order.into_iter().rev().filter_map(here).map(|node| (node, parent)).collect::<Vec<_>>()
        };
        let (mut shown, mut waiting) = (Vec::new(), children(None));
        while let Some((node, parent)) = waiting.pop() {
            shown.push((node, parent));
            waiting.extend(children(Some(node)));
        }
        shown
    }
}

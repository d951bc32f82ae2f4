//! A tree made at once of all its runs, level by level. O(n).
//!
//! Always holds: leaves and nodes have room for some edits before they are split.

use super::super::run::{Run, Sums};
use super::{Child, LEAF_MAX, Leaf, Link, NO_PARENT, NODE_MAX, Node, Tree};
use crate::ordered::ranking;

const LEAF_FILL: usize = LEAF_MAX * 3 / 4;
const NODE_FILL: usize = NODE_MAX * 3 / 4;

impl Tree {
    /// Runs in order.
    pub(in super::super) fn from_runs(runs: &[Run]) -> Self {
        if runs.is_empty() {
            return Self::new();
        }
        let link = Link { parent: NO_PARENT, slot: 0 };
        let count = runs.len().div_ceil(LEAF_FILL) as u32;
        let mut tree = Self { leaves: Vec::with_capacity(count as usize), nodes: Vec::new(), ..Self::new() };
        let mut level: Vec<Child> = Vec::with_capacity(count as usize);
        for (id, runs) in (0..).zip(runs.chunks(LEAF_FILL)) {
            let mut sums = Sums::default();
            runs.iter().for_each(|run| sums.add(run.sums()));
            level.push(Child { id, sums });
            let next = (id + 1 < count).then_some(id + 1);
            tree.leaves.push(Leaf { runs: runs.to_vec(), link, next });
        }
        let mut over_leaves = true;
        while over_leaves || level.len() > 1 {
            let mut above = Vec::with_capacity(level.len().div_ceil(NODE_FILL));
            for children in level.chunks(NODE_FILL) {
                let id = tree.nodes.len() as u32;
                let mut sums = Sums::default();
                children.iter().for_each(|child| sums.add(child.sums));
                tree.nodes.push(Node { children: children.to_vec(), link, over_leaves });
                tree.number_children(id, 0);
                above.push(Child { id, sums });
            }
            (level, over_leaves) = (above, false);
        }
        (tree.root, tree.total) = (level[0].id, level[0].sums);
        let keys: Vec<u64> = runs.iter().map(|run| u64::from(run.dot.log) << 32 | u64::from(run.dot.seq)).collect();
        for at in ranking(&keys) {
            tree.homes.insert(runs[at as usize].dot, at / LEAF_FILL as u32);
        }
        tree
    }
}

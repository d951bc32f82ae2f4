//! Sequences by the book: the tree of FugueMax (Weidner & Kleppmann, arXiv 2305.00583), walked anew for every
//! operation.
//!
//! Every item is a left or a right child of another (or of the root). In order: an item's left children, the item, its
//! right children. Left siblings are ordered by id; right siblings by right origin, the one whose right origin lies
//! furthest right first, then by id. An insertion behind item L, where R comes next among all items that its author knew, makes
//! a right child of L if L had no right child that the author knew, and else a left child of R.

use std::collections::BTreeMap;

use selvedge::{OpId, ReplicaId};

use super::history::Seen;

/// An item of the tree; `None` stands for the root, and for the end as a right origin.
#[derive(Clone, Debug, Default)]
struct Item {
    left: Vec<OpId>,
    right: Vec<OpId>,
    right_origin: Option<OpId>,
}

/// A sequence with everything that was ever in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sequence {
    items: BTreeMap<Option<OpId>, Item>,
    /// Who deleted an item.
    deletions: BTreeMap<OpId, Vec<OpId>>,
}

impl Sequence {
    /// All items in order, deleted ones included.
    pub(super) fn order(&self) -> Vec<OpId> {
        enum Visit {
            Below(Option<OpId>),
            Item(OpId),
        }
        let (mut order, mut stack) = (Vec::new(), vec![Visit::Below(None)]);
        while let Some(next) = stack.pop() {
            let at = match next {
                Visit::Item(id) => {
                    order.push(id);
                    continue;
                }
                Visit::Below(at) => at,
            };
            let Some(item) = self.items.get(&at) else { continue };
            stack.extend(item.right.iter().rev().map(|child| Visit::Below(Some(*child))));
            stack.extend(at.map(Visit::Item));
            stack.extend(item.left.iter().rev().map(|child| Visit::Below(Some(*child))));
        }
        order
    }

    pub(super) fn is_deleted(&self, item: OpId) -> bool {
        self.deletions.contains_key(&item)
    }

    /// Hides what one replica inserted, and shows what only it deleted.
    pub(super) fn forget(&mut self, replica: ReplicaId) {
        self.deletions.values_mut().for_each(|by| by.retain(|op| op.replica != replica));
        self.deletions.retain(|_, by| !by.is_empty());
        for item in self.items.keys().flatten().filter(|item| item.replica == replica) {
            self.deletions.insert(*item, vec![*item]);
        }
    }

    /// The items that somebody who has seen this much sees, in order.
    pub(super) fn visible(&self, seen: &Seen) -> Vec<OpId> {
        let gone = |id: &OpId| self.deletions.get(id).is_some_and(|by| by.iter().any(|op| seen.contains(*op)));
        self.order().into_iter().filter(|id| seen.contains(*id) && !gone(id)).collect()
    }

    /// Inserts an item before position `pos` of what its author sees. The position exists.
    pub(super) fn insert(&mut self, id: OpId, pos: usize, seen: &Seen) {
        let left_origin = pos.checked_sub(1).map(|before| self.visible(seen)[before]);
        let order = self.order();
        let known: Vec<OpId> = order.iter().copied().filter(|id| seen.contains(*id)).collect();
        let after_left = left_origin.map_or(0, |left| known.iter().position(|id| *id == left).map_or(0, |at| at + 1));
        let right_origin = known.get(after_left).copied();
        let has_right_child =
            self.items.get(&left_origin).is_some_and(|item| item.right.iter().any(|child| seen.contains(*child)));
        self.items.insert(Some(id), Item { right_origin, ..Item::default() });
        if has_right_child {
            let siblings = &mut self.items.entry(right_origin).or_default().left;
            siblings.push(id);
            siblings.sort_unstable();
            return;
        }
        let place = |origin: Option<OpId>| {
            origin.map_or(usize::MAX, |origin| order.iter().position(|id| *id == origin).unwrap_or(usize::MAX))
        };
        let mut siblings = self.items.entry(left_origin).or_default().right.clone();
        siblings.push(id);
        siblings.sort_by_key(|sibling| (std::cmp::Reverse(place(self.items[&Some(*sibling)].right_origin)), *sibling));
        self.items.entry(left_origin).or_default().right = siblings;
    }

    /// Deletes the item at position `pos` of what the operation's author sees. The position exists.
    pub(super) fn delete(&mut self, op: OpId, pos: usize, seen: &Seen) {
        let item = self.visible(seen)[pos];
        self.deletions.entry(item).or_default().push(op);
    }
}

//! `Tree`: the items of a collection in a 16-way radix tree over their ids, with a hash for every set of items under a
//! prefix.
//!
//! The hash of at most `LEAF` items is that of the items in their order, of more that of the sixteen hashes one level
//! down (Merkle 1987). Always holds: a hash depends on the items under its prefix alone, so two trees agree on it
//! whatever the order of their insertions and the rest of their content. Hashes are computed when asked for: an edit
//! forgets those on its path. Items are never removed, only replaced by others with the same id.

use super::item::{Hash, ID_BITS, Id, Item, Key};

/// Most items of a node that is not divided.
pub(super) const LEAF: u32 = 32;

/// Bits per level, and children per node.
const LEVEL_BITS: u32 = 4;
pub(super) const FAN: usize = 1 << LEVEL_BITS;

/// Levels below the root: those of a whole id.
pub(super) const MAX_DEPTH: u32 = ID_BITS / LEVEL_BITS;

const NO_SLOT: u32 = u32::MAX;
const LEAF_DOMAIN: u8 = 1;
const INNER_DOMAIN: u8 = 2;

/// The ids that begin with `depth` given digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Prefix {
    pub(super) depth: u32,
    /// The digits, four bits each; the last one lowest.
    pub(super) digits: u64,
}

impl Prefix {
    pub(super) const ALL: Self = Self { depth: 0, digits: 0 };

    /// The prefix that is all of an id.
    fn whole(id: Id) -> Self {
        Self { depth: MAX_DEPTH, digits: id }
    }

    pub(super) fn child(self, digit: usize) -> Self {
        Self { depth: self.depth + 1, digits: self.digits << LEVEL_BITS | digit as u64 }
    }

    pub(super) fn parent(self) -> Self {
        Self { depth: self.depth.saturating_sub(1), digits: self.digits >> LEVEL_BITS }
    }

    pub(super) fn contains(self, id: Id) -> bool {
        id >> (LEVEL_BITS * (MAX_DEPTH - self.depth)) == self.digits
    }

    fn digit(self, level: u32) -> usize {
        (self.digits >> (LEVEL_BITS * (self.depth - 1 - level))) as usize % FAN
    }
}

#[derive(Clone, Debug)]
struct Node {
    count: u32,
    /// The first of sixteen children in a row, or the first slot of a leaf.
    link: u32,
    hash: Option<Hash>,
}

const EMPTY: Node = Node { count: 0, link: NO_SLOT, hash: None };

/// Items by slot, numbered from 0 in the order of insertion, and the tree over them.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    items: Vec<Item>,
    /// The next slot of the same leaf.
    next: Vec<u32>,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { nodes: vec![EMPTY], items: Vec::new(), next: Vec::new() }
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Adds an item; its slot is the number of items before. O(log n).
    pub(super) fn insert(&mut self, item: Item) {
        let slot = self.items.len() as u32;
        self.items.push(item);
        self.next.push(NO_SLOT);
        let (mut at, mut depth) = (0, 0);
        loop {
            if self.nodes[at].count == LEAF && depth < MAX_DEPTH {
                self.divide(at, depth);
            }
            self.nodes[at].count += 1;
            self.nodes[at].hash = None;
            if !self.is_inner(at, depth) {
                return self.link(at, slot);
            }
            at = self.child(at, depth, item.id());
            depth += 1;
        }
    }

    /// Puts another item with the same id into a slot, and returns the one that was there. O(log n).
    pub(super) fn replace(&mut self, slot: u32, item: Item) -> Item {
        let (mut at, mut depth) = (0, 0);
        self.nodes[at].hash = None;
        while self.is_inner(at, depth) {
            at = self.child(at, depth, item.id());
            depth += 1;
            self.nodes[at].hash = None;
        }
        std::mem::replace(&mut self.items[slot as usize], item)
    }

    /// The slots of an id; nearly always one or none.
    pub(super) fn find(&self, id: Id) -> impl Iterator<Item = u32> + '_ {
        let (at, _) = self.locate(Prefix::whole(id));
        self.leaf(at).filter(move |slot| self.items[*slot as usize].id() == id)
    }

    /// Number of items under a prefix, or under the leaf that it is a part of.
    pub(super) fn count_at_most(&self, prefix: Prefix) -> u32 {
        self.nodes[self.locate(prefix).0].count
    }

    /// The slots under a prefix in the order of their items.
    pub(super) fn slots(&self, prefix: Prefix) -> Vec<u32> {
        let (at, depth) = self.locate(prefix);
        let mut slots = Vec::new();
        self.collect(at, depth, &mut slots);
        if depth < prefix.depth {
            slots.retain(|slot| prefix.contains(self.items[*slot as usize].id()));
        }
        slots.sort_unstable_by_key(|slot| self.items[*slot as usize]);
        slots
    }

    /// The hash of the items under a prefix. O(1) if it is known, else O(log n) per edit since it was.
    pub(super) fn hash(&mut self, prefix: Prefix, key: &Key) -> Hash {
        let (at, depth) = self.locate(prefix);
        if depth == prefix.depth { self.node_hash(at, depth, key) } else { self.items_hash(&self.slots(prefix), key) }
    }

    fn node_hash(&mut self, at: usize, depth: u32, key: &Key) -> Hash {
        if let Some(hash) = self.nodes[at].hash {
            return hash;
        }
        let hash = if self.is_inner(at, depth) {
            let first = self.nodes[at].link as usize;
            let mut bytes = vec![INNER_DOMAIN];
            for child in first..first + FAN {
                bytes.extend_from_slice(&self.node_hash(child, depth + 1, key));
            }
            key.hash(&bytes)
        } else {
            let mut slots: Vec<u32> = self.leaf(at).collect();
            slots.sort_unstable_by_key(|slot| self.items[*slot as usize]);
            self.items_hash(&slots, key)
        };
        self.nodes[at].hash = Some(hash);
        hash
    }

    fn items_hash(&self, slots: &[u32], key: &Key) -> Hash {
        if slots.is_empty() {
            return Hash::default();
        }
        let mut bytes = vec![LEAF_DOMAIN];
        slots.iter().for_each(|slot| bytes.extend_from_slice(&self.items[*slot as usize].0));
        key.hash(&bytes)
    }

    fn is_inner(&self, at: usize, depth: u32) -> bool {
        self.nodes[at].count > LEAF && depth < MAX_DEPTH
    }

    fn child(&self, at: usize, depth: u32, id: Id) -> usize {
        self.nodes[at].link as usize + Prefix::whole(id).digit(depth)
    }

    fn link(&mut self, at: usize, slot: u32) {
        self.next[slot as usize] = self.nodes[at].link;
        self.nodes[at].link = slot;
    }

    /// The slots of a leaf.
    fn leaf(&self, at: usize) -> impl Iterator<Item = u32> + '_ {
        let some = |slot: u32| (slot != NO_SLOT).then_some(slot);
        std::iter::successors(some(self.nodes[at].link), move |slot| some(self.next[*slot as usize]))
    }

    /// Gives children to a full leaf.
    fn divide(&mut self, at: usize, depth: u32) {
        let slots: Vec<u32> = self.leaf(at).collect();
        self.nodes[at].link = self.nodes.len() as u32;
        self.nodes.extend(std::iter::repeat_n(EMPTY, FAN));
        for slot in slots {
            let child = self.child(at, depth, self.items[slot as usize].id());
            self.nodes[child].count += 1;
            self.link(child, slot);
        }
    }

    /// The node of a prefix, or the leaf that it is a part of.
    fn locate(&self, prefix: Prefix) -> (usize, u32) {
        let (mut at, mut depth) = (0, 0);
        while depth < prefix.depth && self.is_inner(at, depth) {
            at = self.nodes[at].link as usize + prefix.digit(depth);
            depth += 1;
        }
        (at, depth)
    }

    fn collect(&self, at: usize, depth: u32, slots: &mut Vec<u32>) {
        if !self.is_inner(at, depth) {
            return slots.extend(self.leaf(at));
        }
        let first = self.nodes[at].link as usize;
        (first..first + FAN).for_each(|child| self.collect(child, depth + 1, slots));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(count: u64, same_bits: u32) -> Vec<Item> {
        let number = |i: u64| u128::from(super::super::item::mix(i + 1)) << 64 >> same_bits | u128::from(i);
        (0..count).map(|i| Item(number(i).to_be_bytes())).collect()
    }

    fn tree(items: &[Item]) -> Tree {
        let mut tree = Tree::new();
        items.iter().for_each(|item| tree.insert(*item));
        tree
    }

    /// The definition of a hash, from a sorted list.
    fn naive(items: &[Item], depth: u32, key: &Key) -> Hash {
        if items.is_empty() {
            return Hash::default();
        }
        let mut bytes = vec![LEAF_DOMAIN];
        if items.len() <= LEAF as usize || depth == MAX_DEPTH {
            items.iter().for_each(|item| bytes.extend_from_slice(&item.0));
        } else {
            bytes[0] = INNER_DOMAIN;
            for digit in 0..FAN {
                let under = |item: &&Item| Prefix::whole(item.id()).digit(depth) == digit;
                let child: Vec<Item> = items.iter().filter(under).copied().collect();
                bytes.extend_from_slice(&naive(&child, depth + 1, key));
            }
        }
        key.hash(&bytes)
    }

    #[test]
    fn hashes_are_those_of_the_definition_in_any_order() {
        let key = Key([7; 32]);
        for (count, same_bits) in [(0, 0), (1, 0), (32, 0), (33, 0), (2_000, 0), (90, 30), (70, 64)] {
            let mut items = items(count, same_bits);
            let mut forward = tree(&items);
            items.reverse();
            let mut backward = tree(&items);
            items.sort_unstable();
            let expected = naive(&items, 0, &key);
            assert_eq!(forward.hash(Prefix::ALL, &key), expected, "{count} items");
            assert_eq!(backward.hash(Prefix::ALL, &key), expected, "{count} items");
            let deep = Prefix::ALL.child(3).child(9).child(1);
            let under: Vec<Item> = items.iter().filter(|item| deep.contains(item.id())).copied().collect();
            assert_eq!(forward.hash(deep, &key), naive(&under, 3, &key), "{count} items");
            assert!(forward.slots(deep).iter().map(|slot| forward.items()[*slot as usize]).eq(under));
            assert_eq!(forward.slots(Prefix::ALL).len(), items.len());
        }
    }

    #[test]
    fn an_edit_changes_the_hashes_on_its_path_and_no_others() {
        let key = Key([7; 32]);
        let items = items(3_000, 0);
        let mut edited = tree(&items);
        let before: Vec<Hash> = (0..FAN).map(|digit| edited.hash(Prefix::ALL.child(digit), &key)).collect();
        let mut item = items[1_234];
        item.0[15] ^= 1;
        assert_eq!(edited.replace(1_234, item), items[1_234]);
        for (digit, before) in before.iter().enumerate() {
            let prefix = Prefix::ALL.child(digit);
            assert_eq!(edited.hash(prefix, &key) != *before, prefix.contains(item.id()));
        }
        edited.replace(1_234, items[1_234]);
        assert_eq!(edited.hash(Prefix::ALL, &key), tree(&items).hash(Prefix::ALL, &key));
    }
}

//! `Collection`: the documents that a side has, each with its item, and in which order they changed.
//!
//! Always holds: one entry per document, in the items, the tree and the change feed alike. A million documents with
//! names of 16 bytes take less than 100 MB. Not here: what is said about it to another side (`initiator`, `respond`).

use std::fmt;

use super::item::{Hash, Id, Item, Key, StateDigest};
use super::symbols::{Symbol, Symbols};
use super::tree::{Prefix, Tree};
use crate::id::DocName;

const NO_SLOT: u32 = u32::MAX;

/// A place in the change feed of one collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Whose feed: drawn at random whenever a feed begins anew.
    pub epoch: u64,
    /// Changes so far.
    pub seq: u64,
}

#[derive(Clone)]
struct Doc {
    name: DocName,
    /// The change that was its last.
    seq: u64,
    newer: u32,
    older: u32,
}

/// The documents of one side, at most 2³² − 1.
#[derive(Clone)]
pub struct Collection {
    pub(super) key: Key,
    cursor: Cursor,
    /// By the slots of the tree.
    docs: Vec<Doc>,
    /// The document that changed last.
    newest: u32,
    pub(super) tree: Tree,
    symbols: Symbols,
}

impl Collection {
    /// A collection without documents. Both sides of a comparison have the same `key`: secret from those who may write
    /// documents and are not compared with. `epoch` is drawn at random, for a feed begins here.
    pub fn new(key: [u8; 32], epoch: u64) -> Self {
        Self {
            key: Key(key),
            cursor: Cursor { epoch, seq: 0 },
            docs: Vec::new(),
            newest: NO_SLOT,
            tree: Tree::new(),
            symbols: Symbols::default(),
        }
    }

    /// An empty collection of all documents whose names begin with `prefix`, under the key that everybody knows for it.
    /// Who may write documents can then choose names and states whose items collide: a comparison takes longer by that,
    /// and is still never wrong about whether two collections are equal.
    pub fn of(prefix: &str, epoch: u64) -> Self {
        Self::new(blake3::derive_key("selvedge 2026 collection key", prefix.as_bytes()), epoch)
    }

    /// Adds a document, or notes its new state. Returns whether that was news. O(log n).
    pub fn update(&mut self, doc: &DocName, state: &StateDigest) -> bool {
        let id = self.key.id(doc);
        let item = self.key.item(id, doc, state);
        let known = self.tree.find(id).find(|slot| self.docs[*slot as usize].name == *doc);
        let slot = match known {
            Some(slot) if self.tree.items()[slot as usize] == item => return false,
            Some(slot) => {
                let before = self.tree.replace(slot, item);
                self.symbols.toggle(before);
                self.unlink(slot);
                slot
            }
            None => {
                self.tree.insert(item);
                self.docs.push(Doc { name: doc.clone(), seq: 0, newer: NO_SLOT, older: NO_SLOT });
                self.docs.len() as u32 - 1
            }
        };
        self.symbols.toggle(item);
        self.cursor.seq += 1;
        if let Some(newest) = self.docs.get_mut(self.newest as usize) {
            newest.newer = slot;
        }
        let doc = &mut self.docs[slot as usize];
        (doc.seq, doc.newer, doc.older) = (self.cursor.seq, NO_SLOT, self.newest);
        self.newest = slot;
        true
    }

    /// Number of documents.
    pub fn len(&self) -> usize {
        self.docs.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.docs.is_empty()
    }

    /// Where the change feed is now.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Documents that changed after the `seq`-th change, the last one first, each once. Takes as many steps as it
    /// returns documents.
    pub fn changed_since(&self, seq: u64) -> impl Iterator<Item = &DocName> {
        self.feed().take_while(move |doc| doc.seq > seq).map(|doc| &doc.name)
    }

    /// The oldest `max` of the documents that changed after the `seq`-th change, the oldest first, and the change up to
    /// which they tell. O(all that changed since).
    pub(super) fn page_since(&self, seq: u64, max: usize) -> (Vec<DocName>, u64) {
        let changed = self.changed_since(seq).count();
        let page: Vec<&Doc> = self.feed().take(changed).skip(changed.saturating_sub(max)).collect();
        let up_to = if page.len() < changed { page.first().map_or(seq, |doc| doc.seq) } else { self.cursor.seq };
        (page.into_iter().rev().map(|doc| doc.name.clone()).collect(), up_to)
    }

    /// 16 bytes that are equal where the documents and their states are: the root of a Merkle tree, so that not even
    /// those who know the key find two collections with the same one (2⁶⁴ work). Zero if there are no documents.
    /// O(log n) per edit since it was last asked for.
    pub fn fingerprint(&mut self) -> [u8; 16] {
        self.hash(Prefix::ALL)
    }

    pub(super) fn hash(&mut self, prefix: Prefix) -> Hash {
        self.tree.hash(prefix, &self.key)
    }

    pub(super) fn name(&self, slot: u32) -> &DocName {
        &self.docs[slot as usize].name
    }

    pub(super) fn names_of(&self, id: Id) -> impl Iterator<Item = &DocName> {
        self.tree.find(id).map(|slot| self.name(slot))
    }

    /// The first symbols of the set of items; from now on they are kept up to date.
    pub(super) fn symbols(&mut self, len: usize) -> &[Symbol] {
        self.symbols.prefix(len, self.tree.items())
    }

    /// The slot of an item.
    pub(super) fn slot(&self, item: Item) -> Option<u32> {
        self.tree.find(item.id()).find(|slot| self.tree.items()[*slot as usize] == item)
    }

    /// From the document that changed last to the one that did first.
    fn feed(&self) -> impl Iterator<Item = &Doc> {
        std::iter::successors(self.docs.get(self.newest as usize), |doc| self.docs.get(doc.older as usize))
    }

    fn unlink(&mut self, slot: u32) {
        let Doc { newer, older, .. } = self.docs[slot as usize];
        match self.docs.get_mut(newer as usize) {
            Some(doc) => doc.older = older,
            None => self.newest = older,
        }
        if let Some(doc) = self.docs.get_mut(older as usize) {
            doc.newer = newer;
        }
    }
}

impl fmt::Debug for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collection")
            .field("documents", &self.docs.len())
            .field("cursor", &self.cursor)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> DocName {
        DocName::new(format!("doc {number}")).expect("a good name")
    }

    #[test]
    fn the_feed_tells_each_changed_document_once() {
        let mut collection = Collection::new([1; 32], 9);
        for (doc, state) in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 1), (3, 2), (1, 3)] {
            collection.update(&name(doc), &[state; 16]);
        }
        assert_eq!(collection.cursor(), Cursor { epoch: 9, seq: 6 });
        let since = |seq| collection.changed_since(seq).cloned().collect::<Vec<_>>();
        assert_eq!(since(0), [name(1), name(3), name(2)]);
        assert_eq!(since(4), [name(1), name(3)]);
        assert_eq!(since(6), []);
        assert_eq!(collection.page_since(0, 2), (vec![name(2), name(3)], 5));
        assert_eq!(collection.page_since(5, 2), (vec![name(1)], 6));
        assert_eq!(collection.page_since(6, 2), (vec![], 6));
        assert_eq!(collection.page_since(u64::MAX, 2), (vec![], 6));
    }

    #[test]
    fn equal_content_has_equal_fingerprints_whatever_the_way_to_it() {
        let (mut one, mut other) = (Collection::new([1; 32], 1), Collection::new([1; 32], 2));
        assert_eq!(one.fingerprint(), [0; 16]);
        for number in 0..200 {
            one.update(&name(number), &[1; 16]);
            assert!(one.update(&name(number), &[2; 16]) && !one.update(&name(number), &[2; 16]));
            other.update(&name(199 - number), &[2; 16]);
        }
        assert_eq!(one.fingerprint(), other.fingerprint());
        assert_eq!(one.symbols(500), other.symbols(500));
        other.update(&name(7), &[1; 16]);
        assert_ne!(one.fingerprint(), other.fingerprint());
        let mut keyed = Collection::new([2; 32], 1);
        (0..200).for_each(|number| assert!(keyed.update(&name(number), &[2; 16])));
        assert_ne!(one.fingerprint(), keyed.fingerprint());
    }
}

//! `Catalog`: of every document in the store a digest, and the collections that peers compare with theirs.
//!
//! Always holds: a document without changes is not in it; a collection that is kept is up to date; their number is
//! bounded, those that were not used for longest are made anew when they are asked for. An update costs O(log n) per
//! kept collection that the document belongs to. Not here: where digests come from (`hub`), and what is asked
//! (`selvedge::merkle`).

use std::collections::BTreeMap;

use selvedge::DocName;
use selvedge::merkle::{Collection, StateDigest, respond};
use selvedge::sync::DocState;

/// Collections that are kept up to date.
const MAX_KEPT: usize = 64;

/// A collection that somebody asked about.
struct Kept {
    collection: Collection,
    /// When it was used last, in uses.
    used: u64,
    /// It has changed since `take_changed`.
    changed: bool,
}

/// All documents.
pub(crate) struct Catalog {
    digests: BTreeMap<DocName, StateDigest>,
    kept: BTreeMap<String, Kept>,
    uses: u64,
    /// The digest of a document without changes.
    empty: StateDigest,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        let empty = DocState::default().digest();
        Self { digests: BTreeMap::new(), kept: BTreeMap::new(), uses: 0, empty }
    }

    /// Number of documents.
    pub(crate) fn len(&self) -> usize {
        self.digests.len()
    }

    /// Notes the state of a document.
    pub(crate) fn update(&mut self, doc: &DocName, digest: StateDigest) {
        if digest == self.empty || self.digests.get(doc) == Some(&digest) {
            return;
        }
        self.digests.insert(doc.clone(), digest);
        for (prefix, kept) in &mut self.kept {
            if doc.as_str().starts_with(prefix.as_str()) {
                kept.changed |= kept.collection.update(doc, &digest);
            }
        }
    }

    /// The collection of all documents whose names begin with `prefix`. O(its documents) when it is not kept.
    pub(crate) fn collection(&mut self, prefix: &str) -> &mut Collection {
        self.uses += 1;
        if !self.kept.contains_key(prefix) {
            self.make(prefix);
        }
        let kept = self.kept.get_mut(prefix).expect("it was made just now");
        kept.used = self.uses;
        &mut kept.collection
    }

    /// The answer to a peer's question about a collection; `None` if it is no question.
    pub(crate) fn answer(&mut self, prefix: &str, question: &[u8]) -> Option<Vec<u8>> {
        respond(self.collection(prefix), question).ok()
    }

    /// The collections that have changed since this was asked last.
    pub(crate) fn take_changed(&mut self) -> Vec<String> {
        let changed = self.kept.iter_mut().filter_map(|(prefix, kept)| {
            let changed = std::mem::take(&mut kept.changed);
            changed.then(|| prefix.clone())
        });
        changed.collect()
    }

    fn make(&mut self, prefix: &str) {
        if self.kept.len() >= MAX_KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(prefix, _)| prefix.clone());
            oldest.and_then(|oldest| self.kept.remove(&oldest));
        }
        // Without randomness a cursor of an earlier run could be taken for one of this feed; then the fingerprints tell.
        let mut collection = Collection::of(prefix, getrandom::u64().unwrap_or_default());
        let from = self.digests.iter().skip_while(|(doc, _)| doc.as_str() < prefix);
        for (doc, digest) in from.take_while(|(doc, _)| doc.as_str().starts_with(prefix)) {
            collection.update(doc, digest);
        }
        self.kept.insert(prefix.to_owned(), Kept { collection, used: self.uses, changed: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(name: &str) -> DocName {
        DocName::new(name).expect("a name")
    }

    #[test]
    fn a_collection_has_the_documents_of_its_prefix_and_follows_them() {
        let mut catalog = Catalog::new();
        for name in ["a/1", "a/2", "b/1", "ab"] {
            catalog.update(&doc(name), [1; 16]);
        }
        catalog.update(&doc("a/empty"), DocState::default().digest());
        let sizes = |catalog: &mut Catalog| ["", "a", "a/", "c"].map(|prefix| catalog.collection(prefix).len());
        assert_eq!(sizes(&mut catalog), [4, 3, 2, 0]);
        assert!(catalog.take_changed().is_empty());
        catalog.update(&doc("a/3"), [1; 16]);
        catalog.update(&doc("a/3"), [1; 16]);
        assert_eq!(sizes(&mut catalog), [5, 4, 3, 0]);
        assert_eq!(catalog.take_changed(), ["", "a", "a/"]);
        assert!(catalog.take_changed().is_empty());
    }

    #[test]
    fn only_so_many_collections_are_kept_and_each_is_right_when_it_is_made_anew() {
        let mut catalog = Catalog::new();
        catalog.update(&doc("x1"), [1; 16]);
        let before = catalog.collection("x").fingerprint();
        (0..2 * MAX_KEPT).for_each(|i| assert!(catalog.collection(&i.to_string()).is_empty()));
        assert_eq!(catalog.kept.len(), MAX_KEPT);
        assert!(!catalog.kept.contains_key("x"));
        assert_eq!(catalog.collection("x").fingerprint(), before);
        catalog.update(&doc("x1"), [2; 16]);
        assert_ne!(catalog.collection("x").fingerprint(), before);
        assert_eq!(catalog.answer("x", b"no question"), None);
    }
}

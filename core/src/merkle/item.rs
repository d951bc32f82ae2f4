//! `Item`: a document and its state as 16 bytes, and the keyed hash that makes them.
//!
//! The first 6 bytes are the document's *id*, a hash of its name; the other 10 are a hash of name and state. So items in
//! their order are documents in the order of ids, and an edit leaves an item in its place. Always holds: everything is
//! hashed under the collection's key, so that whoever chooses names and contents without knowing it cannot aim at a
//! place in the tree, at equal items, or at a set of items whose sum cancels out. Two names with one id are told apart
//! by the rest of their items.

use crate::id::DocName;

/// What stands for the state of a document: equal for equal states. The sync protocol takes the document's fingerprint.
pub type StateDigest = [u8; 16];

/// A hash of a set of items; zero for the empty set.
pub(super) type Hash = [u8; 16];

/// A document's place: a hash of its name.
pub(super) type Id = u64;

/// Bits of an `Id`.
pub(super) const ID_BITS: u32 = 48;
pub(super) const ID_BYTES: usize = 6;

/// BLAKE3 under a key. Domains do not meet: a name has no control characters, all else starts with one.
#[derive(Clone)]
pub(super) struct Key(pub(super) [u8; 32]);

impl Key {
    pub(super) fn hash(&self, bytes: &[u8]) -> Hash {
        let mut out = [0; 16];
        out.copy_from_slice(&blake3::keyed_hash(&self.0, bytes).as_bytes()[..16]);
        out
    }

    pub(super) fn id(&self, doc: &DocName) -> Id {
        Item(self.hash(doc.as_str().as_bytes())).id()
    }

    pub(super) fn item(&self, id: Id, doc: &DocName, state: &StateDigest) -> Item {
        let name = doc.as_str().as_bytes();
        let mut bytes = Vec::with_capacity(1 + name.len() + state.len());
        bytes.push(0);
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(state);
        let mut item = self.hash(&bytes);
        item[..ID_BYTES].copy_from_slice(&id.to_be_bytes()[2..]);
        Item(item)
    }
}

/// A document and its state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item(pub(super) [u8; 16]);

impl Item {
    pub(super) fn id(self) -> Id {
        self.halves().0 >> (64 - ID_BITS)
    }

    /// The item as two numbers.
    pub(super) fn halves(self) -> (u64, u64) {
        let bits = u128::from_be_bytes(self.0);
        ((bits >> 64) as u64, bits as u64)
    }

    /// Four bytes that tell the item from another one with the same id. `nonce` makes them differ from one comparison
    /// to the next: what two items had in common by chance once, they do not the next time.
    pub(super) fn tag(self, nonce: u64) -> u32 {
        short(&self.0, nonce)
    }
}

/// Four bytes of a hash, other ones for every nonce.
pub(super) fn short(hash: &Hash, nonce: u64) -> u32 {
    let (high, low) = Item(*hash).halves();
    if (high, low) == (0, 0) { 0 } else { (mix(mix(high ^ nonce) ^ low) >> 32) as u32 }
}

/// Spreads a number over all bits (the finaliser of Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators, 2014).
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_that_are_equal_by_chance_differ_for_another_nonce() {
        let hashes: Vec<Hash> = (0..1_000_u32).map(|number| Key([1; 32]).hash(&number.to_le_bytes())).collect();
        for hash in &hashes {
            assert_ne!(short(hash, 1), short(hash, 2));
        }
        // Two hashes with one short form, made by turning `mix` round for one nonce.
        let (one, nonce) = (Item(hashes[0]), 7);
        let (high, low) = one.halves();
        let other_low = mix((high ^ 1) ^ nonce) ^ mix(high ^ nonce) ^ low;
        let other = Item((u128::from(high ^ 1) << 64 | u128::from(other_low)).to_be_bytes());
        assert_eq!(one.tag(nonce), other.tag(nonce));
        assert_ne!(one.tag(nonce + 1), other.tag(nonce + 1));
        assert_eq!((short(&[0; 16], 1), short(&[0; 16], 2)), (0, 0));
    }

    #[test]
    fn an_edit_leaves_the_place_and_the_key_decides_about_it() {
        let [one, other] = ["one", "other"].map(|name| DocName::new(name).expect("a good name"));
        let item = |key: u8, doc: &DocName, state: u8| {
            let key = Key([key; 32]);
            key.item(key.id(doc), doc, &[state; 16])
        };
        assert_eq!(item(1, &one, 1).id(), item(1, &one, 2).id());
        assert_ne!(item(1, &one, 1), item(1, &one, 2));
        for different in [item(1, &other, 1), item(2, &one, 1)] {
            assert_ne!(item(1, &one, 1).id(), different.id());
            assert_ne!(item(1, &one, 1).halves().1, different.halves().1);
        }
    }
}

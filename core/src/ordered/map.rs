//! `OrdMap`.
//!
//! Always holds: keys ascend strictly from chunk to chunk and inside of them; no chunk is empty; none is longer than
//! `CHUNK`.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::{Index, RangeBounds};

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::{Entry, OccupiedEntry, VacantEntry};
use super::iter::{Iter, Position};

/// Most entries in a chunk. Above it, the chunk is cut in two.
const CHUNK: usize = 64;

pub(crate) type IterMut<'a, K, V> =
    std::iter::Map<std::iter::Flatten<std::slice::IterMut<'a, Vec<(K, V)>>>, fn(&'a mut (K, V)) -> (&'a K, &'a mut V)>;

/// An ordered map.
#[derive(Clone)]
pub(crate) struct OrdMap<K, V> {
    pub(super) chunks: Vec<Vec<(K, V)>>,
    len: usize,
}

impl<K, V> OrdMap<K, V> {
    pub(crate) const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(&self.chunks, Position::START, self.end())
    }

    pub(crate) fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.iter().map(|(key, _)| key)
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.iter().map(|(_, value)| value)
    }

    pub(crate) fn iter_mut(&mut self) -> IterMut<'_, K, V> {
        self.chunks.iter_mut().flatten().map(|(key, value)| (&*key, value))
    }

    pub(crate) fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> {
        self.chunks.iter_mut().flatten().map(|(_, value)| value)
    }

    pub(crate) fn into_values(self) -> impl DoubleEndedIterator<Item = V> {
        self.chunks.into_iter().flatten().map(|(_, value)| value)
    }

    pub(crate) fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.is_empty()).then(|| self.remove_at(Position::START))
    }

    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        for chunk in &mut self.chunks {
            chunk.retain_mut(|(key, value)| keep(key, value));
        }
        self.chunks.retain(|chunk| !chunk.is_empty());
        self.len = self.chunks.iter().map(Vec::len).sum();
    }

    fn end(&self) -> Position {
        Position { chunk: self.chunks.len(), at: 0 }
    }

    pub(super) fn remove_at(&mut self, position: Position) -> (K, V) {
        let entry = self.chunks[position.chunk].remove(position.at);
        if self.chunks[position.chunk].is_empty() {
            self.chunks.remove(position.chunk);
        }
        self.len -= 1;
        entry
    }

    /// Inserts at the place that `find` gave; returns where the entry is now.
    pub(super) fn insert_at(&mut self, position: Position, key: K, value: V) -> Position {
        let mut position = position;
        self.len += 1;
        if self.chunks.is_empty() {
            self.chunks.push(Vec::new());
        }
        if self.chunks[position.chunk].len() == CHUNK {
            // What comes in order fills chunks; anything else leaves room on both sides.
            let cut = if position.at == CHUNK { CHUNK } else { CHUNK / 2 };
            let tail = self.chunks[position.chunk].split_off(cut);
            self.chunks.insert(position.chunk + 1, tail);
            if position.at >= cut {
                position = Position { chunk: position.chunk + 1, at: position.at - cut };
            }
        }
        self.chunks[position.chunk].insert(position.at, (key, value));
        position
    }
}

impl<K: Ord, V> OrdMap<K, V> {
    /// Where a key is, or where it would be inserted.
    pub(super) fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Result<Position, Position>
    where
        K: Borrow<Q>,
    {
        let chunk = lower_bound(self.chunks.len(), &|chunk| match self.chunks[chunk].last() {
            Some((last, _)) => last.borrow().cmp(key),
            None => Ordering::Less,
        });
        let (Ok(chunk) | Err(chunk)) = chunk;
        let Some(entries) = self.chunks.get(chunk) else {
            // Behind everything: at the end of the last chunk.
            let chunk = chunk.saturating_sub(1);
            return Err(Position { chunk, at: self.chunks.get(chunk).map_or(0, Vec::len) });
        };
        match lower_bound(entries.len(), &|at| entries[at].0.borrow().cmp(key)) {
            Ok(at) => Ok(Position { chunk, at }),
            Err(at) => Err(Position { chunk, at }),
        }
    }

    pub(crate) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let found = self.find(key).ok()?;
        Some(&self.chunks[found.chunk][found.at].1)
    }

    pub(crate) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let found = self.find(key).ok()?;
        Some(&mut self.chunks[found.chunk][found.at].1)
    }

    pub(crate) fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).is_ok()
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(found) => Some(std::mem::replace(&mut self.chunks[found.chunk][found.at].1, value)),
            Err(place) => {
                self.insert_at(place, key, value);
                None
            }
        }
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.find(key).ok().map(|found| self.remove_at(found).1)
    }

    pub(crate) fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        match self.find(&key) {
            Ok(at) => Entry::Occupied(OccupiedEntry { map: self, at }),
            Err(at) => Entry::Vacant(VacantEntry { map: self, at, key }),
        }
    }

    pub(crate) fn range<Q: Ord + ?Sized>(&self, range: impl RangeBounds<Q>) -> Iter<'_, K, V>
    where
        K: Borrow<Q>,
    {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        let before = |key: &Q| self.find(key).unwrap_or_else(|place| place);
        let behind = |key: &Q| match self.find(key) {
            Ok(found) => Position { at: found.at + 1, ..found },
            Err(place) => place,
        };
        let start = match range.start_bound() {
            Included(key) => before(key),
            Excluded(key) => behind(key),
            Unbounded => Position::START,
        };
        let end = match range.end_bound() {
            Included(key) => behind(key),
            Excluded(key) => before(key),
            Unbounded => self.end(),
        };
        Iter::new(&self.chunks, start, end)
    }
}

/// Where among `len` ascending items the one is that compares as equal, or where it would be inserted.
/// `dyn` because the browser package pays for every copy of it; natively it is inlined, and nothing is dynamic.
#[cfg_attr(target_family = "wasm", inline(never))]
#[cfg_attr(not(target_family = "wasm"), inline(always))]
fn lower_bound(len: usize, compare: &dyn Fn(usize) -> Ordering) -> Result<usize, usize> {
    let (mut from, mut to) = (0, len);
    while from < to {
        let middle = (from + to) / 2;
        match compare(middle) {
            Ordering::Less => from = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => to = middle,
        }
    }
    Err(from)
}

impl<K, V> Default for OrdMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for OrdMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for OrdMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<K: Eq, V: Eq> Eq for OrdMap<K, V> {}

impl<K: Hash, V: Hash> Hash for OrdMap<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        self.iter().for_each(|entry| entry.hash(state));
    }
}

impl<K: Ord, V> Extend<(K, V)> for OrdMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for OrdMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

impl<K, V> IntoIterator for OrdMap<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::Flatten<std::vec::IntoIter<Vec<(K, V)>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.chunks.into_iter().flatten()
    }
}

impl<'a, K, V> IntoIterator for &'a OrdMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, K, V> IntoIterator for &'a mut OrdMap<K, V> {
    type Item = (&'a K, &'a mut V);
    type IntoIter = IterMut<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl<K: Ord, V, const N: usize> From<[(K, V); N]> for OrdMap<K, V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<K: Ord + Borrow<Q>, Q: Ord + ?Sized, V> Index<&Q> for OrdMap<K, V> {
    type Output = V;

    fn index(&self, key: &Q) -> &V {
        self.get(key).expect("no entry for this key")
    }
}

impl<K: Serialize, V: Serialize> Serialize for OrdMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len))?;
        for (key, value) in self {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for OrdMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(std::marker::PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = OrdMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
                let mut map = OrdMap::new();
                while let Some((key, value)) = access.next_entry()? {
                    map.insert(key, value);
                }
                Ok(map)
            }
        }
        deserializer.deserialize_map(Entries(std::marker::PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::OrdMap;
    use std::collections::BTreeMap as Standard;

    /// Numbers that look random and are the same in every run.
    fn numbers(seed: u64) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(seed), |x| {
            Some(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407))
        })
        .map(|x| x >> 33)
    }

    fn same(ours: &OrdMap<u64, u64>, standard: &Standard<u64, u64>) {
        assert_eq!(ours.len(), standard.len());
        assert!(ours.iter().eq(standard.iter()) && ours.iter().rev().eq(standard.iter().rev()));
        assert!(ours.chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= super::CHUNK));
        assert_eq!(postcard::to_stdvec(ours), postcard::to_stdvec(standard));
    }

    #[test]
    fn it_does_what_the_standard_map_does() {
        for (seed, keys) in [(1, 8), (2, 300), (3, 5_000)] {
            let (mut ours, mut standard) = (OrdMap::new(), Standard::new());
            let mut random = numbers(seed);
            let mut next = |below: u64| random.next().expect("endless") % below;
            for round in 0..6_000 {
                let (key, other) = (next(keys), next(keys));
                match next(11) {
                    0..4 => assert_eq!(ours.insert(key, round), standard.insert(key, round)),
                    4 | 5 => assert_eq!(ours.remove(&key), standard.remove(&key)),
                    6 => {
                        *ours.entry(key).or_default() += 1;
                        *standard.entry(key).or_default() += 1;
                    }
                    7 => assert_eq!(ours.get(&key), standard.get(&key)),
                    8 => {
                        let (from, to) = (key.min(other), key.max(other));
                        assert!(ours.range(from..to).eq(standard.range(from..to)));
                        assert!(ours.range(from..=to).rev().eq(standard.range(from..=to).rev()));
                        assert!(ours.range(..to).eq(standard.range(..to)) && ours.range(to..).eq(standard.range(to..)));
                    }
                    9 => assert_eq!(ours.pop_first(), standard.pop_first()),
                    _ if next(40) == 0 => {
                        ours.retain(|key, value| (*key + *value) % 3 != 0);
                        standard.retain(|key, value| (*key + *value) % 3 != 0);
                    }
                    _ => {}
                }
                assert_eq!((ours.len(), ours.get(&key)), (standard.len(), standard.get(&key)));
            }
            same(&ours, &standard);
            let bytes = postcard::to_stdvec(&standard).expect("writes");
            assert_eq!(postcard::from_bytes(&bytes), Ok(ours.clone()));
            assert!(ours.into_iter().eq(standard));
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_chunks() {
        let map: OrdMap<u64, ()> = (0..6_400).map(|key| (key, ())).collect();
        assert_eq!(map.chunks.len(), 100);
    }
}

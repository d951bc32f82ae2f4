//! A place in a map that has an entry or could have one.

use super::iter::Position;
use super::map::OrdMap;

pub(crate) enum Entry<'a, K, V> {
    Occupied(OccupiedEntry<'a, K, V>),
    Vacant(VacantEntry<'a, K, V>),
}

pub(crate) struct OccupiedEntry<'a, K, V> {
    pub(super) map: &'a mut OrdMap<K, V>,
    pub(super) at: Position,
}

pub(crate) struct VacantEntry<'a, K, V> {
    pub(super) map: &'a mut OrdMap<K, V>,
    pub(super) at: Position,
    pub(super) key: K,
}

impl<'a, K, V> Entry<'a, K, V> {
    pub(crate) fn or_insert_with(self, make: impl FnOnce() -> V) -> &'a mut V {
        let (map, at) = match self {
            Self::Occupied(OccupiedEntry { map, at }) => (map, at),
            Self::Vacant(VacantEntry { map, at, key }) => {
                let at = map.insert_at(at, key, make());
                (map, at)
            }
        };
        &mut map.chunks[at.chunk][at.at].1
    }

    pub(crate) fn or_insert(self, value: V) -> &'a mut V {
        self.or_insert_with(|| value)
    }

    pub(crate) fn or_default(self) -> &'a mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}

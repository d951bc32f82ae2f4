//! The operations that the bench of types does: the same for every library, from a fixed seed.
//!
//! Always holds: every operation is possible where it stands; what it all comes to is known beforehand (`Sum`).

use std::collections::{BTreeMap, BTreeSet};

/// A type of container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Keys are set, often again.
    Map,
    /// Elements are added and removed.
    Set,
    /// Numbers are added.
    Counter,
    /// Numbers are inserted anywhere, and deleted.
    List,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Map, Self::Set, Self::Counter, Self::List];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Map => "map",
            Self::Set => "set",
            Self::Counter => "counter",
            Self::List => "list",
        }
    }
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Sets a key of the map.
    Put(u32, i64),
    /// Adds an element to the set.
    Add(u32),
    /// Removes one that is there.
    Remove(u32),
    /// Adds to the counter.
    Increment(i64),
    /// Inserts into the list.
    Insert(usize, i64),
    /// Deletes from the list.
    Delete(usize),
}

/// How many entries there are, and the sum of their numbers: of the set its elements, of the counter its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) entries: usize,
    pub(crate) total: i64,
}

impl Sum {
    /// What two concurrent halves come to; `None` where a library decides which of two wins.
    pub(crate) fn with(self, other: Self, kind: Kind) -> Option<Self> {
        let total = self.total + other.total;
        match kind {
            Kind::Counter => Some(Self { entries: 1, total }),
            Kind::List => Some(Self { entries: self.entries + other.entries, total }),
            Kind::Map | Kind::Set => None,
        }
    }
}

const KEYS: u64 = 10_000;
const ELEMENTS: u64 = 1_000;

/// The name of a key of the map.
pub(crate) fn key(number: u32) -> String {
    format!("key {number}")
}

/// `count` operations, and what they come to.
pub(crate) fn operations(kind: Kind, count: usize, seed: u64) -> (Vec<Op>, Sum) {
    let mut dice = seed.wrapping_mul(2).wrapping_add(1);
    let mut below = move |bound: u64| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) % bound
    };
    let (mut map, mut set, mut list, mut counter) = (BTreeMap::new(), BTreeSet::new(), Vec::new(), 0);
    let ops = (0..count).map(|number| {
        let number = number as i64;
        match kind {
            Kind::Map => {
                let key = below(KEYS) as u32;
                map.insert(key, number);
                Op::Put(key, number)
            }
            Kind::Set => {
                let element = below(ELEMENTS) as u32;
                if set.remove(&element) {
                    return Op::Remove(element);
                }
                set.insert(element);
                Op::Add(element)
            }
            Kind::Counter => {
                let by = below(19) as i64 - 9;
                counter += by;
                Op::Increment(by)
            }
            Kind::List if !list.is_empty() && below(8) == 0 => {
                let at = below(list.len() as u64) as usize;
                list.remove(at);
                Op::Delete(at)
            }
            Kind::List => {
                let at = below(list.len() as u64 + 1) as usize;
                list.insert(at, number);
                Op::Insert(at, number)
            }
        }
    });
    let ops: Vec<Op> = ops.collect();
    let sum = match kind {
        Kind::Map => Sum { entries: map.len(), total: map.values().sum() },
        Kind::Set => Sum { entries: set.len(), total: set.iter().map(|element| i64::from(*element)).sum() },
        Kind::Counter => Sum { entries: 1, total: counter },
        Kind::List => Sum { entries: list.len(), total: list.iter().sum() },
    };
    (ops, sum)
}

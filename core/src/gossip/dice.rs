//! `Dice`: the random choices of a membership, all of them from one seed (xorshift64*, Vigna: An experimental
//! exploration of Marsaglia's xorshift generators, scrambled, 2016).
//!
//! Always holds: equal seeds give equal choices. Not for secrets.

/// A small generator.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Zero would stay zero.
        let mut dice = Self(seed ^ 0x9e37_79b9_7f4a_7c15);
        if dice.0 == 0 {
            dice.0 = 1;
        }
        // Seeds that differ in a few bits begin alike: not any more after some steps.
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// One of `items`.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// At most `count` of `items`, in random order.
    pub(super) fn sample<T: Clone>(&mut self, items: &[T], count: usize) -> Vec<T> {
        let mut rest = items.to_vec();
        let mut chosen = Vec::with_capacity(count.min(rest.len()));
        while chosen.len() < count && !rest.is_empty() {
            chosen.push(rest.swap_remove(self.below(rest.len() as u64) as usize));
        }
        chosen
    }
}

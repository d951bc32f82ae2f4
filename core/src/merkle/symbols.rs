//! Rateless IBLT (Yang, Gilad, Alizadeh 2024, arXiv 2402.02668): an endless sequence of symbols that stands for a set
//! of items. From about 1.4 symbols per item of the difference on, whoever has one set can tell the other.
//!
//! Symbol `i` is the sum (exclusive or) of the items that are mapped to it, each with the probability 1 / (1 + i/2), and
//! of their checks. The difference of two sequences stands for the difference of the sets; a symbol that stands for one
//! item alone gives it away, and is taken out of all its symbols (peeling). Always holds: a prefix of the sequence is
//! kept up to date with O(log prefix) work per edit; peeling ends within a bound, whatever the symbols. Not here: counts
//! of items per symbol, as in the paper: whoever peels looks up which side an item is from.

use super::item::{Item, mix};

/// Longest prefix that is kept or asked for, in symbols: differences of up to some 11,000 items.
pub(super) const MAX_SYMBOLS: usize = 1 << 14;

/// The sum of some items and of their checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Symbol {
    pub(super) items: [u64; 2],
    pub(super) checks: u32,
}

impl Symbol {
    pub(super) fn add(&mut self, other: &Self) {
        self.items[0] ^= other.items[0];
        self.items[1] ^= other.items[1];
        self.checks ^= other.checks;
    }

    fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the symbol stands for one item alone (if not, this holds once in 2³² times).
    fn is_pure(&self) -> bool {
        *self == Self::from(self.item()) && !self.is_zero()
    }

    fn item(&self) -> Item {
        Item((u128::from(self.items[0]) << 64 | u128::from(self.items[1])).to_be_bytes())
    }
}

impl From<Item> for Symbol {
    fn from(item: Item) -> Self {
        let (high, low) = item.halves();
        Self { items: [high, low], checks: (mix(mix(high).wrapping_add(low)) >> 32) as u32 }
    }
}

/// The symbols that an item is mapped to, ascending, from 0 on and below `end`.
fn mapped(item: Item, end: usize) -> impl Iterator<Item = usize> {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut state = item.halves().1;
    let next = move |at: &usize| {
        state = state.wrapping_add(STEP);
        // No symbol from at + 1 to j has the item with the probability (at+1)(at+2) / ((j+1)(j+2)): the next one is the
        // first where that is at most a number drawn between 0 and 1. Root and quotient are exact in IEEE 754, so every
        // platform finds the same one.
        let drawn = ((mix(state) >> 32) as f64 + 0.5) / 4_294_967_296.0;
        let (a, b) = ((*at + 1) as f64, (*at + 2) as f64);
        let found = ((a * b / drawn + 0.25).sqrt() - 1.5).ceil() as usize;
        Some(found.max(*at + 1))
    };
    std::iter::successors(Some(0), next).take_while(move |at| *at < end)
}

/// A prefix of the symbols of a set.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols(Vec<Symbol>);

impl Symbols {
    /// Adds an item, or takes it out again.
    pub(super) fn toggle(&mut self, item: Item) {
        let symbol = Symbol::from(item);
        let end = self.0.len();
        mapped(item, end).for_each(|at| self.0[at].add(&symbol));
    }

    /// The first `len` symbols of the set of these items, of which the present prefix is. O(n) where it grows.
    pub(super) fn prefix(&mut self, len: usize, items: &[Item]) -> &[Symbol] {
        let known = self.0.len();
        if known < len {
            self.0.resize(len, Symbol::default());
            for item in items {
                let symbol = Symbol::from(*item);
                mapped(*item, len).skip_while(|at| *at < known).for_each(|at| self.0[at].add(&symbol));
            }
        }
        &self.0[..len]
    }
}

/// The set that these symbols stand for, or `None` if they are too few for it.
pub(super) fn peel(mut symbols: Vec<Symbol>) -> Option<Vec<Item>> {
    let end = symbols.len();
    let mut pure: Vec<usize> = (0..end).filter(|at| symbols[*at].is_pure()).collect();
    let mut items = Vec::new();
    while let Some(at) = pure.pop() {
        let symbol = symbols[at];
        if !symbol.is_pure() {
            continue;
        }
        let item = symbol.item();
        items.push(item);
        if items.len() > end {
            // Each symbol gives one item at most, unless somebody made them up.
            return None;
        }
        for other in mapped(item, end) {
            symbols[other].add(&symbol);
            if symbols[other].is_pure() {
                pure.push(other);
            }
        }
    }
    items.sort_unstable();
    let distinct = items.windows(2).all(|pair| pair[0] < pair[1]);
    (distinct && symbols.iter().all(Symbol::is_zero)).then_some(items)
}

/// How many symbols to have next, where these did not suffice.
pub(super) fn enough(symbols: &[Symbol]) -> usize {
    /// The share of symbols, in thousandths, with at most one item of a Poisson distribution of mean 0, 1, …
    const LIGHT: [usize; 7] = [1_000, 736, 406, 199, 92, 40, 17];
    let len = symbols.len();
    let half = &symbols[len / 2..];
    let light = half.iter().filter(|symbol| symbol.is_zero() || symbol.is_pure()).count() * 1_000 / half.len().max(1);
    let Some(mean) = LIGHT.windows(2).position(|pair| light > pair[1]) else {
        // More than six items per symbol here: four times as many are not too many.
        return len * 4;
    };
    let (above, below) = (LIGHT[mean], LIGHT[mean + 1]);
    let mean_thousandths = mean * 1_000 + (above - light) * 1_000 / (above - below);
    // A symbol at three quarters of the prefix has one item in 1 + 3/8 of its length.
    let items = mean_thousandths * (8 + 3 * len) / 8_000;
    (items * 14 / 10 + 8).max(len + len / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(number: u64) -> Item {
        Item((u128::from(mix(number + 1)) << 64 | u128::from(mix(!number))).to_be_bytes())
    }

    fn symbols(numbers: impl Iterator<Item = u64>, len: usize) -> Vec<Symbol> {
        let items: Vec<Item> = numbers.map(item).collect();
        Symbols::default().prefix(len, &items).to_vec()
    }

    #[test]
    fn the_difference_comes_out_with_few_symbols() {
        for difference in [1, 20, 300, 2_000] {
            let mut total = 0;
            for round in 0..8 {
                let mut len = 8;
                let base = round * 100_000;
                let items = loop {
                    let mut ours = symbols(base..base + 5_000, len);
                    let theirs = symbols(base + difference..base + 5_000, len);
                    ours.iter_mut().zip(&theirs).for_each(|(ours, theirs)| ours.add(theirs));
                    match peel(ours) {
                        Some(items) => break items,
                        None => len += 1 + len / 50,
                    }
                };
                let mut expected: Vec<Item> = (base..base + difference).map(item).collect();
                expected.sort_unstable();
                assert_eq!(items, expected);
                total += len;
            }
            let most = 8 * (difference as usize * 3 / 2 + 12);
            assert!(total <= most, "{difference} items took {total} symbols in 8 rounds, more than {most}");
        }
    }

    #[test]
    fn a_prefix_is_the_same_however_it_came_about() {
        let items: Vec<Item> = (0..500).map(item).collect();
        let mut grown = Symbols::default();
        grown.prefix(10, &items[..200]);
        items[200..].iter().for_each(|item| grown.toggle(*item));
        grown.toggle(item(9_999));
        grown.toggle(item(9_999));
        assert_eq!(grown.prefix(700, &items), Symbols::default().prefix(700, &items));
        assert_eq!(grown.prefix(90, &items), &symbols(0..500, 700)[..90]);
    }

    #[test]
    fn the_next_length_is_enough_and_not_much_more() {
        for difference in [60, 300, 1_000, 4_000] {
            let mut len = 64;
            let mut rounds = 0;
            while peel(symbols(0..difference, len)).is_none() {
                len = enough(&symbols(0..difference, len));
                rounds += 1;
            }
            let most = difference as usize * 17 / 10 + 20;
            assert!(rounds <= 6 && len <= most, "{difference} items took {len} symbols in {rounds} rounds");
        }
    }

    #[test]
    fn symbols_that_somebody_made_up_end() {
        // Every symbol is pure, and none is mapped to what it says.
        let lies: Vec<Symbol> = (0..3_000).map(|number| Symbol::from(item(number))).collect();
        assert_eq!(peel(lies), None);
        assert_eq!(peel(vec![Symbol::from(item(1)); 3_000]), None);
        assert_eq!(peel(vec![Symbol::default(); 3_000]), Some(Vec::new()));
    }
}

//! Sorting with little code: the standard library's sorts take 3 to 6 kB of wasm for every type that is sorted.
//!
//! Heapsort (Williams 1964): in place, O(n log n) whatever the input, not stable. For very many numbers, radix sort.

/// Sorts by a key. Items with equal keys end up in any order.
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut [T], mut key: impl FnMut(&T) -> K) {
    let len = items.len();
    for start in (0..len / 2).rev() {
        sift_down(items, start, len, &mut key);
    }
    for end in (1..len).rev() {
        items.swap(0, end);
        sift_down(items, 0, end, &mut key);
    }
}

fn sift_down<T, K: Ord>(items: &mut [T], mut at: usize, end: usize, key: &mut impl FnMut(&T) -> K) {
    loop {
        let mut child = 2 * at + 1;
        if child >= end {
            return;
        }
        if child + 1 < end && key(&items[child]) < key(&items[child + 1]) {
            child += 1;
        }
        if key(&items[at]) >= key(&items[child]) {
            return;
        }
        items.swap(at, child);
        at = child;
    }
}

/// The numbers of items in the order in which their keys ascend, equal ones as they come. Radix sort from the lowest byte
/// (Seward 1954): O(n) for each byte in which keys differ.
pub(crate) fn ranking(keys: &[u64]) -> Vec<u32> {
    let mut order: Vec<u32> = (0..keys.len() as u32).collect();
    let mut next = order.clone();
    let differing = keys.iter().fold(0, |bits, key| bits | (key ^ keys[0]));
    for shift in (0..64).step_by(8).filter(|shift| (differing >> shift) & 0xff != 0) {
        let digit = |at: u32| ((keys[at as usize] >> shift) & 0xff) as usize;
        let mut places = [0; 257];
        order.iter().for_each(|at| places[digit(*at) + 1] += 1);
        (1..257).for_each(|digit| places[digit] += places[digit - 1]);
        for at in &order {
            let place: &mut usize = &mut places[digit(*at)];
            next[*place] = *at;
            *place += 1;
        }
        std::mem::swap(&mut order, &mut next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::{ranking, sort_by_key};

    #[test]
    fn a_ranking_is_in_order_and_stable() {
        let mut dice = 3_u64;
        for (len, shift) in (0..200).flat_map(|len| [(len, 0), (len, 55), (len, 63)]) {
            let mut roll = || {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                dice >> shift
            };
            let keys: Vec<u64> = (0..len).map(|_| roll()).collect();
            let mut expected: Vec<u32> = (0..len).collect();
            expected.sort_by_key(|at| keys[*at as usize]);
            assert_eq!(ranking(&keys), expected);
        }
    }

    #[test]
    fn everything_ends_up_in_order() {
        let mut dice = 7_u64;
        for len in 0..200 {
            let mut items: Vec<u64> = (0..len)
                .map(|_| {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    dice >> 58
                })
                .collect();
            let mut expected = items.clone();
            expected.sort_unstable();
            sort_by_key(&mut items, |item| *item);
            assert_eq!(items, expected);
        }
    }
}

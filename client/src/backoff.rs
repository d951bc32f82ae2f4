//! `Backoff`: how long to wait before the next attempt to connect.
//!
//! Always holds: waits double from `FIRST_MS` to `MAX_MS` and are spread at random over their upper half, so that the
//! clients of a relay that comes back do not come back all at once. Not here: clocks and randomness (arguments).

/// The first wait, in milliseconds.
pub(crate) const FIRST_MS: u64 = 100;

/// The longest wait, in milliseconds.
pub(crate) const MAX_MS: u64 = 30_000;

/// A connection that lasted this long, in milliseconds, was a good one: the next wait is the first again.
pub(crate) const STABLE_MS: u64 = 5_000;

/// The state between attempts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after a failed attempt or a lost connection, in milliseconds. `random` is any number, all 64
    /// bits of it random.
    pub(crate) fn next_ms(&mut self, random: u64) -> u64 {
        let full = FIRST_MS.saturating_mul(1 << self.failures.min(16)).min(MAX_MS);
        self.failures = self.failures.saturating_add(1);
        full / 2 + random % (full / 2 + 1)
    }

    /// Takes note of how long a connection lasted, in milliseconds, before `next_ms`.
    pub(crate) fn connected_for(&mut self, ms: u64) {
        if ms >= STABLE_MS {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let (mut low, mut high) = (Backoff::default(), Backoff::default());
        let mut full = FIRST_MS;
        for _ in 0..40 {
            assert_eq!(low.next_ms(0), full / 2);
            let wait = high.next_ms(u64::MAX);
            assert!(wait >= full / 2 && wait <= full);
            full = (full * 2).min(MAX_MS);
        }
        assert_eq!(full, MAX_MS);
    }

    #[test]
    fn only_a_stable_connection_starts_over() {
        let mut backoff = Backoff::default();
        for _ in 0..5 {
            backoff.next_ms(0);
        }
        backoff.connected_for(STABLE_MS - 1);
        assert!(backoff.next_ms(0) > FIRST_MS);
        backoff.connected_for(STABLE_MS);
        assert!(backoff.next_ms(u64::MAX) <= FIRST_MS);
    }
}

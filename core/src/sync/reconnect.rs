//! `Reconnect`: when a dialer tries again: exponential backoff with jitter, and a circuit breaker.
//!
//! Always holds: waits double from `FIRST_MS` to `LAST_MS` and are spread at random over their upper half, so that the
//! dialers of a relay that comes back do not come back all at once; after `TRIP_AFTER` failures in a row the circuit is
//! open, and one attempt every `OPEN_MS` finds out whether the other side is back. Backoff with jitter and breaker as in
//! Nygard, *Release It!* (2007). Not here: clocks and randomness (arguments), and the dialing (drivers).

/// The first wait, in milliseconds.
const FIRST_MS: u64 = 100;

/// The longest wait while the circuit is closed, in milliseconds.
const LAST_MS: u64 = 30_000;

/// The wait while the circuit is open, in milliseconds.
const OPEN_MS: u64 = 60_000;

/// Failures in a row after which the circuit opens: after about two minutes without the other side.
const TRIP_AFTER: u32 = 12;

/// A connection that lasted this long, in milliseconds, was a good one.
const STABLE_MS: u64 = 5_000;

/// What is known of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Circuit {
    /// It is there, or was not long ago.
    Closed,
    /// It has been gone for long: everything is local until it is back, and it is tried rarely.
    Open,
    /// The circuit was open, and an attempt is under way or its connection is young.
    HalfOpen,
}

/// The state between the attempts of one dialer.
#[derive(Clone, Debug, Default)]
pub struct Reconnect {
    failures: u32,
    trying: bool,
}

impl Reconnect {
    /// An attempt begins.
    pub fn attempt(&mut self) {
        self.trying = true;
    }

    /// The attempt failed, or its connection ended after `lasted_ms` milliseconds. Returns how long to wait before the
    /// next attempt, in milliseconds. `random` is any number, all 64 bits of it random.
    pub fn failed(&mut self, lasted_ms: Option<u64>, random: u64) -> u64 {
        self.trying = false;
        if lasted_ms.is_some_and(|ms| ms >= STABLE_MS) {
            self.failures = 0;
        }
        let full = FIRST_MS.saturating_mul(1 << self.failures.min(16)).min(LAST_MS);
        self.failures = self.failures.saturating_add(1);
        let full = if self.circuit() == Circuit::Open { OPEN_MS } else { full };
        full / 2 + random % (full / 2 + 1)
    }

    /// What the failures so far tell.
    pub fn circuit(&self) -> Circuit {
        match (self.failures >= TRIP_AFTER, self.trying) {
            (false, _) => Circuit::Closed,
            (true, false) => Circuit::Open,
            (true, true) => Circuit::HalfOpen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails `times` times; the waits.
    fn fail(reconnect: &mut Reconnect, times: u32, random: u64) -> Vec<u64> {
        let mut wait = || {
            reconnect.attempt();
            reconnect.failed(None, random)
        };
        (0..times).map(|_| wait()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread() {
        let low = fail(&mut Reconnect::default(), TRIP_AFTER - 1, 0);
        let high = fail(&mut Reconnect::default(), TRIP_AFTER - 1, u64::MAX);
        let mut full = FIRST_MS;
        for (low, high) in low.into_iter().zip(high) {
            assert_eq!(low, full / 2);
            assert!(high >= full / 2 && high <= full);
            full = (full * 2).min(LAST_MS);
        }
        assert_eq!(full, LAST_MS);
    }

    #[test]
    fn only_a_stable_connection_starts_over() {
        let mut reconnect = Reconnect::default();
        fail(&mut reconnect, 5, 0);
        assert!(reconnect.failed(Some(STABLE_MS - 1), 0) > FIRST_MS);
        assert!(reconnect.failed(Some(STABLE_MS), u64::MAX) <= FIRST_MS);
    }

    /// Closed, open after many failures, half open during a trial, open again if it fails, closed after a good one.
    #[test]
    fn the_circuit_opens_and_one_good_connection_closes_it() {
        let mut reconnect = Reconnect::default();
        fail(&mut reconnect, TRIP_AFTER - 1, 0);
        assert_eq!(reconnect.circuit(), Circuit::Closed);
        assert!(fail(&mut reconnect, 1, 0)[0] >= OPEN_MS / 2);
        assert_eq!(reconnect.circuit(), Circuit::Open);
        reconnect.attempt();
        assert_eq!(reconnect.circuit(), Circuit::HalfOpen);
        assert!((OPEN_MS / 2..=OPEN_MS).contains(&reconnect.failed(Some(1), 7)));
        assert_eq!(reconnect.circuit(), Circuit::Open);
        reconnect.attempt();
        assert!(reconnect.failed(Some(STABLE_MS), u64::MAX) <= FIRST_MS);
        assert_eq!(reconnect.circuit(), Circuit::Closed);
    }
}

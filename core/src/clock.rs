//! Hybrid logical clocks: 48 bits of milliseconds and 16 bits of counter (Kulkarni et al., "Logical Physical Clocks", 2014).
//!
//! Always holds: `tick` returns a larger time than every time this clock has returned or accepted; a remote time more
//! than `MAX_DRIFT_MS` ahead of the wall is never accepted, however many come one after
//! the other. Not here: a source of time; the driver calls `set_now`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::planted::{self, Bug};

/// How far ahead of the time that the driver told us, in milliseconds, a remote time may lie and still advance our clock.
pub const MAX_DRIFT_MS: u64 = 60_000;

/// How finely a change is timed if nothing depends on it, in milliseconds. Within such a step the clock counts up:
/// consecutive changes then differ by one, which the change format stores in no bytes at all.
const STEP_MS: u64 = 1_000;

/// What a clock that was never told the time still believes: half of what 48 bits can hold.
const FAR_FUTURE_MS: u64 = 1 << 47;

/// A point in hybrid time. A full counter carries into the milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Hlc(u64);

impl Hlc {
    /// The first moment: the time of initial changes.
    pub const ZERO: Self = Self(0);

    /// The moment at `ms` milliseconds (48 bits are kept) with the given counter.
    pub const fn new(ms: u64, counter: u16) -> Self {
        Self(ms << 16 | counter as u64)
    }

    /// The 64 bits: 48 of milliseconds, 16 of counter.
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The moment with these 64 bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn ms(self) -> u64 {
        self.0 >> 16
    }

    /// The logical counter within the millisecond.
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The next moment, `None` after the last.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:04x}", self.ms(), self.counter())
    }
}

/// A replica's clock. Persist `last` and give it back to `resume`, so that it never runs back.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    now_ms: u64,
    last: Hlc,
}

impl Clock {
    /// A clock that stands at the beginning of time.
    pub fn new() -> Self {
        Self::default()
    }

    /// A clock that goes on after `last`.
    pub fn resume(last: Hlc) -> Self {
        Self { now_ms: 0, last }
    }

    /// Tells the clock the time in milliseconds since the Unix epoch; it may jump in either direction.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms & ((1 << 48) - 1);
    }

    /// What the time was when it was told last, in milliseconds since the Unix epoch; 0 before that.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The largest time returned or accepted.
    pub fn last(&self) -> Hlc {
        self.last
    }

    /// A time for a new change: the beginning of the present second, or just after the last time if that is later.
    pub fn tick(&mut self) -> Hlc {
        let wall = Hlc::new(self.now_ms - self.now_ms % STEP_MS, 0);
        let back = planted::is(Bug::ClockFollowsTheWallBack);
        self.last = if wall > self.last || back { wall } else { self.last.next().unwrap_or(self.last) };
        self.last
    }

    /// The exact time for the change that got `time` from `tick`, because it sets a value after all; never earlier.
    pub fn refine(&mut self, time: Hlc) -> Hlc {
        self.last = self.last.max(Hlc::new(self.now_ms, 0));
        self.last.max(time)
    }

    /// Takes note of the time of a remote change. Returns whether it advanced this clock or lay behind it already;
    /// `false` means that it is more than `MAX_DRIFT_MS` ahead of the wall and was left alone. The clock's own last time
    /// gives no credit: each accepted time would let the next one reach further.
    pub fn observe(&mut self, remote: Hlc) -> bool {
        if remote <= self.last {
            return true;
        }
        let reach = if self.now_ms == 0 { FAR_FUTURE_MS } else { self.now_ms + MAX_DRIFT_MS };
        let trusted = remote.ms() <= reach || planted::is(Bug::FarFutureIsTrusted);
        if trusted && !planted::is(Bug::RemoteTimeIgnored) {
            self.last = remote;
        }
        trusted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_only_go_forward_whatever_the_wall_does() {
        let mut clock = Clock::new();
        let mut last = Hlc::ZERO;
        for now in [5_000, 5_001, 4_000, 0, 1 << 47, 10] {
            clock.set_now(now);
            let next = clock.tick();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
    }

    #[test]
    fn within_a_second_the_clock_counts_up() {
        let mut clock = Clock::new();
        clock.set_now(10_100);
        let first = clock.tick();
        assert_eq!(first, Hlc::new(10_000, 0));
        clock.set_now(10_900);
        assert_eq!(Some(clock.tick()), first.next());
        clock.set_now(11_500);
        assert_eq!(clock.tick(), Hlc::new(11_000, 0));
    }

    #[test]
    fn a_change_that_sets_a_value_has_the_exact_time() {
        let mut clock = Clock::new();
        clock.set_now(10_100);
        let time = clock.tick();
        assert_eq!(clock.refine(time), Hlc::new(10_100, 0));
        // Never backward: not by the next second's beginning, nor by a clock that was set back.
        clock.set_now(9_000);
        let time = clock.tick();
        assert_eq!((time, clock.refine(time)), (Hlc::new(10_100, 1), time));
        let ahead = Hlc::new(20_000, 3);
        assert_eq!(clock.refine(ahead), ahead);
    }

    #[test]
    fn a_full_counter_carries_into_the_milliseconds() {
        let mut clock = Clock::resume(Hlc::new(7, u16::MAX));
        assert_eq!(clock.tick(), Hlc::new(8, 0));
    }

    /// Bug class E: a poisoned clock must not spread.
    #[test]
    fn a_far_future_never_advances_the_clock() {
        let mut clock = Clock::new();
        clock.set_now(1_000_000);
        assert!(clock.observe(Hlc::new(1_030_000, 0)));
        assert!(!clock.observe(Hlc::new(2_000_000, 0)));
        assert!(clock.tick() < Hlc::new(1_040_000, 0));
    }

    /// Bug class E: poison never advances an honest clock by more than the drift, in however many steps it comes.
    #[test]
    fn a_clock_is_not_pushed_ahead_step_by_step() {
        let mut clock = Clock::new();
        clock.set_now(1_000_000);
        let taken = (1..=100).filter(|step| clock.observe(Hlc::new(1_000_000 + step * 50_000, 0))).count();
        assert_eq!((taken, clock.last()), (1, Hlc::new(1_050_000, 0)));
        // Nor after the wall was set back below what the clock has shown.
        clock.set_now(500_000);
        assert!(!clock.observe(Hlc::new(1_060_000, 0)));
        assert!(clock.observe(Hlc::new(1_040_000, 0)), "what lies behind it changes nothing");
    }
}

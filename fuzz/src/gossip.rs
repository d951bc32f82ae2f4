//! A network of thousands of members that gossip: membership by `HyParView`, broadcast by `Plumtree`, and now and then
//! a comparison with a random neighbour, which makes sure that everything arrives.
//!
//! Always holds: one thread, virtual time, one seed; the same plan gives the same report. Messages are lost one by one,
//! in any of the protocols; members restart with their changes and without anything else. Nobody is told that a peer is
//! gone. Not here: what is inside a change, and real connections (the engine's tests).

mod report;
mod world;

pub use report::{Broadcast, Report};

use world::World;

/// Most broadcasts of one run, those that build the tree included.
pub const MAX_BROADCASTS: usize = 128;

/// What happens in a run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Members.
    pub members: u32,
    /// Whatever is random follows from it.
    pub seed: u64,
    /// Broadcasts that are measured, each from a random member, 2 s apart; as many come before, and build the tree.
    pub broadcasts: usize,
    /// How many of 100 messages are lost, from the first join on.
    pub lost_percent: u64,
    /// How many of 100 members restart while the measured broadcasts are on their way; each is down for 5 to 20 s.
    pub restarted_percent: u64,
}

/// Milliseconds over which the members join, until the views have settled, between two broadcasts, and at most from the
/// last broadcast until everybody has everything.
const JOIN_MS: u64 = 20_000;
const SETTLE_MS: u64 = 200_000;
const BETWEEN_MS: u64 = 2_000;
const PATIENCE_MS: u64 = 120_000;

/// Runs a plan to its end: everybody who is up has everything, or patience is over (`Report::missing`).
pub fn run(plan: Plan) -> Report {
    assert!(plan.broadcasts * 2 <= MAX_BROADCASTS, "at most {MAX_BROADCASTS} broadcasts");
    let mut world = World::new(plan);
    world.run_until(JOIN_MS + SETTLE_MS);
    for _ in 0..plan.broadcasts {
        world.broadcast();
        world.run_for(BETWEEN_MS);
    }
    world.schedule_restarts(BETWEEN_MS * plan.broadcasts as u64);
    let first = world.count_from_here();
    for _ in 0..plan.broadcasts {
        world.broadcast();
        world.run_for(BETWEEN_MS);
    }
    let mut waited_ms = 0;
    while waited_ms < PATIENCE_MS && (world.missing() > 0 || world.down() > 0) {
        world.run_for(500);
        waited_ms += 500;
    }
    world.report(first, waited_ms)
}

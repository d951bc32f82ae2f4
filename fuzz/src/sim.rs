//! A deterministic simulator: devices, disks, clocks and connections in one thread and in virtual time, with everything
//! that can go wrong between them. The engine, the documents and the records on the disks are the real ones.
//!
//! Always holds: a scenario decides everything; the same one twice gives the same trace. What is checked, and how to
//! read a failure: docs/simulator.md. Not here: sockets and processes (the tests of the drivers).

mod act;
pub mod campaign;
mod copies;
mod disk;
mod drive;
mod facts;
mod heal;
mod link;
mod net;
mod node;
mod scenario;
mod settle;
mod tally;
mod watch;
mod wire;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::scenario::{Cast, Event, Scenario, draw};
pub use self::tally::{Fault, Tally};
use self::world::World;

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Hash of everything that was sent, and when: equal for equal scenarios.
    pub trace: String,
    /// Simulated time, in milliseconds.
    pub simulated_ms: u64,
    /// Operations that reached somebody else.
    pub ops: u64,
    /// The faults that took effect.
    pub faults: Tally,
    /// What does not hold, if anything.
    pub problem: Option<String>,
}

/// Runs a scenario to its end, or to the first thing that does not hold. A panic is one of those.
pub fn run(scenario: &Scenario) -> Outcome {
    let mut world = World::new(scenario);
    let ran = catch_unwind(AssertUnwindSafe(|| {
        let end_ms = scenario.events.last().map_or(0, |event| event.at_ms) + 1_000;
        world.run_until(end_ms, scenario).and_then(|()| world.settle(scenario))
    }));
    let problem = match ran {
        Ok(Ok(())) => None,
        Ok(Err(problem)) => Some(problem),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("after {} ms: panic: {}", world.now_ms, text.unwrap_or_default()))
        }
    };
    Outcome {
        trace: world.trace.finalize().to_hex()[..16].to_owned(),
        simulated_ms: world.now_ms,
        ops: world.facts.ops,
        faults: world.tally,
        problem,
    }
}

/// What a problem is called: the words before its details.
pub fn problem_name(problem: &str) -> String {
    let problem = problem.split_once(" ms: ").map_or(problem, |(_, rest)| rest);
    let name = problem.split(':').next().unwrap_or_default();
    let words = name.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    words.take(12).collect::<Vec<_>>().join("_").to_lowercase()
}

/// The smallest scenario found that has the same problem, within so many tries.
pub fn shrink(scenario: &Scenario, problem: &str, tries: usize) -> Scenario {
    let (mut smallest, name) = (scenario.clone(), problem_name(problem));
    let mut left = tries;
    'smaller: loop {
        for candidate in scenario::smaller(&smallest) {
            if left == 0 {
                return smallest;
            }
            left -= 1;
            if run(&candidate).problem.is_some_and(|problem| problem_name(&problem) == name) {
                smallest = candidate;
                continue 'smaller;
            }
        }
        return smallest;
    }
}

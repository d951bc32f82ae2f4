//! Many seeds in a row, on several threads: counts, and the first failures made small.
//!
//! Always holds: which thread runs a seed changes nothing; one seed of sixteen runs twice, and its traces must be equal.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Scenario, Tally, draw, run, shrink};

/// Every seed that this divides runs twice.
const TWICE: u64 = 16;

/// Scenarios that are tried to make a failure smaller.
const SHRINK_TRIES: usize = 300;

/// Failures that are made smaller and told of; the rest is counted.
const MAX_TOLD: u64 = 5;

const HOUR_MS: f64 = 3_600_000.0;

/// Which seeds.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The first.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// No seed is begun after this.
    pub limit: Option<Duration>,
    /// Threads.
    pub threads: usize,
}

/// A seed that broke something.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What does not hold.
    pub problem: String,
    /// The smallest scenario found that breaks something, and what.
    pub smallest: (Scenario, String),
}

/// What came of all seeds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Summary {
    /// Seeds that were run to their end.
    pub seeds: u64,
    /// Simulated time of all of them.
    pub simulated_hours: f64,
    /// Operations that reached another device.
    pub ops: u64,
    /// Faults that took effect, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Seeds that broke something.
    pub violations: u64,
}

#[derive(Default)]
struct Sum {
    summary: Summary,
    faults: Tally,
    simulated_ms: u64,
}

/// Runs the seeds of a plan, and tells of failures as they are found.
pub fn campaign(plan: &Plan, found: &(impl Fn(&Failure) + Sync)) -> Summary {
    let (next, begin, sum) = (AtomicU64::new(0), Instant::now(), Mutex::new(Sum::default()));
    let work = || {
        while plan.limit.is_none_or(|limit| begin.elapsed() < limit) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.seeds {
                return;
            }
            one(plan.first.wrapping_add(number), &sum, found);
        }
    };
    std::thread::scope(|scope| (0..plan.threads.max(1)).for_each(|_| drop(scope.spawn(work))));
    let sum = sum.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let simulated_hours = (sum.simulated_ms as f64 / HOUR_MS * 10.0).round() / 10.0;
    Summary { simulated_hours, faults: sum.faults.by_name(), ..sum.summary }
}

fn one(seed: u64, sum: &Mutex<Sum>, found: &impl Fn(&Failure)) {
    let scenario = draw(seed);
    let mut outcome = run(&scenario);
    if outcome.problem.is_none() && seed.is_multiple_of(TWICE) && run(&scenario) != outcome {
        outcome.problem = Some("two runs of one scenario differ".to_owned());
    }
    let told = {
        let mut sum = sum.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sum.summary.seeds += 1;
        sum.summary.ops += outcome.ops;
        sum.summary.violations += u64::from(outcome.problem.is_some());
        sum.simulated_ms += outcome.simulated_ms;
        sum.faults.merge(&outcome.faults);
        sum.summary.violations
    };
    if let Some(problem) = outcome.problem.filter(|_| told <= MAX_TOLD) {
        let smallest = shrink(&scenario, &problem, SHRINK_TRIES);
        let smaller = run(&smallest).problem.unwrap_or_else(|| problem.clone());
        found(&Failure { seed, problem, smallest: (smallest, smaller) });
    }
}

//! `Report`: what a run was like, in counts.

use serde::Serialize;

use super::Plan;

/// One broadcast.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Broadcast {
    /// Members that have it.
    pub reached: u32,
    /// Steps of its longest way.
    pub last_hops: u32,
    /// Milliseconds until the last one had it.
    pub last_ms: u64,
    /// Copies received beyond the one that each member needs, per member that needs one.
    pub redundancy: f64,
}

/// What the measured part of a run was like.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Members.
    pub members: u32,
    /// Messages lost of 100.
    pub lost_percent: u64,
    /// Members that restarted.
    pub restarted: u32,
    /// The broadcasts.
    pub broadcasts: Vec<Broadcast>,
    /// How many first deliveries took how many hops, from 0 on (the author itself).
    pub hops: Vec<u32>,
    /// Changes that members still lack in the end.
    pub missing: u64,
    /// Deliveries that came by a comparison with a neighbour, not by the tree.
    pub by_comparison: u64,
    /// Milliseconds from 2 s after the last broadcast until everybody had everything.
    pub waited_ms: u64,
    /// Neighbours of a member: fewest, on the average, most.
    pub neighbours: (u32, f64, u32),
    /// Messages of all kinds sent per member and second.
    pub messages_per_second: f64,
}

impl Report {
    /// Figures of a run.
    pub(super) fn new(plan: &Plan, restarted: u32) -> Self {
        Self {
            members: plan.members,
            lost_percent: plan.lost_percent,
            restarted,
            broadcasts: Vec::new(),
            hops: Vec::new(),
            missing: 0,
            by_comparison: 0,
            waited_ms: 0,
            neighbours: (0, 0.0, 0),
            messages_per_second: 0.0,
        }
    }

    /// The bound on the steps of the longest way: twice the binary logarithm of the members.
    pub fn hops_bound(&self) -> f64 {
        2.0 * f64::from(self.members).log2()
    }

    /// Redundancy of all broadcasts together.
    pub fn redundancy(&self) -> f64 {
        self.broadcasts.iter().map(|broadcast| broadcast.redundancy).sum::<f64>() / self.broadcasts.len().max(1) as f64
    }

    /// The longest way of all.
    pub fn last_hops(&self) -> u32 {
        self.broadcasts.iter().map(|broadcast| broadcast.last_hops).max().unwrap_or(0)
    }
}

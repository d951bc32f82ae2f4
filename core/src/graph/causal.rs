//! The causal graph, run-length encoded: a run is a stretch of one log in which every operation follows the one before.
//!
//! Always holds: the frontier names the operations that nobody has seen yet. Telling what a change has seen costs time
//! in proportion to what is concurrent with it, not to the history.

use std::collections::BinaryHeap;

use smallvec::SmallVec;

use super::Dot;

/// A stretch of a log whose first operation has `parents` besides the operation before it in the log.
#[derive(Clone, Debug)]
struct Run {
    start: u32,
    end: u32,
    /// Depth of the first operation: one more than the deepest operation that it has seen.
    lamport: u64,
    parents: SmallVec<[Dot; 1]>,
}

/// Everything known, less the tails of some logs: what one operation has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    unseen: SmallVec<[(u32, u32); 4]>,
}

impl Past {
    /// Everything that is known.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Whether it is everything that is known.
    pub fn is_everything(&self) -> bool {
        self.unseen.is_empty()
    }

    /// The exclusive end of what was seen of `log`, `None` if all of it.
    pub fn end(&self, log: u32) -> Option<u32> {
        self.unseen.iter().find(|(unseen, _)| *unseen == log).map(|(_, end)| *end)
    }

    /// Whether the operation was seen.
    pub fn contains(&self, dot: Dot) -> bool {
        self.end(dot.log).is_none_or(|end| dot.seq < end)
    }
}

/// Runs of operations, their parents and the frontier.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    logs: Vec<Vec<Run>>,
    frontier: SmallVec<[Dot; 4]>,
}

impl Graph {
    /// The operations that nobody has seen yet.
    pub fn frontier(&self) -> &[Dot] {
        &self.frontier
    }

    /// The depth that an operation after everything known would have.
    pub fn next_lamport(&self) -> u64 {
        self.lamport_after(&self.frontier)
    }

    /// The depth of an operation whose parents are `heads`.
    pub fn lamport_after(&self, heads: &[Dot]) -> u64 {
        heads.iter().map(|head| self.lamport(*head) + 1).max().unwrap_or(0)
    }

    fn run(&self, dot: Dot) -> &Run {
        let runs = &self.logs[dot.log as usize];
        if let Some(last) = runs.last().filter(|last| last.start <= dot.seq) {
            return last;
        }
        &runs[runs.partition_point(|run| run.start <= dot.seq) - 1]
    }

    fn lamport(&self, dot: Dot) -> u64 {
        let run = self.run(dot);
        run.lamport + u64::from(dot.seq - run.start)
    }

    /// Adds `ops` operations of `log` from `first` on, whose parents are the operation before and `deps`.
    pub fn push(&mut self, first: Dot, ops: u32, deps: &[Dot]) {
        let log = first.log as usize;
        if let ([last], []) = (&mut self.frontier[..], deps)
            && last.log == first.log
            && last.seq + 1 == first.seq
            && let Some(run) = self.logs[log].last_mut()
        {
            (run.end, last.seq) = (first.seq + ops, first.seq + ops - 1);
            return;
        }
        if self.logs.len() <= log {
            self.logs.resize_with(log + 1, Vec::new);
        }
        let heads = heads_of(first, deps);
        let lamport = self.lamport_after(&heads);
        let end = first.seq + ops;
        match self.logs[log].last_mut() {
            Some(last) if deps.is_empty() => last.end = end,
            _ => self.logs[log].push(Run { start: first.seq, end, lamport, parents: deps.into() }),
        }
        self.frontier.retain(|dot| !heads.contains(dot));
        self.frontier.push(Dot { log: first.log, seq: end - 1 });
    }

    /// What an operation whose parents are `heads` has seen (all of `heads` are known).
    pub fn past(&self, heads: &[Dot]) -> Past {
        if self.frontier.iter().all(|dot| heads.contains(dot)) {
            return Past::everything();
        }
        let mut walk = Walk { graph: self, queue: BinaryHeap::new(), seen: SmallVec::new(), unsure: 0 };
        heads.iter().for_each(|head| walk.enqueue(*head, true));
        self.frontier.iter().for_each(|dot| walk.enqueue(*dot, false));
        walk.run()
    }
}

/// The parents of an operation: the one before it in its log, and its dependencies.
pub(super) fn heads_of(first: Dot, deps: &[Dot]) -> SmallVec<[Dot; 4]> {
    let previous = (first.seq > 0).then(|| first.minus(1));
    previous.into_iter().chain(deps.iter().copied()).collect()
}

/// A walk down from the frontier and from the heads at once, deepest operation first, until everything that is left is
/// known to be seen by the heads. What only the frontier reaches is unseen.
struct Walk<'a> {
    graph: &'a Graph,
    /// (depth, operation, seen by the heads).
    queue: BinaryHeap<(u64, Dot, bool)>,
    /// Per log, the exclusive end of what the heads have seen, as far as found.
    seen: SmallVec<[(u32, u32); 8]>,
    /// Entries in the queue that are not known to be seen.
    unsure: usize,
}

impl Walk<'_> {
    fn enqueue(&mut self, dot: Dot, seen: bool) {
        if seen {
            match self.seen.iter_mut().find(|(log, _)| *log == dot.log) {
                Some((_, end)) => *end = (*end).max(dot.seq + 1),
                None => self.seen.push((dot.log, dot.seq + 1)),
            }
        } else {
            self.unsure += 1;
        }
        self.queue.push((self.graph.lamport(dot), dot, seen));
    }

    fn is_seen(&self, dot: Dot) -> bool {
        self.seen.iter().any(|(log, end)| *log == dot.log && dot.seq < *end)
    }

    fn run(mut self) -> Past {
        let mut unseen_logs: SmallVec<[u32; 8]> = SmallVec::new();
        let mut last = None;
        while self.unsure > 0 {
            let Some((_, dot, seen)) = self.queue.pop() else { break };
            self.unsure -= usize::from(!seen);
            if last.replace((dot, seen)) == Some((dot, seen)) {
                continue;
            }
            if !seen {
                if self.is_seen(dot) {
                    continue;
                }
                if !unseen_logs.contains(&dot.log) {
                    unseen_logs.push(dot.log);
                }
            }
            let graph = self.graph;
            let run = graph.run(dot);
            if !seen && dot.seq > run.start {
                // The heads may have seen the beginning of this run: look again when the walk is that deep.
                self.enqueue(Dot { log: dot.log, seq: run.start }, false);
                continue;
            }
            if run.start > 0 {
                self.enqueue(Dot { log: dot.log, seq: run.start - 1 }, seen);
            }
            run.parents.iter().for_each(|parent| self.enqueue(*parent, seen));
        }
        let end = |log: u32| self.seen.iter().find(|(seen, _)| *seen == log).map_or(0, |(_, end)| *end);
        let mut unseen: SmallVec<[(u32, u32); 4]> = unseen_logs.iter().map(|log| (*log, end(*log))).collect();
        unseen.sort_unstable();
        Past { unseen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(log: u32, seq: u32) -> Dot {
        Dot { log, seq }
    }

    /// What `heads` have seen, found by following every parent.
    fn naive(parents: &[(Dot, Vec<Dot>)], heads: &[Dot]) -> Vec<Dot> {
        let (mut stack, mut seen) = (heads.to_vec(), Vec::new());
        while let Some(next) = stack.pop() {
            if !seen.contains(&next) {
                seen.push(next);
                stack.extend(parents.iter().find(|(d, _)| *d == next).map(|(_, p)| p.clone()).unwrap_or_default());
            }
        }
        seen
    }

    #[test]
    fn the_past_equals_what_following_every_parent_finds() {
        let mut random = 12345u64;
        let mut next = |n: usize| {
            random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (random >> 33) as usize % n
        };
        for _ in 0..200 {
            let (mut graph, mut parents, mut ends) = (Graph::default(), Vec::<(Dot, Vec<Dot>)>::new(), [0u32; 3]);
            for _ in 0..25 {
                let log = next(3);
                let first = dot(log as u32, ends[log]);
                let mut deps = Vec::new();
                for (other, end) in ends.iter().enumerate() {
                    if other != log && *end > 0 && next(3) == 0 {
                        deps.push(dot(other as u32, next(*end as usize) as u32));
                    }
                }
                let ops = 1 + next(3) as u32;
                let heads = heads_of(first, &deps);
                let past = graph.past(&heads);
                let seen = naive(&parents, &heads);
                for (known, _) in &parents {
                    assert_eq!(past.contains(*known), seen.contains(known), "{known:?} from {heads:?} in {parents:?}");
                }
                graph.push(first, ops, &deps);
                for i in 0..ops {
                    parents.push((first.plus(i), if i == 0 { heads.to_vec() } else { vec![first.plus(i - 1)] }));
                }
                ends[log] += ops;
            }
        }
    }
}

//! The causal graph, run-length encoded: a run is a stretch of one log in which every operation follows the one before.
//!
//! Always holds: the frontier names the operations that nobody has seen yet. Telling what a change has seen costs time
//! in proportion to what its author has newly seen, and to the number of logs, not to the history.

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
    /// Ascending by log.
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
        self.unseen.binary_search_by_key(&log, |(unseen, _)| *unseen).ok().map(|at| self.unseen[at].1)
    }

    /// Whether the operation was seen.
    pub fn contains(&self, dot: Dot) -> bool {
        self.end(dot.log).is_none_or(|end| dot.seq < end)
    }
}

/// Logs for which it is kept what their last known operation had seen.
const KEPT_VIEWS: usize = 64;

/// What an operation of a log had seen: exclusive ends, by log. The log itself counts too: its end says which one.
#[derive(Clone, Debug)]
struct View {
    log: u32,
    ends: Vec<u32>,
}

/// Runs of operations, their parents and the frontier.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    logs: Vec<Vec<Run>>,
    frontier: SmallVec<[Dot; 4]>,
    /// Of the logs that were asked about last, the latest first.
    views: Vec<View>,
    base: Option<Base>,
    recent: Option<Recent>,
}

/// Operations of one log that were added one behind the other, nothing else between them: each sees what the first sees.
#[derive(Clone, Debug)]
struct Recent {
    first: Dot,
    /// Exclusive; equal to the first as long as nothing was added.
    end: u32,
    past: Past,
    lamport: u64,
}

/// What the graph starts from, instead of the whole history: everything behind it has seen all of it.
#[derive(Clone, Debug)]
struct Base {
    /// Exclusive ends, by log.
    ends: Vec<u32>,
    /// The operations that nobody had seen, with their depths.
    frontier: Vec<(Dot, u64)>,
}

impl Graph {
    /// The operations that nobody has seen yet.
    pub fn frontier(&self) -> &[Dot] {
        &self.frontier
    }

    /// A graph that starts from a state with these ends (by log) and this frontier with its depths.
    pub fn starting_at(ends: Vec<u32>, frontier: Vec<(Dot, u64)>) -> Self {
        let logs = vec![Vec::new(); ends.len()];
        let dots = frontier.iter().map(|(dot, _)| *dot).collect();
        Self { logs, frontier: dots, views: Vec::new(), base: Some(Base { ends, frontier }), recent: None }
    }

    /// The frontier with its depths.
    pub fn frontier_depths(&self) -> Vec<(Dot, u64)> {
        self.frontier.iter().map(|dot| (*dot, self.lamport(*dot))).collect()
    }

    fn base_end(&self, log: u32) -> u32 {
        self.base.as_ref().and_then(|base| base.ends.get(log as usize).copied()).unwrap_or(0)
    }

    /// Whether an operation with these parents has seen all that the graph starts from.
    fn covers_base(&self, heads: &[Dot]) -> bool {
        self.base.as_ref().is_none_or(|base| {
            let known = |head: &Dot| base.ends.get(head.log as usize).is_none_or(|end| head.seq >= *end);
            heads.iter().any(known) || base.frontier.iter().all(|(dot, _)| heads.contains(dot))
        })
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
        if let Some(base) = self.base.as_ref().filter(|_| dot.seq < self.base_end(dot.log)) {
            // One that is not on the frontier is less deep than one that is, and that one counts too.
            return base.frontier.iter().find(|(other, _)| *other == dot).map_or(0, |(_, depth)| *depth);
        }
        let run = self.run(dot);
        run.lamport + u64::from(dot.seq - run.start)
    }

    /// Adds `ops` operations of `log` from `first` on, whose parents are the operation before and `deps`.
    pub fn push(&mut self, first: Dot, ops: u32, deps: &[Dot]) {
        let log = first.log as usize;
        match &mut self.recent {
            Some(recent)
                if recent.first.log == first.log
                    && recent.end == first.seq
                    && (deps.is_empty() || recent.first == first) =>
            {
                recent.end += ops;
            }
            recent => *recent = None,
        }
        if deps.is_empty()
            && let Some(last) = self.frontier.iter_mut().find(|dot| dot.log == first.log && dot.seq + 1 == first.seq)
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

    /// What an operation whose parents are the one before it and `deps` (all of them known) has seen, and its depth.
    /// `None` if that takes more of the history than the graph has.
    #[inline]
    pub fn place(&mut self, first: Dot, deps: &[Dot]) -> Option<(&Past, u64)> {
        let goes_on = |recent: &Recent| {
            deps.is_empty() && recent.first.log == first.log && recent.first.seq < recent.end && recent.end == first.seq
        };
        if !self.recent.as_ref().is_some_and(goes_on) {
            self.recent = Some(self.place_anew(first, deps)?);
        }
        let recent = self.recent.as_ref()?;
        Some((&recent.past, recent.lamport + u64::from(first.seq - recent.first.seq)))
    }

    #[inline(never)]
    fn place_anew(&mut self, first: Dot, deps: &[Dot]) -> Option<Recent> {
        let heads = heads_of(first, deps);
        if !self.covers_base(&heads) {
            return None;
        }
        let (past, lamport) = (self.past(first, deps), self.lamport_after(&heads));
        Some(Recent { first, end: first.seq, past, lamport })
    }

    /// What an operation whose parents are the one before it and `deps` (all of them known) has seen.
    fn past(&mut self, first: Dot, deps: &[Dot]) -> Past {
        let is_parent = |dot: &Dot| (dot.log == first.log && dot.seq + 1 == first.seq) || deps.contains(dot);
        if self.frontier.iter().all(is_parent) {
            return Past::everything();
        }
        let mut view = match self.views.iter().position(|view| view.log == first.log) {
            Some(at) => self.views.remove(at),
            None => View { log: first.log, ends: self.base.as_ref().map_or_else(Vec::new, |base| base.ends.clone()) },
        };
        view.ends.resize(self.logs.len().max(first.log as usize + 1), 0);
        heads_of(first, deps).into_iter().for_each(|head| self.see(&mut view.ends, head));
        let ends = self.logs.iter().zip(0..).map(|(runs, log)| runs.last().map_or(self.base_end(log), |run| run.end));
        let unseen = ends.zip(&view.ends).zip(0..).filter(|((end, seen), _)| *seen < end);
        let past = Past { unseen: unseen.map(|((_, seen), log)| (log, *seen)).collect() };
        self.views.insert(0, view);
        self.views.truncate(KEPT_VIEWS);
        past
    }

    /// What an operation whose parents are the one before it and `deps` has seen, itself apart: exclusive ends, by log.
    /// Unlike `place`, for any operation at any time. O(history), as runs.
    pub fn seen_by(&self, first: Dot, deps: &[Dot]) -> Vec<u32> {
        let mut ends: Vec<u32> = (0..self.logs.len() as u32).map(|log| self.base_end(log)).collect();
        ends.resize(ends.len().max(first.log as usize + 1), 0);
        heads_of(first, deps).into_iter().for_each(|head| self.see(&mut ends, head));
        ends
    }

    /// Adds an operation and everything that it has seen to what a view has seen. It walks the runs that are new to the
    /// view, each of them once.
    fn see(&self, ends: &mut [u32], head: Dot) {
        let mut stack: SmallVec<[Dot; 8]> = smallvec::smallvec![head];
        while let Some(dot) = stack.pop() {
            let seen = ends[dot.log as usize];
            if seen > dot.seq {
                continue;
            }
            ends[dot.log as usize] = dot.seq + 1;
            let runs = &self.logs[dot.log as usize];
            let after = match runs.last() {
                Some(last) if last.start < seen => runs.len(),
                _ => runs.partition_point(|run| run.start < seen),
            };
            for run in runs[after..].iter().take_while(|run| run.start <= dot.seq) {
                stack.extend_from_slice(&run.parents);
            }
        }
    }
}

/// The parents of an operation: the one before it in its log, and its dependencies.
fn heads_of(first: Dot, deps: &[Dot]) -> SmallVec<[Dot; 4]> {
    let previous = (first.seq > 0).then(|| first.minus(1));
    previous.into_iter().chain(deps.iter().copied()).collect()
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
            let mut depths: Vec<(Dot, u64)> = Vec::new();
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
                let (past, lamport) = graph.place(first, &deps).expect("nothing is in a base");
                let past = past.clone();
                let depth = |dot: &Dot| depths.iter().find(|(other, _)| other == dot).map_or(0, |(_, depth)| *depth);
                assert_eq!(lamport, heads.iter().map(|head| depth(head) + 1).max().unwrap_or(0));
                let seen = naive(&parents, &heads);
                for (known, _) in &parents {
                    assert_eq!(past.contains(*known), seen.contains(known), "{known:?} from {heads:?} in {parents:?}");
                }
                graph.push(first, ops, &deps);
                for i in 0..ops {
                    depths.push((first.plus(i), lamport + u64::from(i)));
                    parents.push((first.plus(i), if i == 0 { heads.to_vec() } else { vec![first.plus(i - 1)] }));
                }
                ends[log] += ops;
            }
        }
    }
}

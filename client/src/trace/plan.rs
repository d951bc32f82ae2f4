//! `Plan`: what one author types, step by step, and how much of the others' typing must be merged before each step.
//!
//! Always holds: a step's needs, together with those of the steps before it and the author's own steps, are exactly
//! the ancestors of its transaction. An author's k-th transaction with edits is that author's k-th change.
//! Not here: documents.

use super::{Patch, Trace, TraceError, Transaction};

/// One author's part of a trace.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The author.
    pub agent: u32,
    /// What the author types: one change per step.
    pub steps: Vec<Step>,
    /// What of the others' typing must be merged in the end, beyond all steps' needs.
    pub rest: Vec<Need>,
    /// How many changes every author makes.
    pub changes: Vec<usize>,
}

/// One transaction of the author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What must be merged before it, beyond what the steps before it needed.
    pub needs: Vec<Need>,
    /// The patches.
    pub patches: Vec<Patch>,
}

/// A beginning of another author's changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The other author.
    pub agent: u32,
    /// How many of that author's changes.
    pub changes: usize,
}

impl Plan {
    /// Plans the part of `agent`. O(transactions).
    ///
    /// # Errors
    /// If there is no such author, or if the author's transactions do not follow one another.
    pub fn new(trace: &Trace, agent: u32) -> Result<Self, TraceError> {
        if agent >= trace.agents {
            return Err(TraceError::NoSuchAgent { agent, agents: trace.agents });
        }
        let (numbers, changes) = number_changes(trace);
        let mut merge = Merge { trace, agent, numbers, merged: vec![false; trace.transactions.len()] };
        let (mut steps, mut waiting, mut previous) = (Vec::new(), Vec::new(), None);
        for (i, transaction) in trace.transactions.iter().enumerate() {
            if transaction.agent != agent {
                continue;
            }
            merge.ancestors(i, &transaction.parents, previous, &mut waiting)?;
            merge.merged[i] = true;
            previous = Some(i);
            if transaction.has_edits() {
                steps.push(Step { needs: highest(&mut waiting), patches: transaction.patches.clone() });
            }
        }
        for agent in (0..trace.agents).filter(|other| *other != agent) {
            waiting.push(Need { agent, changes: changes[agent as usize] });
        }
        Ok(Self { agent, steps, rest: highest(&mut waiting), changes })
    }
}

/// For every transaction, how many changes its author has made with it; and how many each author makes in all.
fn number_changes(trace: &Trace) -> (Vec<usize>, Vec<usize>) {
    let mut changes = vec![0; trace.agents as usize];
    let number = |transaction: &Transaction| {
        let count = &mut changes[transaction.agent as usize];
        *count += usize::from(transaction.has_edits());
        *count
    };
    let numbers = trace.transactions.iter().map(number).collect();
    (numbers, changes)
}

struct Merge<'a> {
    trace: &'a Trace,
    agent: u32,
    numbers: Vec<usize>,
    merged: Vec<bool>,
}

impl Merge<'_> {
    /// Merges the ancestors of transaction `i` that are not merged yet, and notes down whose changes they are.
    fn ancestors(
        &mut self,
        i: usize,
        parents: &[usize],
        previous: Option<usize>,
        needs: &mut Vec<Need>,
    ) -> Result<(), TraceError> {
        let mut todo = parents.to_vec();
        let mut builds_on_previous = previous.is_none();
        while let Some(ancestor) = todo.pop() {
            builds_on_previous |= previous == Some(ancestor);
            if std::mem::replace(&mut self.merged[ancestor], true) {
                continue;
            }
            let transaction = &self.trace.transactions[ancestor];
            todo.extend(&transaction.parents);
            needs.push(Need { agent: transaction.agent, changes: self.numbers[ancestor] });
        }
        // Whatever was merged before is below the previous transaction, so only its own mention proves the order.
        if builds_on_previous { Ok(()) } else { Err(TraceError::NotLinear { agent: self.agent, transaction: i }) }
    }
}

/// One need per author: the largest.
fn highest(needs: &mut Vec<Need>) -> Vec<Need> {
    needs.sort_unstable();
    needs.reverse();
    needs.dedup_by_key(|need| need.agent);
    needs.retain(|need| need.changes > 0);
    needs.reverse();
    std::mem::take(needs)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(transactions: &[(u32, &[usize], &str)]) -> Trace {
        let transaction = |(agent, parents, inserted): &(u32, &[usize], &str)| Transaction {
            parents: parents.to_vec(),
            agent: *agent,
            patches: vec![Patch { position: 0, deleted: 0, inserted: (*inserted).into() }],
        };
        let agents = transactions.iter().map(|t| t.0 + 1).max().unwrap_or(0);
        Trace { end_content: String::new(), agents, transactions: transactions.iter().map(transaction).collect() }
    }

    fn needs(step: &Step) -> Vec<(u32, usize)> {
        step.needs.iter().map(|need| (need.agent, need.changes)).collect()
    }

    #[test]
    fn a_step_needs_exactly_what_its_parents_have_merged() {
        let trace = trace(&[
            (0, &[], "a"),
            (1, &[0], "b"),
            (0, &[0], "c"),
            (1, &[1], "d"),
            (0, &[2, 1], "e"),
            (0, &[4], "f"),
            (1, &[3], "g"),
        ]);
        let plan = Plan::new(&trace, 0).unwrap();
        assert_eq!(plan.steps.iter().map(needs).collect::<Vec<_>>(), [vec![], vec![], vec![(1, 1)], vec![]]);
        assert_eq!(plan.rest, [Need { agent: 1, changes: 3 }]);
        assert_eq!(plan.changes, [4, 3]);
        let other = Plan::new(&trace, 1).unwrap();
        assert_eq!(other.steps.iter().map(needs).collect::<Vec<_>>(), [vec![(0, 1)], vec![], vec![]]);
    }

    #[test]
    fn transactions_without_edits_are_no_changes_but_still_merge() {
        let trace = trace(&[(0, &[], "a"), (1, &[], "b"), (0, &[0, 1], ""), (0, &[2], "c"), (1, &[1], "")]);
        let plan = Plan::new(&trace, 0).unwrap();
        assert_eq!(plan.steps.iter().map(needs).collect::<Vec<_>>(), [vec![], vec![(1, 1)]]);
        assert_eq!(plan.changes, [2, 1]);
    }

    #[test]
    fn an_author_who_forks_or_does_not_exist_is_refused() {
        let forked = trace(&[(0, &[], "a"), (0, &[0], "b"), (0, &[0], "c")]);
        assert!(matches!(Plan::new(&forked, 0), Err(TraceError::NotLinear { agent: 0, transaction: 2 })));
        assert!(matches!(Plan::new(&forked, 1), Err(TraceError::NoSuchAgent { agent: 1, agents: 1 })));
    }
}

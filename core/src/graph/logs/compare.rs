//! Where two copies of a document begin to contradict each other.
//!
//! Always holds: the answer is the first operation of the first change that differs, per log, and comes from comparing
//! digests at halving positions: what is hashed once is not hashed again. Not here: what is done about it.

use super::Logs;
use crate::id::OpId;

impl Logs {
    /// The first operations at which these logs and another copy's differ, as far as both go, ordered by replica.
    /// Compares O(log changes) digests per log; what was not hashed before is hashed, once.
    pub fn first_differences(&mut self, other: &mut Self) -> Vec<OpId> {
        let both = self.index.iter().filter_map(|(replica, ours)| Some((*replica, *ours, other.find(*replica)?)));
        let both: Vec<_> = both.collect();
        let mut differences = Vec::new();
        for (replica, ours, theirs) in both {
            let common = self.end(ours).min(other.end(theirs));
            let seq = self.first_difference(ours, other, theirs, common);
            differences.extend(seq.map(|seq| OpId { replica, seq }));
        }
        differences
    }

    fn first_difference(&mut self, ours: u32, other: &mut Self, theirs: u32, common: u64) -> Option<u64> {
        // What one of the two has left out cannot be compared.
        let base = self.logs[ours as usize].base().end.max(other.logs[theirs as usize].base().end);
        let end_of = |logs: &Self, changes: usize| logs.logs[ours as usize].first_seq(changes);
        let mut equal_at = |logs: &mut Self, changes: usize| {
            let end = end_of(logs, changes);
            end <= base || other.digest_at(theirs, end) == logs.digest_at(ours, end)
        };
        let log = &self.logs[ours as usize];
        let last = (0..=log.len()).rev().find(|changes| log.first_seq(*changes) <= common).unwrap_or(0);
        if equal_at(self, last) {
            // A change of ours that goes on where the other log ends is another one than any of its.
            let end = end_of(self, last);
            return (end < common).then_some(end);
        }
        let (mut equal, mut differs) = (0, last);
        while differs - equal > 1 {
            let middle = equal.midpoint(differs);
            if equal_at(self, middle) { equal = middle } else { differs = middle }
        }
        Some(end_of(self, equal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ReplicaId;
    use crate::op::{Change, LogHead, Segment};

    /// A log of changes with these bodies; each has two operations.
    fn logs(bodies: impl Iterator<Item = u64>) -> Logs {
        let (mut head, mut segment) = (LogHead::default(), Segment::new(ReplicaId::from(7), 0));
        for (time, body) in (1u64..).zip(bodies) {
            let mut change = Vec::new();
            let hlc = crate::clock::Hlc::new(time, 0);
            head.write(&Change { hlc, deps: &[], message: None, ops: 2, body: &body.to_le_bytes() }, &mut change);
            segment.push(&change);
        }
        let mut logs = Logs::new();
        logs.append(&segment.into()).expect("well formed");
        logs
    }

    #[test]
    fn the_first_wrong_change_is_found_wherever_it_is() {
        for len in [1, 2, 3, 100] {
            let mut whole = logs(0..len);
            assert_eq!(whole.first_differences(&mut logs(0..len)), []);
            assert_eq!(whole.first_differences(&mut logs(0..len / 2)), [], "one is behind");
            assert_eq!(logs(0..len / 2).first_differences(&mut whole), []);
            for wrong in 0..len {
                let mut fork = logs((0..len + 3).map(|body| if body >= wrong { body + 1000 } else { body }));
                let at = OpId { replica: ReplicaId::from(7), seq: wrong * 2 };
                assert_eq!(whole.first_differences(&mut fork), [at], "{wrong} of {len}");
                assert_eq!(fork.first_differences(&mut whole), [at], "{wrong} of {len}");
            }
        }
    }
}

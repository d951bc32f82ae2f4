//! `ForkSearch`: where two copies of a document begin to contradict each other, found by asking the other one.
//!
//! Always holds: a log's digest covers all of it, so what is equal at one change is equal before it: a question names
//! digests at several places, and the answer tells how many of them are equal. With `FAN` places each round divides what
//! is left of a log by `FAN` + 1; whatever the answers say, every round leaves less of it. What the logs grow by
//! meanwhile changes nothing. Not here: how questions travel (`sync`), and what follows from a fork (`doc`).

use super::{Logs, half};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_u64};
use crate::id::{OpId, ReplicaId};

/// Places that one question names of a log.
const FAN: usize = 31;

/// Places that one question names, of all logs together.
const MAX_PLACES: usize = 512;

/// A log that may be forked.
#[derive(Debug)]
struct Suspect {
    replica: ReplicaId,
    /// How many changes of ours are the other's too, and how many are not all the other's; `None`: it was not asked yet.
    range: Option<(usize, usize)>,
    /// What the question that is on its way names: numbers of changes.
    asked: Vec<usize>,
}

/// What a search needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchStep {
    /// The other copy's answer (`Logs::answer_search`) to this question.
    Ask(Vec<u8>),
    /// Nothing: these are the first operations of the changes from which on the other copy has other content, at most one
    /// of each log.
    Found(Vec<OpId>),
}

/// A search for the changes from which on another copy has other content under the same ids.
#[derive(Debug)]
pub struct ForkSearch {
    suspects: Vec<Suspect>,
    found: Vec<OpId>,
}

impl ForkSearch {
    /// A search in all logs. O(logs).
    pub fn new(logs: &Logs) -> Self {
        let written = logs.index.iter().filter(|(_, log)| logs.end(**log) > 0);
        let suspects = written.map(|(replica, _)| Suspect { replica: *replica, range: None, asked: Vec::new() });
        Self { suspects: suspects.collect(), found: Vec::new() }
    }

    /// The first question, or what follows from the answer to the last one. All of the logs' changes must be here.
    ///
    /// # Errors
    /// If the answer is malformed, or is none to the question that was asked.
    pub fn next(&mut self, logs: &mut Logs, answer: Option<&[u8]>) -> Result<SearchStep, DecodeError> {
        if let Some(answer) = answer {
            self.read_answer(logs, answer)?;
        }
        let mut places = 0;
        let (mut question, mut count) = (Vec::new(), 0);
        for suspect in &mut self.suspects {
            if places + FAN > MAX_PLACES {
                break;
            }
            let Some(log) = logs.find(suspect.replica) else { continue };
            let own = &mut logs.logs[log as usize];
            suspect.asked = match suspect.range {
                None => vec![own.len()],
                Some((equal, differs)) => {
                    let places = (1..=FAN).map(|i| equal + (differs - equal) * i / (FAN + 1));
                    let mut places: Vec<usize> = places.filter(|place| *place > equal).collect();
                    places.dedup();
                    places
                }
            };
            places += suspect.asked.len();
            count += 1;
            question.extend_from_slice(suspect.replica.as_bytes());
            put_u64(&mut question, suspect.asked.len() as u64);
            for place in &suspect.asked {
                let end = own.first_seq(*place);
                put_u64(&mut question, end);
                let digest = own.digest_at(end).expect("a change ends there");
                question.extend_from_slice(&half(&digest));
            }
        }
        if count == 0 {
            return Ok(SearchStep::Found(std::mem::take(&mut self.found)));
        }
        let mut out = Vec::with_capacity(question.len() + 2);
        put_u64(&mut out, count);
        out.extend_from_slice(&question);
        Ok(SearchStep::Ask(out))
    }

    fn read_answer(&mut self, logs: &mut Logs, answer: &[u8]) -> Result<(), DecodeError> {
        let mut reader = Reader::new(answer);
        let mut left = Vec::with_capacity(self.suspects.len());
        for mut suspect in std::mem::take(&mut self.suspects) {
            let asked = std::mem::take(&mut suspect.asked);
            if !asked.is_empty() {
                let equal = reader.bounded("equal places", asked.len() as u64)? as usize;
                let (end, digest) = (reader.u64("log end")?, reader.array("log digest")?);
                let Some(log) = logs.find(suspect.replica) else { continue };
                suspect.range = match suspect.range {
                    Some((first, differs)) => {
                        let first = equal.checked_sub(1).map_or(first, |last| asked[last]);
                        Some((first, asked.get(equal).copied().unwrap_or(differs)))
                    }
                    // All of ours is there, or all of theirs is here.
                    None if equal > 0 || end == 0 || logs.digest_at(log, end) == Some(digest) => continue,
                    None => Some((0, logs.logs[log as usize].starting_before(end).min(asked[0]))),
                };
                if let Some((first, differs)) = suspect.range
                    && differs - first <= 1
                {
                    let seq = logs.logs[log as usize].first_seq(first);
                    self.found.push(OpId { replica: suspect.replica, seq });
                    continue;
                }
            }
            left.push(suspect);
        }
        self.suspects = left;
        reader.end("answer")
    }
}

impl Logs {
    /// Answers a question of another copy's `ForkSearch`, per log of it: how many of the places are ours too, where our
    /// log ends, and the digest there. O(places) digests.
    ///
    /// # Errors
    /// If the question is malformed, or names more than 512 places.
    pub fn answer_search(&mut self, question: &[u8]) -> Result<Vec<u8>, DecodeError> {
        let mut reader = Reader::new(question);
        let count = reader.bounded("logs asked about", MAX_PLACES as u64)?;
        let (mut out, mut left) = (Vec::new(), MAX_PLACES as u64);
        for _ in 0..count {
            let replica = reader.replica("log")?;
            let places = reader.bounded("places", left)?;
            left -= places;
            let log = self.find(replica);
            let (mut equal, mut differs) = (0u64, false);
            for _ in 0..places {
                let (end, digest) = (reader.u64("place")?, reader.array("digest")?);
                let ours = log.filter(|log| end <= self.end(*log)).and_then(|log| self.digest_at(log, end));
                differs |= ours != Some(digest);
                equal += u64::from(!differs);
            }
            let end = log.map_or(0, |log| self.end(log));
            put_u64(&mut out, equal);
            put_u64(&mut out, end);
            out.extend_from_slice(&log.and_then(|log| self.digest_at(log, end)).unwrap_or_default());
        }
        reader.end("question")?;
        if left == MAX_PLACES as u64 {
            return Err(reader.error("places", DecodeErrorKind::Inconsistent("nothing is asked")));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Hlc;
    use crate::op::{Batch, Change, LogHead, Segment, put_frame};

    /// Logs of changes with these bodies; change i has i % 3 + 1 operations.
    fn logs(of: &[(u128, Vec<u64>)]) -> Logs {
        let segment = |(replica, bodies): &(u128, Vec<u64>)| {
            let (mut head, mut frames) = (LogHead::default(), Vec::new());
            for (i, body) in (0..).zip(bodies) {
                let (mut change, body) = (Vec::new(), body.to_le_bytes());
                let hlc = Hlc::new(i + 1, 0);
                head.write(&Change { hlc, deps: &[], message: None, ops: i % 3 + 1, body: &body }, &mut change);
                put_frame(&mut frames, &change);
            }
            Segment { replica: ReplicaId::from(*replica), first_seq: 0, frames: frames.into() }
        };
        let mut logs = Logs::new();
        let written = of.iter().filter(|(_, bodies)| !bodies.is_empty());
        logs.append(&Batch { segments: written.map(segment).collect() }).expect("well formed");
        logs
    }

    fn search(ours: &mut Logs, theirs: &mut Logs) -> (Vec<OpId>, usize) {
        let (mut search, mut answer, mut rounds) = (ForkSearch::new(ours), None, 0);
        loop {
            match search.next(ours, answer.as_deref()).expect("well formed") {
                SearchStep::Found(found) => return (found, rounds),
                SearchStep::Ask(question) => answer = Some(theirs.answer_search(&question).expect("well formed")),
            }
            rounds += 1;
        }
    }

    fn forked(len: u64, wrong: u64) -> Vec<u64> {
        (0..len).map(|body| if body >= wrong { body + 1_000_000 } else { body }).collect()
    }

    #[test]
    fn the_first_wrong_change_is_found_wherever_it_is_and_whoever_is_longer() {
        for len in [1, 2, 3, 40, 200] {
            for other in [1, 2, 33, 199, 200, 250] {
                for wrong in 0..=len {
                    let mut ours = logs(&[(7, (0..len).collect())]);
                    let mut theirs = logs(&[(7, forked(other, wrong))]);
                    let first = (0..wrong).map(|i| i % 3 + 1).sum();
                    let is_fork = wrong < len.min(other);
                    let expected =
                        if is_fork { vec![OpId { replica: ReplicaId::from(7), seq: first }] } else { vec![] };
                    assert_eq!(search(&mut ours, &mut theirs).0, expected, "{wrong} of {len} and {other}");
                }
            }
        }
    }

    #[test]
    fn many_logs_are_searched_at_once_and_long_ones_in_few_rounds() {
        let long = |wrong| (9u128, forked(30_000, wrong));
        let (found, rounds) = search(&mut logs(&[long(30_000)]), &mut logs(&[long(17_001)]));
        assert_eq!((found.len(), rounds), (1, 4), "32³ is more than 30,000, and one to begin with");
        let of = |wrong: u64| (0..900).map(|log| (log, forked(20, if log % 100 == 3 { wrong } else { 20 }))).collect();
        let (ours, theirs): (Vec<_>, Vec<_>) = (of(20), of(11));
        let (found, rounds) = search(&mut logs(&ours), &mut logs(&theirs));
        assert_eq!((found.len(), found[0].seq), (9, 21));
        assert!(rounds <= 4, "{rounds}");
    }

    /// Bug class C: answers that nobody who has logs would give.
    #[test]
    fn a_search_ends_whatever_is_answered() {
        let mut ours = logs(&[(1, forked(1000, 5)), (2, forked(3, 5))]);
        for lie in 0..200u64 {
            let mut search = ForkSearch::new(&ours);
            let (mut answer, mut rounds): (Option<Vec<u8>>, _) = (None, 0);
            loop {
                let step = search.next(&mut ours, answer.as_deref());
                let Ok(SearchStep::Ask(question)) = step else { break };
                rounds += 1;
                assert!(rounds < 24, "it halves at least");
                let mut bytes = Vec::new();
                for _ in 0..question[0] {
                    put_u64(&mut bytes, if rounds == 1 { 0 } else { (lie * rounds) % 33 });
                    put_u64(&mut bytes, lie * 17 % 2_500);
                    bytes.extend_from_slice(&[lie as u8; 16]);
                }
                answer = Some(bytes);
            }
        }
        for damaged in [&[][..], &[1], &[0], &[1; 40]] {
            assert!(ours.answer_search(damaged).is_err());
        }
    }
}

//! `Follower`: keeps a collection equal to the one at the other end of a connection: compares, has the driver fetch what
//! differs, and compares again until both are the same; then it rests until there is news.
//!
//! Always holds: one question is on its way at most; at most `MAX_FETCHES` documents are being fetched, and a bounded
//! number waits for that; what does not become equal is tried again ever more rarely. Not here: sending (`sync`) and
//! what is in a document.

use super::collection::{Collection, Cursor};
use super::initiator::Initiator;
use crate::codec::DecodeError;
use crate::id::DocName;
use crate::ordered::{OrdMap, OrdSet};

/// Documents that are being fetched at a time.
const MAX_FETCHES: usize = 64;

/// While more documents than this wait to be fetched, nothing more is asked for.
const MANY_FOUND: usize = 4_096;

/// How long equal collections are left alone without news, in milliseconds.
const REST_MS: u64 = 60_000;

/// The first wait before documents that did not become equal are tried again, and the wait after news, in milliseconds.
const SOON_MS: u64 = 1_000;

/// After how long a fetch without an end is forgotten, in milliseconds.
const FETCH_TIMEOUT_MS: u64 = 120_000;

/// What the follower wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Ask the other side this; give the answer to `Follower::answered`.
    Ask(Vec<u8>),
    /// Bring this document up to the other side's copy, and say `Follower::done`.
    Fetch(DocName),
}

/// The state of following one collection over connections to one peer.
#[derive(Debug, Default)]
pub struct Follower {
    /// How much of the other side's feed was fetched.
    known: Option<Cursor>,
    running: Option<Initiator>,
    /// A question of ours is on its way.
    waiting: bool,
    question: Option<Vec<u8>>,
    /// Found to differ, and not begun.
    found: OrdSet<DocName>,
    /// Being fetched, since when.
    fetching: OrdMap<DocName, u64>,
    /// All that this comparison found, and the one before.
    round: OrdSet<DocName>,
    last_round: OrdSet<DocName>,
    /// Comparisons in a row that found nothing but what the one before had found.
    stuck: u32,
    next_ms: u64,
}

impl Follower {
    /// A connection is up (again). What the last one had begun is forgotten; what was fetched is not.
    pub fn begin(&mut self, now_ms: u64) {
        *self = Self { known: self.known, next_ms: now_ms, ..Self::default() };
    }

    /// What is to be done next; ask until it is `None`. `nonce` as for `Initiator::hello`.
    pub fn next(&mut self, now_ms: u64, collection: &mut Collection, nonce: u64) -> Option<Wish> {
        if self.found.len() < MANY_FOUND
            && let Some(question) = self.question.take()
        {
            self.waiting = true;
            return Some(Wish::Ask(question));
        }
        self.fetching.retain(|_, since_ms| since_ms.saturating_add(FETCH_TIMEOUT_MS) > now_ms);
        if self.fetching.len() < MAX_FETCHES
            && let Some(doc) = self.found.pop_first()
        {
            self.fetching.insert(doc.clone(), now_ms);
            return Some(Wish::Fetch(doc));
        }
        self.end_round(now_ms);
        if self.running.is_some() || now_ms < self.next_ms {
            return None;
        }
        let (initiator, question) = Initiator::hello(collection, self.known, nonce);
        (self.running, self.waiting) = (Some(initiator), true);
        Some(Wish::Ask(question))
    }

    /// Takes the answer to what was asked; `None`: the other side does not compare this collection with us.
    ///
    /// # Errors
    /// If it is no answer to that. The comparison begins anew after a while.
    pub fn answered(
        &mut self,
        now_ms: u64,
        collection: &mut Collection,
        answer: Option<&[u8]>,
    ) -> Result<(), DecodeError> {
        let Some(running) = self.running.as_mut().filter(|_| std::mem::take(&mut self.waiting)) else { return Ok(()) };
        let step = answer.map(|answer| running.receive(collection, answer));
        match step {
            Some(Ok(step)) => {
                self.question = step.send;
                self.round.extend(step.found.iter().cloned());
                let fetching = &self.fetching;
                self.found.extend(step.found.into_iter().filter(|doc| !fetching.contains_key(doc)));
                Ok(())
            }
            Some(Err(error)) => {
                self.give_up(now_ms);
                Err(error)
            }
            None => {
                self.give_up(now_ms);
                Ok(())
            }
        }
    }

    /// A fetch has ended, well or not.
    pub fn done(&mut self, doc: &DocName) {
        self.fetching.remove(doc);
    }

    /// The other side's collection has changed, or ours has.
    pub fn news(&mut self, now_ms: u64) {
        self.next_ms = self.next_ms.min(now_ms.saturating_add(SOON_MS));
    }

    /// Whether the last comparison found both sides equal.
    pub fn is_equal(&self) -> bool {
        self.known.is_some() && self.last_round.is_empty() && self.running.is_none()
    }

    /// When `next` may have something to do that nothing else gives rise to.
    pub fn due_ms(&self) -> u64 {
        let fetches = self.fetching.values().map(|since_ms| since_ms.saturating_add(FETCH_TIMEOUT_MS)).min();
        match self.running {
            None => self.next_ms,
            Some(_) => fetches.unwrap_or(u64::MAX),
        }
    }

    /// Ends a comparison that has told everything, once all of it was fetched.
    fn end_round(&mut self, now_ms: u64) {
        let asked = self.waiting || self.question.is_some() || self.running.is_none();
        if asked || !self.found.is_empty() || !self.fetching.is_empty() {
            return;
        }
        self.known = self.running.take().and_then(|initiator| initiator.cursor());
        let round = std::mem::take(&mut self.round);
        let nothing_new = round.iter().all(|doc| self.last_round.contains(doc));
        self.stuck = if nothing_new && !round.is_empty() { self.stuck.saturating_add(1) } else { 0 };
        self.next_ms = now_ms.saturating_add(match (round.is_empty(), self.stuck) {
            (true, _) => REST_MS,
            // What a fetch changed on the other side is in its feed once more.
            (false, 0 | 1) => 0,
            (false, stuck) => (SOON_MS << (stuck - 2).min(16)).min(REST_MS),
        });
        self.last_round = round;
    }

    fn give_up(&mut self, now_ms: u64) {
        (self.running, self.question, self.known) = (None, None, None);
        (self.round, self.next_ms) = (OrdSet::new(), now_ms.saturating_add(REST_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::super::respond;
    use super::*;

    fn name(number: u32) -> DocName {
        DocName::new(format!("doc {number}")).expect("a good name")
    }

    fn fill(collection: &mut Collection, numbers: std::ops::Range<u32>, state: u8) {
        for number in numbers {
            collection.update(&name(number), &[state; 16]);
        }
    }

    /// Lets the follower work until it rests; the questions and answers in bytes, and how often each was fetched.
    /// `fetch` makes the copies of a document equal.
    fn follow(
        follower: &mut Follower,
        now_ms: u64,
        sides: (&mut Collection, &mut Collection),
        fetch: impl Fn(&DocName, &mut Collection, &mut Collection),
    ) -> (Vec<usize>, Vec<DocName>) {
        let (ours, theirs) = sides;
        let (mut bytes, mut fetched) = (Vec::new(), Vec::new());
        for nonce in 0..100_000 {
            match follower.next(now_ms, ours, nonce) {
                None => return (bytes, fetched),
                Some(Wish::Ask(question)) => {
                    let answer = respond(theirs, &question).expect("a good question");
                    bytes.extend([question.len(), answer.len()]);
                    follower.answered(now_ms, ours, Some(&answer)).expect("a good answer");
                }
                Some(Wish::Fetch(doc)) => {
                    fetch(&doc, ours, theirs);
                    follower.done(&doc);
                    fetched.push(doc);
                }
            }
        }
        panic!("it does not come to rest");
    }

    /// Both sides had news of it.
    fn merge(doc: &DocName, ours: &mut Collection, theirs: &mut Collection) {
        ours.update(doc, &[9; 16]);
        theirs.update(doc, &[9; 16]);
    }

    /// Only the other side had.
    fn take(doc: &DocName, ours: &mut Collection, _: &mut Collection) {
        ours.update(doc, &[1; 16]);
    }

    #[test]
    fn both_become_equal_and_equal_ones_cost_one_small_message_each_way() {
        let (mut ours, mut theirs) = (Collection::of("", 1), Collection::of("", 2));
        fill(&mut theirs, 0..5_000, 1);
        fill(&mut ours, 4_000..6_000, 2);
        let mut follower = Follower::default();
        follower.begin(0);
        let (_, fetched) = follow(&mut follower, 0, (&mut ours, &mut theirs), merge);
        assert!(fetched.len() >= 6_000 && follower.is_equal());
        assert_eq!(ours.fingerprint(), theirs.fingerprint());
        assert_eq!(follow(&mut follower, REST_MS - 1, (&mut ours, &mut theirs), merge), (Vec::new(), Vec::new()));
        let (bytes, fetched) = follow(&mut follower, REST_MS, (&mut ours, &mut theirs), merge);
        assert!(fetched.is_empty() && bytes.len() == 2 && bytes.iter().sum::<usize>() < 100, "{bytes:?}");
        // News are looked at soon, and cost what differs.
        theirs.update(&name(7), &[3; 16]);
        ours.update(&name(8), &[3; 16]);
        follower.news(REST_MS);
        assert_eq!(follower.due_ms(), REST_MS + SOON_MS);
        let (_, fetched) = follow(&mut follower, REST_MS + SOON_MS, (&mut ours, &mut theirs), merge);
        assert!(fetched.contains(&name(7)) && fetched.contains(&name(8)) && fetched.len() < 5, "{fetched:?}");
        assert!(follower.is_equal());
    }

    /// A document that cannot be had is tried again ever more rarely, and holds up no other one.
    #[test]
    fn what_does_not_become_equal_is_tried_rarely() {
        let (mut ours, mut theirs) = (Collection::of("", 1), Collection::of("", 2));
        fill(&mut theirs, 0..9, 1);
        let mut follower = Follower::default();
        follower.begin(0);
        let (mut now_ms, mut tries, mut fetched) = (0, 0, 0);
        while now_ms < 3_600_000 {
            let (_, round) = follow(&mut follower, now_ms, (&mut ours, &mut theirs), |doc, ours, theirs| {
                if *doc != name(3) {
                    take(doc, ours, theirs);
                }
            });
            tries += round.iter().filter(|doc| **doc == name(3)).count();
            fetched += round.len();
            now_ms = follower.due_ms().max(now_ms + 1);
        }
        assert!(!follower.is_equal() && (60..80).contains(&tries), "{tries} tries in an hour");
        assert_eq!(fetched - tries, 8, "the others were fetched once");
    }

    #[test]
    fn a_lost_connection_begins_anew_where_it_was() {
        let (mut ours, mut theirs) = (Collection::of("", 1), Collection::of("", 2));
        fill(&mut theirs, 0..200, 1);
        let mut follower = Follower::default();
        follower.begin(0);
        follow(&mut follower, 0, (&mut ours, &mut theirs), merge);
        theirs.update(&name(3), &[4; 16]);
        follower.begin(5);
        assert!(matches!(follower.next(5, &mut ours, 1), Some(Wish::Ask(_))));
        assert_eq!(follower.next(5, &mut ours, 1), None, "one question at a time");
        follower.begin(6);
        let (bytes, fetched) = follow(&mut follower, 6, (&mut ours, &mut theirs), merge);
        assert_eq!(fetched, [name(3)]);
        assert!(bytes.iter().sum::<usize>() < 200, "the cursor is known: {bytes:?}");
        // Whoever does not compare is left alone.
        follower.begin(7);
        assert!(matches!(follower.next(7, &mut ours, 1), Some(Wish::Ask(_))));
        assert!(follower.answered(7, &mut ours, None).is_ok());
        assert_eq!((follower.next(8, &mut ours, 1), follower.due_ms()), (None, 7 + REST_MS));
    }
}

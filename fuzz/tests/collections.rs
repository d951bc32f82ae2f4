//! Comparing collections: what is found is the difference of the sets as anybody would compute it, whatever the way;
//! nothing depends on the order in which documents came; hostile messages (bug class C) do no harm and come to an end.

use std::collections::{BTreeMap, BTreeSet};

use quickcheck::{Arbitrary, Gen};
use selvedge::DocName;
use selvedge::merkle::{Collection, Cursor, Initiator, Step, respond};
use selvedge_fuzz::arbitrary::check;
use selvedge_fuzz::bytes::mutate;
use serde::Serialize;

/// States by number of the document.
type States = BTreeMap<u16, u8>;

/// Two sides that have something in common, and what happens on the way between them.
#[derive(Clone, Debug, Serialize)]
struct Case {
    shared: u16,
    /// (first document, how many, their new state) on either side.
    ours: Vec<(u16, u8, u8)>,
    theirs: Vec<(u16, u8, u8)>,
    nonce: u64,
    mutations: Vec<(u8, u32, u8)>,
    noise: Vec<u8>,
}

impl Arbitrary for Case {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut small = Gen::from_size_and_seed(6, u64::arbitrary(g));
        Self {
            shared: if bool::arbitrary(g) { u16::arbitrary(g) % 3_000 } else { u16::arbitrary(g) % 40 },
            ours: Vec::arbitrary(&mut small),
            theirs: Vec::arbitrary(&mut small),
            nonce: u64::arbitrary(g),
            mutations: Vec::arbitrary(&mut small),
            noise: Vec::arbitrary(g),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let case = self.clone();
        let parts = (self.shared, self.ours.clone(), self.theirs.clone(), self.mutations.clone(), self.noise.clone());
        let smaller = parts.shrink().map(move |(shared, ours, theirs, mutations, noise)| Self {
            shared,
            ours,
            theirs,
            mutations,
            noise,
            nonce: case.nonce,
        });
        Box::new(smaller)
    }
}

fn name(number: u16) -> DocName {
    DocName::new(format!("document {number}")).expect("a good name")
}

fn states(shared: u16, edits: &[(u16, u8, u8)]) -> States {
    let mut states: States = (0..shared).map(|number| (number, 0)).collect();
    for (first, count, state) in edits {
        states.extend((0..u16::from(*count)).map(|i| ((first % 4_000) + i, *state)));
    }
    states
}

fn collection<'a>(states: impl Iterator<Item = (&'a u16, &'a u8)>) -> Collection {
    let mut collection = Collection::new([3; 32], 1);
    states.for_each(|(number, state)| assert!(collection.update(&name(*number), &[*state; 16])));
    collection
}

fn naive(ours: &States, theirs: &States) -> BTreeSet<DocName> {
    let numbers = ours.keys().chain(theirs.keys());
    numbers.filter(|number| ours.get(number) != theirs.get(number)).map(|number| name(*number)).collect()
}

/// Everything that a comparison finds, if it comes to an end.
fn found(
    ours: &mut Collection,
    theirs: &mut Collection,
    (mut initiator, ask): (Initiator, Vec<u8>),
) -> Result<(BTreeSet<DocName>, Option<Cursor>), String> {
    let mut found = BTreeSet::new();
    let mut ask = Some(ask);
    for _ in 0..200 {
        let Some(message) = ask else { return Ok((found, initiator.cursor())) };
        let answer = respond(theirs, &message).map_err(|error| error.to_string())?;
        let step = initiator.receive(ours, &answer).map_err(|error| error.to_string())?;
        found.extend(step.found);
        ask = step.send;
    }
    Err("the comparison does not come to an end".to_owned())
}

fn differences(case: &Case) -> Result<(), String> {
    let (ours, theirs) = (states(case.shared, &case.ours), states(case.shared, &case.theirs));
    let (mut here, mut there) = (collection(ours.iter()), collection(theirs.iter()));
    let expected = naive(&ours, &theirs);
    if (here.fingerprint() == there.fingerprint()) != expected.is_empty() {
        return Err("the fingerprints tell something else".to_owned());
    }
    let audit = Initiator::audit(&mut here, case.nonce);
    let (by_trees, _) = found(&mut here, &mut there, audit)?;
    // A cursor of another epoch is no use, so this goes by symbols (or by the feed, where nothing is here).
    let hello = Initiator::hello(&mut here, Some(Cursor { epoch: 2, seq: 1 }), case.nonce);
    let (by_symbols, cursor) = found(&mut here, &mut there, hello)?;
    if by_trees != expected || by_symbols != expected {
        let (trees, symbols) = (by_trees.len(), by_symbols.len());
        return Err(format!("{} differ; found {trees} by trees, {symbols} by symbols", expected.len()));
    }
    if cursor != Some(there.cursor()) {
        return Err("the cursor is not that of the other side".to_owned());
    }
    // From the cursor on the feed tells what changed since, and nothing else.
    let news = [(7, 101), (9, 102), (7, 103)];
    news.iter().for_each(|(number, state)| assert!(there.update(&name(*number), &[*state; 16])));
    let hello = Initiator::hello(&mut here, cursor, case.nonce);
    let (since, _) = found(&mut here, &mut there, hello)?;
    if since == BTreeSet::from([name(7), name(9)]) { Ok(()) } else { Err(format!("the feed told {since:?}")) }
}

#[test]
fn what_is_found_is_the_difference() {
    check(300, differences);
}

fn orders(case: &Case) -> Result<(), String> {
    let states = states(case.shared, &case.ours);
    let (mut forward, mut backward) = (collection(states.iter()), collection(states.iter().rev()));
    let mut empty = Collection::new([3; 32], 1);
    let first = DocName::new("another").map_err(|error| error.to_string())?;
    assert!(empty.update(&first, &[0; 16]));
    let asks = [Initiator::hello(&mut empty, None, 1).1, Initiator::audit(&mut empty, case.nonce).1];
    for ask in asks {
        if respond(&mut forward, &ask) != respond(&mut backward, &ask) {
            return Err("equal collections answer differently".to_owned());
        }
    }
    Ok(())
}

#[test]
fn the_order_of_documents_does_not_matter() {
    check(200, orders);
}

fn hostile(case: &Case) -> Result<(), String> {
    let (ours, theirs) = (states(case.shared, &case.ours), states(case.shared, &case.theirs));
    let (mut here, mut there) = (collection(ours.iter()), collection(theirs.iter()));
    let before = there.fingerprint();
    for tag in 0..6 {
        let noise = [&[tag][..], &case.noise].concat();
        drop(respond(&mut there, &noise));
        let (mut initiator, _) = Initiator::hello(&mut here, None, case.nonce);
        drop(initiator.receive(&mut here, &noise));
    }
    let begin = [Initiator::hello(&mut here, None, case.nonce), Initiator::audit(&mut here, case.nonce)].into_iter();
    for (mut initiator, mut ask) in begin {
        for _ in 0..100 {
            let mut bad = ask.clone();
            mutate(&mut bad, &case.mutations);
            drop(respond(&mut there, &bad));
            let mut answer = respond(&mut there, &ask).map_err(|error| error.to_string())?;
            mutate(&mut answer, &case.mutations);
            match initiator.receive(&mut here, &answer) {
                Ok(Step { send: Some(next), .. }) => ask = next,
                Ok(Step { send: None, .. }) | Err(_) => break,
            }
        }
    }
    if there.fingerprint() == before { Ok(()) } else { Err("a question changed the collection".to_owned()) }
}

#[test]
fn hostile_messages_do_no_harm() {
    check(400, hostile);
}

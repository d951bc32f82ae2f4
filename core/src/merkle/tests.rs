//! Two collections compared, message by message: what is found, and with how many bytes and round trips.

use super::*;
use crate::id::DocName;
use crate::ordered::OrdSet;

const KEY: [u8; 32] = [5; 32];

/// What a comparison cost and found.
#[derive(Debug, Default)]
struct Outcome {
    bytes: usize,
    round_trips: usize,
    found: OrdSet<DocName>,
}

fn compare(ours: &mut Collection, theirs: &mut Collection, (mut initiator, ask): (Initiator, Vec<u8>)) -> Outcome {
    let mut outcome = Outcome::default();
    let mut ask = Some(ask);
    while let Some(message) = ask {
        let answer = respond(theirs, &message).expect("a good question");
        outcome.bytes += message.len() + answer.len();
        outcome.round_trips += 1;
        assert!(outcome.round_trips < 100, "it does not end: {outcome:?}");
        let step = initiator.receive(ours, &answer).expect("a good answer");
        outcome.found.extend(step.found);
        ask = step.send;
    }
    outcome
}

fn name(number: u64) -> DocName {
    DocName::new(format!("doc/{number:012}")).expect("a good name")
}

fn collection(documents: u64) -> Collection {
    let mut collection = Collection::new(KEY, 1);
    (0..documents).for_each(|number| assert!(collection.update(&name(number), &[1; 16])));
    collection
}

/// Edits every `documents / changed`-th document.
fn edit(collection: &mut Collection, documents: u64, changed: u64) -> OrdSet<DocName> {
    let names: OrdSet<DocName> = (0..changed).map(|number| name(number * (documents / changed) + 3)).collect();
    names.iter().for_each(|name| assert!(collection.update(name, &[2; 16])));
    names
}

fn within(what: &str, outcome: &Outcome, expected: &OrdSet<DocName>, bytes: usize, round_trips: usize) {
    assert_eq!(outcome.found, *expected, "{what}");
    let (got, trips) = (outcome.bytes, outcome.round_trips);
    assert!(got <= bytes && trips <= round_trips, "{what}: {got} bytes in {trips} round trips");
}

#[test]
fn a_million_documents_of_which_ten_differ() {
    let mut ours = collection(1_000_000);
    let mut theirs = ours.clone();
    let equal = Initiator::hello(&mut ours, Some(theirs.cursor()), 1);
    within("equal", &compare(&mut ours, &mut theirs, equal), &OrdSet::new(), 64, 1);
    let known = theirs.cursor();
    let changed = edit(&mut theirs, 1_000_000, 10);
    let met = Initiator::hello(&mut ours, Some(known), 1);
    within("cursor", &compare(&mut ours, &mut theirs, met), &changed, 250, 1);
    let strangers = Initiator::hello(&mut ours, None, 1);
    within("symbols", &compare(&mut ours, &mut theirs, strangers), &changed, 1_400, 1);
    let audit = Initiator::audit(&mut ours, 1);
    within("trees", &compare(&mut ours, &mut theirs, audit), &changed, 4_500, 2);
    // Ten more that one side does not have, five each: their names are asked for.
    let new: OrdSet<DocName> = (2_000_000..2_000_010).map(name).collect();
    let mut both = changed.clone();
    both.extend(new.iter().cloned());
    for (at, name) in new.iter().enumerate() {
        let side = if at % 2 == 0 { &mut ours } else { &mut theirs };
        assert!(side.update(name, &[3; 16]));
    }
    let strangers = Initiator::hello(&mut ours, None, 1);
    within("new ones, symbols", &compare(&mut ours, &mut theirs, strangers), &both, 2_000, 2);
    let audit = Initiator::audit(&mut ours, 1);
    within("new ones, trees", &compare(&mut ours, &mut theirs, audit), &both, 8_000, 3);
}

#[test]
fn a_thousand_of_a_hundred_thousand() {
    let mut ours = collection(100_000);
    let mut theirs = ours.clone();
    let changed = edit(&mut theirs, 100_000, 1_000);
    let strangers = Initiator::hello(&mut ours, None, 1);
    within("symbols", &compare(&mut ours, &mut theirs, strangers), &changed, 75_000, 6);
    let audit = Initiator::audit(&mut ours, 1);
    within("trees", &compare(&mut ours, &mut theirs, audit), &changed, 400_000, 3);
}

#[test]
fn collections_that_have_little_in_common() {
    let (mut all, mut none) = (collection(40_000), Collection::new(KEY, 2));
    let everything: OrdSet<DocName> = (0..40_000).map(name).collect();
    let first = Initiator::hello(&mut none, None, 1);
    within("nothing here", &compare(&mut none, &mut all, first), &everything, 900_000, 40);
    let first = Initiator::hello(&mut all, None, 1);
    within("nothing there", &compare(&mut all, &mut none, first), &everything, 20_000, 20);
    let mut other = Collection::new(KEY, 2);
    (0..40_000).for_each(|number| assert!(other.update(&name(number + number % 2 * 100_000), &[1; 16])));
    let mut both: OrdSet<DocName> = (0..40_000).filter(|number| number % 2 == 1).map(name).collect();
    both.extend((0..40_000).filter(|number| number % 2 == 1).map(|number| name(number + 100_000)));
    let first = Initiator::hello(&mut all, None, 1);
    within("half of it", &compare(&mut all, &mut other, first), &both, 2_000_000, 80);
    let mut small = collection(3);
    let first = Initiator::hello(&mut small, None, 1);
    within("a part of it", &compare(&mut small, &mut all, first), &(3..40_000).map(name).collect(), 2_000_000, 80);
}

/// A restored backup: the feed is shorter than the peer remembers. Another epoch: the feed began anew.
#[test]
fn a_cursor_that_the_feed_does_not_have_is_no_use_and_no_harm() {
    let (mut ours, mut theirs) = (collection(500), collection(490));
    let missing: OrdSet<DocName> = (490..500).map(name).collect();
    for known in [Cursor { epoch: 1, seq: 500 }, Cursor { epoch: 7, seq: 3 }] {
        let restored = Initiator::hello(&mut ours, Some(known), 1);
        within("restored", &compare(&mut ours, &mut theirs, restored), &missing, 2_000, 2);
    }
}

#[test]
fn changes_in_the_middle_of_a_comparison_make_it_begin_again_with_its_symbols() {
    let mut ours = collection(20_000);
    let mut theirs = ours.clone();
    let changed = edit(&mut theirs, 20_000, 200);
    let (mut initiator, mut ask) = Initiator::hello(&mut ours, None, 1);
    let mut found = OrdSet::new();
    let mut late = 0;
    loop {
        let answer = respond(&mut theirs, &ask).expect("a good question");
        if late < 2 {
            theirs.update(&name(5_000 + late), &[9; 16]);
            ours.update(&name(5_000 + late), &[9; 16]);
            late += 1;
        }
        let step = initiator.receive(&mut ours, &answer).expect("a good answer");
        found.extend(step.found);
        match step.send {
            Some(message) => ask = message,
            None => break,
        }
    }
    assert!(changed.iter().all(|name| found.contains(name)));
    assert_eq!(initiator.cursor().map(|cursor| cursor.epoch), Some(1));
}

/// Bug class C: answers that were not asked for, or never end, end the comparison.
#[test]
fn a_responder_that_lies_is_left() {
    use super::message::{Answer, Below};
    use super::tree::Prefix;
    let mut ours = collection(100);
    let cursor = Cursor { epoch: 4, seq: 9 };
    let parts = |prefix| Answer::Below(vec![(prefix, Below::Hashes(Box::new([1; 16])))]).encode();
    let (mut initiator, _) = Initiator::hello(&mut ours, None, 1);
    assert!(initiator.receive(&mut ours, &parts(Prefix::ALL.child(1))).is_err());
    let (mut initiator, _) = Initiator::audit(&mut ours, 1);
    assert!(initiator.receive(&mut ours, &parts(Prefix::ALL.child(1).child(1))).is_err());
    let (mut initiator, _) = Initiator::audit(&mut ours, 1);
    assert!(initiator.receive(&mut ours, &parts(Prefix::ALL)).is_err());
    let (mut initiator, _) = Initiator::hello(&mut ours, None, 1);
    let nothing = Answer::Symbols { cursor, documents: 5, from: 0, symbols: Vec::new() };
    assert!(initiator.receive(&mut ours, &nothing.encode()).is_err());
    let (mut initiator, _) = Initiator::hello(&mut ours, None, 1);
    let more = Answer::Changed { cursor, more: true, names: vec![name(1)] }.encode();
    assert!((0..5_000).any(|_| initiator.receive(&mut ours, &more).is_err()));
}

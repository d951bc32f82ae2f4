//! Many documents over one connection: what differs is found by comparing collections, opened, caught up and closed.

use std::collections::BTreeSet;

use selvedge::DocName;
use selvedge::merkle::{Cursor, Initiator};
use selvedge::sync::{CloseCode, Config, Effect, Grant, GrantRule, Input, Link, Rights};

use crate::net::{Net, doc, read_disk};

const COLLECTION: &str = "notes/";

fn name(number: usize) -> String {
    format!("{COLLECTION}{number}")
}

/// A relay that compares collections.
fn relay(net: &mut Net) -> usize {
    net.peer(Config { collections: true, ..Config::relay() })
}

/// Asks over a wire, and returns the answer.
fn ask(net: &mut Net, wire: usize, collection: &str, question: Vec<u8>) -> Option<Vec<u8>> {
    let (peer, conn) = net.wires[wire].ends[0];
    let before = net.peers[peer].effects.len();
    net.input(peer, Input::Ask { conn, collection: collection.to_owned(), question });
    net.run();
    let answers = net.peers[peer].effects[before..].iter().filter_map(|effect| match effect {
        Effect::Answered { collection: of, answer, .. } if of == collection => Some(answer.clone()),
        _ => None,
    });
    let answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), 1, "one answer to one question");
    answers.into_iter().next().flatten()
}

/// What differs between the dialer of a wire and the other side, and the cursor behind it.
fn differing(net: &mut Net, wire: usize, known: Option<Cursor>) -> (BTreeSet<DocName>, Option<Cursor>) {
    let peer = net.wires[wire].ends[0].0;
    net.peers[peer].refresh_collection();
    let (mut initiator, question) = Initiator::hello(&mut net.peers[peer].collection, known, 77);
    let (mut found, mut next) = (BTreeSet::new(), Some(question));
    for _ in 0..100 {
        let Some(question) = next else { return (found, initiator.cursor()) };
        let answer = ask(net, wire, COLLECTION, question).expect("a relay that compares");
        let step = initiator.receive(&mut net.peers[peer].collection, &answer).expect("a good answer");
        found.extend(step.found);
        next = step.send;
    }
    panic!("the comparison does not end");
}

/// Opens documents on the dialer's side until all is quiet, and closes them again.
fn catch_up(net: &mut Net, wire: usize, found: &BTreeSet<DocName>) {
    let peer = net.wires[wire].ends[0].0;
    found.iter().for_each(|name| net.open(peer, name.as_str()));
    net.run();
    for doc in found.iter().cloned() {
        assert!(net.status(peer, doc.as_str()).caught_up);
        net.input(peer, Input::Closed { doc });
    }
    net.run();
}

fn same_disks(net: &Net, a: usize, b: usize) -> bool {
    let versions = |peer: usize| net.peers[peer].disk.iter().map(|(name, records)| (name.clone(), records));
    let read = |peer| versions(peer).map(|(name, records)| (name, read_disk(Some(records)).version())).collect();
    let (a, b): (Vec<_>, Vec<_>) = (read(a), read(b));
    a == b
}

/// A writer's documents on a relay.
fn filled(net: &mut Net, documents: usize) -> (usize, usize) {
    let (writer, relay) = (net.peer(Config::client()), relay(net));
    net.connect(writer, relay);
    for number in 0..documents {
        net.open(writer, &name(number));
        net.edit(writer, &name(number), b"first");
    }
    net.run();
    (writer, relay)
}

#[test]
fn a_new_device_gets_everything_and_later_only_what_changed() {
    let mut net = Net::default();
    let (writer, relay) = filled(&mut net, 300);
    let reader = net.peer(Config::client());
    let wire = net.connect(reader, relay);
    let (found, cursor) = differing(&mut net, wire, None);
    assert_eq!(found.len(), 300);
    catch_up(&mut net, wire, &found);
    assert!(same_disks(&net, reader, relay));
    assert_eq!(differing(&mut net, wire, cursor), (BTreeSet::new(), cursor));

    [3, 200, 3].into_iter().for_each(|number| net.edit(writer, &name(number), b"second"));
    net.open(writer, &name(300));
    net.edit(writer, &name(300), b"new");
    net.run();
    let mark = net.sent.len();
    let (found, cursor) = differing(&mut net, wire, cursor);
    let bytes = net.traffic(wire, 0, mark).1 + net.traffic(wire, 1, mark).1;
    assert!(net.sent.len() - mark == 2 && bytes < 140, "{} frames, {bytes} bytes", net.sent.len() - mark);
    assert_eq!(found, [3, 200, 300].map(|number| doc(&name(number))).into());
    catch_up(&mut net, wire, &found);
    assert!(same_disks(&net, reader, relay));
    assert!(differing(&mut net, wire, cursor).0.is_empty());
}

/// A relay that was restored from a backup, and edits made meanwhile: the cursor is no use, and both sides have news.
#[test]
fn both_sides_catch_up_where_neither_knows_what_the_other_has() {
    let mut net = Net::default();
    let (writer, relay) = filled(&mut net, 400);
    let reader = net.peer(Config::client());
    let wire = net.connect(reader, relay);
    let (found, cursor) = differing(&mut net, wire, None);
    catch_up(&mut net, wire, &found);
    net.cut(wire);
    for number in [0, 77, 400] {
        net.open(reader, &name(number));
        net.edit(reader, &name(number), b"offline");
        net.run();
        net.input(reader, Input::Closed { doc: doc(&name(number)) });
    }
    [77, 90].into_iter().for_each(|number| net.edit(writer, &name(number), b"meanwhile"));
    net.run();
    let epoch = cursor.map(|cursor| cursor.epoch + 1_000).unwrap_or_default();
    let wire = net.connect(reader, relay);
    let (found, cursor) = differing(&mut net, wire, Some(Cursor { epoch, seq: 1 }));
    assert_eq!(found, [0, 77, 90, 400].map(|number| doc(&name(number))).into());
    catch_up(&mut net, wire, &found);
    assert!(same_disks(&net, reader, relay));
    let (again, cursor) = differing(&mut net, wire, cursor);
    assert!(again.is_empty(), "equal collections: {again:?}");
    assert!(differing(&mut net, wire, cursor).0.is_empty());
}

/// Bug class J: who may not read a whole collection learns nothing of it, not even names.
#[test]
fn a_collection_is_compared_only_with_whoever_may_read_all_of_it() {
    let rule = |documents: &str, read| GrantRule { documents: documents.into(), rights: Rights { read, write: true } };
    let cases = [
        (vec![rule("notes/*", true)], true),
        (vec![rule("n*", true), rule("notes/*", false)], true),
        (vec![rule("notes/1*", true)], false),
        (vec![rule("notes/", true)], false),
        (vec![rule("notes/*", false)], false),
        (Vec::new(), false),
    ];
    for (rules, allowed) in cases {
        let mut net = Net::default();
        let (_, relay) = filled(&mut net, 2);
        let reader = net.peer(Config::client());
        net.peers[relay].grants.insert("reader".into(), Ok(Grant { user: None, rules: rules.clone() }));
        let wire = net.connect_as(reader, relay, Link::Remote, Some("reader"));
        let question = Initiator::hello(&mut net.peers[reader].collection, None, 1).1;
        assert_eq!(ask(&mut net, wire, COLLECTION, question).is_some(), allowed, "{rules:?}");
    }
}

#[test]
fn questions_are_answered_in_order_and_where_nothing_is_compared_with_nothing() {
    let mut net = Net::default();
    let (reader, plain) = (net.peer(Config::client()), net.relay());
    let wire = net.connect(reader, plain);
    assert_eq!(ask(&mut net, wire, COLLECTION, vec![0]), None);
    let comparing = relay(&mut net);
    let wire = net.connect(reader, comparing);
    let conn = net.wires[wire].ends[0].1;
    let question = Initiator::hello(&mut net.peers[reader].collection, None, 1).1;
    let before = net.peers[reader].effects.len();
    for (collection, question) in [("a", question.clone()), ("b", vec![99]), ("c", question)] {
        net.input(reader, Input::Ask { conn, collection: collection.into(), question });
    }
    net.run();
    let answers = net.peers[reader].effects[before..].iter().filter_map(|effect| match effect {
        Effect::Answered { collection, answer, .. } => Some((collection.as_str(), answer.is_some())),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), [("a", true), ("b", false), ("c", true)]);
    // The acceptor cannot ask, and nobody can over a connection that is not there.
    let (peer, conn) = net.wires[wire].ends[1];
    for (peer, conn) in [(peer, conn), (reader, selvedge::sync::ConnId(99))] {
        net.input(peer, Input::Ask { conn, collection: COLLECTION.into(), question: vec![0] });
        net.run();
        assert!(matches!(net.peers[peer].effects.last(), Some(Effect::Answered { answer: None, .. })));
    }
    assert_eq!(net.peers[reader].closings(), Vec::<(CloseCode, String)>::new());
}

//! Acknowledgements and the status: never more than the truth.

use selvedge::sync::{AckLevel, CloseCode, Config, Effect, Grant, GrantRule, Input, Link, RefuseCode, Rights};

use crate::net::{Net, Store, doc};

fn acked(net: &Net, peer: usize, level: AckLevel) -> u64 {
    let mut best = 0;
    for effect in &net.peers[peer].effects {
        if let Effect::Acked { level: got, version, .. } = effect
            && *got == level
        {
            best = best.max(version.end(net.peers[peer].replica));
        }
    }
    best
}

#[test]
fn durable_is_acknowledged_only_after_it_is_stored() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    net.peers[relay].store = Store::Holds;
    net.connect(a, relay);
    net.edit(a, "d", b"x");
    net.run();
    assert_eq!((acked(&net, a, AckLevel::Received), acked(&net, a, AckLevel::Durable)), (1, 0));
    assert!(net.status(a, "d").received && !net.status(a, "d").durable);
    // What comes while the store works waits for the next turn of it.
    net.edit(a, "d", b"y");
    net.run();
    assert_eq!(net.peers[relay].held.len(), 1);
    net.finish_store(relay);
    net.run();
    assert_eq!((acked(&net, a, AckLevel::Received), acked(&net, a, AckLevel::Durable)), (2, 1));
    assert!(!net.status(a, "d").durable);
    net.finish_store(relay);
    net.run();
    assert_eq!(acked(&net, a, AckLevel::Durable), 2);
    assert!(net.status(a, "d").durable);
    assert_eq!(crate::net::read_disk(net.peers[relay].disk.get(&doc("d"))).version().ops(), 2);
}

/// A full disk on the relay: the sender is told, keeps its changes, and brings them again.
#[test]
fn what_the_relay_cannot_store_is_given_back() {
    let mut net = Net::default();
    let (a, b, relay) = (net.client("d"), net.client("d"), net.relay());
    net.connect(a, relay);
    net.connect(b, relay);
    net.run();
    net.peers[relay].store = Store::Fails;
    net.edit(a, "d", b"x");
    net.run();
    assert_eq!(acked(&net, a, AckLevel::Durable), 0);
    assert!(net.peers[a].refusals().contains(&RefuseCode::NotStored));
    assert!(net.peers[b].refusals().contains(&RefuseCode::NotStored));
    assert!(!net.status(a, "d").durable && !net.status(a, "d").connected && net.status(a, "d").saved);
    // The room has left memory: a restart could not show less.
    assert!(!net.peers[relay].docs.contains_key(&doc("d")));
    net.pass(30_000);
    assert!(!net.status(a, "d").durable);
    net.peers[relay].store = Store::Works;
    net.pass(120_000);
    assert!(net.status(a, "d").durable && net.status(b, "d").caught_up);
    assert_eq!(net.version(relay, "d"), net.version(b, "d"));
}

/// Bug class B: a relay that loses what it had acknowledged as received gets it again.
#[test]
fn a_relay_killed_before_its_disk_was_synced_is_filled_again() {
    let mut net = Net::default();
    let (a, b, relay) = (net.client("d"), net.client("d"), net.relay());
    net.connect(a, relay);
    net.connect(b, relay);
    net.run();
    net.edit(a, "d", b"stored");
    net.run();
    net.peers[relay].store = Store::Holds;
    net.edit(a, "d", b"lost");
    net.run();
    assert_eq!(net.version(b, "d").ops(), 2);
    net.restart(relay, Config::relay());
    net.peers[relay].store = Store::Works;
    assert!(!net.status(a, "d").durable);
    // Only b comes back: what a typed is saved by the copy that b got.
    net.connect(b, relay);
    net.run();
    assert_eq!(net.version(relay, "d").ops(), 2);
    net.connect(a, relay);
    net.run();
    assert!(net.status(a, "d").durable && net.status(b, "d").durable);
}

#[test]
fn own_changes_leave_only_after_they_are_saved_here() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    net.connect(a, relay);
    net.run();
    net.peers[a].store = Store::Fails;
    net.edit(a, "d", b"x");
    net.run();
    assert!(!net.status(a, "d").saved);
    assert_eq!(net.version(relay, "d").ops(), 0);
    // Tried again at the next edit and by itself, less and less often.
    let tries = |net: &Net| net.peers[a].effects.iter().filter(|e| matches!(e, Effect::Persist { .. })).count();
    assert_eq!(tries(&net), 1);
    net.edit(a, "d", b"y");
    net.run();
    assert_eq!(tries(&net), 2);
    net.pass(600_000);
    assert!((8..30).contains(&tries(&net)), "{} tries in ten minutes", tries(&net));
    assert_eq!(net.version(relay, "d").ops(), 0);
    net.peers[a].store = Store::Works;
    net.pass(60_000);
    assert!(net.status(a, "d").saved && net.status(a, "d").durable);
    assert_eq!(net.version(relay, "d").ops(), 2);
    assert_eq!(crate::net::read_disk(net.peers[a].disk.get(&doc("d"))).version().ops(), 2);
}

#[test]
fn the_status_is_true_again_after_a_reconnect() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    let wire = net.connect(a, relay);
    net.edit(a, "d", b"x");
    net.run();
    net.cut(wire);
    net.run();
    let status = net.status(a, "d");
    assert!(!status.connected && status.durable, "what was stored stays stored");
    net.edit(a, "d", b"offline");
    net.run();
    assert!(!net.status(a, "d").durable && net.status(a, "d").saved);
    // Closed and opened again on this device: the engine remembers nothing, and assumes nothing.
    net.input(a, Input::Closed { doc: doc("d") });
    net.open(a, "d");
    net.run();
    assert!(!net.status(a, "d").received);
    net.connect(a, relay);
    net.run();
    assert!(net.status(a, "d").durable);
    let last = net.peers[a].effects.iter().rev().find_map(|effect| match effect {
        Effect::Status { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(last, Some(net.status(a, "d")), "what was told is what is");
}

/// The relay had received it and not yet stored it when the sender's connection broke.
#[test]
fn what_becomes_durable_later_is_told_to_whoever_came_back() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    net.peers[relay].store = Store::Holds;
    let wire = net.connect(a, relay);
    net.edit(a, "d", b"x");
    net.run();
    net.cut(wire);
    net.connect(a, relay);
    net.run();
    assert!(net.status(a, "d").received && !net.status(a, "d").durable);
    net.finish_store(relay);
    net.run();
    assert!(net.status(a, "d").durable);
}

#[test]
fn a_reader_is_told_that_its_changes_stay_here() {
    let mut net = Net::default();
    let (a, reader, relay) = (net.client("d"), net.client("d"), net.relay());
    let rights = Rights { read: true, write: false };
    let grant = Grant { user: None, rules: vec![GrantRule { documents: "d".into(), rights }] };
    net.peers[relay].grants.insert("reader".into(), Ok(grant));
    net.peers[relay].grants.insert("nobody".into(), Err("the token is out of date".into()));
    net.connect(a, relay);
    let wire = net.connect_as(reader, relay, Link::Remote, Some("reader"));
    net.edit(reader, "d", b"mine");
    net.edit(a, "d", b"theirs");
    net.run();
    net.edit(reader, "d", b"more of mine");
    net.run();
    assert_eq!(net.version(relay, "d").ops(), 1);
    assert_eq!(net.version(reader, "d").ops(), 3);
    assert!(net.wires[wire].up && !net.status(reader, "d").received);
    assert_eq!(net.peers[reader].refusals(), [RefuseCode::Forbidden], "once");
    let wire = net.connect_as(a, relay, Link::Remote, Some("nobody"));
    net.run();
    assert!(!net.wires[wire].up);
    assert_eq!(net.peers[a].closings(), [(CloseCode::Unauthorized, "the token is out of date".to_owned())]);
}

/// A large history comes in pieces; `behind` counts down, and a connection that is lost goes on where it stopped.
#[test]
fn a_large_history_goes_on_where_a_lost_connection_stopped() {
    let mut net = Net::default();
    let (writer, relay) = (net.client("d"), net.relay());
    net.connect(writer, relay);
    let mut noise = 1u64;
    for _ in 0..2_000 {
        let mut body = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 56) as u8
        };
        let body: Vec<u8> = (0..1_000).map(|_| body()).collect();
        net.edit(writer, "d", &body);
    }
    net.run();
    let reader = net.client("d");
    let wire = net.connect(reader, relay);
    let mark = net.sent.len();
    let mut told = Vec::new();
    // The greeting, the opening, and some of the frames that follow.
    for _ in 0..6 {
        (0..net.peers.len()).for_each(|peer| net.drain(peer));
        net.deliver();
        told.push(net.status(reader, "d").behind);
    }
    let half = net.status(reader, "d");
    assert!(!half.caught_up && half.behind > 100 && half.behind < 1_900, "{half:?}");
    assert!(told.iter().skip_while(|behind| **behind == 0).is_sorted_by(|a, b| a >= b), "{told:?}");
    net.run();
    let whole = net.traffic(wire, 1, mark).1;
    assert!(whole > 2_000_000 && net.status(reader, "d").behind == 0);

    let again = net.client("d");
    let wire = net.connect(again, relay);
    for _ in 0..6 {
        (0..net.peers.len()).for_each(|peer| net.drain(peer));
        net.deliver();
    }
    net.drain(again);
    let left = net.status(again, "d").behind;
    net.cut(wire);
    let (wire, mark) = (net.connect(again, relay), net.sent.len());
    net.run();
    let rest = net.traffic(wire, 1, mark).1 as u64;
    assert!(rest < left * 1_100 + 10_000 && rest < whole as u64 * 9 / 10, "{rest} bytes for {left} operations");
    assert_eq!(net.version(again, "d"), net.version(writer, "d"));
}

/// Documents over one connection: the one on screen is asked for first and arrives first, whatever its name.
#[test]
fn the_document_on_screen_comes_first() {
    let mut net = Net::default();
    let (writer, relay) = (net.peer(Config::client()), net.relay());
    net.connect(writer, relay);
    let names = ["a", "b", "c", "d"];
    for name in names {
        net.open(writer, name);
        // More than goes into one frame.
        (0..3).for_each(|_| net.edit(writer, name, &[7; 100_000]));
    }
    net.run();
    for (first, loaded) in [("c", true), ("d", false)] {
        if !loaded {
            net.restart(relay, Config::relay());
        }
        let reader = net.peer(Config::client());
        names.into_iter().for_each(|name| net.open(reader, name));
        net.input(reader, Input::Prioritize { doc: doc(first), priority: 9 });
        let wire = net.connect(reader, relay);
        net.run();
        let named = |effects: &[Effect], which: fn(&Effect) -> Option<&selvedge::DocName>| -> Vec<String> {
            effects.iter().filter_map(which).map(ToString::to_string).collect()
        };
        let arrived = named(&net.peers[reader].effects, |effect| match effect {
            Effect::Applied { doc, .. } => Some(doc),
            _ => None,
        });
        assert_eq!(arrived.first().map(String::as_str), Some(first), "{arrived:?}");
        assert!(names.iter().all(|name| arrived.iter().any(|doc| doc == name)));
        let loads = named(&net.peers[relay].effects, |effect| match effect {
            Effect::Open { doc } => Some(doc),
            _ => None,
        });
        assert!(loaded || loads[loads.len() - names.len()] == first, "{loads:?}");
        net.cut(wire);
    }
}

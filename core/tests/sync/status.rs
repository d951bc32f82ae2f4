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

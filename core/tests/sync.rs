//! The sync engine from outside: two or more engines over wires in memory, with opaque logs for documents.

#[path = "sync/collections.rs"]
mod collections;
#[path = "sync/faults.rs"]
mod faults;
#[path = "sync/flow.rs"]
mod flow;
#[path = "sync/fork.rs"]
mod fork;
#[path = "sync/gossip.rs"]
mod gossip;
#[path = "sync/links.rs"]
mod links;
#[path = "sync/net.rs"]
mod net;
#[path = "sync/presence.rs"]
mod presence;
#[path = "sync/shallow.rs"]
mod shallow;
#[path = "sync/status.rs"]
mod status;

use net::{Net, doc};
use selvedge::sync::{Config, Effect, Input, Link, RefuseCode};

/// Frames until the greeting is through.
fn greet(net: &mut Net) {
    for _ in 0..2 {
        (0..net.peers.len()).for_each(|peer| net.drain(peer));
        net.deliver();
    }
}

fn applied(net: &Net, peer: usize) -> Vec<Vec<u8>> {
    let batches = net.peers[peer].effects.iter().filter_map(|effect| match effect {
        Effect::Applied { batch, .. } => Some(batch.segments.iter().map(|segment| segment.frames.to_vec())),
        _ => None,
    });
    batches.flatten().collect()
}

#[test]
fn a_dialer_catches_up_in_one_round_trip() {
    let mut net = Net::default();
    let (a, b, relay) = (net.client("d"), net.client("d"), net.relay());
    net.connect(a, relay);
    net.edit(a, "d", b"from a");
    net.edit(b, "d", b"from b");
    net.run();
    let wire = net.connect(b, relay);
    greet(&mut net);
    let mark = net.sent.len();
    // There and back once.
    for _ in 0..2 {
        (0..3).for_each(|peer| net.drain(peer));
        net.deliver();
    }
    net.drain(b);
    assert_eq!(applied(&net, b).len(), 1);
    assert!(net.status(b, "d").caught_up);
    net.run();
    assert_eq!(net.version(a, "d"), net.version(b, "d"));
    assert_eq!(net.version(relay, "d"), net.version(b, "d"));
    // b: Open; Changes; Digest. relay: Opened, Changes and Digest; Ack and Digest.
    let (there, back) = (net.traffic(wire, 0, mark), net.traffic(wire, 1, mark));
    println!("catch-up: {there:?} frames and bytes to the relay, {back:?} back");
    assert!(there.0 <= 3 && back.0 <= 2, "{there:?} {back:?}");
}

#[test]
fn a_reconnect_with_nothing_new_is_small() {
    let mut net = Net::default();
    let (a, b, relay) = (net.client("my-document"), net.client("my-document"), net.relay());
    let wires = [net.connect(a, relay), net.connect(b, relay)];
    for peer in [a, b] {
        net.edit(peer, "my-document", b"edit");
        net.run();
    }
    net.cut(wires[0]);
    let wire = net.connect(a, relay);
    greet(&mut net);
    let mark = net.sent.len();
    let effects = net.peers.iter().map(|peer| peer.effects.len()).collect::<Vec<_>>();
    net.run();
    let (there, back) = (net.traffic(wire, 0, mark), net.traffic(wire, 1, mark));
    println!("nothing changed: {} bytes there, {} back", there.1, back.1);
    assert!(there.1 + back.1 < 100, "{there:?} {back:?}");
    assert_eq!((there.0, back.0), (1, 1));
    for (peer, before) in effects.into_iter().enumerate() {
        let new = &net.peers[peer].effects[before..];
        assert!(!new.iter().any(|effect| matches!(effect, Effect::Load { .. } | Effect::Persist { .. })));
    }
    assert!(net.status(a, "my-document").durable);
}

#[test]
fn three_peers_share_through_a_relay_and_nothing_is_sent_twice() {
    let mut net = Net::default();
    let relay = net.relay();
    let clients = [net.client("d"), net.client("d"), net.client("d")];
    let wires = clients.map(|client| net.connect(client, relay));
    net.run();
    let mark = net.sent.len();
    let body = vec![7; 2_000];
    for round in 0..10 {
        for client in clients {
            net.edit(client, "d", &body);
            if round % 2 == 0 {
                net.run();
            }
        }
        net.run();
    }
    let state = net.state(relay, "d");
    assert_eq!(net.version(relay, "d").ops(), 30);
    for (client, wire) in clients.into_iter().zip(wires) {
        assert_eq!(net.version(client, "d"), net.version(relay, "d"));
        let (up, down) = (net.traffic(wire, 0, mark).1, net.traffic(wire, 1, mark).1);
        // 10 own changes up, 20 of the others down, none of them twice, nothing echoed.
        assert!((20_000..22_000).contains(&up), "{up} bytes up");
        assert!((40_000..44_000).contains(&down), "{down} bytes down");
        assert!(net.status(client, "d").durable && net.status(client, "d").caught_up);
    }
    let mut digests: Vec<_> = state.logs.iter().map(|log| log.digest).collect();
    digests.sort_unstable();
    for client in clients {
        let mut other: Vec<_> = net.state(client, "d").logs.iter().map(|log| log.digest).collect();
        other.sort_unstable();
        assert_eq!(other, digests);
    }
    // A relay that starts on its disk has everything.
    let disk = net::read_disk(net.peers[relay].disk.get(&doc("d")));
    assert_eq!(disk.version(), net.version(relay, "d"));
}

#[test]
fn many_edits_in_one_turn_leave_in_one_frame() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    let wire = net.connect(a, relay);
    net.run();
    let mark = net.sent.len();
    (0..50).for_each(|_| net.edit(a, "d", b"k"));
    net.run();
    let (frames, bytes) = net.traffic(wire, 0, mark);
    assert!(frames == 1 && bytes < 50 * 6, "{frames} frames, {bytes} bytes");
    assert_eq!(net.traffic(wire, 1, mark).0, 1, "acknowledged once");
}

#[test]
fn several_documents_share_a_connection() {
    let mut net = Net::default();
    let (a, b, relay) = (net.client("one"), net.client("two"), net.relay());
    net.open(a, "two");
    net.connect(a, relay);
    net.connect(b, relay);
    net.run();
    net.edit(a, "one", b"1");
    net.edit(b, "two", b"2");
    net.run();
    assert_eq!(net.version(a, "two"), net.version(b, "two"));
    // A document that closes stops there and nowhere else.
    net.input(a, Input::Closed { doc: doc("two") });
    net.edit(b, "two", b"3");
    net.edit(a, "one", b"4");
    net.run();
    assert_eq!(net.version(relay, "two").ops(), 2);
    assert_eq!(net.version(relay, "one").ops(), 2);
    assert_eq!(net.version(a, "two").ops(), 1);
    net.open(a, "two");
    net.run();
    assert_eq!(net.version(a, "two").ops(), 2);
}

#[test]
fn tabs_share_a_store_and_find_each_other_late() {
    let mut net = Net::default();
    let (one, two) = (net.client("d"), net.peer(Config::client()));
    net.connect_as(one, two, Link::SharedStore, None);
    net.edit(one, "d", b"before the other tab opened it");
    net.run();
    assert_eq!(net.peers[one].refusals(), [RefuseCode::Unknown]);
    net.peers[two].disk = net.peers[one].disk.clone();
    net.open(two, "d");
    net.run();
    net.edit(one, "d", b"1");
    net.edit(two, "d", b"2");
    net.run();
    assert_eq!(net.version(one, "d"), net.version(two, "d"));
    assert_eq!(net.version(one, "d").ops(), 3);
    // Each stored its own changes and not the other's.
    let stored = |net: &Net, peer: usize| {
        let batches = net.peers[peer].effects.iter().filter(|effect| matches!(effect, Effect::Persist { .. }));
        batches.count()
    };
    assert_eq!((stored(&net, one), stored(&net, two)), (2, 1));
    // A tab is no relay: nothing has left this device.
    let status = net.status(one, "d");
    assert!(status.saved && !status.connected && !status.received && !status.durable);
}

#[test]
fn a_tab_passes_on_what_the_relay_sent_and_what_other_tabs_wrote() {
    let mut net = Net::default();
    let (relay, far) = (net.relay(), net.client("d"));
    let tabs = [net.client("d"), net.client("d")];
    net.connect(far, relay);
    net.connect(tabs[0], relay);
    net.connect_as(tabs[0], tabs[1], Link::SharedStore, None);
    net.run();
    net.edit(tabs[1], "d", b"typed in the tab without a relay");
    net.edit(far, "d", b"typed far away");
    net.run();
    for peer in [far, tabs[1], relay] {
        assert_eq!(net.version(peer, "d"), net.version(tabs[0], "d"));
    }
    assert_eq!(net.version(far, "d").ops(), 2);
}

#[test]
fn equal_inputs_give_equal_effects() {
    let play = || {
        let mut net = Net::default();
        let (a, b, relay) = (net.client("d"), net.client("d"), net.relay());
        let wire = net.connect(a, relay);
        net.connect(b, relay);
        for round in 0..20u8 {
            net.edit(a, "d", &[round; 9]);
            net.edit(b, "d", &[round]);
            let value = (round % 5 > 0).then(|| vec![round]);
            net.input(a, Input::SetPresence { doc: doc("d"), key: format!("k{}", round % 3), value });
            if round % 3 == 0 {
                net.run();
            }
            if round == 7 {
                net.cut(wire);
                net.connect(a, relay);
            }
            net.pass(u64::from(round) * 400);
        }
        net.run();
        net.peers.into_iter().map(|peer| peer.effects).collect::<Vec<_>>()
    };
    let (first, second) = (play(), play());
    assert!(first.iter().all(|effects| effects.len() > 20));
    assert!(first == second);
}

#[test]
fn quiet_connections_stay_up_and_dead_ones_are_closed() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    let wire = net.connect(a, relay);
    net.run();
    let mark = net.sent.len();
    net.pass(600_000);
    assert!(net.wires[wire].up);
    // A sign of life about every 15 s and side, a few bytes each.
    let (frames, bytes) = net.traffic(wire, 0, mark);
    assert!((30..=50).contains(&frames) && bytes < 50 * 8, "{frames} frames, {bytes} bytes");
    net.wires[wire].broken = true;
    net.pass(60_000);
    for peer in [a, relay] {
        let closings = net.peers[peer].closings();
        assert_eq!(closings.len(), 1, "{closings:?}");
        assert_eq!(closings[0].0.number(), 8);
    }
}

#[test]
fn an_idle_room_leaves_memory_and_comes_back() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    let wire = net.connect(a, relay);
    net.edit(a, "d", b"x");
    net.run();
    net.pass(300_000);
    assert!(net.peers[relay].docs.contains_key(&doc("d")), "a room with a peer stays");
    net.cut(wire);
    net.pass(300_000);
    assert!(!net.peers[relay].docs.contains_key(&doc("d")));
    net.connect(a, relay);
    net.edit(a, "d", b"y");
    net.run();
    assert_eq!(net.version(relay, "d").ops(), 2);
    assert!(net.status(a, "d").durable);
}

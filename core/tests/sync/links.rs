//! Relays that dial relays: changes and presence pass both ways, what nobody has open is fetched, and nothing stays in
//! memory for a link's sake alone.

use selvedge::sync::{CloseCode, Config, ConnId, Effect, Grant, GrantRule, Input, Link, RefuseCode, Rights};

use crate::net::{Net, doc, read_disk};

/// A line of relays, each of which dialed the next one, and the wires between them.
fn line(net: &mut Net, relays: usize) -> (Vec<usize>, Vec<usize>) {
    let relays: Vec<usize> = (0..relays).map(|_| net.peer(Config { collections: true, ..Config::relay() })).collect();
    let wires = relays.windows(2).map(|pair| net.connect(pair[0], pair[1])).collect();
    net.run();
    (relays, wires)
}

fn fetch(net: &mut Net, wire: usize, name: &str) {
    let (peer, conn) = net.wires[wire].ends[0];
    net.input(peer, Input::Fetch { conn, doc: doc(name) });
}

/// How many of the effects of a peer satisfy this.
fn count(net: &Net, peer: usize, which: impl Fn(&Effect) -> bool) -> usize {
    net.peers[peer].effects.iter().filter(|effect| which(effect)).count()
}

fn fetched(net: &Net, peer: usize) -> usize {
    count(net, peer, |effect| matches!(effect, Effect::Fetched { .. }))
}

fn version_on_disk(net: &Net, peer: usize, name: &str) -> selvedge::VersionVector {
    read_disk(net.peers[peer].disk.get(&doc(name))).version()
}

#[test]
fn an_edit_at_one_end_reaches_the_other_and_rooms_leave_memory_although_the_links_are_up() {
    let mut net = Net::default();
    let (relays, _) = line(&mut net, 3);
    let (near, far) = (net.client("d"), net.client("d"));
    let (near_wire, far_wire) = (net.connect(near, relays[0]), net.connect(far, relays[2]));
    for peer in [near, far, near] {
        net.edit(peer, "d", b"edit");
        net.run();
        assert_eq!(net.version(near, "d"), net.version(far, "d"));
    }
    assert!(relays.iter().all(|relay| net.peers[*relay].engine.status(&doc("d")).is_some()));
    [near_wire, far_wire].into_iter().for_each(|wire| net.cut(wire));
    // One after the other: the last one to go is the one that all others had asked.
    net.pass(200_000);
    for relay in relays {
        assert!(net.peers[relay].engine.status(&doc("d")).is_none(), "relay {relay} keeps the room");
        assert_eq!(version_on_disk(&net, relay, "d"), net.version(near, "d"));
        assert_eq!(net.peers[relay].closings(), Vec::<(CloseCode, String)>::new());
    }
}

#[test]
fn what_nobody_has_open_is_fetched_both_ways_and_let_go() {
    let mut net = Net::default();
    let (relays, wires) = line(&mut net, 2);
    let (a, b) = (relays[0], relays[1]);
    // Both relays learn something of one document while the link is down.
    net.cut(wires[0]);
    for (name, relay) in [("d", a), ("d", b), ("e", b)] {
        let writer = net.client(name);
        let wire = net.connect(writer, relay);
        net.edit(writer, name, b"offline");
        net.run();
        net.cut(wire);
    }
    net.pass(100_000);
    let wire = net.connect(a, b);
    net.run();
    assert!(net.peers[a].docs.is_empty());
    ["d", "e"].into_iter().for_each(|name| fetch(&mut net, wire, name));
    net.run();
    assert_eq!(fetched(&net, a), 2);
    for name in ["d", "e"] {
        assert_eq!(version_on_disk(&net, a, name), version_on_disk(&net, b, name));
        assert!(!net.peers[a].docs.contains_key(&doc(name)), "{name} is not let go");
    }
    assert_eq!(version_on_disk(&net, b, "d").len(), 2);
    net.pass(100_000);
    assert!(net.peers[b].docs.is_empty());
}

#[test]
fn every_fetch_ends() {
    let mut net = Net::default();
    let (relays, wires) = line(&mut net, 2);
    let (a, b) = (relays[0], relays[1]);
    // What is open already is compared at once; what neither has is equal.
    let client = net.client("d");
    net.connect(client, a);
    net.edit(client, "d", b"edit");
    net.run();
    ["d", "d", "nowhere"].into_iter().for_each(|name| fetch(&mut net, wires[0], name));
    net.run();
    assert_eq!(fetched(&net, a), 3 - 1, "two fetches of one document over one connection are one");
    assert!(net.peers[a].docs.contains_key(&doc("d")), "a client has it open");
    // Over no connection, or one that goes.
    let before = fetched(&net, a);
    net.input(a, Input::Fetch { conn: ConnId(99), doc: doc("x") });
    net.wires[wires[0]].broken = true;
    fetch(&mut net, wires[0], "y");
    net.run();
    assert_eq!(fetched(&net, a), before + 1);
    net.cut(wires[0]);
    net.run();
    assert_eq!(fetched(&net, a), before + 2);
    assert!(!net.peers[a].docs.contains_key(&doc("y")));
    // A link that may only read gets everything and cannot give.
    let rules = vec![GrantRule { documents: "*".into(), rights: Rights { read: true, write: false } }];
    net.peers[b].grants.insert("reader".into(), Ok(Grant { user: None, rules }));
    let wire = net.connect_as(a, b, Link::Remote, Some("reader"));
    fetch(&mut net, wire, "d");
    net.run();
    assert_eq!(fetched(&net, a), before + 3);
    // Refused.
    net.peers[b].grants.insert("nobody".into(), Ok(Grant::default()));
    let wire = net.connect_as(a, b, Link::Remote, Some("nobody"));
    fetch(&mut net, wire, "z");
    net.run();
    assert_eq!(fetched(&net, a), before + 4);
    assert!(net.peers[a].refusals().contains(&RefuseCode::Forbidden));
}

#[test]
fn presence_passes_over_links_in_both_directions() {
    let mut net = Net::default();
    let (relays, _) = line(&mut net, 3);
    let (near, far) = (net.client("d"), net.client("d"));
    net.peers[relays[0]].grants.insert("ann".into(), Ok(Grant { user: Some("ann".into()), ..Grant::all() }));
    let wire = net.connect_as(near, relays[0], Link::Remote, Some("ann"));
    net.connect(far, relays[2]);
    net.run();
    for (peer, other, user) in [(near, far, Some("ann".to_owned())), (far, near, None)] {
        net.input(peer, Input::SetPresence { doc: doc("d"), key: "k".into(), value: Some(b"v".to_vec()) });
        net.run();
        let owner = net.peers[peer].replica;
        let seen = |effect: &Effect| matches!(effect, Effect::Presence { owner: of, user: by, value: Some(_), .. } if *of == owner && *by == user);
        assert_eq!(count(&net, other, seen), 1);
    }
    net.cut(wire);
    net.run();
    assert_eq!(count(&net, far, |effect| matches!(effect, Effect::Presence { value: None, .. })), 1);
}

#[test]
fn news_are_told_once_to_those_who_asked() {
    let mut net = Net::default();
    let (relays, wires) = line(&mut net, 2);
    let (a, b) = (relays[0], relays[1]);
    let news = |net: &Net| count(net, a, |effect| matches!(effect, Effect::News { .. }));
    let tell = |net: &mut Net| {
        net.input(b, Input::News { collection: "d/".into() });
        net.run();
    };
    tell(&mut net);
    assert_eq!(news(&net), 0, "nobody asked");
    let (peer, conn) = net.wires[wires[0]].ends[0];
    let question = selvedge::merkle::Initiator::hello(&mut net.peers[peer].collection, None, 1).1;
    for collection in ["d/", "e/"] {
        net.input(peer, Input::Ask { conn, collection: collection.into(), question: question.clone() });
    }
    net.run();
    tell(&mut net);
    tell(&mut net);
    assert_eq!(news(&net), 1);
}

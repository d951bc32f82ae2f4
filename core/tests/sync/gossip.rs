//! Equals that are linked in many ways: changes go along a tree, so that little comes twice; what a broken link or a
//! lazy one kept back is asked for; and clients get everything at once all the same.

use selvedge::sync::{Config, Link};

use crate::net::{Net, Store};

const EQUALS: usize = 8;
const BODY: usize = 4_000;

/// Bytes that do not deflate.
fn body(seed: usize) -> Vec<u8> {
    let mut state = seed as u64 + 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..BODY).map(|_| next()).collect()
}

/// Equals that have document `d`, linked as told.
fn equals(links: &[(usize, usize)]) -> Net {
    let mut net = Net::default();
    for _ in 0..EQUALS {
        net.client("d");
    }
    for (one, other) in links {
        net.connect_as(*one, *other, Link::Equal, None);
    }
    net.pass(5_000);
    net
}

fn ring() -> Vec<(usize, usize)> {
    (0..EQUALS).map(|peer| (peer, (peer + 1) % EQUALS)).collect()
}

fn mesh() -> Vec<(usize, usize)> {
    (0..EQUALS).flat_map(|one| (0..one).map(move |other| (one, other))).collect()
}

/// Every equal edits in turn, `rounds` times, with time to pass it on. Bytes sent beyond one copy of each change for
/// everybody but its author, per byte needed.
fn redundancy(net: &mut Net, rounds: usize) -> f64 {
    let mark = net.sent.len();
    for round in 0..rounds {
        for peer in 0..EQUALS {
            net.edit(peer, "d", &body(round * EQUALS + peer));
            net.pass(50);
        }
    }
    let sent: usize = net.sent[mark..].iter().map(|(_, _, bytes)| bytes).sum();
    let needed = rounds * EQUALS * BODY * (EQUALS - 1);
    sent as f64 / needed as f64 - 1.0
}

fn assert_equal_copies(net: &mut Net, ops: u64) {
    let state = |net: &mut Net, peer| {
        let mut logs: Vec<_> = net.state(peer, "d").logs.into_iter().map(|log| (log.replica, log.digest)).collect();
        logs.sort_unstable();
        logs
    };
    let first = state(net, 0);
    assert_eq!(net.version(0, "d").ops(), ops);
    for peer in 1..EQUALS {
        assert_eq!(state(net, peer), first, "copy {peer}");
        assert!(net.peers[peer].closings().is_empty() && net.peers[peer].refusals().is_empty());
    }
}

#[test]
fn little_comes_twice_in_a_ring_and_in_a_mesh() {
    for (name, links) in [("ring", ring()), ("mesh", mesh())] {
        let mut net = equals(&links);
        // The first changes find out which links are left over.
        let first = redundancy(&mut net, 1);
        let settled = redundancy(&mut net, 10);
        println!("{name} of {EQUALS}: redundancy {first:.3} at first, then {settled:.3}");
        assert!(settled < 0.2, "{name}: {settled}");
        assert_equal_copies(&mut net, 11 * EQUALS as u64);
        let mark = net.sent.len();
        net.pass(60_000);
        let bytes: usize = net.sent[mark..].iter().map(|(_, _, bytes)| bytes).sum();
        assert!(bytes < links.len() * 2 * 400, "{name}: {bytes} bytes in a minute of silence");
    }
}

#[test]
fn many_relays_in_a_mesh_pass_on_what_a_client_wrote() {
    let mut net = Net::default();
    let relays: Vec<usize> = (0..5).map(|_| net.relay()).collect();
    let clients: Vec<usize> = relays.iter().map(|_| net.client("d")).collect();
    for (client, relay) in clients.iter().zip(&relays) {
        net.connect(*client, *relay);
    }
    // A relay opens a document over its links once a client has it open there.
    net.pass(1_000);
    for (at, one) in relays.iter().enumerate() {
        for other in &relays[..at] {
            net.connect_as(*one, *other, Link::Equal, None);
        }
    }
    net.pass(1_000);
    let links = |net: &Net, mark: usize| -> usize {
        net.sent[mark..].iter().filter(|(wire, ..)| *wire >= clients.len()).map(|(.., bytes)| bytes).sum()
    };
    let mut mark = 0;
    for round in 0..20 {
        if round == 10 {
            mark = net.sent.len();
        }
        net.edit(clients[round % 5], "d", &body(round));
        net.run();
        // Without any time: no client waits for an announcement.
        for client in &clients {
            assert_eq!(net.version(*client, "d").ops(), round as u64 + 1, "round {round}");
        }
        net.pass(100);
    }
    assert!(clients.iter().all(|client| net.status(*client, "d").durable));
    // Ten changes, one copy of each for the four other relays.
    let redundancy = links(&net, mark) as f64 / (10 * BODY * 4) as f64 - 1.0;
    assert!(redundancy < 0.2, "{redundancy} between the relays");
}

#[test]
fn a_pair_of_equals_stays_eager() {
    let mut net = Net::default();
    let (one, other) = (net.client("d"), net.client("d"));
    net.connect_as(one, other, Link::Equal, None);
    for round in 0..10 {
        net.edit(one, "d", &body(round));
        net.edit(other, "d", &body(round));
        net.run();
        assert_eq!(net.version(one, "d").ops(), 2 * (round as u64 + 1));
        assert_eq!(net.version(one, "d"), net.version(other, "d"));
    }
    // A second link is left over, even where both find that out at once and each keeps another one.
    net.connect_as(other, one, Link::Equal, None);
    for _ in 0..3 {
        net.edit(one, "d", &body(1));
        net.edit(other, "d", &body(2));
        net.pass(2_000);
        assert_eq!(net.version(one, "d"), net.version(other, "d"));
    }
    let mark = net.sent.len();
    net.edit(one, "d", &body(3));
    net.run();
    let sent: usize = net.sent[mark..].iter().map(|(_, _, bytes)| bytes).sum();
    assert!((BODY..BODY + 400).contains(&sent), "{sent} bytes for one change");
    assert_eq!(net.version(one, "d"), net.version(other, "d"));
}

#[test]
fn what_a_broken_link_kept_back_is_asked_for_over_a_lazy_one() {
    for wire in 0..EQUALS {
        let mut net = equals(&ring());
        redundancy(&mut net, 2);
        // Whichever link it is, lazy or not: it swallows everything, and nobody has noticed yet.
        net.wires[wire].broken = true;
        net.edit(wire, "d", &body(wire));
        net.pass(3_000);
        assert_equal_copies(&mut net, 2 * EQUALS as u64 + 1);
        net.cut(wire);
        let (one, other) = (net.wires[wire].ends[0].0, net.wires[wire].ends[1].0);
        net.connect_as(one, other, Link::Equal, None);
        net.edit(wire, "d", &body(wire));
        net.pass(3_000);
        assert_equal_copies(&mut net, 2 * EQUALS as u64 + 2);
    }
}

#[test]
fn links_that_fail_and_copies_that_restart_lose_nothing() {
    for links in [ring(), mesh()] {
        let mut net = equals(&links);
        let mut edits = 0;
        let mut state = 7usize;
        let mut dice = |end: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % end
        };
        let mut wires: Vec<usize> = (0..links.len()).collect();
        for _ in 0..200 {
            let (peer, link) = (dice(EQUALS), dice(links.len()));
            match dice(8) {
                0 => net.cut(wires[link]),
                1 => net.wires[wires[link]].broken = true,
                2 if !net.wires[wires[link]].up => {
                    wires[link] = net.connect_as(links[link].0, links[link].1, Link::Equal, None);
                }
                3 => {
                    net.restart(peer, Config::client());
                    net.open(peer, "d");
                }
                4 => net.peers[peer].store = if dice(3) == 0 { Store::Fails } else { Store::Works },
                _ if net.peers[peer].store == Store::Works => {
                    net.edit(peer, "d", &body(dice(99))[..dice(200)]);
                    net.run();
                    edits += 1;
                }
                _ => {}
            }
            net.pass(dice(700) as u64);
        }
        (0..EQUALS).for_each(|peer| net.peers[peer].store = Store::Works);
        net.pass(120_000);
        for (link, (one, other)) in links.iter().enumerate() {
            net.cut(wires[link]);
            wires[link] = net.connect_as(*one, *other, Link::Equal, None);
        }
        net.pass(120_000);
        let ops = net.version(0, "d").ops();
        assert!(edits > 50 && ops > 0, "{ops} of {edits}");
        for peer in 1..EQUALS {
            assert_eq!(net.version(peer, "d"), net.version(0, "d"), "copy {peer}");
        }
        let again = redundancy(&mut net, 3);
        assert!(again < 0.7, "{again}");
    }
}

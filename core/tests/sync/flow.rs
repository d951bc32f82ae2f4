//! Slow peers: what waits for them is bounded, nobody else waits, and they get everything from the log in the end; and
//! the order in which large histories share a connection.

use selvedge::VersionVector;
use selvedge::graph::Logs;
use selvedge::op::Batch;
use selvedge::sync::{Config, Effect, Input, Limits};

use crate::net::{Net, doc};

const LIMIT: usize = 100_000;

/// What one part of a history may add to a bound.
const SLACK: usize = 300 << 10;

/// Bytes that do not deflate.
struct Noise(u64);

impl Noise {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let byte = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (*state >> 56) as u8
        };
        (0..count).map(|_| byte(&mut self.0)).collect()
    }
}

fn relay(net: &mut Net) -> usize {
    let limits = Limits { max_unwritten_bytes: LIMIT, ..Limits::default() };
    net.peer(Config { limits, ..Config::relay() })
}

/// Documents, in the order in which they came to be complete at a peer.
fn finished(net: &Net, peer: usize, names: &[&str]) -> Vec<String> {
    let mut last: Vec<(usize, String)> = Vec::new();
    for (i, effect) in net.peers[peer].effects.iter().enumerate() {
        if let Effect::Applied { doc, .. } = effect {
            last.retain(|(_, name)| name != doc.as_str());
            last.push((i, doc.to_string()));
        }
    }
    assert_eq!(last.len(), names.len(), "{last:?}");
    last.into_iter().map(|(_, name)| name).collect()
}

#[test]
fn a_slow_peer_costs_a_bound_and_catches_up_over_the_same_connection() {
    let mut net = Net::default();
    let (a, fast, slow, relay) = (net.client("d"), net.client("d"), net.client("d"), relay(&mut net));
    let wires = [a, fast, slow].map(|peer| net.connect(peer, relay));
    net.run();
    net.wires[wires[2]].deaf = Some(0);
    let (mut noise, mut most) = (Noise(1), 0);
    for round in 1..=100 {
        net.edit(a, "d", &noise.bytes(10_000));
        net.input(a, Input::SetPresence { doc: doc("d"), key: "cursor".into(), value: Some(vec![round as u8; 1_000]) });
        net.run();
        most = most.max(net.waiting(wires[2], 1));
        assert_eq!(net.version(fast, "d").ops(), round, "others are not held up");
    }
    // What the slow one says is heard, and passed on.
    net.edit(slow, "d", b"still here");
    net.run();
    assert_eq!(net.version(fast, "d").ops(), 101);
    assert!(most > LIMIT / 2 && most < LIMIT + 5_000, "{most} bytes waited");
    let loads = |net: &Net| net.peers[relay].effects.iter().filter(|e| matches!(e, Effect::Load { .. })).count();
    let before = loads(&net);
    net.wires[wires[2]].deaf = None;
    let mark = net.sent.len();
    net.run();
    for peer in [a, fast, slow] {
        assert_eq!(net.version(peer, "d").ops(), 101);
        assert!(net.status(peer, "d").caught_up && net.status(peer, "d").durable);
    }
    assert!((1..20).contains(&(loads(&net) - before)), "{}", loads(&net) - before);
    // Nothing comes twice, and of the presence only the last.
    let (_, bytes) = net.traffic(wires[2], 1, mark);
    assert!(bytes < 1_000_000 - most + 100_000, "{bytes}");
    let mut told = net.peers[slow].effects.iter().filter_map(|effect| match effect {
        Effect::Presence { value: Some(value), .. } => Some(value[0]),
        _ => None,
    });
    assert_eq!(told.next_back(), Some(100));
    assert!(wires.iter().all(|wire| net.wires[*wire].up));
    // From here on it is pushed to again.
    let before = loads(&net);
    net.edit(a, "d", b"live");
    net.run();
    assert_eq!((net.version(slow, "d").ops(), loads(&net)), (102, before));
}

/// What is made on a device while its connection takes nothing waits in its log, not in memory.
#[test]
fn own_changes_wait_for_a_slow_relay_in_the_log() {
    let mut net = Net::default();
    let limits = Limits { max_unwritten_bytes: LIMIT, ..Limits::default() };
    let (a, relay) = (net.peer(Config { limits, ..Config::client() }), net.relay());
    net.open(a, "d");
    let wire = net.connect(a, relay);
    net.run();
    net.wires[wire].deaf = Some(1);
    let mut noise = Noise(2);
    for _ in 0..100 {
        net.edit(a, "d", &noise.bytes(10_000));
        net.run();
        assert!(net.waiting(wire, 0) < LIMIT + 1_000);
    }
    assert!(net.status(a, "d").saved && !net.status(a, "d").durable);
    net.wires[wire].deaf = None;
    net.run();
    assert_eq!(net.version(relay, "d").ops(), 100);
    assert!(net.status(a, "d").durable);
}

/// A writer that has put documents of these sizes (in changes of 10 kB) on a relay.
fn library(net: &mut Net, documents: &[(&str, usize)]) -> usize {
    let (writer, relay) = (net.peer(Config::client()), net.relay());
    net.connect(writer, relay);
    let mut noise = Noise(3);
    for (name, changes) in documents {
        net.open(writer, name);
        for _ in 0..*changes {
            net.edit(writer, name, &noise.bytes(10_000));
        }
        net.run();
    }
    relay
}

#[test]
fn large_histories_take_turns_and_a_small_one_waits_for_none() {
    let mut net = Net::default();
    let documents = [("a-huge", 1_000), ("b-huge", 800), ("c-large", 300), ("d-small", 1)];
    let names = documents.map(|(name, _)| name);
    let relay = library(&mut net, &documents);
    let reader = net.peer(Config::client());
    names.iter().for_each(|name| net.open(reader, name));
    let wire = net.connect(reader, relay);
    let mut most = 0;
    for _ in 0..10_000 {
        (0..net.peers.len()).for_each(|peer| net.drain(peer));
        most = most.max(net.waiting(wire, 1));
        if !net.deliver() {
            break;
        }
    }
    net.run();
    assert_eq!(finished(&net, reader, &names), ["d-small", "c-large", "b-huge", "a-huge"]);
    assert!(most < Limits::default().max_unwritten_bytes / 2 + SLACK, "{most} bytes were on their way");
    for (name, changes) in documents {
        assert_eq!(net.version(reader, name).ops(), changes as u64);
        assert!(net.status(reader, name).caught_up);
    }
}

/// Parts are loaded a few at a time; those that are small write so little that nobody is told.
#[test]
fn many_small_documents_do_not_wait_for_one_another() {
    let mut net = Net::default();
    let names: Vec<String> = (0..60).map(|i| format!("note {i}")).collect();
    let (writer, relay, reader) = (net.peer(Config::client()), relay(&mut net), net.peer(Config::client()));
    let wire = net.connect(writer, relay);
    for name in &names {
        net.open(writer, name);
        net.edit(writer, name, &[7; 4_000]);
        net.open(reader, name);
    }
    net.run();
    net.cut(wire);
    net.connect(reader, relay);
    net.run();
    for name in &names {
        assert!(net.version(reader, name).ops() == 1 && net.status(reader, name).caught_up, "{name}");
    }
}

#[test]
fn what_is_urgent_goes_before_what_is_on_its_way() {
    let mut net = Net::default();
    let documents = [("a-huge", 1_000), ("b-large", 300), ("c-large", 300)];
    let names = documents.map(|(name, _)| name);
    let relay = library(&mut net, &documents);
    let reader = net.peer(Config::client());
    names.iter().for_each(|name| net.open(reader, name));
    net.connect(reader, relay);
    for round in 0..10_000 {
        if round == 6 {
            // All three are on their way when somebody opens this one.
            assert!(names.iter().all(|name| net.status(reader, name).behind > 0));
            net.input(reader, Input::Prioritize { doc: doc("c-large"), priority: 9 });
        }
        (0..net.peers.len()).for_each(|peer| net.drain(peer));
        if !net.deliver() {
            break;
        }
    }
    net.run();
    assert_eq!(finished(&net, reader, &names), ["c-large", "b-large", "a-huge"]);
    let applied = net.peers[reader].effects.iter().filter_map(|effect| match effect {
        Effect::Applied { doc, batch } => Some((doc.as_str(), batch.segments[0].frames.len())),
        _ => None,
    });
    let others: usize = applied.take_while(|(name, _)| *name != "c-large").map(|(_, bytes)| bytes).sum();
    assert!(others < Limits::default().window_bytes * 2, "{others}");
}

/// Parts put one behind the other are the whole, and none of them is much larger than it was to be.
#[test]
fn a_history_comes_in_parts() {
    let mut net = Net::default();
    let (a, b) = (net.client("d"), net.client("d"));
    let wire = net.connect(a, b);
    net.run();
    let mut noise = Noise(4);
    for round in 0..60 {
        net.edit(a, "d", &noise.bytes(5_000));
        if round % 3 == 0 {
            net.edit(b, "d", &noise.bytes(3_000));
        }
        net.run();
    }
    net.cut(wire);
    let whole = net.peers[a].docs[&doc("d")].since(&VersionVector::new());
    let mut copy = Logs::new();
    let mut parts: Vec<Batch> = Vec::new();
    while copy.version() != net.version(a, "d") {
        let part = net.peers[a].docs[&doc("d")].part_since(&copy.version(), 40_000);
        let added = copy.append(&part).expect("whole bytes").expect("the history is here");
        assert!(!added.changes.is_empty() && part.bytes() < 40_000 + 2 * 5_100, "{}", part.bytes());
        assert!(added.pending_bytes < 10_500, "both logs go on side by side");
        parts.push(part);
    }
    assert_eq!((parts.len(), copy.since(&VersionVector::new())), (9, whole));
    let first = net.peers[a].docs[&doc("d")].part_since(&VersionVector::new(), 0);
    assert_eq!((first.segments.len(), first.ends().expect("whole bytes").ops()), (1, 1));
}

//! The sync engine from outside: two or more engines over wires in memory, with opaque logs for documents.

#[path = "sync/net.rs"]
mod net;

use net::{Net, Store, doc};
use selvedge::sync::{AckLevel, Effect};

/// A document's catch-up: both sides have what the other lacks.
#[test]
fn a_dialer_catches_up_in_one_round_trip() {
    let mut net = Net::default();
    let (a, b, relay) = (net.client("d"), net.client("d"), net.relay());
    net.connect(a, relay);
    net.edit(a, "d", b"from a");
    net.edit(b, "d", b"from b");
    net.run();
    let wire = net.connect(b, relay);
    for _ in 0..2 {
        // Hello; Welcome.
        (0..3).for_each(|peer| net.drain(peer));
        net.deliver();
    }
    let mark = net.sent.len();
    net.run();
    let received = |net: &Net, bytes: &[u8]| {
        net.peers[b].effects.iter().any(|effect| match effect {
            Effect::Applied { batch, .. } => batch.segments.iter().any(|s| s.frames.ends_with(bytes)),
            _ => false,
        })
    };
    assert!(received(&net, b"from a"));
    assert_eq!(net.version(a, "d"), net.version(b, "d"));
    assert_eq!(net.version(relay, "d"), net.version(b, "d"));
    // b: Open; Changes and Digest. relay: Opened, Changes, Digest; acknowledgement and Digest.
    assert!(net.traffic(wire, 0, mark).0 <= 2 && net.traffic(wire, 1, mark).0 <= 3, "{:?}", &net.sent[mark..]);
    assert!(net.status(b, "d").caught_up && net.status(b, "d").durable);
}

#[test]
fn smoke() {
    let mut net = Net::default();
    let (a, relay) = (net.client("d"), net.relay());
    net.peers[relay].store = Store::Holds;
    net.connect(a, relay);
    net.edit(a, "d", b"x");
    net.run();
    assert!(net.status(a, "d").received && !net.status(a, "d").durable);
    net.finish_store(relay);
    net.run();
    assert!(net.status(a, "d").durable);
    let acked = |level| {
        net.peers[a]
            .effects
            .iter()
            .any(|e| matches!(e, Effect::Acked { level: l, doc: d, .. } if *l == level && *d == doc("d")))
    };
    assert!(acked(AckLevel::Durable));
}

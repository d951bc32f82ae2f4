//! Two writers with one id, over wires: the second to come is told at once, nothing of the one is taken for a part of the
//! other, and where they differ is found in a few rounds. Bug class B.

use selvedge::graph::{ForkSearch, Logs, SearchStep};
use selvedge::sync::{ConnId, Effect, Input, RefuseCode};
use selvedge::{OpId, ReplicaId, VersionVector};

use super::net::{Net, doc};

/// A relay and two clients with one id: both have the same `common` changes, then each others.
fn forked(common: u8, of: [u8; 2]) -> (Net, [usize; 2], usize) {
    let mut net = Net::default();
    let (one, two, relay) = (net.client("d"), net.client("d"), net.relay());
    net.peers[two].replica = net.peers[one].replica;
    for peer in [one, two] {
        (0..common).for_each(|number| net.edit(peer, "d", &[number]));
    }
    for (peer, (edits, mark)) in [one, two].into_iter().zip(of.into_iter().zip([100, 200])) {
        (0..edits).for_each(|number| net.edit(peer, "d", &[mark, number]));
    }
    net.run();
    (net, [one, two], relay)
}

fn told(net: &Net, peer: usize) -> Vec<ConnId> {
    let conns = net.peers[peer].effects.iter().filter_map(|effect| match effect {
        Effect::Forked { conn, .. } => Some(*conn),
        _ => None,
    });
    conns.collect()
}

/// All that a peer has of the one log.
fn frames(net: &Net, peer: usize) -> Vec<Vec<u8>> {
    let logs: &Logs = &net.peers[peer].docs[&doc("d")];
    logs.since(&VersionVector::new()).segments.into_iter().map(|segment| segment.frames.into_vec()).collect()
}

/// Searches over the wire, as a driver does. Returns what was found, and the questions that it took.
fn search(net: &mut Net, peer: usize, conn: ConnId) -> (Vec<OpId>, usize) {
    let name = doc("d");
    let mut search = ForkSearch::new(&net.peers[peer].docs[&name]);
    let (mut answer, mut rounds): (Option<Vec<u8>>, _) = (None, 0);
    loop {
        let logs = net.peers[peer].docs.get_mut(&name).expect("an open document");
        match search.next(logs, answer.as_deref()).expect("an honest answer") {
            SearchStep::Found(found) => return (found, rounds),
            SearchStep::Ask(question) => net.input(peer, Input::Search { conn, doc: name.clone(), question }),
        }
        net.run();
        rounds += 1;
        let last = net.peers[peer].effects.iter().rev().find_map(|effect| match effect {
            Effect::SearchAnswered { answer, .. } => Some(answer.clone()),
            _ => None,
        });
        answer = last.flatten();
        assert!(answer.is_some(), "no answer to question {rounds}");
    }
}

#[test]
fn who_comes_second_is_told_and_finds_out_where() {
    for common in [0, 1, 5, 40] {
        for of in [[1, 1], [1, 3], [3, 1], [4, 4], [50, 2], [2, 50]] {
            let (mut net, [one, two], relay) = forked(common, of);
            let before = [frames(&net, one), frames(&net, two)];
            net.connect(one, relay);
            net.run();
            net.connect(two, relay);
            net.run();
            assert_eq!(told(&net, one), [], "{common} {of:?}: the first keeps the name");
            let told = told(&net, two);
            assert_eq!(told.len(), 1, "{common} {of:?}");
            assert!(net.peers[two].refusals().contains(&RefuseCode::Fork));
            let after = [frames(&net, one), frames(&net, two)];
            assert_eq!(after, before, "{common} {of:?}: neither is mixed into the other");
            assert_eq!(frames(&net, relay), before[0], "{common} {of:?}: nor into what the relay has");
            let (found, rounds) = search(&mut net, two, told[0]);
            assert_eq!(found, [OpId { replica: net.peers[one].replica, seq: u64::from(common) }], "{common} {of:?}");
            assert!(rounds <= 3, "{rounds}");
        }
    }
}

/// Both are there from the beginning, and nothing tells them apart until both write.
#[test]
fn copies_that_are_both_online_are_told_apart_by_the_first_change() {
    for others in [false, true] {
        let (mut net, [one, two], relay) = forked(3, [0, 0]);
        let third = net.client("d");
        for peer in [one, two, third] {
            net.connect(peer, relay);
        }
        net.run();
        if others {
            net.edit(third, "d", b"of somebody else");
        }
        net.edit(one, "d", b"one");
        net.edit(two, "d", b"two");
        net.edit(two, "d", b"two goes on");
        net.run();
        net.edit(one, "d", b"one goes on");
        net.run();
        let told = [told(&net, one).len(), told(&net, two).len()];
        assert_eq!(told.iter().sum::<usize>(), 1, "one of the two: {told:?}");
        let (keeps, yields) = if told[0] == 0 { (one, two) } else { (two, one) };
        assert_eq!(frames(&net, relay), frames(&net, keeps));
        assert_eq!(frames(&net, relay), frames(&net, third));
        let log = net.peers[yields].replica;
        let of = |peer: usize| net.peers[peer].docs[&doc("d")].version().end(log);
        assert!(of(yields) >= 4 && of(keeps) >= 4);
    }
}

/// What a search needs is loaded for it, and only for those who may read it.
#[test]
fn a_search_finds_a_document_that_has_left_memory() {
    let (mut net, [one, two], relay) = forked(10, [2, 3]);
    let wire = net.connect(one, relay);
    net.run();
    net.cut(wire);
    net.connect(two, relay);
    net.run();
    let conn = told(&net, two)[0];
    net.now_ms += 120_000;
    for peer in [relay, two] {
        net.input(peer, Input::Woken);
    }
    net.run();
    if !net.peers[relay].docs.contains_key(&doc("d")) {
        // Its connection timed out as well: it is told again over the next.
        net.connect(two, relay);
        net.run();
    }
    let conn = told(&net, two).last().copied().unwrap_or(conn);
    assert_eq!(search(&mut net, two, conn).0, [OpId { replica: ReplicaId::from(1), seq: 10 }]);
}

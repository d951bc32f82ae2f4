//! Presence: who is here, told to everybody, gone by itself.

use std::collections::BTreeMap;

use selvedge::sync::{Effect, Grant, Input, Link};

use crate::net::{Net, doc};

/// What a peer's application shows now: (owner, key) and (user, value).
type Shown = BTreeMap<(String, String), (Option<String>, Vec<u8>)>;

fn shown(net: &Net, peer: usize) -> Shown {
    let mut shown = BTreeMap::new();
    for effect in &net.peers[peer].effects {
        if let Effect::Presence { owner, user, key, value, .. } = effect {
            let id = (format!("{owner:?}"), key.clone());
            match value {
                Some(value) => shown.insert(id, (user.clone(), value.clone())),
                None => shown.remove(&id),
            };
        }
    }
    shown
}

fn set(net: &mut Net, peer: usize, key: &str, value: Option<&[u8]>) {
    let value = value.map(<[u8]>::to_vec);
    net.input(peer, Input::SetPresence { doc: doc("d"), key: key.to_owned(), value });
}

fn three() -> (Net, [usize; 3], [usize; 3]) {
    let mut net = Net::default();
    let clients = [net.client("d"), net.client("d"), net.client("d")];
    let relay = net.relay();
    for name in ["ann", "bob", "cid"] {
        let grant = Grant { user: Some(name.into()), ..Grant::all() };
        net.peers[relay].grants.insert(name.into(), Ok(grant));
    }
    let wires = [("ann", 0), ("bob", 1), ("cid", 2)];
    let wires = wires.map(|(name, i)| net.connect_as(clients[i], relay, Link::Remote, Some(name)));
    net.run();
    (net, clients, wires)
}

#[test]
fn presence_reaches_everybody_and_those_who_come_later() {
    let (mut net, [a, b, c], wires) = three();
    net.cut(wires[2]);
    set(&mut net, a, "cursor", Some(b"1"));
    set(&mut net, a, "cursor", Some(b"2"));
    set(&mut net, a, "name", Some(b"Ann"));
    net.run();
    let cursor = (("r1".to_owned(), "cursor".to_owned()), (Some("ann".to_owned()), b"2".to_vec()));
    assert_eq!(shown(&net, b).into_iter().next(), Some(cursor.clone()));
    assert_eq!(shown(&net, b).len(), 2);
    assert!(shown(&net, a).is_empty(), "nobody is told of themselves");
    net.connect_as(c, 3, Link::Remote, Some("cid"));
    net.run();
    assert_eq!(shown(&net, c), shown(&net, b));
    set(&mut net, a, "cursor", None);
    net.run();
    assert_eq!(shown(&net, b).len(), 1);
    assert_eq!(shown(&net, c), shown(&net, b));
}

#[test]
fn presence_ends_with_its_connection() {
    let (mut net, [a, b, c], wires) = three();
    set(&mut net, a, "cursor", Some(b"1"));
    set(&mut net, b, "cursor", Some(b"1"));
    net.run();
    assert_eq!(shown(&net, c).len(), 2);
    net.cut(wires[0]);
    net.run();
    assert_eq!((shown(&net, c).len(), shown(&net, b).len()), (1, 0));
    assert_eq!(shown(&net, a).len(), 0, "offline, the others are gone for us");
    net.connect_as(a, 3, Link::Remote, Some("ann"));
    net.run();
    assert_eq!((shown(&net, c).len(), shown(&net, a).len()), (2, 1));
}

#[test]
fn presence_lives_while_it_is_refreshed_and_ends_when_it_is_not() {
    let (mut net, [a, b, c], wires) = three();
    set(&mut net, a, "cursor", Some(b"1"));
    net.pass(300_000);
    assert_eq!((shown(&net, b).len(), shown(&net, c).len()), (1, 1));
    let changes = |net: &Net| net.peers[b].effects.iter().filter(|e| matches!(e, Effect::Presence { .. })).count();
    assert_eq!(changes(&net), 1, "a refresh is not news");
    // The wire dies without anybody noticing: the value ends before the connection does.
    net.wires[wires[0]].broken = true;
    net.pass(32_000);
    assert_eq!((shown(&net, b).len(), shown(&net, c).len()), (0, 0));
    assert!(net.wires[wires[0]].up);
}

#[test]
fn presence_that_is_too_large_is_not_sent() {
    let (mut net, [a, b, _], wires) = three();
    set(&mut net, a, &"k".repeat(65), Some(b"1"));
    set(&mut net, a, "big", Some(&[0; 4_097]));
    set(&mut net, a, &"k".repeat(64), Some(&[0; 4_096]));
    net.run();
    assert_eq!(shown(&net, b).len(), 1);
    assert!(net.wires[wires[0]].up);
}

#[test]
fn tabs_see_each_other_without_a_relay() {
    let mut net = Net::default();
    let (one, two) = (net.client("d"), net.client("d"));
    net.connect_as(one, two, Link::SharedStore, None);
    net.run();
    set(&mut net, one, "cursor", Some(b"1"));
    set(&mut net, two, "cursor", Some(b"2"));
    net.run();
    assert_eq!((shown(&net, one).len(), shown(&net, two).len()), (1, 1));
}

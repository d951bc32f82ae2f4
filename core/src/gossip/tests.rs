//! The two state machines by hand, and against random inputs: bounds hold whatever peers say.

use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};

use super::*;
use crate::id::ReplicaId;

fn address(number: u64) -> Address {
    Address::new(format!("peer {number}")).expect("a good address")
}

fn member(number: u64) -> HyParView {
    HyParView::new(address(number), vec![address(0)], number)
}

fn effects(member: &mut HyParView) -> Vec<Effect> {
    std::iter::from_fn(|| member.poll_effect()).collect()
}

fn say(member: &mut HyParView, from: u64, message: Message) -> Vec<Effect> {
    member.handle(1, Input::Received { from: address(from), message });
    effects(member)
}

fn sent(effects: &[Effect]) -> Vec<(Address, Message)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { to, message } => Some((to.clone(), message.clone())),
        _ => None,
    });
    sent.collect()
}

#[test]
fn a_join_makes_neighbours_and_is_told_on() {
    let (mut contact, mut joiner) = (member(0), member(9));
    say(&mut contact, 1, Message::Join);
    joiner.handle(1, Input::Woken);
    assert_eq!(sent(&effects(&mut joiner)), [(address(0), Message::Join)]);
    let said = say(&mut contact, 9, Message::Join);
    assert!(said.contains(&Effect::Up(address(9))));
    let forward = Message::ForwardJoin { joiner: address(9), steps: 6 };
    assert!(sent(&said).contains(&(address(1), forward)));
    assert!(sent(&said).contains(&(address(9), Message::NeighbourReply { accepted: true })));
    assert_eq!(say(&mut joiner, 0, Message::NeighbourReply { accepted: true }), [Effect::Up(address(0))]);
    // At the end of its way the news makes another neighbour, once the newcomer itself agrees.
    let mut far = member(5);
    let said = say(&mut far, 1, Message::ForwardJoin { joiner: address(9), steps: 0 });
    assert!(sent(&said).contains(&(address(9), Message::Neighbour { urgent: true })));
    assert_eq!(far.active().len(), 0);
    assert_eq!(say(&mut far, 9, Message::NeighbourReply { accepted: true }), [Effect::Up(address(9))]);
}

#[test]
fn who_was_not_asked_is_no_neighbour_by_saying_so() {
    let mut one = member(1);
    assert!(!say(&mut one, 4, Message::NeighbourReply { accepted: true }).contains(&Effect::Up(address(4))));
    say(&mut one, 4, Message::ForwardJoin { joiner: address(8), steps: 0 });
    say(&mut one, 4, Message::Shuffle { origin: address(6), steps: 0, addresses: vec![address(7)] });
    assert_eq!(one.active().len(), 0);
    assert_eq!(one.passive(), [address(7), address(6)]);
}

#[test]
fn a_full_view_refuses_unless_it_is_urgent() {
    let mut one = member(1);
    (10..10 + ACTIVE_PEERS as u64).for_each(|peer| drop(say(&mut one, peer, Message::Join)));
    assert_eq!(one.active().len(), ACTIVE_PEERS);
    let said = say(&mut one, 8, Message::Neighbour { urgent: false });
    assert_eq!(sent(&said), [(address(8), Message::NeighbourReply { accepted: false })]);
    assert_eq!(one.passive(), [address(8)]);
    // A stranger that takes us for its neighbour learns better.
    assert_eq!(sent(&say(&mut one, 9, Message::Alive)), [(address(9), Message::Disconnect)]);
    let said = say(&mut one, 8, Message::Neighbour { urgent: true });
    assert!(said.contains(&Effect::Up(address(8))));
    let gone: Vec<_> = said.iter().filter(|effect| matches!(effect, Effect::Down(_))).collect();
    assert_eq!((gone.len(), one.active().len(), one.passive().len()), (1, ACTIVE_PEERS, 1));
}

#[test]
fn who_is_lost_or_silent_is_replaced_by_a_reserve() {
    let mut one = member(1);
    say(&mut one, 2, Message::Join);
    say(&mut one, 2, Message::ShuffleReply { addresses: vec![address(3)] });
    one.handle(2, Input::Lost(address(2)));
    let said = effects(&mut one);
    assert_eq!(said[0], Effect::Down(address(2)));
    // It was asked when the first deadline had passed; the answer makes it a neighbour.
    say(&mut one, 3, Message::NeighbourReply { accepted: true });
    assert_eq!(one.active().collect::<Vec<_>>(), [&address(3)]);
    let mut now_ms = 0;
    for _ in 0..20 {
        now_ms = one.deadline();
        one.handle(now_ms, Input::Woken);
        if effects(&mut one).contains(&Effect::Down(address(3))) {
            break;
        }
    }
    assert!((30_000..45_000).contains(&now_ms), "silent until {now_ms} ms");
    // Without anybody it knocks again where it came in.
    one.handle(now_ms + 10_000, Input::Woken);
    assert!(sent(&effects(&mut one)).contains(&(address(0), Message::Join)));
}

impl Arbitrary for Message {
    fn arbitrary(g: &mut Gen) -> Self {
        let any = |g: &mut Gen| address(u64::arbitrary(g) % 60);
        let list = |g: &mut Gen| (0..usize::arbitrary(g) % 9).map(|_| address(u64::arbitrary(g) % 60)).collect();
        let steps = u8::arbitrary(g) % 7;
        match u8::arbitrary(g) % 8 {
            0 => Self::Join,
            1 => Self::ForwardJoin { joiner: any(g), steps },
            2 => Self::Neighbour { urgent: bool::arbitrary(g) },
            3 => Self::NeighbourReply { accepted: bool::arbitrary(g) },
            4 => Self::Disconnect,
            5 => Self::Shuffle { origin: any(g), steps, addresses: list(g) },
            6 => Self::ShuffleReply { addresses: list(g) },
            _ => Self::Alive,
        }
    }
}

#[test]
fn views_stay_bounded_and_apart_whatever_is_said() {
    fn property(inputs: Vec<(u8, Message, u16)>) -> TestResult {
        let (mut one, mut now_ms) = (member(1), 0);
        let mut up = std::collections::BTreeSet::new();
        for (from, message, pause_ms) in inputs {
            now_ms += u64::from(pause_ms);
            let from = address(u64::from(from) % 60);
            let lost = from == address(7);
            let input = if lost { Input::Lost(from) } else { Input::Received { from, message } };
            one.handle(now_ms, input);
            let effects = effects(&mut one);
            if effects.len() > 40 {
                return TestResult::error(format!("{} effects of one input", effects.len()));
            }
            for effect in effects {
                let known = match effect {
                    Effect::Up(peer) => up.insert(peer),
                    Effect::Down(peer) => up.remove(&peer),
                    Effect::Send { to, .. } => to != address(1),
                };
                assert!(known, "an effect that changes nothing, or a message to itself");
            }
            let active: Vec<_> = one.active().cloned().collect();
            let apart = !active.iter().any(|peer| one.passive().contains(peer) || *peer == address(1));
            let equal = active.len() == up.len() && active.iter().all(|peer| up.contains(peer));
            if !apart || !equal || active.len() > ACTIVE_PEERS || one.passive().len() > PASSIVE_PEERS {
                return TestResult::error(format!("active {active:?}, passive {:?}", one.passive()));
            }
        }
        TestResult::passed()
    }
    QuickCheck::new().tests(500).quickcheck(property as fn(Vec<(u8, Message, u16)>) -> TestResult);
}

#[test]
fn messages_read_back_and_have_one_encoding() {
    fn property(message: Message, noise: Vec<u8>) -> bool {
        let bytes = message.encode();
        let cut = (1..bytes.len()).all(|end| Message::decode(&bytes[..end]).is_err());
        let long = Message::decode(&[&bytes[..], &[0]].concat()).is_err();
        let any = Message::decode(&noise).map_or(true, |message| message.encode() == noise);
        Message::decode(&bytes) == Ok(message) && cut && long && any
    }
    QuickCheck::new().tests(500).quickcheck(property as fn(Message, Vec<u8>) -> bool);
    assert!(Message::decode(&[1, 2, 2]).is_err(), "a flag that is neither 0 nor 1");
    assert!(Message::decode(&[1, 6, 9]).is_err() && Message::decode(&[1, 1, 7, 1, 65]).is_err(), "above a limit");
    assert!(Message::decode(&[1, 1, 0, 0]).is_err() && Message::decode(&[2, 0]).is_err());
    assert!(Address::new(vec![1; 257]).is_err() && Address::new("").is_err());
}

fn tree(peers: &[u32]) -> Plumtree<u32> {
    let mut tree = Plumtree::default();
    peers.iter().for_each(|peer| tree.up(*peer));
    tree
}

fn lazy(tree: &Plumtree<u32>) -> Vec<u32> {
    tree.links().filter(|(_, eager)| !eager).map(|(peer, _)| peer).collect()
}

const LOG: u128 = 4;

#[test]
fn duplicates_prune_all_links_but_one() {
    let mut tree = tree(&[1, 2, 3]);
    assert_eq!(tree.fresh(Some(1), ReplicaId::from(LOG), 1, 0), None);
    let log = ReplicaId::from(LOG);
    assert!(tree.duplicate(2, log) && tree.duplicate(3, log) && !tree.duplicate(1, log));
    assert_eq!(lazy(&tree), [2, 3]);
    // A stranger's duplicates change nothing, and new changes make a link eager again.
    assert!(!tree.duplicate(9, log));
    tree.fresh(Some(3), ReplicaId::from(LOG), 2, 0);
    tree.pruned(1);
    assert_eq!(lazy(&tree), [1, 2]);
    // What came from outside of the tree, or over a link that is lazy by now, takes no link's place.
    tree.grafted(2);
    tree.fresh(Some(9), log, 3, 0);
    assert!(!tree.duplicate(2, log) && !tree.duplicate(3, log));
    tree.fresh(Some(2), log, 4, 0);
    tree.pruned(2);
    assert!(!tree.duplicate(3, log));
}

#[test]
fn what_was_announced_and_does_not_come_is_asked_for_once_per_announcer() {
    let mut tree = tree(&[1, 2, 3]);
    [2, 3].into_iter().for_each(|peer| tree.pruned(peer));
    let log = ReplicaId::from(LOG);
    assert!(tree.announced(2, log, 5, 100) && tree.announced(3, log, 6, 150) && tree.announced(2, log, 6, 200));
    assert_eq!((tree.deadline(), tree.due(1_099)), (Some(1_100), vec![]));
    assert_eq!((tree.due(1_100), lazy(&tree)), (vec![2], vec![3]));
    assert_eq!((tree.due(1_599), tree.due(1_600), tree.deadline()), (vec![], vec![3], None));
    // What came in time is not asked for, and what is more than that is.
    assert!(tree.announced(3, log, 7, 2_000) && tree.announced(2, log, 8, 2_000));
    assert_eq!(tree.fresh(Some(1), log, 7, 2_001), None);
    assert_eq!(tree.due(9_000), [2]);
    // Nobody is asked who is gone.
    tree.announced(3, log, 9, 9_000);
    tree.down(3);
    assert_eq!((tree.deadline(), tree.due(99_000)), (None, vec![]));
}

#[test]
fn an_announcement_that_is_far_ahead_takes_the_place_of_the_push() {
    let log = ReplicaId::from(LOG);
    let mut slow = tree(&[1, 2]);
    slow.pruned(2);
    slow.announced(2, log, 1, 0);
    assert_eq!(slow.fresh(Some(1), log, 1, 49), None);
    slow.announced(2, log, 2, 1_000);
    assert_eq!(slow.fresh(Some(1), log, 2, 1_050), Some(Swap { graft: 2, prune: 1 }));
    assert_eq!(lazy(&slow), [1]);
}

#[test]
fn what_is_remembered_of_announcements_is_bounded() {
    let mut tree = tree(&(0..50).collect::<Vec<_>>());
    let noted = (0..5_000).filter(|log| tree.announced(1, ReplicaId::from(*log), 1, 0)).count();
    assert_eq!(noted, 1_024);
    (0..50).for_each(|peer| assert!(tree.announced(peer, ReplicaId::from(3), 1, 0)));
    let asked: usize = (1..100).map(|round| tree.due(round * 1_000).len()).sum();
    assert_eq!(asked, 8);
}

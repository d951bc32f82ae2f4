//! Links between equals, played by hand: who is one, what is announced, and what hostile announcements can do. Bug class
//! C.

use super::*;

const OTHER: ConnId = ConnId(8);

/// A relay with a document of which it has one change of replica 9, and two dialers that have none; they pass changes on
/// if `capabilities` says so. Returns the log's head.
fn two_dialers(capabilities: u64) -> (Hand, LogHead) {
    let mut hand = Hand::dialed(Config::relay());
    hand.connect(OTHER, Role::Acceptor);
    for conn in [CONN, OTHER] {
        let plain = hello(1, 1);
        let Ok(Frame::Greeting(Greeting::Hello(hello))) = message::decode(&plain) else {
            panic!("the hello of the tests is no hello")
        };
        let bytes = message::encode_greeting(&Greeting::Hello(Hello { capabilities, ..hello }));
        hand.engine.handle(1, Input::Received { conn, bytes });
        hand.engine.handle(1, Input::Authenticated { conn, grant: Ok(Grant::all()) });
        hand.drain();
        say(&mut hand, conn, &[Message::Names(vec![ReplicaId::from(9)]), open(0, "d", None)]);
    }
    let mut head = LogHead::default();
    let frames = changes(&mut head, &[b"first"], &[]);
    say(&mut hand, CONN, &[Message::Changes { channel: 0, log: 0, first_seq: 0, frames: Blob(&frames) }]);
    (hand, head)
}

fn say(hand: &mut Hand, conn: ConnId, messages: &[Message<'_>]) {
    let mut bytes = vec![message::FORMAT_MESSAGES];
    messages.iter().for_each(|message| bytes.extend(message::encode(message)));
    hand.say_bytes(conn, bytes);
}

/// How many messages of this kind the engine has sent over a connection since `mark` effects.
fn told(hand: &Hand, conn: ConnId, mark: usize, start: &str) -> usize {
    let sent = hand.effects[mark..].iter().filter_map(|effect| match effect {
        Effect::Send { conn: to, bytes } if *to == conn => Some(bytes),
        _ => None,
    });
    let count = |bytes: &Vec<u8>| match message::decode(bytes) {
        Ok(Frame::Messages(messages)) => {
            messages.iter().filter(|message| format!("{message:?}").starts_with(start)).count()
        }
        _ => 0,
    };
    sent.map(count).sum()
}

fn wake(hand: &mut Hand, now_ms: u64) {
    hand.engine.handle(now_ms, Input::Woken);
    hand.drain();
}

#[test]
fn a_duplicate_prunes_an_equal_and_never_a_client() {
    for (capabilities, prunes) in [(0, 0), (1, 1), (u64::MAX, 1)] {
        let (mut hand, mut head) = two_dialers(capabilities);
        let frames = changes(&mut LogHead::default(), &[b"first"], &[]);
        let mark = hand.effects.len();
        say(&mut hand, OTHER, &[Message::Changes { channel: 0, log: 0, first_seq: 0, frames: Blob(&frames) }]);
        assert_eq!(told(&hand, OTHER, mark, "Prune"), prunes, "capabilities {capabilities:x}");
        // What comes next is announced to a pruned equal, and sent to a client; once it is asked for, all is sent.
        let next = changes(&mut head, &[b"second"], &[]);
        let mark = hand.effects.len();
        say(&mut hand, CONN, &[Message::Changes { channel: 0, log: 0, first_seq: 1, frames: Blob(&next) }]);
        assert_eq!(told(&hand, OTHER, mark, "Announce"), prunes);
        assert_eq!(told(&hand, OTHER, mark, "Changes"), 1 - prunes);
        let mark = hand.effects.len();
        say(&mut hand, OTHER, &[Message::Resync { channel: 0, version: vec![(0, 2)] }]);
        let third = changes(&mut head, &[b"third"], &[]);
        say(&mut hand, CONN, &[Message::Changes { channel: 0, log: 0, first_seq: 2, frames: Blob(&third) }]);
        assert_eq!((told(&hand, OTHER, mark, "Changes"), told(&hand, OTHER, mark, "Announce")), (1, 0));
        assert_eq!(hand.closed(), None);
    }
}

#[test]
fn what_was_announced_is_asked_for_when_it_does_not_come() {
    let (mut hand, mut head) = two_dialers(1);
    let announce = Message::Announce { channel: 0, ends: vec![(0, 2)] };
    let mark = hand.effects.len();
    say(&mut hand, OTHER, std::slice::from_ref(&announce));
    wake(&mut hand, 900);
    assert_eq!(told(&hand, OTHER, mark, "Resync"), 0);
    wake(&mut hand, 1_100);
    assert_eq!(told(&hand, OTHER, mark, "Resync"), 1);
    // What comes in time is not asked for; nor is what a client announces.
    let next = changes(&mut head, &[b"second"], &[]);
    say(&mut hand, OTHER, &[Message::Announce { channel: 0, ends: vec![(0, 2)] }]);
    say(&mut hand, CONN, &[Message::Changes { channel: 0, log: 0, first_seq: 1, frames: Blob(&next) }]);
    wake(&mut hand, 9_000);
    assert_eq!(told(&hand, OTHER, mark, "Resync"), 1);
    let (mut hand, _) = two_dialers(0);
    let mark = hand.effects.len();
    say(&mut hand, OTHER, &[announce]);
    wake(&mut hand, 9_000);
    assert_eq!((told(&hand, OTHER, mark, "Resync"), hand.closed()), (0, None));
}

#[test]
fn announcements_of_what_does_not_exist_come_to_an_end() {
    let (mut hand, _) = two_dialers(1);
    let mark = hand.effects.len();
    for block in 0..10u32 {
        let names = (0..1_000).map(|name| ReplicaId::from(1_000 + u128::from(block * 1_000 + name))).collect();
        let ends = (0..1_000).map(|name| (1 + block * 1_000 + name, 1 << 20)).collect();
        say(&mut hand, OTHER, &[Message::Names(names), Message::Announce { channel: 0, ends }]);
    }
    (1..100).for_each(|second| wake(&mut hand, second * 1_000));
    let asked = told(&hand, OTHER, mark, "Resync");
    assert!((1..=12).contains(&asked), "asked {asked} times");
    // Names that nobody gave, and ends in no order.
    for ends in [vec![(99_999, 1)], vec![(1, 1), (0, 1)], vec![(0, 0)]] {
        let (mut hand, _) = two_dialers(1);
        hand.say(&[Message::Announce { channel: 0, ends }]);
        assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Malformed));
    }
}

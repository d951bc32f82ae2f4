//! Flow control as a peer sees it that is played by the test: how much it is sent before it says that it took some, and
//! what becomes of those that lie about it, or take nothing. Bug class C (26).

use super::*;
use crate::sync::flow::Window;

/// What one part of a history and the frame around it may add to a bound.
const SLACK: usize = 300 << 10;

/// What there is of each large document, in bytes.
const CHANGES: usize = 500;
const CHANGE_BYTES: usize = 10_000;

/// Changes that do not deflate.
fn history(replica: u128) -> Logs {
    let mut logs = Logs::new();
    let log = logs.intern(ReplicaId::from(replica));
    let mut noise = replica as u64;
    for i in 0..CHANGES {
        let mut byte = |_| {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (noise >> 56) as u8
        };
        let body: Vec<u8> = (0..CHANGE_BYTES).map(&mut byte).collect();
        logs.seal(log, &Change { hlc: Hlc::new(i as u64 + 1, 0), deps: &[], message: None, ops: 1, body: &body });
    }
    logs
}

/// A relay with large documents, and a peer with these capabilities whose transport takes everything, or nothing.
fn reader(docs: &[&str], capabilities: u64, writes: bool) -> Hand {
    let mut hand = Hand::dialed(Config::relay());
    for (i, name) in docs.iter().enumerate() {
        hand.stored.insert(doc(name), history(i as u128 + 20));
    }
    hand.writes = writes;
    let plain = hello(1, 1);
    let Ok(Frame::Greeting(Greeting::Hello(hello))) = message::decode(&plain) else {
        panic!("the hello of the tests is no hello")
    };
    hand.say_bytes(CONN, message::encode_greeting(&Greeting::Hello(Hello { capabilities, ..hello })));
    hand.engine.handle(1, Input::Authenticated { conn: CONN, grant: Ok(Grant::all()) });
    hand.drain();
    for (channel, name) in docs.iter().enumerate() {
        hand.say(&[open(channel as u32, name, None)]);
    }
    hand
}

/// Bytes of changes that were sent over a channel.
fn sent(hand: &Hand, channel: u32) -> usize {
    let frames = hand.effects.iter().filter_map(|effect| match effect {
        Effect::Send { conn: CONN, bytes } => Some(message::unpack(bytes, 1 << 20).expect("the engine packs well")),
        _ => None,
    });
    let mut sum = 0;
    for frame in frames {
        let Ok(Frame::Messages(messages)) = message::decode(&frame) else { continue };
        for message in messages {
            match message {
                Message::Changes { channel: of, frames, .. } if of == channel => sum += frames.0.len(),
                _ => {}
            }
        }
    }
    sum
}

fn total(hand: &Hand, name: &str) -> usize {
    hand.stored[&doc(name)].since(&Default::default()).bytes()
}

#[test]
fn what_was_not_taken_waits_and_holds_up_no_other_document() {
    let window = Limits::default().window_bytes;
    let mut hand = reader(&["a", "b"], message::FLOW, true);
    let first = [sent(&hand, 0), sent(&hand, 1)];
    for bytes in first {
        assert!((window..window + SLACK).contains(&bytes), "{bytes}");
    }
    assert_eq!(hand.heard_count("Digest"), 0, "there is more to come");
    hand.say(&[Message::Credit { channel: 1, taken: first[1] as u64 }]);
    assert_eq!(sent(&hand, 0), first[0]);
    assert!((first[1] + window..first[1] + window + SLACK).contains(&sent(&hand, 1)));
    for channel in [0, 1] {
        for _ in 0..100 {
            let taken = sent(&hand, channel);
            if taken == total(&hand, ["a", "b"][channel as usize]) {
                break;
            }
            let before = taken as u64 - u64::from(channel == 0 && taken == first[0]);
            hand.say(&[Message::Credit { channel, taken: before }]);
        }
    }
    assert_eq!([sent(&hand, 0), sent(&hand, 1)], [total(&hand, "a"), total(&hand, "b")]);
    assert_eq!((hand.heard_count("Digest"), hand.closed()), (2, None));
}

/// Whoever does not say what it takes is sent as much as its transport takes.
#[test]
fn a_peer_without_the_capability_is_sent_everything() {
    let hand = reader(&["a"], 0, true);
    assert_eq!(sent(&hand, 0), total(&hand, "a"));
    assert_eq!(hand.heard_count("Digest"), 1);
}

#[test]
fn credit_for_what_was_not_sent_closes_the_connection() {
    for lie in [0, 1 << 30, u64::MAX] {
        let mut hand = reader(&["a"], message::FLOW, true);
        hand.say(&[Message::Credit { channel: 0, taken: lie }]);
        let (code, text) = hand.closed().expect("closed");
        assert!(code == CloseCode::Malformed && text.contains(&lie.to_string()), "{text}");
    }
    let mut hand = reader(&["a"], message::FLOW, true);
    hand.say(&[Message::Credit { channel: 0, taken: 9_000 }]);
    assert_eq!(hand.closed(), None);
    hand.say(&[Message::Credit { channel: 0, taken: 9_000 }]);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Malformed), "it says nothing new");
}

#[test]
fn a_peer_that_takes_nothing_costs_a_bound_and_is_closed_in_the_end() {
    let limits = Limits::default();
    let docs = ["a", "b", "c", "d"];
    let mut hand = reader(&[], message::FLOW, false);
    let ping = || [vec![message::FORMAT_MESSAGES], message::encode(&Message::Ping)].concat();
    // Long before there is much, the driver has kept to itself that a little was written.
    let start_ms = 900_000;
    for now_ms in (0..=start_ms).step_by(10_000) {
        hand.engine.handle(now_ms, Input::Received { conn: CONN, bytes: ping() });
        hand.drain();
    }
    hand.effects.clear();
    for (channel, name) in docs.iter().enumerate() {
        hand.stored.insert(doc(name), history(channel as u128 + 20));
        hand.say(&[open(channel as u32, name, None)]);
    }
    let given = |hand: &Hand| {
        let sizes = hand.effects.iter().filter_map(|effect| match effect {
            Effect::Send { bytes, .. } => Some(bytes.len()),
            _ => None,
        });
        sizes.sum::<usize>()
    };
    let first = given(&hand);
    assert!((limits.max_unwritten_bytes / 2..limits.max_unwritten_bytes / 2 + SLACK).contains(&first), "{first}");
    // It speaks all the while, and is answered: what is said to it beside changes is small.
    let (trickle_ms, end_ms) = (start_ms + 400_000, start_ms + 1_000_000);
    for now_ms in (start_ms + 1_000..end_ms).step_by(10_000) {
        hand.engine.handle(now_ms, Input::Received { conn: CONN, bytes: ping() });
        if now_ms < trickle_ms {
            hand.engine.handle(now_ms, Input::Written { conn: CONN, bytes: 10 });
        }
        hand.engine.handle(now_ms, Input::Woken);
        hand.drain();
        assert!(given(&hand) < first + 10_000);
        if hand.closed().is_some() {
            let late_ms = now_ms - trickle_ms;
            assert!((limits.stall_timeout_ms - 10_000..limits.stall_timeout_ms + 20_000).contains(&late_ms));
            let (code, text) = hand.closed().expect("closed");
            assert!(code == CloseCode::Timeout && text.contains("taken"), "{text}");
            return;
        }
    }
    panic!("it is never closed");
}

/// A credit is due after a quarter of the window, and says what was taken since the beginning.
#[test]
fn credit_is_gathered() {
    let limits = Limits { window_bytes: 4_000, ..Limits::default() };
    let mut window = Window::default();
    let told: Vec<_> = (0..10).map(|_| (window.took(400), window.take_credit(&limits)).1).collect();
    assert_eq!(told.iter().flatten().copied().collect::<Vec<_>>(), [1_200, 2_400, 3_600]);
    window.sent(3_900);
    assert_eq!(window.left(&limits), 100);
    window.sent(300);
    assert_eq!(window.left(&limits), 0);
    assert!(window.credit(4_201).is_err() && window.credit(1_000).is_ok());
    assert_eq!(window.left(&limits), 800);
}

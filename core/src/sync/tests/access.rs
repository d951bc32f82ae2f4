//! The access matrix, made from the message enum: every message in every phase, from every role, with all rights.

use super::*;
use crate::sync::access::{allowed, need};
use crate::sync::conn::Phase;
use crate::sync::message::{Difference, Opened};

const PHASES: [Phase; 4] = [Phase::Greeting, Phase::Authenticating, Phase::Ready, Phase::Closing];

/// One of each. A new message does not compile here until it is added to the match and the list.
fn samples() -> Vec<Message<'static>> {
    let samples = vec![
        Message::Names(vec![ReplicaId::from(1)]),
        open(0, "d", None),
        Message::Opened(Opened {
            channel: 0,
            rights: Rights::ALL,
            state: Some(Difference { ends: vec![(0, 3)], fingerprint: [1; 16] }),
            undurable: vec![(0, 1)],
            acks: true,
        }),
        Message::Refused { channel: 0, code: 1, text: "no" },
        Message::Leave { channel: 0 },
        Message::Offer { name: doc("d") },
        Message::Changes { channel: 0, log: 0, first_seq: 0, frames: Blob(&[2, 0x12, 0]) },
        Message::Digest { channel: 0, ops: 1, ends: [0; 8], fingerprint: [0; 16] },
        Message::Resync { channel: 0, version: vec![(0, 1)] },
        Message::Ack { channel: 0, level: AckLevel::Durable, ends: vec![(0, 1)] },
        Message::Presence { channel: 0, owner: 0, clock: 1, user: None, key: "k", value: Some(Blob(b"v")) },
        Message::Ping,
        Message::Question { collection: "d", question: Blob(b"?") },
        Message::Answer { collection: "d", answer: Some(Blob(b"!")) },
        Message::Announce { channel: 0, ends: vec![(0, 1)] },
        Message::Prune { channel: 0 },
        Message::News { collection: "d" },
        Message::Priority { channel: 0, priority: 9 },
        Message::Continues { channel: 0, points: vec![(0, 1, [7; 16])] },
        Message::Search { name: doc("d"), question: Blob(b"?") },
        Message::SearchAnswer { name: doc("d"), answer: Some(Blob(b"!")) },
        Message::Credit { channel: 0, taken: 1 },
    ];
    assert_eq!(samples.iter().map(number).collect::<Vec<_>>(), (0..samples.len()).collect::<Vec<_>>());
    samples
}

fn number(message: &Message<'_>) -> usize {
    match message {
        Message::Names(_) => 0,
        Message::Open(_) => 1,
        Message::Opened(_) => 2,
        Message::Refused { .. } => 3,
        Message::Leave { .. } => 4,
        Message::Offer { .. } => 5,
        Message::Changes { .. } => 6,
        Message::Digest { .. } => 7,
        Message::Resync { .. } => 8,
        Message::Ack { .. } => 9,
        Message::Presence { .. } => 10,
        Message::Ping => 11,
        Message::Question { .. } => 12,
        Message::Answer { .. } => 13,
        Message::Announce { .. } => 14,
        Message::Prune { .. } => 15,
        Message::News { .. } => 16,
        Message::Priority { .. } => 17,
        Message::Continues { .. } => 18,
        Message::Search { .. } => 19,
        Message::SearchAnswer { .. } => 20,
        Message::Credit { .. } => 21,
    }
}

/// What the table in docs/protocol.md says: (from a dialer, from an acceptor), needs an open channel, needs to write.
fn table(message: &Message<'_>) -> (bool, bool, bool, bool) {
    match number(message) {
        0 | 3 | 11 => (true, true, false, false),
        1 | 4 | 12 | 17 | 19 => (true, false, false, false),
        2 | 5 | 13 | 16 | 20 => (false, true, false, false),
        7..=9 | 15 | 21 => (true, true, true, false),
        6 | 10 | 14 | 18 => (true, true, true, true),
        other => panic!("message {other} is not in the table"),
    }
}

/// Bug class J: nothing is read before authentication, and nobody writes who may only read.
#[test]
fn the_access_matrix_is_the_documented_one() {
    let rights = [None, Some(Rights::NONE), Some(Rights { read: true, write: false }), Some(Rights::ALL)];
    let mut allowed_count = 0;
    for message in samples() {
        for phase in PHASES {
            for sender in [Role::Dialer, Role::Acceptor] {
                for rights in rights {
                    let (dialer, acceptor, open, write) = table(&message);
                    let role = if sender == Role::Dialer { dialer } else { acceptor };
                    let have = rights.unwrap_or(Rights::NONE);
                    let expected = phase == Phase::Ready && role && (!open || have.read) && (!write || have.write);
                    let got = allowed(need(&message), phase, sender, rights);
                    assert_eq!(got, expected, "{message:?} in {phase:?} from {sender:?} with {rights:?}");
                    allowed_count += usize::from(got);
                }
            }
        }
    }
    assert!(allowed_count > 0);
}

/// The same through the engine: what a dialer may not say with its rights closes the connection.
#[test]
fn what_is_not_allowed_closes_the_connection() {
    for message in samples() {
        for write in [false, true] {
            let rights = Rights { read: true, write };
            let mut hand = Hand::ready(Grant { user: None, rules: vec![GrantRule { documents: "d".into(), rights }] });
            hand.open(0, "d");
            assert_eq!(hand.closed(), None);
            if number(&message) == 1 {
                continue; // A second Open of the same document breaks another rule.
            }
            hand.say(std::slice::from_ref(&message));
            let (dialer, _, _, needs_write) = table(&message);
            let refused = hand.closed().is_some_and(|(code, _)| code == CloseCode::Forbidden);
            assert_eq!(refused, !dialer || (needs_write && !write), "{message:?}: {:?}", hand.closed());
            assert_eq!(hand.applied(), usize::from(number(&message) == 6 && write));
        }
    }
}

#[test]
fn before_the_credential_is_accepted_nothing_is_read() {
    for message in samples() {
        for greeted in [false, true] {
            let mut hand = Hand::dialed(Config::relay());
            if greeted {
                hand.say_bytes(CONN, hello(1, 1));
            }
            hand.say(&[open(0, "d", None), message.clone()]);
            assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Forbidden), "{message:?}");
            assert!(!hand.effects.iter().any(|effect| matches!(effect, Effect::Open { .. } | Effect::Applied { .. })));
            // A grant that comes too late changes nothing.
            hand.engine.handle(1, Input::Authenticated { conn: CONN, grant: Ok(Grant::all()) });
            hand.drain();
            assert_eq!(hand.heard_count("Welcome"), 0);
        }
    }
}

#[test]
fn a_document_without_the_right_to_read_is_not_even_looked_for() {
    let rule = |documents: &str, rights| GrantRule { documents: documents.into(), rights };
    let write_only = Rights { read: false, write: true };
    let mut hand =
        Hand::ready(Grant { user: None, rules: vec![rule("mine-*", Rights::ALL), rule("drop", write_only)] });
    hand.say(&[open(0, "theirs", None), open(1, "drop", None), open(2, "mine-1", None)]);
    let opened: Vec<_> = hand.effects.iter().filter(|effect| matches!(effect, Effect::Open { .. })).collect();
    assert_eq!(opened, [&Effect::Open { doc: doc("mine-1") }]);
    assert_eq!((hand.heard_count("Refused"), hand.heard_count("Opened")), (2, 1));
    assert_eq!(hand.closed(), None);
}

#[test]
fn a_revoked_credential_closes_and_a_changed_one_reopens() {
    let grant = |rights| Grant { user: None, rules: vec![GrantRule { documents: "d".into(), rights }] };
    let mut hand = Hand::ready(grant(Rights::ALL));
    hand.open(0, "d");
    let read_only = grant(Rights { read: true, write: false });
    hand.engine.handle(2, Input::Authenticated { conn: CONN, grant: Ok(read_only) });
    hand.drain();
    assert_eq!((hand.heard_count("Refused"), hand.heard_count("Offer")), (1, 1));
    // What was on its way when the channel closed is not held against the peer, and is not read.
    hand.say(&[Message::Changes { channel: 0, log: 0, first_seq: 0, frames: Blob(&[2, 0x12, 0]) }]);
    assert_eq!((hand.closed(), hand.applied()), (None, 0));
    hand.say(&[open(1, "d", Some(0))]);
    assert!(hand.heard().iter().any(|words| words.starts_with("Opened") && words.contains("write: false")));
    hand.engine.handle(3, Input::Authenticated { conn: CONN, grant: Err("the token was revoked".into()) });
    hand.drain();
    assert_eq!(hand.closed(), Some((CloseCode::Unauthorized, "the token was revoked".into())));
}

#[test]
fn every_message_reads_back_and_has_one_encoding() {
    let mut frame = vec![message::FORMAT_MESSAGES];
    samples().iter().for_each(|message| frame.extend(message::encode(message)));
    assert_eq!(message::decode(&frame), Ok(Frame::Messages(samples())));
    for cut in 0..frame.len() {
        // A cut between two messages is a shorter frame, any other is an error: never a different message.
        if let Ok(Frame::Messages(messages)) = message::decode(&frame[..cut]) {
            assert_eq!(messages[..], samples()[..messages.len()]);
        }
    }
    let long = [message::FORMAT_MESSAGES, 4, 0x80, 0x00];
    assert!(message::decode(&long).is_err(), "a channel in two bytes that fits one");
    assert!(message::decode(&[message::FORMAT_MESSAGES, 12]).is_err(), "an unknown message");
    assert!(message::decode(&[3, 0]).is_err() && message::decode(&[]).is_err());
}

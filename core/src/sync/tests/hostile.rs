//! Peers that send what they should not. Bug classes B, C and J.

use quickcheck::{QuickCheck, TestResult};

use super::*;
use crate::graph::Fork;
use crate::id::OpId;
use crate::op::{Digest, chain, chain_start};

fn log() -> (LogHead, Vec<u8>) {
    let mut head = LogHead::default();
    let frames = changes(&mut head, &[b"one", b"two", b"three"], &[]);
    (head, frames)
}

fn say_changes(hand: &mut Hand, log: u32, first_seq: u64, frames: &[u8]) {
    hand.say(&[Message::Changes { channel: 0, log, first_seq, frames: Blob(frames) }]);
}

/// Ends and digest of everything that the engine holds, seen through a second connection.
fn state(hand: &mut Hand, conn: u64) -> Vec<Effect> {
    let conn = ConnId(conn);
    let before = hand.effects.len();
    hand.connect(conn, Role::Acceptor);
    hand.greet(conn, Grant::all());
    let mut bytes = vec![message::FORMAT_MESSAGES];
    bytes.extend(message::encode(&open(0, "d", None)));
    hand.say_bytes(conn, bytes);
    let said = hand.effects.split_off(before);
    hand.engine.handle(1, Input::Disconnected { conn });
    // Other than in the number of the connection and of tokens, equal states give equal answers.
    said.into_iter()
        .filter_map(|effect| match effect {
            Effect::Send { bytes, .. } => Some(Effect::Send { conn: CONN, bytes }),
            _ => None,
        })
        .collect()
}

#[test]
fn an_unknown_version_is_refused_with_both_versions() {
    let mut hand = Hand::dialed(Config::relay());
    hand.say_bytes(CONN, hello(7, 9));
    let text = "this relay speaks 1 to 1, you offered 7 to 9";
    assert_eq!(hand.closed(), Some((CloseCode::Version, text.into())));
    assert_eq!(hand.heard(), [format!("Close {{ code: 3, text: {text:?} }}")]);
    assert!(!hand.effects.iter().any(|effect| matches!(effect, Effect::Authenticate { .. })));
    // The range is what counts.
    let mut hand = Hand::dialed(Config::relay());
    hand.say_bytes(CONN, hello(0, 9));
    assert_eq!(hand.closed(), None);
}

#[test]
fn a_bad_credential_is_refused() {
    let mut hand = Hand::dialed(Config::relay());
    hand.say_bytes(CONN, hello(1, 1));
    let asked = Effect::Authenticate { conn: CONN, credential: Some("secret".into()) };
    assert!(hand.effects.contains(&asked));
    hand.engine.handle(1, Input::Authenticated { conn: CONN, grant: Err("the signature is wrong".into()) });
    hand.drain();
    assert_eq!(hand.closed(), Some((CloseCode::Unauthorized, "the signature is wrong".into())));
}

#[test]
fn a_malformed_change_closes_the_connection_and_changes_nothing() {
    let (_, good) = log();
    for cut in 1..good.len() {
        let mut hand = Hand::ready(Grant::all());
        hand.open(0, "d");
        let before = state(&mut hand, 100);
        say_changes(&mut hand, 0, 0, &good[..cut]);
        let whole = crate::op::Frames::new(&good[..cut]).all(|change| change.is_ok());
        assert_eq!(hand.closed().is_none(), whole, "cut at {cut}");
        assert_eq!(hand.applied(), usize::from(whole));
        if let Some((code, text)) = hand.closed() {
            assert_eq!(code, CloseCode::InvalidChanges);
            assert!(text.contains("change"), "{text}");
            assert_eq!(state(&mut hand, 101), before);
        }
    }
    // A good change in front of a bad one is not taken either.
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    let mut frames = good.clone();
    put_frame(&mut frames, &[0xff, 1]);
    say_changes(&mut hand, 0, 0, &frames);
    assert_eq!((hand.closed().map(|(code, _)| code), hand.applied()), (Some(CloseCode::InvalidChanges), 0));
}

/// Bug class B: a gap is asked for again, and not for ever.
#[test]
fn a_gap_is_asked_for_a_bounded_number_of_times() {
    let (_, frames) = log();
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    for round in 0..10 {
        say_changes(&mut hand, 0, 5, &frames);
        hand.say(&[Message::Digest { channel: 0, ops: 8, ends: [round; 8], fingerprint: [0; 16] }]);
    }
    assert_eq!(hand.applied(), 0);
    assert_eq!(hand.heard_count("Resync"), 3);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::InvalidChanges));
}

#[test]
fn a_change_waits_for_what_it_depends_on() {
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    let (head, first) = log();
    let digest: Digest = crate::op::Frames::new(&first)
        .fold(chain_start(ReplicaId::from(9)), |digest, change| chain(&digest, change.expect("whole")));
    let mut short = [0; 16];
    short.copy_from_slice(&digest[..16]);
    let other = hand.name(ReplicaId::from(5));
    let dep = Dep { replica: ReplicaId::from(9), end: head.end, digest: short };
    let second = changes(&mut LogHead::default(), &[b"after three", b"more"], &[dep]);
    // As in a catch-up, where the logs come one behind the other: nothing is asked again before the peer is through.
    hand.engine.handle(1, Input::Disconnected { conn: CONN });
    let mut hand = Hand::ready(Grant::all());
    hand.name(ReplicaId::from(9));
    hand.name(ReplicaId::from(5));
    let Message::Open(mut request) = open(0, "d", Some(0)) else { unreachable!("open makes an Open") };
    (request.version, request.fingerprint) = (vec![(0, 3), (1, 2)], [1; 16]);
    hand.say(&[Message::Open(request)]);
    say_changes(&mut hand, other, 0, &second);
    assert_eq!((hand.applied(), hand.heard_count("Resync")), (0, 0));
    say_changes(&mut hand, 0, 0, &first);
    assert_eq!((hand.applied(), hand.heard_count("Resync"), hand.closed()), (1, 0, None));
    let batch = hand.effects.iter().find_map(|effect| match effect {
        Effect::Applied { batch, .. } => Some(batch.clone()),
        _ => None,
    });
    let segment = |replica: u128, frames: Vec<u8>| Segment {
        replica: ReplicaId::from(replica),
        first_seq: 0,
        frames: frames.into(),
    };
    assert_eq!(batch, Some(Batch::from_iter([segment(5, second), segment(9, first)])));
}

/// What is held back ends at a gap, and the gap is asked for.
#[test]
fn a_gap_behind_what_waits_is_asked_for() {
    let mut hand = Hand::ready(Grant::all());
    hand.name(ReplicaId::from(9));
    hand.name(ReplicaId::from(5));
    let Message::Open(mut request) = open(0, "d", Some(0)) else { unreachable!("open makes an Open") };
    (request.version, request.fingerprint) = (vec![(0, 3), (1, 9)], [1; 16]);
    hand.say(&[Message::Open(request)]);
    let dep = Dep { replica: ReplicaId::from(9), end: 3, digest: [0; 16] };
    let (_, frames) = log();
    say_changes(&mut hand, 1, 0, &changes(&mut LogHead::default(), &[b"waits"], &[dep]));
    say_changes(&mut hand, 1, 6, &frames);
    assert_eq!((hand.applied(), hand.heard_count("Resync"), hand.closed()), (0, 0, None));
    // The dependency is another content than the one named: it is not accepted, and the peer hears why.
    say_changes(&mut hand, 0, 0, &frames);
    assert_eq!((hand.applied(), hand.heard_count("Refused { channel: 0, code: 6")), (1, 1));
    // With nothing left that waits, only the gap is known of.
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    let mut head = LogHead::default();
    let (one, two) = (changes(&mut head, &[b"1"], &[]), changes(&mut head, &[b"2"], &[]));
    say_changes(&mut hand, 0, 1, &two);
    assert_eq!(hand.heard_count("Resync"), 1, "live, a gap is asked for at once");
    say_changes(&mut hand, 0, 0, &[one, two].concat());
    hand.say(&[Message::Digest { channel: 0, ops: 2, ends: [0; 8], fingerprint: [0; 16] }]);
    assert_eq!((hand.applied(), hand.heard_count("Resync"), hand.closed()), (1, 1, None));
}

/// A catch-up that ended without a comparison is compared when all is quiet.
#[test]
fn copies_that_were_not_compared_are_compared_in_silence() {
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    let wait = |hand: &mut Hand, now_ms| {
        hand.engine.handle(now_ms, Input::Received { conn: CONN, bytes: vec![message::FORMAT_MESSAGES, 11] });
        hand.drain();
    };
    wait(&mut hand, 20_000);
    assert_eq!(hand.heard_count("Digest"), 0, "equal from the start");
    let (_, frames) = log();
    say_changes(&mut hand, 0, 0, &frames);
    wait(&mut hand, 30_000);
    assert_eq!(hand.heard_count("Digest"), 0);
    wait(&mut hand, 40_000);
    wait(&mut hand, 60_000);
    assert_eq!(hand.heard_count("Digest"), 1, "once per version");
}

/// Bug class B: two contents for one operation are told apart, by a dependency or by the digest at equal versions.
#[test]
fn a_fork_is_refused_and_reported() {
    let (head, frames) = log();
    let fork = |hand: &Hand| {
        let told = hand.effects.iter().any(|effect| matches!(effect, Effect::Refused { code: RefuseCode::Fork, .. }));
        (told, hand.heard_count("Refused { channel: 0, code: 6"))
    };
    // Another content at the same version.
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    say_changes(&mut hand, 0, 0, &frames);
    assert_eq!(hand.applied(), 1);
    let ends = {
        let mut other = super::super::room::Room::new(DocState::default(), true, None);
        other.edit(ReplicaId::from(9), 0, &frames).expect("good changes");
        other.summary().ends
    };
    hand.say(&[Message::Digest { channel: 0, ops: 3, ends, fingerprint: [6; 16] }]);
    assert_eq!(fork(&hand), (true, 1));
    assert_eq!(hand.closed(), None, "other documents live on");
    // A dependency on another content of the log.
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    say_changes(&mut hand, 0, 0, &frames);
    let other = hand.name(ReplicaId::from(5));
    let dep = Dep { replica: ReplicaId::from(9), end: head.end, digest: [3; 16] };
    say_changes(&mut hand, other, 0, &changes(&mut LogHead::default(), &[b"x"], &[dep]));
    assert_eq!((fork(&hand), hand.applied()), ((true, 1), 1));
    // A change that ends elsewhere than ours.
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    say_changes(&mut hand, 0, 0, &frames);
    let mut bytes = Vec::new();
    let long = Change { hlc: Hlc::new(1, 0), deps: &[], message: None, ops: 5, body: b"five" };
    LogHead::default().write(&long, &mut bytes);
    let mut long = Vec::new();
    put_frame(&mut long, &bytes);
    say_changes(&mut hand, 0, 0, &long);
    assert_eq!((fork(&hand), hand.applied()), ((true, 1), 1));
}

/// Bug class B: a dependency on another content of a log before its end is found by the driver. Its sender is refused and
/// not asked again; nothing of it is passed on, and the others come back.
#[test]
fn what_depends_on_another_life_of_a_writer_blocks_its_sender_alone() {
    const OTHER: ConnId = ConnId(8);
    let open_again = |hand: &mut Hand, channel| {
        let mut bytes = vec![message::FORMAT_MESSAGES];
        bytes.extend(message::encode(&open(channel, "d", None)));
        hand.say_bytes(OTHER, bytes);
    };
    let said_to_other = |hand: &Hand, what: &str| {
        let frames = hand.effects.iter().filter_map(|effect| match effect {
            Effect::Send { conn: OTHER, bytes } => Some(format!("{:?}", message::decode(bytes))),
            _ => None,
        });
        frames.filter(|words| words.contains(what)).count()
    };
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    say_changes(&mut hand, 0, 0, &log().1);
    hand.connect(OTHER, Role::Acceptor);
    hand.greet(OTHER, Grant::all());
    open_again(&mut hand, 0);
    let liar = hand.name(ReplicaId::from(5));
    let dep = Dep { replica: ReplicaId::from(9), end: 2, digest: [3; 16] };
    let frames = changes(&mut LogHead::default(), &[b"x"], &[dep]);
    let mut bytes = vec![message::FORMAT_MESSAGES];
    bytes.extend(message::encode(&Message::Changes { channel: 0, log: liar, first_seq: 0, frames: Blob(&frames) }));
    hand.engine.handle(1, Input::Received { conn: CONN, bytes });
    let by = OpId { replica: ReplicaId::from(5), seq: 0 };
    let fork = Fork { at: OpId { replica: ReplicaId::from(9), seq: 1 }, by };
    assert!(matches!(hand.engine.poll_effect(), Some(Effect::Persist { .. })), "the engine cannot tell");
    hand.engine.handle(1, Input::Forked { doc: doc("d"), fork });
    hand.drain();
    assert_eq!(hand.heard_count("Refused { channel: 0, code: 6"), 1);
    assert_eq!((said_to_other(&hand, "Refused { channel: 0, code: 5"), said_to_other(&hand, "Changes")), (1, 0));
    assert_eq!(hand.closed(), None, "other documents live on");
    open_again(&mut hand, 1);
    assert_eq!(said_to_other(&hand, "Opened { channel: 1"), 1);
    assert_eq!(hand.heard_count("Offer"), 0, "it would bring the same again");
}

/// Bug class J: presence of somebody else.
#[test]
fn presence_of_another_owner_closes_the_connection() {
    let value = |owner| Message::Presence {
        channel: 0,
        owner,
        clock: 1,
        user: Some("the boss"),
        key: "cursor",
        value: Some(Blob(b"5")),
    };
    let mut hand = Hand::ready(Grant { user: Some("eve".into()), ..Grant::all() });
    hand.open(0, "d");
    let other = hand.name(ReplicaId::from(5));
    // A second connection watches: it hears the user of the credential, whatever the message says.
    let watcher = ConnId(8);
    hand.connect(watcher, Role::Acceptor);
    hand.greet(watcher, Grant::all());
    let mut bytes = vec![message::FORMAT_MESSAGES];
    bytes.extend(message::encode(&open(0, "d", None)));
    hand.say_bytes(watcher, bytes);
    hand.say(&[value(0)]);
    let heard = hand.effects.iter().filter_map(|effect| match effect {
        Effect::Send { conn, bytes } if *conn == watcher => message::decode(bytes).ok(),
        _ => None,
    });
    let heard = format!("{:?}", heard.collect::<Vec<_>>());
    assert!(heard.contains("Presence") && heard.contains("eve") && !heard.contains("the boss"), "{heard}");
    assert_eq!(hand.closed(), None);
    hand.say(&[value(other)]);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Forbidden));
    // Whoever names an owner is held to it, also with a credential that a relay could have.
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    let other = hand.name(ReplicaId::from(5));
    hand.say(&[value(0)]);
    assert_eq!(hand.closed(), None);
    hand.say(&[value(other)]);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Forbidden));
}

#[test]
fn an_owner_that_another_user_has_is_not_given_away() {
    let mut hand = Hand::ready(Grant { user: Some("ann".into()), ..Grant::all() });
    hand.open(0, "d");
    let eve = ConnId(8);
    hand.connect(eve, Role::Acceptor);
    hand.greet(eve, Grant { user: Some("eve".into()), ..Grant::all() });
    let mut bytes = vec![message::FORMAT_MESSAGES];
    bytes.extend(message::encode(&Message::Names(vec![ReplicaId::from(9)])));
    bytes.extend(message::encode(&open(0, "d", Some(0))));
    let before = hand.effects.len();
    hand.say_bytes(eve, bytes);
    let refused = hand.effects[before..].iter().any(|effect| match effect {
        Effect::Send { conn, bytes } => *conn == eve && format!("{:?}", message::decode(bytes)).contains("code: 1"),
        _ => false,
    });
    assert!(refused);
}

#[test]
fn limits_have_numbers() {
    let limited = |change: fn(&mut Limits)| {
        let mut config = Config::relay();
        change(&mut config.limits);
        let mut hand = Hand::dialed(config);
        hand.greet(CONN, Grant::all());
        hand
    };
    let code = |hand: &Hand| hand.closed().map(|(code, _)| code);
    let mut hand = limited(|limits| limits.max_message_bytes = 100);
    hand.say_bytes(CONN, vec![1; 101]);
    assert_eq!(code(&hand), Some(CloseCode::TooLarge));
    let mut hand = Hand::dialed(Config::relay());
    hand.say_bytes(CONN, vec![0; message::MAX_GREETING_BYTES + 1]);
    assert_eq!(code(&hand), Some(CloseCode::TooLarge), "before the greeting the limit is small");
    let mut hand = limited(|limits| limits.max_names_per_conn = 1);
    hand.say(&[Message::Names(vec![ReplicaId::from(1), ReplicaId::from(2)])]);
    assert_eq!(code(&hand), Some(CloseCode::Limit));
    let mut hand = limited(|limits| limits.max_documents_per_conn = 1);
    hand.say(&[open(0, "a", None), open(1, "b", None)]);
    assert_eq!((hand.heard_count("Opened"), hand.heard_count("Refused { channel: 1, code: 7")), (1, 1));
    let mut hand = limited(|limits| limits.max_connections = 1);
    hand.connect(ConnId(9), Role::Acceptor);
    hand.drain();
    let limit = |effect: &Effect| matches!(effect, Effect::Close { conn: ConnId(9), code: CloseCode::Limit, .. });
    assert!(hand.effects.iter().any(limit) && hand.closed().is_none());
    let mut hand = limited(|limits| limits.max_presence_per_owner = 1);
    hand.open(0, "d");
    for key in ["a", "b"] {
        let value = Some(Blob(b"1"));
        hand.say(&[Message::Presence { channel: 0, owner: 0, clock: 1, user: None, key, value }]);
    }
    assert_eq!(code(&hand), Some(CloseCode::Limit));
}

/// A hand whose second connection, an honest one, has the document open as well.
fn with_honest(greeted: bool) -> (Hand, ConnId) {
    let mut hand = if greeted { Hand::ready(Grant::all()) } else { Hand::dialed(Config::relay()) };
    let honest = ConnId(8);
    hand.connect(honest, Role::Acceptor);
    hand.greet(honest, Grant::all());
    let mut bytes = vec![message::FORMAT_MESSAGES];
    bytes.extend(message::encode(&Message::Names(vec![ReplicaId::from(3)])));
    bytes.extend(message::encode(&open(0, "d", Some(0))));
    hand.say_bytes(honest, bytes);
    if greeted {
        hand.open(0, "d");
    }
    (hand, honest)
}

/// Whether the honest connection is up and its changes are taken.
fn honest_is_fine(hand: &mut Hand, honest: ConnId) -> bool {
    let mut bytes = vec![message::FORMAT_MESSAGES];
    let good = changes(&mut LogHead::default(), &[b"still here"], &[]);
    bytes.extend(message::encode(&Message::Changes { channel: 0, log: 0, first_seq: 0, frames: Blob(&good) }));
    let before = hand.applied();
    hand.say_bytes(honest, bytes);
    let closed = hand.effects.iter().any(|effect| matches!(effect, Effect::Close { conn, .. } if *conn == honest));
    !closed && hand.applied() == before + 1
}

/// Bug class C: any bytes, at any point, close at worst the connection they came over.
#[test]
fn garbage_harms_nobody_else() {
    fn property(garbage: Vec<Vec<u8>>, greeted: bool, framed: bool) -> TestResult {
        let (mut hand, honest) = with_honest(greeted);
        for bytes in &garbage {
            let mut bytes = bytes.clone();
            if framed {
                bytes.insert(0, message::FORMAT_MESSAGES);
            }
            hand.say_bytes(CONN, bytes);
        }
        TestResult::from_bool(honest_is_fine(&mut hand, honest))
    }
    QuickCheck::new().tests(2_000).quickcheck(property as fn(Vec<Vec<u8>>, bool, bool) -> TestResult);
}

/// The same with frames that are almost right: good messages with some bytes changed, cut off or doubled.
#[test]
fn damaged_messages_harm_nobody_else() {
    fn property(damage: Vec<(u16, u8)>, cut: u16) -> TestResult {
        let (mut hand, honest) = with_honest(true);
        let (_, frames) = log();
        let mut bytes = vec![message::FORMAT_MESSAGES];
        for message in [
            Message::Names(vec![ReplicaId::from(4)]),
            Message::Changes { channel: 0, log: 0, first_seq: 0, frames: Blob(&frames) },
            Message::Digest { channel: 0, ops: 3, ends: [1; 8], fingerprint: [2; 16] },
            Message::Resync { channel: 0, version: vec![(0, 1)] },
            Message::Ack { channel: 0, level: AckLevel::Received, ends: vec![(0, 3), (1, 9)] },
            Message::Presence { channel: 0, owner: 0, clock: 4, user: None, key: "k", value: None },
            open(1, "e", Some(1)),
            Message::Leave { channel: 0 },
        ] {
            bytes.extend(message::encode(&message));
        }
        for (at, byte) in damage {
            let len = bytes.len();
            bytes[usize::from(at) % len] = byte;
        }
        bytes.truncate(bytes.len() - usize::from(cut) % 8);
        hand.say_bytes(CONN, bytes.clone());
        hand.say_bytes(CONN, bytes);
        TestResult::from_bool(honest_is_fine(&mut hand, honest))
    }
    QuickCheck::new().tests(2_000).quickcheck(property as fn(Vec<(u16, u8)>, u16) -> TestResult);
}

/// Each question can cost a large answer: a peer that asks on without waiting is closed, and so is one that answers what
/// was not asked.
#[test]
fn questions_come_one_by_one_and_answers_only_to_them() {
    let question = || Message::Question { collection: "d", question: Blob(b"?") };
    let mut hand = Hand::dialed(Config { collections: true, ..Config::relay() });
    hand.greet(CONN, Grant::all());
    hand.say(&[question()]);
    let asked = |hand: &Hand| hand.effects.iter().filter(|effect| matches!(effect, Effect::Asked { .. })).count();
    assert_eq!((asked(&hand), hand.closed()), (1, None));
    hand.engine.handle(1, Input::Answer { conn: CONN, answer: Some(b"!".to_vec()) });
    hand.engine.handle(1, Input::Answer { conn: CONN, answer: Some(b"again".to_vec()) });
    hand.drain();
    assert_eq!(hand.heard_count("Answer"), 1);
    hand.say(&[question()]);
    assert_eq!((asked(&hand), hand.closed()), (2, None));
    hand.engine.handle(1, Input::Authenticated { conn: CONN, grant: Ok(Grant::default()) });
    hand.engine.handle(1, Input::Answer { conn: CONN, answer: Some(b"secret".to_vec()) });
    hand.drain();
    assert!(hand.heard().last().is_some_and(|words| words.ends_with("answer: None }")), "{:?}", hand.heard());
    hand.engine.handle(1, Input::Authenticated { conn: CONN, grant: Ok(Grant::all()) });
    hand.say(&[question(), question()]);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Limit));

    let mut hand = Hand::dialed(Config { collections: true, ..Config::relay() });
    hand.greet(CONN, Grant::all());
    let long = "x".repeat(257);
    hand.say(&[Message::Question { collection: &long, question: Blob(b"?") }]);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Malformed));

    for collection in ["d", "e"] {
        let mut hand = Hand::new(Config::client());
        hand.connect(CONN, Role::Dialer);
        let (max_message_bytes, max_documents) = (1 << 20, 10);
        let welcome = message::Welcome {
            version: 1,
            capabilities: 0,
            max_message_bytes,
            max_documents,
            agent: "test",
            extension: Blob(&[]),
        };
        hand.say_bytes(CONN, message::encode_greeting(&Greeting::Welcome(welcome)));
        let (question, of) = (b"?".to_vec(), collection.to_owned());
        hand.engine.handle(1, Input::Ask { conn: CONN, collection: of, question });
        hand.say(&[Message::Answer { collection: "d", answer: None }]);
        assert_eq!(hand.closed().is_some(), collection != "d");
        hand.say(&[Message::Answer { collection: "d", answer: None }]);
        assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Malformed));
    }
}

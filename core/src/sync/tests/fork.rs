//! What is said about forks, by hand. Bug classes B, C and J.

use super::*;

fn say_changes(hand: &mut Hand, first_seq: u64, frames: &[u8]) {
    hand.say(&[Message::Changes { channel: 0, log: 0, first_seq, frames: Blob(frames) }]);
}

fn refused(hand: &Hand) -> usize {
    hand.heard_count("Refused { channel: 0, code: 6")
}

#[test]
fn known_changes_with_another_content_are_a_fork() {
    let mut head = LogHead::default();
    let frames = changes(&mut head, &[b"one", b"two", b"three"], &[]);
    let other = changes(&mut LogHead::default(), &[b"one", b"zwo"], &[]);
    for (first, frames, forks) in [(0, &other, 1), (0, &frames, 0)] {
        let mut hand = Hand::ready(Grant::all());
        hand.open(0, "d");
        say_changes(&mut hand, 0, &frames_of(&[b"one", b"two", b"three"]));
        say_changes(&mut hand, first, frames);
        assert_eq!((refused(&hand), hand.applied()), (forks, 1));
    }
}

fn frames_of(bodies: &[&[u8]]) -> Vec<u8> {
    changes(&mut LogHead::default(), bodies, &[])
}

/// The digest in front of changes says what they go on with.
#[test]
fn changes_that_go_on_with_another_content_are_not_taken() {
    let digest = |bodies: &[&[u8]]| {
        let mut room = super::super::room::Room::new(DocState::default(), true, None);
        room.edit(ReplicaId::from(9), 0, &frames_of(bodies)).expect("good changes");
        room.log_digest(ReplicaId::from(9)).expect("it has the log")
    };
    for (bodies, takes) in [([b"one", b"two"], true), ([b"one", b"zwo"], false)] {
        let mut hand = Hand::ready(Grant::all());
        hand.open(0, "d");
        say_changes(&mut hand, 0, &frames_of(&[b"one", b"two"]));
        let mut point = [0; 16];
        point.copy_from_slice(&digest(&bodies.map(|body| &body[..]))[..16]);
        hand.say(&[Message::Continues { channel: 0, points: vec![(0, 2, point)] }]);
        let mut head = LogHead::default();
        changes(&mut head, &[b"one", b"two"], &[]);
        say_changes(&mut hand, 2, &changes(&mut head, &[b"three"], &[]));
        assert_eq!((refused(&hand), hand.applied()), (usize::from(!takes), 1 + usize::from(takes)));
        // An end that nobody has, or that is forgotten, says nothing.
        hand.say(&[Message::Continues { channel: 0, points: vec![(0, 77, point)] }]);
        assert_eq!(hand.closed(), None);
    }
}

#[test]
fn searches_come_one_by_one_and_from_who_may_read() {
    let search = |name: &str| Message::Search { name: doc(name), question: Blob(b"?") };
    let asked = |hand: &Hand| hand.effects.iter().filter(|effect| matches!(effect, Effect::SearchAsked { .. })).count();
    let rule = |rights| Grant { user: None, rules: vec![GrantRule { documents: "d".into(), rights }] };
    let mut hand = Hand::ready(rule(Rights { read: true, write: false }));
    hand.say(&[search("other")]);
    assert_eq!((asked(&hand), hand.heard_count("SearchAnswer")), (0, 1), "it may not be read");
    hand.say(&[search("d")]);
    assert_eq!((asked(&hand), hand.heard_count("SearchAnswer")), (1, 1), "it is loaded for the search");
    hand.engine.handle(2, Input::SearchAnswer { conn: CONN, answer: Some(b"!".to_vec()) });
    hand.drain();
    assert_eq!((hand.heard_count("SearchAnswer"), hand.closed()), (2, None));
    hand.say(&[search("d"), search("d")]);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Limit));
}

#[test]
fn an_answer_to_nothing_closes_and_a_fork_is_told_to_the_dialer() {
    let mut hand = Hand::new(Config::client());
    let state = DocState::default();
    hand.engine.handle(1, Input::Opened { doc: doc("d"), state, presence_owner: None });
    hand.connect(CONN, Role::Dialer);
    let welcome = message::Welcome {
        version: 1,
        capabilities: 0,
        max_message_bytes: 1 << 20,
        max_documents: 9,
        agent: "test",
        extension: Blob(b""),
    };
    hand.say_bytes(CONN, message::encode_greeting(&Greeting::Welcome(welcome)));
    hand.say(&[Message::Refused { channel: 0, code: 6, text: "forked" }]);
    let forked = Effect::Forked { conn: CONN, doc: doc("d") };
    assert_eq!(hand.effects.iter().filter(|effect| **effect == forked).count(), 1);
    for question in [b"one", b"two"] {
        hand.engine.handle(2, Input::Search { conn: CONN, doc: doc("d"), question: question.to_vec() });
    }
    hand.drain();
    assert_eq!(hand.heard_count("Search {"), 1, "the second waits for the answer to the first");
    hand.say(&[Message::SearchAnswer { name: doc("d"), answer: None }]);
    let answered = Effect::SearchAnswered { conn: CONN, doc: doc("d"), answer: None };
    assert!(!hand.effects.contains(&answered), "the search has begun anew since");
    assert_eq!((hand.heard_count("Search {"), hand.closed()), (2, None));
    hand.say(&[Message::SearchAnswer { name: doc("d"), answer: None }]);
    assert!(hand.effects.contains(&answered));
    hand.say(&[Message::SearchAnswer { name: doc("other"), answer: None }]);
    assert_eq!(hand.closed().map(|(code, _)| code), Some(CloseCode::Malformed));
}

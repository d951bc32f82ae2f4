//! A document of which stored changes are damaged: who is let in, and that nothing moves before it is whole.

use super::*;
use crate::id::VersionVector;
use crate::op::{LogState, chain, chain_start};

const AUTHOR: u128 = 9;

/// The state of the author's log behind `frames`, read against an empty one.
fn state(frames: &[u8]) -> DocState {
    let replica = ReplicaId::from(AUTHOR);
    let (mut head, mut digest) = (LogHead::default(), chain_start(replica));
    for change in crate::op::Frames::new(frames) {
        let change = change.expect("whole");
        head.read(change).expect("a change");
        digest = chain(&digest, change);
    }
    DocState { logs: vec![LogState { replica, head, digest }] }
}

fn damaged() -> Input {
    let missing: VersionVector = [(ReplicaId::from(AUTHOR), 3)].into_iter().collect();
    let (state, reason) = (DocState::default(), "the file, record 1".to_owned());
    Input::Damaged { doc: doc("d"), state, missing, reason }
}

fn open_with(channel: u32, name: &str, version: Vec<(u32, u64)>) -> Message<'static> {
    let Message::Open(open) = open(channel, name, None) else { panic!("an open") };
    Message::Open(Open { version, ..open })
}

#[test]
fn whoever_cannot_help_waits_and_is_told_why() {
    let mut hand = Hand::ready(Grant::all());
    hand.engine.handle(1, damaged());
    hand.say(&[open_with(0, "d", Vec::new())]);
    let refused = hand.heard().into_iter().find(|words| words.starts_with("Refused")).expect("a refusal");
    assert!(refused.contains("the file, record 1"), "{refused}");
    let frames = changes(&mut LogHead::default(), &[b"a", b"b", b"c"], &[]);
    hand.engine.handle(1, Input::Opened { doc: doc("d"), state: state(&frames), presence_owner: None });
    hand.drain();
    assert_eq!(hand.heard_count("Offer"), 1);
}

#[test]
fn what_helpers_send_goes_to_the_driver_and_moves_nothing() {
    let mut hand = Hand::ready(Grant::all());
    hand.engine.handle(1, damaged());
    let log = hand.name(ReplicaId::from(AUTHOR));
    hand.say(&[open_with(0, "d", vec![(log, 3)])]);
    assert_eq!(hand.heard_count("Opened"), 1);
    let frames = changes(&mut LogHead::default(), &[b"a", b"b", b"c"], &[]);
    hand.say(&[Message::Changes { channel: 0, log, first_seq: 0, frames: Blob(&frames) }]);
    let fetched =
        |effect: &&Effect| matches!(effect, Effect::Salvaged { batch, .. } if batch.segments[0].frames[..] == frames);
    assert_eq!(hand.effects.iter().filter(fetched).count(), 1);
    assert!(hand.applied() == 0 && !hand.effects.iter().any(|effect| matches!(effect, Effect::Persist { .. })));
    assert_eq!(hand.heard_count("Ack"), 0, "nothing is acknowledged");

    hand.engine.handle(1, Input::Opened { doc: doc("d"), state: state(&frames), presence_owner: None });
    hand.drain();
    assert_eq!((hand.heard_count("Ack"), hand.heard_count("Resync")), (1, 1), "{:?}", hand.heard());
    assert!(hand.closed().is_none());
}

#[test]
fn a_repair_that_fails_lets_everybody_go() {
    let mut hand = Hand::ready(Grant::all());
    hand.engine.handle(1, damaged());
    let log = hand.name(ReplicaId::from(AUTHOR));
    hand.say(&[open_with(0, "d", vec![(log, 3)])]);
    hand.engine.handle(1, Input::OpenFailed { doc: doc("d"), reason: "the disk is full".to_owned() });
    hand.drain();
    assert_eq!(hand.heard_count("Refused"), 1);
    assert!(hand.effects.iter().any(|effect| matches!(effect, Effect::Evict { .. })));
}

//! Bytes and frames: what the wire costs, and that nothing large is sent in one piece.

use super::*;
use crate::codec::{Effort, deflate, put_u64};

#[test]
fn a_keystroke_costs_at_most_ten_bytes_over_its_change() {
    let mut hand = Hand::ready(Grant::all());
    hand.open(0, "d");
    let listener = ConnId(8);
    hand.connect(listener, Role::Acceptor);
    hand.greet(listener, Grant::all());
    let mut bytes = vec![message::FORMAT_MESSAGES];
    bytes.extend(message::encode(&open(0, "d", None)));
    hand.say_bytes(listener, bytes);
    let mut head = LogHead::default();
    let (mut first, mut worst) = (0, 0);
    for round in 0..40u64 {
        let mut bytes = Vec::new();
        // A long history: sequence numbers of four bytes.
        let ops = if round < 20 { 500_000 } else { 1 };
        let change = Change { hlc: Hlc::new(1, round as u16), deps: &[], message: None, ops, body: b"xy" };
        head.write(&change, &mut bytes);
        let mut frames = Vec::new();
        put_frame(&mut frames, &bytes);
        let before = hand.effects.len();
        hand.say(&[Message::Changes { channel: 0, log: 0, first_seq: first, frames: Blob(&frames) }]);
        first += ops;
        let to_listener = |effect: &Effect| match effect {
            Effect::Send { conn, bytes } if *conn == listener => bytes.len(),
            _ => 0,
        };
        let sent: usize = hand.effects[before..].iter().map(to_listener).sum();
        assert!(sent > bytes.len());
        if round > 0 {
            worst = worst.max(sent - bytes.len());
        }
    }
    println!("a keystroke's push costs {worst} bytes over its change");
    assert!(worst <= 10, "{worst}");
}

#[test]
fn a_large_delta_is_cut_and_arrives_whole() {
    let mut head = LogHead::default();
    let body: Vec<u8> = (0..40_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bodies: Vec<&[u8]> = (0..60).map(|_| body.as_slice()).collect();
    let frames = changes(&mut head, &bodies, &[]);
    let replica = ReplicaId::from(9);
    let batch = Batch::from(Segment { replica, first_seq: 0, frames: frames.clone().into() });

    let mut config = Config::client();
    config.limits.max_message_bytes = FRAME_BYTES;
    let mut engines = [Engine::new(Config::client()), Engine::new(config)];
    for (engine, role) in engines.iter_mut().zip([Role::Dialer, Role::Acceptor]) {
        engine.handle(1, Input::Opened { doc: doc("d"), state: DocState::default(), presence_owner: None });
        let link = Link::SharedStore;
        engine.handle(1, Input::Connected { conn: CONN, role, link, credential: None });
    }
    let mut got = Vec::new();
    engines[0].handle(1, Input::Edited { doc: doc("d"), batch: batch.clone() });
    for _ in 0..100 {
        for i in 0..2 {
            while let Some(effect) = engines[i].poll_effect() {
                match effect {
                    Effect::Send { bytes, .. } => {
                        assert!(bytes.len() <= FRAME_BYTES, "{}", bytes.len());
                        engines[i].handle(1, Input::Written { conn: CONN, bytes: bytes.len() });
                        engines[1 - i].handle(1, Input::Received { conn: CONN, bytes });
                    }
                    Effect::Load { token, .. } => {
                        engines[i].handle(1, Input::Loaded { token, batch: batch.clone(), digests: Vec::new() })
                    }
                    Effect::Persist { token, .. } => {
                        assert_eq!(i, 0, "what comes from a shared store is not stored again");
                        engines[0].handle(1, Input::Persisted { token });
                    }
                    Effect::Applied { batch, .. } => {
                        batch.segments.iter().for_each(|segment| got.extend_from_slice(&segment.frames));
                    }
                    Effect::Close { text, .. } => panic!("closed: {text}"),
                    _ => {}
                }
            }
        }
    }
    assert!(got == frames, "{} of {} bytes arrived", got.len(), frames.len());
}

#[test]
fn a_large_frame_is_deflated_and_bombs_are_refused() {
    let frame = |text: &str| {
        let message = message::encode(&Message::Refused { channel: 0, code: 1, text });
        [&[message::FORMAT_MESSAGES], &message[..]].concat()
    };
    let numbers: String = (0..400u32).map(|i| format!("{} selvedges ", i.wrapping_mul(2_654_435_761) >> 20)).collect();
    let (large, short, even) = (frame(&numbers), frame(&numbers[..900]), frame(&"selvedge ".repeat(900)));
    let packed = message::pack(large.clone());
    assert!(packed.len() < large.len() / 2, "{} of {}", packed.len(), large.len());
    assert_eq!(message::unpack(&packed, large.len()).as_deref(), Ok(&large[..]));
    assert!(message::unpack(&packed, large.len() - 1).is_err(), "above the limit");
    assert!(message::unpack(&packed[..packed.len() - 9], large.len()).is_err(), "torn");
    for frame in [short, even] {
        assert_eq!(message::pack(frame.clone()), frame, "short, or above twelvefold");
        assert_eq!(message::unpack(&frame, frame.len()).as_deref(), Ok(&frame[..]));
    }
    let deflated = |inner: &[u8]| {
        let mut out = vec![2];
        put_u64(&mut out, inner.len() as u64);
        out.extend(deflate(inner, Effort::Wire));
        out
    };
    let bomb = deflated(&vec![message::FORMAT_MESSAGES; 1 << 20]);
    assert!(message::unpack(&bomb, usize::MAX).is_err(), "more than twelvefold");
    let nested = deflated(&packed);
    assert!(message::unpack(&nested, usize::MAX).is_err(), "a frame inside of a frame");
    let mut hand = Hand::dialed(Config::relay());
    hand.say_bytes(CONN, packed);
    assert!(matches!(hand.closed(), Some((CloseCode::Forbidden, _))), "nothing is inflated before the greeting");
}

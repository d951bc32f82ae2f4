//! Bug class C: how much memory bytes from a peer can make us ask for. One test, alone in its process, because it reads
//! the counters of the whole process.
//!
//! Envelopes, batches, headers and everything that is refused stay within 16 bytes per byte. Bodies and whole histories
//! do not: what they become in memory is guarded by the factors below, which were measured.

use peak_alloc::PeakAlloc;
use selvedge::codec::{Reader, put_bytes, put_u64};
use selvedge::merkle::{Collection, Initiator};
use selvedge::op::{Batch, LogHead, LogNames, Segment, columns};
use selvedge::{Doc, ReplicaId};
use selvedge_fuzz::bytes::{envelope, update};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes of input: enough for 16 bytes per byte to exceed the allowance of 1 MiB.
const SIZE: usize = 1 << 20;

/// What decoding may need, in bytes per byte of input.
const DECODING: usize = 16;

/// What a body may become: a run takes 56 bytes and can be one byte long; a growing array needs both its sizes.
const BODY: usize = 96;

/// What a batch of changes may become while it is applied: a change of one byte is kept as header and dependencies.
const HISTORY: usize = 640;

/// Most bytes that were allocated at any moment of `work`, beyond those that were before.
fn peak<T>(work: impl FnOnce() -> T) -> usize {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let kept = work();
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    drop(kept);
    peak
}

fn hold(name: &str, input: usize, factor: usize, peak: usize) {
    let allowed = (1 << 20).max(factor * input);
    assert!(peak <= allowed, "{name}: {peak} bytes for {input}, {} per byte", peak / input);
}

/// A batch of one segment with these changes.
fn one_segment(changes: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut frames = Vec::new();
    changes.for_each(|change| put_bytes(&mut frames, &change));
    let mut payload = vec![1];
    payload.extend_from_slice(ReplicaId::from(7).as_bytes());
    put_u64(&mut payload, 0);
    put_bytes(&mut payload, &frames);
    payload
}

/// The first change of a log and those after it, a byte or two each.
fn tiny_changes() -> impl Iterator<Item = Vec<u8>> {
    std::iter::once(vec![0x12, 0]).chain((0..SIZE / 2).map(|_| vec![0x10]))
}

fn batches() {
    let mut payload = Vec::new();
    put_u64(&mut payload, (SIZE / 20) as u64);
    for number in 0..SIZE / 20 {
        payload.extend_from_slice(ReplicaId::from(number as u128).as_bytes());
        put_bytes(&mut payload, &[]);
        put_bytes(&mut payload, &[0]);
    }
    assert!(Batch::decode(&payload).is_ok());
    hold("small segments", payload.len(), DECODING, peak(|| Batch::decode(&payload)));
    let bytes = update(&payload);
    let mut doc = Doc::new(ReplicaId::from(1));
    hold("small segments, imported", bytes.len(), DECODING, peak(|| assert!(doc.import(&bytes).is_err())));
    let payload = one_segment(tiny_changes());
    hold("small changes", payload.len(), DECODING, peak(|| Batch::decode(&payload)));
    let torn = update(&one_segment(tiny_changes().map(|mut change| {
        change[0] ^= 0x80;
        change
    })));
    hold("small changes, refused", torn.len(), DECODING, peak(|| assert!(doc.import(&torn).is_err())));
    hold("small changes, applied", payload.len(), HISTORY, peak(|| assert!(doc.import(&update(&payload)).is_ok())));
}

fn headers() {
    let count = SIZE as u64 / 40;
    let mut change = vec![0x10 | 4 | 1, 5];
    put_u64(&mut change, count);
    for number in 0..count {
        put_u64(&mut change, number);
        change.extend_from_slice(ReplicaId::from(u128::from(number)).as_bytes());
        put_u64(&mut change, 1);
        change.extend_from_slice(&[0; 16]);
    }
    assert!(LogHead::default().read(&change).is_ok());
    hold("dependencies", change.len(), DECODING, peak(|| LogHead::default().read(&change)));
}

fn bodies() {
    let shapes: [(&str, &[u8]); 4] =
        [("deletions", &[0x32]), ("resets", &[12]), ("values", &[13, 0]), ("map keys", &[9, 0])];
    for (name, unit) in shapes {
        let body = unit.repeat(SIZE / unit.len());
        let read = || LogNames::default().read((SIZE / unit.len()) as u64, &body).map(|runs| runs.len());
        assert_eq!(read(), Ok(SIZE / unit.len()), "{name}");
        hold(name, body.len(), BODY, peak(read));
        hold(name, body.len(), BODY, peak(|| LogNames::default().read(u64::from(u32::MAX), &body).is_err()));
    }
    let mut body = vec![0x24];
    put_u64(&mut body, SIZE as u64);
    body.resize(body.len() + SIZE, 0);
    hold("list elements", body.len(), BODY, peak(|| LogNames::default().read(SIZE as u64, &body).is_ok()));
    let mut body = Vec::new();
    for index in 1..=SIZE as u64 / 7 {
        body.push(0);
        put_u64(&mut body, index);
        body.extend_from_slice(&[0, 0, 0]);
    }
    body.push(12);
    assert!(LogNames::default().read(1, &body).is_ok());
    hold("containers", body.len(), DECODING, peak(|| LogNames::default().read(1, &body).is_ok()));
}

/// Columns that hold as much as is allowed, and more.
fn compressed() {
    let random = |seed: u64| {
        let mut random = seed;
        std::iter::repeat_with(move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 56) as u8
        })
    };
    let segment = |changes: &mut dyn Iterator<Item = Vec<u8>>| {
        let mut segment = Segment::new(ReplicaId::from(7), 0);
        changes.for_each(|change| segment.push(&change));
        vec![segment]
    };
    let held = |count| std::iter::once(vec![0x12, 0, 0x33]).chain((0..count).map(|_| vec![0x10, 0x33]));
    let typed: Vec<u8> = random(1).take(SIZE).map(|byte| b'a' + byte % 20).collect();
    let mut one = vec![2];
    put_u64(&mut one, SIZE as u64);
    one.extend_from_slice(&[0, 0x21]);
    put_u64(&mut one, SIZE as u64);
    one.extend_from_slice(&typed);
    let shapes: [(&str, Vec<Segment>); 4] = [
        ("a held key", segment(&mut held(8 * SIZE))),
        ("a short held key", segment(&mut held(SIZE / 64))),
        ("a large text", segment(&mut std::iter::once(one))),
        ("noise", segment(&mut (0..SIZE / 16).map(|at| random(at as u64).take(20).collect()))),
    ];
    for (name, segments) in shapes {
        let bytes = columns::encode(&segments);
        let decoded = columns::decode(&bytes);
        assert!(decoded.as_ref() == Ok(&segments), "{name}");
        drop(decoded);
        hold(name, bytes.len(), DECODING, peak(|| columns::decode(&bytes)));
        let mut reader = Reader::new(&bytes);
        let start = reader.u64("padding and form").expect("one number");
        let padding = reader.take("padding", (start >> 1) as usize).expect("zeros").len();
        assert_eq!(padding > 0, name == "a held key", "{name}: {padding} zeros");
        if padding > 0 {
            // Without them the bytes promise more than they may ask for.
            let short = [&[(start & 1) as u8], reader.rest()].concat();
            hold(name, short.len(), DECODING, peak(|| assert!(columns::decode(&short).is_err())));
        }
    }
    let bomb = miniz_oxide::deflate::compress_to_vec(&vec![0; 64 << 20], 6);
    for start in [0, 1] {
        let mut bytes = vec![start];
        put_u64(&mut bytes, 64 << 20);
        bytes.extend_from_slice(&bomb);
        let bytes = envelope(b"SLVu", 1, &bytes);
        let mut doc = Doc::new(ReplicaId::from(1));
        hold("a bomb", bytes.len(), DECODING, peak(|| assert!(doc.import(&bytes).is_err())));
    }
}

/// Answers of which each entry is as small as can be.
fn answers() {
    let mut collection = Collection::new([0; 32], 0);
    let mut receive = |name: &str, answer: Vec<u8>, good: bool| {
        let mut initiator = Initiator::audit(&mut collection, 0).0;
        let peak = peak(|| assert_eq!(initiator.receive(&mut collection, &answer).is_ok(), good, "{name}"));
        hold(name, answer.len(), DECODING, peak);
    };
    let (mut empty, prefixes) = (vec![5], 1 << 14);
    put_u64(&mut empty, prefixes);
    for digits in 0..prefixes {
        empty.push(4 << 1 | 1);
        put_u64(&mut empty, digits);
        empty.push(0);
    }
    receive("prefixes without items", empty, false);
    let (mut items, count) = (vec![5, 1, 1 << 1 | 1, 0], SIZE as u64 / 10);
    put_u64(&mut items, count);
    for id in 0..count {
        items.extend_from_slice(&id.to_be_bytes()[2..]);
        items.extend_from_slice(&[0; 4]);
    }
    receive("items", items, true);
    let mut names = vec![4];
    put_u64(&mut names, 1_024);
    (0..1_024).for_each(|_| names.extend_from_slice(b"\x01x"));
    receive("names", names, false);
}

#[test]
fn hostile_bytes_cannot_ask_for_much_memory() {
    batches();
    headers();
    bodies();
    compressed();
    answers();
}

//! What a newer version writes: bytes put together by hand, with operations and containers that this version does not know. They
//! are kept and passed on byte for byte, and whatever this version knows of the same change applies. Bug class I.

use selvedge::clock::Hlc;
use selvedge::doc::{EditError, Entry};
use selvedge::op::{Batch, Change, LogHead, Segment};
use selvedge::{Doc, OpId, ReplicaId, VersionVector};
use serde_json::json;

type Outcome = Result<(), Box<dyn std::error::Error>>;

const AUTHOR: u128 = 7;

/// Container 1 is `n` in the root, of kind 100, and gets three operations; container 2 is the text `t`, which gets a letter and one
/// operation more; the key `k` of the root becomes a container of kind 100; container 3, a map inside of 1, gets a key.
const FIRST: &[u8] = &[
    0, 1, 0, 200, 1, b'n', 15, 0xa0, 0x1f, 3, 2, 9, 9, //
    0, 2, 0, 4, 1, b't', 0x31, 0x1f, 0xa0, 0x1f, 1, 7, //
    0, 0, 7, 1, b'k', 7, 100, //
    0, 3, 1, 0, 1, b'm', 7, 1, b'a', 0, //
    b'x',
];

/// One letter more: the names that the first change mentioned are still known.
const SECOND: &[u8] = &[0, 2, 0x11, 2, b'y'];

fn op(seq: u64) -> OpId {
    OpId { replica: ReplicaId::from(AUTHOR), seq }
}

fn newer() -> Batch {
    let (mut head, mut segment) = (LogHead::default(), Segment::new(ReplicaId::from(AUTHOR), 0));
    for (ops, body) in [(7, FIRST), (1, SECOND)] {
        let mut bytes = Vec::new();
        let hlc = Hlc::from_bits(head.end);
        head.write(&Change { hlc, deps: &[], message: None, ops, body }, &mut bytes);
        segment.push(&bytes);
    }
    segment.into()
}

#[test]
fn what_is_known_of_a_newer_version_applies_and_the_rest_is_passed_on() -> Outcome {
    let mut doc = Doc::new(ReplicaId::from(1));
    let imported = doc.import_batch(&newer())?;
    assert_eq!((imported.changes, imported.ops), (2, 8));
    assert_eq!(imported.unknown, [op(0), op(4), op(6)]);
    assert!(imported.invalid.is_empty());
    assert_eq!(doc.to_json(), json!({ "k": null, "n": null, "t": "xy" }));
    assert_eq!(doc.batch_since(&VersionVector::new()), newer());

    doc.change(|tx| tx.text("t").push_str("z"))?;
    let saved = doc.save();
    let mut loaded = Doc::load(ReplicaId::from(2), &saved)?;
    assert_eq!(loaded.to_json(), json!({ "k": null, "n": null, "t": "xyz" }));
    let theirs = loaded.batch_since(&VersionVector::new()).segments;
    assert!(theirs.iter().any(|segment| *segment == newer().segments[0]));
    Ok(())
}

#[test]
fn a_container_of_a_newer_version_is_shown_as_such_and_cannot_be_edited() -> Outcome {
    let mut doc = Doc::new(ReplicaId::from(1));
    doc.import_batch(&newer())?;
    let Some(Entry::Container(kind, handle)) = doc.root().entry("n") else { return Err("no container".into()) };
    assert_eq!(kind.tag(), 100);
    assert_eq!(
        doc.root().entry("k").map(|entry| matches!(entry, Entry::Container(other, _) if other == kind)),
        Some(true)
    );
    assert!(serde_json::to_string(&kind)?.contains("100"));
    let refused = |place: &str| EditError::UnknownKind { place: place.to_owned(), tag: 100 };
    assert_eq!(doc.change(|tx| tx.map_at(handle).map(drop)), Err(refused("container 1")));
    assert_eq!(doc.change(|tx| tx.root().get_or_create("other", kind).map(drop)), Err(refused("container 0")));
    // What it holds is not ours to take back: replacing the key leaves it to those who know it.
    doc.change(|tx| tx.root().set("n", 1))?;
    doc.change(|tx| tx.root().delete("n"))?;
    assert!(matches!(doc.root().entry("n"), Some(Entry::Container(other, _)) if other == kind));
    Ok(())
}

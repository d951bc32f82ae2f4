//! Traps set by hand, which random bytes would not find. Bug class C: what a peer sends must never end the process, and
//! never keep out what others send.

use selvedge::clock::Hlc;
use selvedge::codec::{put_bytes, put_u64};
use selvedge::op::{BodyWriter, Change, ContainerDecl, Dep, Key, LogHead, LogNames, OpRun, Segment};
use selvedge::{ContainerKind, Doc, ReplicaId, VersionVector};
use selvedge_fuzz::bytes::exercise;
use selvedge_fuzz::spec::Spec;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn sealed(head: &mut LogHead, hlc: u64, deps: &[Dep], ops: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    head.write(&Change { hlc: Hlc::from_bits(hlc), deps, message: None, ops, body }, &mut bytes);
    bytes
}

fn segment(replica: u128, first_seq: u64, changes: &[Vec<u8>]) -> Segment {
    let mut segment = Segment::new(ReplicaId::from(replica), first_seq);
    changes.iter().for_each(|change| segment.push(change));
    segment
}

/// Somebody sends a piece of another's log from behind a gap. It looks whole from afar; it is not.
#[test]
fn garbage_that_waits_for_its_turn_does_not_keep_the_real_changes_out() -> Outcome {
    let (mut author, mut doc) = (Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2)));
    for word in ["a", "b", "c"] {
        author.change(|tx| tx.text("t").push_str(word))?;
        author.commit(None);
    }
    // One operation, a time that stands still: a header that only fails against the head of its log.
    let garbage = segment(1, 3, &[vec![0x12, 0]]);
    doc.import_batch(&garbage.into())?;
    doc.import_batch(&author.batch_since(&VersionVector::new()))?;
    assert_eq!(doc.to_json(), author.to_json());
    author.change(|tx| tx.text("t").push_str("d"))?;
    doc.import_batch(&author.batch_since(&doc.version()))?;
    assert_eq!(doc.to_json(), author.to_json());
    exercise(&mut doc)?;
    Ok(())
}

/// A log that mentions containers nested a hundred thousand deep, and uses the innermost.
#[test]
fn a_bottomless_nest_of_containers_does_not_exhaust_the_stack() -> Outcome {
    const DEPTH: u64 = 200_000;
    let mut body = Vec::new();
    for index in 1..=DEPTH {
        body.push(0);
        put_u64(&mut body, index);
        put_u64(&mut body, index - 1);
        body.push(0);
        put_bytes(&mut body, b"");
    }
    body.extend_from_slice(&[9, 0]);
    let change = sealed(&mut LogHead::default(), 0, &[], 1, &body);
    let mut doc = Doc::new(ReplicaId::from(2));
    let imported = doc.import_batch(&segment(1, 0, &[change]).into())?;
    assert_eq!(imported.invalid.len(), 1, "nesting is limited");
    exercise(&mut doc)?;
    Ok(())
}

/// A container with a name that is larger than a change may be.
#[test]
fn names_count_towards_the_size_of_a_change() -> Outcome {
    let name = "n".repeat(9 << 20);
    let mut doc = Doc::new(ReplicaId::from(1));
    assert!(doc.change(|tx| tx.counter(&name).add(1)).is_err());
    assert!(doc.change(|tx| tx.root().map(&name)?.set("k", 1)).is_err());
    assert!(doc.change(|tx| tx.map(&name).set("k", 1)).is_err());
    doc.change(|tx| tx.root().set("k", 1))?;
    assert!(doc.change(|tx| tx.root().map("m")?.delete(&name)).is_ok(), "there is nothing to delete");
    exercise(&mut doc)?;
    let large = "n".repeat(5 << 20);
    doc.change(|tx| tx.root().set(&large, 1))?;
    doc.commit(None);
    assert!(doc.change(|tx| tx.root().delete(&large).and_then(|()| tx.root().set(&large, 1))).is_err());
    let name = "n".repeat(4 << 20);
    assert!(doc.change(|tx| tx.text(&name).insert(0, &large)).is_err());
    assert!(doc.change(|tx| tx.text(&name).insert(0, "x").and_then(|()| tx.text(&name).insert(0, &large))).is_err());
    exercise(&mut doc)?;
    Ok(())
}

/// Nesting is allowed down to a depth, for forged changes and for our own alike.
#[test]
fn nesting_ends_at_the_same_depth_for_everybody() -> Outcome {
    let (mut names, mut ops) = (LogNames::default(), 0);
    let mut writer = BodyWriter::new(&names);
    for parent in 0..130 {
        let decl = ContainerDecl { parent, key: Key::Name("m".to_owned()), kind: ContainerKind::Map };
        let container = names.declare(decl);
        writer.push(&mut names, container, &OpRun::MapSet { key: "depth", value: i64::from(container).into() });
        ops += 1;
    }
    let body = writer.finish(&mut names);
    let change = sealed(&mut LogHead::default(), 0, &[], ops, body);
    let batch = segment(1, 0, &[change]).into();
    let mut doc = Doc::new(ReplicaId::from(2));
    let imported = doc.import_batch(&batch)?;
    let spec = Spec::read(&batch)?;
    assert_eq!(imported.invalid, spec.invalid());
    assert_eq!(imported.invalid.len(), 2, "containers 129 and 130");
    assert_eq!(doc.to_json(), spec.to_json());
    exercise(&mut doc)?;
    Ok(())
}

//! All of a transaction or nothing of it: here, on other replicas, and when something in it is wrong.

use selvedge::op::{Batch, BodyWriter, Change, ContainerDecl, Key, LogHead, LogNames, OpRun, ROOT, Segment};
use selvedge::{ContainerKind, Doc, EditError, OpId, ReplicaId, Transaction, VersionVector};
use serde_json::json;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn doc(id: u128) -> Doc {
    Doc::new(ReplicaId::from(id))
}

fn everywhere(tx: &mut Transaction<'_>) -> Result<(), EditError> {
    tx.text("t").push_str("words")?;
    tx.list("l").insert_all(0, vec![1.into(), 2.into()])?;
    tx.counter("c").add(3)?;
    tx.set("s").add("x")?;
    tx.root().map("m")?.set("k", "v")
}

#[test]
fn a_transaction_over_many_containers_is_one_change() -> Outcome {
    let (mut a, mut b, mut c) = (doc(1), doc(2), doc(3));
    a.change(|tx| tx.text("t").push_str("some "))?;
    b.import(&a.export_since(&VersionVector::new()))?;
    let known = b.version();
    b.change(everywhere)?;
    let update = b.export_since(&known);

    let imported = c.import(&update)?;
    assert_eq!((imported.changes, imported.pending_bytes > 0), (0, true), "it waits for what it depends on");
    assert_eq!((c.to_json(), c.version()), (json!({}), VersionVector::new()));
    let imported = c.import(&a.export_since(&VersionVector::new()))?;
    assert_eq!((imported.changes, imported.pending_bytes), (2, 0));
    assert_eq!(c.to_json(), b.to_json());
    assert_eq!(b.changes().len(), 2);
    Ok(())
}

#[test]
fn a_damaged_update_changes_nothing() -> Outcome {
    let mut a = doc(1);
    a.change(everywhere)?;
    let update = a.export_since(&VersionVector::new());
    let mut b = doc(2);
    b.change(|tx| tx.root().set("own", 1))?;
    let before = (b.save(), b.version(), b.to_json());
    for at in 0..update.len() {
        let mut damaged = update.clone();
        damaged[at] ^= 0x10;
        assert!(b.import(&damaged).is_err(), "byte {at}");
        assert!(b.import(&update[..at]).is_err(), "cut at {at}");
    }
    assert_eq!((b.save(), b.version(), b.to_json()), before);
    Ok(())
}

#[test]
fn an_invalid_operation_takes_nothing_else_with_it_on_any_replica() -> Outcome {
    let author = ReplicaId::from(9);
    let (mut names, mut head, mut segment) = (LogNames::default(), LogHead::default(), Segment::new(author, 0));
    let mut writer = BodyWriter::new(&names);
    let text = names.declare(ContainerDecl { parent: ROOT, key: Key::Name("t".into()), kind: ContainerKind::Text });
    writer.push(&mut names, ROOT, &OpRun::MapSet { key: "before", value: 1.into() });
    writer.push(&mut names, text, &OpRun::Delete { pos: 7, len: 1, backward: false });
    writer.push(&mut names, ROOT, &OpRun::MapSet { key: "after", value: 2.into() });
    let (ops, body) = (u64::from(writer.ops()), writer.finish(&mut names).to_vec());
    let mut bytes = Vec::new();
    head.write(
        &Change { hlc: selvedge::clock::Hlc::new(1, 0), deps: &[], message: None, ops, body: &body },
        &mut bytes,
    );
    segment.push(&bytes);
    let batch = Batch::from(segment);

    let (mut a, mut b) = (doc(1), doc(2));
    let invalid = vec![OpId { replica: author, seq: 1 }];
    assert_eq!(a.import_batch(&batch)?.invalid, invalid);
    assert_eq!(b.import(&a.export_since(&VersionVector::new()))?.invalid, invalid);
    for copy in [&mut a, &mut b] {
        assert_eq!(copy.to_json(), json!({ "before": 1, "after": 2 }));
        assert_eq!(copy.version().end(author), 3, "it is kept and passed on");
    }
    assert_eq!(a.save(), b.save());
    Ok(())
}

#[test]
fn a_failed_transaction_leaves_no_trace() -> Outcome {
    for pending in [false, true] {
        let mut doc = doc(1);
        doc.record_patches(true);
        doc.change(|tx| tx.root().map("m")?.set("k", "old"))?;
        if !pending {
            doc.commit(None);
        }
        doc.take_patches();
        let mut control = Doc::load(ReplicaId::from(1), &doc.save())?;
        let (mut made, before) = (None, doc.to_json());
        let failed = doc.change(|tx| {
            everywhere(tx)?;
            let inside = tx.list("l").insert_container(0, ContainerKind::Map)?;
            tx.map_at(inside)?.set("deep", true)?;
            made = Some(inside);
            tx.text("t").delete(0, 100)
        });
        assert!(matches!(failed, Err(EditError::OutOfRange { .. })), "{failed:?}");
        assert_eq!((doc.to_json(), doc.version()), (before, control.version()));
        assert_eq!(doc.take_patches(), []);
        let inside = made.expect("it was made");
        assert!(doc.map_at(inside).is_empty());
        let again = doc.change(|tx| tx.map_at(inside)?.set("deep", true));
        assert!(matches!(again, Err(EditError::TakenBack(_))), "{again:?}");
        // The same edit afterwards makes the same bytes as in a document in which nothing ever failed.
        for copy in [&mut doc, &mut control] {
            copy.change(everywhere)?;
        }
        assert_eq!(doc.save(), control.save());
    }
    Ok(())
}

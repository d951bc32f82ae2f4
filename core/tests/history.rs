//! History from the outside: older versions, differences, forks, blame, and which versions are refused.

use selvedge::doc::{ChangeInfo, Expand, PatchKind, PatchValue, VersionError};
use selvedge::{Doc, OpId, ReplicaId, VersionVector};
use serde_json::json;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn doc(id: u128) -> Doc {
    Doc::new(ReplicaId::from(id))
}

#[test]
fn every_version_can_be_read_again() -> Outcome {
    let mut doc = doc(1);
    let mut past = vec![(doc.version(), doc.to_json())];
    for step in 0..8i64 {
        doc.change(|tx| {
            tx.list("l").insert(0, step)?;
            tx.text("t").insert(0, &step.to_string())?;
            tx.counter("c").add(step)?;
            if step == 5 {
                tx.list("l").delete(1, 3)?;
                tx.text("t").delete(2, 3)?;
            }
            tx.root().set("k", step)
        })?;
        past.push((doc.version(), doc.to_json()));
    }
    for (version, json) in &past {
        let old = doc.checkout(version)?;
        assert_eq!((old.to_json(), old.version()), (json.clone(), version.clone()));
    }
    assert_eq!(doc.to_json(), past[8].1);
    Ok(())
}

#[test]
fn a_version_that_cannot_be_read_is_refused_by_name() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| tx.text("t").push_str("abc"))?;
    b.import(&a.export_since(&VersionVector::new()))?;
    b.change(|tx| tx.text("t").push_str("d"))?;
    let (one, two) = (a.replica(), b.replica());
    let at = |ends: &[(ReplicaId, u64)]| ends.iter().copied().collect::<VersionVector>();
    let error = |doc: &mut Doc, ends: &[(ReplicaId, u64)]| doc.checkout(&at(ends)).map(drop).expect_err("must fail");
    assert_eq!(error(&mut b, &[(one, 4)]), VersionError::Unknown { replica: one, end: 4, known: 3 });
    let inside = VersionError::InsideChange { replica: one, end: 2, first: 0, change_end: 3 };
    assert_eq!(error(&mut b, &[(one, 2)]), inside);
    let id = |replica, seq| OpId { replica, seq };
    let open = error(&mut b, &[(two, 1)]);
    assert_eq!(open, VersionError::NotClosed { id: id(two, 0), needs: id(one, 2) });
    assert!(open.to_string().contains(&one.to_string()), "{open}");
    for replica in [one, two] {
        let used = b.fork_at(&at(&[(one, 3)]), replica).map(drop);
        assert_eq!(used, Err(VersionError::ReplicaInUse { replica }));
    }
    Ok(())
}

#[test]
fn differences_keep_what_is_in_both() -> Outcome {
    let mut doc = doc(1);
    doc.change(|tx| {
        tx.text("t").push_str("one 😀 three")?;
        tx.list("l").insert_all(0, vec![1.into(), 2.into(), 3.into()])
    })?;
    let before = doc.version();
    doc.change(|tx| {
        tx.text("t").insert(6, "two ")?;
        tx.list("l").move_to(0, 2)?;
        tx.list("l").set(0, 5)
    })?;
    let now = doc.version();
    let kinds = |patches: Vec<selvedge::Patch>| patches.into_iter().map(|patch| patch.kind).collect::<Vec<_>>();
    let forward = kinds(doc.diff(&before, &now)?);
    let inserted = PatchKind::TextInsert { index: 6, index_utf16: 7, text: "two ".into() };
    assert!(forward.contains(&inserted), "{forward:?}");
    assert_eq!(forward.len(), 4, "{forward:?}");
    let back = kinds(doc.diff(&now, &before)?);
    assert!(back.contains(&PatchKind::TextDelete { index: 6, len: 4, index_utf16: 7, len_utf16: 4 }), "{back:?}");
    assert_eq!(doc.diff(&now, &now)?, []);
    Ok(())
}

#[test]
fn a_fork_goes_on_from_an_older_version_and_merges_back() -> Outcome {
    let mut doc = doc(1);
    doc.change(|tx| tx.text("t").push_str("base"))?;
    let base = doc.version();
    doc.change(|tx| tx.text("t").push_str(" main"))?;
    let mut fork = doc.fork_at(&base, ReplicaId::from(7))?;
    assert_eq!(fork.to_json(), json!({ "t": "base" }));
    fork.change(|tx| tx.text("t").insert(0, "fork "))?;
    let imported = doc.import(&fork.export_since(&doc.version()))?;
    assert_eq!((imported.changes, imported.invalid.len(), imported.forks.len()), (1, 0, 0));
    assert_eq!(doc.to_json(), json!({ "t": "fork base main" }));
    fork.import(&doc.export_since(&fork.version()))?;
    assert_eq!(fork.save(), doc.save());
    Ok(())
}

#[test]
fn changes_tell_who_when_and_why() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.set_now(1_000_000);
    a.change(|tx| tx.text("t").push_str("héllo"))?;
    a.commit(Some("greeting"));
    b.import(&a.export_since(&VersionVector::new()))?;
    b.set_now(2_000_000);
    b.change(|tx| {
        tx.text("t").delete(1, 2)?;
        tx.list("l").insert_all(0, vec![1.into(), 2.into()])
    })?;
    a.import(&b.export_since(&a.version()))?;
    a.change(|tx| tx.list("l").set(1, "two"))?;

    let changes = a.changes();
    let told = |change: &ChangeInfo| (change.id.replica, change.id.seq, change.ops, change.time.ms());
    assert_eq!(told(&changes[0]), (a.replica(), 0, 5, 1_000_000));
    assert_eq!(changes[0].message.as_deref(), Some("greeting"));
    assert_eq!(told(&changes[1]), (b.replica(), 0, 4, 2_000_000));
    assert_eq!(changes[1].deps, [OpId { replica: a.replica(), seq: 4 }]);
    assert_eq!(changes.len(), 3);
    assert_eq!(a.change_of(OpId { replica: b.replica(), seq: 3 }).as_ref(), Some(&changes[1]));
    assert_eq!(a.change_of(OpId { replica: b.replica(), seq: 4 }), None);

    let text = a.text("t").handle().expect("made");
    let runs: Vec<_> = a.blame(text).into_iter().map(|run| (run.len, run.id.seq, run.message)).collect();
    assert_eq!(runs, [(1, 0, Some("greeting".into())), (2, 3, Some("greeting".into()))]);
    let list = a.list("l").handle().expect("made");
    let authors: Vec<_> = a.blame(list).into_iter().map(|run| (run.len, run.id.replica)).collect();
    assert_eq!(authors, [(1, b.replica()), (1, a.replica())]);
    Ok(())
}

#[test]
fn differences_of_every_kind_lead_from_one_version_to_the_other() -> Outcome {
    let mut doc = doc(1);
    let (a, b) = doc.change(|tx| {
        tx.text("t").push_str("0123456789")?;
        tx.text("t").mark(0..6, "bold", true, Expand::After)?;
        tx.bounded_counter("n").increment(5)?;
        tx.remove_wins_set("s").add(1)?;
        let a = tx.tree("f").create(None, 0)?;
        Ok((a, tx.tree("f").create(None, 1)?))
    })?;
    let before = doc.version();
    let c = doc.change(|tx| {
        tx.text("t").insert(0, "😀")?;
        tx.text("t").mark(3..9, "bold", 2, Expand::After)?;
        tx.bounded_counter("n").decrement(2)?;
        tx.remove_wins_set("s").remove(1)?;
        tx.tree("f").move_to(a, Some(b), 0)?;
        tx.tree("f").create(Some(a), 0)
    })?;
    let now = doc.version();
    let kinds = |patches: Vec<selvedge::Patch>| patches.into_iter().map(|patch| patch.kind).collect::<Vec<_>>();
    let forward = kinds(doc.diff(&before, &now)?);
    let marked = PatchKind::TextMark {
        index: 3,
        len: 6,
        index_utf16: 4,
        len_utf16: 6,
        key: "bold".into(),
        value: Some(PatchValue::Int(2)),
    };
    let wanted = [
        PatchKind::TextInsert { index: 0, index_utf16: 0, text: "😀".into() },
        marked,
        PatchKind::Counter { by: -2 },
        PatchKind::SetRemove { value: PatchValue::Int(1) },
        PatchKind::TreeMove { node: a, parent: Some(b), index: 0 },
        PatchKind::TreeCreate { node: c, parent: Some(a), index: 0 },
    ];
    assert_eq!(forward, wanted);
    let back = kinds(doc.diff(&now, &before)?);
    let unmark = |index, len, value: Option<bool>| PatchKind::TextMark {
        index,
        len,
        index_utf16: index,
        len_utf16: len,
        key: "bold".into(),
        value: value.map(PatchValue::Bool),
    };
    let wanted = [
        PatchKind::TextDelete { index: 0, len: 1, index_utf16: 0, len_utf16: 2 },
        unmark(2, 4, Some(true)),
        unmark(6, 2, None),
        PatchKind::Counter { by: 2 },
        PatchKind::SetAdd { value: PatchValue::Int(1) },
        PatchKind::TreeMove { node: a, parent: None, index: 0 },
        PatchKind::TreeDelete { node: c },
    ];
    assert_eq!(back, wanted);
    Ok(())
}

//! Trees, bounded counters and sets in which removals win, as an application sees them. Not here: their laws under all
//! orders of delivery (`fuzz`).

use selvedge::clock::Hlc;
use selvedge::doc::{EditError, PatchKind, PathItem};
use selvedge::op::{BodyWriter, Change, ContainerDecl, ElementRef, Key, LogHead, LogNames, OpRun, ROOT, Segment};
use selvedge::{ContainerKind, Doc, OpId, ReplicaId, VersionVector};
use serde_json::json;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn docs() -> [Doc; 2] {
    [1, 2].map(|id| Doc::new(ReplicaId::from(id)))
}

/// Both tell each other everything; neither has anything to complain of.
fn exchange(docs: &mut [Doc; 2]) -> Outcome {
    for (from, to) in [(0, 1), (1, 0)] {
        let known = docs[to].version();
        let update = docs[from].export_since(&known);
        let imported = docs[to].import(&update)?;
        assert!(imported.invalid.is_empty() && imported.unknown.is_empty(), "{imported:?}");
    }
    assert_eq!(docs[0].to_json(), docs[1].to_json());
    Ok(())
}

fn create(doc: &mut Doc, parent: Option<OpId>, name: &str) -> Result<OpId, EditError> {
    doc.change(|tx| {
        let index = match parent {
            Some(parent) => tx.doc().tree("files").children(parent).len(),
            None => tx.doc().tree("files").roots().len(),
        };
        let node = tx.tree("files").create(parent, index)?;
        tx.tree("files").map(node)?.set("name", name)?;
        Ok(node)
    })
}

#[test]
fn nodes_are_made_moved_and_removed_with_what_is_in_them() -> Outcome {
    let mut doc = docs().into_iter().next().ok_or("two")?;
    doc.record_patches(true);
    let (a, b) = (create(&mut doc, None, "a")?, create(&mut doc, None, "b")?);
    let c = create(&mut doc, Some(a), "c")?;
    assert_eq!(doc.tree("files").nodes(), [a, c, b]);
    let map = doc.tree("files").map(c).ok_or("a map")?;
    let path = [PathItem::Key("files".to_owned()), PathItem::Node(c)];
    assert_eq!(doc.path(map).as_deref(), Some(&path[..]));
    doc.take_patches();

    doc.change(|tx| tx.tree("files").move_to(a, Some(b), 0))?;
    doc.change(|tx| tx.tree("files").move_to(c, None, 0))?;
    assert_eq!((doc.tree("files").roots(), doc.tree("files").children(b)), (vec![c, b], vec![a]));
    assert_eq!((doc.tree("files").parent(a), doc.tree("files").index(b)), (Some(b), Some(1)));
    doc.change(|tx| tx.tree("files").remove(b))?;
    let told: Vec<PatchKind> = doc.take_patches().into_iter().map(|patch| patch.kind).collect();
    let moved = |node, parent| PatchKind::TreeMove { node, parent, index: 0 };
    assert_eq!(told, [moved(a, Some(b)), moved(c, None), PatchKind::TreeDelete { node: b }]);
    let name = |id: OpId| json!(id.to_string());
    assert_eq!(doc.to_json(), json!({ "files": [{ "node": name(c), "parent": null, "data": { "name": "c" } }] }));
    assert!(!doc.tree("files").contains(a) && doc.tree("files").parent(a).is_none());

    doc.change(|tx| tx.tree("files").move_to(b, Some(c), 0))?;
    assert_eq!(doc.tree("files").nodes(), [c, b, a]);
    let told: Vec<PatchKind> = doc.take_patches().into_iter().map(|patch| patch.kind).collect();
    let came = |node, parent| PatchKind::TreeCreate { node, parent, index: 0 };
    assert_eq!(told, [came(b, Some(c)), came(a, Some(b))]);
    let told = serde_json::to_value(came(b, None))?;
    assert_eq!(told, json!({ "kind": "tree-create", "node": name(b), "parent": null, "index": 0 }));
    Ok(())
}

#[test]
fn what_a_tree_cannot_do_is_refused_with_the_reason() -> Outcome {
    let mut doc = docs().into_iter().next().ok_or("two")?;
    let a = create(&mut doc, None, "a")?;
    let b = create(&mut doc, Some(a), "b")?;
    let ghost = OpId { seq: 1_000, ..a };
    let mut fails = |edit: &dyn Fn(&mut selvedge::Transaction<'_>) -> Result<(), EditError>| doc.change(|tx| edit(tx));
    assert_eq!(fails(&|tx| tx.tree("files").move_to(a, Some(b), 0)), Err(EditError::WouldCycle { node: a, parent: b }));
    assert_eq!(fails(&|tx| tx.tree("files").move_to(a, Some(a), 0)), Err(EditError::WouldCycle { node: a, parent: a }));
    assert_eq!(fails(&|tx| tx.tree("files").remove(ghost)), Err(EditError::UnknownNode(ghost)));
    assert_eq!(fails(&|tx| tx.tree("files").create(Some(ghost), 0).map(drop)), Err(EditError::UnknownNode(ghost)));
    let past_the_end = |index, len| Err(EditError::OutOfRange { what: "tree index", index, len });
    assert_eq!(fails(&|tx| tx.tree("files").create(None, 2).map(drop)), past_the_end(2, 1));
    assert_eq!(fails(&|tx| tx.tree("files").move_to(a, None, 1)), past_the_end(1, 0));
    fails(&|tx| tx.tree("files").remove(a))?;
    assert_eq!(fails(&|tx| tx.tree("files").map(b).map(drop)), Err(EditError::UnknownNode(b)));
    Ok(())
}

#[test]
fn moves_that_would_close_a_cycle_together_leave_a_tree() -> Outcome {
    let mut docs = docs();
    let (a, b) = (create(&mut docs[0], None, "a")?, create(&mut docs[0], None, "b")?);
    exchange(&mut docs)?;
    docs[0].change(|tx| tx.tree("files").move_to(a, Some(b), 0))?;
    docs[1].change(|tx| tx.tree("files").move_to(b, Some(a), 0))?;
    exchange(&mut docs)?;
    // Equally deep, so the smaller replica comes first; the other move has no effect.
    assert_eq!((docs[0].tree("files").parent(a), docs[0].tree("files").parent(b)), (Some(b), None));
    Ok(())
}

#[test]
fn a_bounded_counter_takes_away_only_what_is_owned() -> Outcome {
    let mut docs = docs();
    docs[0].change(|tx| tx.bounded_counter("seats").increment(10))?;
    exchange(&mut docs)?;
    let refused = docs[1].change(|tx| tx.bounded_counter("seats").decrement(1));
    assert_eq!(refused, Err(EditError::NotEnoughRights { wanted: 1, available: 0 }));
    docs[0].change(|tx| tx.bounded_counter("seats").transfer(ReplicaId::from(2), 4))?;
    exchange(&mut docs)?;
    docs[0].change(|tx| tx.bounded_counter("seats").decrement(6))?;
    docs[1].change(|tx| tx.bounded_counter("seats").decrement(4))?;
    exchange(&mut docs)?;
    assert_eq!(docs[0].bounded_counter("seats").value(), 0);
    assert!(docs[0].change(|tx| tx.bounded_counter("seats").transfer(ReplicaId::from(2), 1)).is_err());
    docs[0].change(|tx| tx.bounded_counter("seats").increment(u64::MAX))?;
    assert_eq!(docs[0].bounded_counter("seats").rights(ReplicaId::from(1)), u64::MAX);
    Ok(())
}

#[test]
fn deleting_a_bounded_counter_takes_back_ones_own_part() -> Outcome {
    let mut docs = docs();
    docs[0].change(|tx| tx.map("m").bounded_counter("n")?.increment(3))?;
    exchange(&mut docs)?;
    docs[1].change(|tx| tx.map("m").bounded_counter("n")?.increment(4))?;
    exchange(&mut docs)?;
    docs[0].change(|tx| tx.map("m").delete("n"))?;
    exchange(&mut docs)?;
    assert_eq!(docs[1].to_json(), json!({ "m": { "n": 4 } }));
    docs[1].change(|tx| tx.map("m").delete("n"))?;
    exchange(&mut docs)?;
    assert_eq!(docs[0].to_json(), json!({}));
    Ok(())
}

#[test]
fn in_a_remove_wins_set_an_addition_must_have_seen_the_removal() -> Outcome {
    let mut docs = docs();
    docs[0].change(|tx| tx.remove_wins_set("s").add("x"))?;
    exchange(&mut docs)?;
    docs[0].change(|tx| tx.remove_wins_set("s").remove("x"))?;
    docs[1].change(|tx| tx.remove_wins_set("s").add("x"))?;
    exchange(&mut docs)?;
    assert!(!docs[0].remove_wins_set("s").contains(&"x".into()));
    docs[1].change(|tx| tx.remove_wins_set("s").add("x"))?;
    exchange(&mut docs)?;
    assert!(docs[0].remove_wins_set("s").contains(&"x".into()));
    let handle = docs[0].remove_wins_set("s").handle().ok_or("made")?;
    assert_eq!(docs[0].kind(handle), ContainerKind::RemoveWinsSet);
    let refused = docs[0].change(|tx| tx.set_at(handle)?.add(ContainerKind::Map));
    assert_eq!(refused, Err(EditError::ContainerInSet));
    Ok(())
}

/// A log that makes every node below the one before, and then moves the first below the last. Bug class H.
#[test]
fn a_bottomless_tree_costs_neither_the_stack_nor_the_day() -> Outcome {
    const DEPTH: u32 = 100_000;
    let (mut names, mut writer, mut head) = (LogNames::default(), BodyWriter::default(), LogHead::default());
    let key = Key::Name("files".to_owned());
    let tree = names.declare(ContainerDecl { parent: ROOT, key, kind: ContainerKind::Tree });
    let node = |seq| ElementRef { name: 0, seq };
    for seq in 0..DEPTH {
        writer.push(&mut names, tree, &OpRun::TreeCreate { parent: seq.checked_sub(1).map(node), pos: 0 });
    }
    writer.push(&mut names, tree, &OpRun::TreeMove { node: node(0), parent: Some(node(DEPTH - 1)), pos: 0 });
    let (ops, mut bytes, mut segment) = (u64::from(writer.ops()), Vec::new(), Segment::new(ReplicaId::from(1), 0));
    let body = writer.finish(&mut names).to_vec();
    head.write(&Change { hlc: Hlc::ZERO, deps: &[], message: None, ops, body: &body }, &mut bytes);
    segment.push(&bytes);
    let mut doc = Doc::new(ReplicaId::from(2));
    doc.record_patches(true);
    assert!(doc.import_batch(&segment.into())?.invalid.is_empty());
    assert_eq!(doc.tree("files").nodes().len(), DEPTH as usize);
    assert_eq!(doc.to_json()["files"].as_array().map(Vec::len), Some(DEPTH as usize));
    let first = OpId { replica: ReplicaId::from(1), seq: 0 };
    doc.change(|tx| tx.tree("files").remove(first))?;
    doc.change(|tx| tx.tree("files").move_to(first, None, 0))?;
    assert_eq!(doc.take_patches().len(), 2 * DEPTH as usize + 1);
    Ok(())
}

#[test]
fn a_failed_transaction_leaves_no_node() -> Outcome {
    let mut docs = docs();
    let a = create(&mut docs[0], None, "a")?;
    let (before, mut made) = (docs[0].to_json(), a);
    let failed = docs[0].change(|tx| {
        made = tx.tree("files").create(Some(a), 0)?;
        tx.tree("files").move_to(made, None, 0)?;
        tx.tree("files").move_to(a, Some(made), 0)?;
        Err::<(), _>(EditError::Cancelled("enough".to_owned()))
    });
    assert!(failed.is_err() && docs[0].to_json() == before);
    assert!(!docs[0].tree("files").contains(made));
    let update = docs[0].export_since(&VersionVector::new());
    docs[1].import(&update)?;
    assert_eq!(docs[1].to_json(), before);
    Ok(())
}

//! Bases that lie: nobody can verify one, so whatever it says is refused or makes a document that can be used. The bytes
//! are damaged inside of the streams, behind checksums and compression. Bug class C.

use super::*;
use crate::crdt::{Side, changed};
use crate::op::{ContainerKind, Expand};

/// A document with something of every kind, deleted, moved and marked.
fn sample() -> Doc {
    let (mut a, mut b) = (Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2)));
    for _ in 0..3 {
        assert!(use_it(&mut a));
        b.import_batch(&a.batch_since(&VersionVector::new())).expect("whole");
        assert!(use_it(&mut b) && use_it(&mut a));
        a.import_batch(&b.batch_since(&VersionVector::new())).expect("whole");
    }
    a
}

/// Reads and edits everything; whether all edits could be made.
fn use_it(doc: &mut Doc) -> bool {
    let handles: Vec<_> = (0..).map_while(|number| doc.handle(number)).collect();
    for handle in handles {
        doc.container_to_json(handle);
        if let Ok(anchor) = doc.anchor(handle, 0, Side::Before) {
            doc.resolve(&anchor);
        }
        doc.blame(handle);
        doc.text_at(handle).to_delta();
    }
    let edited = doc.change(|tx| {
        let len = tx.doc().text("text").len();
        tx.text("text").insert(len / 2, "abc")?;
        tx.text("text").delete(len / 2, 1)?;
        tx.text("text").mark(0..2, "bold", true, Expand::Both)?;
        tx.list("list").insert(0, 1)?;
        tx.list("list").push("x")?;
        tx.list("list").move_to(0, 1)?;
        tx.list("list").set(0, 2)?;
        tx.root().get_or_create("map", ContainerKind::Map)?;
        tx.counter("counter").add(1)?;
        tx.set("set").add("x")?;
        tx.remove_wins_set("out").remove("x")?;
        tx.bounded_counter("bounded").increment(2)?;
        let node = tx.tree("tree").create(None, 0)?;
        let child = tx.tree("tree").create(Some(node), 0)?;
        tx.tree("tree").map(child)?.set("k", 1)?;
        tx.register("register").set("x")
    });
    let moved = doc.change(|tx| {
        tx.list("list").delete(1, 1)?;
        let roots = tx.doc().tree("tree").roots();
        tx.tree("tree").move_to(roots[0], None, roots.len() - 1)?;
        tx.tree("tree").remove(roots[roots.len() - 1])
    });
    let saved = doc.save();
    let loaded = Doc::load(ReplicaId::from(9), &saved).expect("what was written can be read");
    assert_eq!(loaded.to_json(), doc.to_json());
    edited.is_ok() && moved.is_ok()
}

#[test]
fn a_base_that_lies_is_refused_or_can_be_used() {
    let mut whole = sample();
    let version = whole.version();
    let state = {
        whole.track();
        whole.write_state(true).expect("nothing in it is unknown")
    };
    use_it(&mut whole);
    let news = whole.batch_since(&version);
    let (mut dice, mut accepted, mut edited) = (7u64, 0, 0);
    let mut roll = |sides: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % sides
    };
    for case in 0..3_000 {
        let damaged = changed(&state, |streams| {
            for _ in 0..1 + case % 2 {
                let filled: Vec<usize> = (0..streams.len()).filter(|at| !streams[*at].is_empty()).collect();
                let stream = &mut streams[filled[roll(filled.len())]];
                let at = roll(stream.len());
                match roll(4) {
                    0 => stream[at] ^= 1 << roll(8),
                    1 => stream[at] = stream[at].wrapping_add(1),
                    2 => stream[at] = [0, 1, 2, 3, 127, 191, 255][roll(7)],
                    _ => drop(stream.remove(at)),
                }
            }
        });
        let file = Base::new(&damaged).with(&Batch::default());
        for replica in [ReplicaId::from(7), ReplicaId::from(1)] {
            let Ok(mut doc) = Doc::load(replica, &file) else { continue };
            accepted += 1;
            edited += u32::from(use_it(&mut doc));
            // The author's own log may go on otherwise than here.
            let _ = doc.import_batch(&news);
            use_it(&mut doc);
        }
    }
    println!("{accepted} accepted, {edited} edited");
    assert!(edited > 300, "{accepted} were accepted, {edited} edited: the damage reaches too little");
}

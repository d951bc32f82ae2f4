//! Documents from the outside: what the README shows, and what edits, exchanges, saves and errors do.

#[path = "common/copies.rs"]
mod copies;

use copies::{Outcome, doc, exchange};
use selvedge::doc::{Entry, PatchKind};
use selvedge::{ContainerKind, Doc, EditError, ReplicaId, Value, VersionVector};
use serde_json::json;

#[test]
fn two_copies_edited_apart_become_equal() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| tx.list("todos").push("milk"))?;
    b.change(|tx| tx.map("meta").set("title", "Groceries"))?;
    b.import(&a.export_since(&b.version()))?;
    a.import(&b.export_since(&a.version()))?;
    assert_eq!(a.to_json(), b.to_json());
    assert_eq!(a.to_json(), json!({ "todos": ["milk"], "meta": { "title": "Groceries" } }));
    Ok(())
}

#[test]
fn every_container_merges_at_any_depth() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    for doc in [&mut a, &mut b] {
        doc.change(|tx| {
            let mut root = tx.root();
            let mut deep = root.map("deep")?;
            deep.text("text")?.push_str("ab")?;
            deep.counter("count")?.add(2)?;
            deep.value_set("tags")?.add("x")?;
            deep.list("list")?.push(1)?;
            deep.register("reg")?.set("r")
        })?;
    }
    exchange(&mut a, &mut b)?;
    let expected = json!({ "deep": { "text": "abab", "count": 4, "tags": ["x"], "list": [1, 1], "reg": "r" } });
    assert_eq!(a.to_json(), expected);
    Ok(())
}

#[test]
fn a_causal_overwrite_wins_and_concurrent_values_can_be_read() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    b.set_now(9_000_000_000_000);
    a.change(|tx| tx.root().set("k", "a"))?;
    b.change(|tx| tx.root().set("k", "b"))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(a.root().values("k"), ["b".into(), "a".into()]);
    a.set_now(1_000);
    a.change(|tx| tx.root().set("k", "later"))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(b.root().values("k"), ["later".into()]);
    Ok(())
}

#[test]
fn deletions_take_back_only_what_they_saw() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| {
        let mut root = tx.root();
        let mut map = root.map("m")?;
        map.counter("c")?.add(5)?;
        map.set("old", 1)
    })?;
    exchange(&mut a, &mut b)?;
    a.change(|tx| tx.root().delete("m"))?;
    assert_eq!(a.to_json(), json!({}));
    b.change(|tx| tx.map("m").counter("c")?.add(2))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(a.to_json(), json!({ "m": { "c": 2 } }));
    Ok(())
}

#[test]
fn concurrent_moves_never_duplicate_and_keep_what_is_deleted_elsewhere() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| tx.list("l").insert_all(0, vec!["x".into(), "y".into(), "z".into()]))?;
    exchange(&mut a, &mut b)?;
    a.change(|tx| tx.list("l").move_to(0, 2))?;
    b.change(|tx| tx.list("l").move_to(0, 1))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(a.list("l").len(), 3);
    a.change(|tx| tx.list("l").delete(0, 1))?;
    let gone = a.list("l").entries();
    b.change(|tx| tx.list("l").move_to(0, 2))?;
    exchange(&mut a, &mut b)?;
    assert_eq!((gone.len(), a.list("l").len()), (2, 3), "a move keeps the element that a deletion did not see moved");
    a.change(|tx| {
        let len = tx.list("l").len();
        tx.list("l").delete(0, len)
    })?;
    exchange(&mut a, &mut b)?;
    assert!(b.list("l").is_empty());
    Ok(())
}

#[test]
fn an_error_takes_the_whole_transaction_back() -> Outcome {
    let mut a = doc(1);
    a.change(|tx| tx.text("t").push_str("keep"))?;
    a.change(|tx| tx.list("l").push(1))?;
    let (before, version) = (a.to_json(), a.version());
    a.change(|tx| tx.list("l").push(2))?;
    let pending = a.to_json();
    a.record_patches(true);
    let failed = a.change(|tx| {
        tx.list("l").push(3)?;
        tx.map("new").set("k", 1)?;
        tx.text("t").insert(2, "XX")?;
        tx.text("t").delete(3, 9)
    });
    assert_eq!(failed, Err(EditError::OutOfRange { what: "end of the range", index: 12, len: 6 }));
    assert_eq!(a.to_json(), pending);
    assert!(a.take_patches().is_empty());
    a.change(|tx| tx.map("new").set("k", 2))?;
    let mut b = doc(2);
    exchange(&mut a, &mut b)?;
    assert_eq!(b.to_json(), json!({ "t": "keep", "l": [1, 2], "new": { "k": 2 } }));
    assert_ne!(before, b.to_json());
    assert!(b.version().includes(&version));
    Ok(())
}

#[test]
fn the_initial_content_is_there_once_however_many_write_it() -> Outcome {
    let fill = |doc: &mut Doc| {
        doc.init(|tx| {
            tx.root().set("title", "Groceries")?;
            tx.root().set_container("todos", ContainerKind::List)?;
            tx.list("todos").push("milk")
        })
    };
    let (mut a, mut b) = (doc(1), doc(2));
    assert!(fill(&mut a)? && fill(&mut b)?);
    assert_eq!(a.save(), b.save());
    assert!(!fill(&mut a)?, "a document with history is left alone");
    a.change(|tx| tx.list("todos").push("bread"))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(b.to_json(), json!({ "title": "Groceries", "todos": ["milk", "bread"] }));
    assert_eq!(a.take_batch().segments.len(), 2, "the initial change is sent too");
    Ok(())
}

#[test]
fn versions_never_point_inside_a_change() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| tx.text("t").push_str("one"))?;
    let version = a.version();
    a.change(|tx| tx.text("t").push_str(" two"))?;
    b.import(&a.export_since(&VersionVector::new()))?;
    let since = a.batch_since(&version);
    assert_eq!(since.segments[0].first_seq, version.end(a.replica()));
    assert_eq!(b.to_json(), json!({ "t": "one two" }));
    Ok(())
}

#[test]
fn changes_wait_for_what_they_depend_on_in_any_order() -> Outcome {
    let (mut a, mut b, mut c) = (doc(1), doc(2), doc(3));
    a.change(|tx| tx.text("t").push_str("a"))?;
    b.import(&a.export_since(&b.version()))?;
    let before = b.version();
    b.change(|tx| tx.text("t").push_str("b"))?;
    let of_b = b.export_since(&before);
    assert!(c.import(&of_b)?.pending_bytes > 0);
    assert!(c.is_empty());
    let imported = c.import(&a.export_since(&VersionVector::new()))?;
    assert_eq!((imported.changes, imported.pending_bytes), (2, 0));
    assert_eq!(c.to_json(), json!({ "t": "ab" }));
    assert_eq!(c.import(&of_b)?.changes, 0, "twice is once");
    Ok(())
}

#[test]
fn saved_documents_load_as_they_were() -> Outcome {
    let mut a = doc(1);
    a.set_now(1_700_000_000_000);
    for i in 0..200 {
        a.change(|tx| tx.text("t").insert(i / 2, "é"))?;
        a.change(|tx| tx.list("l").insert(0, i as i64))?;
    }
    a.commit(Some("two hundred times"));
    let saved = a.save();
    let mut b = Doc::load(ReplicaId::from(2), &saved)?;
    assert_eq!((b.to_json(), b.version(), b.save()), (a.to_json(), a.version(), saved.clone()));
    for at in [0, 3, 4, 5, 9, 12, saved.len() - 1] {
        let mut damaged = saved.clone();
        damaged[at] ^= 1;
        assert!(Doc::load(ReplicaId::from(3), &damaged).is_err(), "byte {at}");
        assert!(Doc::load(ReplicaId::from(3), &saved[..at]).is_err(), "cut at {at}");
    }
    Ok(())
}

/// Bug class B: two writers with one id must be noticed, and nobody may be wedged by it.
#[test]
fn a_replica_id_used_twice_is_reported_as_a_fork() -> Outcome {
    let (mut a, mut clone, mut b) = (doc(1), doc(1), doc(2));
    a.change(|tx| tx.text("t").push_str("mine"))?;
    clone.change(|tx| tx.text("t").push_str("theirs"))?;
    b.import(&a.export_since(&VersionVector::new()))?;
    let imported = b.import(&clone.export_since(&VersionVector::new()))?;
    assert_eq!(imported.forks.len(), 1);
    assert_eq!(b.to_json(), json!({ "t": "mine" }));
    a.change(|tx| tx.text("t").push_str("!"))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(b.to_json(), json!({ "t": "mine!" }));
    Ok(())
}

/// Bug class G: typed offsets, and an offset inside a character is an error.
#[test]
fn utf16_offsets_never_cut_a_character() -> Outcome {
    let mut a = doc(1);
    a.change(|tx| tx.text("t").insert_utf16(0, "a😀b"))?;
    let cut = a.change(|tx| tx.text("t").insert_utf16(2, "x"));
    assert_eq!(cut, Err(EditError::InsideCharacter { offset: 2 }));
    a.change(|tx| tx.text("t").delete_utf16(1, 2))?;
    assert_eq!(a.text("t").to_string(), "ab");
    assert!(a.change(|tx| tx.text("t").insert_utf16(3, "x")).is_err());
    Ok(())
}

#[test]
fn patches_rebuild_the_view() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| tx.text("t").push_str("hello"))?;
    exchange(&mut a, &mut b)?;
    b.record_patches(true);
    a.change(|tx| tx.text("t").insert(0, "😀"))?;
    b.change(|tx| tx.text("t").delete(1, 3))?;
    b.import(&a.export_since(&b.version()))?;
    let patches = b.take_patches();
    assert_eq!(patches.iter().map(|patch| patch.local).collect::<Vec<_>>(), [true, false]);
    assert!(matches!(&patches[1].kind, PatchKind::TextInsert { index: 0, text, .. } if text == "😀"));
    assert_eq!(serde_json::to_value(&patches[0])?["path"], json!(["t"]));
    Ok(())
}

#[test]
fn containers_in_list_elements_move_with_them() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| {
        for name in ["milk", "bread"] {
            let mut list = tx.list("todos");
            let at = list.len();
            list.insert_container(at, ContainerKind::Map)?;
            list.map(at)?.set("text", name)?;
        }
        Ok(())
    })?;
    exchange(&mut a, &mut b)?;
    a.change(|tx| tx.list("todos").move_to(0, 1))?;
    b.change(|tx| tx.list("todos").map(0)?.set("done", true))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(a.to_json(), json!({ "todos": [{ "text": "bread" }, { "text": "milk", "done": true }] }));
    let entry = a.list("todos").entry(0);
    assert!(matches!(entry, Some(Entry::Container(ContainerKind::Map, _))));
    assert_eq!(a.list("todos").get(5), None::<Value>);
    Ok(())
}

#[test]
fn a_transaction_that_is_too_large_is_refused_and_leaves_no_trace() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    b.change(|tx| tx.list("l").push(1))?;
    exchange(&mut a, &mut b)?;
    let before = a.save();
    let large = "x".repeat(9 << 20);
    assert!(matches!(a.change(|tx| tx.text("t").push_str(&large)), Err(EditError::TooLarge { .. })));
    assert_eq!(a.save(), before);
    a.change(|tx| {
        let refused = tx.list("l").set(0, large.as_str());
        assert!(refused.is_err());
        tx.list("l").set(0, 2)
    })?;
    exchange(&mut a, &mut b)?;
    assert_eq!(b.to_json(), json!({ "l": [2] }));
    Ok(())
}

/// Bug class C: nesting is bounded, and a chain that is deeper has no effect, without a deep recursion anywhere.
#[test]
fn containers_nested_too_deeply_are_refused() -> Outcome {
    let mut a = doc(1);
    let refused = a.change(|tx| {
        let mut handle = tx.root().handle();
        for _ in 0..200 {
            handle = tx.map_at(handle)?.get_or_create("deeper", ContainerKind::Map)?;
        }
        Ok(())
    });
    assert!(matches!(refused, Err(EditError::TooDeep(_))));
    assert!(a.is_empty());
    Ok(())
}

/// Bug class E: a replica whose own clock was far ahead once goes on writing after it was set right.
#[test]
fn a_clock_set_back_by_years_never_stops_a_log() -> Outcome {
    let mut a = doc(1);
    a.set_now(4_000_000_000_000);
    a.change(|tx| tx.root().set("k", "from the future"))?;
    let saved = a.save();
    let (mut a, mut b) = (Doc::load(ReplicaId::from(1), &saved)?, doc(2));
    a.set_now(1_700_000_000_000);
    a.change(|tx| tx.root().set("k", "now"))?;
    b.set_now(1_700_000_000_000);
    exchange(&mut a, &mut b)?;
    b.change(|tx| tx.root().set("k", "later"))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(a.root().values("k"), ["later".into()]);
    assert!(b.last_time().ms() < 1_700_000_100_000, "the future did not spread");
    Ok(())
}

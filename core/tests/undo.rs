//! Undo and redo, type by type: what comes back, what stays away, and what others wrote in the meantime. Bug class F.

use selvedge::doc::Expand;
use selvedge::{ContainerKind, Doc, EditError, ReplicaId, Transaction, UndoManager, Value, VersionVector};
use serde_json::{Value as Json, json};

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// A document with an undo manager, and another replica's copy.
struct Pair {
    doc: Doc,
    undo: UndoManager,
    other: Doc,
}

impl Pair {
    /// Both copies hold what the other replica has written.
    fn new(base: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Result<Self, EditError> {
        let (mut doc, mut other) = (Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2)));
        other.change(base)?;
        doc.import(&other.export_since(&VersionVector::new())).expect("an update of ours");
        Ok(Self { undo: UndoManager::new(&doc), doc, other })
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Result<(), EditError> {
        self.undo.change(&mut self.doc, edit)
    }

    fn sync(&mut self) {
        let (mine, theirs) = (self.doc.version(), self.other.version());
        let from_here = self.doc.export_since(&theirs);
        self.doc.import(&self.other.export_since(&mine)).expect("an update of ours");
        self.other.import(&from_here).expect("an update of ours");
        assert_eq!(self.doc.to_json(), self.other.to_json());
    }

    /// Undoes everything, redoes it and undoes it again; the JSON after the undo and after the redo.
    fn back_and_forth(&mut self) -> Result<(Json, Json), EditError> {
        let before = self.doc.to_json();
        let mut states = Vec::new();
        while self.undo.undo(&mut self.doc)?.is_some() {
            states.push(self.doc.to_json());
        }
        let undone = self.doc.to_json();
        for state in states.iter().rev().skip(1).chain([&before]) {
            assert!(self.undo.redo(&mut self.doc)?.is_some());
            assert_eq!(self.doc.to_json(), *state, "redone");
        }
        assert!(!self.undo.can_redo());
        for state in &states {
            assert!(self.undo.undo(&mut self.doc)?.is_some());
            assert_eq!(self.doc.to_json(), *state, "undone once more");
        }
        self.sync();
        Ok((undone, before))
    }
}

#[test]
fn a_text_keeps_what_others_wrote_and_deleted() -> Outcome {
    let mut pair = Pair::new(|tx| tx.text("t").push_str("one two three"))?;
    pair.edit(|tx| tx.text("t").insert(4, "big "))?;
    pair.edit(|tx| tx.text("t").delete(0, 4))?;
    pair.edit(|tx| tx.text("t").push_str("!"))?;
    pair.other.change(|tx| {
        tx.text("t").insert(2, "XX")?;
        tx.text("t").delete(0, 1)?;
        tx.text("t").push_str("?")
    })?;
    pair.sync();
    let (undone, _) = pair.back_and_forth()?;
    assert_eq!(undone, json!({ "t": "nXXe two three?" }));
    Ok(())
}

#[test]
fn neighbours_deleted_one_by_one_come_back_in_order() -> Outcome {
    for order in [[0, 0, 0, 0], [3, 2, 1, 0], [1, 1, 0, 0], [2, 0, 1, 0], [0, 2, 1, 0]] {
        let mut pair = Pair::new(|tx| {
            tx.list("l").insert_all(0, "abcd".chars().map(|c| c.to_string().into()).collect())?;
            tx.text("t").push_str("abcd")
        })?;
        for at in order {
            pair.edit(|tx| {
                tx.text("t").delete(at, 1)?;
                tx.list("l").delete(at, 1)
            })?;
        }
        let (undone, gone) = pair.back_and_forth()?;
        assert_eq!(undone, json!({ "l": ["a", "b", "c", "d"], "t": "abcd" }), "{order:?}");
        assert_eq!(gone, json!({}));
    }
    Ok(())
}

#[test]
fn what_was_typed_is_found_after_it_was_deleted_and_came_back() -> Outcome {
    let mut pair = Pair::new(|tx| tx.text("t").push_str("<>"))?;
    pair.edit(|tx| tx.text("t").insert(1, "abc"))?;
    pair.edit(|tx| tx.text("t").delete(2, 1))?;
    pair.edit(|tx| tx.text("t").delete(0, 3))?;
    assert_eq!(pair.doc.text("t").to_string(), ">");
    let (undone, _) = pair.back_and_forth()?;
    assert_eq!(undone, json!({ "t": "<>" }));
    Ok(())
}

#[test]
fn what_two_people_deleted_stays_deleted() -> Outcome {
    let mut pair = Pair::new(|tx| {
        tx.list("l").insert_all(0, vec![1.into(), 2.into()])?;
        tx.text("t").push_str("ab")
    })?;
    pair.edit(|tx| {
        tx.list("l").delete(0, 2)?;
        tx.text("t").delete(0, 2)
    })?;
    pair.other.change(|tx| {
        tx.list("l").delete(0, 1)?;
        tx.text("t").delete(0, 1)
    })?;
    pair.sync();
    pair.undo.undo(&mut pair.doc)?;
    assert_eq!(pair.doc.to_json(), json!({ "l": [2], "t": "b" }));
    Ok(())
}

#[test]
fn list_elements_come_back_as_themselves() -> Outcome {
    let mut pair = Pair::new(|tx| {
        let mut list = tx.list("l");
        list.insert_all(0, vec!["a".into(), "b".into(), "c".into()])?;
        list.insert_container(1, ContainerKind::Map)?;
        list.map(1)?.set("k", 1)
    })?;
    pair.edit(|tx| tx.list("l").move_to(0, 3))?;
    pair.edit(|tx| tx.list("l").delete(0, 1))?;
    pair.edit(|tx| tx.list("l").set(0, "B"))?;
    pair.edit(|tx| tx.list("l").insert(0, "mine"))?;
    // Somebody edits inside the map, which is deleted here, and replaces an element that was moved here.
    pair.other.change(|tx| {
        tx.list("l").map(1)?.set("k", 2)?;
        tx.list("l").set(0, "A")
    })?;
    pair.sync();
    let (undone, done) = pair.back_and_forth()?;
    assert_eq!(done, json!({ "l": ["mine", "B", "c", "A"] }));
    assert_eq!(undone, json!({ "l": ["A", { "k": 2 }, "b", "c"] }));
    Ok(())
}

#[test]
fn a_move_is_taken_back_unless_somebody_moved_on() -> Outcome {
    let elements = || vec!["a".into(), "b".into(), "c".into()];
    let mut pair = Pair::new(|tx| tx.list("l").insert_all(0, elements()))?;
    pair.edit(|tx| tx.list("l").move_to(0, 2))?;
    pair.sync();
    pair.other.change(|tx| tx.list("l").move_to(2, 1))?;
    pair.sync();
    assert_eq!(pair.undo.undo(&mut pair.doc)?, None);
    assert_eq!(pair.doc.to_json(), json!({ "l": ["b", "a", "c"] }));

    let mut pair = Pair::new(|tx| tx.list("l").insert_all(0, elements()))?;
    pair.edit(|tx| tx.list("l").move_to(0, 2))?;
    pair.sync();
    pair.other.change(|tx| tx.list("l").delete(2, 1))?;
    pair.sync();
    assert_eq!(pair.undo.undo(&mut pair.doc)?, None, "what somebody deleted behind the move stays deleted");

    let mut pair = Pair::new(|tx| tx.list("l").insert_all(0, elements()))?;
    pair.edit(|tx| tx.list("l").move_to(0, 2))?;
    pair.other.change(|tx| tx.list("l").delete(0, 1))?;
    pair.sync();
    assert_eq!(pair.doc.to_json(), json!({ "l": ["b", "c", "a"] }));
    let (undone, _) = pair.back_and_forth()?;
    assert_eq!(undone, json!({ "l": ["b", "c"] }), "without the move, the deletion stands");
    Ok(())
}

#[test]
fn values_come_back_only_while_ours_is_read() -> Outcome {
    let mut pair = Pair::new(|tx| {
        tx.root().set("kept", "theirs")?;
        tx.root().set("taken", "theirs")?;
        tx.register("r").set("theirs")
    })?;
    pair.edit(|tx| {
        for key in ["kept", "taken", "new"] {
            tx.root().set(key, "mine")?;
        }
        tx.register("r").set("mine")
    })?;
    pair.edit(|tx| {
        tx.root().delete("kept")?;
        tx.root().set("new", "again")?;
        tx.register("r").clear()
    })?;
    pair.sync();
    pair.other.change(|tx| tx.root().set("taken", "later"))?;
    pair.sync();
    let (undone, done) = pair.back_and_forth()?;
    assert_eq!(done, json!({ "new": "again", "taken": "later" }));
    assert_eq!(undone, json!({ "kept": "theirs", "taken": "later", "r": "theirs" }));
    Ok(())
}

#[test]
fn of_two_values_written_at_once_the_other_remains() -> Outcome {
    for ahead_ms in [1, 9] {
        let mut pair = Pair::new(|tx| tx.root().set("k", "base"))?;
        pair.doc.set_now(5_000);
        pair.other.set_now(ahead_ms * 1_000);
        pair.edit(|tx| tx.root().set("k", "mine"))?;
        pair.other.change(|tx| tx.root().set("k", "theirs"))?;
        pair.sync();
        pair.undo.undo(&mut pair.doc)?;
        assert_eq!(pair.doc.to_json(), json!({ "k": "theirs" }), "{ahead_ms}");
    }
    Ok(())
}

#[test]
fn counters_and_sets_take_back_our_part() -> Outcome {
    let mut pair = Pair::new(|tx| {
        tx.counter("c").add(100)?;
        tx.set("s").add("theirs")
    })?;
    pair.edit(|tx| {
        tx.counter("c").add(5)?;
        tx.set("s").add("mine")?;
        tx.set("s").add("both")?;
        tx.set("s").add("theirs")?;
        tx.set("s").remove("theirs")
    })?;
    pair.edit(|tx| {
        tx.counter("c").add(-1)?;
        tx.set("s").remove("mine")
    })?;
    pair.other.change(|tx| {
        tx.counter("c").add(10)?;
        tx.set("s").add("both")
    })?;
    pair.sync();
    let (undone, done) = pair.back_and_forth()?;
    assert_eq!(done, json!({ "c": 114, "s": ["both"] }));
    assert_eq!(undone, json!({ "c": 110, "s": ["both", "theirs"] }));
    Ok(())
}

#[test]
fn a_deleted_key_brings_back_what_was_under_it() -> Outcome {
    let mut pair = Pair::new(|tx| {
        let mut root = tx.root();
        let mut deep = root.map("deep")?;
        deep.text("t")?.push_str("words")?;
        deep.counter("c")?.add(3)?;
        deep.list("l")?.push("x")
    })?;
    pair.edit(|tx| tx.root().map("deep")?.counter("c")?.add(4))?;
    pair.edit(|tx| tx.root().delete("deep"))?;
    assert_eq!(pair.doc.to_json(), json!({}));
    let (undone, _) = pair.back_and_forth()?;
    assert_eq!(undone, json!({ "deep": { "t": "words", "c": 3, "l": ["x"] } }));
    Ok(())
}

#[test]
fn edits_close_in_time_are_undone_together() -> Outcome {
    let mut pair = Pair::new(|_| Ok(()))?;
    for (now_ms, letter) in [(10_000, "a"), (10_400, "b"), (10_899, "c"), (11_399, "d")] {
        pair.doc.set_now(now_ms);
        pair.undo.set_cursor(letter.into());
        pair.edit(|tx| tx.text("t").push_str(letter))?;
    }
    pair.undo.set_cursor(b"end".to_vec());
    assert_eq!(pair.undo.undo(&mut pair.doc)?, Some(b"d".to_vec()));
    assert_eq!(pair.doc.text("t").to_string(), "abc");
    assert_eq!(pair.undo.undo(&mut pair.doc)?, Some(b"a".to_vec()));
    assert_eq!(pair.undo.undo(&mut pair.doc)?, None);
    assert_eq!(pair.undo.redo(&mut pair.doc)?, Some(b"d".to_vec()), "the cursor before that undo");
    assert_eq!(pair.undo.redo(&mut pair.doc)?, Some(b"end".to_vec()));
    assert_eq!(pair.doc.text("t").to_string(), "abcd");
    // What was redone is not joined by the next edit, however soon; and that ends redoing.
    pair.edit(|tx| tx.text("t").push_str("e"))?;
    pair.undo.undo(&mut pair.doc)?;
    assert_eq!(pair.doc.text("t").to_string(), "abcd");
    pair.edit(|tx| tx.text("t").push_str("f"))?;
    assert!(!pair.undo.can_redo());
    pair.undo.set_merge_interval(0);
    pair.edit(|tx| tx.text("t").push_str("g"))?;
    pair.undo.undo(&mut pair.doc)?;
    assert_eq!(pair.doc.text("t").to_string(), "abcdf");
    Ok(())
}

#[test]
fn only_what_went_through_the_manager_is_undone() -> Outcome {
    let mut pair = Pair::new(|_| Ok(()))?;
    let mut second = UndoManager::new(&pair.doc);
    pair.edit(|tx| tx.text("t").push_str("one"))?;
    second.change(&mut pair.doc, |tx| tx.text("t").push_str("two"))?;
    pair.doc.change(|tx| tx.text("t").push_str("three"))?;
    let failed: Result<(), _> = pair.undo.change(&mut pair.doc, |tx| {
        tx.text("t").push_str("never")?;
        Err(EditError::Cancelled("no".into()))
    });
    assert!(failed.is_err());
    pair.undo.undo(&mut pair.doc)?;
    assert_eq!(pair.doc.text("t").to_string(), "twothree");
    second.undo(&mut pair.doc)?;
    assert_eq!(pair.doc.text("t").to_string(), "three");
    assert_eq!(pair.undo.undo(&mut pair.other), Err(EditError::OtherDocument));
    assert_eq!(pair.undo.change(&mut pair.other, |_| Ok(())), Err(EditError::OtherDocument));
    Ok(())
}

#[test]
fn what_was_done_to_a_tree_is_taken_back() -> Outcome {
    let mut pair = Pair::new(|tx| {
        for name in ["a", "b", "c", "d"] {
            let index = tx.doc().tree("f").roots().len();
            let node = tx.tree("f").create(None, index)?;
            tx.tree("f").map(node)?.set("name", name)?;
        }
        Ok(())
    })?;
    let [a, b, c, d] = pair.doc.tree("f").roots().try_into().expect("four nodes");
    pair.edit(|tx| tx.tree("f").remove(a))?;
    pair.edit(|tx| tx.tree("f").remove(b))?;
    pair.edit(|tx| {
        // Within one parent, below another node, and out of one that goes away.
        tx.tree("f").move_to(c, None, 1)?;
        tx.tree("f").move_to(d, Some(c), 0)?;
        tx.tree("f").remove(c)?;
        tx.tree("f").move_to(d, None, 0)
    })?;
    pair.edit(|tx| {
        let mine = tx.tree("f").create(Some(d), 0)?;
        tx.tree("f").map(mine)?.set("name", "mine")
    })?;
    pair.back_and_forth()?;
    assert_eq!(pair.doc.tree("f").roots(), [a, b, c, d]);
    pair.sync();
    Ok(())
}

#[test]
fn nodes_that_others_moved_stay_where_they_put_them() -> Outcome {
    let mut pair = Pair::new(|tx| {
        for index in 0..4 {
            tx.tree("f").create(None, index)?;
        }
        Ok(())
    })?;
    let [a, b, c, d] = pair.doc.tree("f").roots().try_into().expect("four nodes");
    pair.edit(|tx| {
        tx.tree("f").move_to(a, Some(b), 0)?;
        tx.tree("f").move_to(c, Some(b), 0)?;
        tx.tree("f").remove(d)
    })?;
    pair.sync();
    pair.other.change(|tx| {
        tx.tree("f").move_to(c, None, 0)?;
        tx.tree("f").move_to(d, Some(c), 0)
    })?;
    pair.sync();
    let (undone, done) = pair.back_and_forth()?;
    assert_ne!(undone, done);
    let tree = pair.doc.tree("f");
    assert_eq!((tree.roots(), tree.children(c)), (vec![c, a, b], vec![d]));
    Ok(())
}

#[test]
fn a_node_is_not_put_back_into_a_parent_that_is_gone() -> Outcome {
    let mut pair = Pair::new(|tx| {
        let parent = tx.tree("f").create(None, 0)?;
        tx.tree("f").create(Some(parent), 0).map(drop)
    })?;
    let parent = pair.doc.tree("f").roots()[0];
    let node = pair.doc.tree("f").children(parent)[0];
    pair.edit(|tx| tx.tree("f").move_to(node, None, 0))?;
    pair.sync();
    pair.other.change(|tx| tx.tree("f").remove(parent))?;
    pair.sync();
    assert_eq!(pair.undo.undo(&mut pair.doc)?, None);
    assert_eq!(pair.doc.tree("f").roots(), [node]);
    Ok(())
}

#[test]
fn a_bounded_counter_goes_back_as_far_as_its_rights_allow() -> Outcome {
    let mut pair = Pair::new(|tx| tx.bounded_counter("n").increment(3))?;
    let other = pair.other.replica();
    pair.edit(|tx| tx.bounded_counter("n").increment(5))?;
    pair.edit(|tx| tx.bounded_counter("n").decrement(1))?;
    let (undone, done) = pair.back_and_forth()?;
    assert_eq!((undone, done), (json!({ "n": 3 }), json!({ "n": 7 })));
    pair.edit(|tx| tx.bounded_counter("n").increment(5))?;
    pair.edit(|tx| tx.bounded_counter("n").transfer(other, 4))?;
    pair.undo.undo(&mut pair.doc)?;
    assert_eq!(pair.doc.to_json(), json!({ "n": 7 }), "what was given away stays");
    Ok(())
}

#[test]
fn a_removal_that_wins_is_taken_back_unless_others_removed_too() -> Outcome {
    let mut pair = Pair::new(|tx| [1, 2].into_iter().try_for_each(|value| tx.remove_wins_set("s").add(value)))?;
    pair.edit(|tx| tx.remove_wins_set("s").add(3))?;
    pair.edit(|tx| {
        tx.remove_wins_set("s").remove(1)?;
        tx.remove_wins_set("s").remove(2)
    })?;
    pair.other.change(|tx| tx.remove_wins_set("s").remove(2))?;
    pair.sync();
    let (undone, done) = pair.back_and_forth()?;
    assert_eq!((undone, done), (json!({ "s": [1] }), json!({ "s": [3] })));
    Ok(())
}

/// The marks of text `t`: stretches with what "k" reads there.
fn marks(doc: &Doc) -> Vec<(usize, Option<Value>)> {
    let runs = doc.text("t").runs();
    runs.into_iter().map(|run| (run.len, run.marks.into_iter().next().map(|(_, value)| value))).collect()
}

#[test]
fn marks_are_taken_back_where_they_still_count() -> Outcome {
    let mut pair = Pair::new(|tx| {
        tx.text("t").push_str("0123456789")?;
        tx.text("t").mark(0..4, "k", "red", Expand::After)
    })?;
    let value = |text: &str| Some(Value::from(text));
    pair.edit(|tx| tx.text("t").mark(2..8, "k", "blue", Expand::None))?;
    pair.edit(|tx| tx.text("t").unmark(3..6, "k"))?;
    pair.edit(|tx| tx.text("t").mark(5..7, "k", "blue", Expand::After))?;
    let mine = marks(&pair.doc);
    pair.sync();
    pair.other.change(|tx| {
        tx.text("t").mark(7..8, "k", "green", Expand::After)?;
        tx.text("t").insert(5, "xx")
    })?;
    pair.sync();
    let before = marks(&pair.doc);
    assert_ne!(before, mine);
    let undone = [(4, value("red")), (5, None), (1, value("green")), (2, None)];
    for _ in 0..2 {
        while pair.undo.undo(&mut pair.doc)?.is_some() {}
        assert_eq!(marks(&pair.doc), undone);
        while pair.undo.redo(&mut pair.doc)?.is_some() {}
        assert_eq!(marks(&pair.doc), before);
    }
    Ok(())
}

#[test]
fn an_undone_mark_leaves_the_edges_as_they_were() -> Outcome {
    let mut pair = Pair::new(|tx| {
        tx.text("t").push_str("0123456789")?;
        tx.text("t").mark(0..10, "k", "link", Expand::None)
    })?;
    pair.edit(|tx| tx.text("t").unmark(4..6, "k"))?;
    pair.undo.undo(&mut pair.doc)?;
    for at in [6, 4] {
        pair.doc.change(|tx| tx.text("t").insert(at, "x"))?;
    }
    assert_eq!(marks(&pair.doc), [(12, Some(Value::from("link")))]);
    Ok(())
}

//! Two writers with one id, healed: what both wrote is on all copies in the end, whichever types it touched and whoever
//! had seen it. Bug class B.

use selvedge::doc::{Expand, HealError};
use selvedge::op::Batch;
use selvedge::{ContainerKind, Doc, EditError, OpId, ReplicaId, Value, VersionVector};

/// An id as they are drawn: spread over all bits.
fn id(number: u128) -> ReplicaId {
    ReplicaId::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

/// One edit of a random type, as a change of its own.
fn edit(doc: &mut Doc, dice: &mut Dice) -> Result<(), EditError> {
    let (chars, slots, nodes) = (doc.text("t").len(), doc.list("l").len(), doc.tree("tree").roots());
    let (pos, slot, what) = (dice.below(chars), dice.below(slots), dice.below(1000) as i64);
    let node = (!nodes.is_empty()).then(|| nodes[dice.below(nodes.len())]);
    doc.set_now(1_000 + dice.0 % 100_000);
    doc.change(|tx| match dice.below(20) {
        0 | 1 if chars > 3 => tx.text("t").delete(pos, (chars - pos).min(3)),
        2 if chars > 3 => tx.text("t").mark(pos..chars, ["bold", "link"][pos % 2], what, Expand::After),
        3 if slots > 1 => tx.list("l").move_to(slot, dice.below(slots)),
        4 if slots > 1 => tx.list("l").delete(slot, 1),
        5 if slots > 0 => tx.list("l").set(slot, what),
        6 => tx.map("m").set(["a", "b"][what as usize % 2], what),
        7 => tx.map("m").delete("a"),
        8 => tx.counter("c").add(what - 500),
        9 => tx.set("s").add(what % 5),
        10 => tx.set("s").remove(what % 5),
        11 => tx.remove_wins_set("r").add(what % 5),
        12 => tx.remove_wins_set("r").remove(what % 5),
        13 => tx.register("reg").set(what),
        14 => tx.tree("tree").create(node, 0).map(drop),
        15 if node.is_some() => tx.tree("tree").move_to(node.expect("there is one"), None, 0),
        16 => {
            let nested = tx.list("l").insert_container(slot, ContainerKind::Map)?;
            tx.map_at(nested)?.text("note")?.push_str("inside")
        }
        17 => tx.map("m").text("deep")?.insert(0, "é"),
        18 => tx.list("l").insert(slot, what),
        _ => tx.text("t").insert(pos, ["abc", "é", "xy"][pos % 3]),
    })?;
    if what % 7 == 0 {
        doc.commit(Some("a message"));
    }
    doc.commit(None);
    Ok(())
}

fn send(from: &mut Doc, to: &mut Doc) -> Outcome {
    let imported = to.import_batch(&from.batch_since(&to.version()))?;
    assert_eq!(imported.forks, []);
    Ok(())
}

fn copy(doc: &mut Doc, replica: ReplicaId) -> Result<Doc, Box<dyn std::error::Error>> {
    let mut copy = Doc::new(replica);
    copy.import_batch(&doc.batch_since(&VersionVector::new()))?;
    Ok(copy)
}

/// Everything that can be seen, and read beside it.
fn view(doc: &Doc) -> (String, String) {
    (doc.to_json().to_string(), format!("{:?}", doc.text("t").runs()))
}

/// The same without the names of tree nodes: those that moved have others.
fn shape(doc: &Doc) -> (String, String) {
    let (json, runs) = view(doc);
    let mut names: Vec<&str> = Vec::new();
    let parts = json.split('"').map(|part| {
        let is_name = part.split_once('@').is_some_and(|(_, replica)| replica.len() == 32);
        if !is_name {
            return part.to_owned();
        }
        let at = names.iter().position(|known| *known == part).unwrap_or(names.len());
        names.resize(names.len().max(at + 1), part);
        format!("node {at}")
    });
    (parts.collect::<Vec<_>>().join("\""), runs)
}

/// A fork: the copy that keeps the id, the copy that yields, a third device that has seen the branch of that one, and
/// where the two branches begin.
fn fork(seed: u64) -> Result<(Doc, Doc, Doc, OpId), Box<dyn std::error::Error>> {
    let mut dice = Dice(seed);
    let (mut keeps, mut third) = (Doc::new(id(1)), Doc::new(id(2)));
    for _ in 0..30 {
        edit(&mut keeps, &mut dice)?;
        edit(&mut third, &mut dice)?;
        if dice.below(4) == 0 {
            send(&mut keeps, &mut third)?;
            send(&mut third, &mut keeps)?;
        }
    }
    let at = OpId { replica: id(1), seq: keeps.version().end(id(1)) };
    let mut yields = copy(&mut keeps, id(1))?;
    for _ in 0..20 {
        edit(&mut keeps, &mut dice)?;
    }
    for _ in 0..30 {
        edit(&mut yields, &mut dice)?;
        edit(&mut third, &mut dice)?;
        match dice.below(6) {
            0 => send(&mut yields, &mut third)?,
            1 => send(&mut third, &mut yields)?,
            _ => {}
        }
    }
    send(&mut yields, &mut third)?;
    Ok((keeps, yields, third, at))
}

#[test]
fn the_view_stays_and_both_branches_meet() -> Outcome {
    for seed in 0..60 {
        let (mut keeps, mut yields, mut third, at) = fork(seed)?;
        let before = [shape(&yields), shape(&third)];
        let mut healed = [yields.heal(&[at], id(8))?, third.heal(&[at], id(9))?];
        assert_eq!([shape(&healed[0].doc), shape(&healed[1].doc)], before, "seed {seed}");
        let both = healed[0].aliases.iter().all(|alias| healed[1].aliases.contains(alias));
        assert!(both, "seed {seed}: the third device has seen all of the branch");
        let mut merged: Vec<String> = Vec::new();
        for order in 0..2 {
            let mut all = copy(&mut keeps, id(10 + order))?;
            let [first, second] = &mut healed;
            let docs = if order == 0 { [&mut first.doc, &mut second.doc] } else { [&mut second.doc, &mut first.doc] };
            for doc in docs {
                send(doc, &mut all)?;
            }
            merged.push(format!("{:?} {:?}", view(&all), all.version()));
        }
        for doc in healed.iter_mut().map(|healed| &mut healed.doc) {
            send(&mut keeps, doc)?;
        }
        let [one, two] = &mut healed;
        send(&mut one.doc, &mut two.doc)?;
        merged.push(format!("{:?} {:?}", view(&two.doc), two.doc.version()));
        assert!(merged.iter().all(|one| *one == merged[0]), "seed {seed}: {merged:#?}");
        // And it goes on.
        edit(&mut one.doc, &mut Dice(seed))?;
        edit(&mut keeps, &mut Dice(seed + 1))?;
        send(&mut two.doc, &mut keeps)?;
        send(&mut one.doc, &mut keeps)?;
        send(&mut keeps, &mut two.doc)?;
        assert_eq!(view(&keeps), view(&two.doc));
    }
    Ok(())
}

#[test]
fn devices_with_one_branch_write_the_same_bytes() -> Outcome {
    for seed in 0..20 {
        let (_, mut yields, mut third, at) = fork(seed)?;
        let mut short = copy(&mut yields, id(11))?;
        edit(&mut yields, &mut Dice(seed))?;
        send(&mut yields, &mut third)?;
        let mut ahead = third.heal(&[at], id(9))?;
        for doc in [&mut yields, &mut short] {
            let mut healed = doc.heal(&[at], id(8))?;
            for (_, alias) in &healed.aliases {
                let of = |batch: Batch| batch.segments.into_iter().find(|segment| segment.replica == *alias);
                let one = of(healed.doc.batch_since(&VersionVector::new())).expect("it has written");
                let other = of(ahead.doc.batch_since(&VersionVector::new())).expect("it has written");
                assert!(other.frames.starts_with(&one.frames), "seed {seed}: the shorter log begins the longer one");
            }
            assert_eq!(ahead.doc.import_batch(&healed.doc.batch_since(&VersionVector::new()))?.forks, []);
        }
    }
    Ok(())
}

/// Who had both names of a branch here sees it once when it is healed.
#[test]
fn a_branch_that_came_back_under_its_alias_is_there_once() -> Outcome {
    let (mut keeps, mut yields) = (Doc::new(id(1)), Doc::new(id(1)));
    keeps.change(|tx| tx.text("t").push_str("one"))?;
    yields.change(|tx| tx.text("t").push_str("two"))?;
    let at = OpId { replica: id(1), seq: 0 };
    let mut healed = yields.heal(&[at], id(8))?.doc;
    send(&mut healed, &mut yields)?;
    assert_eq!(yields.text("t").len(), 6, "under both names");
    yields.change(|tx| tx.map("m").set("k", 1))?;
    let mut again = yields.heal(&[at], id(9))?.doc;
    assert_eq!(again.text("t").to_string(), "two");
    send(&mut keeps, &mut again)?;
    assert_eq!((again.text("t").len(), again.map("m").get("k")), (6, Some(Value::Int(1))));
    Ok(())
}

#[test]
fn rights_from_before_the_fork_are_spent_once() -> Outcome {
    let mut keeps = Doc::new(id(1));
    keeps.change(|tx| tx.bounded_counter("seats").increment(10))?;
    let at = OpId { replica: id(1), seq: keeps.version().end(id(1)) };
    let mut yields = copy(&mut keeps, id(1))?;
    keeps.change(|tx| tx.bounded_counter("seats").decrement(8))?;
    yields.change(|tx| tx.bounded_counter("seats").decrement(7))?;
    yields.commit(None);
    yields.change(|tx| {
        tx.bounded_counter("seats").increment(3)?;
        tx.bounded_counter("other").increment(5)?;
        tx.bounded_counter("other").decrement(4)
    })?;
    let mut healed = yields.heal(&[at], id(8))?.doc;
    send(&mut keeps, &mut healed)?;
    assert_eq!(healed.bounded_counter("seats").value(), 5, "10 - 8 + 3: the 7 were spent already");
    assert_eq!(healed.bounded_counter("other").value(), 1);
    Ok(())
}

#[test]
fn what_cannot_be_healed_is_left_alone() -> Outcome {
    let (mut one, mut two) = (Doc::new(id(1)), Doc::new(id(2)));
    one.change(|tx| tx.text("t").push_str("abc"))?;
    two.change(|tx| tx.text("t").push_str("xyz"))?;
    send(&mut two, &mut one)?;
    let before = (view(&one), one.version());
    for nowhere in [(1, 1), (1, 3), (7, 0)] {
        let at = OpId { replica: id(nowhere.0), seq: nowhere.1 };
        assert_eq!(one.heal(&[at], id(8)).map(drop), Err(HealError::NoBranch(at)));
    }
    let at = OpId { replica: id(1), seq: 0 };
    assert_eq!(one.heal(&[at], id(2)).map(drop), Err(HealError::ReplicaInUse { replica: id(2) }));
    assert_eq!((view(&one), one.version()), before);
    Ok(())
}

/// The history that a branch is written anew from is not in a shallow save.
#[test]
fn a_shallow_document_says_that_it_cannot_heal() {
    let id = ReplicaId::from(7 << 64);
    let mut doc = Doc::new(id);
    doc.change(|tx| tx.text("note").push_str("hello")).expect("an edit");
    let version = doc.version();
    let saved = doc.save_shallow(&version).expect("a shallow save");
    let mut shallow = Doc::load(ReplicaId::from(9), &saved).expect("opens");
    shallow.change(|tx| tx.text("note").push_str("!")).expect("an edit");
    let healed = shallow.heal(&[OpId { replica: id, seq: 0 }], ReplicaId::from(8));
    assert!(matches!(healed, Err(HealError::Shallow)), "{healed:?}");
}

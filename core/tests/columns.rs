//! Histories as columns, from the outside: what typing costs, and that the file of every format version is still read.

use selvedge::doc::Expand;
use selvedge::op::columns;
use selvedge::{ContainerKind, Doc, ReplicaId, VersionVector};

/// Some day in 2023, in ms.
const START_MS: u64 = 1_700_000_000_000;

/// Somebody who types words, goes back to mend some, and jumps elsewhere.
struct Typist {
    doc: Doc,
    dice: u64,
    pos: usize,
}

impl Typist {
    fn new(id: u128) -> Self {
        let mut doc = Doc::new(ReplicaId::from(id.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)));
        doc.set_now(START_MS);
        Self { doc, dice: id as u64, pos: 0 }
    }

    fn roll(&mut self, sides: u64) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.dice >> 33) % sides) as usize
    }

    /// A keystroke, sealed alone.
    fn strike(&mut self) {
        let (choice, letter) = (self.roll(40), self.roll(26));
        let len = self.doc.text("text").len();
        self.pos = if choice == 0 { self.roll(len as u64 + 1) } else { self.pos.min(len) };
        let back = choice < 5 && self.pos > 0;
        self.pos -= usize::from(back);
        let (pos, letter) = (self.pos, ['é', '日', char::from(b'a' + letter as u8)][(choice / 4).min(2)]);
        let edited = self.doc.change(|tx| {
            let mut text = tx.text("text");
            if back { text.delete(pos, 1) } else { text.insert(pos, letter.encode_utf8(&mut [0; 4])) }
        });
        edited.expect("the position is inside of the text");
        self.pos += usize::from(!back);
        self.doc.commit(None);
    }
}

#[test]
fn a_keystroke_that_is_a_change_of_its_own_costs_less_than_a_byte() {
    let mut typist = Typist::new(1);
    for keystroke in 0..20_000 {
        typist.doc.set_now(START_MS + keystroke * 275);
        typist.strike();
    }
    let batch = typist.doc.batch_since(&VersionVector::new());
    let bytes = columns::encode(&batch.segments);
    assert_eq!(columns::decode(&bytes).as_deref(), Ok(&batch.segments[..]));
    println!("{} bytes of changes, {} as columns", batch.bytes(), bytes.len());
    assert!(bytes.len() < 20_000, "{}", bytes.len());
}

#[test]
fn two_who_type_at_once_pay_for_what_they_depend_on_but_not_for_digests() {
    let mut typists = [Typist::new(1), Typist::new(2)];
    for round in 0..1_000 {
        for typist in &mut typists {
            (0..1 + round % 7).for_each(|_| typist.strike());
        }
        let [a, b] = &mut typists;
        // What is under way meanwhile arrives a round later.
        let (there, back) = (a.doc.take_batch(), b.doc.take_batch());
        (0..round % 3).for_each(|_| a.strike());
        a.doc.import_batch(&back).expect("whole");
        b.doc.import_batch(&there).expect("whole");
    }
    let batch = typists[0].doc.batch_since(&VersionVector::new());
    let bytes = columns::encode(&batch.segments);
    assert_eq!(columns::decode(&bytes).as_deref(), Ok(&batch.segments[..]));
    println!("{} bytes of changes, {} as columns", batch.bytes(), bytes.len());
    // 2,000 dependencies: sixteen bytes of digest each would be 32,000.
    assert!(bytes.len() < 16_000, "{}", bytes.len());
    let mut read = Doc::new(ReplicaId::from(8));
    read.import(&typists[0].doc.export_since(&VersionVector::new())).expect("whole");
    // From the last to the first: what reading computed is not all there is.
    for segment in &batch.segments {
        for end in (0..=segment.end().expect("whole")).rev() {
            let digest = read.log_digest(segment.replica, end);
            assert_eq!(digest, typists[0].doc.log_digest(segment.replica, end), "{} at {end}", segment.replica);
        }
    }
    let mut loaded = Doc::load(ReplicaId::from(9), &typists[0].doc.save()).expect("whole");
    assert_eq!(loaded.batch_since(&VersionVector::new()), batch);
    assert_eq!(loaded.to_json(), typists[0].doc.to_json());
}

/// Two copies that were edited apart, with every kind of container. The file of format version 1 is its save.
fn document() -> Result<Doc, Box<dyn std::error::Error>> {
    let (mut a, mut b) = (Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2)));
    a.set_now(START_MS);
    a.change(|tx| {
        tx.text("text").insert(0, "déjà vu 😀")?;
        tx.list("list").insert(0, 1)?;
        tx.list("list").push("zwei")?;
        tx.list("list").push(vec![3, 3, 3])?;
        tx.root().set("title", "A document")?;
        tx.root().set("half", 0.5)?;
        tx.counter("counter").add(-7)?;
        tx.set("set").add(true)?;
        tx.register("register").set("one")?;
        tx.map("map").get_or_create("inner", ContainerKind::Map).map(drop)
    })?;
    a.commit(Some("the first half"));
    b.import(&a.export_since(&b.version()))?;
    b.set_now(START_MS + 1_234);
    a.change(|tx| tx.text("text").delete(4, 3))?;
    a.change(|tx| tx.list("list").move_to(2, 0))?;
    b.change(|tx| {
        tx.list("list").set(0, "uno")?;
        tx.text("text").insert(9, "!")?;
        tx.root().delete("half")?;
        tx.set("set").remove(true)?;
        tx.register("register").set("two")
    })?;
    a.import(&b.export_since(&a.version()))?;
    a.change(|tx| tx.map("map").set("k", "v"))?;
    Ok(a)
}

/// To make the file of another version, write down what `document` saves.
#[test]
fn the_file_of_format_version_1_is_read() -> Result<(), Box<dyn std::error::Error>> {
    let mut expected = document()?;
    let mut loaded = Doc::load(ReplicaId::from(9), include_bytes!("fixtures/version-1.selvedge"))?;
    assert_eq!(loaded.to_json(), expected.to_json());
    // The bytes of changes are the same for ever.
    assert_eq!(loaded.batch_since(&VersionVector::new()), expected.batch_since(&VersionVector::new()));
    Ok(())
}

/// The same, with marks and a tree: its save is the file of format version 2, its shallow save the other one.
fn richer_document() -> Result<(Doc, VersionVector), Box<dyn std::error::Error>> {
    let mut doc = document()?;
    doc.change(|tx| {
        tx.text("text").mark(0..3, "bold", true, Expand::After)?;
        tx.text("text").unmark(1..2, "bold")?;
        let node = tx.tree("tree").create(None, 0)?;
        let child = tx.tree("tree").create(Some(node), 0)?;
        tx.tree("tree").map(child)?.set("k", "v")?;
        tx.tree("tree").create(None, 1)?;
        tx.bounded_counter("bounded").increment(5)?;
        tx.remove_wins_set("out").remove("x")
    })?;
    let version = doc.version();
    doc.change(|tx| {
        let roots = tx.doc().tree("tree").roots();
        tx.tree("tree").remove(roots[0])?;
        tx.text("text").insert(2, "more")
    })?;
    Ok((doc, version))
}

#[test]
fn the_files_of_format_version_2_are_read() -> Result<(), Box<dyn std::error::Error>> {
    let (mut expected, version) = richer_document()?;
    let mut whole = Doc::load(ReplicaId::from(9), include_bytes!("fixtures/version-2.selvedge"))?;
    let mut shallow = Doc::load(ReplicaId::from(9), include_bytes!("fixtures/version-2-shallow.selvedge"))?;
    assert_eq!(whole.batch_since(&VersionVector::new()), expected.batch_since(&VersionVector::new()));
    assert_eq!((shallow.base_version(), shallow.log_states()), (version, expected.log_states()));
    let delta = |doc: &Doc| doc.text("text").to_delta();
    for loaded in [&whole, &shallow] {
        assert_eq!((loaded.to_json(), delta(loaded)), (expected.to_json(), delta(&expected)));
    }
    // Equal documents have equal states, and that of the file is what its history leads to.
    assert_eq!(whole.verify(), Ok(true));
    let now = expected.version();
    assert_eq!(shallow.save_shallow(&now)?, expected.save_shallow(&now)?);
    Ok(())
}

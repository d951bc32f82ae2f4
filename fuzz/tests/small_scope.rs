//! Everything that two replicas can do to a container of each type with three operations each out of a small alphabet,
//! under every way in which the operations can hear of each other. Bug class A.

use selvedge::doc::Expand;
use selvedge::op::Batch;
use selvedge::{Doc, EditError, OpId, ReplicaId, Transaction, VersionVector};
use selvedge_fuzz::rich;
use selvedge_fuzz::spec::Spec;

type Op = fn(&mut Transaction<'_>, &str) -> Result<(), EditError>;

/// What is there at first.
type Start = fn(&mut Transaction<'_>) -> Result<(), EditError>;

/// How many changes of the other each operation has heard of: monotone.
type Heard = [usize; 3];

fn nothing(_: &mut Transaction<'_>) -> Result<(), EditError> {
    Ok(())
}

fn one_character(tx: &mut Transaction<'_>) -> Result<(), EditError> {
    tx.text("t").push_str("-")
}

fn two_elements(tx: &mut Transaction<'_>) -> Result<(), EditError> {
    tx.list("l").insert_all(0, vec!["p".into(), "q".into()])
}

fn three_nodes(tx: &mut Transaction<'_>) -> Result<(), EditError> {
    let parent = tx.tree("f").create(None, 0)?;
    tx.tree("f").create(Some(parent), 0)?;
    tx.tree("f").create(None, 1).map(drop)
}

const TEXT: [Op; 3] = [
    |tx, name| tx.text("t").insert(0, name),
    |tx, name| tx.text("t").push_str(name),
    |tx, _| {
        let mut text = tx.text("t");
        let middle = text.len() / 2;
        if text.is_empty() { Ok(()) } else { text.delete(middle, 1) }
    },
];

const LIST: [Op; 4] = [
    |tx, name| tx.list("l").insert(0, name),
    |tx, name| {
        let mut list = tx.list("l");
        let middle = list.len() / 2;
        if list.is_empty() { list.push(name) } else { list.set(middle, name) }
    },
    |tx, _| if tx.list("l").is_empty() { Ok(()) } else { tx.list("l").delete(0, 1) },
    |tx, _| {
        let mut list = tx.list("l");
        let last = list.len().saturating_sub(1);
        if list.is_empty() { Ok(()) } else { list.move_to(0, last) }
    },
];

const MAP: [Op; 3] = [
    |tx, name| tx.map("m").set("k", name),
    |tx, _| tx.map("m").delete("k"),
    |tx, name| tx.map("m").map("k")?.set(name, 1),
];

const REGISTER: [Op; 2] = [|tx, name| tx.register("r").set(name), |tx, _| tx.register("r").clear()];

const COUNTER: [Op; 2] = [|tx, _| tx.map("m").counter("n")?.add(1), |tx, _| tx.map("m").delete("n")];

const SET: [Op; 3] = [|tx, _| tx.set("s").add("x"), |tx, _| tx.set("s").remove("x"), |tx, name| tx.set("s").add(name)];

const REMOVE_WINS_SET: [Op; 3] = [
    |tx, _| tx.remove_wins_set("w").add("x"),
    |tx, _| tx.remove_wins_set("w").remove("x"),
    |tx, name| tx.remove_wins_set("w").add(name),
];

const BOUNDED_COUNTER: [Op; 3] = [
    |tx, _| tx.bounded_counter("b").increment(2),
    |tx, _| {
        let mut counter = tx.bounded_counter("b");
        counter.decrement(counter.rights().min(1))
    },
    |tx, name| {
        let mut counter = tx.bounded_counter("b");
        let other = ReplicaId::from(if name < "a" { 1 } else { 2 });
        counter.transfer(other, counter.rights().min(1))
    },
];

/// Moves the first node under the last, or the last under the first; out again if it lies there.
fn fold(tx: &mut Transaction<'_>, first: bool) -> Result<(), EditError> {
    let nodes: Vec<OpId> = tx.doc().tree("f").nodes();
    let (Some(start), Some(end)) = (nodes.first(), nodes.last()) else { return Ok(()) };
    let (node, parent) = if first { (*start, *end) } else { (*end, *start) };
    match tx.tree("f").move_to(node, Some(parent), 0) {
        Err(EditError::WouldCycle { .. }) => tx.tree("f").move_to(parent, None, 0),
        moved => moved,
    }
}

const TREE: [Op; 3] = [
    |tx, name| {
        let node = tx.tree("f").create(None, 0)?;
        tx.tree("f").map(node)?.set("name", name)
    },
    |tx, name| fold(tx, name < "a"),
    |tx, _| match tx.doc().tree("f").roots().first() {
        Some(node) => {
            let node = *node;
            tx.tree("f").remove(node)
        }
        None => Ok(()),
    },
];

/// A text of two characters and marks on them: everything at one gap.
const RICH: [Op; 5] = [
    |tx, name| {
        let mut text = tx.text("t");
        let middle = text.len() / 2;
        text.insert(middle, name)
    },
    |tx, _| {
        let mut text = tx.text("t");
        let middle = text.len() / 2;
        if text.is_empty() { Ok(()) } else { text.delete(middle, 1) }
    },
    |tx, name| {
        let mut text = tx.text("t");
        let middle = text.len().div_ceil(2);
        text.mark(0..middle, "k", name, Expand::After)
    },
    |tx, name| {
        let mut text = tx.text("t");
        let (middle, len) = (text.len() / 2, text.len());
        text.mark(middle..len, "k", name, Expand::None)
    },
    |tx, _| {
        let mut text = tx.text("t");
        let len = text.len();
        text.unmark(len / 2..len, "k")
    },
];

/// All pairs in which nothing hears of what comes after it.
fn ways_to_hear() -> Vec<(Heard, Heard)> {
    let all = |n: usize| (0..=n).flat_map(move |a| (a..=n).flat_map(move |b| (b..=n).map(move |c| [a, b, c])));
    let mut ways = Vec::new();
    for (x, y) in all(3).flat_map(|x| all(3).map(move |y| (x, y))) {
        // Operation i of one hears of the first x[i] of the other; a cycle is two that hear of each other.
        let cycle = (0..3).any(|i| (0..3).any(|j| x[i] > j && y[j] > i));
        if !cycle {
            ways.push((x, y));
        }
    }
    ways
}

/// Plays the operations so that each has heard of exactly what it should; returns both documents, told everything.
fn play(start: &Batch, ops: [[Op; 3]; 2], heard: (Heard, Heard)) -> Result<[Doc; 2], Box<dyn std::error::Error>> {
    let mut docs = [Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2))];
    docs.iter_mut().try_for_each(|doc| doc.import_batch(start).map(drop))?;
    let (heard, mut done, mut told) = ([heard.0, heard.1], [0, 0], [0, 0]);
    let mut changes: [Vec<Batch>; 2] = [Vec::new(), Vec::new()];
    while done[0] < 3 || done[1] < 3 {
        let ready = |me: usize| done[me] < 3 && heard[me][done[me]] <= done[1 - me];
        let me = if ready(0) { 0 } else { 1 };
        while told[me] < heard[me][done[me]] {
            docs[me].import_batch(&changes[1 - me][told[me]])?;
            told[me] += 1;
        }
        let name = ["a", "b", "c", "X", "Y", "Z"][me * 3 + done[me]];
        docs[me].change(|tx| ops[me][done[me]](tx, name))?;
        changes[me].push(docs[me].take_batch());
        done[me] += 1;
    }
    for me in [0, 1] {
        changes[1 - me][told[me]..].iter().try_for_each(|change| docs[me].import_batch(change).map(drop))?;
    }
    Ok(docs)
}

/// Alphabets of up to four operations are tried in all ways; a larger one takes its share of them, or all of them with
/// SELVEDGE_FUZZ_ALL (some minutes).
fn stride(alphabet: usize) -> usize {
    let all = alphabet <= 4 || std::env::var_os("SELVEDGE_FUZZ_ALL").is_some();
    if all { 1 } else { 8 }
}

fn check_all(start: Start, alphabet: &[Op]) -> Result<usize, Box<dyn std::error::Error>> {
    let (ways, mut runs) = (ways_to_hear(), 0);
    let n = alphabet.len();
    let mut doc = Doc::new(ReplicaId::from(1));
    doc.init(start)?;
    let start = doc.take_batch();
    for code in 0..n.pow(6) {
        let pick = |place: u32| alphabet[code / n.pow(place) % n];
        let ops = [[pick(0), pick(1), pick(2)], [pick(3), pick(4), pick(5)]];
        let stride = stride(n);
        for heard in ways.iter().skip(code % stride).step_by(stride) {
            let [mut a, b] = play(&start, ops, *heard)?;
            let state = rich::to_json(&a);
            assert_eq!(state, rich::to_json(&b), "code {code}, {heard:?}");
            let spec = Spec::read(&a.batch_since(&VersionVector::new()))?;
            assert_eq!(state, spec.to_rich_json(), "code {code}, {heard:?}");
            runs += 1;
        }
    }
    Ok(runs)
}

macro_rules! per_type {
    ($($name:ident, $start:ident, $alphabet:ident;)*) => { $(
        #[test]
        fn $name() -> Result<(), Box<dyn std::error::Error>> {
            let (codes, ways) = ($alphabet.len().pow(6), ways_to_hear().len());
            let runs = check_all($start, &$alphabet)?;
            assert!(runs >= codes * (ways / stride($alphabet.len())));
            Ok(())
        }
    )* };
}

per_type! {
    all_small_texts_merge_as_specified, one_character, TEXT;
    all_small_marked_texts_merge_as_specified, one_character, RICH;
    all_small_lists_merge_as_specified, two_elements, LIST;
    all_small_maps_merge_as_specified, nothing, MAP;
    all_small_registers_merge_as_specified, nothing, REGISTER;
    all_small_counters_merge_as_specified, nothing, COUNTER;
    all_small_sets_merge_as_specified, nothing, SET;
    all_small_remove_wins_sets_merge_as_specified, nothing, REMOVE_WINS_SET;
    all_small_bounded_counters_merge_as_specified, nothing, BOUNDED_COUNTER;
    all_small_trees_merge_as_specified, three_nodes, TREE;
}

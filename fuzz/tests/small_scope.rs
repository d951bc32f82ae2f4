//! Everything that two replicas can do to a text, to a text with marks and to a list with three operations each out of a small alphabet,
//! under every way in which the operations can hear of each other. Bug class A.

use selvedge::doc::Expand;
use selvedge::{Doc, EditError, ReplicaId, Transaction, VersionVector};
use selvedge_fuzz::rich;
use selvedge_fuzz::spec::Spec;

type Op = fn(&mut Transaction<'_>, &str) -> Result<(), EditError>;

/// How many changes of the other each operation has heard of: monotone.
type Heard = [usize; 3];

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
fn play(ops: [[Op; 3]; 2], heard: (Heard, Heard)) -> Result<[Doc; 2], Box<dyn std::error::Error>> {
    let mut docs = [Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2))];
    docs[0].init(|tx| {
        tx.text("t").push_str("-")?;
        tx.list("l").insert_all(0, vec!["p".into(), "q".into()])
    })?;
    let start = docs[0].export_since(&VersionVector::new());
    docs[1].import(&start)?;
    let (heard, mut done, mut told) = ([heard.0, heard.1], [0, 0], [0, 0]);
    let mut changes: [Vec<Vec<u8>>; 2] = [Vec::new(), Vec::new()];
    while done[0] < 3 || done[1] < 3 {
        let ready = |me: usize| done[me] < 3 && heard[me][done[me]] <= done[1 - me];
        let me = if ready(0) { 0 } else { 1 };
        while told[me] < heard[me][done[me]] {
            docs[me].import(&changes[1 - me][told[me]])?;
            told[me] += 1;
        }
        let (version, name) = (docs[me].version(), ["a", "b", "c", "X", "Y", "Z"][me * 3 + done[me]]);
        docs[me].change(|tx| ops[me][done[me]](tx, name))?;
        changes[me].push(docs[me].export_since(&version));
        done[me] += 1;
    }
    for me in [0, 1] {
        changes[1 - me][told[me]..].iter().try_for_each(|change| docs[me].import(change).map(drop))?;
    }
    Ok(docs)
}

fn check_all(alphabet: &[Op]) -> Result<usize, Box<dyn std::error::Error>> {
    let (ways, mut runs) = (ways_to_hear(), 0);
    let n = alphabet.len();
    for code in 0..n.pow(6) {
        let pick = |place: u32| alphabet[code / n.pow(place) % n];
        let ops = [[pick(0), pick(1), pick(2)], [pick(3), pick(4), pick(5)]];
        // All ways for every combination would take minutes: each takes its share of them.
        let stride = [1, 1, 1, 1, 8, 40][n];
        for heard in ways.iter().skip(code % stride).step_by(stride) {
            let [mut a, b] = play(ops, *heard)?;
            let state = rich::to_json(&a);
            assert_eq!(state, rich::to_json(&b), "code {code}, {heard:?}");
            let spec = Spec::read(&a.batch_since(&VersionVector::new()))?;
            assert_eq!(state, spec.to_rich_json(), "code {code}, {heard:?}");
            runs += 1;
        }
    }
    Ok(runs)
}

#[test]
fn all_small_texts_merge_as_specified() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(check_all(&TEXT)?, 729 * ways_to_hear().len());
    Ok(())
}

#[test]
fn all_small_marked_texts_merge_as_specified() -> Result<(), Box<dyn std::error::Error>> {
    assert!(check_all(&RICH)? >= 15_625 * (ways_to_hear().len() / 40));
    Ok(())
}

#[test]
fn all_small_lists_merge_as_specified() -> Result<(), Box<dyn std::error::Error>> {
    assert!(check_all(&LIST)? >= 4096 * (ways_to_hear().len() / 8));
    Ok(())
}

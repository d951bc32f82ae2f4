//! Does one kind of work at one size, so that what it costs can be counted from outside: instructions by callgrind, which
//! is told to count in `measured` only, and memory by itself. `fuzz/tests/growth.rs` compares sizes. Bug class H.
//!
//! Always holds: the same shape and size is the same work, whatever the machine. Not here: what growth is allowed.

use std::error::Error;
use std::process::ExitCode;

use peak_alloc::PeakAlloc;
use selvedge::doc::{Expand, Side};
use selvedge::op::Batch;
use selvedge::{ContainerKind, Doc, EditError, OpId, ReplicaId, Transaction, UndoManager, VersionVector};
use selvedge_fuzz::random::Random;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

type Outcome = Result<(), Box<dyn Error>>;
/// What is measured, once all that it needs was made.
type Work = Box<dyn FnOnce() -> Outcome>;
type Prepared = Result<Work, Box<dyn Error>>;

/// A kind of work, and a size that takes a millisecond or two.
struct Shape {
    name: &'static str,
    size: usize,
    prepare: fn(usize) -> Prepared,
}

const fn shape(name: &'static str, size: usize, prepare: fn(usize) -> Prepared) -> Shape {
    Shape { name, size, prepare }
}

const SHAPES: [Shape; 20] = [
    shape("one-position", 2000, one_position),
    shape("alternating-authors", 600, alternating_authors),
    shape("branches-delivered-alternately", 600, |n| branches(n, true)),
    shape("long-branches", 1200, |n| branches(n, false)),
    shape("typing-delivered-alternately", 1500, typing_alternately),
    shape("typing-backwards", 2000, typing_backwards),
    shape("nested-maps", 6, nested_maps),
    shape("small-documents", 8, small_documents),
    shape("paste", 256 << 10, paste),
    shape("delete-all", 2000, delete_all),
    shape("wide-map", 600, wide_map),
    shape("same-key", 1200, same_key),
    shape("set-churn", 1000, set_churn),
    shape("list-moves", 300, list_moves),
    shape("tree-moves", 250, tree_moves),
    shape("undo-everything", 500, undo_everything),
    shape("marks", 500, marks),
    shape("anchors", 800, anchors),
    shape("save-and-open", 1500, save_and_open),
    shape("late-reader", 1500, late_reader),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            SHAPES.iter().for_each(|shape| println!("{} {}", shape.name, shape.size));
            ExitCode::SUCCESS
        }
        [name, size] => match run(name, size) {
            Ok(peak) => {
                println!("{peak}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                println!("{name} {size}: {error}");
                ExitCode::FAILURE
            }
        },
        _ => {
            println!(
                "usage: growth [SHAPE SIZE]\n\nWithout arguments, lists the shapes, each with the size to begin with."
            );
            ExitCode::from(2)
        }
    }
}

/// Most bytes that were allocated at any moment of the work.
fn run(name: &str, size: &str) -> Result<usize, Box<dyn Error>> {
    let shape = SHAPES.iter().find(|shape| shape.name == name).ok_or("there is no such shape")?;
    let work = (shape.prepare)(size.parse()?)?;
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    measured(work)?;
    Ok(ALLOCATOR.peak_usage().saturating_sub(before))
}

#[inline(never)]
fn measured(work: Work) -> Outcome {
    work()
}

fn doc(id: u128) -> Doc {
    Doc::new(ReplicaId::from(id))
}

/// An edit that is a change of its own.
fn edit(doc: &mut Doc, edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>) -> Result<Batch, EditError> {
    doc.change(edit)?;
    Ok(doc.take_batch())
}

fn insert(doc: &mut Doc, pos: usize, text: &str) -> Result<Batch, EditError> {
    edit(doc, |tx| tx.text("t").insert(pos, text))
}

/// Inserts or deletes somewhere.
fn scribble(doc: &mut Doc, dice: &mut Random) -> Result<Batch, EditError> {
    let len = doc.text("t").len();
    let pos = dice.index(len);
    if len > 20 && dice.index(3) == 0 { edit(doc, |tx| tx.text("t").delete(pos, 1)) } else { insert(doc, pos, "abc") }
}

/// Imports into a fresh document, one by one.
fn read(batches: &[Batch]) -> Result<Doc, Box<dyn Error>> {
    let mut reader = doc(99);
    for batch in batches {
        let imported = reader.import_batch(batch)?;
        if imported.pending_bytes > 0 || !imported.invalid.is_empty() {
            return Err("a change was not applied".into());
        }
    }
    Ok(reader)
}

fn reading(batches: Vec<Batch>) -> Prepared {
    Ok(Box::new(move || read(&batches).map(drop)))
}

fn everything(doc: &mut Doc) -> Batch {
    doc.batch_since(&VersionVector::new())
}

/// Four authors who do not know of each other insert at the beginning, again and again.
fn one_position(n: usize) -> Prepared {
    let mut batches = Vec::new();
    for author in 0..4 {
        let mut doc = doc(author + 1);
        for _ in 0..n / 4 {
            insert(&mut doc, 0, "a")?;
        }
        batches.push(everything(&mut doc));
    }
    reading(batches)
}

/// Two authors take turns, each with all that the other has written.
fn alternating_authors(n: usize) -> Prepared {
    let (mut docs, mut dice) = ([doc(1), doc(2)], Random::new(1));
    let mut batches = Vec::new();
    for turn in 0..n {
        let batch = scribble(&mut docs[turn % 2], &mut dice)?;
        docs[(turn + 1) % 2].import_batch(&batch)?;
        batches.push(batch);
    }
    reading(batches)
}

/// Two authors edit apart, all over the text.
fn branches(n: usize, alternately: bool) -> Prepared {
    let mut batches = Vec::new();
    for author in 0..2 {
        let (mut doc, mut dice) = (doc(author + 1), Random::new(author as u64));
        for turn in 0..n / 2 {
            batches.push(((if alternately { turn } else { 0 }, author), scribble(&mut doc, &mut dice)?));
        }
    }
    batches.sort_by_key(|(order, _)| *order);
    reading(batches.into_iter().map(|(_, batch)| batch).collect())
}

/// Two authors type apart, each in one place.
fn typing_alternately(n: usize) -> Prepared {
    let mut docs = [doc(1), doc(2)];
    let mut batches = Vec::new();
    for turn in 0..n {
        batches.push(insert(&mut docs[turn % 2], turn / 2, "a")?);
    }
    reading(batches)
}

fn typing_backwards(n: usize) -> Prepared {
    let mut doc = doc(1);
    let batches: Result<Vec<Batch>, EditError> = (0..n).map(|_| insert(&mut doc, 0, "a")).collect();
    reading(batches?)
}

/// As deep as maps may be inside one another, again and again.
fn nested_maps(n: usize) -> Prepared {
    Ok(Box::new(move || {
        let mut writer = doc(1);
        for top in 0..n {
            let mut handle = writer.change(|tx| tx.root().get_or_create(&format!("top {top}"), ContainerKind::Map))?;
            for _ in 0..100 {
                handle = writer.change(|tx| tx.map_at(handle)?.get_or_create("down", ContainerKind::Map))?;
            }
            writer.change(|tx| tx.map_at(handle)?.set("bottom", 1))?;
        }
        read(&[everything(&mut writer)])?.to_json();
        Ok(())
    }))
}

fn small_documents(n: usize) -> Prepared {
    Ok(Box::new(move || {
        for id in 0..n as u128 {
            let mut writer = doc(id + 100);
            for key in ["title", "state", "owner"] {
                writer.change(|tx| tx.map("meta").set(key, key))?;
            }
            writer.change(|tx| tx.text("t").push_str("a few words"))?;
            let saved = read(&[everything(&mut writer)])?.save();
            Doc::load(ReplicaId::from(1), &saved)?.to_json();
        }
        Ok(())
    }))
}

fn paste(n: usize) -> Prepared {
    let text = "0123456789abcdef".repeat(n / 16);
    Ok(Box::new(move || {
        let mut writer = doc(1);
        writer.change(|tx| tx.text("t").push_str(&text))?;
        read(&[everything(&mut writer)])?.text("t").to_string();
        Ok(())
    }))
}

fn delete_all(n: usize) -> Prepared {
    let (mut writer, mut dice, mut known) = (doc(1), Random::new(3), Vec::new());
    for _ in 0..n {
        let at = dice.index(writer.text("t").len());
        known.push(insert(&mut writer, at, "a")?);
    }
    let mut reader = read(&known)?;
    let handle = reader.text("t").handle().ok_or("a text")?;
    reader.blame(handle);
    Ok(Box::new(move || {
        let len = writer.text("t").len();
        let batch = edit(&mut writer, |tx| tx.text("t").delete(0, len))?;
        reader.import_batch(&batch)?;
        reader.blame(handle);
        Ok(())
    }))
}

fn wide_map(n: usize) -> Prepared {
    Ok(Box::new(move || {
        let mut writer = doc(1);
        for key in 0..n {
            writer.change(|tx| tx.root().set(&format!("key {}", key * 7919 % n), key as i64))?;
        }
        read(&[everything(&mut writer)])?.to_json();
        Ok(())
    }))
}

/// Two authors set one key, apart.
fn same_key(n: usize) -> Prepared {
    let mut batches = Vec::new();
    for author in 0..2 {
        let mut doc = doc(author + 1);
        for value in 0..n / 2 {
            batches.push(((value, author), edit(&mut doc, |tx| tx.root().set("key", value as i64))?));
        }
    }
    batches.sort_by_key(|(order, _)| *order);
    reading(batches.into_iter().map(|(_, batch)| batch).collect())
}

fn set_churn(n: usize) -> Prepared {
    let (mut doc, mut dice, mut batches) = (doc(1), Random::new(5), Vec::new());
    for _ in 0..n {
        let (added, removed) = (dice.index(100) as i64, dice.index(100) as i64);
        batches.push(edit(&mut doc, |tx| {
            tx.set("s").add(added)?;
            tx.set("s").remove(removed)
        })?);
    }
    reading(batches)
}

fn list_moves(n: usize) -> Prepared {
    let (mut writer, mut dice) = (doc(1), Random::new(6));
    for value in 0..n {
        writer.change(|tx| tx.list("l").push(value as i64))?;
    }
    Ok(Box::new(move || {
        for _ in 0..n {
            let (from, to) = (dice.index(n), dice.index(n));
            writer.change(|tx| tx.list("l").move_to(from, to))?;
        }
        read(&[everything(&mut writer)])?.to_json();
        Ok(())
    }))
}

fn tree_moves(n: usize) -> Prepared {
    let (mut writer, mut dice, mut nodes) = (doc(1), Random::new(7), Vec::<OpId>::new());
    for _ in 0..n {
        let parent = (dice.index(4) > 0 && !nodes.is_empty()).then(|| nodes[dice.index(nodes.len())]);
        nodes.push(writer.change(|tx| tx.tree("f").create(parent, 0))?);
    }
    Ok(Box::new(move || {
        for _ in 0..n {
            let (node, parent) = (nodes[dice.index(n)], nodes[dice.index(n)]);
            match writer.change(|tx| tx.tree("f").move_to(node, Some(parent), 0)) {
                Ok(()) | Err(EditError::WouldCycle { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        read(&[everything(&mut writer)]).map(drop)
    }))
}

fn undo_everything(n: usize) -> Prepared {
    let (mut doc, mut dice) = (doc(1), Random::new(8));
    let mut undo = UndoManager::new(&doc);
    for _ in 0..n {
        let (at, key) = (dice.index(doc.text("t").len()), format!("key {}", dice.index(50)));
        undo.change(&mut doc, |tx| {
            tx.text("t").insert(at, "ab")?;
            tx.root().set(&key, at as i64)
        })?;
    }
    Ok(Box::new(move || {
        while undo.undo(&mut doc)?.is_some() {}
        Ok(())
    }))
}

fn marks(n: usize) -> Prepared {
    let (mut writer, mut dice) = (doc(1), Random::new(9));
    writer.change(|tx| tx.text("t").push_str(&"word ".repeat(n)))?;
    let mut batches = vec![everything(&mut writer)];
    for _ in 0..n {
        let (at, key) = (dice.index(5 * n - 10), ["bold", "link", "comment"][dice.index(3)]);
        batches.push(edit(&mut writer, |tx| tx.text("t").mark(at..at + 10, key, at as i64, Expand::After))?);
    }
    Ok(Box::new(move || {
        read(&batches)?.text("t").runs();
        Ok(())
    }))
}

fn anchors(n: usize) -> Prepared {
    let (mut doc, mut dice) = (doc(1), Random::new(10));
    for _ in 0..n {
        scribble(&mut doc, &mut dice)?;
    }
    let handle = doc.text("t").handle().ok_or("a text")?;
    Ok(Box::new(move || {
        for _ in 0..n {
            let pos = dice.index(doc.text("t").len());
            let anchor = doc.anchor(handle, pos, Side::Before)?;
            insert(&mut doc, pos / 2, "x")?;
            doc.resolve(&anchor).ok_or("the place of the anchor")?;
        }
        Ok(())
    }))
}

fn save_and_open(n: usize) -> Prepared {
    let (mut writer, mut dice) = (doc(1), Random::new(11));
    for _ in 0..n {
        scribble(&mut writer, &mut dice)?;
    }
    Ok(Box::new(move || {
        let mut loaded = Doc::load(ReplicaId::from(2), &writer.save())?;
        insert(&mut loaded, 0, "x")?;
        loaded.save();
        if !loaded.verify()? {
            return Err("the state is not what the history makes".into());
        }
        Ok(())
    }))
}

/// Two authors meet now and then; somebody asks for everything in the end.
fn late_reader(n: usize) -> Prepared {
    let (mut docs, mut dice) = ([doc(1), doc(2)], Random::new(12));
    for turn in 0..n {
        scribble(&mut docs[turn % 2], &mut dice)?;
        if turn % 20 == 0 {
            let [a, b] = &mut docs;
            let (to_a, to_b) = (b.batch_since(&a.version()), a.batch_since(&b.version()));
            a.import_batch(&to_a)?;
            b.import_batch(&to_b)?;
        }
    }
    let [mut a, _] = docs;
    Ok(Box::new(move || {
        let update = a.export_since(&VersionVector::new());
        doc(99).import(&update)?;
        Ok(())
    }))
}

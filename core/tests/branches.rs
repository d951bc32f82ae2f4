//! Long branches, with moves, deletions and marks: however their changes arrive, the document is the same. Bug class A.

use selvedge::doc::Expand;
use selvedge::op::Batch;
use selvedge::{Doc, EditError, ReplicaId, VersionVector};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;
/// By author, in order.
type Written = Vec<Vec<Batch>>;

/// Edits of each author between two meetings: many more than what is looked at change by change.
const EDITS: usize = 150;

fn doc(id: u128) -> Doc {
    Doc::new(ReplicaId::from(id))
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

/// One edit somewhere in a text or a list, as a change of its own.
fn edit(doc: &mut Doc, dice: &mut Dice) -> Result<Batch, EditError> {
    let (chars, slots) = (doc.text("t").len(), doc.list("l").len());
    let (pos, slot) = (dice.below(chars), dice.below(slots));
    doc.change(|tx| match dice.below(8) {
        0 if chars > 4 => tx.text("t").delete(pos, (chars - pos).min(3)),
        1 if chars > 4 => tx.text("t").mark(pos..chars, ["bold", "link"][pos % 2], pos as i64, Expand::After),
        2 | 3 => tx.text("t").insert(pos, "abc"),
        4 if slots > 1 => tx.list("l").move_to(slot, dice.below(slots)),
        5 if slots > 1 => tx.list("l").delete(slot, 1),
        6 if slots > 1 => tx.list("l").set(slot, pos as i64),
        _ => tx.list("l").insert(slot, slot as i64),
    })?;
    Ok(doc.take_batch())
}

/// What three authors write who meet now and then, not all of them each time.
fn history() -> Fallible<([Doc; 3], Written)> {
    let (mut docs, mut batches, mut dice) = ([doc(1), doc(2), doc(3)], vec![Vec::new(); 3], Dice(7));
    for round in 0..3 {
        for (doc, written) in docs.iter_mut().zip(&mut batches) {
            for _ in 0..EDITS {
                written.push(edit(doc, &mut dice)?);
            }
        }
        for (from, to) in [(0, 1), (1, 2), (2, 0)].into_iter().filter(|(from, _)| *from != round) {
            let news = docs[from].batch_since(&docs[to].version());
            docs[to].import_batch(&news)?;
        }
    }
    Ok((docs, batches))
}

fn read<'a>(batches: impl Iterator<Item = &'a Batch>) -> Fallible<Doc> {
    let mut reader = doc(9);
    for batch in batches {
        assert_eq!(reader.import_batch(batch)?.invalid, []);
    }
    Ok(reader)
}

#[test]
fn in_turns_or_one_after_the_other_they_make_the_same_document() -> Fallible<()> {
    let (mut docs, batches) = history()?;
    let everything: Vec<Batch> = docs.iter_mut().map(|doc| doc.batch_since(&VersionVector::new())).collect();
    let mut whole = read(everything.iter())?;
    let in_turns = (0..3 * EDITS).flat_map(|turn| batches.iter().map(move |written| &written[turn]));
    let backwards = (0..3 * EDITS).flat_map(|turn| batches.iter().rev().map(move |written| &written[turn]));
    let in_blocks = (0..3 * EDITS / 25)
        .flat_map(|block| batches.iter().flat_map(move |written| &written[25 * block..25 * (block + 1)]));
    for mut reader in [read(in_turns)?, read(backwards)?, read(in_blocks)?] {
        assert_eq!(reader.version(), whole.version());
        assert_eq!(reader.to_json(), whole.to_json());
        assert_eq!(reader.text("t").runs(), whole.text("t").runs());
        for kind in ["t", "l"] {
            let handle = if kind == "t" { reader.text(kind).handle() } else { reader.list(kind).handle() };
            let other = if kind == "t" { whole.text(kind).handle() } else { whole.list(kind).handle() };
            let (a, b) = (reader.blame(handle.ok_or("it exists")?), whole.blame(other.ok_or("it exists")?));
            assert_eq!(a, b, "{kind}");
        }
        assert!(reader.verify()?);
    }
    Ok(())
}

//! Bug class C: random and damaged bytes to every decoder of a document, with the checksum made right. No panic, a failed
//! import leaves the document as it was, and the document can be used afterwards whatever happened.

use selvedge::op::{Batch, LogHead, LogNames};
use selvedge::{Doc, ReplicaId, VersionVector};
use selvedge_fuzz::arbitrary::{Hostile, check};
use selvedge_fuzz::bytes::{document, exercise, feed, fix_checksum, mutate, update};
use selvedge_fuzz::script::{World, split};

/// The payload of a script's document, and the replica that wrote first.
fn payload(case: &Hostile) -> Result<Vec<u8>, String> {
    let mut world = World::new(&case.script);
    world.run(&case.script)?;
    world.settle()?;
    Ok(world.replicas[0].doc.batch_since(&VersionVector::new()).encode())
}

/// A document that knows the first half of a script's changes.
fn half(good: &[u8]) -> Result<Doc, String> {
    let mut doc = Doc::new(ReplicaId::from(7));
    let batch = Batch::decode(good).map_err(|error| error.to_string())?;
    let singles = split(&batch);
    for batch in &singles[..singles.len() / 2] {
        doc.import_batch(batch).map_err(|error| error.to_string())?;
    }
    Ok(doc)
}

fn damaged_updates(case: &Hostile) -> Result<(), String> {
    let good = payload(case)?;
    let mut bad = good.clone();
    mutate(&mut bad, &case.mutations);
    let mut doc = half(&good)?;
    feed(&mut doc, &update(&bad))?;
    feed(&mut doc, &update(&case.noise))?;
    // What came in must not keep the real changes out, but for logs in which it took their place.
    doc.import(&update(&good)).map_err(|error| format!("the real changes are refused afterwards: {error}"))?;
    exercise(&mut doc)?;
    let mut envelope = update(&good);
    mutate(&mut envelope, &case.mutations);
    fix_checksum(&mut envelope);
    feed(&mut half(&good)?, &envelope)
}

#[test]
fn damaged_updates_harm_nobody() {
    check(2_000, damaged_updates);
}

fn damaged_documents(case: &Hostile) -> Result<(), String> {
    let mut bad = payload(case)?;
    mutate(&mut bad, &case.mutations);
    // A saved file, whose first block is the finished state.
    let mut world = World::new(&case.script);
    world.run(&case.script)?;
    let mut saved = world.replicas[0].doc.save();
    mutate(&mut saved, &case.mutations);
    fix_checksum(&mut saved);
    for bytes in [document(&bad), document(&case.noise), case.noise.clone(), saved] {
        let Ok(mut doc) = Doc::load(ReplicaId::from(7), &bytes) else { continue };
        // A state may be of another history than the one behind it: that is told when the history is read.
        if doc.verify() == Ok(true) {
            exercise(&mut doc)?;
        }
    }
    Ok(())
}

#[test]
fn damaged_documents_load_or_fail() {
    check(2_000, damaged_documents);
}

/// Changes one by one with damage inside, so that headers and bodies are reached; a failed read moves nothing.
fn damaged_changes(case: &Hostile) -> Result<(), String> {
    let good = Batch::decode(&payload(case)?).map_err(|error| error.to_string())?;
    for segment in &good.segments {
        let (mut head, mut names) = (LogHead::default(), LogNames::default());
        for change in segment.changes().map_while(Result::ok) {
            let mut bad = change.to_vec();
            mutate(&mut bad, &case.mutations);
            for bytes in [&bad, &case.noise] {
                let mut bad_head = head.clone();
                match bad_head.read(bytes) {
                    Err(_) if bad_head != head => return Err("a failed read moved the head".to_owned()),
                    Err(_) => {}
                    Ok(header) => {
                        let mut bad_names = names.clone();
                        if bad_names.read(header.ops, header.body(bytes)).is_err() && bad_names != names {
                            return Err("a failed read moved the names".to_owned());
                        }
                    }
                }
            }
            for ops in [0, 1, u64::from(u32::MAX)] {
                let mut bad_names = names.clone();
                if bad_names.read(ops, &case.noise).is_err() && bad_names != names {
                    return Err("a failed read of noise moved the names".to_owned());
                }
            }
            let header = head.read(change).map_err(|error| error.to_string())?;
            names.read(header.ops, header.body(change)).map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

#[test]
fn damaged_changes_are_read_or_refused() {
    check(2_000, damaged_changes);
}

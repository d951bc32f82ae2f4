//! Histories taken apart into columns and put together again: every byte comes back, and damaged columns give an error
//! or other changes, but no panic. Bug class C.

use selvedge::codec::{Reader, inflate};
use selvedge::op::{Batch, Segment, columns};
use selvedge_fuzz::arbitrary::{Hostile, check};
use selvedge_fuzz::bytes::mutate;
use selvedge_fuzz::forge::Recipe;
use selvedge_fuzz::script::World;

fn round_trip(segments: &[Segment]) -> Result<Vec<u8>, String> {
    let bytes = columns::encode(segments);
    let decoded = columns::decode(&bytes).map_err(|error| format!("{segments:?}: {error}"))?;
    if decoded == segments { Ok(bytes) } else { Err(format!("{segments:?} came back as {decoded:?}")) }
}

/// The same logs without their first changes, of which `skip` says how many.
fn later(batch: &Batch, skip: impl Fn(usize) -> usize) -> Result<Vec<Segment>, String> {
    let mut segments = Vec::new();
    for (index, segment) in batch.segments.iter().enumerate() {
        let mut first = Segment::new(segment.replica, segment.first_seq);
        let mut rest = first.clone();
        for (number, change) in segment.changes().enumerate() {
            let change = change.map_err(|error| error.to_string())?;
            if number < skip(index) { &mut first } else { &mut rest }.push(change);
        }
        rest.first_seq = first.end().map_err(|error| error.to_string())?;
        if !rest.frames.is_empty() {
            segments.push(rest);
        }
    }
    Ok(segments)
}

fn every_part(batch: &Batch) -> Result<(), String> {
    round_trip(&batch.segments)?;
    for skip in 1..4 {
        round_trip(&later(batch, |_| skip)?)?;
        round_trip(&later(batch, |index| if index % 2 == 0 { skip } else { 0 })?)?;
    }
    Ok(())
}

#[test]
fn forged_histories_come_back() {
    check(2_000, |recipe: &Recipe| every_part(&recipe.forge()));
}

/// The history of a script.
fn history(case: &Hostile) -> Result<Batch, String> {
    let mut world = World::new(&case.script);
    world.run(&case.script)?;
    world.settle()?;
    Ok(world.replicas[0].doc.batch_since(&selvedge::VersionVector::new()))
}

#[test]
fn histories_come_back_whatever_is_damaged_in_them() {
    check(1_000, |case: &Hostile| {
        let batch = history(case)?;
        every_part(&batch)?;
        let mut segments = batch.segments;
        for segment in &mut segments {
            let changes: Vec<_> = segment.changes().map_while(Result::ok).map(<[u8]>::to_vec).collect();
            segment.frames.clear();
            for mut change in changes {
                mutate(&mut change, &case.mutations);
                segment.push(&change);
            }
        }
        segments.retain(|segment| !segment.frames.is_empty());
        round_trip(&segments).map(drop)
    });
}

/// An encoding whose columns are as they are, made from one that is deflated in one piece.
fn opened(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    if reader.u64("padding and form") != Ok(1) {
        return None;
    }
    let len = reader.u64("length").ok()? as usize;
    Some([vec![0], inflate(reader.rest(), len)?].concat())
}

#[test]
fn damaged_columns_are_read_or_refused() {
    check(2_000, |case: &Hostile| {
        let bytes = columns::encode(&history(case)?.segments);
        let bytes = opened(&bytes).unwrap_or(bytes);
        let mut bad = bytes.clone();
        mutate(&mut bad, &case.mutations);
        for bytes in [&bad, &case.noise] {
            if let Ok(segments) = columns::decode(bytes) {
                round_trip(&segments)?;
            }
        }
        let cut = (0..bytes.len()).find(|cut| columns::decode(&bytes[..*cut]).is_ok());
        cut.map_or(Ok(()), |cut| Err(format!("the first {cut} of {} bytes are enough", bytes.len())))
    });
}

//! What must hold of every script once everybody has heard everything.

use selvedge::op::Batch;
use selvedge::{Doc, ReplicaId, VersionVector};

use crate::rich;
use crate::script::{Script, World, split};
use crate::spec::Spec;

/// Runs a script and checks everything that must hold at its end.
///
/// # Errors
/// What does not hold, in words.
pub fn check(script: &Script) -> Result<(), String> {
    let mut world = World::new(script);
    world.run(script)?;
    world.settle()?;
    replicas_agree(&mut world)?;
    anchors_agree(&mut world)?;
    matches_specification(&mut world)?;
    saves_are_whole(&mut world)?;
    any_order_will_do(&mut world)
}

/// Everybody finds every anchor, at one place.
fn anchors_agree(world: &mut World) -> Result<(), String> {
    let wanted = world.positions(0);
    if wanted.contains(&None) {
        return Err(format!("an anchor is lost: {wanted:?}"));
    }
    match (1..world.replicas.len()).find(|replica| world.positions(*replica) != wanted) {
        None => Ok(()),
        Some(other) => Err(format!("anchors are at {wanted:?} and at {:?}", world.positions(other))),
    }
}

/// All replicas are equal: JSON, version, digests of the logs; nothing waits; views follow.
fn replicas_agree(world: &mut World) -> Result<(), String> {
    let mut states = Vec::new();
    for (number, replica) in world.replicas.iter_mut().enumerate() {
        replica.check_view().map_err(|error| format!("the view of replica {number}: {error}"))?;
        let doc = &mut replica.doc;
        let waiting = doc.import_batch(&Batch::default()).map_err(|error| error.to_string())?.pending_bytes;
        if waiting > 0 {
            return Err(format!("{waiting} bytes wait at replica {number} although everybody has told everything"));
        }
        let mut logs = doc.log_states();
        logs.sort_by_key(|log| log.replica);
        states.push((rich::to_json(doc), doc.version(), logs));
    }
    match states.windows(2).position(|pair| pair[0] != pair[1]) {
        None => Ok(()),
        Some(at) => Err(format!("replicas {at} and {} differ: {:?} and {:?}", at + 1, states[at], states[at + 1])),
    }
}

fn matches_specification(world: &mut World) -> Result<(), String> {
    let doc = &mut world.replicas[0].doc;
    let spec = Spec::read(&doc.batch_since(&VersionVector::new()))?;
    if !spec.invalid().is_empty() {
        return Err(format!("the specification calls operations of ours invalid: {:?}", spec.invalid()));
    }
    if spec.to_json() != doc.to_json() {
        return Err(format!("the document is {}, the specification says {}", doc.to_json(), spec.to_json()));
    }
    let (wanted, got) = (spec.to_rich_json(), rich::to_json(doc));
    if wanted == got { Ok(()) } else { Err(format!("the document is {got}, the specification says {wanted}")) }
}

/// Loading a save gives the same document, and saving that gives the same bytes; equal copies export equal bytes,
/// and the state in them is what the history behind it leads to.
fn saves_are_whole(world: &mut World) -> Result<(), String> {
    let saves: Vec<Vec<u8>> = world.replicas.iter_mut().map(|replica| replica.doc.save()).collect();
    for (number, saved) in saves.iter().enumerate() {
        let loaded = Doc::load(ReplicaId::from(1), saved);
        let mut loaded = loaded.map_err(|error| format!("the save of replica {number} cannot be loaded: {error}"))?;
        if loaded.save() != *saved {
            return Err(format!("saving what replica {number} saved gives other bytes"));
        }
        let original = &world.replicas[number].doc;
        if (rich::to_json(&loaded), loaded.version()) != (rich::to_json(original), original.version()) {
            return Err(format!("replica {number} was {}, loads as {}", original.to_json(), loaded.to_json()));
        }
    }
    let whole: Vec<Vec<u8>> = world.replicas.iter_mut().map(|replica| replica.doc.export_all()).collect();
    if whole.windows(2).any(|pair| pair[0] != pair[1]) {
        return Err("equal copies export different bytes".to_owned());
    }
    let mut newcomer = Doc::new(ReplicaId::from(1));
    newcomer.import(&whole[0]).map_err(|error| format!("an export cannot be imported: {error}"))?;
    if newcomer.to_json() != world.replicas[0].doc.to_json() {
        return Err("an export shows something else".to_owned());
    }
    match newcomer.verify() {
        Ok(true) if newcomer.to_json() == world.replicas[0].doc.to_json() => Ok(()),
        Ok(_) => Err("a state disagrees with the history that it came with".to_owned()),
        Err(error) => Err(format!("a history cannot be read: {error}")),
    }
}

/// A fresh copy that hears single changes, backwards and from the middle, some of them twice, becomes equal.
fn any_order_will_do(world: &mut World) -> Result<(), String> {
    let doc = &mut world.replicas[0].doc;
    let singles = split(&doc.batch_since(&VersionVector::new()));
    let middle = singles.len() / 2;
    let backwards = singles.iter().rev();
    let inside_out = singles[middle..].iter().chain(&singles[..middle]).chain(&singles[middle..]);
    let orders: [Vec<&Batch>; 2] = [backwards.collect(), inside_out.collect()];
    for (order, batches) in orders.into_iter().enumerate() {
        let mut copy = Doc::new(ReplicaId::from(1));
        for batch in batches {
            copy.import_batch(batch).map_err(|error| format!("a single change was refused: {error}"))?;
        }
        if (rich::to_json(&copy), copy.version()) != (rich::to_json(doc), doc.version()) {
            return Err(format!("order {order} gives {} instead of {}", rich::to_json(&copy), rich::to_json(doc)));
        }
    }
    Ok(())
}

//! A branch under its alias shows what it showed: any change of any history is the first of a branch. Bug class B.
//!
//! Bounded counters are left out: rights from before a fork stay with the id.

use selvedge::{ContainerKind, Doc, ReplicaId, VersionVector};
use selvedge_fuzz::arbitrary::check;
use selvedge_fuzz::script::{Action, Edit, Script, World};
use selvedge_fuzz::spec::Spec;

fn without_rights(script: &Script) -> Script {
    let without = |edits: &[Edit]| {
        let kept = edits.iter().filter(|edit| edit.what.kind() != ContainerKind::BoundedCounter);
        kept.cloned().collect()
    };
    let actions = script.actions.iter().map(|action| match action {
        Action::Edit { replica, edits } => Action::Edit { replica: *replica, edits: without(edits) },
        Action::Fork { replica, at, edits } => Action::Fork { replica: *replica, at: *at, edits: without(edits) },
        other => other.clone(),
    });
    Script { replicas: script.replicas, actions: actions.collect() }
}

/// What a document shows, without the names of tree nodes: those that moved have others.
fn shown(doc: &Doc) -> String {
    let json = doc.to_json().to_string();
    let mut names: Vec<&str> = Vec::new();
    let parts = json.split('"').map(|part| {
        let id = part.split_once('@').filter(|(_, id)| id.len() == 32 && id.parse::<ReplicaId>().is_ok());
        if id.is_none() {
            return part.to_owned();
        }
        let at = names.iter().position(|known| *known == part).unwrap_or(names.len());
        names.resize(names.len().max(at + 1), part);
        format!("node {at}")
    });
    parts.collect::<Vec<_>>().join("\"")
}

fn branches_show_what_they_showed(script: &Script) -> Result<(), String> {
    let script = without_rights(script);
    let mut world = World::new(&script);
    world.run(&script)?;
    world.settle()?;
    let count = world.replicas[0].doc.changes().len();
    let picks = [0, count / 3, count / 2, count.saturating_sub(1)];
    for pick in picks.into_iter().filter(|_| count > 0) {
        let mut histories = Vec::new();
        for replica in world.replicas.iter_mut().take(2) {
            // The copies have the same changes in different orders.
            let mut ids: Vec<_> = replica.doc.changes().into_iter().map(|change| change.id).collect();
            ids.sort();
            let at = ids[pick];
            let before = shown(&replica.doc);
            let healed = replica.doc.heal(&[at], ReplicaId::from(1));
            let mut healed = healed.map_err(|error| format!("{at:?}: {error}"))?.doc;
            let after = shown(&healed);
            if after != before {
                return Err(format!("from {at:?} on under an alias: {after} instead of {before}"));
            }
            let history = healed.batch_since(&VersionVector::new());
            let wanted = Spec::read(&history)?.to_json();
            if healed.to_json() != wanted {
                return Err(format!("from {at:?} on: {} instead of {wanted}", healed.to_json()));
            }
            histories.push(history);
        }
        if histories[0] != histories[1] {
            return Err("two copies with one history have aliases with other bytes".to_owned());
        }
    }
    Ok(())
}

#[test]
fn every_branch_shows_under_its_alias_what_it_showed() {
    check(500, branches_show_what_they_showed);
}

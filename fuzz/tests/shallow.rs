//! States against replays, over random scripts with every kind of container: what opens from a state, with or without the
//! history behind it, is what a replay makes, and stays so while both are edited and merged. Bug classes A, D and F.

use selvedge::doc::Side;
use selvedge::op::Batch;
use selvedge::{ContainerKind, Doc, Handle, ReplicaId, VersionVector};
use selvedge_fuzz::arbitrary::check;
use selvedge_fuzz::bytes::exercise;
use selvedge_fuzz::rich;
use selvedge_fuzz::script::{Script, World, split};

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// A document made by replaying.
fn replayed(batch: &Batch) -> Result<Doc, String> {
    let mut doc = Doc::new(ReplicaId::from(0xbeef));
    doc.import_batch(batch).map_err(text)?;
    Ok(doc)
}

/// Two copies show the same, tell the same conflicts and anchors, and have equal digests.
fn same(when: &str, a: &mut Doc, b: &mut Doc) -> Result<(), String> {
    let (left, right) = (rich::to_json(a), rich::to_json(b));
    if left != right {
        return Err(format!("{when}: {left} is not {right}"));
    }
    if a.log_states() != b.log_states() {
        return Err(format!("{when}: the logs differ"));
    }
    let handles: Vec<Handle> = (0..).map_while(|number| a.handle(number)).collect();
    for handle in handles {
        let len = match a.kind(handle) {
            ContainerKind::Text => a.text_at(handle).len(),
            ContainerKind::List => a.list_at(handle).len(),
            _ => continue,
        };
        for (pos, side) in (0..=len).flat_map(|pos| [(pos, Side::Before), (pos, Side::After)]) {
            let anchor = a.anchor(handle, pos, side).map_err(text)?;
            let (here, there) = (a.resolve(&anchor), b.resolve(&anchor));
            if here.map(|at| at.index) != there.map(|at| at.index) && a.path(handle).is_some() {
                return Err(format!("{when}: an anchor is at {here:?} and at {there:?}"));
            }
        }
    }
    Ok(())
}

/// What is written on one copy is heard by the other, in both directions, and changes both alike.
fn go_on(when: &str, a: &mut Doc, b: &mut Doc) -> Result<(), String> {
    for round in 0..2 {
        exercise(a).map_err(|error| format!("{when}, round {round}: {error}"))?;
        exercise(b).map_err(|error| format!("{when}, round {round}: {error}"))?;
        let (from_a, from_b) = (a.batch_since(&b.version()), b.batch_since(&a.version()));
        for batch in split(&from_a) {
            b.import_batch(&batch).map_err(text)?;
        }
        let imported = a.import_batch(&from_b).map_err(text)?;
        if !imported.invalid.is_empty() || !imported.before_base.is_empty() || imported.pending_bytes > 0 {
            return Err(format!("{when}, round {round}: {imported:?}"));
        }
        same(when, a, b)?;
    }
    Ok(())
}

/// Conflicts, times, what moved and who deleted: all that is in a state is equal if the states are.
fn equal_bases(a: &mut Doc, b: &mut Doc) -> Result<(), String> {
    let now = a.version();
    let (left, right) = (a.save_shallow(&now).map_err(text)?, b.save_shallow(&now).map_err(text)?);
    if left == right { Ok(()) } else { Err("equal documents have different states".to_owned()) }
}

fn states(script: &Script) -> Result<(), String> {
    let mut world = World::new(script);
    let (first, second) = script.actions.split_at(script.actions.len() / 2);
    let mut versions = vec![VersionVector::new()];
    for actions in [first, second] {
        world.run(&Script { actions: actions.to_vec(), ..script.clone() })?;
        versions.push(world.replicas[1].doc.version());
        // Everybody is at one place now and then: that is where a base can be.
        world.settle()?;
        versions.push(world.replicas[0].doc.version());
    }
    let doc = &mut world.replicas[0].doc;
    let whole = doc.batch_since(&VersionVector::new());
    let saved = replayed(&whole)?.save();
    for (number, version) in versions.iter().enumerate() {
        let id = |copy: u128| ReplicaId::from(1000 + 10 * number as u128 + copy);
        let mut loaded = Doc::load(id(0), &saved).map_err(text)?;
        let mut shallow = Doc::load(id(1), &loaded.save_shallow(version).map_err(text)?).map_err(text)?;
        let mut reference = replayed(&whole)?.fork_at(&doc.version(), id(2)).map_err(text)?;
        let mut opened = Doc::load(id(0), &saved).map_err(text)?;
        same("opened", &mut opened, &mut reference)?;
        if Doc::load(id(0), &saved).map_err(text)?.verify() != Ok(true) {
            return Err("the state in the save is not what its history leads to".to_owned());
        }
        same("opened shallow", &mut shallow, &mut reference)?;
        let base = shallow.base_version();
        if !version.includes(&base) {
            return Err(format!("the base {base:?} is not within {version:?}"));
        }
        for version in [&base, version, &doc.version()] {
            let (here, there) = (shallow.checkout(version).map_err(text)?, reference.checkout(version).map_err(text)?);
            if rich::to_json(&here) != rich::to_json(&there) {
                return Err(format!("at {version:?}: {} is not {}", rich::to_json(&here), rich::to_json(&there)));
            }
        }
        go_on("opened shallow", &mut shallow, &mut reference)?;
        equal_bases(&mut shallow, &mut reference)?;
        let again = shallow.save();
        same("saved again", &mut Doc::load(id(4), &again).map_err(text)?, &mut shallow)?;
        let newer = shallow.version();
        let mut later = Doc::load(id(5), &shallow.save_shallow(&newer).map_err(text)?).map_err(text)?;
        go_on("a newer base", &mut later, &mut reference)?;
        let mut loaded = Doc::load(id(3), &saved).map_err(text)?;
        loaded.import_batch(&reference.batch_since(&loaded.version())).map_err(text)?;
        go_on("opened", &mut loaded, &mut reference)?;
    }
    Ok(())
}

#[test]
fn what_opens_from_a_state_is_what_a_replay_makes_and_stays_so() {
    check(150, states);
}

//! The laws of merging, per type: three branches that know nothing of each other, merged in every way. Bug class A.

use selvedge::op::Batch;
use selvedge::{ContainerKind, Doc, ReplicaId, VersionVector};
use selvedge_fuzz::arbitrary::{Branches, check};
use selvedge_fuzz::rich;
use selvedge_fuzz::script::{Action, Script, World};

/// The four histories: what everybody knows, and what each branch adds (with what everybody knows).
fn histories(branches: &Branches) -> Result<Vec<Batch>, String> {
    let mut actions = vec![Action::Edit { replica: 0, edits: branches.0[0].clone() }];
    actions.extend((1..4).map(|to| Action::Send { from: 0, to, changes: None }));
    for (replica, edits) in (1..4).zip(&branches.0[1..]) {
        // Each edit in a change of its own.
        let single = |edit| Action::Edit { replica, edits: vec![edit] };
        for edit in edits.iter().cloned() {
            actions.extend([single(edit), Action::Cut { replica }]);
        }
    }
    let script = Script { replicas: 4, actions };
    let mut world = World::new(&script);
    world.run(&script)?;
    Ok(world.replicas.iter_mut().map(|replica| replica.doc.batch_since(&VersionVector::new())).collect())
}

fn merged(batches: &[&Batch]) -> Result<Doc, String> {
    let mut doc = Doc::new(ReplicaId::from(1));
    for batch in batches {
        let before = doc.version();
        doc.import_batch(batch).map_err(|error| error.to_string())?;
        if !doc.version().includes(&before) {
            return Err("a merge forgot something".to_owned());
        }
    }
    Ok(doc)
}

fn same(law: &str, a: &mut Doc, b: &mut Doc) -> Result<(), String> {
    if rich::to_json(a) != rich::to_json(b) {
        return Err(format!("{law}: {} is not {}", rich::to_json(a), rich::to_json(b)));
    }
    if a.save() == b.save() { Ok(()) } else { Err(format!("{law}: equal to read, saved differently")) }
}

fn laws(branches: &Branches) -> Result<(), String> {
    let histories = histories(branches)?;
    let [x, y, z] = [&histories[1], &histories[2], &histories[3]];
    let all = |doc: &mut Doc| doc.batch_since(&VersionVector::new());
    let mut reference = merged(&[x, y, z])?;
    for order in [[x, z, y], [y, x, z], [y, z, x], [z, x, y], [z, y, x]] {
        same("commutative", &mut reference, &mut merged(&order)?)?;
    }
    let (mut xy, mut yz) = (merged(&[x, y])?, merged(&[y, z])?);
    let (xy, yz) = (all(&mut xy), all(&mut yz));
    same("associative", &mut merged(&[&xy, z])?, &mut merged(&[x, &yz])?)?;
    same("idempotent", &mut reference, &mut merged(&[x, x, y, z, y, x, &xy, &yz])?)?;
    let known = all(&mut reference);
    let again = reference.import_batch(&known).map_err(|error| error.to_string())?;
    if again.changes > 0 { Err("a document is news to itself".to_owned()) } else { Ok(()) }
}

macro_rules! per_type {
    ($($name:ident, $kind:ident;)*) => { $(
        #[test]
        fn $name() {
            #[derive(Clone, Debug, serde::Serialize)]
            struct Case(Branches);
            impl quickcheck::Arbitrary for Case {
                fn arbitrary(g: &mut quickcheck::Gen) -> Self {
                    Self(Branches::of(g, ContainerKind::$kind))
                }
                fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
                    Box::new(quickcheck::Arbitrary::shrink(&self.0).map(Self))
                }
            }
            check::<Case>(500, |case| laws(&case.0));
        }
    )* };
}

per_type! {
    maps_obey_the_laws, Map;
    lists_obey_the_laws, List;
    texts_obey_the_laws, Text;
    registers_obey_the_laws, Register;
    counters_obey_the_laws, Counter;
    sets_obey_the_laws, Set;
    trees_obey_the_laws, Tree;
    bounded_counters_obey_the_laws, BoundedCounter;
    remove_wins_sets_obey_the_laws, RemoveWinsSet;
}

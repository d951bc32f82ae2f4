//! Undoing everything leaves exactly what others wrote: the specification, told to leave one replica's operations out,
//! shows the same document. Bug class F.
//!
//! Texts and lists only: what a register showed before is chosen by clocks among values that may be gone by now.

use selvedge::{ContainerKind, VersionVector};
use selvedge_fuzz::arbitrary::check;
use selvedge_fuzz::script::{Action, Edit, Script, What, World};
use selvedge_fuzz::spec::Spec;

/// Whether an edit inserts into or deletes from the text or list in the root.
fn counts(edit: &Edit) -> bool {
    let insertion_or_deletion = matches!(
        edit.what,
        What::TextInsert { .. }
            | What::TextDelete { .. }
            | What::TextInsertUtf16 { .. }
            | What::TextDeleteUtf16 { .. }
            | What::ListInsert { .. }
            | What::ListDelete { .. }
    );
    debug_assert!(!insertion_or_deletion || matches!(edit.what.kind(), ContainerKind::Text | ContainerKind::List));
    insertion_or_deletion
}

fn only_sequences(script: &Script) -> Script {
    let actions = script.actions.iter().filter_map(|action| match action.clone() {
        Action::Edit { replica, mut edits } => {
            edits.retain(counts);
            Some(Action::Edit { replica, edits })
        }
        Action::Undo { .. } | Action::Redo { .. } | Action::SaveLoad { .. } | Action::Init { .. } => None,
        Action::Fork { .. } | Action::Fail { .. } => None,
        other => Some(other),
    });
    Script { replicas: script.replicas, actions: actions.collect() }
}

fn undo_leaves_the_others(script: &Script) -> Result<(), String> {
    let script = only_sequences(script);
    let mut world = World::new(&script);
    world.run(&script)?;
    world.settle()?;
    for replica in &mut world.replicas {
        let history = replica.doc.batch_since(&VersionVector::new());
        let wanted = Spec::read(&history)?.without(replica.doc.replica()).to_json();
        while replica.undo.undo(&mut replica.doc).map_err(|error| error.to_string())?.is_some() {}
        replica.check_view()?;
        let got = replica.doc.to_json();
        if got != wanted {
            return Err(format!("undoing everything leaves {got} instead of {wanted}"));
        }
    }
    Ok(())
}

#[test]
fn undoing_everything_leaves_what_others_wrote() {
    check(2_000, undo_leaves_the_others);
}

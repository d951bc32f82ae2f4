//! Shallow saves from the outside: what opens without its older history can do everything but reach back, and says so.

use selvedge::doc::{Expand, Side, VersionError};
use selvedge::{Doc, OpId, Patch, ReplicaId, UndoManager, VersionVector};
use serde_json::json;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn doc(id: u128) -> Doc {
    Doc::new(ReplicaId::from(id))
}

/// Two authors who took turns; the version after each turn.
fn history() -> Result<(Doc, Vec<VersionVector>), Box<dyn std::error::Error>> {
    let (mut a, mut b) = (doc(1), doc(2));
    let mut versions = Vec::new();
    for turn in 0..6 {
        let (me, you) = if turn % 2 == 0 { (&mut a, &mut b) } else { (&mut b, &mut a) };
        me.change(|tx| {
            tx.text("t").insert(turn / 2, "abc")?;
            tx.text("t").delete(0, 1)?;
            tx.text("t").mark(0..2, "bold", turn as i64, Expand::After)?;
            tx.list("l").insert(0, turn as i64)?;
            let node = tx.tree("n").create(None, 0)?;
            tx.tree("n").map(node)?.set("turn", turn as i64)?;
            tx.root().set("turn", turn as i64)
        })?;
        me.commit(Some("a turn"));
        you.import(&me.export_since(&you.version()))?;
        versions.push(you.version());
    }
    Ok((a, versions))
}

#[test]
fn it_opens_edits_merges_and_sends_to_who_has_the_base() -> Outcome {
    let (mut whole, versions) = history()?;
    let mut shallow = Doc::load(ReplicaId::from(3), &whole.save_shallow(&versions[3])?)?;
    assert_eq!((shallow.to_json(), shallow.base_version()), (whole.to_json(), versions[3].clone()));
    assert_eq!(shallow.log_states(), whole.log_states(), "digests go on from those at the base");
    // Concurrent edits, in a text that is half deleted, in both directions.
    whole.change(|tx| tx.text("t").insert(1, "<whole>"))?;
    shallow.change(|tx| tx.text("t").insert(1, "<shallow>"))?;
    shallow.change(|tx| tx.list("l").move_to(0, 2))?;
    let (there, back) = (shallow.export_since(&whole.version()), whole.export_since(&shallow.version()));
    whole.import(&there)?;
    shallow.import(&back)?;
    assert_eq!((shallow.to_json(), shallow.log_states()), (whole.to_json(), whole.log_states()));
    // A peer that has the base gets the rest from the shallow document alone.
    let mut peer = whole.fork_at(&versions[3], ReplicaId::from(4))?;
    shallow.reaches(&peer.version())?;
    assert_eq!(peer.import(&shallow.export_since(&peer.version()))?.pending_bytes, 0);
    assert_eq!(peer.to_json(), whole.to_json());
    Ok(())
}

#[test]
fn what_lies_before_the_base_is_refused_by_name() -> Outcome {
    let (mut whole, versions) = history()?;
    let mut shallow = Doc::load(ReplicaId::from(3), &whole.save_shallow(&versions[3])?)?;
    let (replica, base) = versions[3].iter().next().ok_or("it is not empty")?;
    let refused = VersionError::BeforeBase { replica, end: versions[1].end(replica), base };
    assert_eq!(shallow.checkout(&versions[1]).map(drop), Err(refused.clone()));
    assert_eq!(shallow.diff(&versions[1], &versions[4]).map(drop), Err(refused.clone()));
    assert_eq!(shallow.fork_at(&versions[1], ReplicaId::from(9)).map(drop), Err(refused.clone()));
    assert_eq!(shallow.save_shallow(&versions[1]), Err(refused.clone()));
    assert_eq!(shallow.reaches(&versions[1]), Err(refused.clone()));
    assert!(refused.to_string().contains(&replica.to_string()), "{refused}");
    // From the base on, everything is there.
    for version in &versions[3..] {
        let (here, there) = (shallow.checkout(version)?.to_json(), whole.checkout(version)?.to_json());
        assert_eq!(here, there);
        let mut fork = shallow.fork_at(version, ReplicaId::from(9))?;
        fork.change(|tx| tx.text("t").push_str("!"))?;
        assert_eq!(fork.base_version(), versions[3]);
    }
    // Handles differ between copies, and with them the order of the patches.
    let told = |patches: Vec<Patch>| {
        let mut told: Vec<_> = patches.into_iter().map(|patch| format!("{:?} {:?}", patch.path, patch.kind)).collect();
        told.sort();
        told
    };
    let (here, there) = (shallow.diff(&versions[3], &versions[5])?, whole.diff(&versions[3], &versions[5])?);
    assert!(!here.is_empty());
    assert_eq!(told(here), told(there));
    assert_eq!(shallow.changes().len(), 2);
    assert_eq!(shallow.change_of(OpId { replica, seq: 0 }), None);
    Ok(())
}

#[test]
fn blame_knows_the_author_of_what_is_older_and_nothing_else() -> Outcome {
    let mut whole = doc(1);
    whole.change(|tx| tx.text("t").push_str("old"))?;
    let version = whole.version();
    whole.change(|tx| tx.text("t").push_str("new"))?;
    whole.commit(Some("the second"));
    let mut shallow = Doc::load(ReplicaId::from(3), &whole.save_shallow(&version)?)?;
    let text = shallow.text("t").handle().ok_or("it was made")?;
    let told: Vec<_> =
        shallow.blame(text).into_iter().map(|run| (run.len, run.id.seq, run.time, run.message)).collect();
    let info = whole.change_of(OpId { replica: whole.replica(), seq: 3 }).ok_or("it is known")?;
    assert_eq!(told, [(3, 0, None, None), (3, 3, Some(info.time), info.message)]);
    Ok(())
}

/// Bug class F: who was away since before the base has written what cannot be placed without the history.
#[test]
fn what_has_not_seen_the_base_is_not_taken_in() -> Outcome {
    let (mut whole, versions) = history()?;
    let mut away = whole.fork_at(&versions[1], ReplicaId::from(5))?;
    away.change(|tx| tx.text("t").insert(0, "written long ago"))?;
    let first = OpId { replica: away.replica(), seq: 0 };
    let mut shallow = Doc::load(ReplicaId::from(3), &whole.save_shallow(&versions[3])?)?;
    let before = (shallow.to_json(), shallow.log_states());
    let imported = shallow.import(&away.export_since(&versions[1]))?;
    assert_eq!((imported.changes, imported.before_base), (0, vec![first]));
    assert_eq!((shallow.to_json(), shallow.log_states()), before);
    // What comes behind a merge of it waits, and nothing else suffers.
    whole.import(&away.export_since(&versions[1]))?;
    whole.change(|tx| tx.root().set("turn", "merged"))?;
    shallow.change(|tx| tx.text("t").push_str("!"))?;
    let imported = shallow.import(&whole.export_since(&shallow.version()))?;
    assert_eq!((imported.changes, imported.before_base.len()), (0, 1));
    assert!(imported.pending_bytes > 0);
    whole.import(&shallow.export_since(&versions[3]))?;
    assert!(whole.text("t").to_string().ends_with('!'));
    // Such a history can have no base behind the point where it parted.
    let now = whole.version();
    assert_eq!(Doc::load(ReplicaId::from(6), &whole.save_shallow(&versions[4])?)?.base_version(), versions[1]);
    assert_eq!(Doc::load(ReplicaId::from(6), &whole.save_shallow(&now)?)?.base_version(), now);
    Ok(())
}

#[test]
fn edits_made_since_can_be_undone_and_failures_leave_no_trace() -> Outcome {
    let (mut whole, versions) = history()?;
    let mut shallow = Doc::load(ReplicaId::from(3), &whole.save_shallow(&versions[4])?)?;
    let mut undo = UndoManager::new(&shallow);
    let before = shallow.to_json();
    undo.change(&mut shallow, |tx| {
        tx.text("t").delete(1, 3)?;
        tx.list("l").delete(0, 2)?;
        tx.root().set("turn", "mine")
    })?;
    let after = shallow.to_json();
    let failed = shallow.change(|tx| {
        tx.text("t").push_str("gone")?;
        tx.list("l").insert(99, "nowhere")
    });
    assert!(failed.is_err());
    assert_eq!(shallow.to_json(), after);
    undo.undo(&mut shallow)?;
    assert_eq!(shallow.to_json(), before);
    undo.redo(&mut shallow)?;
    assert_eq!(shallow.to_json(), after);
    let text = shallow.text("t").handle().ok_or("it was made")?;
    let anchor = shallow.anchor(text, 1, Side::After)?;
    whole.import(&shallow.export_since(&versions[4]))?;
    assert_eq!(whole.resolve(&anchor).map(|at| at.index), shallow.resolve(&anchor).map(|at| at.index));
    Ok(())
}

#[test]
fn saving_again_keeps_the_base_until_a_newer_one_is_asked_for() -> Outcome {
    let (mut whole, versions) = history()?;
    let first = whole.save_shallow(&versions[2])?;
    assert_eq!(whole.save_shallow(&VersionVector::new())?, whole.save(), "no base: the whole document");
    let mut shallow = Doc::load(ReplicaId::from(3), &first)?;
    assert_eq!((shallow.save(), shallow.save_shallow(&versions[2])?), (first.clone(), first));
    shallow.change(|tx| tx.root().set("more", 1))?;
    let mut again = Doc::load(ReplicaId::from(4), &shallow.save())?;
    assert_eq!((again.to_json(), again.base_version()), (shallow.to_json(), versions[2].clone()));
    let now = again.version();
    let newest = Doc::load(ReplicaId::from(5), &again.save_shallow(&now)?)?;
    assert_eq!((newest.to_json(), newest.base_version()), (shallow.to_json(), now.clone()));
    // Equal documents have equal states, wherever they began.
    whole.import(&shallow.export_since(&whole.version()))?;
    assert_eq!(whole.save_shallow(&now)?, again.save_shallow(&now)?);
    // It is no update, and not everything: nobody can begin with it.
    let mut nobody = doc(6);
    assert!(nobody.import(&again.save()).is_err());
    assert!(nobody.import(&again.export_all())?.pending_bytes > 0);
    assert_eq!(nobody.to_json(), json!({}));
    Ok(())
}

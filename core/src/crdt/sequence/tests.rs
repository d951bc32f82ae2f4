//! Random edits of a sequence, after each of which the tree must be what its header says, and elements must be where a
//! plain walk over the runs finds them.

use super::*;
use crate::graph::Graph;
use crate::id::ReplicaId;

/// Edits by some authors.
struct Script {
    sequence: Sequence,
    logs: Logs,
    dice: u64,
    ends: Vec<u32>,
}

impl Script {
    fn new(authors: u32, seed: u64) -> Self {
        let mut logs = Logs::default();
        (0..authors).for_each(|author| assert_eq!(logs.intern(ReplicaId::from(u128::from(author) + 1)), author));
        Self { sequence: Sequence::new(), logs, dice: seed, ends: vec![0; authors as usize] }
    }

    fn dice(&mut self, sides: u32) -> u32 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) as u32 % sides
    }

    fn next_dot(&mut self, ops: u32) -> Dot {
        let log = self.dice(self.ends.len() as u32);
        let seq = self.ends[log as usize];
        self.ends[log as usize] += ops;
        Dot { log, seq }
    }

    /// An edit that has seen everything, put in by its place in the view: it may count at the prepare version or not.
    fn edit_seen(&mut self, counted: bool) {
        let (len, total) = (1 + self.dice(3), self.sequence.len());
        let pos = self.dice(total + 1);
        let dot = self.next_dot(len);
        if total - pos < len || self.dice(2) == 0 {
            self.sequence.insert_seen(dot, pos, len, counted);
        } else {
            self.sequence.delete_seen(dot, pos, len, false, counted);
        }
    }

    fn edit(&mut self) {
        self.sequence.prepare(&Past::everything());
        let (len, total) = (1 + self.dice(3), self.sequence.prepared_len());
        let pos = self.dice(total + 1);
        let dot = self.next_dot(len);
        if total - pos < len || self.dice(2) == 0 {
            let placed = self.sequence.insert(dot, pos, len, false, &self.logs);
            assert_eq!(placed, Some(pos), "whoever sees everything means the view");
        } else {
            self.sequence.delete(dot, pos, len, false, |deleted| assert_eq!(deleted.view, Some(pos)));
        }
    }

    fn check(&mut self) {
        self.sequence.tree.check();
        let mut view = 0;
        let runs: Vec<Run> = self.sequence.tree.runs().copied().collect();
        for run in runs {
            for dot in (0..run.len).map(|i| run.dot.plus(i)) {
                let expected = run.is_visible().then_some(view);
                assert_eq!(self.sequence.view_position(dot), expected);
                if let Some(position) = expected {
                    assert_eq!(self.sequence.element(position), Some(dot));
                    view += 1;
                }
            }
        }
        assert_eq!(self.sequence.len(), view);
    }
}

#[test]
fn the_tree_is_sound_after_every_edit() {
    for seed in 0..8 {
        let mut script = Script::new(1 + seed as u32 % 3, seed);
        for step in 0..600 {
            script.edit();
            if step % 37 == 0 {
                script.check();
            }
        }
    }
}

#[test]
fn what_is_put_in_by_its_place_in_the_view_counts_once_the_prepare_version_has_it() {
    for seed in 0..8 {
        let mut script = Script::new(2, seed);
        (0..200).for_each(|_| script.edit());
        let before = script.sequence.prepared_len();
        (0..200).for_each(|_| script.edit_seen(false));
        assert_eq!(script.sequence.prepared_len(), before);
        script.check();
        script.sequence.prepare(&Past::everything());
        assert_eq!(script.sequence.prepared_len(), script.sequence.len());
        (0..200).for_each(|_| script.edit_seen(true));
        assert_eq!(script.sequence.prepared_len(), script.sequence.len());
        script.check();
    }
}

#[test]
fn who_types_backwards_beside_others_walks_over_nothing() {
    let (mut script, mut graph) = (Script::new(2, 0), Graph::default());
    for (log, seq) in (0..2).flat_map(|log| (0..50).map(move |seq| (log, seq))) {
        let dot = Dot { log, seq };
        let (past, _) = graph.place(dot, &[]).expect("the graph has all of the history");
        let past = past.clone();
        script.sequence.prepare(&past);
        if log == 1 && seq > 0 {
            let tree = &script.sequence.tree;
            assert!(tree.behind(Cursor::START).is_some_and(|at| !script.sequence.is_inserted(at)));
            let right = tree.next_inserted(Cursor::START).expect("what was typed before");
            assert!(script.sequence.before_child(right, Dot::NONE).is_some());
        }
        script.sequence.insert(dot, 0, 1, false, &script.logs);
        graph.push(dot, 1, &[]);
    }
    let expected = (0..2).flat_map(|log| (0..50).rev().map(move |seq| Dot { log, seq }));
    assert_eq!(script.sequence.elements().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    script.check();
}

/// What authors who do not know of each other do: dot, position, and whether it inserts.
fn apart(authors: u32, edits: u32) -> Vec<Vec<(Dot, u32, bool)>> {
    let mut script = Script::new(authors, 5);
    let branch = |log| {
        let mut len = 0;
        let edits = (0..edits).map(|seq| {
            let inserts = len == 0 || script.dice(3) > 0;
            let pos = script.dice(if inserts { len + 1 } else { len });
            len = if inserts { len + 1 } else { len - 1 };
            (Dot { log, seq }, pos, inserts)
        });
        edits.collect()
    };
    (0..authors).map(branch).collect()
}

/// Plays edits in this order; tells how many lanes there were at most.
fn play(authors: u32, edits: impl Iterator<Item = (Dot, u32, bool)>) -> (Script, usize) {
    let (mut script, mut graph, mut lanes) = (Script::new(authors, 0), Graph::default(), 0);
    for (dot, pos, inserts) in edits {
        let (past, _) = graph.place(dot, &[]).expect("the graph has all of the history");
        let past = past.clone();
        script.sequence.prepare(&past);
        if inserts {
            script.sequence.insert(dot, pos, 1, false, &script.logs).expect("a place");
        } else {
            script.sequence.delete(dot, pos, 1, false, |_| {});
        }
        graph.push(dot, 1, &[]);
        lanes = lanes.max(script.sequence.lanes.len());
    }
    (script, lanes)
}

#[test]
fn branches_that_arrive_in_turns_are_followed_in_lanes_of_their_own() {
    for authors in [2, 3, 6] {
        let branches = apart(authors, 400);
        let (mut whole, _) = play(authors, branches.iter().flatten().copied());
        let in_turns = (0..400).flat_map(|seq| branches.iter().map(move |branch| branch[seq]));
        let (mut turns, lanes) = play(authors, in_turns);
        assert!(lanes >= 1, "none was opened");
        let elements = |script: &Script| script.sequence.elements().collect::<Vec<_>>();
        assert_eq!(elements(&whole), elements(&turns));
        let all = elements(&turns);
        turns.sequence.set_hidden(all[0], true);
        turns.sequence.use_lane(0);
        assert_eq!(elements(&turns), all[1..]);
        turns.sequence.set_hidden(all[0], false);
        turns.check();
        for script in [&mut whole, &mut turns] {
            script.sequence.prepare(&Past::everything());
            assert_eq!(script.sequence.prepared_len(), script.sequence.len());
        }
        turns.check();
    }
}

#[test]
fn a_settled_sequence_is_sound_and_goes_on_like_the_one_that_it_is_made_of() {
    for (seed, edits) in [(1, 0), (2, 3), (3, 40), (4, 3_000)] {
        let mut whole = Script::new(3, seed);
        (0..edits).for_each(|_| whole.edit());
        let runs: Vec<SettledRun> = whole.sequence.settled_runs().collect();
        let sequence = Sequence::settled(&runs);
        let mut settled = Script { sequence, logs: whole.logs.clone(), dice: whole.dice, ends: whole.ends.clone() };
        settled.check();
        for _ in 0..300 {
            whole.edit();
            settled.edit();
        }
        settled.check();
        let runs = |script: &Script| script.sequence.settled_runs().collect::<Vec<_>>();
        assert_eq!(runs(&settled), runs(&whole));
    }
}

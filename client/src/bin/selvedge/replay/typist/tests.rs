//! Tests of `Typist`: two authors exchange their changes by hand, as unfairly as possible.

use super::*;
use selvedge_client::trace::{Trace, Transaction as Txn};

struct Site {
    doc: Doc,
    held: Held,
    typist: Option<Typist>,
}

impl Site {
    fn new(trace: &Trace, agent: u32) -> Self {
        let (mut doc, mut held) = (Doc::new(ReplicaId::from(u128::from(agent) + 7)), Held::default());
        let plan = Arc::new(Plan::new(trace, agent).unwrap());
        let typist = Typist::start(&mut Access::new(&mut doc, Some(&mut held)), plan, "t".into()).unwrap();
        Self { doc, held, typist: Some(typist) }
    }

    /// Types, and returns what was typed.
    fn turn(&mut self, limit: usize) -> (selvedge::op::Batch, Turn) {
        let mut access = Access::new(&mut self.doc, Some(&mut self.held));
        let (typist, turn) = self.typist.take().unwrap().type_some(&mut access, limit).unwrap();
        self.typist = Some(typist);
        let batch = self.doc.take_batch();
        self.held.own(self.doc.replica(), &batch).unwrap();
        (batch, turn)
    }

    fn compare(&mut self, expected: &str) -> Option<String> {
        let mut access = Access::new(&mut self.doc, Some(&mut self.held));
        self.typist.take().unwrap().compare(&mut access, expected).unwrap()
    }
}

fn insert(agent: u32, parents: &[usize], position: u32, inserted: &str) -> Txn {
    let patches = vec![Patch { position, deleted: 0, inserted: inserted.into() }];
    Txn { agent, parents: parents.to_vec(), patches }
}

/// Author 1 may type far ahead: author 0 must not see it before the trace merges it, or positions would be wrong.
#[test]
fn what_the_trace_has_not_merged_is_held_back() {
    let trace = Trace {
        agents: 2,
        end_content: "x-AB-y!".into(),
        transactions: vec![
            insert(0, &[], 0, "--"),
            insert(1, &[0], 0, "x"),
            insert(1, &[1], 3, "y"),
            insert(0, &[0], 1, "A"),
            insert(0, &[3], 2, "B"),
            insert(0, &[4, 2], 6, "!"),
        ],
    };
    for limit in [1, 100] {
        let mut sites = [Site::new(&trace, 0), Site::new(&trace, 1)];
        for turn in 0..40 {
            let (me, other) = if turn % 3 == 0 { (0, 1) } else { (1, 0) };
            let (batch, _) = sites[me].turn(limit);
            sites[other].held.arrive(&batch).unwrap();
        }
        for site in &mut sites {
            assert!(matches!(site.turn(1).1, Turn::Complete));
            assert_eq!(site.compare(&trace.end_content), None);
        }
    }
}

#[test]
fn two_writers_of_one_part_are_refused() {
    let trace = Trace { agents: 1, end_content: "a".into(), transactions: vec![insert(0, &[], 0, "a")] };
    let (mut first, mut second) = (Site::new(&trace, 0), Site::new(&trace, 0));
    second.doc = Doc::new(ReplicaId::from(99));
    let (batch, _) = first.turn(1);
    second.held.arrive(&batch).unwrap();
    second.turn(1);
    let mut access = Access::new(&mut second.doc, Some(&mut second.held));
    let plan = Arc::new(Plan::new(&trace, 0).unwrap());
    let refused = Typist::start(&mut access, plan, "t".into()).map(drop);
    assert!(refused.is_err_and(|failure| failure.to_string().contains("two replicas")));
}

#[test]
fn a_difference_is_named_by_its_place() {
    assert_eq!(difference("same", "same"), None);
    let said = difference("héllo", "hélp").expect("they differ");
    assert!(said.contains("at character 3: \"lo\" instead of \"p\" (5 and 4 characters)"), "{said}");
}

//! A thousand members that gossip: without faults few copies are sent in vain and no way is long; with faults everything
//! still arrives everywhere. The counts follow from the seed alone. `cargo xtask bench gossip` has ten thousand.

use selvedge_fuzz::gossip::{Plan, run};

const CALM: Plan = Plan { members: 1_000, seed: 2, broadcasts: 20, lost_percent: 0, restarted_percent: 0 };

#[test]
fn without_faults_the_tree_is_lean_and_shallow() {
    let report = run(CALM);
    assert_eq!(report.missing, 0);
    assert!(report.broadcasts.iter().all(|broadcast| broadcast.reached == CALM.members));
    assert!(report.redundancy() < 0.2, "redundancy {}", report.redundancy());
    assert!(f64::from(report.last_hops()) <= report.hops_bound(), "{} hops", report.last_hops());
}

#[test]
fn with_faults_every_change_reaches_everybody() {
    for seed in 1..4 {
        let report = run(Plan { seed, lost_percent: 30, restarted_percent: 20, ..CALM });
        assert_eq!((report.missing, report.restarted), (0, 200), "seed {seed}");
        // What the tree lost came by comparison; most came along the tree all the same.
        assert!((1..5_000).contains(&report.by_comparison), "{} by comparison", report.by_comparison);
        assert!(report.redundancy() < 1.0, "redundancy {}", report.redundancy());
    }
}

#[test]
fn equal_plans_give_equal_reports() {
    let play = || serde_json::json!(run(Plan { members: 200, lost_percent: 10, restarted_percent: 20, ..CALM }));
    assert_eq!(play(), play());
}

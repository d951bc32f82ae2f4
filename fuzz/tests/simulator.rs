//! The simulator itself: a scenario decides everything, what broke something holds now, and a few fresh seeds hold.

use std::path::Path;

use selvedge_fuzz::sim::{Scenario, draw, run};

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 2, 3] {
        let (first, second) = (run(&draw(seed)), run(&draw(seed)));
        assert_eq!(first, second, "seed {seed}");
        assert_eq!(first.problem, None, "seed {seed}");
    }
    assert_ne!(run(&draw(1)).trace, run(&draw(2)).trace);
}

#[test]
fn a_scenario_survives_json() {
    let scenario = draw(5);
    let text = serde_json::to_string(&scenario).expect("it is data");
    let read: Scenario = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(read, scenario);
}

#[test]
fn scenarios_that_broke_something_hold_now() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashers/simulator");
    let Ok(files) = std::fs::read_dir(&folder) else { return };
    for path in files.flatten().map(|file| file.path()) {
        let text = std::fs::read_to_string(&path).expect("readable");
        let scenario: Scenario = serde_json::from_str(&text).expect("a scenario");
        assert_eq!(run(&scenario).problem, None, "{}", path.display());
    }
}

//! Tests the simulator itself: bugs are planted in the library one at a time, and each must be found on fresh seeds, by the
//! check that docs/planted-bugs.md names. `SELVEDGE_FUZZ_SEED` draws other seeds; the table is not looked at then.

use std::path::Path;

use selvedge::planted::{Bug, plant};
use selvedge_fuzz::sim::{draw, problem_name, run};

/// Where the seeds begin: nobody has looked at these while the checks were written.
const FIRST_SEED: u64 = 7_000_000;

/// Seeds until a bug counts as not found.
const MAX_SEEDS: u64 = 600;

/// The first seed that finds the bug, and what the check that found it says.
fn find(bug: Bug, first: u64) -> Option<(u64, String)> {
    plant(Some(bug));
    let mut seeds = first..first + MAX_SEEDS;
    let found = seeds.find_map(|seed| Some((seed, problem_name(&run(&draw(seed)).problem?))));
    plant(None);
    found
}

fn name(bug: Bug) -> String {
    let mut name = String::new();
    for letter in format!("{bug:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[test]
fn every_planted_bug_is_found_by_the_check_that_the_table_names() {
    std::panic::set_hook(Box::new(|_| {}));
    let other = std::env::var("SELVEDGE_FUZZ_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/planted-bugs.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let mut wrong = Vec::new();
    for bug in Bug::ALL {
        let found = find(bug, other.unwrap_or(FIRST_SEED));
        let (seeds, check) = match &found {
            Some((seed, check)) => (seed - other.unwrap_or(FIRST_SEED) + 1, check.replace('_', " ")),
            None => (MAX_SEEDS, "NOT FOUND".to_owned()),
        };
        println!("{}|{check}|{seeds}", name(bug));
        let row = page.lines().find(|line| line.contains(&format!("| {} |", name(bug))));
        let is_told = row.is_some_and(|row| row.contains(&check));
        if found.is_none() || (other.is_none() && !is_told) {
            wrong.push(format!("{}: {check}, after {seeds} seeds", name(bug)));
        }
    }
    assert!(wrong.is_empty(), "not found, or not as docs/planted-bugs.md tells: {wrong:#?}");
}

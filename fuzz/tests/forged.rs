//! Histories that no document of ours would write, in whole logs. Bug classes A (divergence) and C (success that panics
//! on the first read).

use selvedge_fuzz::arbitrary::check;
use selvedge_fuzz::forge;

/// Whatever it says, every copy reads the same out of it, in any order of arrival, and agrees with the naive
/// specification also on which operations are invalid.
#[test]
fn every_copy_reads_a_forged_history_alike() {
    check(4_000, forge::check);
}

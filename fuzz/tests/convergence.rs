//! Random scripts over 2 to 5 replicas. Bug classes A (divergence), E (clocks), F (deletions meet what they did not
//! see), G (offsets in UTF-16 and scalar values).

use selvedge_fuzz::arbitrary::check;
use selvedge_fuzz::oracle;

/// Edits, exchanges, duplications, reorderings, saves and failures: every replica ends equal to every other, to the
/// naive specification, to its own save, to the view made of patches, and to a copy that heard it all in another order.
#[test]
fn every_script_converges_to_the_specification() {
    check(2_000, oracle::check);
}

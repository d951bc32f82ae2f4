//! libFuzzer target: scripts of edits against the oracles.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| selvedge_fuzz_targets::script(bytes));

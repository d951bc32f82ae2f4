//! libFuzzer target: the decoder `anchor`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| selvedge_fuzz_targets::decode("anchor", bytes));

//! libFuzzer target: the decoder `shallow`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| selvedge_fuzz_targets::decode("shallow", bytes));

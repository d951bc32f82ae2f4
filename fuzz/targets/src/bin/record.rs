//! libFuzzer target: the decoder `record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| selvedge_fuzz_targets::decode("record", bytes));

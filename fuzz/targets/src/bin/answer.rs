//! libFuzzer target: the decoder `answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| selvedge_fuzz_targets::decode("answer", bytes));

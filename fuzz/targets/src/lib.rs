//! What the targets share: bytes go to the decoder of the target's name, and what does not hold is a crash.
//!
//! Not here: the decoders and what is done with their values (`selvedge_fuzz::decoders`).

use quickcheck::{Arbitrary, Gen};
use selvedge_fuzz::script::Script;
use selvedge_fuzz::{decoders, oracle};

/// Runs the decoder of that name.
///
/// # Panics
/// If something does not hold; libFuzzer keeps the bytes.
pub fn decode(name: &str, bytes: &[u8]) {
    let decoder = decoders::by_name(name).unwrap_or_else(|| panic!("there is no decoder {name}"));
    if let Err(error) = decoder.run(bytes) {
        panic!("{name}: {error}");
    }
}

/// Runs a script against all oracles: the first eight bytes draw it, each byte behind them leaves an action out.
///
/// # Panics
/// If something does not hold.
pub fn script(bytes: &[u8]) {
    let Some((seed, cuts)) = bytes.split_first_chunk::<8>() else { return };
    let mut script = Script::arbitrary(&mut Gen::from_size_and_seed(40, u64::from_le_bytes(*seed)));
    for cut in cuts {
        if !script.actions.is_empty() {
            script.actions.remove(usize::from(*cut) % script.actions.len());
        }
    }
    if let Err(error) = oracle::check(&script) {
        panic!("{error}");
    }
}

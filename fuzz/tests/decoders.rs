//! Every decoder, with damaged bytes of its own kind: no panic, what decodes can be used, and decoding asks for no more
//! memory than the budget. Alone in its process, because it reads the counters of the whole process. Bug class C.

use std::path::Path;

use peak_alloc::PeakAlloc;
use selvedge_fuzz::arbitrary::tests;
use selvedge_fuzz::bytes::mutate;
use selvedge_fuzz::decoders::{DECODERS, Decoder};
use selvedge_fuzz::random::Random;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What decoding may need for inputs as short as these.
const BUDGET: usize = 1 << 20;

/// Decodes within the budget, then uses.
fn check(decoder: &Decoder, bytes: &[u8]) -> Result<bool, String> {
    let mut mended = bytes.to_vec();
    (decoder.mend)(&mut mended);
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let accepted = (decoder.read)(&mended);
    let peak = ALLOCATOR.peak_usage().saturating_sub(before);
    if peak > BUDGET.max(16 * mended.len()) {
        return Err(format!("{peak} bytes of memory for {} of input", mended.len()));
    }
    (decoder.use_it)(&mended)?;
    Ok(accepted)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn damaged_bytes_are_an_error_or_a_value_that_can_be_used() {
    let start = std::env::var("SELVEDGE_FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1_u64);
    for decoder in DECODERS {
        let seeds = (decoder.seeds)();
        assert!(!seeds.is_empty(), "{}: no bytes to begin with", decoder.name);
        // Of a log's changes only the first can be read alone.
        let good = seeds.iter().map(|seed| check(&decoder, seed));
        let good = good.collect::<Result<Vec<bool>, _>>().unwrap_or_else(|error| panic!("{}: {error}", decoder.name));
        assert!(good.contains(&true), "{}: none of its own bytes are accepted", decoder.name);
        let mut accepted = 0;
        for case in 0..tests(1_000) {
            let mut dice = Random::new(start.wrapping_shl(32) ^ case);
            let mut bytes = seeds[dice.index(seeds.len())].clone();
            let mutations: Vec<_> =
                (0..1 + dice.below(4)).map(|_| (dice.bits() as u8, dice.bits() as u32, dice.bits() as u8)).collect();
            mutate(&mut bytes, &mutations);
            match check(&decoder, &bytes) {
                Ok(good) => accepted += u64::from(good),
                Err(error) => panic!("{}: {error}; keep it in crashers/decoders/{0}: {}", decoder.name, hex(&bytes)),
            }
        }
        println!("{}: {} cases, {accepted} accepted", decoder.name, tests(1_000));
    }
}

fn bytes_that_broke_something_hold_now() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("crashers/decoders");
    let mut replayed = 0;
    for folder in std::fs::read_dir(&root)? {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let decoder = DECODERS.into_iter().find(|decoder| decoder.name == name);
        let decoder = decoder.unwrap_or_else(|| panic!("crashers/decoders/{name} belongs to no decoder"));
        for file in std::fs::read_dir(folder.path())? {
            let path = file?.path();
            if let Err(error) = check(&decoder, &std::fs::read(&path)?) {
                panic!("{}: {error}", path.display());
            }
            replayed += 1;
        }
    }
    assert!(replayed > 0, "nothing in {}", root.display());
    Ok(())
}

#[test]
fn every_decoder_holds_against_hostile_bytes() -> std::io::Result<()> {
    bytes_that_broke_something_hold_now()?;
    damaged_bytes_are_an_error_or_a_value_that_can_be_used();
    Ok(())
}

//! `seeds NAME FOLDER`: writes bytes that a decoder accepts, for libFuzzer to begin with.

use std::path::Path;
use std::{env, fs};

use selvedge_fuzz::decoders;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = env::args().skip(1).collect();
    let [name, folder] = &words[..] else { return Err("usage: seeds NAME FOLDER".into()) };
    fs::create_dir_all(folder)?;
    let seeds = decoders::by_name(name).map_or_else(Vec::new, |decoder| (decoder.seeds)());
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(Path::new(folder).join(format!("seed-{number}")), seed)?;
    }
    Ok(())
}

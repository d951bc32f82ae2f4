//! Runs a script natively and prints, as JSON, the BLAKE3 digests of every replica's save and update; or draws a script
//! to run. The same runner compiled to wasm must print the same.

use std::process::ExitCode;

const USAGE: &str = "usage: script FILE | script --draw SEED

script FILE          runs the script in FILE (JSON; fuzz/crashers/scripts holds some) and prints the digests of what comes out
script --draw SEED   prints the random script that belongs to the number SEED";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--draw", seed] => draw(seed),
        [file] if !file.starts_with('-') => run(file),
        _ => {
            println!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(file: &str) -> ExitCode {
    match std::fs::read_to_string(file) {
        Ok(script) => {
            let digests = selvedge_fuzz::script::run_json(&script);
            println!("{digests}");
            if digests.starts_with("{\"error\"") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            println!("cannot read {file}: {error}");
            ExitCode::from(2)
        }
    }
}

#[cfg(not(target_family = "wasm"))]
fn draw(seed: &str) -> ExitCode {
    let Ok(seed) = seed.parse() else {
        println!("{seed} is no number; a seed is a whole number from 0 to 2^64 - 1");
        return ExitCode::from(2);
    };
    println!("{}", selvedge_fuzz::arbitrary::draw(seed));
    ExitCode::SUCCESS
}

#[cfg(target_family = "wasm")]
fn draw(_: &str) -> ExitCode {
    println!("scripts are drawn natively");
    ExitCode::from(2)
}

//! Runs a script natively and prints, as JSON, the BLAKE3 digests of every replica's save and update. The same runner compiled to
//! wasm must print the same.

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(file) = std::env::args_os().nth(1) else {
        println!("usage: script FILE\n\nFILE is a script as JSON: fuzz/crashers holds some.");
        return ExitCode::from(2);
    };
    match std::fs::read_to_string(&file) {
        Ok(script) => {
            let digests = selvedge_fuzz::script::run_json(&script);
            println!("{digests}");
            if digests.starts_with("{\"error\"") { ExitCode::FAILURE } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            println!("cannot read {}: {error}", file.display());
            ExitCode::from(2)
        }
    }
}

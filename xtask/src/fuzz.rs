//! `cargo xtask fuzz TARGET [libFuzzer's arguments…]`: coverage-guided fuzzing of one decoder, or of scripts.
//!
//! Coverage is a codegen flag of the stable compiler, so nothing else is installed; what needs nightly, the address
//! sanitizer, would find nothing in safe code. Corpora grow in target/fuzz/corpus. Not here: the targets (fuzz/targets).

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::proc;
use crate::repo::Repo;

/// What cargo-fuzz passes to rustc too.
const COVERAGE: [&str; 4] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];

/// The platform that rustc compiles for by itself.
fn rustc_host() -> Result<String> {
    let output = proc::command("rustc").args(["--version", "--verbose"]).output().context("rustc does not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc does not say its host")?;
    Ok(host.to_owned())
}

/// Runs the target that the first argument names.
pub(crate) fn run(repo: &Repo, args: &[OsString]) -> Result<ExitCode> {
    let manifest = repo.root.join("fuzz/targets/Cargo.toml");
    let mut targets = Vec::new();
    for file in manifest.with_file_name("src/bin").read_dir().context("fuzz/targets is not complete")? {
        let path = file?.path();
        targets.extend(path.file_stem().and_then(|name| name.to_str()).map(str::to_owned));
    }
    targets.retain(|name| name != "seeds");
    targets.sort();
    let name = args.first().and_then(|name| name.to_str()).filter(|name| targets.iter().any(|target| target == name));
    let name = name.with_context(|| format!("fuzz what? cargo xtask fuzz {}", targets.join("|")))?;
    let corpus = repo.target.join("fuzz/corpus").join(name);
    let cargo = |target_dir: &str| {
        let mut cargo = proc::command("cargo");
        cargo.env("CARGO_TARGET_DIR", repo.target.join(target_dir));
        cargo.args(["run", "--quiet", "--release", "--manifest-path"]).arg(&manifest);
        cargo
    };
    let mut seeds = cargo("fuzz/plain");
    seeds.args(["--bin", "seeds", "--", name]).arg(&corpus);
    ensure!(proc::visible(&mut seeds)?.success(), "the first bytes for {name} could not be written");
    let mut fuzz = cargo("fuzz/coverage");
    // With a target that is named, the flags do not reach build scripts, which would not link.
    let host = rustc_host()?;
    fuzz.args(["--target", &host]);
    fuzz.env("RUSTFLAGS", COVERAGE.join(" ")).args(["--bin", name, "--"]).args(&args[1..]).arg(&corpus);
    Ok(proc::exit_code(proc::visible(&mut fuzz)?))
}

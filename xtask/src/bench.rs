//! `cargo xtask bench`: hands over to the `benches/` workspace, which keeps heavy peers out of the library.
//!
//! No figure is computed here. It runs in the caller's folder, so that traces are found where they were named.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Result, bail, ensure};

use crate::proc;
use crate::repo::Repo;

/// Runs the bench program that the first argument names.
pub(crate) fn run(repo: &Repo, args: &[OsString]) -> Result<ExitCode> {
    let program: &[&str] = match args.first().and_then(|name| name.to_str()) {
        Some("edit") => &["--bin", "edit", "--features", "edit"],
        Some("types") => &["--bin", "types", "--features", "edit"],
        Some("sync") => &["--bin", "sync"],
        _ => bail!("which bench? cargo xtask bench edit, types or sync (each takes --help)"),
    };
    let manifest = repo.root.join("benches/Cargo.toml");
    ensure!(manifest.is_file(), "benches/Cargo.toml is not there: the checkout is not complete");
    println!("Figures come from the workspace in benches/, built in {}.", repo.target.join("bench").display());
    let mut cargo = proc::command("cargo");
    cargo.env("CARGO_TARGET_DIR", repo.target.join("bench"));
    cargo.args(["run", "--release", "--manifest-path"]).arg(&manifest).args(program).arg("--").args(&args[1..]);
    Ok(proc::exit_code(proc::visible(&mut cargo)?))
}

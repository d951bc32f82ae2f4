//! `cargo xtask simulate`: builds the simulator with optimisation and hands it the arguments.
//!
//! What it does and which arguments it takes: `fuzz/src/bin/simulate.rs` and docs/simulator.md.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::proc;
use crate::repo::Repo;

/// What belongs to every test run, a minute at most: the same seeds each time, so that a failure is the change's own.
pub(crate) const SHORT: &[&str] = &["--seed", "50000", "--seeds", "200", "--minutes", "1"];

/// Runs the simulator.
pub(crate) fn run(repo: &Repo, args: &[OsString]) -> Result<ExitCode> {
    let mut cargo = command(repo);
    cargo.args(args);
    Ok(proc::exit_code(proc::visible(&mut cargo)?))
}

/// The simulator, its arguments to be added.
pub(crate) fn command(repo: &Repo) -> Command {
    let mut cargo = proc::command("cargo");
    cargo.current_dir(&repo.root).env("CARGO_TARGET_DIR", &repo.target);
    cargo.args(["run", "--quiet", "--release", "-p", "selvedge-fuzz", "--bin", "simulate", "--"]);
    cargo
}

//! `cargo xtask test`: every check in order, each a named step, with a table at the end.
//!
//! The runners print to the terminal themselves, so that their own summary lines stay in sight. What a step
//! tests stands with the tested code.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::environment::WasmEnv;
use crate::repo::Repo;
use crate::setup::{self, Needs, Ready};
use crate::{build, proc, relay, simulate};

/// The steps, in the order in which they run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// cargo fmt --check
    Fmt,
    /// cargo clippy, warnings are errors
    Clippy,
    /// Release builds of the relay and the command line, which other steps start
    Binaries,
    /// cargo test --workspace
    Rust,
    /// A minute of cargo xtask simulate
    Simulate,
    /// Bugs planted in the library, each to be found by the simulator
    Planted,
    /// cargo xtask build
    Build,
    /// The wasm module in Node.js
    Wasm,
    /// The npm package in Node.js
    Ts,
    /// The npm package, packed and installed into an empty app
    Pack,
    /// The web demo in Chromium
    E2e,
}

const PLANTED: &[&str] = &["test", "-p", "selvedge-fuzz", "--features", "planted", "--test", "planted"];

enum Outcome {
    Passed,
    Failed,
    NotRun(&'static str),
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Binaries => "binaries",
            Self::Rust => "rust",
            Self::Simulate => "simulate",
            Self::Planted => "planted",
            Self::Build => "build",
            Self::Wasm => "wasm",
            Self::Ts => "ts",
            Self::Pack => "pack",
            Self::E2e => "e2e",
        }
    }

    /// The steps that must have passed before this one.
    fn requires(self) -> &'static [Self] {
        match self {
            Self::Fmt | Self::Clippy | Self::Binaries | Self::Simulate | Self::Planted | Self::Build => &[],
            Self::Rust => &[Self::Binaries],
            Self::Wasm | Self::Ts => &[Self::Build],
            Self::Pack | Self::E2e => &[Self::Binaries, Self::Build],
        }
    }

    fn run(self, repo: &Repo, ready: &Ready) -> Result<()> {
        match self {
            Self::Fmt => cargo(repo, ready, &["fmt", "--all", "--check"]),
            Self::Clippy => cargo(repo, ready, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
            Self::Binaries => relay::build_binaries(repo),
            Self::Rust => cargo(repo, ready, &["test", "--workspace"]),
            Self::Simulate => proc::visible_ok(simulate::command(repo).args(simulate::SHORT)),
            Self::Planted => cargo(repo, ready, PLANTED),
            Self::Build => build::run(repo, ready),
            Self::Wasm => npm(repo, ready, &mut proc::npm(&repo.npm()), &["run", "test:wasm"]),
            Self::Ts => npm(repo, ready, &mut proc::npm(&repo.npm()), &["test"]),
            Self::Pack => npm(repo, ready, &mut proc::npm(&repo.npm()), &["run", "test:pack"]),
            Self::E2e => npm(repo, ready, &mut proc::npm(&repo.web_demo()), &["test"]),
        }
    }
}

/// Runs the steps named, or all.
pub(crate) fn run(repo: &Repo, named: &[Step], keep_going: bool) -> Result<ExitCode> {
    let steps = selection(named);
    let needs = Needs {
        build: steps.contains(&Step::Build),
        browser: steps.contains(&Step::E2e) || steps.contains(&Step::Pack),
        valgrind: steps.contains(&Step::Rust),
    };
    let ready = setup::run(repo, needs)?;
    let mut table: Vec<(Step, Outcome, Duration)> = Vec::new();
    for step in steps {
        let stopped = !keep_going && table.iter().any(|(_, outcome, _)| !matches!(outcome, Outcome::Passed));
        let start = Instant::now();
        let outcome = if stopped {
            Outcome::NotRun("not run: an earlier step failed")
        } else if step.requires().iter().any(|required| !passed(&table, *required)) {
            Outcome::NotRun("not run: a step that it needs failed")
        } else {
            println!("\n== {} ==", step.name());
            match step.run(repo, &ready) {
                Ok(()) => Outcome::Passed,
                Err(error) => {
                    eprintln!("{}: {error:#}", step.name());
                    Outcome::Failed
                }
            }
        };
        table.push((step, outcome, start.elapsed()));
    }
    print_table(&table);
    let all_passed = table.iter().all(|(_, outcome, _)| matches!(outcome, Outcome::Passed));
    Ok(if all_passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gives a command of Node.js the paths of what it may start or read.
pub(crate) fn node_env(repo: &Repo, ready: &Ready, command: &mut Command) {
    if let Some(chromium) = &ready.chromium {
        command.env("SELVEDGE_CHROMIUM", chromium);
    }
    command.env("SELVEDGE_RELAY", repo.release_binary("selvedge-relay"));
    command.env("SELVEDGE_CLI", repo.release_binary("selvedge"));
    if std::env::var_os("SELVEDGE_TRACES").is_none() {
        command.env("SELVEDGE_TRACES", repo.root.join("../shared/traces"));
    }
}

/// All steps named and those that they require, in order.
fn selection(named: &[Step]) -> Vec<Step> {
    let all = Step::value_variants();
    let wanted = |step: &Step| named.is_empty() || named.iter().any(|n| n == step || n.requires().contains(step));
    all.iter().copied().filter(wanted).collect()
}

fn passed(table: &[(Step, Outcome, Duration)], step: Step) -> bool {
    table.iter().any(|(done, outcome, _)| *done == step && matches!(outcome, Outcome::Passed))
}

fn cargo(repo: &Repo, ready: &Ready, args: &[&str]) -> Result<()> {
    let mut cargo = proc::command("cargo");
    cargo.current_dir(&repo.root).env("CARGO_TARGET_DIR", &repo.target).args(args);
    node_env(repo, ready, &mut cargo);
    proc::visible_ok(&mut cargo)
}

fn npm(repo: &Repo, ready: &Ready, npm: &mut Command, args: &[&str]) -> Result<()> {
    node_env(repo, ready, npm);
    let env = WasmEnv::new(repo, ready)?;
    proc::visible_ok(env.apply(npm.args(args)))
}

fn print_table(table: &[(Step, Outcome, Duration)]) {
    println!("\n{:<10} {:>9}  result", "step", "seconds");
    for (step, outcome, elapsed) in table {
        let words = match outcome {
            Outcome::Passed => "ok",
            Outcome::Failed => "FAILED",
            Outcome::NotRun(why) => why,
        };
        println!("{:<10} {:>9.1}  {words}", step.name(), elapsed.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, selection};

    #[test]
    fn a_named_step_brings_what_it_needs_and_keeps_the_order() {
        let names = |steps: &[Step]| selection(steps).into_iter().map(Step::name).collect::<Vec<_>>();
        assert_eq!(names(&[Step::E2e, Step::Fmt]), ["fmt", "binaries", "build", "e2e"]);
        assert_eq!(names(&[Step::Fmt]), ["fmt"]);
        assert_eq!(names(&[]).len(), 11);
    }
}

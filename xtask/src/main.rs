//! `cargo xtask`: the only set-up and the only commands that a developer of Selvedge needs.
//!
//! This file reads the command line and hands over. It knows nothing of toolchains, folders or processes:
//! see `setup`, `build`, `demo`, `test`, `simulate`, `bench`, `fuzz` and `mutants` for those.
#![allow(clippy::print_stderr, reason = "printing is what a tool is for")]

mod bench;
mod build;
mod demo;
mod environment;
mod fresh;
mod fuzz;
mod mutants;
mod proc;
mod relay;
mod repo;
mod setup;
mod simulate;
mod test;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::repo::Repo;
use crate::setup::Needs;

/// Set-up, build, demo, tests and figures of Selvedge.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make sure of everything that the other commands need; costs next to nothing when all is there.
    Setup,
    /// Build the wasm module, the npm package and the web demo; skips what is up to date.
    Build,
    /// Build all, start a relay that serves the web demo, and say what to try.
    Demo(DemoArgs),
    /// Run the tests: all steps in order, or only those named.
    Test(TestArgs),
    /// Simulate devices, disks and connections on which everything goes wrong; --help tells the arguments.
    #[command(disable_help_flag = true)]
    Simulate {
        /// Arguments of the simulator.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure: runs a bench program (edit, types, sync, gossip) with the arguments given.
    Bench {
        /// Arguments of the bench program.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Fuzz a decoder, or scripts, with libFuzzer: the target's name, then libFuzzer's arguments.
    Fuzz {
        /// The target, and arguments such as -max_total_time=60.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Change files of core, one thing at a time, and write into docs/mutants.md what no test notices.
    Mutants {
        /// Files, such as core/src/codec/reader.rs.
        files: Vec<OsString>,
    },
    /// Print `export` lines of the wasm toolchain, or run a command with them.
    Env {
        /// The command to run; without one, the lines are printed.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(clap::Args)]
struct DemoArgs {
    /// Drive the demo in a real browser, report, and exit with the result.
    #[arg(long)]
    check: bool,
    /// Port of the relay on 127.0.0.1 (with --check: any free port).
    #[arg(long)]
    port: Option<u16>,
    /// Folder of the relay's data (with --check: a fresh temporary one).
    #[arg(long)]
    data: Option<PathBuf>,
}

#[derive(clap::Args)]
struct TestArgs {
    /// Run only these steps (and what they need built).
    #[arg(value_enum)]
    steps: Vec<test::Step>,
    /// Run the remaining steps after one has failed.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let repo = Repo::find()?;
    match cli.command {
        Command::Setup => {
            setup::run(&repo, Needs::ALL)?;
            println!("All is there. Next: cargo xtask demo, or cargo xtask test.");
            Ok(ExitCode::SUCCESS)
        }
        Command::Build => {
            let ready = setup::run(&repo, Needs::BUILD)?;
            build::run(&repo, &ready)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(args) if args.check => demo::check(&repo, args.port, args.data),
        Command::Demo(args) => demo::serve(&repo, args.port, args.data),
        Command::Test(args) => test::run(&repo, &args.steps, args.keep_going),
        Command::Simulate { args } => simulate::run(&repo, &args),
        Command::Bench { args } => bench::run(&repo, &args),
        Command::Fuzz { args } => fuzz::run(&repo, &args),
        Command::Mutants { files } => mutants::run(&repo, &files),
        Command::Env { command } => environment::print_or_run(&repo, &command),
    }
}

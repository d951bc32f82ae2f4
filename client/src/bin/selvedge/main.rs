//! The command `selvedge`: documents from the shell, through a relay.
//!
//! Always holds: what goes wrong is one clear line on standard error and a non-zero exit code (2: the command line was
//! wrong, 1: everything else). Not here: what documents are (`selvedge`), how they are kept and synced
//! (`selvedge_client`).

mod args;
mod cat;
mod edit;
mod follow;
mod replay;
mod session;
mod verify;
mod watch;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return wrong_arguments(&error),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("SELVEDGE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = tokio::runtime::Runtime::new().map_err(Into::into).and_then(|runtime| runtime.block_on(run(args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "selvedge: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Help and version as they are; anything else as one line.
fn wrong_arguments(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    let text = error.to_string();
    let reason: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let reason = reason.join(" ");
    let reason = reason.strip_prefix("error: ").unwrap_or(&reason);
    let _ = writeln!(std::io::stderr(), "selvedge: {reason} (see --help)");
    ExitCode::from(2)
}

async fn run(args: Args) -> Result<(), session::Failure> {
    match args.command {
        Command::Replay(args) => replay::run(args).await,
        Command::Cat(args) => cat::run(args).await,
        Command::Watch(args) => watch::run(args).await,
        Command::Follow(args) => follow::run(args).await,
        Command::Edit(args) => edit::run(args).await,
        Command::Verify(args) => verify::run(&args),
    }
}

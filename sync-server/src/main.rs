//! The program `selvedge-relay`: reads its arguments, runs, and ends with one clear line if something is wrong.
//!
//! Always holds: an error is one line on stderr and a non-zero exit status, never a panic or a backtrace.
//! Not here: the relay itself (`serve`).

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use selvedge_relay::args::{Cli, Command, ScrubArgs, ServeArgs, TokenArgs};
use selvedge_relay::auth;
use selvedge_relay::scrub::Report;
use selvedge_relay::serve::{self, Config};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return wrong_arguments(&error),
    };
    let result = match cli.command {
        Command::Serve(args) => run(args),
        Command::Scrub(args) => scrub(&args),
        Command::Token(args) => token(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // If even stderr is gone, the exit status has to do.
            let _ = writeln!(std::io::stderr(), "selvedge-relay: {problem}");
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
    let _ = writeln!(std::io::stderr(), "selvedge-relay: {reason} (see --help)");
    ExitCode::from(2)
}

fn scrub(args: &ScrubArgs) -> Result<(), String> {
    let report = Report::of_folder(&args.data).map_err(|error| error.to_string())?;
    if args.json {
        print(&serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?)?;
    } else {
        report.lines().iter().try_for_each(|line| print(line))?;
    }
    match report.problems.len() {
        0 => Ok(()),
        count => Err(format!("{count} problems found in {}", args.data.display())),
    }
}

fn token(args: &TokenArgs) -> Result<(), String> {
    let token = auth::mint(&args.token_key, &args.doc, args.sub.as_deref(), args.ttl);
    print(&token.map_err(|error| error.to_string())?)
}

fn run(args: ServeArgs) -> Result<(), String> {
    start_logging(args.log.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(serve_until_told(args.into()))
}

async fn serve_until_told(config: Config) -> Result<(), String> {
    // Before listening: a signal right after the start must already end it in order.
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    let (Ok(mut terminate), Ok(mut interrupt)) = signals else {
        return Err("cannot listen for signals".to_owned());
    };
    let data = config.data.display().to_string();
    let relay = serve::serve(config).await.map_err(|error| error.to_string())?;
    let line = format!("listening on http://{} (data in {data})", relay.local_addr());
    tracing::info!("{line}");
    print(&line)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("shutting down");
    relay.shutdown().await;
    tracing::info!("ended");
    Ok(())
}

/// One line on stdout, for programs that wait for it.
fn print(line: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| format!("cannot write to stdout: {error}"))
}

fn start_logging(filter: Option<&str>) -> Result<(), String> {
    let filter = match (filter, std::env::var("RUST_LOG")) {
        (Some(filter), _) => filter.to_owned(),
        (None, Ok(filter)) => filter,
        (None, Err(_)) => "info".to_owned(),
    };
    let parsed = EnvFilter::try_new(&filter).map_err(|error| format!("--log {filter:?}: {error}"))?;
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr).with_ansi(ansi).init();
    Ok(())
}

//! `cargo xtask demo`: the web demo served by a real relay, for a person or for a browser test.
//!
//! The browser test itself is `web-demo/check.mjs`.

use std::path::PathBuf;
use std::process::{Child, ExitCode};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;
use std::{env, fs, process};

use anyhow::{Context, Result};

use crate::relay::{self, Relay};
use crate::repo::Repo;
use crate::setup::{self, Needs};
use crate::{build, proc, test};

const DEFAULT_PORT: u16 = 8787;
const POLL: Duration = Duration::from_millis(200);
/// What a shell reports for a program ended by Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Serves the demo until Ctrl-C.
pub(crate) fn serve(repo: &Repo, port: Option<u16>, data: Option<PathBuf>) -> Result<ExitCode> {
    let port = relay::free_port(Some(port.unwrap_or(DEFAULT_PORT)))?;
    let ready = setup::run(repo, Needs::BUILD)?;
    build::run(repo, &ready)?;
    relay::build_binaries(repo)?;
    let interrupted = on_interrupt()?;
    let data = data.unwrap_or_else(|| repo.target.join("demo-data"));
    let mut relay = Relay::start(repo, port, &data)?;
    println!("\nOpen {} in two tabs, or in two browsers.", relay.url());
    println!("  - Type in one: the other follows.");
    println!("  - Switch one offline, edit in both, switch it back: both show the same, and nothing is lost.");
    println!("  - Close all tabs, stop the relay, open again: everything is still there.");
    println!("The relay keeps its data in {}. Ctrl-C stops it.", data.display());
    while matches!(interrupted.recv_timeout(POLL), Err(RecvTimeoutError::Timeout)) {
        relay.check_alive()?;
    }
    drop(relay);
    println!("\nThe relay is stopped.");
    Ok(ExitCode::SUCCESS)
}

/// Drives the demo in a browser against a fresh relay.
pub(crate) fn check(repo: &Repo, port: Option<u16>, data: Option<PathBuf>) -> Result<ExitCode> {
    let port = relay::free_port(port)?;
    let ready = setup::run(repo, Needs { browser: true, ..Needs::BUILD })?;
    build::run(repo, &ready)?;
    relay::build_binaries(repo)?;
    let interrupted = on_interrupt()?;
    let fresh = data.is_none();
    let data = data.unwrap_or_else(|| env::temp_dir().join(format!("selvedge-demo-{}", process::id())));
    let relay = Relay::start(repo, port, &data)?;
    let mut node = proc::command("node");
    node.current_dir(repo.web_demo()).arg("check.mjs").arg(relay.url());
    test::node_env(repo, &ready, &mut node);
    println!("$ node web-demo/check.mjs {}", relay.url());
    let mut browser = node.spawn().context("cannot start node")?;
    let code = wait(&mut browser, &interrupted)?;
    if code != 0 && code != INTERRUPTED {
        println!("The end of the relay's log:\n{}", relay.log_tail());
    }
    drop(relay);
    if fresh {
        fs::remove_dir_all(&data).with_context(|| format!("cannot remove {}", data.display()))?;
    }
    println!("demo --check: {}", if code == 0 { "ok" } else { "FAILED" });
    Ok(ExitCode::from(code))
}

/// Waits for the end of the browser test, or ends it.
fn wait(browser: &mut Child, interrupted: &Receiver<()>) -> Result<u8> {
    loop {
        if let Some(status) = browser.try_wait()? {
            return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
        }
        if interrupted.recv_timeout(POLL).is_ok() {
            browser.kill().and_then(|()| browser.wait())?;
            return Ok(INTERRUPTED);
        }
    }
}

/// Ctrl-C and a request to end arrive here, so that the relay is always stopped.
fn on_interrupt() -> Result<Receiver<()>> {
    let (sender, receiver) = mpsc::channel();
    // A signal after the end of `wait` finds the receiver gone: nothing is left to stop then.
    ctrlc::set_handler(move || sender.send(()).unwrap_or_default()).context("Ctrl-C cannot be caught")?;
    Ok(receiver)
}

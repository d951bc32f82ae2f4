//! A relay process for the demo: built, started, waited for, and stopped by its process id.
//!
//! How the relay works is none of this file's business: it knows the command line and asks for `/`.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::proc;
use crate::repo::Repo;

const POLL: Duration = Duration::from_millis(50);
const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const TAIL_LINES: usize = 20;

/// A running relay; dropping it stops it.
pub(crate) struct Relay {
    child: Child,
    log: PathBuf,
    port: u16,
}

/// Builds the native programs that the demo and the tests start.
pub(crate) fn build_binaries(repo: &Repo) -> Result<()> {
    let mut cargo = proc::command("cargo");
    cargo.current_dir(&repo.root).env("CARGO_TARGET_DIR", &repo.target);
    proc::visible_ok(cargo.args(["build", "--release", "-p", "selvedge-relay", "-p", "selvedge-client"]))
}

/// A port of the loopback address: the one asked for, or any that is free.
pub(crate) fn free_port(wanted: Option<u16>) -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0)))
        .with_context(|| format!("port {} cannot be used: choose another with --port", wanted.unwrap_or(0)))?;
    Ok(listener.local_addr()?.port())
}

impl Relay {
    /// Starts a relay that serves the web demo, and waits until it answers.
    pub(crate) fn start(repo: &Repo, port: u16, data: &Path) -> Result<Self> {
        fs::create_dir_all(data).with_context(|| format!("cannot create {}", data.display()))?;
        let log = repo.logs().join(format!("relay-{port}.log"));
        let mut command = proc::command(repo.release_binary("selvedge-relay"));
        command.args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"]).arg(data);
        command.arg("--web").arg(repo.web_demo().join("dist"));
        let child = proc::start_logged(&mut command, &log)?;
        let mut relay = Self { child, log, port };
        let start = Instant::now();
        while !relay.answers() {
            relay.check_alive()?;
            if start.elapsed() > START_LIMIT {
                bail!("the relay did not answer within {} s:\n{}", START_LIMIT.as_secs(), relay.log_tail());
            }
            thread::sleep(POLL);
        }
        Ok(relay)
    }

    /// Where a browser finds it.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// An error if the relay has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the relay ended ({status}):\n{}", self.log_tail()),
            None => Ok(()),
        }
    }

    /// The end of what it printed.
    pub(crate) fn log_tail(&self) -> String {
        proc::tail(&self.log, TAIL_LINES)
    }

    fn answers(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(stream, "GET / HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\n\r\n", self.port)?;
            let mut head = [0; 12];
            stream.read_exact(&mut head)?;
            Ok(head.starts_with(b"HTTP/1.1 200"))
        };
        ask().unwrap_or(false)
    }
}

impl Drop for Relay {
    /// Asks it to drain; one that does not end in time is killed.
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if cfg!(unix) {
            let pid = self.child.id().to_string();
            let asked = proc::capture(proc::command("kill").args(["-TERM", &pid])).is_ok();
            let start = Instant::now();
            while asked && start.elapsed() < STOP_LIMIT {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                thread::sleep(POLL);
            }
        }
        // Only the process that we started; it may have ended by itself meanwhile.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

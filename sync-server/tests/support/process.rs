//! Runs the real program: waits for its line, sends it signals by its process id, and never leaves it running.

#![allow(dead_code, reason = "every test file uses another part of it")]

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

/// A relay in a process of its own; killed when dropped.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The line it printed.
    pub(crate) line: String,
}

/// The program, with no settings from the environment.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge-relay"));
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs the program to its end, which must come by itself.
pub(crate) fn run(args: &[&str]) -> Output {
    program().args(args).output().expect("the program runs")
}

impl Process {
    /// Starts `serve` on a free port with more arguments, and waits until it listens.
    pub(crate) fn start(data: &Path, args: &[&str]) -> Self {
        Self::start_with(data, &[&["--listen", "127.0.0.1:0"], args].concat())
    }

    /// Starts `serve` with arguments that say where it listens, and waits until it does.
    pub(crate) fn start_with(data: &Path, args: &[&str]) -> Self {
        let mut command = program();
        command.args(["serve", "--data"]).arg(data).args(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("reads");
        let addr =
            line.split("http://").nth(1).and_then(|rest| rest.split(' ').next()).and_then(|addr| addr.parse().ok());
        let Some(addr) = addr else {
            let _ = child.kill();
            let output = child.wait_with_output().expect("ends");
            panic!("it said {line:?} and {}", String::from_utf8_lossy(&output.stderr));
        };
        Self { child, addr, line }
    }

    /// Sends a signal by name, for example `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// Waits for the end; returns how it ended and what it logged.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        let mut log = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut log).expect("reads");
        }
        (status, log)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

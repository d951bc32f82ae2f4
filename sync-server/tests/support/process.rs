//! Runs the real program: waits for its line, sends it signals by its process id, and never leaves it running.

#![allow(dead_code, reason = "every test file uses another part of it")]

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// Only there to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A relay in a process of its own; killed when dropped.
pub(crate) struct Process {
    child: Child,
    logged: Arc<Logged>,
    reading: Option<JoinHandle<()>>,
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    /// The line it printed.
    pub(crate) line: String,
}

/// What a process has logged so far. It is read all the time: a pipe that is full would stop the process.
#[derive(Default)]
struct Logged {
    text: Mutex<String>,
    more: Condvar,
}

impl Logged {
    fn read(&self, stderr: ChildStderr) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            self.text.lock().expect("no panic").extend([line.as_str(), "\n"]);
            self.more.notify_all();
        }
    }
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
        let (logged, stderr) = (Arc::<Logged>::default(), child.stderr.take().expect("it was piped"));
        let reader = Arc::clone(&logged);
        let reading = Some(std::thread::spawn(move || reader.read(stderr)));
        Self { child, logged, reading, addr, line }
    }

    /// Waits until it has logged something that contains `text`.
    pub(crate) fn until_logged(&self, text: &str) {
        let log = self.logged.text.lock().expect("no panic");
        let (log, waited) =
            self.logged.more.wait_timeout_while(log, PATIENCE, |log| !log.contains(text)).expect("no panic");
        assert!(!waited.timed_out(), "it did not log {text:?}: {log}");
    }

    /// Sends a signal by name, for example `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(kill.expect("kill runs").success());
    }

    /// Waits for the end; returns how it ended and what it logged.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().expect("it ends");
        self.reading.take().map(JoinHandle::join).transpose().expect("it reads to the end");
        let log = self.logged.text.lock().expect("no panic").clone();
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

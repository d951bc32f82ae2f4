//! The relay in a process of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A relay; killed when dropped.
pub(crate) struct Relay {
    child: Child,
    data: TempDir,
    address: String,
    args: Vec<String>,
}

impl Relay {
    /// Starts a relay on a free port, with an empty store.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(args: &[&str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        let (child, address) = spawn(data.path(), "127.0.0.1:0", &args);
        Self { child, data, address, args }
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    /// Makes a token with the key in a file.
    pub(crate) fn token(&self, key: &Path, rule: &str) -> String {
        let made = Command::new(program()).args(["token", "--doc", rule, "--token-key"]).arg(key).output().unwrap();
        assert!(made.status.success());
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    /// Ends the process as a power cut would: at once, whatever it is doing.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port and data.
    pub(crate) fn restart(&mut self) {
        (self.child, self.address) = spawn(self.data.path(), &self.address, &self.args);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &Path, listen: &str, args: &[String]) -> (Child, String) {
    let mut command = Command::new(program());
    command.args(["serve", "--listen", listen, "--data"]).arg(data).args(args).env("RUST_LOG", "warn");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()).map(str::to_owned);
    let Some(address) = address else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("the relay did not start on {listen}; it said {line:?}");
    };
    (child, address)
}

/// The relay's program: named by SELVEDGE_RELAY, built beside this test, or built now.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(named) = std::env::var_os("SELVEDGE_RELAY") {
            return named.into();
        }
        let name = format!("selvedge-relay{}", std::env::consts::EXE_SUFFIX);
        let here = Path::new(env!("CARGO_BIN_EXE_selvedge")).parent().unwrap();
        let mut found = ["", "../release", "../debug"].iter().map(|dir| here.join(dir).join(&name));
        if let Some(built) = found.find(|path| path.is_file()) {
            return built;
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "selvedge-relay"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        build.env("CARGO_TARGET_DIR", here.parent().unwrap());
        if here.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().unwrap().success(), "the relay does not build");
        here.join(name)
    })
}

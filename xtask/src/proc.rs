//! Running other programs: captured, logged with a progress line, or visible.
//!
//! Every failure names the command and shows the end of its output. What to run is decided elsewhere.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use anyhow::{Context, Result, bail};

const POLL: Duration = Duration::from_millis(50);
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
const TAIL_LINES: usize = 25;

/// A command without what `cargo run` left in our own environment, which would mislead the next cargo.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        let left_by_cargo = matches!(&*name, "CARGO" | "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "OUT_DIR");
        if left_by_cargo || name.starts_with("CARGO_PKG_") {
            command.env_remove(&key);
        }
    }
    command
}

/// Runs a quick command and returns what it printed, trimmed.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("`{shown}` failed: {}", stderr.lines().next().unwrap_or("no message").trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a command with its output in a log file; a line now and then shows that it lives.
pub(crate) fn logged(command: &mut Command, log: &Path, limit: Option<Duration>) -> Result<()> {
    let shown = shown(command);
    let mut child = start_logged(command, log)?;
    let start = Instant::now();
    let mut next_progress = PROGRESS_EVERY;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let elapsed = start.elapsed();
        if limit.is_some_and(|limit| elapsed > limit) {
            child.kill().and_then(|()| child.wait())?;
            bail!("`{shown}` was stopped after {} s\n{}", elapsed.as_secs(), tail(log, TAIL_LINES));
        }
        if elapsed >= next_progress {
            next_progress += PROGRESS_EVERY;
            println!("      {:>4} s  {}", elapsed.as_secs(), tail(log, 1));
        }
        thread::sleep(POLL);
    };
    if !status.success() {
        bail!("`{shown}` failed ({status}); the end of {}:\n{}", log.display(), tail(log, TAIL_LINES));
    }
    Ok(())
}

/// Starts a command with all of its output in a log file.
pub(crate) fn start_logged(command: &mut Command, log: &Path) -> Result<Child> {
    if let Some(dir) = log.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let shown = shown(command);
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    command.spawn().with_context(|| format!("cannot start `{shown}`"))
}

/// Runs a command whose output the developer sees as it comes.
pub(crate) fn visible(command: &mut Command) -> Result<ExitStatus> {
    let shown = shown(command);
    match command.get_current_dir() {
        Some(dir) => println!("$ {shown}   (in {})", dir.display()),
        None => println!("$ {shown}"),
    }
    command.stdin(Stdio::null()).status().with_context(|| format!("cannot start `{shown}`"))
}

/// Like [`visible`], and a failure is an error.
pub(crate) fn visible_ok(command: &mut Command) -> Result<()> {
    let status = visible(command)?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// The exit code of a child as our own.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The first program of that name on the PATH.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    which_all(name).next()
}

/// Every program of that name on the PATH, in order.
pub(crate) fn which_all(name: &str) -> impl Iterator<Item = PathBuf> {
    let file = format!("{name}{}", env::consts::EXE_SUFFIX);
    let path = env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    dirs.into_iter().map(move |dir| dir.join(&file)).filter(|file| file.is_file())
}

/// `npm`, which on Windows is a script and needs its ending.
pub(crate) fn npm(dir: &Path) -> Command {
    let mut npm = command(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(dir);
    npm
}

/// The last lines of a log that hold anything.
pub(crate) fn tail(log: &Path, lines: usize) -> String {
    const WINDOW_BYTES: u64 = 64 * 1024;
    let Ok(mut file) = File::open(log) else { return String::new() };
    let size = file.metadata().map_or(0, |meta| meta.len());
    if file.seek(SeekFrom::Start(size.saturating_sub(WINDOW_BYTES))).is_err() {
        return String::new();
    }
    let mut last = VecDeque::new();
    for line in BufReader::new(file).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        if line.is_empty() {
            continue;
        }
        last.push_back(line);
        if last.len() > lines {
            last.pop_front();
        }
    }
    Vec::from(last).join("\n")
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(OsStr::to_string_lossy));
    words.join(" ")
}

#[cfg(all(test, unix))]
mod tests {
    use super::{capture, command, logged, tail};
    use std::time::Duration;

    #[test]
    fn a_failure_shows_the_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("step.log");
        let error = logged(command("sh").args(["-c", "echo one; echo two >&2; exit 3"]), &log, None).unwrap_err();
        assert!(error.to_string().ends_with("one\ntwo"), "{error}");
        assert_eq!(tail(&log, 1), "two");
    }

    #[test]
    fn a_command_past_its_limit_is_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let limit = Some(Duration::from_millis(100));
        let error = logged(command("sleep").arg("60"), &dir.path().join("step.log"), limit).unwrap_err();
        assert!(error.to_string().contains("was stopped"), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = capture(&mut command("selvedge-no-such-program")).unwrap_err();
        assert!(error.to_string().contains("selvedge-no-such-program"), "{error}");
    }
}

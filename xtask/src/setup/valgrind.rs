//! valgrind, whose callgrind counts the instructions of the growth test: on the PATH, or Debian's package.
//!
//! It exists on Linux only; elsewhere that test holds memory alone, and says so.

use anyhow::{Context, Result, bail};

use super::debian;
use crate::proc;
use crate::repo::Repo;

/// Finds it or installs it. Returns a few words on what was found.
pub(super) fn ensure(repo: &Repo) -> Result<String> {
    if !cfg!(target_os = "linux") {
        return Ok("not on this system; the growth test holds memory alone".to_owned());
    }
    let found = || proc::which("valgrind").map(|path| path.display().to_string());
    if let Some(words) = found() {
        return Ok(words);
    }
    let todo = "install valgrind";
    if !debian::is_possible() {
        bail!(todo);
    }
    debian::install(repo, &["valgrind"]).context(todo)?;
    found().context(todo)
}

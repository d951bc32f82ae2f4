//! The Chromium that the end-to-end tests drive: SELVEDGE_CHROMIUM, the PATH, or Debian's package.
//!
//! Starting it is the tests' own business.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::debian;
use crate::proc;
use crate::repo::Repo;

const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const ON_A_MAC: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/// Finds a browser or installs one.
pub(super) fn ensure(repo: &Repo) -> Result<(PathBuf, String)> {
    if let Some(path) = env::var_os("SELVEDGE_CHROMIUM") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!("SELVEDGE_CHROMIUM names {}, which is not there", path.display());
        }
        return Ok(told(path));
    }
    if let Some(path) = find() {
        return Ok(told(path));
    }
    let todo = "install Chromium or Chrome, or set SELVEDGE_CHROMIUM to the path of one";
    if !debian::is_possible() {
        bail!(todo);
    }
    debian::install(repo, &["chromium"]).context(todo)?;
    find().map(told).context(todo)
}

fn find() -> Option<PathBuf> {
    let on_path = NAMES.iter().find_map(|name| proc::which(name));
    on_path.or_else(|| Path::new(ON_A_MAC).is_file().then(|| ON_A_MAC.into()))
}

fn told(path: PathBuf) -> (PathBuf, String) {
    let words = path.display().to_string();
    (path, words)
}

//! `npm ci`, run only when `package-lock.json` differs from what was installed last.
//!
//! The comparison is by content, not by time: a checkout gives every file the time of the checkout.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::proc;
use crate::repo::Repo;

const LIMIT: Duration = Duration::from_secs(900);
/// A copy of the lock file that was installed, inside `node_modules` so that it goes when they go.
const INSTALLED: &str = ".selvedge-installed-lock.json";

/// Installs the packages of one folder.
pub(super) fn ensure(repo: &Repo, name: &str, dir: &Path) -> Result<((), String)> {
    if !dir.join("package.json").is_file() {
        bail!("{} has no package.json: the checkout is not complete", dir.display());
    }
    let lock = fs::read(dir.join("package-lock.json"))
        .with_context(|| format!("{} has no package-lock.json: run `npm install` there once", dir.display()))?;
    let installed = dir.join("node_modules").join(INSTALLED);
    if fs::read(&installed).is_ok_and(|installed| installed == lock) {
        return Ok(((), "up to date".into()));
    }
    let log = repo.logs().join(format!("npm-ci-{name}.log"));
    let mut npm = proc::npm(dir);
    proc::logged(npm.args(["ci", "--no-audit", "--no-fund"]), &log, Some(LIMIT))?;
    // npm makes no folder when there is nothing to install.
    fs::create_dir_all(dir.join("node_modules"))?;
    fs::write(&installed, lock)?;
    Ok(((), "installed".into()))
}

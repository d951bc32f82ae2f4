//! The programs of the wasm build: Node.js (looked for), wasm-bindgen and wasm-pack (installed when missing), and of `mutants`.
//!
//! A program on the PATH wins if its version fits; else `cargo install` puts it into `target/tools`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::proc;
use crate::repo::Repo;

const NODE_MAJOR: u32 = 20;
const WASM_PACK_MINOR: u32 = 13;
const INSTALL_LIMIT: Duration = Duration::from_secs(3600);

/// Node.js is not ours to install.
pub(super) fn node() -> Result<String> {
    let todo = || format!("install Node.js {NODE_MAJOR} or newer (with npm)");
    let version = proc::capture(proc::command("node").arg("--version")).with_context(todo)?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR) {
        bail!("{}: this one is {version}", todo());
    }
    if proc::which("npm").is_none() && cfg!(unix) {
        bail!("install npm: Node.js is there without it");
    }
    Ok(version)
}

/// wasm-bindgen of exactly the pinned version.
pub(super) fn wasm_bindgen(repo: &Repo, version: &str) -> Result<(PathBuf, String)> {
    if find_wasm_bindgen(repo, version).is_none() {
        // Not --locked: the lock file of that package names a crate version that was taken back.
        install(repo, "wasm-bindgen-cli", Some(version))?;
    }
    let found = find_wasm_bindgen(repo, version).with_context(|| missing("wasm-bindgen-cli", Some(version)))?;
    Ok((found, version.to_owned()))
}

/// wasm-pack, of any version that is maintained.
pub(super) fn wasm_pack(repo: &Repo) -> Result<(PathBuf, String)> {
    if find_wasm_pack(repo).is_none() {
        install(repo, "wasm-pack", None)?;
    }
    find_wasm_pack(repo).with_context(|| missing("wasm-pack", None))
}

/// cargo-mutants, of any version.
pub(crate) fn cargo_mutants(repo: &Repo) -> Result<PathBuf> {
    let find = || candidates(repo, "cargo-mutants").into_iter().next();
    if find().is_none() {
        install(repo, "cargo-mutants", None)?;
    }
    find().with_context(|| missing("cargo-mutants", None))
}

/// Looks for wasm-bindgen of that version.
pub(super) fn find_wasm_bindgen(repo: &Repo, version: &str) -> Option<PathBuf> {
    candidates(repo, "wasm-bindgen").into_iter().find(|path| version_of(path).as_deref() == Some(version))
}

/// Looks for a wasm-pack that is new enough; returns its version too.
pub(super) fn find_wasm_pack(repo: &Repo) -> Option<(PathBuf, String)> {
    candidates(repo, "wasm-pack").into_iter().find_map(|path| {
        let version = version_of(&path)?;
        let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
        let new_enough = (parts.next()?, parts.next()?) >= (0, WASM_PACK_MINOR);
        new_enough.then_some((path, version))
    })
}

fn candidates(repo: &Repo, name: &str) -> Vec<PathBuf> {
    let own = repo.tools().join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    proc::which_all(name).chain(own.is_file().then_some(own)).collect()
}

/// The second word of `name 1.2.3`.
fn version_of(program: &Path) -> Option<String> {
    let line = proc::capture(proc::command(program).arg("--version")).ok()?;
    line.split_whitespace().nth(1).map(str::to_owned)
}

fn install(repo: &Repo, package: &str, version: Option<&str>) -> Result<()> {
    println!("      cargo install {package} (a few minutes, once)");
    let mut cargo = proc::command("cargo");
    cargo.args(["install", package, "--root"]).arg(repo.tools());
    let build = repo.target.join("tools-build");
    cargo.env("CARGO_TARGET_DIR", &build);
    if let Some(version) = version {
        cargo.args(["--version", version]);
    }
    let log = repo.logs().join(format!("install-{package}.log"));
    proc::logged(&mut cargo, &log, Some(INSTALL_LIMIT)).with_context(|| missing(package, version))?;
    fs::remove_dir_all(&build).with_context(|| format!("cannot remove {}", build.display()))
}

fn missing(package: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("install it by `cargo install {package} --version {version}`"),
        None => format!("install it by `cargo install {package}`"),
    }
}

//! Which Rust toolchain compiles to wasm32: the usual one if it can, else the Debian one of `debian.rs`.
//!
//! "Can" means that the target's folder in the sysroot holds a standard library that this compiler accepts.
//! Nothing here touches the system beyond `rustup target add`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;

use super::debian;
use crate::proc;
use crate::repo::Repo;

pub(crate) const TARGET: &str = "wasm32-unknown-unknown";
/// rustup's toolchains bring a linker for wasm; Debian's needs this program.
pub(crate) const LINKER: &str = "wasm-ld";
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(180);

/// A toolchain that has the wasm32 standard library.
pub(crate) struct WasmToolchain {
    /// What RUSTUP_TOOLCHAIN must be; `None` is the toolchain that runs us.
    pub(crate) name: Option<&'static str>,
    /// Changes with the compiler and with the standard library: artefacts of another key are stale.
    pub(crate) key: String,
}

/// Looks for a toolchain that is ready; installs nothing.
pub(crate) fn find() -> Option<WasmToolchain> {
    usable(None).or_else(|| usable(Some(debian::TOOLCHAIN)))
}

/// Finds a toolchain or makes one.
pub(super) fn ensure(repo: &Repo) -> Result<(WasmToolchain, String)> {
    if let Some(found) = find() {
        let words = found.words();
        return Ok((found, words));
    }
    println!("      trying rustup target add {TARGET}");
    let mut rustup = proc::command("rustup");
    rustup.args(["target", "add", TARGET]);
    let log = repo.logs().join("rustup-target.log");
    let refused = proc::logged(&mut rustup, &log, Some(DOWNLOAD_LIMIT)).err();
    if let Some(added) = usable(None) {
        return Ok((added, "added by rustup".into()));
    }
    if !debian::is_possible() {
        let why = refused.map_or_else(|| "it added nothing".to_owned(), |error| format!("{error:#}"));
        anyhow::bail!("install it by `rustup target add {TARGET}`, which failed here: {why}");
    }
    println!("      rustup could not fetch it; falling back to Debian's compiler and a standard library built here");
    debian::ensure(repo)?;
    match usable(Some(debian::TOOLCHAIN)) {
        Some(built) => Ok((built, "standard library built for Debian's compiler".into())),
        None => anyhow::bail!("the standard library was built, yet the compiler does not accept it"),
    }
}

/// The folder of the target's standard library, whether it exists or not.
pub(super) fn libdir(toolchain: Option<&str>) -> Option<PathBuf> {
    let mut rustc = rustc(toolchain);
    rustc.args(["--print", "target-libdir", "--target", TARGET]);
    proc::capture(&mut rustc).ok().map(PathBuf::from)
}

/// The libraries in that folder, sorted by name.
pub(super) fn rlibs(libdir: &Path) -> Vec<String> {
    let entries = fs::read_dir(libdir).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut rlibs: Vec<String> = names.filter(|name| name.ends_with(".rlib")).collect();
    rlibs.sort();
    rlibs
}

/// `rustc`, of a named toolchain or of the one that runs us.
pub(super) fn rustc(toolchain: Option<&str>) -> std::process::Command {
    let mut rustc = proc::command("rustc");
    if let Some(name) = toolchain {
        rustc.env("RUSTUP_TOOLCHAIN", name).env_remove("LD_LIBRARY_PATH");
    }
    rustc
}

fn usable(name: Option<&'static str>) -> Option<WasmToolchain> {
    let libdir = libdir(name)?;
    let rlibs = rlibs(&libdir);
    if !rlibs.iter().any(|rlib| rlib.starts_with("libstd-")) {
        return None;
    }
    if name.is_some() && (proc::which(LINKER).is_none() || !compiles_empty_crate(name)) {
        return None;
    }
    let version = proc::capture(rustc(name).arg("-Vv")).ok()?;
    let key = format!("{version}\n{}\n{}\n", libdir.display(), rlibs.join("\n"));
    Some(WasmToolchain { name, key })
}

/// A library left by another compiler version looks complete and is refused only in use.
fn compiles_empty_crate(toolchain: Option<&str>) -> bool {
    let mut rustc = rustc(toolchain);
    rustc.args(["--crate-type", "lib", "--crate-name", "probe", "--target", TARGET]);
    rustc.args(["--emit", "metadata", "-o", "-", "-"]);
    let status = rustc.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

impl WasmToolchain {
    fn words(&self) -> String {
        let version = self.key.lines().next().unwrap_or_default();
        match self.name {
            None => version.to_owned(),
            Some(name) => format!("{version}, toolchain `{name}`"),
        }
    }
}

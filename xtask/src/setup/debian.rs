//! The wasm32 target where rustup cannot download it: Debian's newer compiler, and the standard library
//! built from Debian's copy of its source.
//!
//! Done once per compiler version: packages, a rustup toolchain link, an empty crate built with `build-std`,
//! its libraries copied into the sysroot, and a stamp. Other systems are told what to install instead.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, io};

use anyhow::{Context, Result, bail};

use super::toolchain::{self, TARGET};
use crate::proc;
use crate::repo::Repo;

/// The name of the linked rustup toolchain.
pub(super) const TOOLCHAIN: &str = "debian";
const PREFIX: &str = "/usr";
const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];
const APT_LIMIT: Duration = Duration::from_secs(900);
const BUILD_LIMIT: Duration = Duration::from_secs(1800);
/// Crate of which the standard library is a dependency. Anything else in it would spoil the sysroot.
const EMPTY_CRATE: &str = "selvedge_empty";

/// Is this a Debian on which we may install packages?
pub(super) fn is_possible() -> bool {
    Path::new("/etc/debian_version").exists() && proc::which("apt-get").is_some() && privileged("true").is_some()
}

/// Packages, toolchain link, standard library.
pub(super) fn ensure(repo: &Repo) -> Result<()> {
    let _one_at_a_time = lock()?;
    install(repo, &PACKAGES)?;
    link_toolchain()?;
    let libdir = toolchain::libdir(Some(TOOLCHAIN)).context("the toolchain `debian` does not answer")?;
    let version = proc::capture(toolchain::rustc(Some(TOOLCHAIN)).arg("-Vv"))?;
    let stamp = libdir.with_file_name("selvedge-std");
    let finished = fs::read_to_string(&stamp).is_ok_and(|stamped| stamped.trim() == version);
    if finished && !toolchain::rlibs(&libdir).is_empty() {
        return Ok(());
    }
    let dir = repo.target.join("std-wasm");
    let deps = build_std(repo, &dir)?;
    replace_sysroot(&deps, &libdir)?;
    let written = dir.join("stamp");
    fs::write(&written, version)?;
    proc::capture(as_root("install")?.args(["-m", "644"]).arg(&written).arg(&stamp))?;
    fs::remove_dir_all(&dir).context("the build folder of the standard library cannot be removed")
}

/// Installs Debian packages that are missing.
pub(super) fn install(repo: &Repo, packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let todo = format!("install the Debian packages {}", missing.join(" "));
    println!("      apt-get install {}", missing.join(" "));
    let log = repo.logs().join("apt-get.log");
    let wait = ["-o", "DPkg::Lock::Timeout=300"];
    let mut update = as_root("apt-get")?;
    proc::logged(update.arg("update").args(wait), &log, Some(APT_LIMIT)).with_context(|| todo.clone())?;
    let mut apt = as_root("apt-get")?;
    apt.args(["install", "-y", "--no-install-recommends"]).args(wait).args(&missing);
    proc::logged(&mut apt, &log, Some(APT_LIMIT)).with_context(|| todo)
}

fn is_installed(package: &str) -> bool {
    let mut query = proc::command("dpkg-query");
    proc::capture(query.args(["-W", "-f", "${db:Status-Status}", package])).is_ok_and(|status| status == "installed")
}

fn link_toolchain() -> Result<()> {
    let list = proc::capture(proc::command("rustup").args(["toolchain", "list"]))
        .context("install rustup: the Debian compiler is used beside its toolchains")?;
    if list.lines().any(|line| line.split_whitespace().next() == Some(TOOLCHAIN)) {
        return Ok(());
    }
    proc::capture(proc::command("rustup").args(["toolchain", "link", TOOLCHAIN, PREFIX])).map(|_| ())
}

/// Builds the standard library and returns the folder with its libraries.
fn build_std(repo: &Repo, dir: &Path) -> Result<PathBuf> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(dir.join("src"))?;
    let manifest =
        format!("[package]\nname = \"{EMPTY_CRATE}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n");
    fs::write(dir.join("Cargo.toml"), manifest)?;
    fs::write(dir.join("src/lib.rs"), "")?;
    println!("      building the standard library for {TARGET} (1 to 3 minutes, once)");
    let mut cargo = proc::command("cargo");
    cargo.current_dir(dir).env_remove("LD_LIBRARY_PATH").env_remove("RUSTFLAGS");
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTUP_TOOLCHAIN", TOOLCHAIN).env("CARGO_TARGET_DIR", dir.join("target"));
    cargo.args(["build", "--release", "--target", TARGET, "-Z", "build-std=std,panic_abort"]);
    proc::logged(&mut cargo, &repo.logs().join("build-std.log"), Some(BUILD_LIMIT))?;
    Ok(dir.join("target").join(TARGET).join("release/deps"))
}

/// Puts the libraries in the sysroot in place of those that another compiler version left.
fn replace_sysroot(deps: &Path, libdir: &Path) -> Result<()> {
    let mut new = Vec::new();
    for entry in fs::read_dir(deps)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_library = name.ends_with(".rlib") || name.ends_with(".rmeta");
        if is_library && !name.contains(EMPTY_CRATE) {
            new.push(path);
        }
    }
    if new.is_empty() {
        bail!("the build of the standard library left no libraries in {}", deps.display());
    }
    if libdir.exists() {
        proc::capture(as_root("rm")?.arg("-r").arg(libdir))?;
    }
    proc::capture(as_root("install")?.arg("-d").arg(libdir))?;
    proc::capture(as_root("install")?.args(["-m", "644", "-t"]).arg(libdir).args(&new)).map(|_| ())
}

/// A command with root's rights, or an error that says what is missing.
fn as_root(program: &str) -> Result<Command> {
    privileged(program).context("root or passwordless sudo is needed to install packages")
}

fn privileged(program: &str) -> Option<Command> {
    if proc::capture(proc::command("id").arg("-u")).is_ok_and(|id| id == "0") {
        let mut command = proc::command(program);
        command.env("DEBIAN_FRONTEND", "noninteractive");
        return Some(command);
    }
    proc::capture(proc::command("sudo").args(["-n", "true"])).ok()?;
    let mut sudo = proc::command("sudo");
    sudo.args(["-n", "DEBIAN_FRONTEND=noninteractive", program]);
    Some(sudo)
}

/// Two checkouts may be set up at once; the sysroot is one.
fn lock() -> Result<File> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = cargo_home.or_else(|| env::home_dir().map(|home| home.join(".cargo"))).context("no home folder")?;
    let path = home.join(".selvedge-setup.lock");
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    match file.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error).context("the set-up cannot be locked"),
        _ => Ok(file),
    }
}

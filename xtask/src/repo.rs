//! Where the repository and its build folders are, and the versions that its manifest pins.
//!
//! Every path that the commands use comes from here. Nothing here runs a program or writes a file.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};

/// The folders of one checkout.
pub(crate) struct Repo {
    /// The folder of the workspace's manifest.
    pub(crate) root: PathBuf,
    /// Build output of the native toolchain.
    pub(crate) target: PathBuf,
}

impl Repo {
    /// Finds the checkout that holds the current folder.
    pub(crate) fn find() -> Result<Self> {
        let cwd = env::current_dir().context("the current folder cannot be read")?;
        let Some(root) = cwd.ancestors().find(|dir| is_root(dir)) else {
            bail!("this is not inside a checkout of Selvedge: change into the repository first");
        };
        let root = root.to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) if !dir.is_empty() => cwd.join(dir),
            _ => root.join("target"),
        };
        // `cargo xtask env` exports the wasm folder: in such a shell the native folder is one above.
        let target = if target == root.join("target/wasm") { root.join("target") } else { target };
        Ok(Self { root, target })
    }

    /// The wasm compiler's own target folder: two compilers must not share one.
    pub(crate) fn wasm_target(&self) -> PathBuf {
        self.target.join("wasm")
    }

    /// Where the set-up installs programs that are not on the PATH.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("tools")
    }

    /// Where the output of quiet steps goes.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("xtask-logs")
    }

    /// The npm package.
    pub(crate) fn npm(&self) -> PathBuf {
        self.root.join("bindings/npm")
    }

    /// The demo application.
    pub(crate) fn web_demo(&self) -> PathBuf {
        self.root.join("web-demo")
    }

    /// A native program built with `--release`.
    pub(crate) fn release_binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// The wasm-bindgen version that the workspace pins; the command-line tool must be the same.
    pub(crate) fn wasm_bindgen_version(&self) -> Result<String> {
        let manifest = fs::read_to_string(self.root.join("Cargo.toml")).context("Cargo.toml cannot be read")?;
        pinned(&manifest, "wasm-bindgen").context("Cargo.toml does not pin wasm-bindgen = \"=x.y.z\"")
    }
}

fn is_root(dir: &Path) -> bool {
    dir.join("xtask/Cargo.toml").is_file() && dir.join("Cargo.toml").is_file()
}

/// The exact version in a line `name = "=1.2.3"` or `name = { version = "=1.2.3", … }`.
fn pinned(manifest: &str, name: &str) -> Option<String> {
    let line = manifest.lines().find(|line| line.split('=').next().is_some_and(|key| key.trim() == name))?;
    let version = line.split_once("\"=")?.1;
    Some(version.split_once('"')?.0.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::pinned;

    #[test]
    fn the_pin_is_read_in_both_spellings() {
        let plain = "[workspace.dependencies]\nwasm-bindgen-futures = \"0.4\"\nwasm-bindgen = \"=0.2.130\"\n";
        let table = "wasm-bindgen = { version = \"=0.2.99\", features = [] }\n";
        assert_eq!(pinned(plain, "wasm-bindgen").as_deref(), Some("0.2.130"));
        assert_eq!(pinned(table, "wasm-bindgen").as_deref(), Some("0.2.99"));
    }

    #[test]
    fn a_loose_requirement_is_not_a_pin() {
        assert_eq!(pinned("wasm-bindgen = \"0.2\"\n", "wasm-bindgen"), None);
    }
}

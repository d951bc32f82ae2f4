//! The environment in which cargo, wasm-bindgen, wasm-pack and webpack's plugin compile to wasm32.
//!
//! All of them must see the same variables, or they build twice with two compilers. Finding the tools is
//! the set-up's work.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::proc;
use crate::repo::Repo;
use crate::setup::{self, Ready};

/// Variables for every command that may compile to wasm32.
pub(crate) struct WasmEnv {
    vars: Vec<(&'static str, OsString)>,
}

impl WasmEnv {
    /// Derives the variables from what the set-up found.
    pub(crate) fn new(repo: &Repo, ready: &Ready) -> Result<Self> {
        let toolchain = ready.toolchain.as_ref().context("the wasm32 toolchain was not set up")?;
        let tools = [&ready.wasm_bindgen, &ready.wasm_pack].into_iter().flatten();
        // A wrong version that comes first on the PATH must not win.
        let hidden = tools.filter(|tool| {
            tool.file_stem().and_then(|n| proc::which(&n.to_string_lossy())) != Some(tool.to_path_buf())
        });
        let mut dirs: Vec<PathBuf> = hidden.filter_map(|tool| tool.parent()).map(PathBuf::from).collect();
        dirs.dedup();
        dirs.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let mut vars = vec![("PATH", env::join_paths(dirs)?), ("CARGO_TARGET_DIR", repo.wasm_target().into())];
        if let Some(wasm_pack) = &ready.wasm_pack {
            vars.push(("WASM_PACK_PATH", wasm_pack.into()));
        }
        if let Some(name) = toolchain.name {
            vars.push(("RUSTUP_TOOLCHAIN", name.into()));
            vars.push(("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", setup::LINKER.into()));
        }
        Ok(Self { vars })
    }

    /// Gives a command these variables.
    pub(crate) fn apply<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let other_toolchain = self.vars.iter().any(|(key, _)| *key == "RUSTUP_TOOLCHAIN");
        if other_toolchain {
            // `cargo run` put the libraries of the toolchain that built us here.
            command.env_remove("LD_LIBRARY_PATH");
        }
        command.envs(self.vars.iter().map(|(key, value)| (key, value)))
    }
}

/// `cargo xtask env`: prints the variables for a shell, or runs a command with them.
pub(crate) fn print_or_run(repo: &Repo, words: &[OsString]) -> Result<ExitCode> {
    let ready =
        setup::find_wasm_tools(repo).context("the wasm tools are not complete: run `cargo xtask setup` first")?;
    let wasm = WasmEnv::new(repo, &ready)?;
    let Some((program, args)) = words.split_first() else {
        for (key, value) in &wasm.vars {
            println!("export {key}={}", quoted(&value.to_string_lossy()));
        }
        return Ok(ExitCode::SUCCESS);
    };
    let mut command = proc::command(program);
    let status = wasm.apply(command.args(args)).status();
    let status = status.with_context(|| format!("cannot start `{}`", program.to_string_lossy()))?;
    Ok(proc::exit_code(status))
}

/// One word of a POSIX shell.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quote_in_a_path_does_not_end_the_word() {
        assert_eq!(quoted("/it's/here"), r"'/it'\''s/here'");
    }
}

//! The set-up: a list of steps, each of which looks first and does only what is missing.
//!
//! A step that cannot be done is an error with one line on what to install; nothing is skipped in silence.
//! How each thing is found or installed stands in the files below; this one only orders them.

mod browser;
mod debian;
mod npm;
mod toolchain;
mod tools;
mod valgrind;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::repo::Repo;
pub(crate) use toolchain::{LINKER, TARGET, WasmToolchain};
pub(crate) use tools::cargo_mutants;

/// What a command needs; the set-up does no more than that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Node.js, the wasm toolchain and the npm packages.
    pub(crate) build: bool,
    /// A Chromium for the end-to-end tests.
    pub(crate) browser: bool,
    /// valgrind for the growth test.
    pub(crate) valgrind: bool,
}

impl Needs {
    pub(crate) const ALL: Self = Self { build: true, browser: true, valgrind: true };
    pub(crate) const BUILD: Self = Self { build: true, browser: false, valgrind: false };
}

/// The outcome of a set-up: where everything is. What was not asked for is `None`.
#[derive(Default)]
pub(crate) struct Ready {
    pub(crate) toolchain: Option<WasmToolchain>,
    pub(crate) wasm_bindgen: Option<PathBuf>,
    pub(crate) wasm_pack: Option<PathBuf>,
    pub(crate) chromium: Option<PathBuf>,
}

/// Makes sure of what is needed.
pub(crate) fn run(repo: &Repo, needs: Needs) -> Result<Ready> {
    let total = if needs.build { 6 } else { 0 } + usize::from(needs.browser) + usize::from(needs.valgrind);
    let mut steps = Steps { done: 0, total };
    let mut ready = Ready::default();
    if needs.build {
        let version = repo.wasm_bindgen_version()?;
        steps.run("Node.js", || tools::node().map(|found| ((), found)))?;
        ready.toolchain = Some(steps.run("wasm32 target", || toolchain::ensure(repo))?);
        ready.wasm_bindgen = Some(steps.run("wasm-bindgen", || tools::wasm_bindgen(repo, &version))?);
        ready.wasm_pack = Some(steps.run("wasm-pack", || tools::wasm_pack(repo))?);
        steps.run("npm packages of bindings/npm", || npm::ensure(repo, "npm", &repo.npm()))?;
        steps.run("npm packages of web-demo", || npm::ensure(repo, "web-demo", &repo.web_demo()))?;
    }
    if needs.browser {
        ready.chromium = Some(steps.run("Chromium", || browser::ensure(repo))?);
    }
    if needs.valgrind {
        steps.run("valgrind", || valgrind::ensure(repo).map(|found| ((), found)))?;
    }
    Ok(ready)
}

/// Looks for the wasm tools and installs nothing.
pub(crate) fn find_wasm_tools(repo: &Repo) -> Option<Ready> {
    Some(Ready {
        toolchain: Some(toolchain::find()?),
        wasm_bindgen: Some(tools::find_wasm_bindgen(repo, &repo.wasm_bindgen_version().ok()?)?),
        wasm_pack: Some(tools::find_wasm_pack(repo)?.0),
        chromium: None,
    })
}

/// Numbers the steps and says how each ended.
struct Steps {
    done: usize,
    total: usize,
}

impl Steps {
    /// A step returns its value and a few words on what was found.
    fn run<T>(&mut self, name: &str, step: impl FnOnce() -> Result<(T, String)>) -> Result<T> {
        const WORTH_TELLING: Duration = Duration::from_secs(2);
        self.done += 1;
        let start = Instant::now();
        let (value, found) = step().with_context(|| format!("set-up, {name}"))?;
        let elapsed = start.elapsed();
        let time = if elapsed >= WORTH_TELLING { format!(" ({} s)", elapsed.as_secs()) } else { String::new() };
        println!("[{}/{}] {name}: {found}{time}", self.done, self.total);
        Ok(value)
    }
}

//! `cargo xtask build`: the wasm module, the npm package around it, and the web demo.
//!
//! cargo itself knows what is stale in Rust; the later steps are skipped by their stamps. What the npm
//! scripts do is theirs; here only the order, the environment and a look at the results.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::environment::WasmEnv;
use crate::fresh::Stamp;
use crate::proc;
use crate::repo::Repo;
use crate::setup::{Ready, TARGET, WasmToolchain};

const WASM_PACKAGE: &str = "selvedge-wasm";
const WASM_FILE: &str = "selvedge_wasm";
/// What makes a module that is small when it is packed: inlining leaves fewer bytes that pack worse (7 % more after
/// compression), and so does one way of tidying locals.
const WASM_PASSES: [&str; 5] = [
    "-O2",
    "--shrink-level=1",
    "--skip-pass=inlining",
    "--skip-pass=inlining-optimizing",
    "--skip-pass=simplify-locals",
];

/// What Rust's wasm32 target emits; wasm-opt refuses a module that uses more than it was told of.
const WASM_FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// Builds what is not up to date.
pub(crate) fn run(repo: &Repo, ready: &Ready) -> Result<()> {
    let toolchain = ready.toolchain.as_ref().context("the wasm32 toolchain was not set up")?;
    let env = WasmEnv::new(repo, ready)?;
    let compiled = compile(repo, toolchain, &env)?;
    let module = bindgen(repo, ready, &env, &compiled)?;
    npm_package(repo, &env, &module)?;
    let served = web_demo(repo, &env, &compiled)?;
    for wasm in [module, served] {
        println!("{}: {}", wasm.strip_prefix(&repo.root).unwrap_or(&wasm).display(), sizes(&wasm)?);
    }
    Ok(())
}

/// The module as rustc leaves it.
fn compile(repo: &Repo, toolchain: &WasmToolchain, env: &WasmEnv) -> Result<PathBuf> {
    let target = repo.wasm_target();
    let key = target.join(".sysroot-key");
    if target.exists() && fs::read_to_string(&key).is_ok_and(|found| found != toolchain.key) {
        println!("the wasm32 standard library changed: removing {}", target.display());
        fs::remove_dir_all(&target)?;
    }
    fs::create_dir_all(&target)?;
    fs::write(&key, &toolchain.key)?;
    let mut cargo = proc::command("cargo");
    cargo.current_dir(&repo.root);
    cargo.args(["build", "--release", "--target", TARGET, "-p", WASM_PACKAGE]);
    proc::visible_ok(env.apply(&mut cargo))?;
    let module = target.join(TARGET).join("release").join(format!("{WASM_FILE}.wasm"));
    ensure!(module.is_file(), "{WASM_PACKAGE} left no {WASM_FILE}.wasm: its crate-type must be cdylib");
    Ok(module)
}

/// The module with its JavaScript and types, optimised for size.
fn bindgen(repo: &Repo, ready: &Ready, env: &WasmEnv, compiled: &Path) -> Result<PathBuf> {
    let out = repo.npm().join("wasm");
    let module = out.join(format!("{WASM_FILE}_bg.wasm"));
    let key = [&[&*repo.wasm_bindgen_version()?][..], &WASM_PASSES, &WASM_FEATURES].concat().join(" ");
    let stamp = Stamp::new(repo, "bindgen", &key);
    let inputs = [compiled.to_path_buf(), repo.npm().join("package-lock.json")];
    if stamp.is_fresh(&inputs, std::slice::from_ref(&module)) {
        println!("wasm-bindgen: up to date");
        return Ok(module);
    }
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    let program = ready.wasm_bindgen.as_ref().context("wasm-bindgen was not set up")?;
    let mut bindgen = proc::command(program);
    bindgen.args(["--target", "web", "--typescript", "--out-dir"]).arg(&out).arg(compiled);
    proc::visible_ok(env.apply(&mut bindgen))?;
    optimise(repo, &module)?;
    stamp.write()?;
    Ok(module)
}

fn optimise(repo: &Repo, module: &Path) -> Result<()> {
    let name = if cfg!(windows) { "wasm-opt.cmd" } else { "wasm-opt" };
    let program = repo.npm().join("node_modules/.bin").join(name);
    ensure!(program.is_file(), "no wasm-opt: bindings/npm must list `binaryen` among its devDependencies");
    let smaller = module.with_extension("opt");
    let mut wasm_opt = proc::command(program);
    wasm_opt.args(WASM_PASSES).args(WASM_FEATURES).arg(module).arg("-o").arg(&smaller);
    proc::visible_ok(&mut wasm_opt)?;
    fs::rename(&smaller, module).context("the optimised module cannot take its place")
}

fn npm_package(repo: &Repo, env: &WasmEnv, module: &Path) -> Result<()> {
    let dist = repo.npm().join("dist");
    let stamp = Stamp::new(repo, "npm", "");
    if stamp.is_fresh(&[repo.npm(), module.to_path_buf()], std::slice::from_ref(&dist)) {
        println!("npm package: up to date");
        return Ok(());
    }
    proc::visible_ok(env.apply(proc::npm(&repo.npm()).args(["run", "build"])))?;
    ensure!(dist.is_dir(), "`npm run build` in bindings/npm left no dist/");
    stamp.write()
}

/// The demo as the relay serves it; returns the module in it.
fn web_demo(repo: &Repo, env: &WasmEnv, compiled: &Path) -> Result<PathBuf> {
    let dist = repo.web_demo().join("dist");
    let stamp = Stamp::new(repo, "web-demo", "");
    let package = [repo.npm().join("dist"), repo.npm().join("package.json")];
    let inputs = [repo.web_demo(), compiled.to_path_buf()].into_iter().chain(package).collect::<Vec<_>>();
    if stamp.is_fresh(&inputs, &[dist.join("index.html")])
        && let Ok(module) = module_in(&dist)
    {
        println!("web demo: up to date");
        return Ok(module);
    }
    // webpack's plugin may fail and webpack still report success: what is found afterwards must be new.
    if dist.exists() {
        fs::remove_dir_all(&dist)?;
    }
    proc::visible_ok(env.apply(proc::npm(&repo.web_demo()).args(["run", "build"])))?;
    ensure!(dist.join("index.html").is_file(), "`npm run build` in web-demo left no dist/index.html");
    let module = module_in(&dist)?;
    optimise(repo, &module)?;
    stamp.write()?;
    Ok(module)
}

/// The largest real wasm module below a folder.
fn module_in(dir: &Path) -> Result<PathBuf> {
    const MAGIC: &[u8] = b"\0asm";
    let mut folders = vec![dir.to_path_buf()];
    let mut best: Option<(u64, PathBuf)> = None;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let (path, meta) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if meta.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "wasm")
                && best.as_ref().is_none_or(|(size, _)| meta.len() > *size)
                && fs::read(&path)?.starts_with(MAGIC)
            {
                best = Some((meta.len(), path));
            }
        }
    }
    match best {
        Some((_, path)) => Ok(path),
        None => bail!("no .wasm module in {}: the Rust build inside webpack failed, see above", dir.display()),
    }
}

/// Bytes, raw and gzipped.
fn sizes(file: &Path) -> Result<String> {
    const GZIP: &str = "const { readFileSync } = require('fs'); const { gzipSync } = require('zlib');\
        process.stdout.write(String(gzipSync(readFileSync(process.argv[1]), { level: 9 }).length))";
    let raw = fs::metadata(file)?.len();
    let gzipped = proc::capture(proc::command("node").args(["-e", GZIP]).arg(file))?;
    Ok(format!("{raw} bytes, {gzipped} gzipped"))
}

#[cfg(test)]
mod tests {
    use super::module_in;
    use std::fs;

    #[test]
    fn an_empty_or_false_module_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("assets")).unwrap();
        fs::write(dir.path().join("empty.wasm"), "").unwrap();
        fs::write(dir.path().join("false.wasm"), "<!doctype html> not found").unwrap();
        assert!(module_in(dir.path()).is_err());
        let real = dir.path().join("assets/real.wasm");
        fs::write(&real, b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(module_in(dir.path()).unwrap(), real);
    }
}

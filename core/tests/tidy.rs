//! The shape of the code, held by a test: which module of core may import which, that every file says what it is, and
//! that no file grows into a god file.

use std::fs;
use std::path::{Path, PathBuf};

/// Longest file, in lines.
const MAX_LINES: usize = 600;

/// Which modules each module of core may import. What is not listed may not be imported.
const IMPORTS: &[(&str, &[&str])] = &[
    ("planted", &[]),
    ("ordered", &[]),
    ("id", &["ordered"]),
    ("clock", &["ordered", "id"]),
    ("codec", &["ordered", "id", "clock"]),
    ("op", &["ordered", "id", "clock", "codec"]),
    ("graph", &["ordered", "id", "clock", "codec", "op"]),
    ("crdt", &["ordered", "id", "clock", "codec", "op", "graph"]),
    ("doc", &["ordered", "id", "clock", "codec", "op", "graph", "crdt"]),
    ("merkle", &["ordered", "id", "codec"]),
    ("gossip", &["ordered", "id", "codec"]),
    ("sync", &["ordered", "id", "clock", "codec", "op", "graph", "merkle", "gossip"]),
    ("store", &["ordered", "id", "codec", "op"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let skipped = ["target", "node_modules", "dist", "pkg", "wasm-out"];
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !skipped.contains(&name.as_str()) && !name.starts_with('.') {
            files(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

fn sources(folders: &[&str], endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    folders.iter().for_each(|folder| files(&root().join(folder), endings, &mut found));
    assert!(!found.is_empty(), "no sources in {folders:?}");
    found
}

/// The modules of core that a source text names behind `crate::`.
fn imported(source: &str) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or_default();
    let name = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    code.split("crate::").skip(1).map(name).collect()
}

#[test]
fn imports_run_one_way() {
    let src = root().join("core/src");
    let mut wrong = Vec::new();
    for path in sources(&["core/src"], &[".rs"]) {
        let inside = path.strip_prefix(&src).expect("found below it").to_string_lossy().replace('\\', "/");
        let module = inside.trim_end_matches(".rs").split('/').next().unwrap_or_default().to_owned();
        if module == "lib" {
            continue;
        }
        let rule = IMPORTS.iter().find(|(name, _)| *name == module);
        let allowed = rule.unwrap_or_else(|| panic!("{inside}: a module without a place in the import order")).1;
        for name in imported(&fs::read_to_string(&path).expect("readable")) {
            // Whoever is right may ask whether it is to be wrong (`planted`).
            if name != module && name != "planted" && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{inside} imports {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the import order: {wrong:#?}");
}

#[test]
fn the_import_order_has_no_cycle() {
    for (at, (module, allowed)) in IMPORTS.iter().enumerate() {
        for name in *allowed {
            let place = IMPORTS.iter().position(|(other, _)| other == name);
            assert!(place.is_some_and(|place| place < at), "{module} may import {name}, which stands behind it");
        }
    }
    assert_eq!(imported("use crate::doc::Doc; // crate::sync"), ["doc", "sync"]);
}

#[test]
fn every_file_says_what_it_is() {
    let folders = ["core", "client", "sync-server", "bindings/wasm", "fuzz", "xtask", "benches"];
    let rust = sources(&folders, &[".rs"]);
    let bare = rust.into_iter().filter(|path| !fs::read_to_string(path).expect("readable").starts_with("//!"));
    let bare: Vec<PathBuf> = bare.collect();
    assert!(bare.is_empty(), "files without a //! header: {bare:#?}");
}

#[test]
fn no_file_is_a_god_file() {
    let folders = ["core", "client", "sync-server", "bindings", "web-demo", "fuzz", "xtask", "benches"];
    let mut long = Vec::new();
    for path in sources(&folders, &[".rs", ".ts", ".mjs", ".js"]) {
        let lines = fs::read_to_string(&path).expect("readable").lines().count();
        let generated = path.to_string_lossy().replace('\\', "/").contains("bindings/npm/wasm/");
        if lines > MAX_LINES && !generated {
            long.push(format!("{}: {lines} lines", path.display()));
        }
    }
    assert!(long.is_empty(), "longer than {MAX_LINES} lines: {long:#?}");
}

#[test]
fn modules_are_files_beside_folders() {
    let all = sources(&["core", "client", "sync-server", "bindings/wasm", "fuzz", "xtask"], &[".rs"]);
    let found: Vec<&PathBuf> = all.iter().filter(|path| path.ends_with("mod.rs")).collect();
    assert!(found.is_empty(), "write foo.rs beside foo/ instead of {found:#?}");
}

/// Every path in a cell of code, and every name of a test, of the table of patterns.
#[test]
fn the_patterns_are_where_the_architecture_says() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the page is there");
    let table = page.split("## Patterns").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("it has the table");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| line.starts_with("| ")).skip(1).map(|line| line.split(" | ").collect()).collect();
    assert!(rows.len() >= 25, "{} rows", rows.len());
    for row in rows {
        let code = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        for path in row[1..].iter().flat_map(|cell| code(cell)).filter(|word| word.contains('/')) {
            assert!(root().join(&path).exists(), "{}: there is no {path}", row[0]);
        }
        let shown = code(row[2]);
        let source = fs::read_to_string(root().join(&shown[0])).expect("the test's file is there");
        for test in &shown[1..] {
            let is_there = [format!("fn {test}("), format!("test(\"{test}\"")].iter().any(|test| source.contains(test));
            assert!(is_there, "{}: {} has no {test}", row[0], shown[0]);
        }
    }
}

/// Every mutant that no test notices has its reason beside it.
#[test]
fn surviving_mutants_are_explained() {
    let page = fs::read_to_string(root().join("docs/mutants.md")).expect("the page is there");
    let table = page.split("| survivor |").nth(1).expect("it has the table");
    for row in table.lines().filter(|line| line.starts_with("| `core/")) {
        let why = row.rsplit("` |").next().unwrap_or_default();
        assert!(why.trim().len() > "| . |".len(), "no reason beside {row}");
    }
}

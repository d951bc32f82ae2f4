//! `cargo xtask mutants FILE…`: what no test notices when it is changed, by cargo-mutants; the result is docs/mutants.md.
//!
//! Always holds: a file is tried again only when it has changed, so that a run may be stopped between two files; an
//! explanation that somebody wrote beside a survivor stays. The core's own tests run first; what survives them has to
//! survive the properties and crashers of `fuzz/` too. Not here: the judgement, which is a column of the page.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};

use crate::proc;
use crate::repo::Repo;
use crate::setup;

const PAGE: &str = "docs/mutants.md";
const FILES: &str =
    "| file | content | mutants | caught | do not compile | hang | survive |\n|---|---|---|---|---|---|---|\n";
const SURVIVORS: &str = "| survivor | why it may |\n|---|---|\n";

/// Changes the files one after the other, and writes what came of it.
pub(crate) fn run(repo: &Repo, files: &[OsString]) -> Result<ExitCode> {
    ensure!(!files.is_empty(), "which files? for example: cargo xtask mutants core/src/codec/reader.rs");
    let path = repo.root.join(PAGE);
    let mut page = Page::read(&path)?;
    let program = setup::cargo_mutants(repo)?;
    for file in files {
        let file = file.to_str().filter(|file| file.starts_with("core/src/") && repo.root.join(file).is_file());
        let Some(file) = file else { bail!("files of core are named from the top of the repository: core/src/…") };
        let content = proc::capture(proc::command("git").current_dir(&repo.root).args(["hash-object", file]))?;
        let content = content.get(..10).context("git hash-object says nothing")?.to_owned();
        if page.files.get(file).is_some_and(|row| row.contains(&format!("`{content}`"))) {
            println!("{file}: not changed since it was tried");
            continue;
        }
        let found = try_file(repo, &program, file)?;
        page.put(file, &content, &found);
        page.write(&path)?;
    }
    let unexplained: Vec<_> = page.survivors.iter().filter(|(_, why)| why.is_empty()).map(|(one, _)| one).collect();
    for survivor in &unexplained {
        println!("survives, and {PAGE} does not say why it may: {survivor}");
    }
    Ok(if unexplained.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What became of the mutants of one file.
struct Found {
    caught: usize,
    unviable: usize,
    hang: usize,
    survive: Vec<String>,
}

fn try_file(repo: &Repo, program: &Path, file: &str) -> Result<Found> {
    let out = repo.target.join("mutants").join(file.replace('/', "-"));
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let lines = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(out.join("mutants.out").join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let rounds = [&["selvedge-core"][..], &["selvedge-core", "selvedge-fuzz"]];
    let mut found = Found { caught: 0, unviable: 0, hang: 0, survive: Vec::new() };
    for packages in rounds {
        let mut mutants = proc::command(program);
        mutants.current_dir(&repo.root).args(["mutants", "--iterate", "--timeout", "300", "--file", file, "--output"]);
        mutants.arg(&out).args(["--test-package", &packages.join(",")]);
        // 2 and 3 say that some survived or hang, which is what we want to know.
        let status = proc::visible(&mut mutants)?;
        ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo mutants failed on {file} ({status})");
        found.caught += lines("caught.txt").len();
        found.unviable += lines("unviable.txt").len();
        found.hang += lines("timeout.txt").len();
        found.survive = lines("missed.txt").iter().map(|line| without_place(line)).collect();
        if found.survive.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// `core/src/a.rs:12:5: replace …` without line and column, which change all the time; fit for a table.
fn without_place(line: &str) -> String {
    let mut parts = line.splitn(4, ':');
    match (parts.next(), parts.nth(2)) {
        (Some(file), Some(what)) => format!("{file}:{what}"),
        _ => line.to_owned(),
    }
    .replace('|', "\\|")
}

/// docs/mutants.md: prose around two tables.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    before: String,
    between: String,
    after: String,
    /// The rows of the first table by file.
    files: BTreeMap<String, String>,
    /// The rows of the second: what survives, and why it may.
    survivors: BTreeMap<String, String>,
}

impl Page {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} does not have its two tables", path.display()))
    }

    fn parse(text: &str) -> Option<Self> {
        let (before, rest) = text.split_once(FILES)?;
        let (files, rest) = table(rest);
        let (between, rest) = rest.split_once(SURVIVORS)?;
        let (survivors, after) = table(rest);
        let row = |line: &str| {
            let (name, rest) = line.trim_start_matches("| ").trim_end_matches(" |").split_once(" | ")?;
            Some((name.trim_matches('`').to_owned(), rest.to_owned()))
        };
        let files = files.lines().map(row).collect::<Option<_>>()?;
        let survivors = survivors.lines().map(row).collect::<Option<BTreeMap<_, _>>>()?;
        let survivors = survivors.into_iter().map(|(name, why)| (name, why.trim().to_owned())).collect();
        Some(Self { before: before.into(), between: between.into(), after: after.into(), files, survivors })
    }

    fn put(&mut self, file: &str, content: &str, found: &Found) {
        let Found { caught, unviable, hang, survive } = found;
        let all = caught + unviable + hang + survive.len();
        let row = format!("`{content}` | {all} | {caught} | {unviable} | {hang} | {}", survive.len());
        self.files.insert(file.to_owned(), row);
        let of_file = format!("{file}:");
        let mut old = BTreeMap::new();
        self.survivors.retain(|survivor, why| {
            let other = !survivor.starts_with(&of_file);
            if !other {
                old.insert(survivor.clone(), why.clone());
            }
            other
        });
        let survivors = survive.iter().map(|one| (one.clone(), old.remove(one).unwrap_or_default()));
        self.survivors.extend(survivors.collect::<Vec<_>>());
    }

    fn text(&self) -> String {
        let files: String = self.files.iter().map(|(file, row)| format!("| `{file}` | {row} |\n")).collect();
        let survivors: String = self.survivors.iter().map(|(one, why)| format!("| `{one}` | {why} |\n")).collect();
        [self.before.as_str(), FILES, &files, &self.between, SURVIVORS, &survivors, &self.after].concat()
    }

    fn write(&self, path: &Path) -> Result<()> {
        fs::write(path, self.text()).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The rows at the beginning of a text, and the rest.
fn table(text: &str) -> (&str, &str) {
    let rows = text.split_inclusive('\n').take_while(|line| line.starts_with('|')).map(str::len).sum();
    text.split_at(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_its_prose_and_its_explanations() {
        let text = format!(
            "# Mutants\n\n{FILES}| `core/src/a.rs` | `0123456789` | 3 | 1 | 0 | 0 | 2 |\n\nWhy:\n\n{SURVIVORS}\
             | `core/src/a.rs: replace \\| with ^ in f` | both give 1 |\n| `core/src/b.rs: replace g with ()` |  |\n\nEnd.\n"
        );
        let mut page = Page::parse(&text).expect("two tables");
        assert_eq!(page.text(), text);
        assert_eq!(page.survivors["core/src/b.rs: replace g with ()"], "");
        let lines = ["core/src/a.rs:1:2: replace | with ^ in f", "core/src/a.rs:7:1: replace h -> u8 with 1"];
        let survive = lines.iter().map(|line| without_place(line)).collect();
        page.put("core/src/a.rs", "aaaaaaaaaa", &Found { caught: 5, unviable: 1, hang: 0, survive });
        assert_eq!(page.files["core/src/a.rs"], "`aaaaaaaaaa` | 8 | 5 | 1 | 0 | 2");
        assert_eq!(page.survivors["core/src/a.rs: replace \\| with ^ in f"], "both give 1");
        assert_eq!(page.survivors["core/src/a.rs: replace h -> u8 with 1"], "");
        assert_eq!(Page::parse(&page.text()), Some(page));
    }
}

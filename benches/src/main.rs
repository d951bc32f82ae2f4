//! The figures of Selvedge beside its peers: `cargo xtask bench edit [OPTION…] [TRACE…]`.
//!
//! This file reads the arguments and writes the results. Not here: what is measured (`rows`), how (`bed`, `run`) and
//! with which libraries (`peers`). `measure` alone holds `unsafe`, and says why.
#![deny(unsafe_code)]

mod bed;
mod count;
mod measure;
mod peers;
mod rows;
mod run;
mod table;
mod trace;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};

use crate::run::Settings;

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

const USAGE: &str = "\
usage: cargo xtask bench edit [OPTION…] [TRACE…]

Measures Selvedge beside its peers on recorded editing histories: CPU time, bytes, heap.
Traces are .json or .json.gz files; without any, all of the folder named by SELVEDGE_TRACES
(../shared/traces beside the repository if it is not set).

  --rounds N      rounds over all peers and rows, of which the medians count (5)
  --cap SECONDS   CPU time after which a row is cut off and noted (60)
  --peers A,B     only these, and always the floor
  --out FILE      where the figures go as JSON (target/bench/edit.json)

Where valgrind is, instructions of the floor and of Selvedge are counted as well.";

struct Args {
    settings: Settings,
    peers: Option<Vec<String>>,
    out: PathBuf,
    traces: Vec<PathBuf>,
}

fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

fn args() -> Result<Option<Args>> {
    let mut given = env::args().skip(1);
    let settings = Settings { rounds: 5, cap: Duration::from_secs(60) };
    let out = root().join("target/bench/edit.json");
    let mut args = Args { settings, peers: None, out, traces: Vec::new() };
    while let Some(word) = given.next() {
        let mut value = || given.next().with_context(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--rounds" => args.settings.rounds = value()?.parse().context("--rounds needs a number")?,
            "--cap" => args.settings.cap = Duration::from_secs(value()?.parse().context("--cap needs seconds")?),
            "--peers" => args.peers = Some(value()?.split(',').map(str::to_owned).collect()),
            "--out" => args.out = value()?.into(),
            "--help" | "-h" => return Ok(None),
            option if option.starts_with('-') => bail!("unknown option {option}\n{USAGE}"),
            trace => args.traces.push(trace.into()),
        }
    }
    ensure!(args.settings.rounds > 0, "--rounds must be at least 1");
    if args.traces.is_empty() {
        args.traces = traces_of_folder()?;
    }
    Ok(Some(args))
}

fn traces_of_folder() -> Result<Vec<PathBuf>> {
    let named = env::var_os("SELVEDGE_TRACES").filter(|name| !name.is_empty());
    let folder = named.map_or_else(|| root().join("../shared/traces"), PathBuf::from);
    let lacking = || {
        let folder = folder.display();
        format!(
            "no traces in {folder}: name some, or a folder in SELVEDGE_TRACES (docs/performance.md says where from)"
        )
    };
    let entries = fs::read_dir(&folder).with_context(lacking)?;
    let mut traces: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    traces.retain(|path| path.to_string_lossy().ends_with(".json.gz"));
    traces.sort();
    ensure!(!traces.is_empty(), lacking());
    Ok(traces)
}

/// The process that is counted: `--count PEER ROW TRACE`.
fn count(words: &[String]) -> Result<()> {
    let [peer, row, trace] = words else { bail!("--count is for this program alone") };
    let mut peers = peers::all();
    let found = peers.iter_mut().find(|known| known.name() == peer);
    count::run(found.with_context(|| format!("there is no peer {peer}"))?.as_mut(), row, &trace::read(trace.as_ref())?)
}

fn main() -> Result<()> {
    let words: Vec<String> = env::args().skip(1).collect();
    if let [first, words @ ..] = &words[..]
        && first == "--count"
    {
        return count(words);
    }
    let Some(args) = args()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let mut peers = peers::all();
    if let Some(only) = &args.peers {
        for name in only {
            ensure!(peers.iter().any(|peer| peer.name() == name), "there is no peer {name}");
        }
        peers.retain(|peer| peer.name() == "floor" || only.iter().any(|name| name == peer.name()));
    }
    // Traces are read first: a wrong name must not cost a long run.
    let traces = args.traces.iter().map(|path| trace::read(path)).collect::<Result<Vec<_>>>()?;
    let mut tables = Vec::new();
    for (trace, path) in traces.iter().zip(&args.traces) {
        let mut table = run::measure(trace, &mut peers, &args.settings)?;
        if count::is_possible() {
            run::add_counts(&mut table, trace, path)?;
        }
        tables.push(table);
    }
    for table in &tables {
        println!("{}", table::markdown(table));
    }
    let packages = ["jumprope", "yrs", "automerge", "loro", "diamond-types", "cola-crdt"];
    let version = |package| format!("{package} {}", table::version_of(package).unwrap_or("?"));
    println!("\nTimes are CPU time over that of the floor's `local`; the floor is jumprope. * is the best of a row.");
    println!("Versions: {}.", packages.map(version).join(", "));
    write(&args.out, &tables)
}

fn write(out: &Path, tables: &[run::Table]) -> Result<()> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let json = serde_json::to_string_pretty(&table::to_json(tables))?;
    fs::write(out, json + "\n").with_context(|| format!("cannot write {}", out.display()))?;
    println!("All figures: {}", out.display());
    Ok(())
}

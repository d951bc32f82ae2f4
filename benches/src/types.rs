//! Maps, sets, counters and lists beside the peers': `cargo xtask bench types [OPTION…]`.
//!
//! This file runs the rounds, and writes the table and the JSON. Not here: the operations (`plan`) and the libraries
//! (`adapters`). Always holds: what a library made and saved is what the operations come to; what it merged is equal on
//! both sides and, where each library must come to the same (counters and lists), what both halves come to together.
#![deny(unsafe_code)]

mod adapters;
mod measure;
mod plan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::adapters::{Automerge, Library, Loro, Selvedge, Yrs};
use crate::plan::{Kind, Op, operations};

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

const USAGE: &str = "\
usage: cargo xtask bench types [OPTION…]

Operations on a map, a set, a counter and a list, one transaction each: CPU time and bytes.

  --count N    operations of each type (100000)
  --rounds N   rounds over all libraries, of which the medians count (3)
  --out FILE   where the figures go as JSON (target/bench/types.json)";

/// CPU time after which a library is cut off.
const CAP: Duration = Duration::from_secs(60);
const ROWS: [&str; 6] = ["apply", "save_bytes", "load", "heap_bytes", "peak_bytes", "merge"];

/// Samples by kind, row and library, in milliseconds or bytes; or why there are none.
type Samples = BTreeMap<(Kind, usize, usize), Result<Vec<f64>, String>>;

struct Args {
    count: usize,
    rounds: usize,
    out: PathBuf,
}

fn args() -> Result<Option<Args>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = here.parent().unwrap_or(here).join("target/bench/types.json");
    let mut args = Args { count: 100_000, rounds: 3, out };
    let mut given = env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || given.next().with_context(|| format!("{word} needs a value\n{USAGE}"));
        match word.as_str() {
            "--count" => args.count = value()?.parse().context("--count needs a number")?,
            "--rounds" => args.rounds = value()?.parse().context("--rounds needs a number")?,
            "--out" => args.out = value()?.into(),
            "--help" | "-h" => return Ok(None),
            other => bail!("unknown argument {other}\n{USAGE}"),
        }
    }
    ensure!(args.rounds > 0 && args.count > 1, "--rounds must be at least 1, and --count at least 2");
    Ok(Some(args))
}

/// A document of all the operations; `None` if that takes too long.
fn build<L: Library>(writer: u64, ops: &[Op]) -> Result<Option<(Duration, L::Doc)>> {
    let watch = measure::Watch::start();
    let mut doc = L::create(writer)?;
    for (done, op) in ops.iter().enumerate() {
        if done % 1_000 == 0 && watch.elapsed() > CAP {
            return Ok(None);
        }
        L::apply(&mut doc, *op)?;
    }
    Ok(Some((watch.elapsed(), doc)))
}

/// One round: a sample for every row.
fn round<L: Library>(kind: Kind, count: usize) -> Result<Result<[f64; ROWS.len()], String>> {
    let cut = || Ok(Err(format!("cut off after {} s", CAP.as_secs())));
    if let Some(note) = L::refuses(kind) {
        return Ok(Err(note.to_owned()));
    }
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    let (ops, sum) = operations(kind, count, 1);
    let Some((apply, mut doc)) = build::<L>(1, &ops)? else { return cut() };
    let check = |found, what: &str| {
        ensure!(found == sum, "{} {what} a {}: {found:?} instead of {sum:?}", L::NAME, kind.name());
        Ok(())
    };
    check(L::sum(&doc, kind)?, "made of")?;
    let saved = L::save(&mut doc)?;
    let (load, opened) = measure::cpu(|| {
        let doc = L::open(&saved)?;
        let found = L::sum(&doc, kind)?;
        Ok((doc, found))
    })?;
    check(opened.1, "opened")?;
    drop(opened);
    let heap = measure::heap(|| L::open(&saved))?;
    let ((one, one_sum), (other, other_sum)) = (operations(kind, count / 2, 2), operations(kind, count / 2, 3));
    let Some((_, mut one)) = build::<L>(2, &one)? else { return cut() };
    let Some((_, mut other)) = build::<L>(3, &other)? else { return cut() };
    let (from_one, from_other) = (L::export(&mut one)?, L::export(&mut other)?);
    let (merge, ()) = measure::cpu(|| L::import(&mut one, &from_other))?;
    L::import(&mut other, &from_one)?;
    let (left, right) = (L::sum(&one, kind)?, L::sum(&other, kind)?);
    ensure!(left == right, "{}: merged {}s differ: {left:?}, {right:?}", L::NAME, kind.name());
    if let Some(both) = one_sum.with(other_sum, kind) {
        ensure!(left == both, "{}: a merged {} is {left:?} instead of {both:?}", L::NAME, kind.name());
    }
    Ok(Ok([ms(apply), saved.len() as f64, ms(load), heap.live as f64, heap.peak as f64, ms(merge)]))
}

type Round = fn(Kind, usize) -> Result<Result<[f64; ROWS.len()], String>>;

const LIBRARIES: [(&str, Round); 4] = [
    (Selvedge::NAME, round::<Selvedge>),
    (Yrs::NAME, round::<Yrs>),
    (Loro::NAME, round::<Loro>),
    (Automerge::NAME, round::<Automerge>),
];

fn measure_all(args: &Args) -> Result<Samples> {
    let mut samples = Samples::new();
    for kind in Kind::ALL {
        for number in 0..args.rounds {
            println!("{}: round {} of {}", kind.name(), number + 1, args.rounds);
            for (library, (_, round)) in LIBRARIES.iter().enumerate() {
                if matches!(samples.get(&(kind, 0, library)), Some(Err(_))) {
                    continue;
                }
                let result = round(kind, args.count)?;
                for row in 0..ROWS.len() {
                    let entry = samples.entry((kind, row, library)).or_insert_with(|| Ok(Vec::new()));
                    match (&result, entry) {
                        (Ok(values), Ok(samples)) => samples.push(values[row]),
                        (Err(note), entry) => *entry = Err(note.clone()),
                        (Ok(_), Err(_)) => {}
                    }
                }
            }
        }
    }
    Ok(samples)
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn main() -> Result<()> {
    let Some(args) = args()? else {
        println!("{USAGE}");
        return Ok(());
    };
    let samples = measure_all(&args)?;
    let names: Vec<&str> = LIBRARIES.iter().map(|(name, _)| *name).collect();
    println!("\n{} operations each; milliseconds of CPU time, and bytes.\n", args.count);
    println!("| type | row | {} |\n|---|---|{}", names.join(" | "), "---|".repeat(names.len()));
    let mut json = Vec::new();
    for kind in Kind::ALL {
        for (row, name) in ROWS.iter().enumerate() {
            let unit = if name.ends_with("bytes") { "bytes" } else { "ms" };
            let mut cells = Vec::new();
            for (library, peer) in names.iter().enumerate() {
                let mut object = json!({ "peer": peer, "type": kind.name(), "row": name, "unit": unit });
                match &samples[&(kind, row, library)] {
                    Ok(samples) => {
                        let value = median(samples);
                        object["value"] = json!(value);
                        cells.push(if unit == "ms" { format!("{value:.1}") } else { format!("{value:.0}") });
                    }
                    Err(note) => {
                        (object["value"], object["note"]) = (json!(null), json!(note));
                        cells.push(note.clone());
                    }
                }
                json.push(object);
            }
            println!("| {} | `{name}` | {} |", kind.name(), cells.join(" | "));
        }
    }
    if let Some(folder) = args.out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let text = serde_json::to_string_pretty(&json)? + "\n";
    fs::write(&args.out, text).with_context(|| format!("cannot write {}", args.out.display()))?;
    println!("\nAll figures: {}", args.out.display());
    Ok(())
}

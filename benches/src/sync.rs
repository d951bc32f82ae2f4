//! Finding out which of many documents differ: `cargo xtask bench sync [--out FILE]`.
//!
//! This file runs the methods, and writes the table and the JSON. Not here: the methods themselves (`methods`).
//! `measure` alone holds `unsafe`, and says why.
#![deny(unsafe_code)]

mod measure;
mod methods;

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::json;

use crate::methods::{Row, Sides, collection};

#[global_allocator]
static ALLOCATOR: measure::Counting = measure::Counting;

const USAGE: &str = "\
usage: cargo xtask bench sync [--out FILE]

Finds out which of many documents differ, in several ways: bytes of all messages, round trips.

  --out FILE      where the figures go as JSON (target/bench/sync.json)";

/// Documents, and how many of them differ.
const CASES: [(u64, &[u64]); 2] = [(100_000, &[10, 1_000]), (1_000_000, &[10])];

/// What a collection takes.
#[derive(Serialize)]
struct Memory {
    documents: u64,
    heap_bytes: u64,
    peak_bytes: u64,
    update_micros: f64,
}

fn main() -> Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut out: PathBuf = here.parent().unwrap_or(here).join("target/bench/sync.json");
    let mut given = env::args().skip(1);
    while let Some(word) = given.next() {
        match word.as_str() {
            "--out" => out = given.next().with_context(|| format!("--out needs a file\n{USAGE}"))?.into(),
            "--help" | "-h" => {
                println!("{USAGE}");
                return Ok(());
            }
            other => bail!("unknown argument {other}\n{USAGE}"),
        }
    }
    println!("| method | documents | differ | bytes | round trips | missed |\n|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    let mut memory = Vec::new();
    for (documents, cases) in CASES {
        let (time, base) = measure::cpu(|| collection(documents))?;
        let heap = measure::heap(|| collection(documents))?;
        for changed in cases {
            rows.extend(measure_case(&mut Sides::new(&base, *changed)?)?);
        }
        let micros = time.as_secs_f64() * 1e6 / documents as f64;
        memory.push(Memory { documents, heap_bytes: heap.live, peak_bytes: heap.peak, update_micros: micros });
    }
    println!("\n| documents | heap bytes | at most | µs per document added |\n|---|---|---|---|");
    for Memory { documents, heap_bytes, peak_bytes, update_micros } in &memory {
        println!("| {documents} | {heap_bytes} | {peak_bytes} | {update_micros:.2} |");
    }
    write(&out, &rows, &memory)
}

fn measure_case(sides: &mut Sides) -> Result<Vec<Row>> {
    let rows = vec![
        sides.bound(),
        sides.equal()?,
        sides.cursor()?,
        sides.iblt()?,
        sides.merkle()?,
        sides.range()?,
        sides.bloom(),
    ];
    for Row { method, documents, changed, bytes, round_trips, missed } in &rows {
        println!("| {method} | {documents} | {changed} | {bytes} | {round_trips} | {missed} |");
    }
    Ok(rows)
}

fn write(out: &Path, rows: &[Row], memory: &[Memory]) -> Result<()> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let json = serde_json::to_string_pretty(&json!({"rows": rows, "collections": memory}))?;
    fs::write(out, json + "\n").with_context(|| format!("cannot write {}", out.display()))?;
    println!("All figures: {}", out.display());
    Ok(())
}

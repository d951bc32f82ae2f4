//! Figures of gossip among thousands of members: `cargo xtask bench gossip [--members N] [--seed N] [--out FILE]`.
//!
//! Runs the simulation of `selvedge_fuzz::gossip` without and with faults, prints both, writes them as JSON, and fails
//! if something did not arrive. Not here: the bounds of the fault-free run (a test holds them).

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use selvedge_fuzz::gossip::{Plan, Report, run};

const USAGE: &str = "\
usage: cargo xtask bench gossip [--members N] [--seed N] [--out FILE]

Members that gossip, in virtual time: without faults, and with 30 % of all messages lost and 20 % of the members
restarting. Prints hops and redundancy.

  --members N     how many (10,000)
  --seed N        whatever is random follows from it (1)
  --out FILE      where the figures go as JSON (target/bench/gossip.json)";

fn main() -> ExitCode {
    match arguments() {
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Some((members, seed, out))) => measure(members, seed, &out),
        Err(problem) => {
            println!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn arguments() -> Result<Option<(u32, u64, PathBuf)>, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = here.parent().unwrap_or(here).join("target/bench/gossip.json");
    let (mut members, mut seed, mut out) = (10_000, 1, out);
    let mut given = env::args().skip(1);
    while let Some(word) = given.next() {
        let mut value = || given.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            "--members" => members = value()?.parse().map_err(|_| "--members needs a number")?,
            "--seed" => seed = value()?.parse().map_err(|_| "--seed needs a number")?,
            "--out" => out = value()?.into(),
            "--help" | "-h" => return Ok(None),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    if members < 2 { Err("gossip needs two members at least".into()) } else { Ok(Some((members, seed, out))) }
}

fn measure(members: u32, seed: u64, out: &Path) -> ExitCode {
    let calm = Plan { members, seed, broadcasts: 20, lost_percent: 0, restarted_percent: 0 };
    let rough = Plan { lost_percent: 30, restarted_percent: 20, ..calm };
    let mut reports = Vec::new();
    for (name, plan) in [("without faults", calm), ("with faults", rough)] {
        let start = Instant::now();
        let report = run(plan);
        print(name, &report);
        println!("computed in {:.1} s\n", start.elapsed().as_secs_f64());
        reports.push((name, report));
    }
    let complete = reports.iter().all(|(_, report)| report.missing == 0);
    let json: serde_json::Map<_, _> =
        reports.into_iter().map(|(name, report)| (name.replace(' ', "_"), serde_json::json!(report))).collect();
    let text = format!("{:#}\n", serde_json::Value::from(json));
    let written = out.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(out, text));
    match written {
        Err(error) => println!("cannot write {}: {error}", out.display()),
        Ok(()) if !complete => println!("some members lack changes"),
        Ok(()) => return ExitCode::SUCCESS,
    }
    ExitCode::FAILURE
}

fn print(name: &str, report: &Report) {
    let Report { members, lost_percent, restarted, missing, waited_ms, by_comparison, .. } = report;
    println!("## {members} members {name}: {lost_percent} % of messages lost, {restarted} members restarted\n");
    println!("| broadcast | reached | last hops | last ms | redundancy |\n|---|---|---|---|---|");
    for (number, one) in report.broadcasts.iter().enumerate() {
        let redundancy = one.redundancy;
        println!("| {number} | {} | {} | {} | {redundancy:.3} |", one.reached, one.last_hops, one.last_ms);
    }
    println!("\n| hops | deliveries |\n|---|---|");
    report.hops.iter().enumerate().for_each(|(hops, count)| println!("| {hops} | {count} |"));
    let (least, mean, most) = report.neighbours;
    println!(
        "\nlast hops {} (bound {:.1}), redundancy {:.3}",
        report.last_hops(),
        report.hops_bound(),
        report.redundancy()
    );
    println!("{missing} changes missing {waited_ms} ms after the end; {by_comparison} came by comparison");
    println!("neighbours {least} to {most}, {mean:.2} on the average");
    println!("{:.2} messages per member and second", report.messages_per_second);
}

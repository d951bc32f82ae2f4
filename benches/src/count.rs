//! Instructions of a timed row, counted by callgrind in a process of its own (`edit --count PEER ROW TRACE`).
//!
//! Always holds: what is prepared and what is checked is not counted; without valgrind there are no counts, and nothing
//! else is missing. Not here: what is counted (`bed`), and in which function callgrind does it (`measure`).

use std::env;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bed::Subject;
use crate::measure;
use crate::rows::{COUNTED, Row};
use crate::trace::Trace;

/// The peers that are counted: the floor and ours.
pub(crate) const PEERS: [&str; 2] = ["floor", "selvedge"];

/// Whether counting is possible here.
pub(crate) fn is_possible() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok_and(|done| done.status.success())
}

/// Counts a row of one peer, in another process.
pub(crate) fn instructions(peer: &str, row: Row, trace: &Path) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measure::collected*"]);
    let done = valgrind.arg(env::current_exe()?).args(["--count", peer, row.name()]).arg(trace).output()?;
    let told = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "counting {} of {peer} failed: {told}", row.name());
    let counted = told.lines().find_map(|line| line.split_once("Collected : "));
    counted.with_context(|| format!("callgrind told no count: {told}"))?.1.trim().parse().context("a count is a number")
}

/// What that process does: the rows that the wanted one builds on, and then that one, which is counted.
pub(crate) fn run(peer: &mut dyn Subject, row: &str, trace: &Trace) -> Result<()> {
    let cap = Duration::MAX;
    let (row, _) =
        COUNTED.iter().find(|(timed, _)| timed.name() == row).with_context(|| format!("{row} is not counted"))?;
    peer.prepare(trace, cap)?;
    // A rope has nothing to build on.
    let before = match peer.name() {
        "floor" => &[][..],
        _ if trace.concurrent => &[Row::Stream],
        _ => &[Row::Local, Row::LocalEmit],
    };
    for other in before {
        peer.run(*other, trace, cap)?;
    }
    measure::collect();
    peer.run(*row, trace, cap).map(drop)
}

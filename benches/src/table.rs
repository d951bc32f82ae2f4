//! The figures as a table for people and as JSON for programs.
//!
//! Not here: how they came about (`run`).

use std::fmt::Write;

use serde_json::{Value, json};

use crate::rows::{ALL, Row, Unit};
use crate::run::{Figure, Table};

/// Versions as the lock file has them.
const LOCK: &str = include_str!("../Cargo.lock");

/// The version of a package in the lock file.
pub(crate) fn version_of(package: &str) -> Option<&'static str> {
    let entry =
        LOCK.split("[[package]]").find(|entry| entry.trim_start().starts_with(&format!("name = \"{package}\"\n")))?;
    let version = entry.lines().find_map(|line| line.strip_prefix("version = "))?;
    Some(version.trim_matches('"'))
}

/// A table in Markdown: times as ratios to the floor, sizes in bytes; `*` marks the best of a row.
pub(crate) fn markdown(table: &Table) -> String {
    let mut out = format!("\n{}\n\n| row |", table.trace);
    for peer in &table.peers {
        let _ = write!(out, " {peer} |");
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(table.peers.len()));
    out.push('\n');
    let mut notes = Vec::new();
    for row in ALL {
        let figure = |peer: usize| table.figures.get(&(peer, *row));
        let peers = 0..table.peers.len();
        if !peers.clone().any(|peer| figure(peer).is_some_and(|figure| figure.value.is_some())) {
            continue;
        }
        let values: Vec<f64> = peers.clone().skip(1).filter_map(|peer| figure(peer)?.value).collect();
        // Alone in a row, nobody is the best.
        let best = values.iter().copied().reduce(f64::min).filter(|_| values.len() > 1);
        let _ = write!(out, "| {} |", row.name());
        for peer in peers {
            let text = figure(peer).map_or_else(|| "–".to_owned(), |figure| cell(*row, peer, figure));
            let mark = if figure(peer).is_some_and(|figure| peer > 0 && best.is_some() && figure.value == best) {
                "*"
            } else {
                ""
            };
            let _ = write!(out, " {text}{mark} |");
            if let Some(note) = figure(peer).and_then(|figure| figure.note.as_deref()).filter(|_| peer > 0) {
                notes.push(format!("{} {}: {note}", table.peers[peer], row.name()));
            }
        }
        out.push('\n');
    }
    for note in notes {
        let _ = write!(out, "\n- {note}");
    }
    out
}

fn cell(row: Row, peer: usize, figure: &Figure) -> String {
    let Some(value) = figure.value else { return "–".to_owned() };
    match (row.unit(), figure.ratio) {
        (Unit::Ms, Some(ratio)) if peer > 0 => format!("{} ×", digits(ratio)),
        (Unit::Instructions, Some(ratio)) if peer > 0 => format!("{} ×", digits(ratio)),
        (Unit::Ms, _) => format!("{} ms", digits(value)),
        (Unit::Bytes | Unit::Instructions, _) => grouped(value as u64),
    }
}

/// Three significant digits, or all before the point.
fn digits(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v if v >= 0.1 => format!("{v:.3}"),
        v => format!("{v:.4}"),
    }
}

fn grouped(number: u64) -> String {
    let plain = number.to_string();
    let mut out = String::new();
    for (at, digit) in plain.char_indices() {
        if at > 0 && (plain.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The figures of all traces: one object per peer, trace and row. `value` is null where `note` says why.
pub(crate) fn to_json(tables: &[Table]) -> Value {
    let object = |table: &Table, peer: usize, row: Row, figure: &Figure| {
        let mut object = json!({
            "peer": table.peers[peer],
            "trace": table.trace,
            "row": row.name(),
            "value": figure.value,
            "unit": row.unit().name(),
            "ratio": figure.ratio,
            "samples": figure.samples,
        });
        if let Some(note) = &figure.note {
            object["note"] = json!(note);
        }
        object
    };
    let of = |table: &Table| {
        let figures = table.figures.iter();
        figures.map(|((peer, row), figure)| object(table, *peer, *row, figure)).collect::<Vec<_>>()
    };
    Value::Array(tables.iter().flat_map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (grouped(7), grouped(104_852), grouped(3_800_000)),
            ("7".into(), "104,852".into(), "3,800,000".into())
        );
        assert_eq!((digits(0.0331), digits(1.126), digits(571.4)), ("0.0331".into(), "1.13".into(), "571".into()));
    }

    #[test]
    fn the_versions_of_the_peers_are_known() {
        for package in ["yrs", "automerge", "loro", "diamond-types", "cola-crdt", "jumprope"] {
            assert!(version_of(package).is_some(), "{package}");
        }
    }
}

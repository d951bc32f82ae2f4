//! Rounds over all peers and rows, interleaved, and the medians of them.
//!
//! Always holds: within a round every peer runs every row, one peer after another, so that what disturbs the machine
//! meets all of them; a row whose total passes a fraction of the cap is not repeated.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bed::{Sample, Subject};
use crate::count;
use crate::rows::{ALL, COUNTED, Row, TIMED, Unit};
use crate::trace::Trace;

/// What takes less is repeated within a round, so that a cold cache does not make the figure.
const SHORT: Duration = Duration::from_millis(30);
/// Most repetitions within a round.
const MAX_REPEATS: usize = 11;

/// How to measure.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Most rounds over everything.
    pub(crate) rounds: usize,
    /// CPU time after which a row is cut off.
    pub(crate) cap: Duration,
}

/// A cell of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figure {
    /// The median, in the row's unit.
    pub(crate) value: Option<f64>,
    /// The value over the floor's.
    pub(crate) ratio: Option<f64>,
    /// Measurements that the median is of.
    pub(crate) samples: usize,
    /// Why there is no value.
    pub(crate) note: Option<String>,
}

/// The figures of a trace, by peer (in order) and row.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) trace: String,
    pub(crate) peers: Vec<&'static str>,
    pub(crate) figures: BTreeMap<(usize, Row), Figure>,
}

/// Measures a trace.
pub(crate) fn measure(trace: &Trace, peers: &mut [Box<dyn Subject>], settings: &Settings) -> Result<Table> {
    let mut times: BTreeMap<(usize, Row), Vec<Duration>> = BTreeMap::new();
    let mut figures: BTreeMap<(usize, Row), Figure> = BTreeMap::new();
    for peer in peers.iter_mut() {
        println!("{}: preparing {}", trace.name, peer.name());
        peer.prepare(trace, settings.cap)?;
    }
    for round in 0..settings.rounds {
        println!("{}: round {} of {}", trace.name, round + 1, settings.rounds);
        for (index, peer) in peers.iter_mut().enumerate() {
            let floor = index == 0;
            for row in TIMED.iter().copied().filter(|row| floor || row.applies(trace.concurrent)) {
                let times = times.entry((index, row)).or_default();
                let spent: Duration = times.iter().sum();
                if figures.contains_key(&(index, row)) || spent > settings.cap / 10 {
                    continue;
                }
                if let Some(note) = repeat(peer.as_mut(), row, trace, settings, times)? {
                    figures.insert((index, row), Figure { note: Some(note), ..Figure::default() });
                }
            }
        }
    }
    for ((index, row), mut times) in times {
        if let Some(median) = median(&mut times) {
            let figure = Figure { value: Some(median), samples: times.len(), ..Figure::default() };
            figures.entry((index, row)).or_insert(figure);
        }
    }
    println!("{}: sizes and memory", trace.name);
    for (index, peer) in peers.iter_mut().enumerate() {
        for (row, count) in peer.count(trace)? {
            ensure!(row.unit() == Unit::Bytes, "{} is not counted", row.name());
            figures.insert((index, row), Figure { value: Some(count as f64), samples: 1, ..Figure::default() });
        }
    }
    add_ratios(&mut figures);
    let peers = peers.iter().map(|peer| peer.name()).collect();
    Ok(Table { trace: trace.name.clone(), peers, figures })
}

/// Adds the instructions of the floor and of ours.
pub(crate) fn add_counts(table: &mut Table, trace: &Trace, path: &Path) -> Result<()> {
    println!("{}: instructions", trace.name);
    for (index, peer) in table.peers.iter().enumerate().filter(|(_, peer)| count::PEERS.contains(peer)) {
        // A rope has no updates and no history.
        let rows = COUNTED
            .iter()
            .filter(|(row, _)| if index == 0 { *row == Row::Local } else { row.applies(trace.concurrent) });
        for (timed, row) in rows {
            let value = Some(count::instructions(peer, *timed, path)? as f64);
            table.figures.insert((index, *row), Figure { value, samples: 1, ..Figure::default() });
        }
    }
    add_ratios(&mut table.figures);
    Ok(())
}

/// Runs a row once, or several times if it is short; says why if that cannot be done.
fn repeat(
    peer: &mut dyn Subject,
    row: Row,
    trace: &Trace,
    settings: &Settings,
    times: &mut Vec<Duration>,
) -> Result<Option<String>> {
    let mut spent = Duration::ZERO;
    for _ in 0..MAX_REPEATS {
        match peer.run(row, trace, settings.cap)? {
            Sample::Time(time) => {
                times.push(time);
                spent += time;
            }
            Sample::Cut(share) => {
                return Ok(Some(format!("cut off after {} s at {:.0} %", settings.cap.as_secs(), share * 100.0)));
            }
            Sample::Missing(note) => return Ok(Some(note)),
        }
        if spent > SHORT {
            break;
        }
    }
    Ok(None)
}

/// The median, in milliseconds.
fn median(times: &mut [Duration]) -> Option<f64> {
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map(|time| time.as_secs_f64() * 1e3);
    let upper = ms(times.len() / 2)?;
    if times.len().is_multiple_of(2) { Some((ms(times.len() / 2 - 1)? + upper) / 2.0) } else { Some(upper) }
}

fn add_ratios(figures: &mut BTreeMap<(usize, Row), Figure>) {
    let floor = |row: &Row| figures.get(&(0, row.floor()?))?.value.filter(|value| *value > 0.0);
    let floors: BTreeMap<Row, f64> = ALL.iter().filter_map(|row| Some((*row, floor(row)?))).collect();
    for ((_, row), figure) in figures {
        figure.ratio = figure.value.zip(floors.get(row)).map(|(value, floor)| value / floor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{peers, trace};

    const WORDS: [&str; 5] = ["so ", "wörter", "x", "a longer run of text ", "日本"];

    /// A deterministic trace of one author.
    fn sequential() -> Trace {
        let (mut text, mut dice, mut txns) = (Vec::<char>::new(), 7_u64, Vec::new());
        for step in 0..300 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let pos = (dice >> 33) as usize % (text.len() + 1);
            let del = if step % 3 == 0 { (text.len() - pos).min(4) } else { 0 };
            let word = if step % 3 == 0 { "" } else { WORDS[step % 5] };
            text.splice(pos..pos + del, word.chars());
            txns.push(serde_json::json!({ "patches": [[pos, del, word]] }));
        }
        let end: String = text.iter().collect();
        let json = serde_json::json!({ "startContent": "", "endContent": end, "txns": txns });
        trace::parse("sequential", &json.to_string()).expect("well formed")
    }

    /// Two authors who type on either side of a dash, and merge now and then.
    fn concurrent() -> Trace {
        let mut txns = vec![serde_json::json!({ "parents": [], "agent": 0, "patches": [[0, 0, "[-]"]] })];
        let (mut tips, mut typed, mut seen) = ([0, 0], [0, 0], 0);
        for step in 0..60 {
            let (agent, merge) = (step % 2, step % 10 < 2);
            let parents = if merge && tips[0] != tips[1] { tips.to_vec() } else { vec![tips[agent]] };
            if merge && agent == 1 {
                seen = typed[0];
            }
            let pos = if agent == 0 { 1 + typed[0] } else { 2 + seen + typed[1] };
            let patch = serde_json::json!([pos, 0, if agent == 0 { "l" } else { "r" }]);
            txns.push(serde_json::json!({ "parents": parents, "agent": agent, "patches": [patch] }));
            typed[agent] += 1;
            tips[agent] = txns.len() - 1;
        }
        let end = format!("[{}-{}]", "l".repeat(typed[0]), "r".repeat(typed[1]));
        let json = serde_json::json!({ "kind": "concurrent", "endContent": end, "numAgents": 2, "txns": txns });
        trace::parse("concurrent", &json.to_string()).expect("well formed")
    }

    #[test]
    fn every_peer_ends_at_the_text_of_both_kinds_of_trace() {
        for trace in [sequential(), concurrent()] {
            let mut peers = peers::all();
            let settings = Settings { rounds: 2, cap: Duration::from_secs(600) };
            let table = measure(&trace, &mut peers, &settings).expect("every text is right");
            for (index, peer) in table.peers.iter().enumerate().skip(1) {
                let rows = [Row::Stream, Row::Open, Row::OpenEdit, Row::Save, Row::UpdatesBytes, Row::HeapOpen];
                for row in rows {
                    let figure = table.figures.get(&(index, row)).unwrap_or_else(|| panic!("{peer} {}", row.name()));
                    assert!(figure.value.is_some_and(|value| value > 0.0), "{peer} {} {figure:?}", row.name());
                }
            }
        }
    }

    #[test]
    fn a_row_over_the_cap_is_a_note_and_no_figure() {
        let trace = sequential();
        let mut peers: Vec<_> = peers::all().into_iter().take(2).collect();
        let settings = Settings { rounds: 1, cap: Duration::ZERO };
        let table = measure(&trace, &mut peers, &settings).expect("a cut row is no failure");
        assert!(table.figures[&(0, Row::Local)].value.is_some(), "the floor is never cut off");
        for row in [Row::Local, Row::Stream, Row::Open] {
            let figure = &table.figures[&(1, row)];
            assert!(figure.value.is_none() && figure.note.is_some(), "{} {figure:?}", row.name());
        }
    }

    #[test]
    fn medians_are_of_the_middle() {
        let ms = Duration::from_millis;
        assert_eq!(median(&mut [ms(9), ms(1), ms(2)]), Some(2.0));
        assert_eq!(median(&mut [ms(1), ms(2)]), Some(1.5));
        assert_eq!(median(&mut []), None);
    }
}

//! Smaller scenarios: without a stretch of their events, or with a smaller cast.

use super::{Cast, Scenario, What};

/// Scenarios that are a little smaller than this one, the boldest first.
pub(in crate::sim) fn smaller(scenario: &Scenario) -> impl Iterator<Item = Scenario> + use<> {
    let count = scenario.events.len();
    let sizes = std::iter::successors(Some(count / 2), |size| Some(size / 2)).take_while(|size| *size > 0);
    let cuts = sizes.flat_map(move |size| (0..count).step_by(size).map(move |start| (start, size)));
    let (whole, edits) = (scenario.clone(), scenario.clone());
    let fewer = cuts.map(move |(start, size)| {
        let mut smaller = whole.clone();
        smaller.events.drain(start..(start + size).min(count));
        smaller
    });
    let casts = casts(scenario);
    casts.into_iter().chain(fewer).chain((0..count).filter_map(move |at| with_fewer_edits(&edits, at)))
}

fn casts(scenario: &Scenario) -> Vec<Scenario> {
    let cast = &scenario.cast;
    let fewer = |number: u8, least: u8| number.saturating_sub(1).max(least);
    let all = [
        Cast { tabs: 0, ..cast.clone() },
        Cast { newer: false, ..cast.clone() },
        Cast { previous: false, ..cast.clone() },
        Cast { hostile: false, ..cast.clone() },
        Cast { clients: fewer(cast.clients, 1), ..cast.clone() },
        Cast { documents: fewer(cast.documents, 1), ..cast.clone() },
        Cast { skews_ms: vec![0], ..cast.clone() },
    ];
    all.into_iter().filter(|other| other != cast).map(|cast| Scenario { cast, ..scenario.clone() }).collect()
}

fn with_fewer_edits(scenario: &Scenario, at: usize) -> Option<Scenario> {
    let mut smaller = scenario.clone();
    let What::Edit { edits, .. } = &mut smaller.events.get_mut(at)?.what else { return None };
    if edits.len() < 2 {
        return None;
    }
    edits.truncate(1);
    Some(smaller)
}

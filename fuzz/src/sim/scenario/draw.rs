//! Drawing a scenario: moments at which several devices write at once, and next to most of them something that goes
//! wrong, so that it meets changes on their way.

use quickcheck::{Arbitrary, Gen};

use super::{Cast, Cut, Event, Harm, Lie, Point, Scenario, What};
use crate::arbitrary::{below, edit_of, frequent_kind, kind, one_in};
use crate::script::{Edit, Plain};

const MINUTE_MS: u64 = 60_000;

/// Histories that go back are rare, and one kind at a time: what they may do to others differs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Past {
    Kept,
    DeviceRestored,
    DeviceCloned,
    RelayRestored,
}

/// The scenario that belongs to a seed.
pub fn draw(seed: u64) -> Scenario {
    let g = &mut Gen::from_size_and_seed(24, seed);
    let past = match below(g, 8) {
        0 => Past::DeviceRestored,
        1 => Past::DeviceCloned,
        2 => Past::RelayRestored,
        _ => Past::Kept,
    };
    let cast = cast(g);
    let span_ms = (30 + below(g, 30) as u64) * MINUTE_MS;
    let mut events = Vec::new();
    for _ in 0..30 + below(g, 25) {
        let at_ms = below(g, span_ms as usize) as u64;
        moment(g, &cast, at_ms, &mut events);
    }
    go_back(g, past, span_ms, &mut events);
    events.sort_by_key(|event| event.at_ms);
    Scenario { seed, cast, events }
}

fn cast(g: &mut Gen) -> Cast {
    let skews = (0..1 + below(g, 4)).map(|_| skew(g)).collect();
    Cast {
        clients: 2 + below(g, 3) as u8,
        tabs: [0, 0, 2, 3][below(g, 4)],
        newer: one_in(g, 4),
        previous: one_in(g, 4),
        hostile: one_in(g, 3),
        documents: 1 + below(g, 3) as u8,
        skews_ms: skews,
    }
}

/// A clock that is right, or seconds, hours or years off. Bug class E.
fn skew(g: &mut Gen) -> i64 {
    let far = [50_000, 3_600_000, 10 * 365 * 86_400_000][below(g, 3)];
    match below(g, 4) {
        0 => below(g, far) as i64,
        1 => -(below(g, far) as i64),
        _ => below(g, 400) as i64 - 200,
    }
}

/// Several devices write at once, and something goes wrong.
fn moment(g: &mut Gen, cast: &Cast, at_ms: u64, events: &mut Vec<Event>) {
    // Half of the time all write in one container, so that they meet.
    let focus = one_in(g, 2).then(|| (below(g, 3) as u8, if one_in(g, 2) { frequent_kind(g) } else { kind(g) }));
    for _ in 0..1 + below(g, 6) {
        let what = match focus {
            Some((document, of)) => {
                What::Edit { document, edits: (0..1 + below(g, 3)).map(|_| edit_of(g, of)).collect() }
            }
            None => application(g),
        };
        events.push(Event { at_ms: at_ms + below(g, 300) as u64, node: below(g, 256) as u8, what });
    }
    for _ in 0..below(g, 4) {
        let what = trouble(g);
        events.push(Event { at_ms: at_ms + below(g, 400) as u64, node: below(g, 256) as u8, what });
    }
    if cast.hostile {
        let what = What::Lie(lie(g));
        events.push(Event { at_ms: at_ms + below(g, 400) as u64, node: 0, what });
    }
}

fn application(g: &mut Gen) -> What {
    let document = below(g, 3) as u8;
    match below(g, 20) {
        0..2 => What::Undo { document },
        2 => What::Presence { document, value: (!one_in(g, 3)).then(|| below(g, 9) as u8) },
        _ => What::Edit { document, edits: (0..1 + below(g, 3)).map(|_| edit(g)).collect() },
    }
}

fn edit(g: &mut Gen) -> Edit {
    if one_in(g, 10) {
        let text = "the quick brown fox".to_owned();
        return Edit { at: 0, what: crate::script::What::TextInsert { pos: u16::arbitrary(g), text } };
    }
    if one_in(g, 60) {
        let value = Plain::Bytes((0..2_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect());
        return Edit { at: 0, what: crate::script::What::RegisterSet { value } };
    }
    Edit::arbitrary(g)
}

fn trouble(g: &mut Gen) -> What {
    let seconds = |g: &mut Gen, most: usize| 1_000 + below(g, most * 1_000) as u64;
    match below(g, 30) {
        0..3 => What::Cut(Cut::Both),
        3..5 => What::Cut(Cut::Answers),
        5..7 => What::Cut(Cut::Overtaken),
        7 => What::Cut(Cut::HalfOpen),
        8..10 => What::Harm { upward: bool::arbitrary(g), how: Harm::Delay(seconds(g, 20)) },
        10 => What::Harm { upward: bool::arbitrary(g), how: Harm::Slow(seconds(g, 4)) },
        11 => What::Harm { upward: bool::arbitrary(g), how: Harm::Truncate },
        12 => What::Harm { upward: bool::arbitrary(g), how: Harm::Flip },
        13..15 => What::Partition { up: true, down: true, ms: seconds(g, 120) },
        15 => {
            let up = bool::arbitrary(g);
            What::Partition { up, down: !up, ms: seconds(g, 100) }
        }
        16..21 => {
            let points = [None, Some(Point::BeforeFsync), Some(Point::Torn), Some(Point::AfterFsync)];
            What::Crash { at: points[below(g, 4)], ms: seconds(g, 60) }
        }
        21..23 => What::FullDisk { ms: seconds(g, 60) },
        23 => What::FailWrite,
        24 => What::FailRead,
        25 => What::Clock([40_000, 7_200_000, -40_000, -7_200_000][below(g, 4)] + below(g, 10_000) as i64),
        26 => What::Expire,
        27 => What::ReadOnly { ms: seconds(g, 60) },
        28 => What::CloseDocument { document: below(g, 3) as u8, ms: seconds(g, 60) },
        _ => What::FullDisk { ms: seconds(g, 5) },
    }
}

fn lie(g: &mut Gen) -> Lie {
    match below(g, 9) {
        0 => Lie::Noise,
        1 => Lie::Damaged,
        2 => Lie::Again,
        3..6 => Lie::Forged(below(g, 256) as u8),
        6 => Lie::Unasked,
        _ => Lie::Change,
    }
}

fn go_back(g: &mut Gen, past: Past, span_ms: u64, events: &mut Vec<Event>) {
    let at_ms = span_ms / 3 + below(g, span_ms as usize / 3) as u64;
    // The relay is node 0; its device is never cloned.
    let node = if past == Past::RelayRestored { 0 } else { 1 + below(g, 200) as u8 };
    let event = |at_ms, what| Event { at_ms, node, what };
    match past {
        Past::Kept => {}
        Past::DeviceCloned => events.push(event(at_ms, What::Clone)),
        Past::DeviceRestored | Past::RelayRestored => {
            events.push(event(at_ms / 2, What::Backup));
            events.push(event(at_ms, What::Restore));
        }
    }
}

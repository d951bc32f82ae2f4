//! Drawing scripts at random and making them smaller: `quickcheck::Arbitrary`, and a driver that prints a failure as
//! a script that can be stored in `crashers/` and replayed.

use std::fmt::Debug;

use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};
use selvedge::ContainerKind;
use selvedge::doc::Side;
use serde::Serialize;

use crate::script::{Action, Edit, Failure, Plain, Script, What};

const SNIPPETS: [&str; 12] =
    ["a", "b", "xyz", "é", "😀", "👩‍👩‍👧", "e\u{301}", "𝄞x", "\n", "\u{0}", "日本語", "hello world"];

/// Roughly now, in milliseconds.
const NOW_MS: u64 = 1_700_000_000_000;

const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;

/// How many cases a property runs: `SELVEDGE_FUZZ_TESTS`, or this many.
pub fn tests(default: u64) -> u64 {
    std::env::var("SELVEDGE_FUZZ_TESTS").ok().and_then(|tests| tests.parse().ok()).unwrap_or(default)
}

/// Runs a property over random cases (`SELVEDGE_FUZZ_SEED` makes a run repeatable) and panics with the smallest case
/// found that breaks it, as JSON.
///
/// # Panics
/// If a case breaks the property.
pub fn check<T>(default_tests: u64, property: fn(&T) -> Result<(), String>)
where
    T: Arbitrary + Serialize + Debug,
{
    let seed = std::env::var("SELVEDGE_FUZZ_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let generator = seed.map_or_else(|| Gen::new(100), |seed| Gen::from_size_and_seed(100, seed));
    let tests = tests(default_tests);
    let runner = QuickCheck::new().rng(generator).tests(tests).max_tests(tests);
    runner.min_tests_passed(tests).quickcheck(Property(property));
}

/// The random script that belongs to a seed, as JSON.
pub fn draw(seed: u64) -> String {
    let script = Script::arbitrary(&mut Gen::from_size_and_seed(100, seed));
    serde_json::to_string(&script).unwrap_or_else(|error| error.to_string())
}

struct Property<T>(fn(&T) -> Result<(), String>);

impl<T: Arbitrary + Serialize + Debug> quickcheck::Testable for Property<T> {
    fn result(&self, generator: &mut Gen) -> TestResult {
        let mut case = T::arbitrary(generator);
        let Err(mut reason) = run(self.0, &case) else { return TestResult::passed() };
        // Shrinking: the first smaller case that fails too, again and again, within a bound.
        let mut tries = 0;
        'smaller: while tries < 3_000 {
            for candidate in case.shrink() {
                tries += 1;
                if let Err(why) = run(self.0, &candidate) {
                    (case, reason) = (candidate, why);
                    continue 'smaller;
                }
                if tries >= 3_000 {
                    break;
                }
            }
            break;
        }
        let json = serde_json::to_string(&case).unwrap_or_else(|error| error.to_string());
        TestResult::error(format!("{reason}\nthe smallest case found:\n{json}\n"))
    }
}

/// Runs a property; a panic is a failure like any other.
fn run<T>(property: fn(&T) -> Result<(), String>, case: &T) -> Result<(), String> {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| property(case)));
    caught.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}

pub(crate) fn below(g: &mut Gen, n: usize) -> usize {
    u32::arbitrary(g) as usize % n.max(1)
}

pub(crate) fn one_in(g: &mut Gen, n: usize) -> bool {
    below(g, n) == 0
}

pub(crate) fn kind(g: &mut Gen) -> ContainerKind {
    ContainerKind::ALL[below(g, ContainerKind::ALL.len())]
}

pub(crate) fn snippet(g: &mut Gen) -> String {
    SNIPPETS[below(g, SNIPPETS.len())].to_owned()
}

impl Arbitrary for Plain {
    fn arbitrary(g: &mut Gen) -> Self {
        match below(g, 8) {
            0 => Self::Null,
            1 => Self::Bool(bool::arbitrary(g)),
            2 => Self::Int(i64::arbitrary(g)),
            3 => Self::Float(f64::arbitrary(g).to_bits()),
            4 => Self::Bytes(vec![0, 255]),
            5 => Self::Str(snippet(g)),
            _ => Self::Int(below(g, 5) as i64),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let plainer = if *self == Self::Int(0) { None } else { Some(Self::Int(0)) };
        Box::new(plainer.into_iter())
    }
}

/// An edit of a container of this kind.
pub(crate) fn what(g: &mut Gen, of: ContainerKind) -> What {
    let (index, len) = (u16::arbitrary(g), below(g, 4) as u16);
    let key = below(g, 13) as u8;
    match of {
        ContainerKind::Map => match below(g, 7) {
            0..3 => What::MapSet { key, value: Plain::arbitrary(g) },
            3 => What::MapDelete { key },
            4..6 => What::MapChild { key, kind: kind(g) },
            _ => What::MapReplace { key, kind: kind(g) },
        },
        ContainerKind::Register if one_in(g, 3) => What::RegisterClear,
        ContainerKind::Register => What::RegisterSet { value: Plain::arbitrary(g) },
        ContainerKind::Counter if one_in(g, 2) => What::CounterAdd { by: i64::arbitrary(g) },
        ContainerKind::Counter => What::CounterAdd { by: i64::from(i8::arbitrary(g)) },
        ContainerKind::Set if one_in(g, 3) => What::SetRemove { pick: index },
        ContainerKind::Set => What::SetAdd { value: Plain::arbitrary(g) },
        ContainerKind::List => match below(g, 11) {
            0..3 => What::ListInsert { index, values: (0..1 + len).map(|_| Plain::arbitrary(g)).collect() },
            3..5 => What::ListDelete { index, len },
            5 => What::ListSet { index, value: Plain::arbitrary(g) },
            6..9 => What::ListMove { from: index, to: u16::arbitrary(g) },
            9 => What::ListInsertContainer { index, kind: kind(g) },
            _ => What::ListChild { index, kind: kind(g) },
        },
        ContainerKind::Text => match below(g, 13) {
            9..11 => {
                let (key, value, expand) = (u8::arbitrary(g), u8::arbitrary(g), u8::arbitrary(g));
                What::TextMark { pos: index, len: below(g, 8) as u16, key, value, expand }
            }
            11 => What::TextUnmark { pos: index, len: below(g, 8) as u16, key: u8::arbitrary(g) },
            12 => What::TextDelta { steps: (0..1 + len).map(|_| Arbitrary::arbitrary(g)).collect() },
            0..3 => What::TextInsert { pos: index, text: snippet(g) },
            3..5 => What::TextDelete { pos: index, len },
            5..7 => What::TextInsertUtf16 { pos: index, text: snippet(g) },
            _ => What::TextDeleteUtf16 { pos: index, len },
        },
        ContainerKind::Tree => match below(g, 9) {
            0..3 => What::TreeCreate { parent: u16::arbitrary(g), index },
            3..6 => What::TreeMove { node: u16::arbitrary(g), parent: u16::arbitrary(g), index },
            6..8 => What::TreeRemove { node: index },
            _ => What::TreeData { node: index, key, value: Plain::arbitrary(g) },
        },
        ContainerKind::BoundedCounter => match below(g, 5) {
            0..2 => What::BoundedAdd { amount: below(g, 20) as u32 },
            2 => What::BoundedTake { amount: index },
            _ => What::BoundedTransfer { to: key, amount: index },
        },
        _ if one_in(g, 2) => What::RemoveWinsRemove { pick: index },
        _ => What::RemoveWinsAdd { value: Plain::arbitrary(g) },
    }
}

/// A kind; sequences, whose merging is the hardest, are the most frequent.
pub(crate) fn frequent_kind(g: &mut Gen) -> ContainerKind {
    match below(g, 10) {
        0..3 => ContainerKind::List,
        3..5 => ContainerKind::Text,
        5..7 => ContainerKind::Tree,
        7 => ContainerKind::Map,
        _ => kind(g),
    }
}

impl Arbitrary for Edit {
    fn arbitrary(g: &mut Gen) -> Self {
        let at = if one_in(g, 2) { 0 } else { u16::arbitrary(g) };
        let of = frequent_kind(g);
        Self { at, what: what(g, of) }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let (at, what) = (self.at, self.what.clone());
        let nearer = smaller(at).into_iter().map(move |at| Self { at, what: what.clone() });
        Box::new(nearer.chain(simpler(&self.what).into_iter().map(move |what| Self { at, what })))
    }
}

/// Smaller numbers, the boldest first.
fn smaller(number: u16) -> Vec<u16> {
    let mut all = vec![0, number % 8, number / 2, number.saturating_sub(1)];
    all.retain(|candidate| *candidate < number);
    all.dedup();
    all
}

fn simpler(what: &What) -> Vec<What> {
    let shorter = |text: &String| {
        let half: String = text.chars().take(text.chars().count() / 2).collect();
        [half, "a".to_owned()].into_iter().filter(|new| !new.is_empty() && new != text).collect::<Vec<_>>()
    };
    match what.clone() {
        What::MapSet { key, value } => value.shrink().map(|value| What::MapSet { key, value }).collect(),
        What::RegisterSet { value } => value.shrink().map(|value| What::RegisterSet { value }).collect(),
        What::CounterAdd { by } => by.shrink().map(|by| What::CounterAdd { by }).collect(),
        What::SetAdd { value } => value.shrink().map(|value| What::SetAdd { value }).collect(),
        What::SetRemove { pick } => smaller(pick).into_iter().map(|pick| What::SetRemove { pick }).collect(),
        What::ListInsert { index, values } => {
            let fewer = (values.len() > 1).then(|| What::ListInsert { index, values: values[..1].to_vec() });
            let plain: Vec<Plain> = values.iter().map(|_| Plain::Int(0)).collect();
            let plainer = (plain != values).then_some(What::ListInsert { index, values: plain });
            let nearer = smaller(index).into_iter().map(|index| What::ListInsert { index, values: values.clone() });
            fewer.into_iter().chain(plainer).chain(nearer).collect()
        }
        What::ListDelete { index, len } => {
            let shorter = smaller(len).into_iter().map(|len| What::ListDelete { index, len });
            shorter.chain(smaller(index).into_iter().map(|index| What::ListDelete { index, len })).collect()
        }
        What::ListSet { index, value } => {
            smaller(index).into_iter().map(|index| What::ListSet { index, value: value.clone() }).collect()
        }
        What::ListMove { from, to } => {
            let nearer = smaller(from).into_iter().map(|from| What::ListMove { from, to });
            nearer.chain(smaller(to).into_iter().map(|to| What::ListMove { from, to })).collect()
        }
        What::ListInsertContainer { index, kind } => {
            smaller(index).into_iter().map(|index| What::ListInsertContainer { index, kind }).collect()
        }
        What::ListChild { index, kind } => {
            smaller(index).into_iter().map(|index| What::ListChild { index, kind }).collect()
        }
        What::TextInsert { pos, text } => {
            let nearer = smaller(pos).into_iter().map(|pos| What::TextInsert { pos, text: text.clone() });
            shorter(&text).into_iter().map(|text| What::TextInsert { pos, text }).chain(nearer).collect()
        }
        What::TextInsertUtf16 { pos, text } => {
            let nearer = smaller(pos).into_iter().map(|pos| What::TextInsertUtf16 { pos, text: text.clone() });
            std::iter::once(What::TextInsert { pos, text: text.clone() }).chain(nearer).collect()
        }
        What::TextDelete { pos, len } => {
            let shorter = smaller(len).into_iter().map(|len| What::TextDelete { pos, len });
            shorter.chain(smaller(pos).into_iter().map(|pos| What::TextDelete { pos, len })).collect()
        }
        What::TextDeleteUtf16 { pos, len } => vec![What::TextDelete { pos, len }],
        What::TextMark { pos, len, key, value, expand } => {
            let at = |(pos, len)| What::TextMark { pos, len, key, value, expand };
            let nearer = smaller(pos).into_iter().map(|pos| (pos, len));
            let plain = (key, value, expand) != (0, 0, 0);
            let plain = plain.then_some(What::TextMark { pos, len, key: 0, value: 0, expand: 0 });
            plain.into_iter().chain(nearer.chain(smaller(len).into_iter().map(|len| (pos, len))).map(at)).collect()
        }
        What::TextUnmark { pos, len, key } => {
            let nearer = smaller(pos).into_iter().map(|pos| (pos, len));
            let shorter = smaller(len).into_iter().map(|len| (pos, len));
            nearer.chain(shorter).map(|(pos, len)| What::TextUnmark { pos, len, key }).collect()
        }
        What::TextDelta { steps } => steps.shrink().map(|steps| What::TextDelta { steps }).collect(),
        What::TreeCreate { parent, index } => {
            let higher = smaller(parent).into_iter().map(|parent| What::TreeCreate { parent, index });
            higher.chain(smaller(index).into_iter().map(|index| What::TreeCreate { parent, index })).collect()
        }
        What::TreeMove { node, parent, index } => {
            let nearer = smaller(node).into_iter().map(|node| What::TreeMove { node, parent, index });
            let higher = smaller(parent).into_iter().map(|parent| What::TreeMove { node, parent, index });
            let first = smaller(index).into_iter().map(|index| What::TreeMove { node, parent, index });
            nearer.chain(higher).chain(first).collect()
        }
        What::TreeRemove { node } => smaller(node).into_iter().map(|node| What::TreeRemove { node }).collect(),
        What::TreeData { node, key, value } => {
            value.shrink().map(|value| What::TreeData { node, key, value }).collect()
        }
        What::BoundedTake { amount } => {
            smaller(amount).into_iter().map(|amount| What::BoundedTake { amount }).collect()
        }
        What::BoundedTransfer { to, amount } => {
            smaller(amount).into_iter().map(|amount| What::BoundedTransfer { to, amount }).collect()
        }
        What::RemoveWinsAdd { value } => value.shrink().map(|value| What::RemoveWinsAdd { value }).collect(),
        What::RemoveWinsRemove { pick } => {
            smaller(pick).into_iter().map(|pick| What::RemoveWinsRemove { pick }).collect()
        }
        What::BoundedAdd { .. }
        | What::MapDelete { .. }
        | What::MapChild { .. }
        | What::MapReplace { .. }
        | What::RegisterClear => Vec::new(),
    }
}

/// What happens next; all edits are of one container if there is a focus.
fn action(g: &mut Gen, focus: Option<ContainerKind>) -> Action {
    let (replica, other) = (below(g, 5) as u8, below(g, 5) as u8);
    let edits = |g: &mut Gen| {
        let one = |g: &mut Gen| match focus {
            Some(of) => Edit { at: 0, what: what(g, of) },
            None => Edit::arbitrary(g),
        };
        (0..1 + below(g, 3)).map(|_| one(g)).collect()
    };
    match below(g, 51) {
        48.. => {
            let side = if bool::arbitrary(g) { Side::Before } else { Side::After };
            Action::Anchor { replica, at: u16::arbitrary(g), pos: u16::arbitrary(g), side }
        }
        0..20 => Action::Edit { replica, edits: edits(g) },
        20 => {
            let ways = [
                Failure::Cancel,
                Failure::PastEnd,
                Failure::InsideCharacter,
                Failure::NoElement,
                Failure::ContainerInSet,
                Failure::Cycle,
                Failure::NoRights,
            ];
            Action::Fail { replica, edits: edits(g), how: ways[below(g, ways.len())] }
        }
        21..23 => Action::Commit { replica, message: snippet(g) },
        23 => Action::Cut { replica },
        24..27 => Action::Exchange { a: replica, b: other },
        27..30 => {
            let changes = if bool::arbitrary(g) { None } else { Some(below(g, 6) as u16) };
            Action::Send { from: replica, to: other, changes }
        }
        30..33 => Action::Hold { from: replica, to: other, single: bool::arbitrary(g) },
        33..37 => Action::Deliver { to: replica, pick: u16::arbitrary(g), keep: bool::arbitrary(g) },
        37 => Action::SaveLoad { replica },
        38 => Action::Clock { replica, ms: clock(g) },
        39..42 => Action::Undo { replica },
        42 => Action::Redo { replica },
        43..46 => Action::Visit { replica, a: u16::arbitrary(g), b: u16::arbitrary(g) },
        46 => Action::Fork { replica, at: u16::arbitrary(g), edits: edits(g) },
        _ => Action::Init { replica, content: below(g, 4) as u8 },
    }
}

/// A clock that is right, ahead or behind by up to ten years, at an end of time, or stopped. Bug class E.
fn clock(g: &mut Gen) -> u64 {
    match below(g, 6) {
        0 => [0, 1, (1 << 47) - 1, (1 << 48) - 1, u64::MAX][below(g, 5)],
        1 => NOW_MS + u64::arbitrary(g) % (10 * YEAR_MS),
        2 => NOW_MS - u64::arbitrary(g) % (10 * YEAR_MS),
        _ => NOW_MS + u64::arbitrary(g) % 100_000,
    }
}

impl Arbitrary for Script {
    fn arbitrary(g: &mut Gen) -> Self {
        let size = if one_in(g, 8) { g.size() * 4 } else { g.size() };
        let length = 1 + below(g, size);
        let focus = one_in(g, 2).then(|| frequent_kind(g));
        Self { replicas: 2 + below(g, 4) as u8, actions: (0..length).map(|_| action(g, focus)).collect() }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let script = self.clone();
        let fewer = (2..self.replicas).map({
            let script = script.clone();
            move |replicas| Self { replicas, ..script.clone() }
        });
        Box::new(fewer.chain(without_chunks(script.clone())).chain(with_smaller_actions(script)))
    }
}

/// An edit of the container in the root of this kind. Deleting its key there takes back what was seen in it.
pub(crate) fn edit_of(g: &mut Gen, kind: ContainerKind) -> Edit {
    match below(g, 8) {
        0 => Edit { at: 1, what: What::MapDelete { key: 4 + kind.tag() } },
        _ => Edit { at: 0, what: what(g, kind) },
    }
}

/// Something that is written by everybody, and then three branches that know nothing of each other.
#[derive(Clone, Debug, Serialize)]
pub struct Branches(pub [Vec<Edit>; 4]);

impl Branches {
    /// Branches that edit one container of this kind.
    pub fn of(g: &mut Gen, kind: ContainerKind) -> Self {
        let edits = |g: &mut Gen| (0..1 + below(g, 8)).map(|_| edit_of(g, kind)).collect();
        Self([edits(g), edits(g), edits(g), edits(g)])
    }
}

impl Arbitrary for Branches {
    fn arbitrary(g: &mut Gen) -> Self {
        let kind = kind(g);
        Self::of(g, kind)
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let this = self.clone();
        Box::new((0..4).flat_map(move |at| {
            let this = this.clone();
            this.0[at].shrink().map(move |edits| {
                let mut smaller = this.clone();
                smaller.0[at] = edits;
                smaller
            })
        }))
    }
}

/// What a hostile peer sends: good bytes of a script's document, damaged; and bytes out of the blue.
#[derive(Clone, Debug, Serialize)]
pub struct Hostile {
    /// What was written before.
    pub script: Script,
    /// How its bytes are damaged: (what, where, with what).
    pub mutations: Vec<(u8, u32, u8)>,
    /// Bytes from nowhere.
    pub noise: Vec<u8>,
}

impl Arbitrary for Hostile {
    fn arbitrary(g: &mut Gen) -> Self {
        let mut small = Gen::from_size_and_seed(12, u64::arbitrary(g));
        let count = 1 + below(g, 6);
        Self {
            script: Script::arbitrary(&mut small),
            mutations: (0..count).map(|_| (u8::arbitrary(g), u32::arbitrary(g), u8::arbitrary(g))).collect(),
            noise: (0..below(g, 64)).map(|_| if bool::arbitrary(g) { below(g, 32) as u8 } else { 0xff }).collect(),
        }
    }

    fn shrink(&self) -> Box<dyn Iterator<Item = Self>> {
        let (a, b, c) = (self.clone(), self.clone(), self.clone());
        let script = self.script.shrink().map(move |script| Self { script, ..a.clone() });
        let mutations = self.mutations.shrink().map(move |mutations| Self { mutations, ..b.clone() });
        let noise = self.noise.shrink().map(move |noise| Self { noise, ..c.clone() });
        Box::new(script.chain(mutations).chain(noise))
    }
}

/// The script without one stretch of its actions, long stretches first.
fn without_chunks(script: Script) -> impl Iterator<Item = Script> {
    let count = script.actions.len();
    let sizes = std::iter::successors(Some(count), |size| Some(size / 2)).take_while(|size| *size > 0);
    let cuts = sizes.flat_map(move |size| (0..count).step_by(size).map(move |start| (start, size)));
    cuts.map(move |(start, size)| {
        let mut smaller = script.clone();
        smaller.actions.drain(start..(start + size).min(count));
        smaller
    })
}

fn with_smaller_actions(script: Script) -> impl Iterator<Item = Script> {
    (0..script.actions.len()).flat_map(move |at| {
        let script = script.clone();
        simpler_actions(&script.actions[at]).into_iter().map(move |action| {
            let mut smaller = script.clone();
            smaller.actions[at] = action;
            smaller
        })
    })
}

fn simpler_actions(action: &Action) -> Vec<Action> {
    match action.clone() {
        Action::Edit { replica, edits } => {
            edits.shrink().filter(|edits| !edits.is_empty()).map(|edits| Action::Edit { replica, edits }).collect()
        }
        Action::Fail { replica, edits, how } => {
            edits.shrink().map(|edits| Action::Fail { replica, edits, how }).collect()
        }
        Action::Exchange { a, b } => {
            vec![Action::Send { from: a, to: b, changes: None }, Action::Send { from: b, to: a, changes: None }]
        }
        Action::Send { from, to, changes: Some(_) } => vec![Action::Send { from, to, changes: None }],
        Action::Deliver { to, pick, keep } => {
            smaller(pick).into_iter().map(|pick| Action::Deliver { to, pick, keep }).collect()
        }
        Action::Visit { replica, a, b } => {
            let nearer = smaller(a).into_iter().map(|a| Action::Visit { replica, a, b });
            nearer.chain(smaller(b).into_iter().map(|b| Action::Visit { replica, a, b })).collect()
        }
        Action::Fork { replica, at, edits } => {
            edits.shrink().map(|edits| Action::Fork { replica, at, edits }).collect()
        }
        Action::Commit { replica, message } if message != "a" => {
            vec![Action::Commit { replica, message: "a".to_owned() }]
        }
        _ => Vec::new(),
    }
}

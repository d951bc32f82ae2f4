//! `World`: all devices and connections, one clock, and an agenda. One thread, one order of everything.
//!
//! Always holds: time only moves to the next thing that is planned or due; equal scenarios give equal traces. Parts:
//! `drive` (what a process does for its engine), `net` (connections), `act` (what a scenario says), `settle` (the end).

use std::collections::BTreeMap;

use selvedge::sync::Input;
use selvedge::{DocName, OpId};

use super::disk::Disk;
use super::facts::Facts;
use super::link::Link;
use super::node::{Kind, Node, Slot};
use super::scenario::{Cast, Scenario};
use super::tally::{Fault, Tally};
use crate::random::Random;

/// The time of day at which every run begins, in milliseconds.
const BEGIN_MS: u64 = 1_700_000_000_000;

/// Times that a process may be woken while the time stands still.
const MAX_SPINS: u32 = 1_000;

/// The relay.
pub(super) const RELAY: usize = 0;

/// Something that is planned.
#[derive(Clone, Debug)]
pub(super) enum Due {
    /// The event of the scenario with this number.
    Act(usize),
    /// A packet arrives that this end of a link sent.
    Arrive {
        link: u64,
        end: usize,
    },
    /// An end of a link is told that the connection is gone.
    Gone {
        link: u64,
        end: usize,
    },
    Dial {
        node: usize,
        slot: usize,
    },
    /// The disk is done with what the process asked for.
    Disk {
        node: usize,
        epoch: u64,
    },
    /// The process hears of it.
    Answers {
        node: usize,
        epoch: u64,
    },
    Start {
        node: usize,
    },
    /// The disk works again.
    Repair {
        node: usize,
    },
    /// The credential allows writing again.
    Writable {
        node: usize,
    },
    Open {
        node: usize,
        epoch: u64,
        doc: DocName,
    },
    /// A device has found out where its history differs from the relay's.
    Heal {
        node: usize,
        epoch: u64,
        doc: DocName,
        forks: Vec<OpId>,
    },
    /// A device dials whatever it is not connected to.
    Redial {
        node: usize,
    },
    /// A liar writes, although it may only read by now.
    WriteUnasked {
        node: usize,
    },
}

/// Everything there is in a run.
#[derive(Debug)]
pub(super) struct World {
    pub(super) now_ms: u64,
    pub(super) random: Random,
    pub(super) documents: Vec<DocName>,
    pub(super) nodes: Vec<Node>,
    pub(super) links: BTreeMap<u64, Link>,
    pub(super) next_link: u64,
    /// Who does not reach whom, and until when.
    pub(super) blocked: BTreeMap<(usize, usize), u64>,
    agenda: BTreeMap<(u64, u64), Due>,
    planned: u64,
    pub(super) facts: Facts,
    pub(super) tally: Tally,
    pub(super) trace: blake3::Hasher,
    /// What does not hold, the first thing that was found.
    pub(super) problem: Option<String>,
    /// The latest time that any device's clock has shown.
    pub(super) latest_ms: u64,
    /// The faults have stopped.
    pub(super) is_healed: bool,
    /// All copies are equal: nothing but signs of life and digests is said from now on.
    pub(super) is_settled: bool,
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let documents = (0..scenario.cast.documents.clamp(1, 3)).map(|number| format!("document-{number}"));
        let mut world = Self {
            now_ms: 0,
            random: Random::new(scenario.seed),
            documents: documents.filter_map(|name| DocName::new(name).ok()).collect(),
            nodes: Vec::new(),
            links: BTreeMap::new(),
            next_link: 0,
            blocked: BTreeMap::new(),
            agenda: BTreeMap::new(),
            planned: 0,
            facts: Facts::default(),
            tally: Tally::default(),
            trace: blake3::Hasher::new(),
            problem: None,
            latest_ms: 0,
            is_healed: false,
            is_settled: false,
        };
        world.set_up(&scenario.cast);
        for (number, event) in scenario.events.iter().enumerate() {
            world.plan(event.at_ms, Due::Act(number));
        }
        world
    }

    fn set_up(&mut self, cast: &Cast) {
        let skew = |number: usize| cast.skews_ms.get(number % cast.skews_ms.len().max(1)).copied().unwrap_or(0);
        self.nodes.push(Node::new(Kind::Relay, Disk::default(), 0));
        let mut kinds = vec![Kind::Client; usize::from(cast.clients.clamp(1, 6))];
        kinds.extend(vec![Kind::Tab; usize::from(cast.tabs.min(4))]);
        kinds.extend(cast.newer.then_some(Kind::Newer));
        kinds.extend(cast.previous.then_some(Kind::Previous));
        kinds.extend(cast.hostile.then_some(Kind::Hostile));
        let browser = Disk::default();
        for (number, kind) in kinds.into_iter().enumerate() {
            let disk = if kind == Kind::Tab { browser.clone() } else { Disk::default() };
            // A browser has one clock.
            let skew_ms = if kind == Kind::Tab { skew(0) } else { skew(number) };
            self.tally.add(Fault::ClockSkew, usize::from(skew_ms.abs() > 1_000));
            self.nodes.push(Node::new(kind, disk, skew_ms));
        }
        for node in 0..self.nodes.len() {
            self.furnish(node);
        }
    }

    /// Gives a device the places that it dials, and plans its start.
    pub(super) fn furnish(&mut self, node: usize) {
        let slot = |to, shared| Slot { to, shared, link: None, dialing: false };
        if node != RELAY {
            self.nodes[node].slots.push(slot(RELAY, false));
        }
        if self.nodes[node].kind == Kind::Tab {
            let others = (0..node).filter(|other| self.nodes[*other].kind == Kind::Tab);
            let slots: Vec<Slot> = others.map(|other| slot(other, true)).collect();
            self.nodes[node].slots.extend(slots);
        }
        let delay_ms = self.random.between(0, 3_000);
        self.after(delay_ms, Due::Start { node });
    }

    pub(super) fn plan(&mut self, at_ms: u64, due: Due) {
        self.planned += 1;
        self.agenda.insert((at_ms.max(self.now_ms), self.planned), due);
    }

    pub(super) fn after(&mut self, ms: u64, due: Due) {
        self.plan(self.now_ms + ms, due);
    }

    /// Notes what does not hold.
    pub(super) fn fail(&mut self, problem: String) {
        let now_ms = self.now_ms;
        self.problem.get_or_insert_with(|| format!("after {now_ms} ms: {problem}"));
    }

    /// What a device's clock shows.
    pub(super) fn wall_ms(&self, node: usize) -> u64 {
        (BEGIN_MS + self.now_ms).saturating_add_signed(self.nodes[node].skew_ms)
    }

    /// Notes what the clocks show.
    pub(super) fn note_walls(&mut self) {
        let latest_ms = (0..self.nodes.len()).map(|node| self.wall_ms(node)).max();
        self.latest_ms = self.latest_ms.max(latest_ms.unwrap_or(0));
    }

    /// The time that engines are told: it never runs back, whatever the wall shows.
    pub(super) fn steady_ms(&self) -> u64 {
        BEGIN_MS + self.now_ms
    }

    /// Lets time pass until `end_ms`, or until something does not hold.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn run_until(&mut self, end_ms: u64, scenario: &Scenario) -> Result<(), String> {
        loop {
            if let Some(problem) = self.problem.take() {
                return Err(problem);
            }
            let planned = self.agenda.first_key_value().map(|((at_ms, _), _)| *at_ms);
            let wake = self.next_wake();
            let next = [planned, wake.map(|(at_ms, _)| at_ms)].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end_ms) else {
                self.now_ms = end_ms;
                return Ok(());
            };
            if next > self.now_ms {
                self.now_ms = next;
                self.nodes.iter_mut().for_each(|node| node.spins = 0);
            }
            match wake {
                Some((at_ms, node)) if planned.is_none_or(|planned| at_ms < planned) => self.wake(node),
                _ => {
                    if let Some((_, due)) = self.agenda.pop_first() {
                        self.happen(due, scenario);
                    }
                }
            }
        }
    }

    /// The process that wants to be woken first.
    fn next_wake(&self) -> Option<(u64, usize)> {
        let deadline = |node: &Node| node.process.as_ref()?.engine.deadline();
        let due = |(number, node)| Some((deadline(node)?.saturating_sub(BEGIN_MS).max(self.now_ms), number));
        self.nodes.iter().enumerate().filter_map(due).min()
    }

    fn wake(&mut self, node: usize) {
        self.nodes[node].spins += 1;
        if self.nodes[node].spins > MAX_SPINS {
            self.fail(format!("timers spin: device {node}"));
        }
        self.input(node, Input::Woken);
        self.drain(node);
    }

    fn happen(&mut self, due: Due, scenario: &Scenario) {
        match due {
            Due::Act(number) => {
                if let Some(event) = scenario.events.get(number) {
                    self.act(event);
                }
            }
            Due::Arrive { link, end } => self.arrive(link, end),
            Due::Gone { link, end } => self.gone(link, end),
            Due::Dial { node, slot } => self.dial(node, slot),
            Due::Disk { node, epoch } if self.nodes[node].epoch == epoch => self.disk_done(node),
            Due::Answers { node, epoch } if self.nodes[node].epoch == epoch => self.answers(node),
            Due::Open { node, epoch, doc } if self.nodes[node].epoch == epoch => {
                self.open(node, doc);
                self.drain(node);
            }
            Due::Heal { node, epoch, doc, forks } if self.nodes[node].epoch == epoch => {
                self.heal_branches(node, doc, forks);
            }
            Due::Disk { .. } | Due::Answers { .. } | Due::Open { .. } | Due::Heal { .. } => {}
            Due::Start { node } => self.start(node),
            Due::Repair { node } => self.nodes[node].disk.set_health(super::disk::Health::Works),
            Due::Writable { node } => self.set_read_only(node, false),
            Due::Redial { node } => self.dial_if_needed(node),
            Due::WriteUnasked { node } => self.write_unasked(node),
        }
    }
}

//! `World`: the members, and everything that is on its way between them or due later.

use std::collections::BTreeMap;

use selvedge::ReplicaId;
use selvedge::gossip::{Address, Effect, HyParView, Input, Message, Plumtree};

use super::report::{Broadcast, Report};
use super::{JOIN_MS, MAX_BROADCASTS, Plan};
use crate::random::Random;

/// Members through which the others join.
const CONTACTS: u32 = 4;
/// How often a member compares with a neighbour.
const COMPARE_MS: u64 = 5_000;
/// How long a restarting member is down: from, and up to so much more.
const DOWN_MS: u64 = 5_000;
const DOWN_MORE_MS: u64 = 15_000;

/// Which broadcasts a member has, a bit for each.
type Has = u128;

enum Packet {
    View(Message),
    Push {
        id: usize,
        hops: u32,
        by_comparison: bool,
    },
    Announce(usize),
    Prune,
    /// Send what I lack, and what comes from now on.
    Graft(Has),
    /// Send what I lack; with `true`, I would like to know what you lack.
    Compare(Has, bool),
}

enum Event {
    Packet { from: u32, to: u32, packet: Packet },
    Wake { member: u32, life: u32 },
    Graft { member: u32 },
    Compare { member: u32 },
    Stop { member: u32 },
    Start { member: u32 },
}

struct Member {
    view: HyParView,
    tree: Plumtree<u32>,
    up: bool,
    /// Counts its restarts.
    life: u32,
    /// What it has on its disk, and how far each had come.
    has: Has,
    hops: Vec<u8>,
}

/// One broadcast, as it is counted.
#[derive(Clone, Copy)]
struct Course {
    born_ms: u64,
    last_ms: u64,
    copies: u64,
}

pub(super) struct World {
    plan: Plan,
    members: Vec<Member>,
    events: BTreeMap<(u64, u64), Event>,
    order: u64,
    now_ms: u64,
    random: Random,
    courses: Vec<Course>,
    restarted: u32,
    by_comparison: u64,
    sent: u64,
    counted_from_ms: u64,
}

fn address(member: u32) -> Address {
    Address::new(member.to_be_bytes()).expect("four bytes are an address")
}

fn number(address: &Address) -> u32 {
    u32::from_be_bytes(address.as_bytes().try_into().expect("our addresses have four bytes"))
}

fn log(id: usize) -> ReplicaId {
    ReplicaId::from(id as u128)
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let mut world = Self {
            plan,
            members: Vec::new(),
            events: BTreeMap::new(),
            order: 0,
            now_ms: 0,
            random: Random::new(plan.seed),
            courses: Vec::new(),
            restarted: 0,
            by_comparison: 0,
            sent: 0,
            counted_from_ms: 0,
        };
        for member in 0..plan.members {
            let view = world.fresh_view(member);
            let (tree, hops) = (Plumtree::default(), vec![0; MAX_BROADCASTS]);
            world.members.push(Member { view, tree, up: false, life: 0, has: 0, hops });
            world.at(JOIN_MS * u64::from(member) / u64::from(plan.members), Event::Start { member });
        }
        world
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn fresh_view(&mut self, member: u32) -> HyParView {
        let seed = self.below(u64::MAX);
        HyParView::new(address(member), (0..CONTACTS).map(address).collect(), seed)
    }

    fn at(&mut self, ms: u64, event: Event) {
        self.order += 1;
        self.events.insert((ms, self.order), event);
    }

    pub(super) fn run_for(&mut self, ms: u64) {
        self.run_until(self.now_ms + ms);
    }

    pub(super) fn run_until(&mut self, end_ms: u64) {
        while let Some(entry) = self.events.first_entry().filter(|entry| entry.key().0 <= end_ms) {
            let ((ms, _), event) = entry.remove_entry();
            self.now_ms = ms;
            self.happen(event);
        }
        self.now_ms = end_ms;
    }

    /// A random member that is up makes a change.
    pub(super) fn broadcast(&mut self) {
        let id = self.courses.len();
        self.courses.push(Course { born_ms: self.now_ms, last_ms: self.now_ms, copies: 0 });
        loop {
            let author = self.below(self.plan.members.into()) as u32;
            if self.members[author as usize].up {
                return self.take(author, None, id, 0);
            }
        }
    }

    /// Lets members restart at random times within the next `span_ms`.
    pub(super) fn schedule_restarts(&mut self, span_ms: u64) {
        let count = u64::from(self.plan.members) * self.plan.restarted_percent / 100;
        let mut members: Vec<u32> = (0..self.plan.members).collect();
        for _ in 0..count {
            let member = members.swap_remove(self.below(members.len() as u64) as usize);
            let at_ms = self.now_ms + self.below(span_ms);
            self.at(at_ms, Event::Stop { member });
        }
    }

    /// Begins to count; returns the number of the next broadcast.
    pub(super) fn count_from_here(&mut self) -> usize {
        (self.by_comparison, self.sent, self.counted_from_ms) = (0, 0, self.now_ms);
        self.courses.len()
    }

    /// Members that are down now.
    pub(super) fn down(&self) -> usize {
        self.members.iter().filter(|member| !member.up).count()
    }

    /// Changes that members lack that are up.
    pub(super) fn missing(&self) -> u64 {
        let all = self.courses.len() as u32;
        self.members.iter().filter(|member| member.up).map(|member| u64::from(all - member.has.count_ones())).sum()
    }

    pub(super) fn report(&self, first: usize, waited_ms: u64) -> Report {
        let mut report = Report::new(&self.plan, self.restarted);
        for (id, course) in self.courses.iter().enumerate().skip(first) {
            let reached = self.members.iter().filter(|member| member.has >> id & 1 == 1);
            let hops: Vec<usize> = reached.map(|member| usize::from(member.hops[id])).collect();
            for hops in &hops {
                report.hops.resize(report.hops.len().max(hops + 1), 0);
                report.hops[*hops] += 1;
            }
            let needed = hops.len().saturating_sub(1).max(1) as f64;
            report.broadcasts.push(Broadcast {
                reached: hops.len() as u32,
                last_hops: hops.iter().max().map_or(0, |hops| *hops as u32),
                last_ms: course.last_ms - course.born_ms,
                redundancy: course.copies as f64 / needed - 1.0,
            });
        }
        let neighbours: Vec<u32> = self.members.iter().map(|member| member.view.active().len() as u32).collect();
        let sum = f64::from(neighbours.iter().sum::<u32>());
        let (least, most) = (neighbours.iter().min(), neighbours.iter().max());
        let members = f64::from(self.plan.members);
        report.neighbours = (*least.unwrap_or(&0), sum / members, *most.unwrap_or(&0));
        (report.missing, report.waited_ms, report.by_comparison) = (self.missing(), waited_ms, self.by_comparison);
        let seconds = (self.now_ms - self.counted_from_ms) as f64 / 1_000.0;
        report.messages_per_second = self.sent as f64 / seconds / members;
        report
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Packet { from, to, packet } if self.members[to as usize].up => self.packet(from, to, packet),
            Event::Packet { .. } => {}
            Event::Wake { member, life } if self.members[member as usize].life == life => {
                self.input(member, Input::Woken);
                let due_ms = self.members[member as usize].view.deadline();
                self.at(due_ms, Event::Wake { member, life });
            }
            Event::Wake { .. } => {}
            Event::Graft { member } => {
                let (now_ms, has) = (self.now_ms, self.members[member as usize].has);
                for to in self.members[member as usize].tree.due(now_ms) {
                    self.send(member, to, Packet::Graft(has));
                }
                self.wait_for_missing(member);
            }
            Event::Compare { member } => {
                let has = self.members[member as usize].has;
                let peer = self.members[member as usize].view.any_neighbour();
                if let Some(to) = peer.filter(|_| self.members[member as usize].up) {
                    self.send(member, number(&to), Packet::Compare(has, true));
                }
                self.at(self.now_ms + COMPARE_MS, Event::Compare { member });
            }
            Event::Stop { member } => {
                let view = self.fresh_view(member);
                let stopped = &mut self.members[member as usize];
                (stopped.view, stopped.tree, stopped.up) = (view, Plumtree::default(), false);
                stopped.life += 1;
                self.restarted += 1;
                let at_ms = self.now_ms + DOWN_MS + self.below(DOWN_MORE_MS);
                self.at(at_ms, Event::Start { member });
            }
            Event::Start { member } => {
                let first = self.members[member as usize].life == 0;
                self.members[member as usize].up = true;
                let life = self.members[member as usize].life;
                self.at(self.now_ms, Event::Wake { member, life });
                if first {
                    let at_ms = self.now_ms + self.below(COMPARE_MS);
                    self.at(at_ms, Event::Compare { member });
                }
            }
        }
    }

    fn packet(&mut self, from: u32, to: u32, packet: Packet) {
        let now_ms = self.now_ms;
        let member = &mut self.members[to as usize];
        match packet {
            Packet::View(message) => self.input(to, Input::Received { from: address(from), message }),
            Packet::Push { id, hops, by_comparison } => {
                self.courses[id].copies += 1;
                if member.has >> id & 1 == 0 {
                    self.by_comparison += u64::from(by_comparison);
                    self.take(to, Some(from), id, hops);
                } else if !by_comparison && member.tree.duplicate(from, log(id)) {
                    self.send(to, from, Packet::Prune);
                }
            }
            Packet::Announce(id) => {
                let linked = member.tree.links().any(|(peer, _)| peer == from);
                if linked && member.has >> id & 1 == 0 {
                    member.tree.announced(from, log(id), 1, now_ms);
                    self.wait_for_missing(to);
                }
            }
            Packet::Prune => member.tree.pruned(from),
            Packet::Graft(has) => {
                member.tree.grafted(from);
                self.send_lacking(to, from, has, false);
            }
            Packet::Compare(has, ask) => {
                let ours = member.has;
                self.send_lacking(to, from, has, true);
                if ask && has & !ours != 0 {
                    self.send(to, from, Packet::Compare(ours, false));
                }
            }
        }
    }

    fn send_lacking(&mut self, from: u32, to: u32, has: Has, by_comparison: bool) {
        let lacking = self.members[from as usize].has & !has;
        for id in (0..self.courses.len()).filter(|id| lacking >> id & 1 == 1) {
            let hops = u32::from(self.members[from as usize].hops[id]) + 1;
            self.send(from, to, Packet::Push { id, hops, by_comparison });
        }
    }

    /// A change is new to a member: it goes on along the tree.
    fn take(&mut self, at: u32, from: Option<u32>, id: usize, hops: u32) {
        let now_ms = self.now_ms;
        self.courses[id].last_ms = now_ms;
        let member = &mut self.members[at as usize];
        member.has |= 1 << id;
        member.hops[id] = hops.min(255) as u8;
        let has = member.has;
        let swap = member.tree.fresh(from, log(id), 1, now_ms);
        // Who announced it, has it.
        let has_it = |peer: u32| Some(peer) == from || swap.is_some_and(|swap| swap.graft == peer);
        let links: Vec<(u32, bool)> = member.tree.links().filter(|(peer, _)| !has_it(*peer)).collect();
        if let Some(swap) = swap {
            self.send(at, swap.graft, Packet::Graft(has));
            self.send(at, swap.prune, Packet::Prune);
        }
        for (peer, eager) in links {
            let push = Packet::Push { id, hops: hops + 1, by_comparison: false };
            self.send(at, peer, if eager { push } else { Packet::Announce(id) });
        }
    }

    fn wait_for_missing(&mut self, member: u32) {
        if let Some(due_ms) = self.members[member as usize].tree.deadline() {
            self.at(due_ms.max(self.now_ms), Event::Graft { member });
        }
    }

    fn input(&mut self, member: u32, input: Input) {
        self.members[member as usize].view.handle(self.now_ms, input);
        while let Some(effect) = self.members[member as usize].view.poll_effect() {
            let tree = &mut self.members[member as usize].tree;
            match effect {
                Effect::Up(peer) => tree.up(number(&peer)),
                Effect::Down(peer) => tree.down(number(&peer)),
                Effect::Send { to, message } => self.send(member, number(&to), Packet::View(message)),
            }
        }
    }

    /// A message is on its way, or lost. Each pair of members has its distance, 20 to 40 ms, and each message up to
    /// 10 ms of delay.
    fn send(&mut self, from: u32, to: u32, packet: Packet) {
        self.sent += 1;
        if self.below(100) < self.plan.lost_percent {
            return;
        }
        let pair = u64::from(from.min(to)) << 32 | u64::from(from.max(to));
        let distance_ms = 20 + (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 21;
        let at_ms = self.now_ms + distance_ms + self.below(10);
        self.at(at_ms, Event::Packet { from, to, packet });
    }
}

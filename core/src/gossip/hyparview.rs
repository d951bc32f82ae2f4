//! `HyParView`: a random overlay in which everybody has a few neighbours, and knows some more members to replace them
//! (Leitão, Pereira, Rodrigues: HyParView: a membership protocol for reliable gossip-based broadcast, 2007).
//!
//! Always holds: at most `ACTIVE_PEERS` neighbours and `PASSIVE_PEERS` reserves, none of them in both, never ourselves;
//! only who has spoken to us itself becomes a neighbour; an input has a bounded number of effects. Where the paper takes
//! a broken connection for the sign of a failure, neighbours also say that they are alive: this works over transports
//! that lose messages, and it ends friendships of which one side knows nothing. Not here: connections and dialing.

use std::collections::VecDeque;

use super::address::Address;
use super::dice::Dice;
use super::message::{MAX_LISTED, MAX_STEPS, Message};

/// Most neighbours (the active view).
pub const ACTIVE_PEERS: usize = 6;

/// Most reserves (the passive view).
pub const PASSIVE_PEERS: usize = 30;

/// Steps after which a new member is put among the reserves of whom the news passes.
const RESERVE_AT_STEPS: u8 = 3;
/// Neighbours and reserves named in a shuffle, besides ourselves.
const SHUFFLED_ACTIVE: usize = 3;
const SHUFFLED_PASSIVE: usize = 4;
/// How often we look after our neighbours and tell them that we are alive.
const TICK_MS: u64 = 5_000;
/// Ticks from one shuffle to the next.
const TICKS_PER_SHUFFLE: u64 = 6;
/// Ticks from one change of a neighbour to the next, in the long run; a young member changes more often.
const TICKS_PER_CHANGE: u64 = 64;
/// The same for a member that cannot find as many neighbours as it wants.
const TICKS_PER_PLEA: u64 = 4;
/// Silence after which a neighbour counts as lost: six signs of life, on the average. Where three of ten messages are
/// lost, about one neighbour in a thousand is taken for lost each time.
const SILENCE_MS: u64 = 32_500;

/// What goes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A message arrived from the peer that is reached at `from`.
    Received {
        /// The sender. The driver vouches for it.
        from: Address,
        /// The message.
        message: Message,
    },
    /// A peer cannot be reached, or its connection broke.
    Lost(Address),
    /// The deadline has passed (or may have).
    Woken,
}

/// What comes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a message, over a connection made for it if there is none. It may be lost.
    Send {
        /// To whom.
        to: Address,
        /// What.
        message: Message,
    },
    /// A new neighbour: keep a connection to it and sync over it. Of the two, the one with the smaller address dials.
    Up(Address),
    /// No neighbour any more: its connection may be closed.
    Down(Address),
}

#[derive(Clone, Debug)]
struct Neighbour {
    address: Address,
    heard_ms: u64,
}

/// One member of an overlay.
#[derive(Clone, Debug)]
pub struct HyParView {
    me: Address,
    contacts: Vec<Address>,
    dice: Dice,
    active: Vec<Neighbour>,
    passive: Vec<Address>,
    /// Whom we asked to be our neighbour, and until when we wait; at most `ACTIVE_PEERS`.
    asked: Vec<(Address, u64)>,
    /// What we named in the last shuffle: the first to be given up for what comes in return.
    shuffled: Vec<Address>,
    now_ms: u64,
    next_tick_ms: u64,
    ticks: u64,
    effects: VecDeque<Effect>,
}

impl HyParView {
    /// A member that is reached at `me` and finds the others by way of any of `contacts` (its own address among them
    /// does no harm). The first deadline is at once. `seed`: random, another one for every member.
    pub fn new(me: Address, contacts: Vec<Address>, seed: u64) -> Self {
        let contacts = contacts.into_iter().filter(|contact| *contact != me).collect();
        Self {
            me,
            contacts,
            dice: Dice::new(seed),
            active: Vec::new(),
            passive: Vec::new(),
            asked: Vec::new(),
            shuffled: Vec::new(),
            now_ms: 0,
            next_tick_ms: 0,
            ticks: 0,
            effects: VecDeque::new(),
        }
    }

    /// Takes an input at a time in milliseconds that does not run back (if it does, the latest one counts).
    pub fn handle(&mut self, now_ms: u64, input: Input) {
        self.now_ms = self.now_ms.max(now_ms);
        match input {
            Input::Received { from, message } if from != self.me => self.received(from, message),
            Input::Received { .. } => {}
            Input::Lost(peer) => {
                self.passive.retain(|reserve| *reserve != peer);
                self.lost(&peer);
            }
            Input::Woken => {}
        }
        if self.now_ms >= self.next_tick_ms {
            self.tick();
        }
    }

    /// The next effect. Drain it until it returns `None`.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When `Input::Woken` is due.
    pub fn deadline(&self) -> u64 {
        self.next_tick_ms
    }

    /// The neighbours.
    pub fn active(&self) -> impl ExactSizeIterator<Item = &Address> {
        self.active.iter().map(|neighbour| &neighbour.address)
    }

    /// The reserves.
    pub fn passive(&self) -> &[Address] {
        &self.passive
    }

    /// One of the neighbours, at random: whom to compare documents with.
    pub fn any_neighbour(&mut self) -> Option<Address> {
        self.dice.pick(&self.active).map(|neighbour| neighbour.address.clone())
    }

    fn received(&mut self, from: Address, message: Message) {
        if let Some(neighbour) = self.active.iter_mut().find(|neighbour| neighbour.address == from) {
            neighbour.heard_ms = self.now_ms;
        }
        match message {
            Message::Join => {
                self.accept(&from);
                let others: Vec<Address> = self.active().filter(|peer| **peer != from).cloned().collect();
                for to in others {
                    self.send(&to, Message::ForwardJoin { joiner: from.clone(), steps: MAX_STEPS });
                }
            }
            Message::ForwardJoin { joiner, steps } => self.forward_join(&from, joiner, steps),
            Message::Neighbour { urgent } if urgent || self.knows(&from) || self.has_room() => self.accept(&from),
            Message::Neighbour { .. } => {
                self.add_passive(from.clone());
                self.send(&from, Message::NeighbourReply { accepted: false });
            }
            Message::NeighbourReply { accepted } => {
                let asked = self.asked.len();
                self.asked.retain(|(peer, _)| *peer != from);
                if accepted && self.asked.len() < asked {
                    self.add_active(&from);
                }
            }
            Message::Disconnect => {
                if self.lost(&from) {
                    self.add_passive(from);
                }
            }
            Message::Shuffle { origin, steps, addresses } => self.shuffle(&from, origin, steps, addresses),
            Message::ShuffleReply { addresses } => self.integrate(addresses, &[]),
            // It takes us for its neighbour, and we it not: one of the two must change.
            Message::Alive if !self.knows(&from) && self.has_room() => self.add_active(&from),
            Message::Alive if !self.knows(&from) => self.send(&from, Message::Disconnect),
            Message::Alive => {}
        }
    }

    fn forward_join(&mut self, from: &Address, joiner: Address, steps: u8) {
        if joiner == self.me {
            return;
        }
        let ways: Vec<Address> = self.active().filter(|peer| *peer != from && **peer != joiner).cloned().collect();
        match self.dice.pick(&ways).filter(|_| steps > 0) {
            Some(next) => {
                if steps == RESERVE_AT_STEPS {
                    self.add_passive(joiner.clone());
                }
                self.send(next, Message::ForwardJoin { joiner, steps: steps.min(MAX_STEPS) - 1 });
            }
            None => self.ask(joiner, true),
        }
    }

    fn shuffle(&mut self, from: &Address, origin: Address, steps: u8, mut addresses: Vec<Address>) {
        if origin == self.me {
            return;
        }
        let ways: Vec<Address> = self.active().filter(|peer| *peer != from && **peer != origin).cloned().collect();
        if let Some(next) = self.dice.pick(&ways).filter(|_| steps > 0) {
            addresses.truncate(MAX_LISTED);
            return self.send(next, Message::Shuffle { origin, steps: steps.min(MAX_STEPS) - 1, addresses });
        }
        let given = self.dice.sample(&self.passive, addresses.len().min(MAX_LISTED));
        self.send(&origin, Message::ShuffleReply { addresses: given.clone() });
        addresses.push(origin);
        self.integrate(addresses, &given);
    }

    /// Puts addresses among the reserves; where there is no room for them, those that the other side got from us go.
    fn integrate(&mut self, addresses: Vec<Address>, given: &[Address]) {
        let mut given: Vec<Address> =
            if given.is_empty() { std::mem::take(&mut self.shuffled) } else { given.to_vec() };
        for address in addresses.into_iter().take(MAX_LISTED + 1) {
            if self.passive.len() >= PASSIVE_PEERS {
                let known = given.iter().position(|known| self.passive.contains(known));
                if let Some(gone) = known.map(|at| given.swap_remove(at)) {
                    self.passive.retain(|reserve| *reserve != gone);
                }
            }
            self.add_passive(address);
        }
    }

    /// Looks after the neighbours.
    fn tick(&mut self) {
        // Members that started together do not stay in step.
        self.next_tick_ms = self.now_ms.saturating_add(TICK_MS * 3 / 4 + self.dice.below(TICK_MS / 2));
        self.ticks += 1;
        let now_ms = self.now_ms;
        self.asked.retain(|(_, until_ms)| *until_ms > now_ms);
        let silent = |neighbour: &&Neighbour| neighbour.heard_ms.saturating_add(SILENCE_MS) <= now_ms;
        let silent: Vec<Address> = self.active.iter().filter(silent).map(|gone| gone.address.clone()).collect();
        for peer in silent {
            self.send(&peer, Message::Disconnect);
            self.lost(&peer);
        }
        for peer in self.active().cloned().collect::<Vec<_>>() {
            self.send(&peer, Message::Alive);
        }
        if self.ticks.is_multiple_of(TICKS_PER_SHUFFLE) {
            self.start_shuffle();
        }
        self.fill();
        let pause = if self.has_room() { TICKS_PER_PLEA } else { TICKS_PER_CHANGE };
        if self.ticks.is_power_of_two() || self.ticks.is_multiple_of(pause) {
            self.change_neighbour();
        }
    }

    /// Makes a neighbour of a random reserve or contact, in place of a random one. An overlay that fell apart into two
    /// would stay so: all views are full, and nobody knows; or those of a few are not, and everybody else refuses them.
    fn change_neighbour(&mut self) {
        let others: Vec<Address> = self.contacts.iter().chain(&self.passive).cloned().collect();
        if let Some(other) = self.dice.pick(&others) {
            self.ask(other.clone(), true);
        }
    }

    fn start_shuffle(&mut self) {
        let Some(to) = self.any_neighbour() else { return };
        let others: Vec<Address> = self.active().filter(|peer| **peer != to).cloned().collect();
        let mut addresses = self.dice.sample(&others, SHUFFLED_ACTIVE);
        self.shuffled = self.dice.sample(&self.passive, SHUFFLED_PASSIVE);
        addresses.extend(self.shuffled.iter().cloned());
        self.send(&to, Message::Shuffle { origin: self.me.clone(), steps: MAX_STEPS, addresses });
    }

    /// Asks a reserve to be our neighbour if there is room for one; without reserves, a contact.
    fn fill(&mut self) {
        if self.active.len() + self.asked.len() >= ACTIVE_PEERS {
            return;
        }
        let free = |peers: &[Address]| {
            let free = peers.iter().filter(|peer| !self.knows(peer) && !self.has_asked(peer));
            free.cloned().collect::<Vec<_>>()
        };
        let (reserves, contacts) = (free(&self.passive), free(&self.contacts));
        if let Some(peer) = self.dice.pick(&reserves) {
            self.ask(peer.clone(), self.active.is_empty());
        } else if let Some(contact) = self.dice.pick(&contacts) {
            self.note_asked(contact.clone());
            self.send(contact, Message::Join);
        }
    }

    fn ask(&mut self, peer: Address, urgent: bool) {
        if !self.has_asked(&peer) && !self.knows(&peer) && self.asked.len() < ACTIVE_PEERS {
            self.note_asked(peer.clone());
            self.send(&peer, Message::Neighbour { urgent });
        }
    }

    fn note_asked(&mut self, peer: Address) {
        self.asked.push((peer, self.now_ms.saturating_add(TICK_MS)));
    }

    /// Makes a peer that asked a neighbour.
    fn accept(&mut self, peer: &Address) {
        self.asked.retain(|(asked, _)| asked != peer);
        self.add_active(peer);
        self.send(peer, Message::NeighbourReply { accepted: true });
    }

    fn add_active(&mut self, peer: &Address) {
        if self.knows(peer) {
            return;
        }
        self.passive.retain(|reserve| reserve != peer);
        if !self.has_room() {
            let gone = self.active.swap_remove(self.dice.below(self.active.len() as u64) as usize).address;
            self.send(&gone, Message::Disconnect);
            self.effects.push_back(Effect::Down(gone.clone()));
            self.add_passive(gone);
        }
        self.active.push(Neighbour { address: peer.clone(), heard_ms: self.now_ms });
        self.effects.push_back(Effect::Up(peer.clone()));
    }

    fn add_passive(&mut self, peer: Address) {
        if peer == self.me || self.knows(&peer) || self.passive.contains(&peer) {
            return;
        }
        if self.passive.len() >= PASSIVE_PEERS {
            self.passive.swap_remove(self.dice.below(self.passive.len() as u64) as usize);
        }
        self.passive.push(peer);
    }

    /// A neighbour or somebody whom we asked is gone; whether it was a neighbour.
    fn lost(&mut self, peer: &Address) -> bool {
        self.asked.retain(|(asked, _)| asked != peer);
        let Some(at) = self.active.iter().position(|neighbour| neighbour.address == *peer) else { return false };
        self.active.swap_remove(at);
        self.effects.push_back(Effect::Down(peer.clone()));
        self.fill();
        true
    }

    fn knows(&self, peer: &Address) -> bool {
        self.active.iter().any(|neighbour| neighbour.address == *peer)
    }

    fn has_asked(&self, peer: &Address) -> bool {
        self.asked.iter().any(|(asked, _)| asked == peer)
    }

    fn has_room(&self) -> bool {
        self.active.len() < ACTIVE_PEERS
    }

    fn send(&mut self, to: &Address, message: Message) {
        self.effects.push_back(Effect::Send { to: to.clone(), message });
    }
}

//! Random scripts of edits, cuts, crashes and stores that fail: what is lost on the way comes again, nothing is applied
//! twice (the network asserts that), and in the end all copies are equal and quiet. Bug classes A and B.

use quickcheck::{Arbitrary, Gen, QuickCheck, TestResult};
use selvedge::sync::{Config, Effect, RefuseCode};

use crate::net::{Net, Store, doc};

const CLIENTS: usize = 3;

#[derive(Clone, Debug)]
enum Action {
    Edit {
        client: usize,
        bytes: usize,
    },
    /// A client's connection breaks with everything that is on its way.
    Cut {
        client: usize,
    },
    Connect {
        client: usize,
    },
    /// Frames move one step.
    Step {
        times: usize,
    },
    Run,
    Store {
        peer: usize,
        store: Store,
    },
    FinishStore {
        peer: usize,
    },
    SlowLoads {
        peer: usize,
        slow: bool,
    },
    FinishLoads {
        peer: usize,
    },
    RestartRelay,
    Pass {
        ms: u64,
    },
}

impl Arbitrary for Action {
    fn arbitrary(g: &mut Gen) -> Self {
        let client = usize::arbitrary(g) % CLIENTS;
        let peer = usize::arbitrary(g) % (CLIENTS + 1);
        match u8::arbitrary(g) % 18 {
            0..=4 => Self::Edit { client, bytes: usize::arbitrary(g) % 40 },
            5..=6 => Self::Cut { client },
            7..=8 => Self::Connect { client },
            9..=11 => Self::Step { times: usize::arbitrary(g) % 4 },
            12 => Self::Run,
            13 => Self::Store {
                peer,
                store: *g.choose(&[Store::Works, Store::Fails, Store::Holds]).unwrap_or(&Store::Works),
            },
            15 => Self::SlowLoads { peer, slow: bool::arbitrary(g) },
            16 => Self::FinishLoads { peer },
            14 if bool::arbitrary(g) => Self::RestartRelay,
            14 => Self::FinishStore { peer },
            _ => Self::Pass { ms: u64::arbitrary(g) % 40_000 },
        }
    }
}

struct World {
    net: Net,
    relay: usize,
    wires: [Option<usize>; CLIENTS],
}

impl World {
    fn new() -> Self {
        let mut net = Net::default();
        for _ in 0..CLIENTS {
            net.client("d");
        }
        let relay = net.relay();
        Self { net, relay, wires: [None; CLIENTS] }
    }

    fn connect(&mut self, client: usize) {
        let up = self.wires[client].is_some_and(|wire| self.net.wires[wire].up);
        if !up {
            self.wires[client] = Some(self.net.connect(client, self.relay));
        }
    }

    fn act(&mut self, action: &Action) {
        match action {
            Action::Edit { client, bytes } => self.net.edit(*client, "d", &vec![7; *bytes]),
            Action::Cut { client } => {
                if let Some(wire) = self.wires[*client] {
                    self.net.cut(wire);
                }
            }
            Action::Connect { client } => self.connect(*client),
            Action::Step { times } => {
                for _ in 0..*times {
                    (0..=CLIENTS).for_each(|peer| self.net.drain(peer));
                    self.net.deliver();
                }
            }
            Action::Run => self.net.run(),
            Action::Store { peer, store } => self.net.peers[*peer].store = *store,
            Action::FinishStore { peer } => self.net.finish_store(*peer),
            Action::SlowLoads { peer, slow } => self.net.peers[*peer].slow_loads = *slow,
            Action::FinishLoads { peer } => self.net.finish_loads(*peer),
            Action::RestartRelay => self.net.restart(self.relay, Config::relay()),
            Action::Pass { ms } => self.net.pass(*ms),
        }
    }

    /// Faults stop: everybody works and is connected.
    fn heal(&mut self) {
        for peer in 0..=CLIENTS {
            self.net.peers[peer].store = Store::Works;
            self.net.finish_store(peer);
            self.net.peers[peer].slow_loads = false;
            self.net.finish_loads(peer);
        }
        self.net.pass(120_000);
        (0..CLIENTS).for_each(|client| self.connect(client));
        self.net.pass(120_000);
    }
}

fn converges(actions: &[Action]) -> Result<(), String> {
    let mut world = World::new();
    actions.iter().for_each(|action| world.act(action));
    world.heal();
    let edits = actions.iter().filter(|action| matches!(action, Action::Edit { .. })).count() as u64;
    let net = &world.net;
    for client in 0..CLIENTS {
        let (version, status) = (net.version(client, "d"), net.status(client, "d"));
        if version.ops() != edits {
            return Err(format!("client {client} has {} of {edits} changes", version.ops()));
        }
        if version != net.version(world.relay, "d") {
            return Err("the relay has another version".into());
        }
        if !(status.saved && status.received && status.durable && status.caught_up) {
            return Err(format!("client {client}: {status:?}"));
        }
        if net.peers[client].refusals().contains(&RefuseCode::Fork) {
            return Err("a fork was seen where there is none".into());
        }
    }
    // Quiet: nothing but heartbeats is said from now on, and no copy is looked at again.
    let before = world.net.sent.len();
    world.net.pass(60_000);
    let bytes: usize = world.net.sent[before..].iter().map(|(_, _, bytes)| bytes).sum();
    if bytes > CLIENTS * 2 * 5 * 4 {
        return Err(format!("{bytes} bytes in a minute of silence"));
    }
    Ok(())
}

#[test]
fn whatever_breaks_all_copies_are_equal_and_quiet_in_the_end() {
    fn property(actions: Vec<Action>) -> TestResult {
        match converges(&actions) {
            Ok(()) => TestResult::passed(),
            Err(problem) => TestResult::error(problem),
        }
    }
    QuickCheck::new().tests(300).quickcheck(property as fn(Vec<Action>) -> TestResult);
}

/// Bug class B: a copy of a device writes under the same replica id. Found at the first exchange, reported on both
/// sides, and nobody else is harmed.
#[test]
fn a_cloned_replica_is_found() {
    let mut net = Net::default();
    let (a, clone, other, relay) = (net.client("d"), net.client("d"), net.client("d"), net.relay());
    net.peers[clone].replica = net.peers[a].replica;
    net.edit(a, "d", b"this");
    net.edit(clone, "d", b"that");
    net.connect(a, relay);
    net.run();
    let wire = net.connect(clone, relay);
    net.connect(other, relay);
    net.run();
    assert_eq!(net.peers[clone].refusals(), [RefuseCode::Fork]);
    let reported =
        |effect: &Effect| matches!(effect, Effect::Refused { code: RefuseCode::Fork, doc: d, .. } if *d == doc("d"));
    assert!(net.peers[relay].effects.iter().any(reported));
    assert!(net.wires[wire].up && net.peers[a].refusals().is_empty());
    net.edit(a, "d", b"goes on");
    net.run();
    assert_eq!(net.version(other, "d").ops(), 2);
    assert!(net.status(a, "d").durable && !net.status(clone, "d").connected);
}

//! The end of a run: the faults stop, and everything that was promised must come true.
//!
//! Always holds: within `ROUNDS` rounds all copies are equal; then nothing is said but signs of life and digests; what
//! everybody shows is what the specification says; what was called durable is there. Bug classes A, B, D and F.

use selvedge::op::{Batch, Segment};
use selvedge::store::Store;
use selvedge::sync::Input;
use selvedge::{DocName, ReplicaId, VersionVector};

use super::copies::Copy;
use super::disk::Health;
use super::node::Kind;
use super::scenario::Scenario;
use super::world::{Due, RELAY, World};
use crate::rich;
use crate::spec::Spec;

const ROUND_MS: u64 = 5_000;

/// Rounds until all copies are equal: retries wait up to a minute, and one may lead to the next.
const ROUNDS: u64 = 60;

/// What the naive specification has against a document.
const OTHERWISE: &str = "the specification says otherwise in the end";

/// How long it stays quiet then.
const QUIET_MS: u64 = 60_000;

impl World {
    /// Lets the faults stop, and checks everything.
    ///
    /// # Errors
    /// What does not hold.
    pub(super) fn settle(&mut self, scenario: &Scenario) -> Result<(), String> {
        self.heal();
        for round in 1.. {
            self.run_until(self.now_ms + ROUND_MS, scenario)?;
            self.is_healed = true;
            match self.documents.clone().iter().try_for_each(|doc| self.is_equal(doc)) {
                Ok(()) => break,
                Err(why) if round == ROUNDS => {
                    return Err(format!("not equal {ROUNDS} rounds after the faults have stopped: {why}"));
                }
                Err(_) => {}
            }
        }
        // Connections that only one side had still time out.
        self.run_until(self.now_ms + QUIET_MS, scenario)?;
        // Whoever was refused for its history may ask again.
        self.is_settled = !self.nodes.iter().any(|node| node.suspect);
        self.run_until(self.now_ms + QUIET_MS, scenario)?;
        for doc in self.documents.clone() {
            self.is_equal(&doc)?;
            self.is_right(&doc)?;
        }
        Ok(())
    }

    fn heal(&mut self) {
        self.blocked.clear();
        for link in self.links.values_mut() {
            for lane in &mut link.lanes {
                (lane.slow, lane.damage) = ((0, 0), None);
            }
        }
        self.deliver_what_was_held_up();
        for node in 0..self.nodes.len() {
            let device = &mut self.nodes[node];
            device.disk.set_health(Health::Works);
            device.trap = None;
            if device.read_only {
                self.set_read_only(node, false);
            }
            if self.nodes[node].kind == Kind::Hostile {
                self.crash(node, 0, u64::MAX / 2);
                continue;
            }
            for doc in self.documents.clone() {
                let (epoch, key) = (self.nodes[node].epoch, "cursor".to_owned());
                if node != RELAY {
                    self.input(node, Input::SetPresence { doc: doc.clone(), key, value: None });
                    self.after(100, Due::Open { node, epoch, doc });
                }
            }
            self.after(1, Due::Start { node });
            self.drain(node);
        }
    }

    /// What waits for the end of a partition arrives now.
    fn deliver_what_was_held_up(&mut self) {
        let mut due = Vec::new();
        for (number, link) in &self.links {
            for (end, lane) in link.lanes.iter().enumerate() {
                due.extend(lane.queue.iter().map(|(at_ms, _)| (*at_ms, *number, end)));
            }
        }
        for (at_ms, link, end) in due {
            self.plan(at_ms.max(self.now_ms), Due::Arrive { link, end });
        }
    }

    /// Whoever must have what everybody has: by kind, and not refused for a history that went back.
    fn members(&mut self, doc: &DocName) -> Vec<usize> {
        let honest = self.all(Kind::is_honest).into_iter();
        let mut members = Vec::new();
        for node in honest {
            let device = &self.nodes[node];
            let heals = device.kind == Kind::Client && !device.incurable.contains(doc);
            let refused = device.forked.contains(doc) && !heals;
            if !refused || !(device.suspect || self.has_other_branch(node, doc)) {
                members.push(node);
            }
        }
        members
    }

    /// Whether a device heard of one life of a writer that exists twice, and the relay has stored the other.
    fn has_other_branch(&mut self, node: usize, doc: &DocName) -> bool {
        let records = self.nodes[RELAY].disk.read(doc, 0).unwrap_or_default();
        let Ok((mut relay, _)) = Copy::from_disk(&records, ReplicaId::from(0), None) else { return false };
        let (ours, theirs) = (self.history(node, doc), relay.since(&VersionVector::new()));
        let twice = |segment: &&Segment| self.facts.twice.contains(&segment.replica);
        ours.segments.iter().filter(twice).any(|mine| {
            let other = theirs.segments.iter().find(|other| other.replica == mine.replica);
            other.is_some_and(|other| {
                let common = mine.frames.len().min(other.frames.len());
                mine.frames[..common] != other.frames[..common]
            })
        })
    }

    fn copy(&self, node: usize, doc: &DocName) -> Option<&Copy> {
        self.nodes[node].process.as_ref()?.copies.get(doc)
    }

    fn is_equal(&mut self, doc: &DocName) -> Result<(), String> {
        let mut wanted: Option<(usize, VersionVector)> = None;
        for node in self.members(doc) {
            let Some(copy) = self.copy(node, doc) else { return Err(format!("device {node} has not opened {doc}")) };
            let version = copy.version();
            let status = self.nodes[node].process.as_ref().and_then(|process| process.engine.status(doc));
            let status = status.ok_or_else(|| format!("the engine of device {node} does not know {doc}"))?;
            if !(status.saved && status.connected && status.received && status.durable && status.caught_up) {
                return Err(format!("{doc} on device {node} ({version:?}): {status:?}"));
            }
            match &wanted {
                None => wanted = Some((node, version)),
                Some((_, first)) if *first == version => {}
                Some((other, first)) => {
                    return Err(format!("{doc} has {first:?} on device {other}, {version:?} on {node}"));
                }
            }
        }
        Ok(())
    }

    /// Equal copies show the same, and what the definitions say; disks hold it; nothing promised is missing.
    fn is_right(&mut self, doc: &DocName) -> Result<(), String> {
        let members = self.members(doc);
        let Some(first) = members.iter().copied().find(|node| matches!(self.copy(*node, doc), Some(Copy::Open(_))))
        else {
            return Ok(());
        };
        let history = self.history(first, doc);
        let spec = Spec::read(&history)?;
        let (plain, shown) = (spec.to_json(), spec.to_rich_json());
        let version = history.ends().map_err(|error| error.to_string())?;
        for node in members {
            if self.history(node, doc) != history {
                return Err(format!("equal versions have different histories: {doc} on device {node}"));
            }
            if !self.nodes[node].disk.durable(doc).includes(&version) {
                return Err(format!("the disk of device {node} lacks a part of {doc}"));
            }
            let Some(process) = &mut self.nodes[node].process else { continue };
            let Some(Copy::Open(open)) = process.copies.get_mut(doc) else { continue };
            open.check_view().map_err(|error| format!("the view does not follow {doc} on device {node}: {error}"))?;
            if open.doc.to_json() != plain {
                return Err(format!("{OTHERWISE}: {doc} on device {node} is {}, not {plain}", open.doc.to_json()));
            }
            let rich = rich::to_json(&open.doc);
            if rich != shown {
                return Err(format!("{OTHERWISE}: {doc} on device {node} is {rich}, not {shown}"));
            }
        }
        let healed = self.facts.healed.get(doc).cloned().unwrap_or_default();
        if !self.facts.relay_went_back && !version.includes(&healed) {
            return Err(format!("what was healed is gone: {doc} up to {healed:?}, and is {version:?} now"));
        }
        let promised = self.facts.promised.get(doc).cloned().unwrap_or_default();
        let kept = |(replica, end): (_, u64)| version.end(replica) >= end || self.facts.twice.contains(&replica);
        if !self.facts.relay_went_back && !promised.iter().all(kept) {
            return Err(format!("what was called durable is gone: {doc} up to {promised:?}, and is {version:?} now"));
        }
        Ok(())
    }

    fn history(&mut self, node: usize, doc: &DocName) -> Batch {
        let copy = self.nodes[node].process.as_mut().and_then(|process| process.copies.get_mut(doc));
        copy.map(|copy| copy.since(&VersionVector::new())).unwrap_or_default()
    }
}

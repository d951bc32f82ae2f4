//! Forks are healed, as the native client does it: a device that dialed finds out where it differs, and its branch goes on
//! under an alias.
//!
//! Always holds: a device heals when its disk is done with the document; what an alias holds must be on all copies in the
//! end (`facts.healed`). Tabs stay refused: a browser's package does not heal.

use selvedge::doc::HealError;
use selvedge::graph::{ForkSearch, SearchStep};
use selvedge::sync::{ConnId, Input};
use selvedge::{DocName, OpId, ReplicaId, VersionVector};

use super::copies::Copy;
use super::disk::Health;
use super::node::{Job, Kind};
use super::tally::Fault;
use super::world::{Due, World};
use crate::script::Replica;

/// How long a device waits for its disk.
const DISK_MS: u64 = 50;

impl World {
    /// A device learns that the relay has another content of a document.
    pub(super) fn forked(&mut self, node: usize, conn: ConnId, doc: DocName) {
        if self.nodes[node].kind != Kind::Client {
            return;
        }
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some(Copy::Open(open)) = process.copies.get_mut(&doc) else { return };
        let search = open.doc.fork_search();
        process.searches.insert(doc.clone(), (conn, search));
        self.go_on_searching(node, conn, doc, None);
    }

    /// The relay has answered, or the search begins.
    pub(super) fn go_on_searching(&mut self, node: usize, conn: ConnId, doc: DocName, answer: Option<&[u8]>) {
        let Some(process) = &mut self.nodes[node].process else { return };
        let Some((asked, mut search)) = process.searches.remove(&doc) else { return };
        let Some(Copy::Open(open)) = process.copies.get_mut(&doc).filter(|_| asked == conn) else { return };
        match open.doc.search_forks(&mut search, answer) {
            Ok(SearchStep::Ask(question)) => {
                process.searches.insert(doc.clone(), (conn, search));
                self.input(node, Input::Search { conn, doc, question });
            }
            Ok(SearchStep::Found(forks)) => {
                let epoch = self.nodes[node].epoch;
                self.after(1, Due::Heal { node, epoch, doc, forks });
            }
            Err(problem) => self.fail(format!("an honest answer is no answer: {doc} on device {node}: {problem}")),
        }
    }

    /// A device lets its branches go on under aliases, once its disk has nothing to do with the document.
    pub(super) fn heal_branches(&mut self, node: usize, doc: DocName, forks: Vec<OpId>) {
        let replica = ReplicaId::from(self.random.id());
        let device = &mut self.nodes[node];
        let Some(process) = &mut device.process else { return };
        let waits = process.jobs.iter().any(|job| matches!(job, Job::Append(_, other, _) if *other == doc));
        if waits || device.disk.health() != Health::Works {
            let epoch = device.epoch;
            return self.after(DISK_MS, Due::Heal { node, epoch, doc, forks });
        }
        let Some(Copy::Open(open)) = process.copies.get_mut(&doc) else { return };
        let mut healed = match open.doc.heal(&forks, replica) {
            Ok(healed) => healed,
            // It was told of twice, and is healed.
            Err(HealError::NoBranch(_)) => return,
            Err(_) => {
                device.incurable.insert(doc);
                return;
            }
        };
        let shown = [&open.doc, &healed.doc].map(|doc| (doc.text("text").to_string(), doc.version().ops()));
        // Who got the healed branch of another device that has it too showed it twice until now.
        let known = open.doc.version();
        let was_double = healed.aliases.iter().any(|(_, alias)| known.end(*alias) > 0);
        let batch = healed.doc.batch_since(&VersionVector::new());
        let version = healed.doc.version();
        let aliases = healed.aliases.iter().map(|(_, alias)| (*alias, version.end(*alias)));
        let facts = self.facts.healed.entry(doc.clone()).or_default();
        // What was healed before may have moved once more, when the fork turned out to begin earlier.
        let moved =
            |replica| healed.aliases.iter().find(|(first, _)| first.replica == replica).map(|(first, _)| first.seq);
        *facts = facts.iter().map(|(replica, end)| (replica, end.min(moved(replica).unwrap_or(end)))).collect();
        facts.merge(&aliases.collect());
        self.facts.twice.extend(healed.aliases.iter().map(|(_, alias)| *alias));
        device.disk.replace(&doc, &batch, replica);
        device.forked.remove(&doc);
        let mut copy = Copy::Open(Box::new(Replica::new(healed.doc)));
        let state = copy.state();
        process.copies.insert(doc.clone(), copy);
        self.tally.add(Fault::HealedFork, 1);
        if shown[0] != shown[1] && !was_double {
            self.fail(format!("a branch shows something else under its alias: {doc} on device {node}: {shown:?}"));
        }
        self.input(node, Input::Closed { doc: doc.clone() });
        self.input(node, Input::Opened { doc, state, presence_owner: Some(replica) });
        self.drain(node);
    }
}

/// The searches of a process, by document: over which connection, and how far they have got.
pub(super) type Searches = std::collections::BTreeMap<DocName, (ConnId, ForkSearch)>;

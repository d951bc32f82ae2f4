//! `Plumtree`: which links carry changes, and which only tell that there are some (Leitão, Pereira, Rodrigues: Epidemic
//! broadcast trees, 2007).
//!
//! Links start eager; a link that brings what is here already becomes lazy at both ends, so that the eager ones form a
//! tree. Over lazy links log ends are announced; a change that was announced and does not come makes its link eager
//! again.
//!
//! Always holds: a link becomes lazy only for another one that brought the same, never for what came from outside of
//! the tree; what is remembered of announcements is bounded.
//!
//! Other than in the paper a message is named by a log and its end, so one announcement stands for all before it and the
//! copy itself tells what is known; and the tree is improved by time in place of hops: an announcement that was far
//! ahead of its change came by a shorter way. Not here: sending, and the changes. Who asks for what is missing names its
//! version and gets everything behind it.

use crate::id::ReplicaId;
use crate::ordered::OrdMap;

/// How long an announced change is waited for before its announcer is asked.
const GRAFT_AFTER_MS: u64 = 1_000;
/// How long the next announcer is left alone after one was asked.
const GRAFT_AGAIN_MS: u64 = 500;
/// By how much an announcement must be ahead of its change for its link to take the place of the one that brought it.
const SWAP_AHEAD_MS: u64 = 50;
/// Logs of which announced changes are waited for at a time.
const MAX_MISSING: usize = 1_024;
/// Announcers remembered per log.
const MAX_ANNOUNCERS: usize = 8;

/// What was announced of one log and is not here.
#[derive(Clone, Debug)]
struct Missing<P> {
    /// Who announced it up to which end, and when; the first one first.
    announced: Vec<(P, u64, u64)>,
    due_ms: u64,
}

/// Two links change their parts: `graft` is told what we have and becomes eager, `prune` becomes lazy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Swap<P> {
    /// The peer to be asked for what is behind our version, over a link that was lazy.
    pub graft: P,
    /// The peer to be told that its link is lazy now.
    pub prune: P,
}

/// The links of one member for one broadcast (a room): peers of type `P`.
#[derive(Clone, Debug)]
pub struct Plumtree<P> {
    /// Whether each is eager.
    links: OrdMap<P, bool>,
    missing: OrdMap<ReplicaId, Missing<P>>,
    /// The link that brought the end of a log.
    bringers: OrdMap<ReplicaId, P>,
}

impl<P> Default for Plumtree<P> {
    fn default() -> Self {
        Self { links: OrdMap::new(), missing: OrdMap::new(), bringers: OrdMap::new() }
    }
}

impl<P: Copy + Ord> Plumtree<P> {
    /// A link is up. It starts eager. The caller bounds how many there are.
    pub fn up(&mut self, peer: P) {
        self.links.insert(peer, true);
    }

    /// A link is gone.
    pub fn down(&mut self, peer: P) {
        self.links.remove(&peer);
        for missing in self.missing.values_mut() {
            missing.announced.retain(|(announcer, ..)| *announcer != peer);
        }
        self.missing.retain(|_, missing| !missing.announced.is_empty());
    }

    /// All links, and whether they are eager: a new change is sent over these, and announced over the others, but for
    /// the one that it came over.
    pub fn links(&self) -> impl Iterator<Item = (P, bool)> {
        self.links.iter().map(|(peer, eager)| (*peer, *eager))
    }

    /// Whether a peer is in the tree.
    pub fn contains(&self, peer: P) -> bool {
        self.links.contains_key(&peer)
    }

    /// Whether changes are only announced to a peer. `false` for one that is not in the tree.
    pub fn is_lazy(&self, peer: P) -> bool {
        self.links.get(&peer).is_some_and(|eager| !eager)
    }

    /// The log now ends at `end`: a new change is here, from a peer of the tree, from elsewhere, or of our own (`from` is
    /// `None`). The result says which links must change their parts.
    pub fn fresh(&mut self, from: Option<P>, log: ReplicaId, end: u64, now_ms: u64) -> Option<Swap<P>> {
        match from.filter(|from| self.links.contains_key(from)) {
            Some(link) => {
                self.links.insert(link, true);
                self.bringers.insert(log, link);
            }
            None => drop(self.bringers.remove(&log)),
        }
        let missing = self.missing.get_mut(&log)?;
        let first = missing.announced.first().copied();
        missing.announced.retain(|(_, announced, _)| *announced > end);
        // The log moves: what is still missing of it is waited for from now on.
        missing.announced.iter_mut().for_each(|(.., at_ms)| *at_ms = now_ms);
        missing.due_ms = now_ms.saturating_add(GRAFT_AFTER_MS);
        if missing.announced.is_empty() {
            self.missing.remove(&log);
        }
        let (graft, _, at_ms) = first.filter(|(_, announced, _)| *announced <= end)?;
        let prune = from.filter(|from| self.links.contains_key(from) && *from != graft)?;
        if at_ms.saturating_add(SWAP_AHEAD_MS) > now_ms || !self.is_lazy(graft) {
            return None;
        }
        self.links.insert(graft, true);
        self.links.insert(prune, false);
        Some(Swap { graft, prune })
    }

    /// A peer sent changes of a log that were all here. Whether to tell it that its link is lazy now.
    pub fn duplicate(&mut self, from: P, log: ReplicaId) -> bool {
        let bringer = self.bringers.get(&log).filter(|bringer| **bringer != from);
        let instead = bringer.and_then(|bringer| self.links.get(bringer)).is_some_and(|eager| *eager);
        match self.links.get_mut(&from) {
            Some(eager) if instead => {
                *eager = false;
                true
            }
            _ => false,
        }
    }

    /// A peer announced changes of a log up to `end`, which are not here. `false`: too much is waited for already, and the
    /// peer should be asked at once.
    pub fn announced(&mut self, from: P, log: ReplicaId, end: u64, now_ms: u64) -> bool {
        if self.missing.len() >= MAX_MISSING && !self.missing.contains_key(&log) {
            return false;
        }
        let due_ms = now_ms.saturating_add(GRAFT_AFTER_MS);
        let missing = self.missing.entry(log).or_insert_with(|| Missing { announced: Vec::new(), due_ms });
        let known = missing.announced.iter_mut().find(|(peer, ..)| *peer == from);
        if let Some((_, announced, _)) = known {
            *announced = end.max(*announced);
        } else if missing.announced.len() < MAX_ANNOUNCERS {
            missing.announced.push((from, end, now_ms));
        }
        true
    }

    /// A peer wants changes announced only.
    pub fn pruned(&mut self, peer: P) {
        if let Some(eager) = self.links.get_mut(&peer) {
            *eager = false;
        }
    }

    /// A peer is asked for what is missing, or asks us: its link is eager now.
    pub fn grafted(&mut self, peer: P) {
        if let Some(eager) = self.links.get_mut(&peer) {
            *eager = true;
        }
    }

    /// The peers to be asked for what did not come in time; their links are eager now.
    pub fn due(&mut self, now_ms: u64) -> Vec<P> {
        let mut asked = Vec::new();
        for missing in self.missing.values_mut().filter(|missing| missing.due_ms <= now_ms) {
            missing.due_ms = now_ms.saturating_add(GRAFT_AGAIN_MS);
            let (peer, ..) = missing.announced.remove(0);
            if !asked.contains(&peer) {
                asked.push(peer);
            }
        }
        self.missing.retain(|_, missing| !missing.announced.is_empty());
        asked.iter().for_each(|peer| self.grafted(*peer));
        asked
    }

    /// When to look whether somebody must be asked, in the same milliseconds. O(logs that are waited for).
    pub fn deadline(&self) -> Option<u64> {
        self.missing.values().map(|missing| missing.due_ms).min()
    }
}

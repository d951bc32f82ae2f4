//! `Branches`: which changes move to which aliases, and writing them there.
//!
//! Always holds: a change is written after everything it depends on, by the one writer of bodies and headers, from what
//! its log says alone: what else a copy has, and in which order it came, leaves no trace.

use smallvec::SmallVec;

use super::HealError;
use crate::graph::{LoggedChange, Logs};
use crate::id::{OpId, ReplicaId, VersionVector};
use crate::op::{
    Batch, BodyWriter, Change, ContainerDecl, Dep, ElementRef, Key, LogNames, MAX_CHANGE_BYTES, OpRun, ROOT,
};
use crate::ordered::sort_by_key;

/// Where a log is cut, and the id that its rest gets.
#[derive(Clone, Copy, Debug)]
struct Cut {
    from: u64,
    alias: ReplicaId,
}

/// What a log has mentioned, under its old and its new name.
#[derive(Debug, Default)]
struct Translation {
    old: LogNames,
    new: LogNames,
    /// The new number of each container that was mentioned, less one; `ROOT` if it was not mentioned anew.
    containers: Vec<u32>,
    /// A body could not be read: what follows has no effect, under either name.
    opaque: bool,
    /// Changes written.
    written: usize,
}

/// Logs that are cut, by their numbers, and what their rests have become.
#[derive(Debug)]
pub(super) struct Branches {
    cuts: Vec<Option<Cut>>,
    translations: Vec<Translation>,
    /// The logs of the aliases.
    aliases: Logs,
}

impl Branches {
    /// Finds what moves: from each of `forks` on, and whatever has seen any of that.
    pub(super) fn new(logs: &Logs, changes: &[LoggedChange], forks: &[OpId]) -> Result<Self, HealError> {
        let mut cuts: Vec<Option<Cut>> = vec![None; logs.len()];
        let mut aliases = Logs::new();
        for change in changes {
            let (log, seq) = (change.first.log as usize, u64::from(change.first.seq));
            let replica = logs.replica(change.first.log);
            let has_moved = |cuts: &[Option<Cut>], log: u32, seq: u32| {
                cuts[log as usize].is_some_and(|cut| cut.from <= u64::from(seq))
            };
            let moves = forks.contains(&OpId { replica, seq })
                || change.deps.iter().any(|dep| has_moved(&cuts, dep.log, dep.seq));
            if !moves || cuts[log].is_some() {
                continue;
            }
            let alias = replica.alias(seq, logs.bytes(change));
            if aliases.find(alias).is_some() {
                return Err(HealError::AliasTaken { alias });
            }
            aliases.intern(alias);
            cuts[log] = Some(Cut { from: seq, alias });
        }
        let is_cut = |fork: &OpId| {
            let cut = logs.find(fork.replica).and_then(|log| cuts[log as usize]);
            cut.is_some_and(|cut| cut.from <= fork.seq)
        };
        if let Some(nowhere) = forks.iter().find(|fork| !is_cut(fork)) {
            return Err(HealError::NoBranch(*nowhere));
        }
        let translations = cuts.iter().map(|_| Translation::default()).collect();
        Ok(Self { cuts, translations, aliases })
    }

    /// What stays where it is.
    pub(super) fn kept(&self, logs: &Logs) -> VersionVector {
        let ends = self.cuts.iter().zip(0u32..).map(|(cut, log)| {
            let end = cut.map_or(logs.end(log), |cut| cut.from);
            (logs.replica(log), end)
        });
        ends.collect()
    }

    /// What has moved.
    pub(super) fn aliased(&self) -> Batch {
        self.aliases.since(&VersionVector::new())
    }

    /// The first operation of each log that moved, and its alias, ordered by replica.
    pub(super) fn names(&self, logs: &Logs) -> Vec<(OpId, ReplicaId)> {
        let cuts = self.cuts.iter().zip(0u32..).filter_map(|(cut, log)| Some(((*cut)?, logs.replica(log))));
        let mut names: Vec<_> = cuts.map(|(cut, replica)| (OpId { replica, seq: cut.from }, cut.alias)).collect();
        sort_by_key(&mut names, |(first, _)| *first);
        names
    }

    /// Takes the next change: one that moves is written under its alias.
    pub(super) fn rewrite(&mut self, logs: &mut Logs, change: &LoggedChange) -> Result<(), HealError> {
        let (log, seq) = (change.first.log, u64::from(change.first.seq));
        let Some(cut) = self.cuts[log as usize] else { return Ok(()) };
        let mut translation = std::mem::take(&mut self.translations[log as usize]);
        let body = self.body(logs, change, &mut translation);
        if let Some(body) = body?.filter(|_| seq >= cut.from) {
            let deps = self.deps(logs, change, cut);
            let (header, bytes) = (&change.header, logs.bytes(change));
            let message = header.message(bytes);
            let own = self.aliases.intern(cut.alias);
            self.aliases.seal(own, &Change { hlc: header.hlc, deps: &deps, message, ops: header.ops, body: &body });
            if self.aliases.change(own, translation.written).len() > MAX_CHANGE_BYTES {
                return Err(HealError::TooLarge(OpId { replica: logs.replica(log), seq }));
            }
            translation.written += 1;
        }
        self.translations[log as usize] = translation;
        Ok(())
    }

    /// Reads the body of a change; of one that moves, what is written in its place.
    fn body(&self, logs: &Logs, change: &LoggedChange, names: &mut Translation) -> Result<Option<Vec<u8>>, HealError> {
        let (log, seq) = (change.first.log, u64::from(change.first.seq));
        let moves = self.cuts[log as usize].is_some_and(|cut| cut.from <= seq);
        let body = change.header.body(logs.bytes(change));
        let runs = if names.opaque { None } else { names.old.read(change.header.ops, body).ok() };
        names.opaque = runs.is_none();
        let Some(runs) = runs.filter(|_| moves) else {
            // A body of nothing is as unreadable as the one that it stands for.
            return Ok(moves.then(Vec::new));
        };
        let mut writer = BodyWriter::new(&names.new);
        for placed in runs {
            let mut run = placed.run;
            if let OpRun::Unknown { .. } = run {
                let seq = seq + u64::from(writer.ops());
                return Err(HealError::Newer(OpId { replica: logs.replica(log), seq }));
            }
            let container = self.container(logs, log, names, placed.container);
            for element in run.elements_mut() {
                *element = self.element(logs, log, names, *element);
            }
            writer.push(&mut names.new, container, &run);
        }
        Ok(Some(writer.finish(&mut names.new).to_vec()))
    }

    /// The new number of a container, which is mentioned anew with those around it.
    fn container(&self, logs: &Logs, log: u32, names: &mut Translation, index: u32) -> u32 {
        names.containers.resize(names.old.containers.len(), ROOT);
        let (mut at, mut new): (u32, SmallVec<[u32; 4]>) = (index, SmallVec::new());
        // The way up is walked, not recursed: a hostile log may declare a chain of any length.
        while at != ROOT && names.containers[at as usize - 1] == ROOT {
            new.push(at);
            at = names.old.containers[at as usize - 1].parent;
        }
        for old in new.into_iter().rev() {
            let decl = names.old.containers[old as usize - 1].clone();
            let parent = if decl.parent == ROOT { ROOT } else { names.containers[decl.parent as usize - 1] };
            let key = match decl.key {
                Key::Element(element) => Key::Element(self.element(logs, log, names, element)),
                name => name,
            };
            names.containers[old as usize - 1] = names.new.declare(ContainerDecl { parent, key, kind: decl.kind });
        }
        if index == ROOT { ROOT } else { names.containers[index as usize - 1] }
    }

    /// How an alias names an element.
    fn element(&self, logs: &Logs, log: u32, names: &mut Translation, element: ElementRef) -> ElementRef {
        let Some(own) = self.cuts[log as usize] else { return element };
        let author = match element.name.checked_sub(1) {
            None => logs.replica(log),
            Some(other) => names.old.replicas[other as usize],
        };
        let (author, seq) = match self.cut_before(logs, author, u64::from(element.seq)) {
            Some(cut) => (cut.alias, element.seq - cut.from as u32),
            None => (author, element.seq),
        };
        ElementRef { name: names.new.name(own.alias, author), seq }
    }

    /// Where the log of `replica` is cut, if that is before its operation `seq`.
    fn cut_before(&self, logs: &Logs, replica: ReplicaId, seq: u64) -> Option<Cut> {
        self.cuts[logs.find(replica)? as usize].filter(|cut| cut.from <= seq)
    }

    /// The dependencies of a change under its alias, sorted by replica.
    fn deps(&mut self, logs: &mut Logs, change: &LoggedChange, own: Cut) -> Vec<Dep> {
        let log = change.first.log;
        let mut deps: Vec<Dep> = Vec::new();
        for dep in &change.header.deps {
            let moved = self.cut_before(logs, dep.replica, dep.end - 1);
            deps.push(moved.map_or(*dep, |cut| {
                let (number, end) = (self.aliases.intern(cut.alias), dep.end - cut.from);
                let digest = self.aliases.digest_at(number, end).expect("it was written before what depends on it");
                Dep { replica: cut.alias, end, digest }
            }));
        }
        if u64::from(change.first.seq) == own.from
            && own.from > 0
            && let Some(digest) = logs.digest_at(log, own.from)
        {
            deps.push(Dep { replica: logs.replica(log), end: own.from, digest });
        }
        // Where a log and its alias had both come here, one name stands for both; the later end counts.
        sort_by_key(&mut deps, |dep| (dep.replica, u64::MAX - dep.end));
        deps.dedup_by_key(|dep| dep.replica);
        deps.retain(|dep| dep.replica != own.alias);
        deps
    }
}

//! History: the document at an older version, the difference between two versions, the changes, and who wrote what.
//!
//! Always holds: a version is known whole or refused by name (`VersionError`); applying `diff(a, b)` to the view at `a`
//! gives the view at `b`; reading the past changes nothing but that pending edits are sealed.

use std::ops::Deref;

use super::apply::Ineffective;
use super::{Doc, Patch};
use crate::clock::Hlc;
use crate::crdt::{Content, Event, Handle, diff};
use crate::graph::{Dot, LoggedChange, VersionError};
use crate::id::{OpId, ReplicaId, VersionVector};

/// A document at an older version: read it like any other. Its handles are those of the document it came from.
#[derive(Debug)]
pub struct Checkout(Doc);

impl Deref for Checkout {
    type Target = Doc;

    fn deref(&self) -> &Doc {
        &self.0
    }
}

/// One change, as its header tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeInfo {
    /// Its author and its first operation.
    pub id: OpId,
    /// How many operations it holds.
    pub ops: u64,
    /// When it was made, by its author's clock.
    pub time: Hlc,
    /// Its commit message.
    pub message: Option<String>,
    /// The last operations of the changes of other replicas that it depends on, beyond those that the author's change
    /// before it depended on.
    pub deps: Vec<OpId>,
}

/// Who wrote a stretch of a text or list. Stretches follow each other without gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// How many characters (Unicode scalar values) or elements.
    pub len: usize,
    /// The operation that wrote the first of them; those that follow have the next numbers, or (in lists) are alone.
    pub id: OpId,
    /// When their change was made, by its author's clock; `None` if it lies before the base of a shallow save.
    pub time: Option<Hlc>,
    /// The commit message of their change.
    pub message: Option<String>,
}

impl Doc {
    /// The document at an older version. Seals the pending change. O(history up to there).
    ///
    /// # Errors
    /// If the version is not known here, ends inside a change, lacks something that it depends on, or lies before the base
    /// of a document that was opened from a shallow save.
    ///
    /// ```
    /// use selvedge::{Doc, ReplicaId};
    ///
    /// let mut doc = Doc::new(ReplicaId::from(1));
    /// doc.change(|tx| tx.text("note").push_str("draft"))?;
    /// let draft = doc.version();
    /// doc.change(|tx| tx.text("note").insert(0, "final "))?;
    /// assert_eq!(doc.checkout(&draft)?.text("note").to_string(), "draft");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn checkout(&mut self, version: &VersionVector) -> Result<Checkout, VersionError> {
        self.whole()?;
        self.at(version).map(Checkout)
    }

    /// The document at an older version, when everything is sealed and here (`whole`).
    pub(super) fn at(&self, version: &VersionVector) -> Result<Self, VersionError> {
        let mut past = Self { logs: self.logs.until(version)?, ..Self::new(self.me) };
        past.containers = self.containers.emptied();
        past.base.clone_from(&self.base);
        past.restart();
        // It counts changes that were cut as well: they come last in each log, and are passed over.
        past.order.clone_from(&self.order);
        let mut ineffective = Ineffective::default();
        past.changes_in_order().iter().for_each(|change| past.apply_change(change, &mut ineffective));
        Ok(past)
    }

    /// A document that goes on from an older version on its own; `replica` writes in it. What is written there can be
    /// imported here like anything else. Seals the pending change. O(history up to there).
    ///
    /// # Errors
    /// As `checkout`, and if `replica` has written in this document.
    pub fn fork_at(&mut self, version: &VersionVector, replica: ReplicaId) -> Result<Self, VersionError> {
        self.whole()?;
        if self.logs.find(replica).is_some_and(|log| log == super::OWN || self.logs.end(log) > 0) {
            return Err(VersionError::ReplicaInUse { replica });
        }
        self.branch(version, replica)
    }

    /// What turns the view at version `a` into the view at version `b`, whichever is older: apply the patches in order.
    /// Their handles are those of this document and of its checkouts, their paths those at `b`. Seals the pending
    /// change. O(history up to there).
    ///
    /// # Errors
    /// As `checkout`, for either version.
    pub fn diff(&mut self, a: &VersionVector, b: &VersionVector) -> Result<Vec<Patch>, VersionError> {
        let (mut old, mut new) = (self.checkout(a)?.0, self.checkout(b)?.0);
        let mut patches = Vec::new();
        for container in (0..).map_while(|number| self.handle(number)) {
            let (before, now) = (old.containers.content_mut(container), new.containers.content_mut(container));
            let events = diff(before, now, self.containers.content(container));
            let path = if events.is_empty() { None } else { new.path(container) };
            let patch =
                |event: Event| Patch { path: path.clone(), container, kind: self.patch_kind(event), local: false };
            patches.extend(events.into_iter().map(patch));
        }
        Ok(patches)
    }

    /// All changes that are here (those before the base of a shallow save are not), each behind those that it depends on.
    /// Seals the pending change. O(changes).
    pub fn changes(&mut self) -> Vec<ChangeInfo> {
        let _ = self.whole();
        self.changes_in_order().iter().map(|change| self.describe(change)).collect()
    }

    /// The change that holds an operation, `None` if it is not known here. Seals the pending change. O(changes of its author).
    pub fn change_of(&mut self, id: OpId) -> Option<ChangeInfo> {
        let _ = self.whole();
        let log = self.logs.find(id.replica)?;
        let mut changes = self.logs.replay(log).flatten();
        let change =
            changes.find(|change| id.seq < change.header.end()).filter(|change| id.seq >= change.header.first_seq)?;
        Some(self.describe(&change))
    }

    /// Makes sure that every change is sealed and here.
    pub(super) fn whole(&mut self) -> Result<(), VersionError> {
        self.commit(None);
        self.load_history().map_err(VersionError::Unreadable)?;
        if self.from_state {
            // Containers that are gone from the state are there in older versions: they need a handle that all share.
            self.replay(false);
        }
        Ok(())
    }

    fn describe(&self, change: &LoggedChange) -> ChangeInfo {
        let (header, bytes) = (&change.header, self.logs.bytes(change));
        ChangeInfo {
            id: self.op_id(change.first),
            ops: header.ops,
            time: header.hlc,
            message: header.message(bytes).map(str::to_owned),
            deps: change.deps.iter().map(|dot| self.op_id(*dot)).collect(),
        }
    }

    /// Who wrote what a text or a list shows, in order: for a list, who wrote the value that an element reads. Empty
    /// for other containers. Seals the pending change, and replays the history if nobody has asked for this before.
    /// O(n + changes of its authors).
    ///
    /// ```
    /// use selvedge::{Doc, ReplicaId};
    ///
    /// let (mut ada, mut ben) = (Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2)));
    /// ada.change(|tx| tx.text("note").push_str("hello"))?;
    /// ada.commit(Some("greeting"));
    /// ben.import(&ada.export_since(&ben.version()))?;
    /// ben.change(|tx| tx.text("note").push_str(" world"))?;
    ///
    /// let text = ben.text("note").handle().expect("it was made");
    /// let blame = ben.blame(text);
    /// assert_eq!((blame[0].len, blame[0].id.replica), (5, ada.replica()));
    /// assert_eq!(blame[0].message.as_deref(), Some("greeting"));
    /// assert_eq!((blame[1].len, blame[1].id.replica), (6, ben.replica()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blame(&mut self, handle: Handle) -> Vec<Blame> {
        let _ = self.whole();
        self.track();
        let written: Vec<(Dot, u32)> = match self.containers.content_mut(handle) {
            Content::Text(text) => text.sequence().into_iter().flat_map(|ids| ids.shown()).collect(),
            Content::List(list) => {
                let value = |element| list.value(element).and_then(|register| register.writes().next());
                list.elements().filter_map(|element| Some((value(element)?.0, 1))).collect()
            }
            _ => return Vec::new(),
        };
        let mut logs: Vec<Vec<ChangeInfo>> = Vec::new();
        logs.resize_with(self.logs.len(), Vec::new);
        for (dot, _) in &written {
            let changes = &mut logs[dot.log as usize];
            if changes.is_empty() {
                changes.extend(self.logs.replay(dot.log).flatten().map(|change| self.describe(&change)));
            }
        }
        let mut blame = Vec::new();
        for (mut dot, mut left) in written {
            while left > 0 {
                let changes = &logs[dot.log as usize];
                let at = changes.partition_point(|change| change.id.seq <= u64::from(dot.seq));
                let (change, next) = (at.checked_sub(1).map(|at| &changes[at]), changes.get(at));
                let end = change.map(|change| change.id.seq + change.ops).or(next.map(|next| next.id.seq));
                let len = end.map_or(left, |end| left.min(end as u32 - dot.seq));
                let (time, message) = (change.map(|it| it.time), change.and_then(|it| it.message.clone()));
                blame.push(Blame { len: len as usize, id: self.op_id(dot), time, message });
                left -= len;
                if left > 0 {
                    dot = dot.plus(len);
                }
            }
        }
        blame
    }
}

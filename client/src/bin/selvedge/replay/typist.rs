//! `Typist`: the part of one author, typed into a document from inside.
//!
//! Who is who: the first change of every author carries the commit message `selvedge replay TRACE author N`, where TRACE
//! is the checksum of the trace's final text. A message costs no operation, so an author's k-th change is that author's
//! k-th transaction with edits. Always holds: before a transaction is typed, exactly its ancestors were imported.

use std::sync::Arc;

use selvedge::codec::DecodeError;
use selvedge::{Doc, EditError, ReplicaId, Transaction, VersionVector};
use selvedge_client::trace::{Need, Patch, Plan};
use selvedge_client::{Access, Held};

use crate::session::Failure;

/// The container that is typed into.
const TEXT: &str = "text";

/// How an interrupted replay is continued.
const GO_ON: &str = ", or go on with the --data folder of the earlier replay";

/// An author, on the way.
pub(super) struct Typist {
    plan: Arc<Plan>,
    /// The trace's checksum, for the commit message.
    id: String,
    /// Where each of our changes ends.
    ends: Vec<u64>,
    /// Who types which part, as far as it is known.
    authors: Vec<Option<ReplicaId>>,
}

/// How far a turn got.
pub(super) enum Turn {
    /// As far as it was allowed to.
    Typed,
    /// What the others type has not arrived yet.
    Waiting,
    /// Everything is typed, and everything of the others is here.
    Complete,
}

impl Typist {
    /// Begins, or goes on with what this replica typed in an earlier run.
    pub(super) fn start(access: &mut Access<'_>, plan: Arc<Plan>, id: String) -> Result<Self, Failure> {
        let me = access.doc.replica();
        let authors = vec![None; plan.changes.len()];
        let mut typist = Self { plan, id, ends: Vec::new(), authors };
        typist.find_authors(access)?;
        let held = held(access)?;
        let mine = held.changes(me);
        typist.ends.extend((1..=mine).filter_map(|number| held.change_end(me, number)));
        let problem = match typist.authors[typist.plan.agent as usize] {
            Some(author) if author != me => Some(format!("author {} was typed by replica {author}", typist.plan.agent)),
            None if mine > 0 => Some("this device has written something else into the document".into()),
            None if typist.authors.iter().all(Option::is_none) && has_text(held)? => {
                Some(format!("the document has a text `{TEXT}` already"))
            }
            _ => None,
        };
        match problem {
            Some(problem) => Err(Failure::Other(format!("{problem}: name another document{GO_ON}"))),
            None => Ok(typist),
        }
    }

    /// How many changes there are in the end.
    pub(super) fn total(&self) -> usize {
        self.plan.steps.len()
    }

    /// How many changes were typed, in earlier runs too.
    pub(super) fn typed(&self) -> usize {
        self.ends.len()
    }

    /// How many patches were typed after the first `already` changes.
    pub(super) fn edits_since(&self, already: usize) -> usize {
        self.plan.steps[already..self.ends.len()].iter().map(|step| step.patches.len()).sum()
    }

    /// How many of our changes lie below the end `end` of our log.
    pub(super) fn changes_up_to(&self, end: u64) -> usize {
        self.ends.partition_point(|change_end| *change_end <= end)
    }

    /// Replica and end of our first `changes` changes, for a line of progress.
    pub(super) fn version_line(&self, me: ReplicaId, changes: usize) -> String {
        let end = changes.checked_sub(1).map_or(0, |last| self.ends[last]);
        format!("{me}:{end}")
    }

    /// What keeps us waiting.
    pub(super) fn missing(&self, durable: usize) -> String {
        let (typed, total) = (self.typed(), self.total());
        if typed < total || durable == total {
            let unknown =
                (0..).zip(&self.authors).filter(|(agent, author)| author.is_none() && *agent != self.plan.agent);
            let unknown: Vec<String> = unknown.map(|(agent, _): (u32, _)| agent.to_string()).collect();
            return match unknown.is_empty() {
                true => format!("has not sent what the other authors type ({typed} of {total} typed)"),
                false => format!("has nobody typing author {} (use --agent)", unknown.join(", ")),
            };
        }
        format!("has acknowledged {durable} of {total} changes as durable")
    }

    /// Types at most `limit` transactions.
    pub(super) fn type_some(mut self, access: &mut Access<'_>, limit: usize) -> Result<(Self, Turn), Failure> {
        self.find_authors(access)?;
        let plan = self.plan.clone();
        for step in plan.steps.iter().skip(self.ends.len()).take(limit) {
            let Some(version) = self.version_of(held(access)?, &step.needs) else { return Ok((self, Turn::Waiting)) };
            access.release(&version).map_err(|error| self.unreadable(&error))?;
            access.doc.change(|tx| type_patches(tx, &step.patches)).map_err(|error| self.misfit(&error))?;
            let message = format!("{}{}", self.prefix(), plan.agent);
            access.doc.commit(self.ends.is_empty().then_some(message.as_str()));
            self.ends.push(access.doc.version().end(access.doc.replica()));
        }
        if self.ends.len() < plan.steps.len() {
            return Ok((self, Turn::Typed));
        }
        let complete = self.version_of(held(access)?, &plan.rest).is_some();
        Ok((self, if complete { Turn::Complete } else { Turn::Waiting }))
    }

    /// Imports all that is left and says where the text differs from `expected`, if it does.
    pub(super) fn compare(self, access: &mut Access<'_>, expected: &str) -> Result<Option<String>, Failure> {
        let everything = held(access)?.version();
        access.release(&everything).map_err(|error| self.unreadable(&error))?;
        Ok(difference(&access.doc.text(TEXT).to_string(), expected))
    }

    fn prefix(&self) -> String {
        format!("selvedge replay {} author ", self.id)
    }

    /// Notes down who types which part.
    fn find_authors(&mut self, access: &mut Access<'_>) -> Result<(), Failure> {
        if self.authors.iter().all(Option::is_some) {
            return Ok(());
        }
        let prefix = self.prefix();
        for (replica, message) in held(access)?.writers() {
            let number = message.and_then(|message| message.strip_prefix(&prefix)?.parse::<usize>().ok());
            let Some(author) = number.and_then(|number| self.authors.get_mut(number)) else { continue };
            let known = *author.get_or_insert(replica);
            if known != replica {
                let number = number.unwrap_or_default();
                let problem = format!("author {number} is typed by two replicas, {known} and {replica}");
                return Err(Failure::Other(format!("{problem}: name another document{GO_ON}")));
            }
        }
        Ok(())
    }

    /// The version that has what is needed; `None` as long as some of it is not here.
    fn version_of(&self, held: &Held, needs: &[Need]) -> Option<VersionVector> {
        let end = |need: &Need| {
            let author = self.authors[need.agent as usize]?;
            Some((author, held.change_end(author, need.changes)?))
        };
        needs.iter().map(end).collect()
    }

    fn misfit(&self, error: &EditError) -> Failure {
        Failure::Other(format!("transaction {} of author {} does not fit: {error}", self.ends.len(), self.plan.agent))
    }

    fn unreadable(&self, error: &DecodeError) -> Failure {
        Failure::Other(format!("changes of the other authors cannot be read: {error}"))
    }
}

fn type_patches(tx: &mut Transaction<'_>, patches: &[Patch]) -> Result<(), EditError> {
    let mut text = tx.text(TEXT);
    for patch in patches {
        if patch.deleted > 0 {
            text.delete(patch.position as usize, patch.deleted as usize)?;
        }
        if !patch.inserted.is_empty() {
            text.insert(patch.position as usize, &patch.inserted)?;
        }
    }
    Ok(())
}

fn held<'a>(access: &'a mut Access<'_>) -> Result<&'a mut Held, Failure> {
    access.held().ok_or_else(|| Failure::Other("the document is not open with its changes held back".into()))
}

/// Whether what was written before has put text where we would type.
fn has_text(held: &Held) -> Result<bool, Failure> {
    let mut doc = Doc::new(ReplicaId::from(0));
    let imported = doc.import_batch(&held.everything());
    imported.map_err(|error| Failure::Other(format!("the document cannot be read: {error}")))?;
    Ok(!doc.text(TEXT).is_empty())
}

/// Where two texts differ, in words.
fn difference(found: &str, expected: &str) -> Option<String> {
    if found == expected {
        return None;
    }
    let at = found.chars().zip(expected.chars()).take_while(|(a, b)| a == b).count();
    let excerpt = |text: &str| text.chars().skip(at).take(20).collect::<String>();
    Some(format!(
        "the text differs from the trace's endContent at character {at}: {:?} instead of {:?} ({} and {} characters)",
        excerpt(found),
        excerpt(expected),
        found.chars().count(),
        expected.chars().count()
    ))
}

#[cfg(test)]
mod tests;

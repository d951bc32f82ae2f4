//! Opening documents: from the store, or new.
//!
//! Always holds: a document that cannot be read is an error, never an empty document; a document is open once, however
//! many handles it has.

use std::collections::BTreeMap;

use rand_core::UnwrapErr;
use selvedge::codec::{DecodeError, DecodeErrorKind};
use selvedge::doc::Doc;
use selvedge::op::{Batch, Segment};
use selvedge::store::{Record, Salvage};
use selvedge::sync::{DocState, Input};
use selvedge::{DocName, ReplicaId};
use tokio::sync::{broadcast, watch};

use super::mend::Mending;
use super::turn::unix_ms;
use super::{Actor, OpenDoc, OpenReply};
use crate::error::ClientError;
use crate::handle::DocHandle;
use crate::held::Held;
use crate::progress::{Connection, Progress};
use crate::store::Loaded;

/// Turns' worth of patches that a slow subscriber may lag behind before it is told that it missed some.
const PATCH_BACKLOG: usize = 1024;

/// Presence events that a slow subscriber may lag behind.
const PRESENCE_BACKLOG: usize = 256;

impl Actor {
    pub(super) fn open(&mut self, doc: DocName, hold: bool, reply: OpenReply) {
        if self.docs.contains_key(&doc) {
            let _ = reply.send(self.handle_for(&doc, hold));
            return;
        }
        let waiting = self.opening.entry(doc.clone()).or_default();
        waiting.push((hold, reply));
        if waiting.len() > 1 {
            return;
        }
        let fresh = ReplicaId::random(&mut UnwrapErr(getrandom::SysRng));
        match &self.worker {
            Some(worker) => worker.load(doc, fresh),
            None => self.loaded(doc, Ok(Loaded { replica: fresh, found: Salvage::default(), problem: None })),
        }
    }

    /// The store has read a document, or not.
    pub(super) fn loaded(&mut self, doc: DocName, loaded: Result<Loaded, ClientError>) {
        let waiting = self.opening.remove(&doc).unwrap_or_default();
        let hold = waiting.first().is_some_and(|(hold, _)| *hold);
        let can_mend = self.net.relays.iter().any(Option::is_some) && !hold;
        let opened = loaded.and_then(|loaded| {
            if let Some(problem) = loaded.problem.as_ref().filter(|_| !can_mend) {
                return Err(ClientError::Store(problem.clone()));
            }
            let opened = join(&loaded.found.records).and_then(|batch| OpenDoc::new(loaded, batch, hold));
            opened.map_err(|source| ClientError::Changes { doc: doc.clone(), origin: "the store", source })
        });
        match opened {
            Ok((open, state)) => {
                let presence_owner = Some(open.doc.replica());
                if let Connection::Rejected { code, text } = &*self.connection.borrow() {
                    open.fail(ClientError::Rejected { code: *code, text: text.clone() });
                }
                self.docs.insert(doc.clone(), open);
                self.handle(Input::Opened { doc: doc.clone(), state, presence_owner });
                for (hold, reply) in waiting {
                    let _ = reply.send(self.handle_for(&doc, hold));
                }
            }
            Err(error) => waiting.into_iter().for_each(|(_, reply)| drop(reply.send(Err(error.clone())))),
        }
    }

    fn handle_for(&self, doc: &DocName, hold: bool) -> Result<DocHandle, ClientError> {
        let (open, commands) = self.docs.get(doc).zip(self.ports.commands.upgrade()).ok_or(ClientError::Closed)?;
        if open.held.is_some() != hold {
            return Err(ClientError::OpenOtherwise { doc: doc.clone() });
        }
        Ok(DocHandle {
            name: doc.clone(),
            commands,
            progress: open.progress.subscribe(),
            presence: open.presence.clone(),
            has_relay: *self.connection.borrow() != Connection::None,
        })
    }
}

impl OpenDoc {
    /// A document made of stored changes, and what the engine must know of it.
    fn new(loaded: Loaded, stored: Batch, hold: bool) -> Result<(Self, DocState), DecodeError> {
        let replica = loaded.replica;
        let mut mending = None;
        let mut doc = Doc::new(replica);
        doc.set_now(unix_ms());
        let held = if hold {
            let mut held = Held::default();
            complete(held.arrive(&stored)?)?;
            let own = held.version().end(replica);
            held.release(&mut doc, &[(replica, own)].into_iter().collect())?;
            Some(held)
        } else {
            let pending_bytes = doc.import_batch(&stored)?.pending_bytes;
            match loaded.problem.clone() {
                None => complete(pending_bytes)?,
                Some(problem) => mending = Some(Mending::new(problem, loaded.found, stored, &doc, pending_bytes)),
            }
            None
        };
        let mut open = Self {
            own_end: doc.version().end(replica),
            doc,
            held,
            mending,
            healing: None,
            progress: watch::Sender::new(Progress::new(replica)),
            patches: broadcast::Sender::new(PATCH_BACKLOG),
            recording: false,
            presence: broadcast::Sender::new(PRESENCE_BACKLOG),
        };
        if let Some(problem) = loaded.problem {
            open.fail(ClientError::Damaged(problem));
        }
        let logs = match &mut open.held {
            Some(held) => held.states(),
            None => open.doc.log_states(),
        };
        Ok((open, DocState { logs }))
    }
}

/// What was stored was stored after what it depends on: if something is missing now, the store lost it.
fn complete(pending_bytes: usize) -> Result<(), DecodeError> {
    let kind = DecodeErrorKind::Inconsistent("changes are missing that others depend on");
    if pending_bytes == 0 { Ok(()) } else { Err(DecodeError { field: "stored changes", offset: 0, kind }) }
}

/// Joins stored batches, oldest first: one segment per log where they follow one another.
fn join(records: &[Record]) -> Result<Batch, DecodeError> {
    let mut joined = Batch::default();
    let mut ends: BTreeMap<ReplicaId, (usize, u64)> = BTreeMap::new();
    for record in records {
        for segment in Batch::decode(&record.bytes)?.segments {
            let end = segment.end()?;
            let Segment { replica, first_seq, frames } = segment;
            match ends.get_mut(&replica) {
                Some((at, joined_end)) if *joined_end == first_seq => {
                    joined.segments[*at].frames.extend_from_slice(&frames);
                    *joined_end = end;
                }
                _ => {
                    ends.insert(replica, (joined.segments.len(), end));
                    joined.segments.push(Segment { replica, first_seq, frames });
                }
            }
        }
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(replica: u128, first_seq: u64, ops: usize) -> Record {
        let mut segment = Segment::new(ReplicaId::from(replica), first_seq);
        (0..ops).for_each(|_| segment.push(&[1 << 4, 1]));
        Record { index: 0, bytes: Batch::from(segment).encode() }
    }

    #[test]
    fn stored_batches_become_one_segment_per_log() {
        let records = [record(1, 0, 2), record(2, 0, 1), record(1, 2, 1), record(2, 1, 3)];
        let joined = join(&records).unwrap();
        assert_eq!(joined.segments.len(), 2);
        let ends: Vec<_> = joined.ends().unwrap().iter().collect();
        assert_eq!(ends, [(ReplicaId::from(1), 3), (ReplicaId::from(2), 4)]);
        assert!(join(&[Record { index: 0, bytes: b"no batch".to_vec() }]).is_err());
    }
}

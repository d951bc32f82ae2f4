//! Documents of which stored records are damaged: opened with what stands, made whole by the relay, and rewritten.
//!
//! Always holds: nothing is written into a damaged file; it is replaced when everything that it held is here again, up to
//! the digest of our own log that was stored apart from it. Until then our edits stay in memory, under a fresh id, and
//! the document says what is wrong. Not here: finding damage and rewriting files (`store`).

use std::sync::Arc;

use selvedge::DocName;
use selvedge::VersionVector;
use selvedge::doc::Doc;
use selvedge::op::Batch;
use selvedge::store::{Append, Checkpoint, Damage, Record, Salvage, StoreError};
use selvedge::sync::{Input, Token};

use super::Actor;
use crate::error::ClientError;

/// What a damaged document lacks, and what waits for it to be whole.
#[derive(Debug)]
pub(super) struct Mending {
    problem: Arc<StoreError>,
    damaged: Vec<Damage>,
    checkpoints: Vec<Checkpoint>,
    /// What stood when it was opened.
    stood: VersionVector,
    /// All that could be read; some of it may wait for what could not.
    read: Batch,
    /// Bytes of changes that wait for others.
    pub(super) pending_bytes: usize,
    /// What is to be stored when the file can be written to again.
    pub(super) waiting: Vec<(Token, Append)>,
    rewriting: bool,
    /// The relay has sent all that it has, and that is not enough; it was said.
    given_up: bool,
}

impl Mending {
    pub(super) fn new(problem: Arc<StoreError>, found: Salvage, read: Batch, doc: &Doc, pending_bytes: usize) -> Self {
        Self {
            problem,
            damaged: found.damaged,
            checkpoints: found.checkpoints,
            stood: doc.version(),
            read,
            pending_bytes,
            waiting: Vec::new(),
            rewriting: false,
            given_up: false,
        }
    }

    fn is_over(&self, doc: &mut Doc) -> bool {
        let passes = |doc: &mut Doc, point: &Checkpoint| doc.log_digest(point.replica, point.end) == Some(point.digest);
        self.pending_bytes == 0 && self.checkpoints.iter().all(|point| passes(doc, point))
    }
}

impl Actor {
    /// Rewrites damaged documents that are whole again.
    pub(super) fn mend(&mut self) {
        for (name, open) in &mut self.docs {
            let caught_up = open.progress.borrow().status.caught_up;
            let Some(mending) = open.mending.as_mut().filter(|mending| caught_up && !mending.rewriting) else {
                continue;
            };
            if !mending.is_over(&mut open.doc) {
                if !std::mem::replace(&mut mending.given_up, true) {
                    let problem = ClientError::Store(mending.problem.clone());
                    open.fail(problem);
                }
                continue;
            }
            let records = Record::in_place_of(&mending.damaged, &open.doc.batch_since(&mending.stood));
            if let Some(worker) = &self.worker {
                worker.repair(name.clone(), records, open.doc.replica());
                mending.rewriting = true;
            }
        }
    }

    pub(super) fn mended(&mut self, doc: &DocName, result: Result<(), Arc<StoreError>>) {
        let Some(open) = self.docs.get_mut(doc) else { return };
        if let Err(error) = result {
            open.mending.iter_mut().for_each(|mending| mending.rewriting = false);
            return open.fail(ClientError::Store(error));
        }
        let Some(mending) = open.mending.take() else { return };
        tracing::warn!(%doc, records = mending.damaged.len(), "repaired: fetched again, verified and rewritten");
        open.clear_error(|error| matches!(error, ClientError::Damaged(_) | ClientError::Store(_)));
        for (token, record) in mending.waiting {
            if let Some(worker) = &self.worker {
                worker.append(token, record);
            }
        }
        // What stood but waited may have been written here and never sent.
        self.handle(Input::Edited { doc: doc.clone(), batch: mending.read });
    }
}

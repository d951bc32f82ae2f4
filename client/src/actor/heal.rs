//! Forks: another copy has written with our replica id, and a peer that we dialed has what it wrote. What was written here
//! goes on under aliases, beside the other branch.
//!
//! Always holds: the old records are set aside before new ones take their place, and the document is synced again only
//! when those are on disk; until then edits stay in memory. What a peer claims costs us a bounded number of rewritings.
//! Not here: what an alias is (`selvedge::doc`), and searching for a fork (`selvedge::graph`).

use std::sync::Arc;
use std::time::Duration;

use rand_core::UnwrapErr;
use selvedge::graph::{ForkSearch, SearchStep};
use selvedge::store::StoreError;
use selvedge::sync::{ConnId, DocState, Input, RefuseCode, SyncStatus};
use selvedge::{DocName, OpId, ReplicaId, VersionVector};

use super::{Actor, Command, OpenDoc};
use crate::error::ClientError;

/// How often a document is healed until it is opened again.
const MAX_HEALED: u32 = 8;

/// How long after a failure the new records are tried to be stored again.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// How far the healing of a fork has got.
#[derive(Debug)]
pub(super) enum Healing {
    /// The peer at the other end of this connection is asked where its copy differs.
    Searching(ConnId, ForkSearch),
    /// The branch has its alias; the new records are being stored.
    Rewriting { bytes: Vec<u8>, state: DocState },
}

impl OpenDoc {
    /// Whether the engine does not have the document now, because its records are being replaced.
    pub(super) fn is_being_rewritten(&self) -> bool {
        matches!(self.healing, Some(Healing::Rewriting { .. }))
    }
}

impl Actor {
    /// A peer that we dialed has another content under ids that are used here.
    pub(super) fn forked(&mut self, conn: ConnId, doc: DocName) {
        let Some(open) = self.docs.get_mut(&doc).filter(|open| open.healing.is_none()) else { return };
        if open.held.is_some() || open.mending.is_some() || open.progress.borrow().healed >= MAX_HEALED {
            return self.stay_forked(&doc, "close the document and open it again");
        }
        open.fail(ClientError::Forked { doc: doc.clone() });
        let search = open.doc.fork_search();
        self.go_on_searching(conn, &doc, search, None);
    }

    /// The fork stays one: the application is told, and what to do.
    fn stay_forked(&mut self, doc: &DocName, hint: &str) {
        let Some(open) = self.docs.get_mut(doc) else { return };
        open.healing = None;
        let text = format!("another copy has written with the same replica id; {hint}");
        open.fail(ClientError::Refused { doc: doc.clone(), code: RefuseCode::Fork, text });
    }

    fn go_on_searching(&mut self, conn: ConnId, doc: &DocName, mut search: ForkSearch, answer: Option<&[u8]>) {
        let Some(open) = self.docs.get_mut(doc) else { return };
        match open.doc.search_forks(&mut search, answer) {
            Ok(SearchStep::Ask(question)) => {
                open.healing = Some(Healing::Searching(conn, search));
                self.handle(Input::Search { conn, doc: doc.clone(), question });
            }
            Ok(SearchStep::Found(forks)) => self.heal(doc, &forks),
            Err(error) => self.stay_forked(doc, &format!("where it differs cannot be found out: {error}")),
        }
    }

    pub(super) fn search_answered(&mut self, conn: ConnId, doc: &DocName, answer: Option<Vec<u8>>) {
        let Some(open) = self.docs.get_mut(doc) else { return };
        match open.healing.take() {
            Some(Healing::Searching(asked, search)) if asked == conn => match answer {
                Some(answer) => self.go_on_searching(conn, doc, search, Some(&answer)),
                None => self.stay_forked(doc, "where it differs the other side does not tell"),
            },
            other => open.healing = other,
        }
    }

    /// A connection is gone, and with it what was asked over it. The next one finds the fork again.
    pub(super) fn search_broken(&mut self, conn: ConnId) {
        let over = |open: &&mut OpenDoc| matches!(&open.healing, Some(Healing::Searching(asked, _)) if *asked == conn);
        for open in self.docs.values_mut().filter(over) {
            open.healing = None;
            open.clear_error(|error| matches!(error, ClientError::Forked { .. }));
        }
    }

    /// Our branches go on under aliases, and we under a fresh id.
    fn heal(&mut self, doc: &DocName, forks: &[OpId]) {
        let Some(open) = self.docs.get_mut(doc) else { return };
        let replica = ReplicaId::random(&mut UnwrapErr(getrandom::SysRng));
        let mut healed = match open.doc.heal(forks, replica) {
            Ok(healed) => healed,
            Err(error) => return self.stay_forked(doc, &error.to_string()),
        };
        for (first, alias) in &healed.aliases {
            tracing::warn!(%doc, from = %first, %alias, "another copy has written with this id: ours goes on as another");
        }
        let bytes = healed.doc.batch_since(&VersionVector::new()).encode();
        let state = DocState { logs: healed.doc.log_states() };
        healed.doc.record_patches(open.recording);
        (open.doc, open.own_end) = (healed.doc, 0);
        open.healing = Some(Healing::Rewriting { bytes, state });
        open.progress.send_modify(|progress| {
            (progress.replica, progress.status) = (replica, SyncStatus::default());
            progress.healed += 1;
        });
        self.handle(Input::Closed { doc: doc.clone() });
        self.replace(doc);
    }

    /// Stores the new records in the place of the old ones.
    pub(super) fn replace(&mut self, doc: &DocName) {
        let Some(open) = self.docs.get(doc) else { return };
        let Some(Healing::Rewriting { bytes, .. }) = &open.healing else { return };
        match &self.worker {
            Some(worker) => worker.replace(doc.clone(), bytes.clone(), open.doc.replica()),
            None => self.replaced(doc, Ok(())),
        }
    }

    pub(super) fn replaced(&mut self, doc: &DocName, result: Result<(), Arc<StoreError>>) {
        let Some(open) = self.docs.get_mut(doc).filter(|open| open.is_being_rewritten()) else { return };
        if let Err(error) = result {
            open.fail(ClientError::Store(error));
            if let Some(commands) = self.ports.commands.upgrade() {
                let command = Command::Replace { doc: doc.clone() };
                tokio::spawn(async move {
                    tokio::time::sleep(STORE_AGAIN).await;
                    let _ = commands.send(command).await;
                });
            }
            return;
        }
        let Some(Healing::Rewriting { state, .. }) = open.healing.take() else { return };
        open.clear_error(|error| matches!(error, ClientError::Forked { .. } | ClientError::Store(_)));
        let presence_owner = Some(open.doc.replica());
        self.handle(Input::Opened { doc: doc.clone(), state, presence_owner });
        // What was edited meanwhile.
        self.touched.insert(doc.clone());
    }
}

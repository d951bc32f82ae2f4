//! `DocHandle`: what an application holds of an open document. Cheap to clone, usable from any task.
//!
//! Always holds: what is asked for through one handle happens in the order in which it was asked for.
//! Not here: the document itself (the actor owns it).

use std::sync::Arc;

use selvedge::codec::DecodeError;
use selvedge::doc::{Doc, EditError, Patch, Transaction};
use selvedge::sync::SyncStatus;
use selvedge::{DocName, ReplicaId, VersionVector};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::actor::{Command, Job};
use crate::error::ClientError;
use crate::held::Held;
use crate::progress::Progress;

/// An open document.
#[derive(Clone, Debug)]
pub struct DocHandle {
    pub(crate) name: DocName,
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) presence: broadcast::Sender<Presence>,
    pub(crate) has_relay: bool,
}

/// Somebody's presence changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// Whose.
    pub owner: ReplicaId,
    /// The user that the owner's credential names.
    pub user: Option<String>,
    /// The key.
    pub key: String,
    /// The value; `None`: it ended.
    pub value: Option<Vec<u8>>,
}

/// A document from inside, for as long as a job runs.
pub struct Access<'a> {
    /// The document.
    pub doc: &'a mut Doc,
    held: Option<&'a mut Held>,
}

impl<'a> Access<'a> {
    /// A document, and what is held back from it: so a job can be run without a client, too.
    pub fn new(doc: &'a mut Doc, held: Option<&'a mut Held>) -> Self {
        Self { doc, held }
    }

    /// What has arrived and waits to be imported; `None` unless the document was opened with `hold_remote`.
    pub fn held(&mut self) -> Option<&mut Held> {
        self.held.as_deref_mut()
    }

    /// Imports what has arrived up to `version`, with everything that it depends on. Without `hold_remote` there is
    /// nothing to do.
    ///
    /// # Errors
    /// If the document cannot read a change.
    pub fn release(&mut self, version: &VersionVector) -> Result<(), DecodeError> {
        match self.held.as_deref_mut() {
            Some(held) => held.release(self.doc, version),
            None => Ok(()),
        }
    }
}

/// Patches of a document, as they come.
#[derive(Debug)]
pub struct Patches(broadcast::Receiver<Arc<[Patch]>>);

/// What `Patches::next` returns.
#[derive(Clone, Debug)]
pub enum PatchEvent {
    /// What changed in one turn.
    Patches(Arc<[Patch]>),
    /// The subscriber was too slow and missed some: read the document anew.
    Missed,
}

impl Patches {
    /// The next patches; `None` when the document was closed.
    pub async fn next(&mut self) -> Option<PatchEvent> {
        match self.0.recv().await {
            Ok(patches) => Some(PatchEvent::Patches(patches)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(PatchEvent::Missed),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

impl DocHandle {
    /// The document's name.
    pub fn name(&self) -> &DocName {
        &self.name
    }

    /// The replica that writes here. It changes when a fork is healed (`Progress::healed`).
    pub fn replica(&self) -> ReplicaId {
        self.progress.borrow().replica
    }

    /// Runs a transaction: all of it or nothing. It is saved and sent by itself.
    ///
    /// # Errors
    /// `ClientError::Edit` if the transaction fails, `Closed` if the document is closed.
    pub async fn change<T: Send + 'static>(
        &self,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, EditError> + Send + 'static,
    ) -> Result<T, ClientError> {
        Ok(self.update(move |access| access.doc.change(edit)).await??)
    }

    /// Reads the document.
    ///
    /// # Errors
    /// `ClientError::Closed` if the document is closed.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Doc) -> T + Send + 'static,
    ) -> Result<T, ClientError> {
        self.update(move |access| read(access.doc)).await
    }

    /// Runs a job inside the document's task: several transactions, with commits of their own. Others wait meanwhile;
    /// a panic in it ends the client.
    ///
    /// # Errors
    /// `ClientError::Closed` if the document is closed.
    pub async fn update<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Access<'_>) -> T + Send + 'static,
    ) -> Result<T, ClientError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |access| drop(reply.send(job(access))));
        self.ask(Command::Run { doc: self.name.clone(), job }, answer).await
    }

    /// Everything known here.
    ///
    /// # Errors
    /// `ClientError::Closed` if the document is closed.
    pub async fn version(&self) -> Result<VersionVector, ClientError> {
        self.read(Doc::version).await
    }

    /// Where our own changes have got to.
    pub fn status(&self) -> SyncStatus {
        self.progress.borrow().status
    }

    /// What of our own changes the relay has acknowledged as durable.
    pub fn acknowledged(&self) -> VersionVector {
        self.progress.borrow().acknowledged.clone()
    }

    /// Status, acknowledgements and errors, to be watched.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    /// Waits until everything edited so far is stored durably by the relay.
    ///
    /// # Errors
    /// What is in the way: a refusal, a failed store; `NoRelay` if none was named. A lost connection is waited out.
    pub async fn wait_durable(&self) -> Result<(), ClientError> {
        let (replica, end) = self.seal().await?;
        let done = move |progress: &Progress| {
            // What was sealed under an id that was given up is durable when all is that goes on under others.
            let under_others = progress.replica != replica || (end == 0 && progress.healed > 0);
            if under_others { progress.status.durable } else { progress.acknowledged.end(replica) >= end }
        };
        self.wait_online(done).await
    }

    /// Waits until everything that the relay had when the document was opened has arrived.
    ///
    /// # Errors
    /// As `wait_durable`.
    pub async fn wait_caught_up(&self) -> Result<(), ClientError> {
        self.wait_online(|progress| progress.status.caught_up).await
    }

    /// Waits until everything edited so far is saved on this device.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn wait_saved(&self) -> Result<(), ClientError> {
        self.seal().await?;
        self.wait(|progress| progress.status.saved).await
    }

    async fn wait_online(&self, done: impl Fn(&Progress) -> bool) -> Result<(), ClientError> {
        if self.has_relay { self.wait(done).await } else { Err(ClientError::NoRelay) }
    }

    async fn wait(&self, done: impl Fn(&Progress) -> bool) -> Result<(), ClientError> {
        let mut progress = self.progress.clone();
        // Damage is being mended and forks are healed: whoever waits, waits for that too.
        let fatal = |error: &ClientError| !matches!(error, ClientError::Damaged(_) | ClientError::Forked { .. });
        let reached = progress.wait_for(|progress| done(progress) || progress.error.as_ref().is_some_and(fatal)).await;
        let reached = reached.map_err(|_| ClientError::Closed)?;
        match &reached.error {
            Some(error) if !done(&reached) => Err(error.clone()),
            _ => Ok(()),
        }
    }

    async fn seal(&self) -> Result<(ReplicaId, u64), ClientError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Seal { doc: self.name.clone(), reply }, answer).await
    }

    /// Patches from now on, our own edits included.
    ///
    /// # Errors
    /// `ClientError::Closed` if the document is closed.
    pub async fn subscribe_patches(&self) -> Result<Patches, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Subscribe { doc: self.name.clone(), reply }, answer).await.map(Patches)
    }

    /// Presence of others from now on.
    pub fn subscribe_presence(&self) -> broadcast::Receiver<Presence> {
        self.presence.subscribe()
    }

    /// Sets a presence key of our own, at most 64 bytes, to a value of at most 4 KiB; `None` removes it.
    ///
    /// # Errors
    /// `ClientError::Closed` if the client is closed.
    pub async fn set_presence(&self, key: impl Into<String>, value: Option<Vec<u8>>) -> Result<(), ClientError> {
        let command = Command::SetPresence { doc: self.name.clone(), key: key.into(), value };
        self.commands.send(command).await.map_err(|_| ClientError::Closed)
    }

    /// Says how urgent this document is: what is more urgent is asked for and sent first. 0 unless this is said; the
    /// document on screen has the largest.
    ///
    /// # Errors
    /// `ClientError::Closed` if the client is closed.
    pub async fn set_priority(&self, priority: u8) -> Result<(), ClientError> {
        let command = Command::Prioritize { doc: self.name.clone(), priority };
        self.commands.send(command).await.map_err(|_| ClientError::Closed)
    }

    /// Closes the document for all its handles, after everything edited so far was saved.
    ///
    /// # Errors
    /// If it cannot be saved; it stays open then.
    pub async fn close(self) -> Result<(), ClientError> {
        self.wait_saved().await?;
        let (reply, answer) = oneshot::channel();
        self.ask(Command::Close { doc: self.name.clone(), reply }, answer).await
    }

    async fn ask<T>(&self, command: Command, answer: oneshot::Receiver<T>) -> Result<T, ClientError> {
        self.commands.send(command).await.map_err(|_| ClientError::Closed)?;
        answer.await.map_err(|_| ClientError::Closed)
    }
}

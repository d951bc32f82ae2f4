//! The storage thread: the only one that touches the store; commits in groups.
//!
//! Always holds: what was handed over before a read of the same document is visible to it; every request is answered
//! once; an answer "persisted" is sent after the store has synced; the thread ends after the last request when all
//! handles are gone. A panic inside the store is an error of that request.
//! Not here: what the records mean (`room`).

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use selvedge::DocName;
use selvedge::store::{Append, Record, Salvage, Store, StoreError};
use selvedge::sync::Token;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::room::Room;

/// Most bytes in one commit: what is queued beyond waits for the next one.
const MAX_COMMIT_BYTES: usize = 32 << 20;

/// What the thread is asked for.
enum Request {
    Persist { token: Token, record: Append },
    Read { doc: DocName },
    Survey { doc: DocName },
    Documents,
    Repair { doc: DocName, records: Vec<Record> },
    Check { doc: Option<DocName>, reply: oneshot::Sender<Result<Checked, StoreError>> },
}

/// What a scrub is answered.
#[derive(Debug)]
pub(crate) enum Checked {
    Documents(Vec<DocName>),
    Document(Salvage),
}

/// What the thread answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A record of a document is durable, or was not stored. `bytes` is its length.
    Persisted { token: Token, doc: DocName, bytes: usize, result: Result<(), String> },
    /// What there is of a document.
    Read { doc: DocName, result: Result<Salvage, StoreError> },
    /// The same, for `Storage::survey`.
    Surveyed { doc: DocName, result: Result<Salvage, StoreError> },
    /// The documents that have records.
    Documents { result: Result<Vec<DocName>, StoreError> },
    /// A scrub met damage: what stands of the document without it.
    Damaged { doc: DocName, room: Box<Room> },
    /// Damaged records have others in their place, or not.
    Repaired { doc: DocName, records: usize, result: Result<(), StoreError> },
}

/// The way to the thread.
#[derive(Clone)]
pub(crate) struct Storage {
    requests: mpsc::Sender<Request>,
    healthy: Arc<AtomicBool>,
}

impl Storage {
    /// Starts the thread, which answers to `answers`.
    pub(crate) fn start(
        store: Box<dyn Store + Send>,
        answers: UnboundedSender<Answer>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (requests, queue) = mpsc::channel();
        let healthy = Arc::new(AtomicBool::new(true));
        let worker = Worker { store, answers, healthy: Arc::clone(&healthy) };
        let thread = std::thread::Builder::new().name("storage".to_owned()).spawn(move || worker.run(&queue))?;
        Ok((Self { requests, healthy }, thread))
    }

    /// Whether the last commit succeeded.
    pub(crate) fn health(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.healthy)
    }

    /// Asks for a record to be made durable.
    pub(crate) fn persist(&self, token: Token, record: Append) {
        self.send(Request::Persist { token, record });
    }

    /// Asks for all records of a document.
    pub(crate) fn read(&self, doc: DocName) {
        self.send(Request::Read { doc });
    }

    /// Asks for all records of a document of which only a digest is wanted.
    pub(crate) fn survey(&self, doc: DocName) {
        self.send(Request::Survey { doc });
    }

    /// Asks for the names of all documents.
    pub(crate) fn documents(&self) {
        self.send(Request::Documents);
    }

    /// Asks for records to be put in the place of damaged ones; one without a place is appended.
    pub(crate) fn repair(&self, doc: DocName, records: Vec<Record>) {
        self.send(Request::Repair { doc, records });
    }

    /// Looks through a document as the medium has it, or lists all of them. `None`: the relay ends.
    pub(crate) async fn check(&self, doc: Option<DocName>) -> Option<Result<Checked, StoreError>> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Check { doc, reply });
        answer.await.ok()
    }

    fn send(&self, request: Request) {
        if self.requests.send(request).is_err() {
            self.healthy.store(false, Ordering::Relaxed);
            tracing::error!("the storage thread is gone; nothing can be stored until the relay is restarted");
        }
    }
}

struct Worker {
    store: Box<dyn Store + Send>,
    answers: UnboundedSender<Answer>,
    healthy: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self, queue: &mpsc::Receiver<Request>) {
        while let Ok(first) = queue.recv() {
            let mut group = Vec::new();
            let mut bytes = 0;
            let mut other = None;
            let mut next = Some(first);
            // Anything else ends the group: it must see everything in front of it.
            while let Some(request) = next.take() {
                match request {
                    Request::Persist { token, record } => {
                        bytes += record.bytes.len();
                        group.push((token, record));
                    }
                    request => other = Some(request),
                }
                if other.is_none() && bytes < MAX_COMMIT_BYTES {
                    next = queue.try_recv().ok();
                }
            }
            self.commit(group);
            if let Some(request) = other {
                self.perform(request);
            }
        }
    }

    fn perform(&mut self, request: Request) {
        match request {
            Request::Persist { token, record } => self.commit(vec![(token, record)]),
            Request::Read { doc } => {
                let result = guarded(|| self.store.salvage(&doc));
                self.answer(Answer::Read { doc, result });
            }
            Request::Survey { doc } => {
                let result = guarded(|| self.store.salvage(&doc));
                self.answer(Answer::Surveyed { doc, result });
            }
            Request::Documents => {
                let result = guarded(|| self.store.documents());
                self.answer(Answer::Documents { result });
            }
            Request::Repair { doc, records } => {
                let result = guarded(|| put_in_place(self.store.as_mut(), &doc, &records));
                self.answer(Answer::Repaired { doc, records: records.len(), result });
            }
            Request::Check { doc, reply } => {
                let checked = guarded(|| match &doc {
                    Some(doc) => self.store.salvage(doc).map(Checked::Document),
                    None => {
                        self.store.forget_caches();
                        self.store.documents().map(Checked::Documents)
                    }
                });
                // A scrub that has ended does not wait for it.
                let _ = reply.send(checked);
            }
        }
    }

    fn commit(&mut self, group: Vec<(Token, Append)>) {
        if group.is_empty() {
            return;
        }
        let (answers, records): (Vec<_>, Vec<_>) =
            group.into_iter().map(|(token, record)| ((token, record.doc.clone(), record.bytes.len()), record)).unzip();
        let result = guarded(|| self.store.append(&records)).map_err(|error| error.to_string());
        self.healthy.store(result.is_ok(), Ordering::Relaxed);
        match &result {
            Ok(()) => tracing::trace!(records = records.len(), "committed"),
            Err(error) => tracing::error!(records = records.len(), "cannot store changes: {error}"),
        }
        for (token, doc, bytes) in answers {
            self.answer(Answer::Persisted { token, doc, bytes, result: result.clone() });
        }
    }

    fn answer(&self, answer: Answer) {
        // The hub is gone only when the relay ends; nobody waits for the answer then.
        let _ = self.answers.send(answer);
    }
}

fn put_in_place(store: &mut dyn Store, doc: &DocName, records: &[Record]) -> Result<(), StoreError> {
    let (appended, placed): (Vec<_>, Vec<_>) = records.iter().cloned().partition(|record| record.index == u64::MAX);
    let append = |record: Record| Append { doc: doc.clone(), bytes: record.bytes, checkpoints: Vec::new() };
    store.repair(doc, &placed)?;
    store.append(&appended.into_iter().map(append).collect::<Vec<_>>())
}

/// Runs store code that may panic on a damaged file.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let source = std::io::Error::other(format!("the store failed: {}", panic_text(&*panic)));
        Err(StoreError::Io { file: "the store".to_owned(), source })
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown reason")
}

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
use selvedge::store::{Append, Record, Store, StoreError};
use selvedge::sync::Token;
use tokio::sync::mpsc::UnboundedSender;

/// Most bytes in one commit: what is queued beyond waits for the next one.
const MAX_COMMIT_BYTES: usize = 32 << 20;

/// What the thread is asked for.
enum Request {
    Persist { token: Token, record: Append },
    Read { doc: DocName },
    Survey { doc: DocName },
    Documents,
}

/// What the thread answers.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A record of a document is durable, or was not stored. `bytes` is its length.
    Persisted { token: Token, doc: DocName, bytes: usize, result: Result<(), String> },
    /// The records of a document.
    Read { doc: DocName, result: Result<Vec<Record>, StoreError> },
    /// The same, for `Storage::survey`.
    Surveyed { doc: DocName, result: Result<Vec<Record>, StoreError> },
    /// The documents that have records.
    Documents { result: Result<Vec<DocName>, StoreError> },
}

/// The way to the thread.
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
            let mut read = None;
            let mut next = Some(first);
            // A read ends the group: it must see everything in front of it.
            while let Some(request) = next.take() {
                match request {
                    Request::Persist { token, record } => {
                        bytes += record.bytes.len();
                        group.push((token, record));
                    }
                    other => read = Some(other),
                }
                if read.is_none() && bytes < MAX_COMMIT_BYTES {
                    next = queue.try_recv().ok();
                }
            }
            self.commit(group);
            if let Some(request) = read {
                self.read(request);
            }
        }
    }

    fn read(&mut self, request: Request) {
        let answer = match request {
            Request::Read { doc } => {
                let result = guarded(|| self.store.read(&doc, 0));
                Answer::Read { doc, result }
            }
            Request::Survey { doc } => {
                let result = guarded(|| self.store.read(&doc, 0));
                Answer::Surveyed { doc, result }
            }
            Request::Documents => Answer::Documents { result: guarded(|| self.store.documents()) },
            Request::Persist { .. } => return,
        };
        self.answer(answer);
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

//! What all commands share: a client, a document, bounded waiting, and failures in words.
//!
//! Always holds: a command that may wait for ever says on standard error what it waits for.

use std::future::{Future, ready};
use std::io::{self, Write};
use std::pin::Pin;
use std::time::Duration;

use selvedge_client::trace::TraceError;
use selvedge_client::{Client, ClientError, Connection, DocHandle, StoreKind};

use crate::args::{Common, Place};

/// Why a command failed: one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Other(String),
}

/// A client with one document.
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) doc: DocHandle,
    /// The relays, for people.
    pub(crate) relay: Option<String>,
    timeout: Option<Duration>,
}

impl Session {
    /// Starts a client and opens the document. Waits for the relay at most `default_timeout_s`, unless the command line
    /// says otherwise; without either, for ever.
    pub(crate) async fn open(common: &Common, hold: bool, default_timeout_s: Option<u64>) -> Result<Self, Failure> {
        let place = &common.place;
        if place.relay.is_empty() && place.data.is_none() && place.listen.is_none() {
            return Err(Failure::Other("name a relay with --relay, a folder with --data, or both".into()));
        }
        let client = start(place).await?;
        let doc = if hold { client.open_held(&common.doc).await? } else { client.open(&common.doc).await? };
        let timeout = place.timeout.or(default_timeout_s).map(Duration::from_secs);
        let relay = (!place.relay.is_empty()).then(|| place.relay.join(", "));
        Ok(Self { client, doc, relay, timeout })
    }

    /// Waits until the document is caught up with the relay; without a relay it is.
    pub(crate) async fn caught_up(&self) -> Result<(), Failure> {
        if self.relay.is_none() {
            return Ok(());
        }
        self.bounded("has not sent the whole document", self.doc.wait_caught_up()).await
    }

    /// Waits until everything edited is durable on the relay; without a relay, on this device.
    pub(crate) async fn stored(&self) -> Result<(), Failure> {
        if self.relay.is_none() {
            return Ok(self.doc.wait_saved().await?);
        }
        // A damaged document is saved when the relay has brought back what is missing.
        self.bounded("has not sent what is damaged on this device", self.doc.wait_saved()).await?;
        self.bounded("has not acknowledged everything as durable", self.doc.wait_durable()).await
    }

    async fn bounded(&self, missing: &str, wait: impl Future<Output = Result<(), ClientError>>) -> Result<(), Failure> {
        let mut wait = std::pin::pin!(wait);
        let Some(timeout) = self.timeout else {
            // Say once what is being waited for.
            return match tokio::time::timeout(Duration::from_secs(3), &mut wait).await {
                Ok(done) => Ok(done?),
                Err(_) => {
                    notice(&format!("waiting: {} (Ctrl-C ends)", self.problem(missing)));
                    Ok(wait.await?)
                }
            };
        };
        match tokio::time::timeout(timeout, wait).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(self.late(missing, timeout)),
        }
    }

    /// The failure of having waited for too long.
    pub(crate) fn late(&self, missing: &str, timeout: Duration) -> Failure {
        Failure::Other(format!("{}; gave up after {} s", self.problem(missing), timeout.as_secs()))
    }

    /// The limit on waiting that the command line set.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    fn problem(&self, missing: &str) -> String {
        problem(&self.client, self.relay.as_deref().unwrap_or("the relay"), missing)
    }

    /// Ends the client in an orderly way.
    pub(crate) async fn end(self) {
        self.client.shutdown().await;
    }
}

/// Starts a client as the command line says.
pub(crate) async fn start(place: &Place) -> Result<Client, Failure> {
    let store = place.data.clone().map_or(StoreKind::Memory, StoreKind::Folder);
    let mut builder = Client::builder().store(store);
    for relay in &place.relay {
        builder = builder.relay(relay);
    }
    if let Some(address) = &place.listen {
        builder = builder.listen(address);
    }
    if let Some(token) = &place.listen_token {
        builder = builder.listen_token(token);
    }
    if let Some(token) = &place.token {
        builder = builder.credential(token);
    }
    let client = builder.start().await?;
    if let Some(address) = client.listening() {
        notice(&format!("listening on ws://{address}"));
    }
    Ok(client)
}

/// What keeps a command waiting: the connection, or what is `missing` although it is up.
pub(crate) fn problem(client: &Client, relay: &str, missing: &str) -> String {
    match &*client.connection().borrow() {
        Connection::Offline { problem, .. } => format!("cannot reach {relay}: {problem}"),
        Connection::Connecting => format!("cannot reach {relay}: no answer yet"),
        _ => format!("{relay} {missing}"),
    }
}

/// Ctrl-C, heard from the moment that this returns: the system's own future begins to listen when it is first polled,
/// and misses what comes while nobody polls it.
pub(crate) async fn interrupt() -> Pin<Box<dyn Future<Output = io::Result<()>>>> {
    let mut pressed = Box::pin(tokio::signal::ctrl_c());
    tokio::select! {
        biased;
        ended = &mut pressed => Box::pin(ready(ended)),
        () = ready(()) => pressed,
    }
}

/// A line for people, apart from the output.
pub(crate) fn notice(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

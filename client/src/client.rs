//! `Client`: the entrance. Starts the actor, the store and the connection.
//!
//! Not here: documents (`handle`), what happens inside (`actor`).

use selvedge::DocName;
use selvedge::sync::{Config, Engine};
use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::{Actor, Command, Ports};
use crate::error::ClientError;
use crate::handle::DocHandle;
use crate::progress::Connection;
use crate::socket;
use crate::store::{StoreKind, Worker};

/// Commands that may wait for the actor; then whoever gives one waits.
const INBOX: usize = 1024;

/// Messages from the relay that may wait for the actor; then the relay waits.
const NET_INBOX: usize = 64;

/// Documents kept on this device and synced with a relay. Cheap to clone; it ends when the last clone and the last
/// handle are gone.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    connection: watch::Receiver<Connection>,
}

/// What a client is started with.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    relay: Option<String>,
    credential: Option<String>,
    store: StoreKind,
}

impl Builder {
    /// The relay to sync with, as `ws://host:port` (or `http://`). Without one the client works alone.
    pub fn relay(mut self, url: impl Into<String>) -> Self {
        self.relay = Some(url.into());
        self
    }

    /// The token that is presented to the relay.
    pub fn credential(mut self, token: impl Into<String>) -> Self {
        self.credential = Some(token.into());
        self
    }

    /// Where documents are kept.
    pub fn store(mut self, store: StoreKind) -> Self {
        self.store = store;
        self
    }

    /// Opens the store and starts; it does not wait for the relay. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the relay's address cannot be used or the store cannot be opened.
    pub async fn start(self) -> Result<Client, ClientError> {
        let address = self.relay.as_deref().map(socket::address).transpose()?;
        let (done, stored) = mpsc::unbounded_channel();
        let worker = match self.store {
            StoreKind::Memory => None,
            StoreKind::Folder(folder) => {
                let opened = tokio::task::spawn_blocking(move || Worker::start(folder, done)).await;
                Some(opened.map_err(|_| ClientError::Closed)??)
            }
        };
        let config = Config::client();
        let (commands, inbox) = mpsc::channel(INBOX);
        let (events, net) = mpsc::channel(NET_INBOX);
        let (connection, connection_seen) = watch::channel(Connection::None);
        let net_task = address.map(|address| {
            connection.send_replace(Connection::Connecting);
            tokio::spawn(socket::run(address, config.limits.max_message_bytes, events))
        });
        let ports = Ports { commands: commands.downgrade(), inbox, net, stored };
        let actor = Actor::new(Engine::new(config), self.credential, ports, net_task, worker, connection);
        tokio::spawn(actor.run());
        Ok(Client { commands, connection: connection_seen })
    }
}

impl Client {
    /// What to start a client with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Opens a document: from the store, or a new one. It does not wait for the relay (`DocHandle::wait_caught_up`
    /// does).
    ///
    /// # Errors
    /// If the name is not allowed, or if the document cannot be read from the store.
    pub async fn open(&self, name: impl Into<String>) -> Result<DocHandle, ClientError> {
        self.open_with(name.into(), false).await
    }

    /// Opens a document in which changes of others wait until `Access::release` imports them.
    ///
    /// # Errors
    /// As `open`; also if the document is open without that.
    pub async fn open_held(&self, name: impl Into<String>) -> Result<DocHandle, ClientError> {
        self.open_with(name.into(), true).await
    }

    async fn open_with(&self, name: String, hold: bool) -> Result<DocHandle, ClientError> {
        let doc = DocName::new(name)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Open { doc, hold, reply };
        self.commands.send(command).await.map_err(|_| ClientError::Closed)?;
        answer.await.map_err(|_| ClientError::Closed)?
    }

    /// The state of the connection, to be watched.
    pub fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.clone()
    }

    /// Ends the client: what is being stored is finished, the connection is closed. Handles are closed after that.
    pub async fn shutdown(self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Shutdown { reply }).await.is_ok() {
            let _ = answer.await;
        }
    }
}

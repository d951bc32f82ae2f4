//! `Client`: the entrance. Starts the actor, the store and the connections.
//!
//! Not here: documents (`handle`), what happens inside (`actor`).

use std::net::SocketAddr;

use selvedge::DocName;
use selvedge::sync::{Config, Engine};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::actor::{Actor, Command, Net, Ports};
use crate::error::ClientError;
use crate::handle::DocHandle;
use crate::progress::Connection;
use crate::socket::{self, NetEvent, Numbers};
use crate::store::{StoreKind, Worker};

/// Commands that may wait for the actor; then whoever gives one waits.
const INBOX: usize = 1024;

/// Messages from the relay that may wait for the actor; then the relay waits.
const NET_INBOX: usize = 64;

/// Documents kept on this device and synced with others. Cheap to clone; it ends when the last clone and the last
/// handle are gone.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    connection: watch::Receiver<Connection>,
    listening: Option<SocketAddr>,
}

/// The documents of a prefix, as they appear.
#[derive(Debug)]
pub struct Following(mpsc::UnboundedReceiver<Result<DocHandle, ClientError>>);

impl Following {
    /// The next document that was opened, or why one cannot be, or why a relay does not tell (`NotCompared`); `None` when
    /// the client has ended.
    pub async fn next(&mut self) -> Option<Result<DocHandle, ClientError>> {
        self.0.recv().await
    }
}

/// What a client is started with.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    relays: Vec<String>,
    credential: Option<String>,
    listen: Option<String>,
    listen_token: Option<String>,
    store: StoreKind,
}

impl Builder {
    /// A relay, or a device that listens, to sync with, as `ws://host:port` (or `http://`). Given several times, the
    /// client is connected to all of them, and its status tells of the best. Without one the client works alone.
    pub fn relay(mut self, url: impl Into<String>) -> Self {
        self.relays.push(url.into());
        self
    }

    /// Takes connections from other devices at `address`, as `host:port`; port 0 takes a free one
    /// (`Client::listening`). They share the documents that are open here. Without `listen_token` only loopback
    /// addresses are allowed.
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = Some(address.into());
        self
    }

    /// What those who dial this device must present; it lets them read and write everything that is open here.
    pub fn listen_token(mut self, token: impl Into<String>) -> Self {
        self.listen_token = Some(token.into());
        self
    }

    /// The token that is presented to the relays.
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
    /// If an address cannot be used or the store cannot be opened.
    pub async fn start(self) -> Result<Client, ClientError> {
        let addresses = self.relays.iter().map(|url| socket::address(url)).collect::<Result<Vec<_>, _>>()?;
        let listener = match &self.listen {
            Some(address) => Some(bind(address, self.listen_token.is_some()).await?),
            None => None,
        };
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
        let listening = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let net_tasks = start_net(addresses, listener, self.listen_token, config.limits.max_message_bytes, &events);
        let first = if net_tasks.states.is_empty() { Connection::None } else { Connection::Connecting };
        let (connection, connection_seen) = watch::channel(first);
        let ports = Ports { commands: commands.downgrade(), inbox, net, stored };
        let actor = Actor::new(Engine::new(config), self.credential, ports, net_tasks, worker, connection);
        tokio::spawn(actor.run());
        Ok(Client { commands, connection: connection_seen, listening })
    }
}

/// Starts one task per relay, and one for the listener.
fn start_net(
    addresses: Vec<String>,
    listener: Option<TcpListener>,
    listen_token: Option<String>,
    max_message_bytes: usize,
    events: &mpsc::Sender<NetEvent>,
) -> Net {
    let step = addresses.len() as u64 + 1;
    let listener = listener.map(|listener| {
        let numbers = Numbers { first: step - 1, step };
        tokio::spawn(socket::listen(listener, numbers, max_message_bytes, events.clone()))
    });
    let states = vec![Connection::Connecting; addresses.len()];
    let relays = addresses.into_iter().enumerate().map(|(relay, address)| {
        let numbers = Numbers { first: relay as u64, step };
        Some(tokio::spawn(socket::run(address, relay, numbers, max_message_bytes, events.clone())))
    });
    Net { relays: relays.collect(), states, listener, listen_token }
}

async fn bind(address: &str, has_token: bool) -> Result<TcpListener, ClientError> {
    let fail = |problem: String| ClientError::Listen { address: address.to_owned(), problem };
    let listener = TcpListener::bind(address).await.map_err(|error| fail(error.to_string()))?;
    let bound = listener.local_addr().map_err(|error| fail(error.to_string()))?;
    if !has_token && !bound.ip().is_loopback() {
        return Err(fail("without a token only a loopback address, like 127.0.0.1, is allowed".to_owned()));
    }
    Ok(listener)
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

    /// Opens every document whose name begins with `prefix` as it appears on a relay, and keeps it open: what there is
    /// now, and what others make later. While nothing changes this costs the connection next to nothing. It ends when
    /// what is returned is dropped; the documents stay open. At most 1,000 documents can be open over one connection.
    ///
    /// # Errors
    /// If the prefix is longer than a name may be.
    pub async fn follow(&self, prefix: impl Into<String>) -> Result<Following, ClientError> {
        let prefix = prefix.into();
        if !prefix.is_empty() {
            DocName::new(prefix.as_str())?;
        }
        let (found, documents) = mpsc::unbounded_channel();
        self.commands.send(Command::Follow { prefix, found }).await.map_err(|_| ClientError::Closed)?;
        Ok(Following(documents))
    }

    async fn open_with(&self, name: String, hold: bool) -> Result<DocHandle, ClientError> {
        let doc = DocName::new(name)?;
        let (reply, answer) = oneshot::channel();
        let command = Command::Open { doc, hold, reply };
        self.commands.send(command).await.map_err(|_| ClientError::Closed)?;
        answer.await.map_err(|_| ClientError::Closed)?
    }

    /// Where this device takes connections from others, with the real port; `None` without `Builder::listen`.
    pub fn listening(&self) -> Option<SocketAddr> {
        self.listening
    }

    /// The state of the connection, to be watched; of several, of the best.
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

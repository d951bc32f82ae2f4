//! `serve`: puts the relay together, listens, and ends it in order.
//!
//! Always holds: what is wrong with the configuration is known before anything is served, in one line; the end comes
//! in the order stop accepting, store what is queued, say goodbye, close the store. Not here: arguments (`args`).

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use selvedge::store::{Store, StoreError};
use selvedge::sync::{self, Engine};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::auth::{Gate, KeyError};
use crate::connection::Shared;
use crate::http::{Web, router};
use crate::hub::{Hub, Sources};
use crate::link::{self, Link};
use crate::origin::{Origins, is_loopback_address};
use crate::redb_store::{FILE_NAME, RedbStore};
use crate::scrub;
use crate::storage::Storage;

/// Inputs that may wait for the hub.
const HUB_QUEUE: usize = 1024;
/// Sockets beyond the clients: web pages, health checks, clients on their way to being told that it is full.
const SPARE_SOCKETS: usize = 128;
/// What a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// About the largest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// How long the end waits for connections.
const GOODBYE_PATIENCE: Duration = Duration::from_secs(2);

/// What a relay is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port; port 0 takes a free one.
    pub listen: String,
    /// The data folder.
    pub data: PathBuf,
    /// The key of the tokens; without one, only loopback is served.
    pub token_key: Option<PathBuf>,
    /// What a token's audience must name, if it has one.
    pub token_audience: Option<String>,
    /// The folder of static files.
    pub web: Option<PathBuf>,
    /// Largest message from a client, in bytes.
    pub max_message_bytes: usize,
    /// Most bytes that may wait for one client that reads slowly; beyond that it gets no changes until it has read some.
    pub max_queued_bytes: usize,
    /// Most clients at a time.
    pub max_connections: usize,
    /// Web origins that may connect; none: the own host and loopback.
    pub origins: Vec<String>,
    /// Relays to link with, as ws://host:port.
    pub peers: Vec<String>,
    /// The file with the token that is presented to them.
    pub peer_token_file: Option<PathBuf>,
    /// How fast stored documents are scrubbed, in bytes per second; 0: not at all.
    pub scrub_bytes_per_s: u64,
}

impl Config {
    /// The defaults of the command line: loopback without tokens, on a free port.
    pub fn local(data: impl Into<PathBuf>) -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            data: data.into(),
            token_key: None,
            token_audience: None,
            web: None,
            max_message_bytes: 16 << 20,
            max_queued_bytes: 2 << 20,
            max_connections: 10_000,
            origins: Vec::new(),
            peers: Vec::new(),
            peer_token_file: None,
            scrub_bytes_per_s: 0,
        }
    }
}

/// Why a relay does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The data folder cannot be used.
    #[error("cannot open the data folder: {0}")]
    Store(#[from] StoreError),
    /// The token key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The address is no address.
    #[error("cannot listen on {listen}: {problem}; it must be ADDRESS:PORT, for example 127.0.0.1:8787")]
    Address {
        /// What was asked for.
        listen: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Everybody could read and write everything.
    #[error(
        "refusing to listen on {0} without --token-key: everybody who can connect could read and write every document. \
         Give a key, or listen on 127.0.0.1"
    )]
    Unprotected(SocketAddr),
    /// The port cannot be had.
    #[error("cannot listen on {listen}: {problem}")]
    Listen {
        /// What was asked for.
        listen: SocketAddr,
        /// What the operating system says.
        problem: String,
    },
    /// An origin is none.
    #[error("--origin: {0}")]
    Origin(String),
    /// A peer cannot be dialed like this.
    #[error("{0}")]
    Peer(String),
    /// The folder of static files is not there.
    #[error("--web {0}: there is no such folder")]
    Web(PathBuf),
    /// No thread could be started.
    #[error("cannot start the storage thread: {0}")]
    Thread(std::io::Error),
}

/// A relay that runs. Dropped without `shutdown`, it is torn down as if it had been killed.
#[derive(Debug)]
pub struct Relay {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    ending: Arc<AtomicBool>,
    hub: tokio::task::JoinHandle<()>,
    accepting: tokio::task::JoinHandle<()>,
    scrubbing: Option<tokio::task::JoinHandle<()>>,
    tasks: TaskTracker,
    storage: Option<JoinHandle<()>>,
}

/// Starts a relay on the store in the data folder.
///
/// # Errors
/// If the configuration is wrong, the store cannot be opened, or the port cannot be had.
pub async fn serve(config: Config) -> Result<Relay, ServeError> {
    let prepared = Prepared::new(&config)?;
    let store = RedbStore::open(&config.data)?;
    let name = config.data.join(FILE_NAME).display().to_string();
    prepared.start(config, Box::new(store), name).await
}

/// Starts a relay on any store; `config.data` is only named in messages.
///
/// # Errors
/// As `serve`.
pub async fn serve_with(config: Config, store: Box<dyn Store + Send>) -> Result<Relay, ServeError> {
    let name = config.data.display().to_string();
    Prepared::new(&config)?.start(config, store, name).await
}

/// What was checked before anything was opened.
struct Prepared {
    listen: SocketAddr,
    gate: Gate,
    origins: Origins,
    web: Option<PathBuf>,
    links: Vec<Link>,
}

impl Prepared {
    fn new(config: &Config) -> Result<Self, ServeError> {
        let listen = resolve(&config.listen)?;
        let gate = match &config.token_key {
            Some(file) => Gate::from_key_file(file, config.token_audience.as_deref())?,
            None if is_loopback_address(&listen.ip()) => Gate::open(),
            None => return Err(ServeError::Unprotected(listen)),
        };
        let origins = Origins::new(&config.origins, gate.is_open()).map_err(ServeError::Origin)?;
        let web = match &config.web {
            Some(folder) if !folder.is_dir() => return Err(ServeError::Web(folder.clone())),
            Some(folder) => Some(folder.clone()),
            None => Some(Path::new("web-demo/dist").to_owned()).filter(|folder| folder.is_dir()),
        };
        let links = link::links(&config.peers, config.peer_token_file.as_deref()).map_err(ServeError::Peer)?;
        Ok(Self { listen, gate, origins, web, links })
    }

    async fn start(self, config: Config, store: Box<dyn Store + Send>, name: String) -> Result<Relay, ServeError> {
        let listener = TcpListener::bind(self.listen).await;
        let listener = listener.map_err(|error| listen_error(self.listen, &error))?;
        let local_addr = listener.local_addr().map_err(|error| listen_error(self.listen, &error))?;

        let (to_hub, connections) = mpsc::channel(HUB_QUEUE);
        let (answer, answers) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let (storage, thread) = Storage::start(store, answer.clone()).map_err(ServeError::Thread)?;
        let healthy = storage.health();
        let scrubbing = (config.scrub_bytes_per_s > 0).then(|| {
            let rate = config.scrub_bytes_per_s;
            tokio::spawn(scrub::run(storage.clone(), answer, name.clone(), rate, stopped.clone()))
        });
        let mut engine = sync::Config::relay();
        engine.limits.max_message_bytes = config.max_message_bytes;
        engine.limits.max_unwritten_bytes = config.max_queued_bytes;
        engine.limits.max_connections = config.max_connections + self.links.len();
        engine.collections = true;
        let peers = self.links.iter().map(|link| link.url.clone()).collect();
        let (hub, rooms) = Hub::new(Engine::new(engine), self.gate, storage, name, peers);
        let hub = tokio::spawn(hub.run(Sources { connections, answers, stop: stopped.clone() }, rooms));

        let (ending, tasks) = (Arc::new(AtomicBool::new(false)), TaskTracker::new());
        let shared = Shared::new(to_hub, config.max_message_bytes);
        for link in self.links {
            tasks.spawn(link.keep(shared.clone(), stopped.clone()));
        }
        let web = Web {
            shared,
            origins: self.origins,
            folder: self.web,
            healthy,
            ending: Arc::clone(&ending),
            tasks: tasks.clone(),
        };
        let sockets = Arc::new(Semaphore::new(config.max_connections + SPARE_SOCKETS));
        let accepting = tokio::spawn(accept(listener, web, sockets, stopped));
        Ok(Relay { local_addr, stop, ending, hub, accepting, scrubbing, tasks, storage: Some(thread) })
    }
}

impl Relay {
    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Ends in order: everything that was received is stored, every client is told. Takes seconds at most.
    pub async fn shutdown(mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
        // A task that panicked is a bug of ours and was reported on stderr by the runtime; the end goes on.
        let _ = (&mut self.accepting).await;
        let _ = (&mut self.hub).await;
        self.tasks.close();
        let _ = tokio::time::timeout(GOODBYE_PATIENCE, self.tasks.wait()).await;
        // The hub is gone and with it the thread's last sender: it ends after the last commit and closes the store.
        if let Some(thread) = self.storage.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
        self.hub.abort();
        self.scrubbing.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn accept(listener: TcpListener, web: Web, sockets: Arc<Semaphore>, mut stop: watch::Receiver<bool>) {
    let tasks = web.tasks.clone();
    let router = router(web);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stopped(&mut stop) => return,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually too many open files: it passes when connections end.
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(permit) = Arc::clone(&sockets).try_acquire_owned() else {
            tracing::warn!("too many sockets: a connection was dropped");
            continue;
        };
        tasks.spawn(serve_socket(stream, router.clone(), permit, stop.clone()));
    }
}

/// Serves HTTP on one socket until it is closed or becomes a WebSocket.
async fn serve_socket(
    stream: TcpStream,
    router: axum::Router,
    permit: OwnedSemaphorePermit,
    mut stop: watch::Receiver<bool>,
) {
    // Small frames must not wait for an acknowledgement of the network.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("no TCP_NODELAY: {error}");
    }
    // The socket counts until the last one who uses it is done: the WebSocket takes the permit along.
    let permit = Arc::new(permit);
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Arc::clone(&permit));
        routes.call(request)
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_HEAD_BYTES);
    let connection = server.serve_connection(TokioIo::new(stream), service).with_upgrades();
    tokio::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!("HTTP: {error}");
    }
}

/// Waits until the relay is told to end, or is dropped.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn resolve(listen: &str) -> Result<SocketAddr, ServeError> {
    let wrong = |problem: String| ServeError::Address { listen: listen.to_owned(), problem };
    let mut addresses = listen.to_socket_addrs().map_err(|error| wrong(error.to_string()))?;
    addresses.next().ok_or_else(|| wrong("it names no address".to_owned()))
}

fn listen_error(listen: SocketAddr, error: &std::io::Error) -> ServeError {
    let problem = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "the port is in use by another program; stop it, or choose another with --listen".to_owned()
        }
        _ => error.to_string(),
    };
    ServeError::Listen { listen, problem }
}

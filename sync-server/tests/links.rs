//! Relays that are linked, each a process of its own: what one learns all learn, also what nobody has open, and also what
//! was written while one of them was away.

#[path = "support/client.rs"]
mod client;
#[path = "support/process.rs"]
mod process;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use client::Client;
use process::{Process, run};
use selvedge::DocName;
use selvedge::merkle::{Collection, StateDigest};
use selvedge::store::Store;
use selvedge::sync::{Config, ConnId, DocState, Effect, Engine, Input, Link, Role};
use selvedge_relay::redb_store::RedbStore;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// Only there to end a test that hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A port that is free now: a relay that comes back must be found where it was.
fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port")
}

/// A relay that can be killed and started again at its address.
struct Node {
    folder: TempDir,
    addr: SocketAddr,
    peers: Vec<String>,
    process: Option<Process>,
}

impl Node {
    fn new(peers: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let peers = peers.iter().map(|peer| format!("ws://{peer}")).collect();
        let mut node = Self { folder, addr: free_address(), peers, process: None };
        node.start();
        node
    }

    fn start(&mut self) {
        let listen = self.addr.to_string();
        let mut args = vec!["--listen", listen.as_str()];
        self.peers.iter().for_each(|peer| args.extend(["--peer", peer]));
        self.process = Some(Process::start_with(self.folder.path(), &args));
    }

    /// Ends it at once, as a power failure would.
    fn kill(&mut self) {
        let process = self.process.take().expect("it runs");
        process.signal("KILL");
        process.wait();
    }

    /// Ends it in order; what is in its store then.
    fn stop(&mut self) -> (usize, [u8; 16]) {
        let process = self.process.take().expect("it runs");
        process.signal("TERM");
        let (status, log) = process.wait();
        assert!(status.success(), "{log}");
        contents(self.folder.path())
    }
}

/// The number of documents in a store, and the fingerprint of them all.
fn contents(folder: &Path) -> (usize, [u8; 16]) {
    let mut store = RedbStore::open(folder).expect("opens");
    let mut collection = Collection::of("", 0);
    for doc in store.documents().expect("lists") {
        let mut logs = selvedge::graph::Logs::new();
        for record in store.read(&doc, 0).expect("reads") {
            logs.append(&selvedge::op::Batch::decode(&record.bytes).expect("a batch")).expect("fits");
        }
        let digest: StateDigest = DocState { logs: logs.state() }.digest();
        collection.update(&doc, &digest);
    }
    (collection.len(), collection.fingerprint())
}

/// A client that writes one entry into a document of a relay, durably, and goes.
async fn write(replica: u128, doc: &str, text: &str, node: &Node) {
    let mut client = Client::connected(replica, doc, node.addr).await;
    client.edit(text).await;
    client.until("it is durable", Client::is_durable).await;
}

/// What a relay answers to a small question about everything, in bytes: of the question, and of the answer.
async fn ask(node: &Node, question: &[u8]) -> Vec<u8> {
    use futures_util::{SinkExt, StreamExt};
    use tokio_tungstenite::tungstenite::Message;
    let mut socket = client::socket(node.addr).await;
    let (mut engine, conn) = (Engine::new(Config::client()), ConnId(1));
    engine.handle(0, Input::Connected { conn, role: Role::Dialer, link: Link::Remote, credential: None });
    engine.handle(0, Input::Ask { conn, collection: String::new(), question: question.to_vec() });
    for _ in 0..100 {
        while let Some(effect) = engine.poll_effect() {
            match effect {
                Effect::Send { bytes, .. } => socket.send(Message::Binary(bytes.into())).await.expect("sends"),
                Effect::Answered { answer, .. } => return answer.expect("relays compare collections"),
                _ => {}
            }
        }
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("it answers");
        if let Some(Ok(Message::Binary(bytes))) = message {
            engine.handle(0, Input::Received { conn, bytes: bytes.into() });
        }
    }
    panic!("no answer");
}

/// Waits until a relay, which nobody opens anything at, says that it has the same documents as `collection`.
async fn until_same(node: &Node, collection: &mut Collection) {
    let question = selvedge::merkle::Initiator::hello(collection, None, 1).1;
    let start = Instant::now();
    loop {
        let answer = ask(node, &question).await;
        // Same.
        if answer.first() == Some(&0) {
            assert!(question.len() + answer.len() < 200, "{} and {} bytes", question.len(), answer.len());
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{} does not get the same documents", node.addr);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The collection of one entry per document, as `write` makes them.
fn written(entries: &[(u128, &str, &str)]) -> Collection {
    let mut docs: std::collections::BTreeMap<&str, selvedge::graph::Logs> = std::collections::BTreeMap::new();
    for (replica, name, text) in entries {
        let mut doc = selvedge::Doc::new(selvedge::ReplicaId::from(*replica));
        doc.change(|tx| tx.list("log").push(*text)).expect("an edit");
        docs.entry(name).or_default().append(&doc.take_batch()).expect("fits");
    }
    let mut collection = Collection::of("", 0);
    for (name, mut logs) in docs {
        let digest = DocState { logs: logs.state() }.digest();
        collection.update(&DocName::new(name).expect("a name"), &digest);
    }
    collection
}

/// The whole story: A – B – C, live, with B away, and of what nobody at C ever opened.
#[tokio::test(flavor = "multi_thread")]
async fn three_relays_in_a_line_become_equal_whatever_happens_to_the_middle_one() {
    let c = Node::new(&[]);
    let mut b = Node::new(&[c.addr]);
    let a = Node::new(&[b.addr]);
    let (mut at_a, mut at_c) = (Client::connected(1, "d", a.addr).await, Client::connected(2, "d", c.addr).await);
    at_a.edit("from a").await;
    at_a.until("it is durable at A", Client::is_durable).await;
    at_c.until("the edit at A reaches C", |c| c.log() == ["from a"]).await;
    at_c.edit("from c").await;
    at_a.until("the edit at C reaches A", |a| a.log().len() == 2).await;

    // What nobody at B and C has open.
    write(3, "unseen", "at a", &a).await;
    let seen = [(3, "unseen", "at a")];
    let mut late = Client::connected(4, "unseen", c.addr).await;
    late.until("C has it", |late| late.log() == ["at a"]).await;
    drop(late);

    b.kill();
    at_a.edit("while b is away").await;
    at_a.until("it is durable at A", Client::is_durable).await;
    write(5, "written while b is away", "at a", &a).await;
    write(6, "and at c", "at c", &c).await;
    assert_eq!(at_c.log().len(), 2);
    b.start();
    at_c.until("the edit made meanwhile reaches C", |c| c.log().len() == 3).await;
    drop((at_a, at_c));

    let mut all = written(&[seen[0], (5, "written while b is away", "at a"), (6, "and at c", "at c")]);
    // "d" is what A has of it; all the rest is known.
    let d = digest_at(&a, "d").await;
    all.update(&DocName::new("d").expect("a name"), &d);
    for node in [&a, &b, &c] {
        until_same(node, &mut all).await;
    }
    let contents = [a, b, c].map(|mut node| node.stop());
    assert_eq!(contents[0], (4, all.fingerprint()));
    assert!(contents.iter().all(|other| *other == contents[0]), "{contents:?}");
}

/// The state of a document at a relay, as a client sees it.
async fn digest_at(node: &Node, doc: &str) -> StateDigest {
    let mut client = Client::connected(99, doc, node.addr).await;
    client.until("it is all here", |client| client.log().len() == 3).await;
    DocState { logs: client.doc.log_states() }.digest()
}

/// Documents that were there before the relays were linked are exchanged, and the store's are counted at the start.
#[tokio::test(flavor = "multi_thread")]
async fn relays_that_are_linked_later_exchange_everything() {
    let b = Node::new(&[]);
    let mut a = Node::new(&[]);
    let entries: Vec<(u128, String)> = (0..40).map(|i| (i + 1, format!("doc {i}"))).collect();
    for (replica, doc) in &entries {
        write(*replica, doc, "x", if replica % 3 == 0 { &a } else { &b }).await;
    }
    let entries: Vec<_> = entries.iter().map(|(replica, doc)| (*replica, doc.as_str(), "x")).collect();
    let mut all = written(&entries);
    a.kill();
    a.peers.push(format!("ws://{}", b.addr));
    a.start();
    until_same(&a, &mut all).await;
    until_same(&b, &mut all).await;
    // Nothing was opened for long: an orderly end finds both stores equal.
    let contents = [a, b].map(|mut node| node.stop());
    assert_eq!(contents, [(40, all.fingerprint()); 2]);
}

/// A place between two relays that counts what passes, in both directions.
struct Tap {
    addr: SocketAddr,
    bytes: Arc<AtomicUsize>,
}

impl Tap {
    async fn new(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let (addr, bytes) = (listener.local_addr().expect("its address"), Arc::<AtomicUsize>::default());
        let counted = Arc::clone(&bytes);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(to).await else { continue };
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(pass(near_in, far_out, Arc::clone(&counted)));
                tokio::spawn(pass(far_in, near_out, Arc::clone(&counted)));
            }
        });
        Self { addr, bytes }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, bytes: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        bytes.fetch_add(read, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Texts of 1,000 characters that do not deflate well.
struct Noise(u64);

impl Noise {
    fn next_text(&mut self) -> String {
        let next = |state: &mut u64| {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            char::from(b'0' + (*state >> 58) as u8)
        };
        (0..1_000).map(|_| next(&mut self.0)).collect()
    }
}

/// A → B → C → A: whatever is said in a circle comes to rest, and does not go round.
#[tokio::test(flavor = "multi_thread")]
async fn three_relays_in_a_circle_become_equal_and_then_silent() {
    let mut c = Node::new(&[]);
    let to_c = Tap::new(c.addr).await;
    let b = Node::new(&[to_c.addr]);
    let to_b = Tap::new(b.addr).await;
    let a = Node::new(&[to_b.addr]);
    let to_a = Tap::new(a.addr).await;
    c.kill();
    c.peers.push(format!("ws://{}", to_a.addr));
    c.start();
    let passed = || [&to_a, &to_b, &to_c].map(|tap| tap.bytes.load(Ordering::Relaxed));

    let (mut writers, mut noise) = (Vec::new(), Noise(1));
    for (replica, node) in [(1, &a), (2, &b), (3, &c)] {
        writers.push(Client::connected(replica, "d", node.addr).await);
    }
    for round in 1..=20 {
        for writer in &mut writers {
            writer.edit(&noise.next_text()).await;
            writer.until("it is durable", Client::is_durable).await;
        }
        for writer in &mut writers {
            writer.until("all have it", |writer| writer.log().len() == 3 * round).await;
        }
    }
    assert!(writers.windows(2).all(|pair| pair[0].log() == pair[1].log()));
    drop(writers);
    for (replica, node) in [(4, &a), (5, &b), (6, &c)] {
        write(replica, &format!("only at {}", node.addr), "x", node).await;
    }
    // Signs of life come every 15 s; news, and whatever would go round, more often than every two.
    let start = Instant::now();
    let mut quiet = 0;
    while quiet < 30 {
        let before = passed();
        tokio::time::sleep(Duration::from_millis(100)).await;
        quiet = if passed() == before { quiet + 1 } else { 0 };
        assert!(start.elapsed() < PATIENCE, "it goes round and round: {:?}", passed());
    }
    let bytes: usize = passed().iter().sum();
    println!("{bytes} bytes between three relays for 60 changes of 1,000 bytes, and three documents");
    // Every change needs two links; what is announced over the third is small once the tree has formed.
    assert!(bytes < 3 * 60 * 1_000, "{bytes}");
    let contents = [a, b, c].map(|mut node| node.stop());
    assert_eq!(contents[0].0, 4);
    assert!(contents.iter().all(|other| *other == contents[0]), "{contents:?}");
}

#[test]
fn a_wrong_peer_is_a_clear_error_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&["--peer", "10.0.0.2:8787"], "neither ws:// nor http://"),
        (&["--peer", "wss://b.example.org"], "no TLS"),
        (&["--peer", "ws://b:notaport"], "no port"),
        (&["--peer", "ws://b", "--peer", "http://b"], "twice"),
        (&["--peer", "ws://b", "--peer-token-file", "/nowhere/token"], "/nowhere/token"),
    ];
    for (args, says) in cases {
        let output = run(&[&["serve", "--listen", "127.0.0.1:0", "--data", data.as_str()], args].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(says) && error.lines().count() == 1, "{error}");
    }
}

/// With tokens: a link needs one, for everything; and a relay that has none goes on alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_presents_its_token() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, token) = (folder.path().join("key"), folder.path().join("token"));
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").expect("writes");
    let key = key.display().to_string();
    let made = run(&["token", "--token-key", &key, "--doc", "*=rw"]);
    assert!(made.status.success());
    let b = Process::start(&folder.path().join("b"), &["--token-key", &key]);
    let peer = format!("ws://{}", b.addr);
    let a = Process::start(&folder.path().join("a"), &["--peer", &peer, "--log", "info"]);
    let mut at_a = Client::connected(1, "d", a.addr).await;
    at_a.edit("alone").await;
    at_a.until("it is durable at A", Client::is_durable).await;
    a.until_logged("asks for a token");
    a.until_logged(&peer);
    a.signal("TERM");
    assert!(a.wait().0.success());

    std::fs::write(&token, made.stdout).expect("writes");
    let token = token.display().to_string();
    let args = ["--peer", peer.as_str(), "--peer-token-file", &token];
    let a = Process::start(&folder.path().join("a"), &args);
    let credential = std::fs::read_to_string(&token).expect("reads");
    let mut at_b = Client::new(2, "d");
    at_b.connect(b.addr, Some(credential.trim())).await;
    at_b.until("the edit comes over the link", |b| b.log() == ["alone"]).await;
    drop(a);
}

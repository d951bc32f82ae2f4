//! Bad input through a real socket, and rights: whoever sends nonsense, too much, or what its token does not allow is
//! closed with a number and a reason, nothing of it is applied, and nobody else notices. Bug classes C (22, 26) and
//! J (51, 54, 55).

#[path = "support/client.rs"]
mod client;

use std::path::PathBuf;
use std::time::Duration;

use client::{Client, closing, socket};
use futures_util::{SinkExt, StreamExt};
use selvedge::clock::Hlc;
use selvedge::op::{Change, Dep, LogHead, Segment};
use selvedge::store::{MemoryStore, Store};
use selvedge::sync::{GrantRule, RefuseCode, Rights};
use selvedge::{DocName, ReplicaId};
use selvedge_relay::auth;
use selvedge_relay::serve::{Config, Relay, serve_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

const MAX_MESSAGE_BYTES: usize = 64 << 10;

struct Scene {
    relay: Relay,
    store: MemoryStore,
    key: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scene {
    async fn new(tokens: bool, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("key");
        std::fs::write(&key, "0123456789abcdef0123456789abcdef").expect("writes");
        let mut config = Config::local("the test's store");
        config.max_message_bytes = MAX_MESSAGE_BYTES;
        config.token_key = tokens.then(|| key.clone());
        change(&mut config);
        let store = MemoryStore::new();
        let relay = serve_with(config, Box::new(store.clone())).await.expect("starts");
        Self { relay, store, key, _folder: folder }
    }

    fn token(&self, pattern: &str, rights: Rights, ttl_s: u64) -> String {
        let rule = GrantRule { documents: pattern.to_owned(), rights };
        auth::mint(&self.key, &[rule], Some("ada"), Duration::from_secs(ttl_s)).expect("signs")
    }

    fn stored(&mut self, name: &str) -> usize {
        self.store.read(&DocName::new(name).expect("a name"), 0).expect("reads").len()
    }

    async fn close_of(&self, bytes: Vec<u8>) -> (u16, String) {
        let mut socket = socket(self.relay.local_addr()).await;
        socket.send(Message::Binary(bytes.into())).await.expect("sends");
        closing(&mut socket).await
    }
}

/// Two clients that work all the while.
struct Bystanders(Client, Client);

impl Bystanders {
    async fn new(scene: &Scene) -> Self {
        let mut a = Client::connected(101, "quiet", scene.relay.local_addr()).await;
        let mut b = Client::connected(102, "quiet", scene.relay.local_addr()).await;
        a.edit("hello").await;
        a.until("a is here", Client::is_durable).await;
        b.until("b is here", |b| b.log().len() == 1).await;
        Self(a, b)
    }

    /// Over the connections that they had from the beginning.
    async fn still_work(mut self) {
        let before = self.1.log().len();
        self.0.edit("still here").await;
        self.0.until("a goes on", Client::is_durable).await;
        self.1.until("b goes on", |b| b.log().len() == before + 1).await;
        assert_eq!((self.0.closed, self.1.closed), (None, None));
    }
}

/// The greeting that a client of ours sends.
fn greeting(client: &Client) -> Vec<u8> {
    client.sent[0].clone()
}

#[tokio::test]
async fn nonsense_is_closed_with_a_number_and_harms_nobody() {
    let scene = Scene::new(false, |_| {}).await;
    let bystanders = Bystanders::new(&scene).await;
    let hello = greeting(&bystanders.0);
    let cut = |len: usize| hello[..len].to_vec();
    for (bytes, what) in [
        (Vec::new(), "an empty message"),
        (vec![0xff; 100], "noise"),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), "HTTP inside a frame"),
        (cut(1), "a cut greeting"),
        (cut(hello.len() - 1), "a greeting without its end"),
        ([&hello[..], &[0]].concat(), "a greeting with something behind it"),
        (vec![1, 0, 0, 0], "a message before the greeting"),
    ] {
        let (code, text) = scene.close_of(bytes).await;
        assert!(code == 4001 || code == 4005, "{what}: {code} {text}");
        assert!(!text.is_empty(), "{what}");
    }
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

#[tokio::test]
async fn an_unknown_version_is_refused_by_name() {
    let scene = Scene::new(false, |_| {}).await;
    let bystanders = Bystanders::new(&scene).await;
    let mut hello = greeting(&bystanders.0);
    // Behind the format, the magic word and the kind: the oldest and the newest version offered.
    assert_eq!(hello[10..12], [1, 1]);
    hello[10..12].copy_from_slice(&[7, 9]);
    let (code, text) = scene.close_of(hello).await;
    assert_eq!(code, 4003);
    assert!(text.contains("7 to 9") && text.contains("1 to 1"), "{text}");
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

#[tokio::test]
async fn too_much_is_closed_before_it_is_kept() {
    let scene = Scene::new(false, |_| {}).await;
    let bystanders = Bystanders::new(&scene).await;
    let (code, text) = scene.close_of(vec![0; MAX_MESSAGE_BYTES + 1]).await;
    assert_eq!(code, 4002, "{text}");
    assert!(text.contains(&MAX_MESSAGE_BYTES.to_string()), "{text}");

    // Only a header, which promises 8 EiB.
    let mut socket = socket(scene.relay.local_addr()).await;
    let raw = match socket.get_mut() {
        tokio_tungstenite::MaybeTlsStream::Plain(raw) => raw,
        _ => panic!("no TLS here"),
    };
    raw.write_all(&[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4]).await.expect("writes");
    assert_eq!(closing(&mut socket).await.0, 4002);
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

/// Bug class J (55): very many tiny fragments of one message are bounded like one large frame.
#[tokio::test]
async fn tiny_fragments_are_bounded() {
    let scene = Scene::new(false, |_| {}).await;
    let bystanders = Bystanders::new(&scene).await;
    let (mut sink, mut stream) = socket(scene.relay.local_addr()).await.split();
    let flood = async {
        for number in 0..=MAX_MESSAGE_BYTES {
            let code = if number == 0 { Data::Binary } else { Data::Continue };
            let frame = Frame::message(vec![0x55], OpCode::Data(code), false);
            if sink.send(Message::Frame(frame)).await.is_err() {
                return;
            }
        }
    };
    let answer = async {
        while let Some(message) = stream.next().await {
            if let Ok(Message::Close(Some(frame))) = message {
                return u16::from(frame.code);
            }
        }
        0
    };
    let ((), code) = tokio::join!(flood, answer);
    assert_eq!(code, 4002);
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

#[tokio::test]
async fn what_is_no_web_socket_frame_is_closed() {
    let scene = Scene::new(false, |_| {}).await;
    let bystanders = Bystanders::new(&scene).await;
    for (bytes, what) in [
        (&[0x82, 0x01, 0x00][..], "a frame without a mask"),
        (&[0x83, 0x80, 1, 2, 3, 4], "a reserved kind of frame"),
        (&[0xf2, 0x80, 1, 2, 3, 4], "reserved bits"),
        (&[0x81, 0x81, 0, 0, 0, 0, 0x41], "a text frame"),
        (&[0x80, 0x81, 0, 0, 0, 0, 0x41], "a continuation of nothing"),
    ] {
        let mut socket = socket(scene.relay.local_addr()).await;
        let raw = match socket.get_mut() {
            tokio_tungstenite::MaybeTlsStream::Plain(raw) => raw,
            _ => panic!("no TLS here"),
        };
        raw.write_all(bytes).await.expect("writes");
        let (code, text) = closing(&mut socket).await;
        assert_eq!(code, 4001, "{what}: {text}");
    }
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

/// Whoever connects and says nothing, or goes in the middle of a frame, costs nobody anything.
#[tokio::test]
async fn the_silent_and_the_vanished_harm_nobody() {
    let scene = Scene::new(false, |_| {}).await;
    let bystanders = Bystanders::new(&scene).await;
    let mut silent = Vec::new();
    for number in 0..50 {
        let mut socket = socket(scene.relay.local_addr()).await;
        if number % 2 == 0 {
            let raw = match socket.get_mut() {
                tokio_tungstenite::MaybeTlsStream::Plain(raw) => raw,
                _ => panic!("no TLS here"),
            };
            raw.write_all(&[0x82, 0xfe, 0x10, 0x00, 1, 2, 3, 4, 9]).await.expect("writes");
        } else {
            silent.push(socket);
        }
    }
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let scene = Scene::new(false, |config| config.max_connections = 2).await;
    let bystanders = Bystanders::new(&scene).await;
    let mut third = Client::connected(3, "quiet", scene.relay.local_addr()).await;
    assert_eq!(third.until_closed().await.0, 4007);
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

/// Bug class J (51): nothing of a client is read or stored before its token was checked, even if it did not wait.
#[tokio::test]
async fn without_a_good_token_nothing_is_read_or_stored() {
    let mut scene = Scene::new(true, |_| {}).await;
    let addr = scene.relay.local_addr();
    let good = scene.token("board", Rights::ALL, 3600);
    let foreign = Scene::new(true, |_| {}).await;
    std::fs::write(&foreign.key, "another secret of thirty-two byte").expect("writes");
    let forged = foreign.token("board", Rights::ALL, 3600);
    foreign.relay.shutdown().await;

    // What a client with a good token sends, to be sent again by others.
    let mut author = Client::new(1, "board");
    author.connect(addr, Some(&good)).await;
    author.edit("mine").await;
    author.until("stored", Client::is_durable).await;
    let messages = author.sent.clone();
    assert!(messages.len() >= 3 && scene.stored("board") == 1);

    let scene_without_data = Scene::new(true, |_| {}).await;
    let addr = scene_without_data.relay.local_addr();
    for (token, why) in [
        (None, "none was presented"),
        (Some("nonsense".to_owned()), "not valid"),
        (Some(forged), "signature"),
        (Some(scene.token("board", Rights::ALL, 0)), "expired"),
    ] {
        let mut client = Client::new(2, "board");
        client.connect(addr, token.as_deref()).await;
        let (code, text) = client.until_closed().await;
        assert_eq!(code, 4004, "{text}");
        assert!(text.contains(why), "{text:?} does not say {why:?}");

        client.connect(addr, token.as_deref()).await;
        let mut socket = client.take_socket();
        for message in &messages[1..] {
            // The relay may have closed already.
            let _ = socket.send(Message::Binary(message.clone().into())).await;
        }
        // Not waiting for the answer is a fault of its own: either is the first that the relay sees.
        let (code, text) = closing(&mut socket).await;
        assert!(code == 4004 || code == 4005, "{code} {text}");
    }
    let mut other = scene_without_data;
    assert_eq!(other.stored("board"), 0, "nothing was stored");
    let mut reader = Client::new(3, "board");
    let good = other.token("board", Rights::ALL, 3600);
    reader.connect(addr, Some(&good)).await;
    reader.edit("first").await;
    reader.until("opened", Client::is_durable).await;
    assert_eq!(reader.log(), ["first"], "and nothing was applied");
    other.relay.shutdown().await;
    scene.relay.shutdown().await;
}

/// Bug class J (52, 54): a token opens what it names, for what it allows, and nothing else.
#[tokio::test]
async fn rights_are_those_of_the_token() {
    let mut scene = Scene::new(true, |_| {}).await;
    let addr = scene.relay.local_addr();
    let mut writer = Client::new(1, "notes-1");
    writer.connect(addr, Some(&scene.token("notes-*", Rights::ALL, 3600))).await;
    writer.edit("secret").await;
    writer.until("stored", Client::is_durable).await;

    let mut reader = Client::new(2, "notes-1");
    reader.connect(addr, Some(&scene.token("notes-1", Rights { read: true, write: false }, 3600))).await;
    reader.until("may read", |reader| reader.log() == ["secret"]).await;
    reader.edit("graffiti").await;
    writer.edit("more").await;
    writer.until("stored", Client::is_durable).await;
    reader.until("goes on reading", |reader| reader.log().iter().any(|item| item == "more")).await;
    assert!(!reader.is_durable(), "what it may not write is not acknowledged");

    let mut stranger = Client::new(3, "notes-1");
    stranger.connect(addr, Some(&scene.token("notes-2", Rights::ALL, 3600))).await;
    stranger.until("refused", |stranger| !stranger.refused.is_empty()).await;
    assert!(stranger.log().is_empty());
    assert_eq!(scene.stored("notes-1"), 2);
    assert!(!writer.log().iter().any(|item| item == "graffiti"));
    scene.relay.shutdown().await;
}

#[tokio::test]
async fn a_token_that_expires_ends_its_connection() {
    let scene = Scene::new(true, |_| {}).await;
    let addr = scene.relay.local_addr();
    let mut short = Client::new(1, "board");
    short.connect(addr, Some(&scene.token("board", Rights::ALL, 2))).await;
    let mut long = Client::new(2, "board");
    long.connect(addr, Some(&scene.token("board", Rights::ALL, 3600))).await;
    short.edit("while it lasts").await;
    short.until("works", Client::is_durable).await;
    let (code, text) = short.until_closed().await;
    assert_eq!((code, text.as_str()), (4004, "the token has expired"));
    long.edit("goes on").await;
    long.until("works", Client::is_durable).await;
    short.connect(addr, Some(&scene.token("board", Rights::ALL, 3600))).await;
    short.until("back with a new token", |short| short.log().len() == 2).await;
    scene.relay.shutdown().await;
}

/// Bug class C (22): a change that names a history that never was is not stored, or the document could never be loaded
/// again. Its author is told; the others go on.
#[tokio::test]
async fn a_change_with_a_forged_past_is_not_stored() {
    let mut scene = Scene::new(false, |_| {}).await;
    let addr = scene.relay.local_addr();
    let honest = ReplicaId::from(1);
    let mut client = Client::connected(1, "board", addr).await;
    client.edit("one").await;
    client.until("stored", Client::is_durable).await;
    let end = client.doc.version().end(honest);
    client.edit("two").await;
    client.until("stored", Client::is_durable).await;

    let mut liar = Client::connected(2, "board", addr).await;
    liar.until("has everything", |liar| liar.log().len() == 2).await;
    let dep = Dep { replica: honest, end, digest: [9; 16] };
    let change = Change { hlc: Hlc::new(5, 0), deps: &[dep], message: None, ops: 1, body: &[1, 2, 3] };
    let (mut bytes, mut segment) = (Vec::new(), Segment::new(ReplicaId::from(2), 0));
    LogHead::default().write(&change, &mut bytes);
    segment.push(&bytes);
    liar.forge(segment.into()).await;
    liar.until("told", |liar| liar.refused.iter().any(|(code, _)| *code == RefuseCode::Fork)).await;
    liar.disconnect();
    assert_eq!(scene.stored("board"), 2);

    client.connect(addr, None).await;
    client.edit("three").await;
    client.until("goes on", Client::is_durable).await;
    let mut fresh = Client::connected(3, "board", addr).await;
    fresh.until("reads", |fresh| fresh.log() == ["one", "two", "three"]).await;
    scene.relay.shutdown().await;
}

/// Plain bytes where HTTP is expected.
#[tokio::test]
async fn what_is_no_http_is_answered_and_closed() {
    let scene = Scene::new(false, |_| {}).await;
    let bystanders = Bystanders::new(&scene).await;
    let mut stream = TcpStream::connect(scene.relay.local_addr()).await.expect("connects");
    stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, b'\r', b'\n', b'\r', b'\n']).await.expect("writes");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("it is closed");
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    bystanders.still_work().await;
    scene.relay.shutdown().await;
}

//! The web server: health, static files, and which requests become a WebSocket. Bug class J (cross-site pages).

#[path = "support/client.rs"]
mod client;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use client::Client;
use selvedge::store::MemoryStore;
use selvedge::sync::RefuseCode;
use selvedge_relay::serve::{Config, Relay, serve, serve_with};

async fn relay(change: impl FnOnce(&mut Config)) -> (Relay, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::local(folder.path().join("data"));
    change(&mut config);
    (serve(config).await.expect("starts"), folder)
}

/// Sends a request as it is and reads until the other side closes, or once if it may not.
async fn ask(addr: SocketAddr, request: String, to_the_end: bool) -> (String, String) {
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(addr).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("is set");
        stream.write_all(request.as_bytes()).expect("writes");
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            let read = stream.read(&mut chunk).expect("reads");
            answer.extend_from_slice(&chunk[..read]);
            if read == 0 || !to_the_end {
                break;
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    });
    let answer = answer.await.expect("asks");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_ascii_lowercase(), body.to_owned())
}

async fn get(addr: SocketAddr, path: &str) -> (String, String) {
    ask(addr, format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n"), true).await
}

/// Asks for a WebSocket with more header lines; returns the head of the answer.
async fn upgrade(addr: SocketAddr, path: &str, host: &str, lines: &str) -> String {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    );
    ask(addr, request, false).await.0
}

#[tokio::test]
async fn it_tells_how_it_is_and_what_it_is() {
    let (relay, _folder) = relay(|_| {}).await;
    let addr = relay.local_addr();
    for (path, status, body) in [
        ("/healthz", "200", "ok"),
        ("/readyz", "200", "ready"),
        ("/", "200", "no web page is served here"),
        ("/sync", "426", "connect with a websocket"),
        ("/nothing", "404", "nothing is here"),
    ] {
        let (head, text) = get(addr, path).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{path}: {head}");
        assert!(text.to_ascii_lowercase().contains(body), "{path}: {text}");
    }
    relay.shutdown().await;
    assert!(TcpStream::connect(addr).is_err(), "nobody listens any more");
}

#[tokio::test]
async fn static_files_are_served_from_their_folder_and_nothing_beside_it() {
    let web = tempfile::tempdir().expect("a folder");
    let site = web.path().join("site");
    std::fs::create_dir(&site).expect("a folder");
    std::fs::write(web.path().join("secret"), "secret").expect("writes");
    std::fs::write(site.join("index.html"), "<h1>demo</h1>").expect("writes");
    std::fs::write(site.join("app.wasm"), b"\0asm").expect("writes");
    let (relay, _folder) = relay(|config| config.web = Some(site)).await;
    let addr = relay.local_addr();
    let (head, body) = get(addr, "/").await;
    assert!(head.contains("text/html") && head.contains("nosniff") && body == "<h1>demo</h1>", "{head}\n{body}");
    let (head, _) = get(addr, "/app.wasm").await;
    assert!(head.contains("application/wasm"), "{head}");
    for path in ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "/none"] {
        let (head, body) = get(addr, path).await;
        assert!(!head.starts_with("http/1.1 200") && !body.contains("secret"), "{path}: {head}\n{body}");
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn only_a_proper_handshake_becomes_a_web_socket() {
    let (relay, _folder) = relay(|_| {}).await;
    let addr = relay.local_addr();
    let host = addr.to_string();
    for path in ["/sync", "/"] {
        let head = upgrade(addr, path, &host, "").await;
        assert!(head.starts_with("http/1.1 101") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{path}: {head}");
    }
    let ws = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (request, status) in [
        (format!("GET /sync HTTP/1.1\r\nHost: {host}\r\n{ws}Sec-WebSocket-Key: a\r\n\r\n"), "426"),
        (format!("GET /sync HTTP/1.1\r\nHost: {host}\r\n{ws}Sec-WebSocket-Version: 13\r\n\r\n"), "400"),
        (format!("GET /sync HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: close\r\n\r\n"), "400"),
        (format!("POST /sync HTTP/1.1\r\nHost: {host}\r\n{ws}Content-Length: 0\r\n\r\n"), "405"),
        (format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(100_000)), "431"),
        ("nonsense\r\n\r\n".to_owned(), "400"),
    ] {
        let (head, _) = ask(addr, request.clone(), false).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{request:.80}: {head}");
    }
    relay.shutdown().await;
}

/// Bug class J: a page of somebody else does not get a WebSocket through its visitor's browser.
#[tokio::test]
async fn pages_of_strangers_are_refused() {
    let (relay, _folder) = relay(|_| {}).await;
    let addr = relay.local_addr();
    let port = addr.port();
    for (host, lines, status) in [
        (format!("127.0.0.1:{port}"), String::new(), "101"),
        (format!("localhost:{port}"), format!("Origin: http://localhost:{port}\r\n"), "101"),
        (format!("127.0.0.1:{port}"), "Origin: http://localhost:3000\r\n".to_owned(), "101"),
        (format!("127.0.0.1:{port}"), "Origin: https://evil.example\r\n".to_owned(), "403"),
        (format!("127.0.0.1:{port}"), "Origin: null\r\n".to_owned(), "403"),
        (format!("evil.example:{port}"), format!("Origin: http://evil.example:{port}\r\n"), "403"),
        (format!("evil.example:{port}"), String::new(), "403"),
    ] {
        let head = upgrade(addr, "/sync", &host, &lines).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{host} {lines}: {head}");
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn named_origins_are_the_only_ones() {
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/keys/ed25519.public.pem");
    let (relay, _folder) = relay(|config| {
        config.token_key = Some(key);
        config.origins = vec!["https://notes.example.org".to_owned()];
    })
    .await;
    let addr = relay.local_addr();
    for (origin, status) in [("https://notes.example.org", "101"), ("http://localhost:1", "403")] {
        let head = upgrade(addr, "/sync", "relay.example.org", &format!("Origin: {origin}\r\n")).await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{origin}: {head}");
    }
    relay.shutdown().await;
}

#[tokio::test]
async fn it_is_ready_while_the_store_takes_changes() {
    let store = MemoryStore::new();
    let relay = serve_with(Config::local("the test's store"), Box::new(store.clone())).await.expect("starts");
    let addr = relay.local_addr();
    let mut client = Client::connected(1, "board", addr).await;
    for (full, status) in [(false, "200"), (true, "503"), (false, "200")] {
        store.set_full(full);
        client.connect(addr, None).await;
        client.edit("more").await;
        if full {
            client.until("told", |client| client.refused.iter().any(|(code, _)| *code == RefuseCode::NotStored)).await;
        } else {
            client.until("stored", Client::is_durable).await;
        }
        let (head, body) = get(addr, "/readyz").await;
        assert!(head.starts_with(&format!("http/1.1 {status}")), "{head}{body}");
        assert!(get(addr, "/healthz").await.0.starts_with("http/1.1 200"));
    }
    drop(client);
    relay.shutdown().await;
}

/// A client that never finishes its request does not hinder the end.
#[tokio::test]
async fn half_a_request_does_not_hold_up_the_end() {
    let (relay, _folder) = relay(|_| {}).await;
    let mut stream = TcpStream::connect(relay.local_addr()).expect("connects");
    stream.write_all(b"GET / HT").expect("writes");
    relay.shutdown().await;
}

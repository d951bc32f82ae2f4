//! Several relays at once, and no relay at all: two devices that dial one another.

use selvedge_client::{Client, ClientError, Connection, DocHandle, StoreKind};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cli::{DEADLINE, Running, run, run_ok, selvedge};
use crate::relay::Relay;

/// Waits until the document reads like this.
async fn until(doc: &DocHandle, expected: &Value) {
    let mut progress = doc.progress();
    let wait = async {
        loop {
            progress.borrow_and_update();
            if doc.read(selvedge::Doc::to_json).await.unwrap() == *expected {
                return;
            }
            progress.changed().await.unwrap();
        }
    };
    assert!(timeout(DEADLINE, wait).await.is_ok(), "it never reads {expected}");
}

async fn push(doc: &DocHandle, value: &'static str) {
    doc.change(move |tx| tx.list("todos").push(value)).await.unwrap();
}

/// Every relay gets everything, one that was away later; and what only one relay's clients know reaches the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_two_relays_is_online_while_one_of_them_is() {
    let (mut one, two) = (Relay::start(), Relay::start());
    let both = Client::builder().relay(one.url()).relay(two.url()).start().await.unwrap();
    let doc = both.open("d").await.unwrap();
    push(&doc, "first").await;
    timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
    let mut others = Vec::new();
    for relay in [&one, &two] {
        let client = Client::builder().relay(relay.url()).start().await.unwrap();
        let seen = client.open("d").await.unwrap();
        until(&seen, &json!({"todos": ["first"]})).await;
        others.push((client, seen));
    }

    one.kill();
    push(&doc, "second").await;
    timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
    assert_eq!(*both.connection().borrow(), Connection::Online, "the other relay is there");
    until(&others[1].1, &json!({"todos": ["first", "second"]})).await;
    one.restart();
    push(&others[1].1, "third").await;
    for (_, seen) in &others {
        until(seen, &json!({"todos": ["first", "second", "third"]})).await;
    }
    let wrong = Client::builder().relay(two.url()).relay("two:8787").start().await.err();
    assert!(matches!(&wrong, Some(ClientError::Address { url, .. }) if url == "two:8787"), "{wrong:?}");
}

/// Two devices and nothing between them.
#[tokio::test(flavor = "multi_thread")]
async fn two_clients_without_a_relay_become_equal() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreKind::Folder(folder.path().into());
    let host = Client::builder().store(store).listen("127.0.0.1:0").listen_token("secret").start().await.unwrap();
    let url = format!("ws://{}", host.listening().unwrap());
    let doc = host.open("d").await.unwrap();
    push(&doc, "of the host").await;

    let stranger = Client::builder().relay(&url).credential("guessed").start().await.unwrap();
    let refused = timeout(DEADLINE, stranger.open("d").await.unwrap().wait_caught_up()).await.unwrap();
    assert!(matches!(refused, Err(ClientError::Rejected { .. })), "{refused:?}");

    let guest = Client::builder().relay(&url).credential("secret").start().await.unwrap();
    let seen = guest.open("d").await.unwrap();
    until(&seen, &json!({"todos": ["of the host"]})).await;
    push(&seen, "of the guest").await;
    timeout(DEADLINE, seen.wait_durable()).await.unwrap().unwrap();
    until(&doc, &json!({"todos": ["of the host", "of the guest"]})).await;

    // The guest opens what the host does not have open yet: it is offered when the host opens it.
    let early = guest.open("later").await.unwrap();
    push(&early, "early").await;
    let late = host.open("later").await.unwrap();
    until(&late, &json!({"todos": ["early"]})).await;
    // Both leave in order, and the host has all of it.
    guest.shutdown().await;
    host.shutdown().await;
    let store = StoreKind::Folder(folder.path().into());
    let again = Client::builder().store(store).start().await.unwrap();
    until(&again.open("d").await.unwrap(), &json!({"todos": ["of the host", "of the guest"]})).await;

    let open = Client::builder().listen("0.0.0.0:0").start().await.err();
    assert!(matches!(open, Some(ClientError::Listen { .. })), "beyond loopback it needs a token: {open:?}");
}

/// The same with the command, each in a process of its own.
#[test]
fn one_command_listens_and_another_dials_it() {
    let args = ["watch", "--doc", "d", "--listen", "127.0.0.1:0", "--count", "1"];
    let mut host = Running::start(selvedge(&args));
    let told = host.next_error();
    let url = told.strip_prefix("listening on ").unwrap_or_else(|| panic!("{told}")).to_owned();
    assert!(host.next_error().starts_with("watching d"));
    run_ok(&["edit", "--relay", &url, "--doc", "d", "set", "title", "from afar"]);
    let patch = host.next_line().unwrap();
    assert!(patch.contains("from afar"), "{patch}");
    assert!(host.wait().success(), "{}", host.stderr());
}

/// The command keeps a folder equal to a prefix: what was there, and what comes while it runs.
#[test]
fn a_followed_prefix_is_on_this_device() {
    let relay = Relay::start();
    let url = relay.url();
    let edit = |doc: &str, title: &str| {
        run_ok(&["edit", "--relay", &url, "--doc", doc, "set", "title", title]);
    };
    edit("notes/1", "before");
    edit("other", "not this one");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let args = ["follow", "--relay", &url, "--prefix", "notes/", "--data", &data, "--count", "2"];
    let mut follower = Running::start(selvedge(&args));
    let told = |line: Option<String>| -> serde_json::Value { serde_json::from_str(&line.unwrap()).unwrap() };
    assert_eq!(told(follower.next_line()), json!({"document": "notes/1", "operations": 1}));
    edit("notes/2", "later");
    assert_eq!(told(follower.next_line()), json!({"document": "notes/2", "operations": 1}));
    assert!(follower.wait().success(), "{}", follower.stderr());
    for (doc, title) in [("notes/1", "before"), ("notes/2", "later")] {
        let here: serde_json::Value = serde_json::from_str(&run_ok(&["cat", "--data", &data, "--doc", doc])).unwrap();
        assert_eq!(here, json!({"title": title}));
    }
    assert_eq!(run_ok(&["cat", "--data", &data, "--doc", "other"]).trim(), "{}");
    let none = run(&["follow", "--relay", &url, "--prefix", "nobody/", "--timeout", "1"]);
    let said = String::from_utf8(none.stderr).unwrap();
    assert!(none.status.code() == Some(1) && said.contains("has no more documents; gave up after 1 s"), "{said}");
}

/// A prefix is followed: what is there, what comes later, what only the other side changes; and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn documents_of_a_prefix_are_opened_as_they_appear() {
    let relay = Relay::start();
    let writer = Client::builder().relay(relay.url()).start().await.unwrap();
    let write = async |name: &str| {
        let doc = writer.open(name).await.unwrap();
        push(&doc, "milk").await;
        timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
    };
    for name in ["notes/1", "notes/2", "other"] {
        write(name).await;
    }
    let reader = Client::builder().relay(relay.url()).start().await.unwrap();
    let mut following = reader.follow("notes/").await.unwrap();
    let mut found = std::collections::BTreeMap::new();
    let mut next = async |expected: usize| {
        while found.len() < expected {
            let doc = timeout(DEADLINE, following.next()).await.unwrap().unwrap().unwrap();
            until(&doc, &json!({"todos": ["milk"]})).await;
            found.insert(doc.name().to_string(), doc);
        }
        found.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(next(2).await, ["notes/1", "notes/2"]);
    write("notes/3").await;
    assert_eq!(next(3).await, ["notes/1", "notes/2", "notes/3"]);
    push(&writer.open("notes/1").await.unwrap(), "bread").await;
    until(&found["notes/1"], &json!({"todos": ["milk", "bread"]})).await;

    // Who may not read all of it learns nothing of it.
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let guarded = Relay::start_with(&["--token-key", key.to_str().unwrap()]);
    let token = guarded.token(&key, "notes/1*=rw");
    let reader = Client::builder().relay(guarded.url()).credential(token).start().await.unwrap();
    let told = timeout(DEADLINE, reader.follow("notes/").await.unwrap().next()).await.unwrap().unwrap();
    assert!(matches!(told, Err(ClientError::NotCompared { .. })), "{told:?}");
}

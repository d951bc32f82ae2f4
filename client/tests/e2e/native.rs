//! Native clients: offline and back, stored and reopened, refused and told so.

use std::time::Duration;

use selvedge::store::StoreError;
use selvedge_client::{Client, ClientError, Connection, DocHandle, PatchEvent, StoreKind};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::cli::DEADLINE;
use crate::relay::Relay;

async fn client(relay: &Relay) -> Client {
    Client::builder().relay(relay.url()).start().await.unwrap()
}

async fn json_of(doc: &DocHandle) -> Value {
    doc.read(selvedge::Doc::to_json).await.unwrap()
}

/// Waits until the document reads like this.
async fn until(doc: &DocHandle, expected: &Value) {
    let mut progress = doc.progress();
    let wait = async {
        loop {
            progress.borrow_and_update();
            if json_of(doc).await == *expected {
                return;
            }
            progress.changed().await.unwrap();
        }
    };
    if timeout(DEADLINE, wait).await.is_err() {
        panic!("{} instead of {expected}", json_of(doc).await);
    }
}

async fn push(doc: &DocHandle, value: &'static str) {
    doc.change(move |tx| tx.list("todos").push(value)).await.unwrap();
}

/// Bug class A: edits made while the relay was down are merged when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn offline_edits_meet_when_the_relay_is_back() {
    let mut relay = Relay::start();
    let (a, b) = (client(&relay).await, client(&relay).await);
    let (doc_a, doc_b) = (a.open("d").await.unwrap(), b.open("d").await.unwrap());
    push(&doc_a, "first").await;
    timeout(DEADLINE, doc_a.wait_durable()).await.unwrap().unwrap();
    until(&doc_b, &json!({"todos": ["first"]})).await;

    relay.kill();
    doc_a.change(|tx| tx.map("meta").set("title", "from a")).await.unwrap();
    push(&doc_b, "from b").await;
    doc_a.wait_saved().await.unwrap();
    assert!(json_of(&doc_a).await != json_of(&doc_b).await);
    assert!(!doc_a.status().durable);

    relay.restart();
    let both = json!({"todos": ["first", "from b"], "meta": {"title": "from a"}});
    until(&doc_a, &both).await;
    until(&doc_b, &both).await;
    timeout(DEADLINE, doc_a.wait_durable()).await.unwrap().unwrap();
    let acknowledged = doc_a.acknowledged().end(doc_a.replica());
    assert_eq!(acknowledged, doc_a.version().await.unwrap().end(doc_a.replica()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_document_is_edited_offline_and_sent_later() {
    let folder = tempfile::tempdir().unwrap();
    let store = || StoreKind::Folder(folder.path().into());
    let alone = Client::builder().store(store()).start().await.unwrap();
    let doc = alone.open("d").await.unwrap();
    assert!(matches!(doc.wait_durable().await, Err(ClientError::NoRelay)));
    push(&doc, "offline").await;
    doc.wait_saved().await.unwrap();
    let (replica, time) = (doc.replica(), doc.read(selvedge::Doc::last_time).await.unwrap());
    alone.shutdown().await;

    let relay = Relay::start();
    let again = Client::builder().store(store()).relay(relay.url()).start().await.unwrap();
    let doc = again.open("d").await.unwrap();
    assert_eq!(json_of(&doc).await, json!({"todos": ["offline"]}));
    assert_eq!(doc.replica(), replica, "the same folder, the same replica");
    // Bug class E: time goes on behind what was stored.
    assert!(doc.read(selvedge::Doc::last_time).await.unwrap() >= time);
    timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
    push(&doc, "online").await;
    timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
    again.shutdown().await;

    let other = client(&relay).await;
    until(&other.open("d").await.unwrap(), &json!({"todos": ["offline", "online"]})).await;
}

/// Bug class D: a store that cannot be read is an error with file and record, never an empty document.
#[tokio::test]
async fn a_damaged_store_is_an_error_and_a_used_one_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let builder = Client::builder().store(StoreKind::Folder(folder.path().into()));
    let first = builder.clone().start().await.unwrap();
    let doc = first.open("d").await.unwrap();
    push(&doc, "precious").await;
    doc.wait_saved().await.unwrap();
    let locked = builder.clone().start().await.err();
    assert!(matches!(&locked, Some(ClientError::Store(e)) if matches!(**e, StoreError::Locked { .. })), "{locked:?}");
    first.shutdown().await;

    let mut logs = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let log = logs.find(|path| path.extension().is_some_and(|extension| extension == "log")).unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    std::fs::write(&log, bytes).unwrap();
    let second = builder.start().await.unwrap();
    let failed = second.open("d").await.err();
    let Some(ClientError::Store(error)) = &failed else { panic!("{failed:?}") };
    assert!(matches!(**error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains(log.to_str().unwrap()), "{error}");
    assert!(second.open("other").await.is_ok(), "the other documents live on");
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_and_presence_arrive() {
    let relay = Relay::start();
    let (a, b) = (client(&relay).await, client(&relay).await);
    let (doc_a, doc_b) = (a.open("d").await.unwrap(), b.open("d").await.unwrap());
    for doc in [&doc_a, &doc_b] {
        timeout(DEADLINE, doc.wait_caught_up()).await.unwrap().unwrap();
    }
    let (mut patches, mut presence) = (doc_b.subscribe_patches().await.unwrap(), doc_b.subscribe_presence());
    doc_a.set_presence("cursor", Some(b"7".to_vec())).await.unwrap();
    let seen = timeout(DEADLINE, presence.recv()).await.unwrap().unwrap();
    assert_eq!((seen.owner, seen.key.as_str(), seen.value), (doc_a.replica(), "cursor", Some(b"7".to_vec())));

    push(&doc_a, "milk").await;
    let Some(PatchEvent::Patches(patches)) = timeout(DEADLINE, patches.next()).await.unwrap() else { panic!("ended") };
    let patch = serde_json::to_value(&patches[0]).unwrap();
    assert_eq!(
        (&patch["path"], &patch["kind"], &patch["local"]),
        (&json!(["todos"]), &json!("list-insert"), &json!(false))
    );

    doc_b.clone().close().await.unwrap();
    assert!(matches!(doc_b.change(|_| Ok(())).await, Err(ClientError::Closed)));
    assert!(b.open("d").await.is_ok(), "it can be opened again");
}

/// Many small edits cost one sync per turn, not one each; and none is lost in between.
#[tokio::test(flavor = "multi_thread")]
async fn very_many_small_edits_go_through() {
    let relay = Relay::start();
    let client = client(&relay).await;
    let doc = client.open("d").await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let doc = doc.clone();
            tokio::spawn(async move {
                for _ in 0..1_000 {
                    doc.change(|tx| tx.counter("n").add(1)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        timeout(DEADLINE, task).await.unwrap().unwrap();
    }
    timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
    let other = self::client(&relay).await.open("d").await.unwrap();
    until(&other, &json!({"n": 8_000})).await;
}

/// Bug class J: no token, no document; and the client says so instead of trying for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_with_a_key_rejects_whoever_has_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let relay = Relay::start_with(&["--token-key", key.to_str().unwrap()]);
    let client = Client::builder().relay(relay.url()).credential("nonsense").start().await.unwrap();
    let doc = client.open("d").await.unwrap();
    let refused = timeout(DEADLINE, doc.wait_caught_up()).await.unwrap();
    assert!(matches!(refused, Err(ClientError::Rejected { .. })), "{refused:?}");
    let mut connection = client.connection();
    let rejected = connection.wait_for(|state| matches!(state, Connection::Rejected { .. }));
    timeout(DEADLINE, rejected).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_unreachable_relay_is_a_state_and_not_an_error() {
    let client = Client::builder().relay("ws://127.0.0.1:1").start().await.unwrap();
    let doc = client.open("d").await.unwrap();
    push(&doc, "anyway").await;
    doc.wait_saved().await.unwrap();
    let mut connection = client.connection();
    let offline = connection.wait_for(|state| matches!(state, Connection::Offline { .. }));
    timeout(DEADLINE, offline).await.unwrap().unwrap();
    assert!(timeout(Duration::from_millis(50), doc.wait_durable()).await.is_err());
}

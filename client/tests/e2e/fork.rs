//! One replica id, two writers: what both wrote is on both in the end, and both go on. Bug class B.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use selvedge::{DocName, ReplicaId};
use selvedge_client::{Client, DocHandle, FileStore, StoreKind};
use serde_json::Value;
use tokio::time::timeout;

use crate::cli::{DEADLINE, run_ok};
use crate::relay::Relay;

/// The files of a folder with this extension.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn push(folder: &Path, relay: Option<&str>, value: &str) {
    let mut args = vec!["edit", "--data", folder.to_str().unwrap(), "--doc", "notes"];
    args.extend(relay.iter().flat_map(|relay| ["--relay", relay]));
    args.extend(["push", "list", value]);
    run_ok(&args);
}

/// The list, sorted: which of two concurrent elements comes first is not the point.
fn sorted(json: &Value) -> Vec<String> {
    let list = json["list"].as_array().cloned().unwrap_or_default();
    let mut list: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    list.sort();
    list
}

fn cat(args: &[&str]) -> Vec<String> {
    let json = run_ok(&[&["cat", "--doc", "notes"], args].concat());
    sorted(&serde_json::from_str(&json).unwrap())
}

/// A back-up is written into the very same file, so that nothing tells that it is one: the id is used twice.
#[test]
fn a_back_up_that_was_put_back_goes_on_with_both_histories() {
    // Who has written less than the other, as much, and more.
    for edits in [1, 2, 4] {
        let (relay, folder) = (Relay::start(), tempfile::tempdir().unwrap());
        let (url, folder) = (relay.url(), folder.path());
        push(folder, Some(&url), "before");
        let log = files(folder, "log").remove(0);
        let backup = fs::read(&log).unwrap();
        let mut all = vec!["before".to_owned()];
        for number in 0..3 {
            all.push(format!("lost {number}"));
            push(folder, Some(&url), &all[all.len() - 1]);
        }
        fs::write(&log, &backup).unwrap();
        for number in 0..edits {
            all.push(format!("again {number}"));
            push(folder, None, &all[all.len() - 1]);
        }
        all.push("to the relay".to_owned());
        push(folder, Some(&url), "to the relay");
        all.sort();
        assert_eq!(cat(&["--relay", &url]), all, "the relay, after {edits}");
        let data = folder.to_str().unwrap();
        assert_eq!(cat(&["--data", data]), all, "the device, after {edits}");
        assert_eq!(files(folder, "forked").len(), 1, "the records as they were are kept");
        push(folder, Some(&url), "zz later");
        all.push("zz later".to_owned());
        assert_eq!(cat(&["--relay", &url]), all);
        run_ok(&["verify", "--data", data]);
    }
}

/// Copies a folder so that the file believes that it is the one which its id was given to, and returns that.
fn copy_with_its_id(one: &Path, two: &Path) -> ReplicaId {
    fs::create_dir_all(two).unwrap();
    let log = files(one, "log").remove(0);
    fs::copy(&log, two.join(log.file_name().unwrap())).unwrap();
    let name = DocName::new("notes").unwrap();
    let id = FileStore::open(one).unwrap().lease(&name, || panic!("the file has an id")).unwrap();
    assert_eq!(FileStore::open(two).unwrap().lease(&name, || id).unwrap(), id);
    id
}

async fn until(doc: &DocHandle, expected: &[String]) {
    let mut progress = doc.progress();
    let read = || async { sorted(&doc.read(selvedge::Doc::to_json).await.unwrap()) };
    let wait = async {
        loop {
            progress.borrow_and_update();
            if read().await == expected {
                return;
            }
            progress.changed().await.unwrap();
        }
    };
    if timeout(DEADLINE, wait).await.is_err() {
        panic!("{:?} instead of {expected:?}; {:?}", read().await, doc.progress().borrow());
    }
}

async fn start(relay: &Relay, folder: &Path) -> Client {
    Client::builder().relay(relay.url()).store(StoreKind::Folder(folder.into())).start().await.unwrap()
}

/// A disk was copied with its file system: two devices are at work with one id, and both were offline.
#[tokio::test(flavor = "multi_thread")]
async fn two_devices_with_one_id_meet() {
    let (mut relay, folder) = (Relay::start(), tempfile::tempdir().unwrap());
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    push(&one, Some(&relay.url()), "before");
    let id = copy_with_its_id(&one, &two);
    relay.kill();
    let clients = [start(&relay, &one).await, start(&relay, &two).await];
    let mut docs = Vec::new();
    for client in &clients {
        docs.push(client.open("notes").await.unwrap());
    }
    let mut all = vec!["before".to_owned()];
    for round in 0..3 {
        for (doc, number) in docs.iter().zip(1..) {
            assert_eq!(doc.replica(), id);
            let value = format!("offline {round} on {number}");
            all.push(value.clone());
            doc.change(move |tx| tx.list("list").push(value)).await.unwrap();
            doc.wait_saved().await.unwrap();
        }
    }
    relay.restart();
    all.sort();
    for doc in &docs {
        until(doc, &all).await;
        timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
    }
    let healed: u32 = docs.iter().map(|doc| doc.progress().borrow().healed).sum();
    assert_eq!((healed, docs[0].replica() == docs[1].replica()), (1, false), "whoever came second has another id");
    for (doc, number) in docs.iter().zip(1..) {
        let value = format!("online on {number}");
        all.push(value.clone());
        doc.change(move |tx| tx.list("list").push(value)).await.unwrap();
    }
    for doc in &docs {
        until(doc, &all).await;
        timeout(DEADLINE, doc.wait_durable()).await.unwrap().unwrap();
        assert!(doc.progress().borrow().error.is_none());
    }
    for client in clients {
        timeout(Duration::from_secs(60), client.shutdown()).await.unwrap();
    }
}

/// Without any relay: whoever dials yields.
#[tokio::test(flavor = "multi_thread")]
async fn two_devices_with_one_id_dial_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    push(&one, None, "before");
    let id = copy_with_its_id(&one, &two);
    push(&one, None, "by the host");
    push(&two, None, "by the guest");
    let store = StoreKind::Folder(one);
    let host = Client::builder().store(store).listen("127.0.0.1:0").listen_token("secret").start().await.unwrap();
    let url = format!("ws://{}", host.listening().unwrap());
    let guest = Client::builder().store(StoreKind::Folder(two)).relay(url).credential("secret").start().await.unwrap();
    let docs = [host.open("notes").await.unwrap(), guest.open("notes").await.unwrap()];
    let mut all: Vec<String> = ["before", "by the guest", "by the host"].map(str::to_owned).into();
    for doc in &docs {
        until(doc, &all).await;
    }
    assert_eq!((docs[0].replica() == id, docs[1].replica() == id), (true, false));
    for (doc, value) in docs.iter().zip(["later by the host", "later still by the guest"]) {
        all.push(value.to_owned());
        doc.change(move |tx| tx.list("list").push(value)).await.unwrap();
    }
    for doc in &docs {
        until(doc, &all).await;
    }
    host.shutdown().await;
    guest.shutdown().await;
}

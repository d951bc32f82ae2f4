//! Damage on the relay's disk: found, set aside, fetched again from a client that has it, verified, rewritten; nobody is
//! ever served anything else than what was stored, and other documents live on. Bug classes B and D.

#[path = "support/client.rs"]
mod client;
#[path = "support/process.rs"]
mod process;

use std::path::Path;

use client::Client;
use process::{Process, run};
use selvedge::DocName;
use selvedge::store::{MemoryStore, Store};
use selvedge::sync::RefuseCode;
use selvedge_relay::redb_store::FILE_NAME;
use selvedge_relay::serve::{Config, Relay, serve_with};

fn name(text: &str) -> DocName {
    DocName::new(text).expect("a name")
}

async fn on_store(store: &MemoryStore) -> Relay {
    serve_with(Config::local("the test's store"), Box::new(store.clone())).await.expect("starts")
}

/// A document of three records by one client, on a relay that has ended.
async fn three_records(store: &MemoryStore, doc: &str) -> Client {
    let relay = on_store(store).await;
    let mut author = Client::connected(1, doc, relay.local_addr()).await;
    for text in ["one", "two", "three"] {
        author.edit(text).await;
        author.until("durable", Client::is_durable).await;
    }
    relay.shutdown().await;
    author
}

fn flip(store: &MemoryStore, doc: &str, record: usize) {
    store.with_raw_records(&name(doc), |records| records[record][12] ^= 1);
}

#[tokio::test]
async fn any_damaged_record_is_fetched_again_from_a_client_that_has_it() {
    for record in 0..3 {
        let store = MemoryStore::new();
        let mut author = three_records(&store, "board").await;
        flip(&store, "board", record);
        let relay = on_store(&store).await;
        let mut reader = Client::connected(2, "board", relay.local_addr()).await;
        reader.until("refused", |reader| !reader.refused.is_empty()).await;
        let (code, text) = reader.refused[0].clone();
        assert_eq!(code, RefuseCode::Unreadable);
        for word in ["the test's store", &format!("record {record}"), "board"] {
            assert!(text.contains(word), "{text:?} does not name {word:?}");
        }
        assert!(reader.log().is_empty());
        author.durable = selvedge::VersionVector::new();
        author.connect(relay.local_addr(), None).await;
        author.until("mended", Client::is_durable).await;
        reader.until("whole, without asking again", |reader| reader.log() == ["one", "two", "three"]).await;
        author.edit("four").await;
        author.until("life goes on", Client::is_durable).await;
        reader.until("live", |reader| reader.log().len() == 4).await;
        relay.shutdown().await;
        let mut store = store;
        assert!(store.read(&name("board"), 0).is_ok(), "rewritten");
        assert_eq!(store.set_aside().expect("counts"), 1);
    }
}

/// Whoever used the id for other content, and comes first, is refused; what was stored comes back.
#[tokio::test]
async fn a_fork_does_not_take_the_place_of_what_was_damaged() {
    let store = MemoryStore::new();
    let mut author = three_records(&store, "board").await;
    flip(&store, "board", 1);
    let relay = on_store(&store).await;
    let mut fork = Client::new(1, "board");
    for text in ["one", "TWO", "THREE"] {
        fork.note(text);
    }
    fork.connect(relay.local_addr(), None).await;
    fork.until("refused", |fork| fork.refused.iter().any(|(code, _)| *code == RefuseCode::Fork)).await;
    let text = &fork.refused[0].1;
    assert!(text.contains("operation") && text.contains(&fork.doc.replica().to_string()), "{text}");
    author.durable = selvedge::VersionVector::new();
    author.connect(relay.local_addr(), None).await;
    author.until("mended", Client::is_durable).await;
    let mut reader = Client::connected(2, "board", relay.local_addr()).await;
    reader.until("what was stored", |reader| reader.log() == ["one", "two", "three"]).await;
    relay.shutdown().await;
}

/// What depends on damaged changes is held until they are back; its own author need not come.
#[tokio::test]
async fn what_depends_on_the_damaged_waits_for_it() {
    let store = MemoryStore::new();
    let relay = on_store(&store).await;
    let mut a = Client::connected(1, "board", relay.local_addr()).await;
    a.edit("from a").await;
    a.until("durable", Client::is_durable).await;
    a.disconnect();
    let mut b = Client::connected(2, "board", relay.local_addr()).await;
    b.until("b has it", |b| b.log().len() == 1).await;
    b.edit("from b, who saw it").await;
    b.until("durable", Client::is_durable).await;
    relay.shutdown().await;
    flip(&store, "board", 0);

    let relay = on_store(&store).await;
    let mut reader = Client::connected(3, "board", relay.local_addr()).await;
    reader.until("refused", |reader| !reader.refused.is_empty()).await;
    // The first author knows nothing of the second, and both are back.
    a.connect(relay.local_addr(), None).await;
    a.until("mended", |a| a.log().len() == 2).await;
    reader.until("whole", |reader| reader.log() == a.log()).await;
    assert_eq!(reader.log(), b.log());
    relay.shutdown().await;
}

/// A client that was acknowledged sends again what a relay lost without a trace.
#[tokio::test]
async fn what_a_restored_relay_lacks_is_sent_again() {
    let store = MemoryStore::new();
    let mut author = three_records(&store, "board").await;
    let relay = on_store(&MemoryStore::new()).await;
    author.durable = selvedge::VersionVector::new();
    author.connect(relay.local_addr(), None).await;
    author.until("sent again", Client::is_durable).await;
    let mut reader = Client::connected(2, "board", relay.local_addr()).await;
    reader.until("all of it", |reader| reader.log() == ["one", "two", "three"]).await;
    relay.shutdown().await;
}

/// Flips a bit in every copy of `text` in the relay's file; there must be one.
fn flip_on_disk(folder: &Path, text: &str) {
    let path = folder.join(FILE_NAME);
    let mut bytes = std::fs::read(&path).expect("reads");
    let found: Vec<_> = (0..bytes.len() - text.len()).filter(|at| bytes[*at..].starts_with(text.as_bytes())).collect();
    assert!(!found.is_empty(), "{text:?} is not in the file");
    for at in found {
        bytes[at] ^= 1;
    }
    std::fs::write(&path, bytes).expect("writes");
}

fn scrub(folder: &Path) -> (Option<i32>, serde_json::Value) {
    let output = run(&["scrub", "--json", "--data", folder.to_str().expect("text")]);
    let report = serde_json::from_slice(&output.stdout);
    (output.status.code(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

/// A relay with two documents, ended by this signal, and one record of the first damaged on disk.
async fn damaged_process(folder: &Path, signal: &str) -> Client {
    let relay = Process::start(folder, &[]);
    let mut other = Client::connected(7, "well", relay.addr).await;
    other.edit("untouched").await;
    other.until("durable", Client::is_durable).await;
    let mut author = Client::connected(1, "sick", relay.addr).await;
    for text in ["a first needle", "a second needle", "a third needle"] {
        author.edit(text).await;
        author.until("durable", Client::is_durable).await;
    }
    author.disconnect();
    other.disconnect();
    relay.signal(signal);
    relay.wait();
    flip_on_disk(folder, "a second needle");
    author
}

/// The whole way with real processes, whether the relay had ended in order or was killed: found by name, set aside,
/// fetched again, verified, rewritten, reported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_on_disk_is_mended() {
    for signal in ["TERM", "KILL"] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut author = damaged_process(folder.path(), signal).await;
        let relay = Process::start(folder.path(), &[]);
        let mut well = Client::connected(8, "well", relay.addr).await;
        well.until("the other document lives on", |well| well.log() == ["untouched"]).await;
        let mut reader = Client::connected(2, "sick", relay.addr).await;
        reader.until("refused", |reader| !reader.refused.is_empty()).await;
        let text = reader.refused[0].1.clone();
        assert!(text.contains(FILE_NAME) && text.contains("record 1") && text.contains("sick"), "{text}");
        author.durable = selvedge::VersionVector::new();
        author.connect(relay.addr, None).await;
        author.until("mended", Client::is_durable).await;
        reader.until("right data", |reader| reader.log().len() == 3).await;
        assert_eq!(reader.log(), author.log());
        relay.signal("TERM");
        let (status, log) = relay.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("damaged") && log.contains("record 1") && log.contains("repaired"), "{log}");
        let (code, report) = scrub(folder.path());
        assert_eq!((code, report["problems"].as_array().map(Vec::len)), (Some(0), Some(0)), "{report}");
        assert!(report["set_aside"].as_u64().is_some_and(|kept| kept >= 1), "{report}");
    }
}

/// Two relays that are linked, each with all of a document, and no client: a record that is damaged at one of them comes
/// back from the other, whichever dialed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_relay_mends_the_other_without_any_client() {
    for damaged in ["dialer", "acceptor"] {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
        let acceptor = Process::start(folders[1].path(), &[]);
        let (listen, peer) = (acceptor.addr.to_string(), format!("ws://{}", acceptor.addr));
        let dialer = Process::start(folders[0].path(), &["--peer", &peer]);
        let mut author = Client::connected(1, "sick", dialer.addr).await;
        let mut reader = Client::connected(2, "sick", acceptor.addr).await;
        for (count, text) in ["a first needle", "a second needle", "a third needle"].into_iter().enumerate() {
            author.edit(text).await;
            author.until("durable at the dialer", Client::is_durable).await;
            reader.until("it is at the acceptor", |reader| reader.log().len() == count + 1).await;
        }
        // What it says behind that is durable with everything before it.
        reader.edit("seen").await;
        reader.until("durable at the acceptor", Client::is_durable).await;
        author.until("back at the dialer", |author| author.log().len() == 4).await;
        author.edit("over").await;
        author.until("durable at the dialer", Client::is_durable).await;
        let log = author.log();
        drop((author, reader));

        let at = usize::from(damaged == "acceptor");
        let mut relays = [Some(dialer), Some(acceptor)];
        let relay = relays[at].take().expect("it runs");
        relay.signal("TERM");
        relay.wait();
        flip_on_disk(folders[at].path(), "a second needle");
        let relay = match at {
            0 => Process::start(folders[0].path(), &["--peer", &peer]),
            _ => Process::start_with(folders[1].path(), &["--listen", &listen]),
        };
        relay.until_logged("damaged");
        relay.until_logged("repaired");
        let mut late = Client::connected(3, "sick", relay.addr).await;
        late.until("what was stored", |late| late.log() == log).await;
        drop(late);
        relay.signal("TERM");
        relay.wait();
        let (code, report) = scrub(folders[at].path());
        assert_eq!((code, report["problems"].as_array().map(Vec::len)), (Some(0), Some(0)), "{damaged}: {report}");
        assert!(report["set_aside"].as_u64().is_some_and(|kept| kept >= 1), "{damaged}: {report}");
    }
}

/// Found without anybody reading the document: on demand, and by the relay itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrub_finds_what_nobody_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    damaged_process(folder.path(), "TERM").await;
    let (code, report) = scrub(folder.path());
    assert_eq!(code, Some(1), "{report}");
    assert_eq!((&report["documents"], &report["quarantined"], &report["repaired"]), (&2.into(), &1.into(), &0.into()));
    let problem = &report["problems"][0];
    assert_eq!((&problem["document"], &problem["record"]), (&"sick".into(), &1.into()));
    assert!(problem["file"].as_str().is_some_and(|file| file.ends_with(FILE_NAME)), "{report}");
    assert_eq!(run(&["scrub"]).status.code(), Some(2));

    let relay = Process::start(folder.path(), &["--scrub-bytes-per-s", "1000000"]);
    relay.until_logged("sick");
    relay.until_logged("scrubbed");
    relay.signal("TERM");
    relay.wait();
}

/// A scrub beside a relay that has the document open mends it from memory: nobody notices.
#[tokio::test]
async fn what_is_open_is_mended_from_memory() {
    let store = MemoryStore::new();
    drop(three_records(&store, "a").await);
    let mut author = three_records(&store, "z").await;
    let mut config = Config::local("the test's store");
    // Some seconds for the first document, in which the second is opened and then damaged.
    config.scrub_bytes_per_s = 1_000;
    let relay = serve_with(config, Box::new(store.clone())).await.expect("starts");
    author.connect(relay.local_addr(), None).await;
    author.edit("four").await;
    author.until("open", Client::is_durable).await;
    flip(&store, "z", 1);
    let mut read = store.clone();
    assert!(read.read(&name("z"), 0).is_err());
    for _ in 0..300 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        if read.read(&name("z"), 0).is_ok() {
            break;
        }
    }
    assert_eq!(read.read(&name("z"), 0).expect("mended").len(), 4);
    let mut reader = Client::connected(2, "z", relay.local_addr()).await;
    reader.until("right data", |reader| reader.log() == ["one", "two", "three", "four"]).await;
    assert!(author.refused.is_empty());
    relay.shutdown().await;
}

/// The number of a document's records is a few bytes too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_number_of_records_is_mended_without_anybody() {
    use redb::{Database, TableDefinition};
    const DOCUMENTS: TableDefinition<'_, &str, u64> = TableDefinition::new("documents");
    for number in [1, 4, 1 << 40] {
        let folder = tempfile::tempdir().expect("a folder");
        let relay = Process::start(folder.path(), &[]);
        let mut author = Client::connected(1, "board", relay.addr).await;
        for text in ["one", "two"] {
            author.edit(text).await;
            author.until("durable", Client::is_durable).await;
        }
        author.disconnect();
        relay.signal("TERM");
        relay.wait();
        let database = Database::open(folder.path().join(FILE_NAME)).expect("opens");
        let write = database.begin_write().expect("a transaction");
        write.open_table(DOCUMENTS).expect("the table").insert("board", number).expect("writes");
        write.commit().expect("commits");
        drop(database);
        let relay = Process::start(folder.path(), &[]);
        let mut reader = Client::connected(2, "board", relay.addr).await;
        reader.until("right data", |reader| reader.log() == ["one", "two"]).await;
        reader.edit("three").await;
        reader.until("life goes on", Client::is_durable).await;
        relay.signal("TERM");
        relay.wait();
        assert_eq!(scrub(folder.path()).0, Some(0), "{number}");
    }
}

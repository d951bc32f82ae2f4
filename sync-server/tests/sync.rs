//! Documents through a running relay: clients converge, restarts and crashes lose nothing that was acknowledged, and
//! what cannot be stored or read harms nobody else. Bug classes B (18) and D (31, 33).

#[path = "support/client.rs"]
mod client;
#[path = "support/process.rs"]
mod process;

use std::path::Path;

use client::Client;
use process::Process;
use redb::{DatabaseError, StorageBackend};
use selvedge::DocName;
use selvedge::store::{MemoryStore, Store};
use selvedge::sync::RefuseCode;
use selvedge_relay::lossy::{Lose, LossyDisk};
use selvedge_relay::redb_store::RedbStore;
use selvedge_relay::serve::{Config, Relay, serve, serve_with};

async fn on_store(store: impl Store + Send + 'static) -> Relay {
    serve_with(Config::local("the test's store"), Box::new(store)).await.expect("starts")
}

async fn in_folder(folder: &Path) -> Relay {
    serve(Config::local(folder)).await.expect("starts")
}

#[tokio::test]
async fn clients_converge_and_a_restart_keeps_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = in_folder(folder.path()).await;
    let addr = relay.local_addr();
    let mut a = Client::connected(1, "board", addr).await;
    let mut b = Client::connected(2, "board", addr).await;
    a.edit("from a").await;
    b.edit("from b").await;
    a.until("a has sent", Client::is_durable).await;
    b.until("b has both", |b| b.log().len() == 2).await;
    a.until("a has both", |a| a.log().len() == 2).await;
    assert_eq!(a.log(), b.log());
    a.until("a is durable", Client::is_durable).await;
    b.until("b is durable", Client::is_durable).await;
    let mut late = Client::connected(3, "board", addr).await;
    late.until("a late client catches up", |late| late.log() == a.log()).await;
    let mut other = Client::connected(4, "another board", addr).await;
    other.edit("apart").await;
    other.until("the other is durable", Client::is_durable).await;
    assert_eq!(other.log(), ["apart"]);
    relay.shutdown().await;
    assert_eq!(a.until_closed().await.0, 4009, "going away");

    let relay = in_folder(folder.path()).await;
    let mut fresh = Client::connected(5, "board", relay.local_addr()).await;
    fresh.until("a fresh client has everything", |fresh| fresh.log() == b.log()).await;
    a.connect(relay.local_addr(), None).await;
    a.edit("after the restart").await;
    a.until("a has sent", Client::is_durable).await;
    fresh.until("live again", |fresh| fresh.log().len() == 3).await;
    relay.shutdown().await;
}

/// Types into one document with several clients until the power fails. Returns what was acknowledged as durable.
async fn work_until_power_fails(relay: &Relay, disk: &LossyDisk, lose: Lose, edits: usize) -> Vec<String> {
    let mut clients = Vec::new();
    for replica in 1..=3 {
        clients.push(Client::connected(replica, "board", relay.local_addr()).await);
    }
    for number in 0..edits {
        let client = &mut clients[number % 3];
        client.edit(&format!("edit {number}")).await;
        if number % 5 == 4 {
            client.until("durable", Client::is_durable).await;
        }
    }
    disk.power_failure(lose);
    let mut acknowledged = Vec::new();
    for client in &clients {
        let end = client.durable.end(client.doc.replica());
        let own = (0..edits).filter(|number| (number % 3 + 1) as u128 == replica_number(client));
        // One edit is one change of a few operations: the acknowledged ones are a prefix, counted in operations.
        let ops = client.doc.version().end(client.doc.replica());
        let own: Vec<_> = own.collect();
        let each = ops / own.len() as u64;
        let rest = ops - each * own.len() as u64;
        let count = if end == 0 { 0 } else { (end - rest) / each };
        acknowledged.extend(own.iter().take(count as usize).map(|number| format!("edit {number}")));
    }
    acknowledged
}

fn replica_number(client: &Client) -> u128 {
    u128::from_be_bytes(*client.doc.replica().as_bytes())
}

/// What a fresh client finds on a relay that starts alone on the disk.
async fn found_after_the_crash<B: StorageBackend>(backend: impl Fn() -> B + Send + 'static) -> Vec<String> {
    let store = RedbStore::with_backend("the disk".into(), move || Ok::<_, DatabaseError>(backend())).expect("opens");
    let relay = on_store(store).await;
    let mut fresh = Client::connected(99, "board", relay.local_addr()).await;
    fresh.edit("the end").await;
    fresh.until("durable", Client::is_durable).await;
    // Its own edit was acknowledged behind everything that the relay had when it was opened.
    let mut reader = Client::connected(98, "board", relay.local_addr()).await;
    reader.until("reads", |reader| reader.log().iter().any(|item| item == "the end")).await;
    relay.shutdown().await;
    reader.log()
}

/// Durable means durable: what was acknowledged is there after a power failure that drops everything not synced.
#[tokio::test]
async fn a_power_failure_loses_nothing_acknowledged() {
    for lose in [Lose::All, Lose::Some(11), Lose::Some(12)] {
        let disk = LossyDisk::new();
        let backend = disk.clone();
        let store = RedbStore::with_backend("the disk".into(), move || Ok::<_, DatabaseError>(backend.plug_in()));
        let relay = on_store(store.expect("opens")).await;
        let acknowledged = work_until_power_fails(&relay, &disk, lose, 60).await;
        relay.shutdown().await;
        assert!(acknowledged.len() >= 50, "{lose:?}: only {} acknowledged", acknowledged.len());
        let found = found_after_the_crash(move || disk.plug_in()).await;
        for edit in &acknowledged {
            assert!(found.contains(edit), "{lose:?}: {edit:?} was acknowledged and is lost");
        }
    }
}

/// The same at size: 130,000 changes were acknowledged, more are on their way, and the power fails.
#[tokio::test]
async fn of_130_000_acknowledged_changes_a_power_failure_takes_none() {
    const ACKNOWLEDGED: u64 = 130_000;
    const BURST: u64 = 1_000;
    let disk = LossyDisk::new();
    let backend = disk.clone();
    let store = RedbStore::with_backend("the disk".into(), move || Ok::<_, DatabaseError>(backend.plug_in()));
    let relay = on_store(store.expect("opens")).await;
    let mut typist = Client::connected(1, "board", relay.local_addr()).await;
    while typist.durable.ops() < ACKNOWLEDGED {
        (0..BURST).for_each(|_| typist.note("x"));
        typist.until("a burst is durable", Client::is_durable).await;
    }
    (0..BURST).for_each(|_| typist.note("not acknowledged"));
    typist.edit("the last").await;
    disk.power_failure(Lose::All);
    let acknowledged = typist.durable.clone();
    relay.shutdown().await;

    let backend = disk.clone();
    let store = RedbStore::with_backend("the disk".into(), move || Ok::<_, DatabaseError>(backend.plug_in()));
    let relay = on_store(store.expect("opens")).await;
    let mut fresh = Client::connected(2, "board", relay.local_addr()).await;
    fresh.until("every acknowledged version is there", |fresh| fresh.doc.version().includes(&acknowledged)).await;
    assert!(acknowledged.ops() >= ACKNOWLEDGED);
    relay.shutdown().await;
}

/// A disk whose syncs do nothing.
#[derive(Debug)]
struct Unsynced(LossyDisk);

impl StorageBackend for Unsynced {
    fn len(&self) -> std::io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.0.write(offset, data)
    }
}

/// The test above can fail: with a disk that does not sync, acknowledged changes are lost, and it sees that.
#[tokio::test]
async fn a_disk_that_does_not_sync_is_caught() {
    let disk = LossyDisk::new();
    // The empty store is whole; only what comes later is never synced.
    let (first, later) = (disk.plug_in(), disk.plug_in());
    drop(RedbStore::with_backend("the disk".into(), move || Ok::<_, DatabaseError>(first.clone())).expect("opens"));
    let store = RedbStore::with_backend("the disk".into(), move || Ok::<_, DatabaseError>(Unsynced(later.clone())));
    let relay = on_store(store.expect("opens")).await;
    let acknowledged = work_until_power_fails(&relay, &disk, Lose::All, 60).await;
    relay.shutdown().await;
    assert!(acknowledged.len() >= 50);
    let found = found_after_the_crash(move || disk.plug_in()).await;
    assert_eq!(found, ["the end"], "everything acknowledged is lost");
}

/// The same with a process that is killed, and one that is told to end: nothing received is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    for (round, signal) in ["KILL", "TERM", "KILL"].into_iter().enumerate() {
        let relay = Process::start(folder.path(), &[]);
        let mut client = Client::connected(round as u128 + 1, "board", relay.addr).await;
        for number in 0..20 {
            client.edit(&format!("{round}/{number}")).await;
        }
        client.until("durable", Client::is_durable).await;
        relay.signal(signal);
        assert_eq!(relay.wait().0.success(), signal == "TERM");
    }
    let relay = Process::start(folder.path(), &[]);
    let mut fresh = Client::connected(9, "board", relay.addr).await;
    fresh.until("everything", |fresh| fresh.log().len() == 60).await;
}

/// Bug class D (31): a document that cannot be read is refused by name of file and record, and others live on.
#[tokio::test]
async fn a_damaged_document_is_refused_and_others_live_on() {
    let store = MemoryStore::new();
    let relay = on_store(store.clone()).await;
    for name in ["sick", "well"] {
        let mut client = Client::connected(1, name, relay.local_addr()).await;
        client.edit("one").await;
        client.until("durable", Client::is_durable).await;
        client.edit("two").await;
        client.until("durable", Client::is_durable).await;
    }
    relay.shutdown().await;
    let sick = DocName::new("sick").expect("a name");
    store.with_raw_records(&sick, |records| records[1][9] ^= 1);
    let before = store.with_raw_records(&sick, |records| records.clone());

    let relay = on_store(store.clone()).await;
    let mut client = Client::connected(2, "sick", relay.local_addr()).await;
    client.edit("three").await;
    client.until("refused", |client| !client.refused.is_empty()).await;
    let (code, text) = client.refused[0].clone();
    assert_eq!(code, RefuseCode::Unreadable);
    for word in ["the test's store", "record 1", "sick"] {
        assert!(text.contains(word), "{text:?} does not name {word:?}");
    }
    assert!(!client.is_durable() && client.log() == ["three"], "never an empty document from the relay");
    assert_eq!(store.with_raw_records(&sick, |records| records.clone()), before, "and nothing is written over it");
    let mut other = Client::connected(2, "well", relay.local_addr()).await;
    other.until("the other document", |other| other.log().len() == 2).await;
    relay.shutdown().await;
}

/// Records that are whole but do not fit together are damage too.
#[tokio::test]
async fn records_that_do_not_fit_together_are_refused() {
    let store = MemoryStore::new();
    let relay = on_store(store.clone()).await;
    let mut client = Client::connected(1, "board", relay.local_addr()).await;
    for text in ["one", "two", "three"] {
        client.edit(text).await;
        client.until("durable", Client::is_durable).await;
    }
    relay.shutdown().await;
    let board = DocName::new("board").expect("a name");
    let mut records = store.clone().read(&board, 0).expect("reads");
    assert_eq!(records.len(), 3);
    records.remove(1);
    let mut shortened = MemoryStore::new();
    let appends = records.into_iter().map(|record| selvedge::store::Append {
        doc: board.clone(),
        bytes: record.bytes,
        checkpoints: Vec::new(),
    });
    shortened.append(&appends.collect::<Vec<_>>()).expect("appends");
    let relay = on_store(shortened).await;
    let mut client = Client::connected(2, "board", relay.local_addr()).await;
    client.until("refused", |client| !client.refused.is_empty()).await;
    assert!(client.refused[0].1.contains("record 1"), "{:?}", client.refused);
    relay.shutdown().await;
}

/// Bug class D (33): what cannot be stored is told to its author, who keeps it; it is stored when there is room again.
#[tokio::test]
async fn a_full_disk_is_told_and_overcome() {
    let store = MemoryStore::new();
    let relay = on_store(store.clone()).await;
    let mut client = Client::connected(1, "board", relay.local_addr()).await;
    client.edit("fits").await;
    client.until("durable", Client::is_durable).await;
    store.set_full(true);
    client.edit("does not fit").await;
    client.until("told", |client| client.refused.iter().any(|(code, _)| *code == RefuseCode::NotStored)).await;
    assert!(!client.is_durable());
    store.set_full(false);
    client.connect(relay.local_addr(), None).await;
    client.until("stored at last", Client::is_durable).await;
    let mut reader = Client::connected(2, "board", relay.local_addr()).await;
    reader.until("read by others", |reader| reader.log().len() == 2).await;
    relay.shutdown().await;
}

/// A client that does not read costs its bound; others go on, and when it reads again it gets the rest from the log, over
/// the same connection.
#[tokio::test]
async fn a_slow_reader_is_not_buffered_for_and_catches_up() {
    let mut config = Config::local("the test's store");
    config.max_queued_bytes = 64 << 10;
    let relay = serve_with(config, Box::new(MemoryStore::new())).await.expect("starts");
    let addr = relay.local_addr();
    let mut slow = Client::connected(1, "board", addr).await;
    slow.edit("here").await;
    slow.until("durable", Client::is_durable).await;
    let mut writer = Client::connected(2, "board", addr).await;
    writer.until("joined", |writer| !writer.log().is_empty()).await;
    // Far more than the bound and the buffers of the sockets together. It does not deflate.
    let mut noise = 1u64;
    for _ in 0..150 {
        let text: String = (0..100_000)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'0' + (noise >> 58) as u8)
            })
            .collect();
        writer.edit(&text).await;
        writer.until("durable", Client::is_durable).await;
    }
    assert_eq!(slow.log().len(), 1, "it has read nothing");
    slow.until("catches up", |slow| slow.log().len() == 151).await;
    assert_eq!(slow.closed, None);
    writer.edit("live").await;
    slow.until("is pushed to again", |slow| slow.log().len() == 152).await;
    relay.shutdown().await;
}

//! Durable means durable: what was acknowledged is there after everything was killed.
//!
//! SIGKILL leaves the page cache; that nothing depends on it is tested with the relay's store on a lossy disk.

use selvedge::{ReplicaId, VersionVector};
use selvedge_client::Client;
use tokio::time::timeout;

use crate::cli::{DEADLINE, Running, selvedge};
use crate::relay::Relay;
use crate::traces::{long_sequential, recorded, text_after};

/// As many acknowledgements as are waited for.
const ACKNOWLEDGED: usize = 130_000;

/// Bug class B: the relay acknowledged, so whatever crashes after that, the changes exist.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_death_of_everybody() {
    let file = recorded("automerge-paper.json.gz", long_sequential);
    let mut relay = Relay::start();
    let (durable, acknowledged) = type_until_acknowledged(file.arg(), &relay.url());
    relay.kill();

    relay.restart();
    let client = Client::builder().relay(relay.url()).start().await.unwrap();
    let doc = client.open("paper").await.unwrap();
    timeout(DEADLINE, doc.wait_caught_up()).await.unwrap().unwrap();
    let version = doc.version().await.unwrap();
    assert!(version.includes(&acknowledged), "{version:?} lacks some of {acknowledged:?}");

    // What was typed beyond the last acknowledgement may be there too, but only as whole transactions.
    let total = version.ops();
    let mut count = durable;
    let mut ops = text_after(&file.trace, count).1;
    while ops < total {
        let patches = &file.trace.transactions[count].patches;
        ops += patches.iter().map(|p| u64::from(p.deleted) + p.inserted.chars().count() as u64).sum::<u64>();
        count += 1;
    }
    assert_eq!(ops, total, "a transaction is there in part");
    let text = doc.read(|doc| doc.text("text").to_string()).await.unwrap();
    assert!(text == text_after(&file.trace, count).0, "the text is not that of {count} transactions");
    client.shutdown().await;
}

/// Types until enough is acknowledged, then kills the process: the number of durable changes and their version.
fn type_until_acknowledged(trace: &str, url: &str) -> (usize, VersionVector) {
    let mut replay = selvedge(&["replay", trace, "--relay", url, "--doc", "paper", "--progress", "plain"]);
    replay.args(["--rate", "60000"]);
    let mut typing = Running::start(replay);
    loop {
        let line = typing.next_line().unwrap_or_else(|| panic!("the replay ended: {}", typing.stderr()));
        let Some((durable, version)) = parse(&line) else { continue };
        if durable >= ACKNOWLEDGED {
            assert!(typing.is_running(), "everything was typed already");
            typing.kill();
            return (durable, version);
        }
    }
}

/// Reads `typed N of TOTAL, durable N, version REPLICA:END`.
fn parse(line: &str) -> Option<(usize, VersionVector)> {
    let (durable, version) = line.split_once(", durable ")?.1.split_once(", version ")?;
    let (replica, end) = version.split_once(':')?;
    let entry: (ReplicaId, u64) = (replica.parse().ok()?, end.parse().ok()?);
    Some((durable.parse().ok()?, [entry].into_iter().collect()))
}

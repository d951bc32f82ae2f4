//! The relay dies half-way through a replay and comes back on the same data: nobody notices in the end.

use selvedge_client::{Client, DocHandle};
use tokio::time::timeout;

use crate::cli::{DEADLINE, Running, run_ok, selvedge};
use crate::relay::Relay;
use crate::traces::{long_sequential, recorded};

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_killed_half_way_and_restarted_loses_nothing() {
    let file = recorded("automerge-paper.json.gz", long_sequential);
    let mut relay = Relay::start();
    let url = relay.url();
    let client = Client::builder().relay(&url).start().await.unwrap();
    let doc = client.open("paper").await.unwrap();
    timeout(DEADLINE, doc.wait_caught_up()).await.unwrap().unwrap();

    // Unhurried, or everything would be typed and stored before anybody can pull the plug.
    let mut replay = selvedge(&["replay", file.arg(), "--relay", &url, "--doc", "paper", "--progress", "none"]);
    replay.args(["--rate", "60000"]);
    let mut typing = Running::start(replay);
    let half = file.trace.transactions.len() as u64 / 2;
    timeout(DEADLINE, until_ops(&doc, half)).await.unwrap();
    relay.kill();
    assert!(typing.is_running(), "the replay was over before the relay died");
    relay.restart();

    assert!(typing.wait().success(), "{}", typing.stderr());
    let last = std::iter::from_fn(|| typing.next_line()).last().unwrap();
    assert!(last.contains("equals the trace's endContent"), "{last}");
    let all: u64 = file.trace.transactions.iter().flat_map(|t| &t.patches).map(ops).sum();
    timeout(DEADLINE, until_ops(&doc, all)).await.unwrap();
    let text = doc.read(|doc| doc.text("text").to_string()).await.unwrap();
    assert!(text == file.trace.end_content, "the second client has another text");
    let text = run_ok(&["cat", "--relay", &url, "--doc", "paper", "--text"]);
    assert!(text == file.trace.end_content, "the relay has another text");
    client.shutdown().await;
}

fn ops(patch: &selvedge_client::trace::Patch) -> u64 {
    u64::from(patch.deleted) + patch.inserted.chars().count() as u64
}

/// Waits until the document knows this many operations.
async fn until_ops(doc: &DocHandle, count: u64) {
    let mut progress = doc.progress();
    loop {
        progress.borrow_and_update();
        if doc.version().await.unwrap().ops() >= count {
            return;
        }
        progress.changed().await.unwrap();
    }
}

//! Concurrent input: two processes type the two authors of one session.

use selvedge_client::Client;
use tokio::time::timeout;

use crate::cli::{DEADLINE, Running, run, run_ok, selvedge};
use crate::relay::Relay;
use crate::traces::{concurrent, long_concurrent, recorded, write};

/// Bug class A: whatever arrives when, both end with the text of the recording.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_type_two_authors_and_agree() {
    let file = recorded("friendsforever.json.gz", long_concurrent);
    let relay = Relay::start();
    let url = relay.url();
    let replay = |agent: &str| {
        selvedge(&["replay", file.arg(), "--relay", &url, "--doc", "friends", "--agent", agent, "--progress", "plain"])
    };
    let mut authors = [Running::start(replay("0")), Running::start(replay("1"))];
    for author in &mut authors {
        let (mut last, mut line) = (String::new(), author.next_line());
        while let Some(text) = line {
            last = text;
            line = author.next_line();
        }
        let status = author.wait();
        assert!(status.success(), "{}", author.stderr());
        assert!(last.contains("equals the trace's endContent"), "{last}");
    }

    let client = Client::builder().relay(&url).start().await.unwrap();
    let doc = client.open("friends").await.unwrap();
    timeout(DEADLINE, doc.wait_caught_up()).await.unwrap().unwrap();
    let text = doc.read(|doc| doc.text("text").to_string()).await.unwrap();
    assert!(text == file.trace.end_content, "a third client sees another text");
    assert_eq!(doc.version().await.unwrap().len(), 2);
    client.shutdown().await;
}

/// A replay that was interrupted goes on where it was, as the same replica.
#[test]
fn an_interrupted_replay_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json.gz");
    write(&trace, &concurrent(600));
    let (trace, relay) = (trace.to_str().unwrap(), Relay::start());
    let url = relay.url();
    let data = [folder.path().join("0"), folder.path().join("1")];
    let args = |agent: usize, delay: &'static str| {
        let data = data[agent].to_str().unwrap();
        let mut args = vec!["replay", trace, "--relay", &url, "--doc", "d", "--data", data, "--delay-ms", delay];
        args.extend(["--agent", ["0", "1"][agent], "--progress", "plain"]);
        selvedge(&args)
    };
    let mut other = Running::start(args(1, "0"));
    let mut first = Running::start(args(0, "20"));
    let line = first.next_line().unwrap();
    assert!(line.starts_with("typed "), "{line}");
    first.kill();
    let mut again = Running::start(args(0, "0"));
    assert!(again.wait().success(), "{}", again.stderr());
    assert!(other.wait().success(), "{}", other.stderr());
    let text = run_ok(&["cat", "--relay", &url, "--doc", "d", "--text"]);
    assert_eq!(text.matches('|').count(), 1);

    // Without the folder it would be another replica: refused, since the author has typed already.
    let refused = run(&["replay", trace, "--relay", &url, "--doc", "d", "--timeout", "20"]);
    assert_eq!(refused.status.code(), Some(1));
}

//! The commands: what they print, and how they fail.

use std::process::Command;

use serde_json::{Value, json};

use crate::cli::{Running, run, run_ok, selvedge};
use crate::relay::{Relay, program};
use crate::traces::{concurrent, sequential, write};

/// Runs a command that must fail: its exit code and the one line on standard error.
fn fails(args: &[&str]) -> (i32, String) {
    let output = run(args);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "{args:?} printed something");
    (output.status.code().unwrap(), said)
}

fn fails_with_one_line(args: &[&str]) -> String {
    let (code, said) = fails(args);
    assert_eq!((code, said.lines().count()), (1, 1), "{args:?}: {said}");
    assert!(said.starts_with("selvedge: "), "{said}");
    said
}

#[test]
fn edits_from_the_shell_are_there_for_others() {
    let relay = Relay::start();
    let url = relay.url();
    let on = |command, rest: &[&str]| {
        let mut args = vec![command, "--relay", &url, "--doc", "shop"];
        args.extend(rest);
        run_ok(&args)
    };
    on("edit", &["set", "meta.title", "Groceries"]);
    on("edit", &["push todos {\"text\": \"milk\", \"done\": false}", "increment visits 2", "insert text 0 Hello"]);
    on("edit", &["set", "todos.0.done", "true"]);
    let document: Value = serde_json::from_str(&on("cat", &[])).unwrap();
    let todo = json!({"text": "milk", "done": true});
    let expected = json!({"meta": {"title": "Groceries"}, "todos": [todo], "visits": 2, "text": "Hello"});
    assert_eq!(document, expected);
    assert_eq!(on("cat", &["--text"]), "Hello");
}

#[test]
fn a_wrong_command_line_is_explained_and_ends_with_2() {
    for args in [
        &["cat"][..],
        &["cat", "--nonsense"],
        &["fly"],
        &["edit", "--doc", "d"],
        &["cat", "--doc", "d", "--timeout", "0"],
    ] {
        let (code, said) = fails(args);
        assert_eq!(code, 2, "{args:?}: {said}");
        assert!(said.starts_with("selvedge: ") && said.trim_end().lines().count() == 1, "{said}");
    }
}

#[test]
fn what_goes_wrong_is_one_clear_line() {
    let said = fails_with_one_line(&["cat", "--relay", "ws://127.0.0.1:1", "--doc", "d", "--timeout", "1"]);
    assert!(said.contains("cannot reach ws://127.0.0.1:1: ") && said.contains("gave up after 1 s"), "{said}");
    let said = fails_with_one_line(&["cat", "--doc", "d"]);
    assert!(said.contains("--relay") && said.contains("--data"), "{said}");
    let said = fails_with_one_line(&["cat", "--relay", "localhost", "--doc", "d"]);
    assert!(said.contains("ws://"), "{said}");
    let said = fails_with_one_line(&["cat", "--relay", "ws://127.0.0.1:1", "--doc", ""]);
    assert!(said.contains("document name"), "{said}");
    let said = fails_with_one_line(&["replay", "nowhere.json.gz", "--relay", "ws://127.0.0.1:1", "--doc", "d"]);
    assert!(said.contains("nowhere.json.gz"), "{said}");
    let said = fails_with_one_line(&["edit", "--relay", "ws://127.0.0.1:1", "--doc", "d", "put", "a", "1"]);
    assert!(said.contains("\"put\" is no verb"), "{said}");
}

#[test]
fn edits_that_do_not_fit_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    run_ok(&["edit", "--data", data, "--doc", "d", "set", "title", "x"]);
    let said = fails_with_one_line(&["edit", "--data", data, "--doc", "d", "set other 1", "push title 1"]);
    assert!(said.contains("title is a plain value"), "{said}");
    let document: Value = serde_json::from_str(&run_ok(&["cat", "--data", data, "--doc", "d"])).unwrap();
    assert_eq!(document, json!({"title": "x"}));
}

#[test]
fn a_replay_refuses_a_document_that_has_a_text() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("t.json.gz");
    write(&trace, &sequential(300));
    let (trace, relay) = (trace.to_str().unwrap(), Relay::start());
    let url = relay.url();
    run_ok(&["edit", "--relay", &url, "--doc", "d", "insert", "text", "0", "mine"]);
    let said =
        fails_with_one_line(&["replay", trace, "--relay", &url, "--doc", "d", "--progress", "none", "--timeout", "60"]);
    assert!(said.contains("has a text"), "{said}");
    let done = run_ok(&["replay", trace, "--relay", &url, "--doc", "new", "--progress", "none", "--timeout", "60"]);
    assert!(done.starts_with("300 edits in ") && done.contains("300 of 300 changes are durable"), "{done}");
    let said = fails_with_one_line(&[
        "replay",
        trace,
        "--relay",
        &url,
        "--doc",
        "new",
        "--progress",
        "none",
        "--timeout",
        "60",
    ]);
    assert!(said.contains("typed"), "{said}");
}

/// Bug class J: what a token does not allow is refused in one line, and nothing of it happens.
#[test]
fn tokens_decide_who_reads_and_writes() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef").unwrap();
    let key = key.to_str().unwrap();
    let relay = Relay::start_with(&["--token-key", key]);
    let url = relay.url();
    let token = |rights: &str| {
        let minted = Command::new(program()).args(["token", "--token-key", key, "--doc", rights]).output().unwrap();
        assert!(minted.status.success(), "{}", String::from_utf8_lossy(&minted.stderr));
        String::from_utf8(minted.stdout).unwrap().trim().to_owned()
    };
    let (reader, writer) = (token("d=r"), token("d=rw"));
    let said = fails_with_one_line(&["cat", "--relay", &url, "--doc", "d"]);
    assert!(said.contains("(Unauthorized)"), "{said}");
    let said = fails_with_one_line(&["edit", "--relay", &url, "--doc", "d", "--token", &reader, "set", "a", "1"]);
    assert!(said.contains("(Forbidden)"), "{said}");
    let edit =
        selvedge(&["edit", "--relay", &url, "--doc", "d", "set", "b", "2"]).env("SELVEDGE_TOKEN", &writer).status();
    assert!(edit.unwrap().success());
    let seen = run_ok(&["cat", "--relay", &url, "--doc", "d", "--token", &reader]);
    assert_eq!(serde_json::from_str::<Value>(&seen).unwrap(), json!({"b": 2}));
    let said = fails_with_one_line(&["cat", "--relay", &url, "--doc", "other", "--token", &reader]);
    assert!(said.contains("refuses document other"), "{said}");
}

#[test]
fn a_replay_that_does_not_end_as_recorded_fails_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.json.gz");
    let mut script = sequential(300);
    let end: String = script["endContent"].as_str().unwrap().chars().take(20).chain("!".chars()).collect();
    script["endContent"] = json!(end);
    write(&path, &script);
    let (trace, relay) = (path.to_str().unwrap(), Relay::start());
    let args = ["replay", trace, "--relay", &relay.url(), "--doc", "d", "--progress", "none", "--timeout", "60"];
    let said = fails_with_one_line(&args);
    assert!(said.contains("differs from the trace's endContent at character 20"), "{said}");
}

#[test]
fn a_replay_that_waits_in_vain_for_its_other_author_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.json.gz");
    write(&path, &concurrent(300));
    let (trace, relay) = (path.to_str().unwrap(), Relay::start());
    let args = ["replay", trace, "--relay", &relay.url(), "--doc", "d", "--progress", "none", "--timeout", "1"];
    let said = fails_with_one_line(&args);
    assert!(said.contains("has nobody typing author 1 (use --agent)"), "{said}");
    let said = fails_with_one_line(&["replay", trace, "--relay", &relay.url(), "--doc", "d", "--agent", "2"]);
    assert!(said.contains("there is no author 2"), "{said}");
}

#[test]
#[cfg(unix)]
fn watch_ends_well_at_an_interrupt() {
    let relay = Relay::start();
    let mut watch = Running::start(selvedge(&["watch", "--relay", &relay.url(), "--doc", "d"]));
    assert_eq!(watch.next_error(), "watching d; Ctrl-C ends");
    let kill = Command::new("kill").args(["-s", "INT", &watch.id().to_string()]).status();
    assert!(kill.unwrap().success());
    assert!(watch.wait().success());
}

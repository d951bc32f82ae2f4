//! Damage in a client's folder: found by name, mended from the relay, and never shown as fewer edits; and folders that
//! were copied or put back while their documents live on elsewhere. Bug classes B and D.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::{run, run_ok};
use crate::relay::Relay;

/// The log files of a folder.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

/// Flips a bit of `text` in the log file that has it.
fn flip(folder: &Path, text: &str) {
    let find = |bytes: &[u8]| bytes.windows(text.len()).position(|window| window == text.as_bytes());
    let read = logs(folder).into_iter().map(|path| (fs::read(&path).unwrap(), path));
    let (mut bytes, path, at) =
        read.filter_map(|(bytes, path)| find(&bytes).map(|at| (bytes, path, at))).next().expect("the text is stored");
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

fn edit(folder: &Path, relay: Option<&str>, doc: &str, statement: &[&str]) {
    let mut args = vec!["edit", "--data", path(folder), "--doc", doc];
    args.extend(relay.iter().flat_map(|relay| ["--relay", relay]));
    args.extend(statement);
    run_ok(&args);
}

fn cat(folder: &Path, relay: Option<&str>, doc: &str) -> Result<Value, String> {
    let mut args = vec!["cat", "--data", path(folder), "--doc", doc];
    args.extend(relay.iter().flat_map(|relay| ["--relay", relay]));
    let output = run(&args);
    if output.status.success() {
        Ok(serde_json::from_slice(&output.stdout).unwrap())
    } else {
        Err(String::from_utf8(output.stderr).unwrap())
    }
}

fn verify(args: &[&str]) -> (Option<i32>, Value) {
    let output = run(&[&["verify", "--json"], args].concat());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[test]
fn a_damaged_record_is_fetched_again_from_the_relay() {
    let (relay, folder) = (Relay::start(), tempfile::tempdir().unwrap());
    let (url, folder) = (relay.url(), folder.path());
    for number in ["first", "second", "third"] {
        edit(folder, Some(&url), "sick", &["set", number, &format!("the {number} needle")]);
    }
    edit(folder, None, "well", &["set", "untouched", "true"]);
    let whole = cat(folder, None, "sick").unwrap();
    flip(folder, "the second needle");

    let (code, report) = verify(&["--data", path(folder)]);
    let counts = [&report["documents"], &report["quarantined"], &report["set_aside"]];
    assert_eq!((code, counts), (Some(1), [&2.into(), &1.into(), &1.into()]), "{report}");
    let problem = &report["problems"][0];
    assert_eq!((&problem["document"], &problem["record"]), (&"sick".into(), &1.into()), "{report}");

    let said = cat(folder, None, "sick").expect_err("nobody has it");
    assert!(said.contains(".log") && said.contains("sick") && said.contains("record 1"), "{said}");
    assert_eq!(cat(folder, None, "well").unwrap()["untouched"], true, "the other document lives on");
    assert_eq!(cat(folder, Some(&url), "sick").unwrap(), whole, "right data, from the relay");
    edit(folder, Some(&url), "sick", &["set", "fourth", "yes"]);
    assert_eq!(cat(folder, None, "sick").unwrap()["fourth"], "yes", "rewritten");
    let (code, report) = verify(&["--data", path(folder)]);
    assert_eq!((code, &report["set_aside"]), (Some(0), &1.into()), "{report}");
}

/// What only this device had is gone, and is not passed over in silence; the rest is the relay's.
#[test]
fn what_no_peer_has_stays_an_error() {
    let (relay, folder) = (Relay::start(), tempfile::tempdir().unwrap());
    let (url, folder) = (relay.url(), folder.path());
    edit(folder, Some(&url), "sick", &["set", "shared", "yes"]);
    edit(folder, None, "sick", &["set", "only", "a lonely needle"]);
    flip(folder, "a lonely needle");
    for relay in [None, Some(url.as_str())] {
        let mut args = vec!["edit", "--data", path(folder), "--doc", "sick", "--timeout", "3"];
        args.extend(relay.iter().flat_map(|relay| ["--relay", relay]));
        args.extend(["set", "more", "1"]);
        let output = run(&args);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && !said.is_empty(), "{relay:?}: {said}");
    }
    let (code, report) = verify(&["--data", path(folder)]);
    assert_eq!((code, &report["quarantined"]), (Some(1), &1.into()), "{report}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in logs(from) {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// A copy of a folder is another writer: both go on, and nothing of either is lost.
#[test]
fn a_copied_folder_writes_under_an_id_of_its_own() {
    let (relay, folder) = (Relay::start(), tempfile::tempdir().unwrap());
    let (url, one, two) = (relay.url(), folder.path().join("one"), folder.path().join("two"));
    edit(&one, Some(&url), "notes", &["push", "list", "before"]);
    copy(&one, &two);
    edit(&one, None, "notes", &["push", "list", "by-the-first"]);
    edit(&two, None, "notes", &["push", "list", "by-the-copy"]);
    edit(&one, Some(&url), "notes", &["push", "list", "first-again"]);
    edit(&two, Some(&url), "notes", &["push", "list", "copy-again"]);
    let (both, copied) = (cat(&one, Some(&url), "notes").unwrap(), cat(&two, Some(&url), "notes").unwrap());
    assert_eq!(both, copied);
    let list = both["list"].as_array().unwrap();
    assert_eq!(list.len(), 5, "{both}");
    assert_eq!(
        verify(&["--data", path(&one), "--against", path(&two)]).0,
        Some(0),
        "no two contents for any operation"
    );
}

/// Two copies that contradict each other are told apart to the operation.
#[test]
fn the_first_operation_that_differs_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    edit(&one, None, "notes", &["set", "same", "1"]);
    let log = logs(&one).remove(0);
    let before = fs::read(&log).unwrap();
    edit(&one, None, "notes", &["set", "then", "this"]);
    copy(&one, &two);
    // Written into the same file again: nothing tells that it is an older one, so the id is used twice.
    fs::write(&log, before).unwrap();
    edit(&one, None, "notes", &["set", "then", "that"]);
    let (code, report) = verify(&["--data", path(&one), "--against", path(&two)]);
    let problem = report["problems"][0]["problem"].as_str().unwrap_or_default();
    assert_eq!((code, report["problems"].as_array().map(Vec::len)), (Some(1), Some(1)), "{report}");
    assert!(problem.contains("from operation 1 of replica"), "{problem}");
    assert_eq!(run(&["verify"]).status.code(), Some(2));
}

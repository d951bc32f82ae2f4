//! The program as it is used: it says where it listens, ends in order on a signal, and tells in one clear line and a
//! non-zero exit status what is wrong.

#[path = "support/process.rs"]
mod process;

use std::net::TcpListener;
use std::path::Path;

use process::{Process, program, run};
use selvedge_relay::auth::Gate;

/// The one line on stderr.
fn complaint(args: &[&str], status: i32) -> String {
    let output = run(args);
    let stderr = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(status), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    assert!(!stderr.contains("panicked") && !stderr.contains("RUST_BACKTRACE"), "{stderr}");
    if status == 1 {
        assert_eq!(stderr.trim_end().lines().count(), 1, "{stderr}");
    }
    stderr
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

#[test]
fn it_says_where_it_listens_and_ends_in_order_on_a_signal() {
    for name in ["TERM", "INT"] {
        let folder = tempfile::tempdir().expect("a folder");
        let relay = Process::start(&folder.path().join("made/by/it"), &[]);
        assert_ne!(relay.addr.port(), 0);
        assert!(relay.line.starts_with("listening on http://127.0.0.1:") && relay.line.contains("(data in "));
        relay.signal(name);
        let (status, log) = relay.wait();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("listening on http://") && log.contains("shutting down"), "{log}");
    }
}

#[test]
fn the_data_folder_and_the_port_belong_to_one_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = Process::start(folder.path(), &[]);
    let said = complaint(&["serve", "--listen", "127.0.0.1:0", "--data", text(folder.path())], 1);
    assert!(said.contains("in use by another process"), "{said}");
    let other = tempfile::tempdir().expect("a folder");
    let said = complaint(&["serve", "--listen", &relay.addr.to_string(), "--data", text(other.path())], 1);
    assert!(said.contains(&relay.addr.to_string()) && said.contains("the port is in use"), "{said}");
}

/// A relay that was killed leaves nothing that hinders the next one.
#[test]
fn a_killed_relay_starts_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let relay = Process::start(folder.path(), &[]);
    relay.signal("KILL");
    assert_eq!(relay.wait().0.code(), None, "it was killed");
    Process::start(folder.path(), &[]);
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, data) = (folder.path().join("file"), folder.path().join("data"));
    std::fs::write(&file, "short").expect("writes");
    let (file, data) = (text(&file), text(&data));
    let blocker = TcpListener::bind("127.0.0.1:0").expect("binds");
    let busy = blocker.local_addr().expect("an address").to_string();
    let local = ["serve", "--listen", "127.0.0.1:0", "--data"];
    for (args, expect) in [
        (vec!["serve", "--listen", &busy, "--data", data], "port is in use"),
        (vec!["serve", "--listen", "nonsense", "--data", data], "ADDRESS:PORT"),
        (vec!["serve", "--listen", "0.0.0.0:0", "--data", data], "without --token-key"),
        (vec!["serve", "--listen", "[::]:0", "--data", data], "without --token-key"),
        ([&local[..], &[file]].concat(), file),
        ([&local[..], &[data, "--token-key", "/does/not/exist"]].concat(), "/does/not/exist"),
        ([&local[..], &[data, "--token-key", file]].concat(), "at least 32"),
        ([&local[..], &[data, "--web", "/does/not/exist"]].concat(), "no such folder"),
        ([&local[..], &[data, "--origin", "notes.example"]].concat(), "is no origin"),
        ([&local[..], &[data, "--log", "=,=x="]].concat(), "--log"),
        (vec!["token", "--token-key", file, "--doc", "a=rw"], "at least 32"),
    ] {
        let said = complaint(&args, 1);
        assert!(said.contains(expect), "{args:?} said {said:?}, not {expect:?}");
    }
}

#[test]
fn options_can_come_from_the_environment() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = program()
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("SELVEDGE_DATA", folder.path())
        .env("SELVEDGE_WEB", "/does/not/exist")
        .output();
    let said = String::from_utf8(output.expect("runs").stderr).expect("text");
    assert!(said.contains("/does/not/exist: there is no such folder"), "{said}");
}

#[test]
fn a_wrong_command_line_is_refused_with_status_2() {
    for (args, expect) in [
        (&["serve"][..], "--data"),
        (&["serve", "--data", "x", "--nonsense"], "--nonsense"),
        (&["serve", "--data", "x", "--max-connections", "0"], "max-connections"),
        (&["serve", "--data", "x", "--max-message-bytes", "many"], "max-message-bytes"),
        (&["token", "--token-key", "x", "--doc", "a"], "PATTERN=RIGHTS"),
        (&["token", "--token-key", "x", "--doc", "a=rw", "--ttl", "soon"], "--ttl"),
        (&["nonsense"], "nonsense"),
    ] {
        let said = complaint(args, 2);
        assert!(said.contains(expect), "{args:?} said {said:?}, not {expect:?}");
    }
}

#[test]
fn a_minted_token_is_worth_what_it_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("relay.key");
    std::fs::write(&key, "0123456789abcdef0123456789abcdef\n").expect("writes");
    let output = run(&["token", "--token-key", text(&key), "--doc", "board-*=rw", "--doc", "news=r", "--sub", "ada"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let token = String::from_utf8(output.stdout).expect("text");
    let admission = Gate::from_key_file(&key, None).expect("a key").check(Some(token.trim_end())).expect("admitted");
    assert_eq!(admission.grant.user.as_deref(), Some("ada"));
    let rights = |name| {
        let rights = admission.grant.rights(&selvedge::DocName::new(name).expect("a name"));
        (rights.read, rights.write)
    };
    assert_eq!((rights("board-7"), rights("news"), rights("newsroom")), ((true, true), (true, false), (false, false)));
}

/// The help is a page to learn from: it names every option, what it does without them, and shows examples.
#[test]
fn the_help_explains() {
    let output = run(&["serve", "--help"]);
    let help = String::from_utf8(output.stdout).expect("text");
    for word in
        ["--listen", "--data", "--token-key", "--web", "--origin", "/readyz", "/sync", "SELVEDGE_DATA", "loopback"]
    {
        assert!(help.contains(word), "{word} is not in\n{help}");
    }
    let overview = String::from_utf8(run(&["--help"]).stdout).expect("text");
    assert!(overview.contains("Examples:") && overview.contains("selvedge-relay token"), "{overview}");
}

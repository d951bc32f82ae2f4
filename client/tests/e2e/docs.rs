//! docs/cli.md and `--help`: every example is run, and prints what the page says.
//!
//! In a `console` block, lines that begin with `$ ` are commands for a shell; the lines below are what they print, on
//! either output, `…` standing for anything. A command that ends in ` &` goes on while the next ones run; `$ wait` waits for
//! it and is followed by what it printed in the end.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::{Running, run_ok};
use crate::relay::Relay;
use crate::traces::{concurrent, sequential, write};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cli.md");

/// A command and what it prints.
struct Example {
    command: String,
    prints: String,
}

fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match (line.strip_prefix("$ "), examples.last_mut()) {
                (Some(command), _) => {
                    examples.push(Example { command: command.to_owned(), prints: String::new() });
                }
                (None, Some(example)) => example.prints += &format!("{line}\n"),
                (None, None) => panic!("output before any command: {line}"),
            },
        }
    }
    examples
}

fn shell(command: &str, folder: &Path) -> Command {
    let programs = Path::new(env!("CARGO_BIN_EXE_selvedge")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    // `exec` leaves one process, which can be ended by its id.
    let command = if command.contains(" > ") { command.to_owned() } else { format!("exec {command}") };
    shell.args(["-c", &command]).current_dir(folder).env("PATH", std::env::join_paths(paths).unwrap());
    shell.env_remove("SELVEDGE_TOKEN").env_remove("SELVEDGE_LOG").stdin(Stdio::null());
    shell
}

/// Whether `printed` is `expected`, in which `…` stands for anything (several lines, too).
fn matches(printed: &str, expected: &str) -> bool {
    let parts: Vec<&str> = expected.split('…').collect();
    let Some((first, rest)) = parts.split_first() else { return printed.is_empty() };
    let Some(mut left) = printed.strip_prefix(first) else { return false };
    for (i, part) in rest.iter().enumerate() {
        let found =
            if i + 1 == rest.len() { left.ends_with(part).then(|| left.len() - part.len()) } else { left.find(part) };
        let Some(at) = found else { return false };
        left = &left[at + part.len()..];
    }
    left.is_empty()
}

#[test]
fn every_example_of_the_page_prints_what_it_says() {
    let relay = Relay::start();
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("automerge-paper.json.gz"), &sequential(2_000));
    write(&folder.path().join("friendsforever.json.gz"), &concurrent(400));
    let page = std::fs::read_to_string(PAGE).unwrap().replace("ws://127.0.0.1:8787", &relay.url());
    let examples = examples(&page);
    assert!(examples.len() > 10);
    let mut behind: Option<Running> = None;
    for Example { command, prints } in &examples {
        let printed = if let Some(command) = command.strip_suffix(" &") {
            let mut running = Running::start(shell(command, folder.path()));
            let first = prints.lines().next();
            let said = first.map_or(String::new(), |_| running.next_error() + "\n");
            behind = Some(running);
            said
        } else if command == "wait" {
            let mut running = behind.take().expect("nothing to wait for");
            assert!(running.wait().success(), "{}", running.stderr());
            std::iter::from_fn(|| running.next_line()).map(|line| line + "\n").collect()
        } else {
            let output = shell(command, folder.path()).output().unwrap();
            let mut printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
            if !printed.is_empty() && !printed.ends_with('\n') {
                printed.push('\n');
            }
            printed
        };
        assert!(matches(&printed, prints), "$ {command}\nprinted:\n{printed}\ninstead of:\n{prints}");
    }
}

#[test]
fn the_page_has_every_example_of_the_help() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let mut count = 0;
    for help in [
        &["--help"][..],
        &["help", "edit"],
        &["help", "cat"],
        &["help", "watch"],
        &["help", "follow"],
        &["help", "replay"],
        &["help", "verify"],
    ] {
        let text = run_ok(help);
        for example in text.lines().filter_map(|line| line.strip_prefix("  selvedge ")) {
            // A comment explains; the page may say it otherwise. Only the page runs in the background or counts.
            let command = example.split(" #").next().unwrap_or(example).trim_end().trim_end_matches(" &");
            assert!(page.contains(&format!("selvedge {command}")), "docs/cli.md lacks: selvedge {command}");
            count += 1;
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "too wide: {line}");
        }
    }
    assert!(count > 10);
}

#[test]
fn the_comparison_of_outputs_compares() {
    assert!(matches("a 1 b\n", "a … b\n") && matches("x\ny\nend\n", "…\nend\n") && matches("", ""));
    assert!(!matches("a 1 c\n", "a … b\n") && !matches("a\n", "") && !matches("", "a"));
}

//! Every command in docs/relay.md is run as it stands there (on free ports), and what it says about proxies and close
//! codes is true.

#[path = "support/process.rs"]
mod process;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use process::Process;
use selvedge::sync::CloseCode;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/relay.md");
    std::fs::read_to_string(path).expect("the page is there")
}

/// The lines of every `sh` block, in order.
fn blocks(page: &str) -> Vec<Vec<&str>> {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.map(|block| block.lines().collect()).collect()
}

/// A `serve` line: its environment, its data folder, and the other arguments, without the address.
fn serve(line: &str, folder: &Path) -> Process {
    let (settings, rest) = line.split_once("selvedge-relay serve").expect("a serve line");
    let settings: BTreeMap<&str, &str> = settings.split_whitespace().filter_map(|set| set.split_once('=')).collect();
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (mut args, mut data) = (Vec::new(), settings.get("SELVEDGE_DATA").copied());
    for pair in words.chunks(2) {
        match pair {
            ["--listen", _] => {}
            ["--data", named] => data = Some(named),
            ["--token-key", file] => args.extend(["--token-key".to_owned(), text(&folder.join(file))]),
            other => args.extend(other.iter().map(|word| (*word).to_owned())),
        }
    }
    if let Some(level) = settings.get("SELVEDGE_LOG") {
        args.extend(["--log".to_owned(), (*level).to_owned()]);
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    Process::start(&folder.join(data.expect("a data folder")), &args)
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

#[test]
fn the_commands_work_as_they_stand() {
    let page = page();
    let folder = tempfile::tempdir().expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_selvedge-relay"));
    let path = format!("{}:{}", text(program.parent().expect("a folder")), std::env::var("PATH").expect("a path"));
    let (mut served, mut ran) = (0, 0);
    for block in blocks(&page) {
        let mut relay: Option<Process> = None;
        for line in block {
            if line.contains("selvedge-relay serve") {
                relay = Some(serve(line, folder.path()));
                served += 1;
                continue;
            }
            let addr = relay.as_ref().map_or("127.0.0.1:8787".to_owned(), |relay| relay.addr.to_string());
            let line = line.replace("127.0.0.1:8787", &addr);
            let output = Command::new("sh").args(["-euc", &line]).current_dir(&folder).env("PATH", &path).output();
            let output = output.expect("a shell");
            assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
            ran += 1;
        }
        if let Some(relay) = relay {
            relay.signal("TERM");
            let (status, log) = relay.wait();
            assert!(status.success(), "{log}");
        }
    }
    assert_eq!((served, ran), (6, 8), "a block was not understood");
    assert!(std::fs::read_to_string(folder.path().join("ada.token")).expect("a token").split('.').count() == 3);
}

#[test]
fn the_close_codes_are_the_ones_in_the_code() {
    let page = page();
    let table = page.split("## Close codes").nth(1).expect("the table");
    let mut number = 1;
    while let Some(code) = CloseCode::from_number(number) {
        let mut name = String::new();
        for c in format!("{code:?}").chars() {
            if c.is_uppercase() && !name.is_empty() {
                name.push(' ');
            }
            name.push(c.to_ascii_lowercase());
        }
        assert!(table.contains(&format!("| {} | {name} |", 4000 + number)), "{number}: {name}");
        number += 1;
    }
    assert_eq!(table.matches("| 40").count(), usize::from(number) - 1);
}

/// What a proxy in front passes on is accepted: the public host, and a page from there.
#[test]
fn a_page_behind_a_proxy_connects() {
    use std::io::{Read, Write};
    let page = page();
    let host = page.split("```caddy\n").nth(1).and_then(|block| block.split(' ').next()).expect("the host");
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    std::fs::write(&key, [b'k'; 32]).expect("writes");
    let relay = Process::start(&folder.path().join("data"), &["--token-key", &text(&key)]);
    let mut stream = std::net::TcpStream::connect(relay.addr).expect("connects");
    let head = format!(
        "GET /sync HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\nX-Forwarded-Proto: https\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("writes");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("reads");
    assert_eq!(&answer, b"HTTP/1.1 101");
}

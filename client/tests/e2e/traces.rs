//! Traces for the tests: the recorded ones if they are here, scripts of the same kind otherwise.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, write::GzEncoder};
use selvedge_client::trace::Trace;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A trace as a file.
pub(crate) struct TraceFile {
    pub(crate) path: PathBuf,
    pub(crate) trace: Trace,
    _folder: Option<TempDir>,
}

impl TraceFile {
    /// The path as an argument.
    pub(crate) fn arg(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// The recorded trace with this name, or a script of `generate`.
pub(crate) fn recorded(name: &str, generate: fn() -> Value) -> TraceFile {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/traces");
    let folder = std::env::var_os("SELVEDGE_TRACES").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    if path.is_file() {
        let trace = Trace::read(&path).unwrap();
        return TraceFile { path, trace, _folder: None };
    }
    println!("{} is not there (SELVEDGE_TRACES names the folder): using a generated script instead", path.display());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    write(&path, &generate());
    let trace = Trace::read(&path).unwrap();
    TraceFile { path, trace, _folder: Some(folder) }
}

/// Writes a script as a gzipped trace.
pub(crate) fn write(path: &Path, script: &Value) {
    let mut gzip = GzEncoder::new(std::fs::File::create(path).unwrap(), Compression::fast());
    gzip.write_all(script.to_string().as_bytes()).unwrap();
    gzip.finish().unwrap();
}

/// As many single-character edits as the paper of the same name has.
pub(crate) fn long_sequential() -> Value {
    sequential(259_778)
}

/// Two authors, about as many transactions as the recorded session has.
pub(crate) fn long_concurrent() -> Value {
    concurrent(26_000)
}

/// One author, `edits` edits of one character: typing, backspaces, jumps.
pub(crate) fn sequential(edits: usize) -> Value {
    let (mut random, mut text, mut cursor) = (Random(1), Vec::new(), 0usize);
    let mut transactions = Vec::with_capacity(edits);
    for _ in 0..edits {
        if random.below(40) == 0 {
            cursor = random.below(text.len() + 1);
        }
        if cursor > 0 && random.below(4) == 0 {
            cursor -= 1;
            text.remove(cursor);
            transactions.push(json!({"patches": [[cursor, 1, ""]]}));
        } else {
            let c = random.letter();
            text.insert(cursor, c);
            transactions.push(json!({"patches": [[cursor, 0, c]]}));
            cursor += 1;
        }
    }
    let text: String = text.into_iter().collect();
    json!({"startContent": "", "endContent": text, "txns": transactions})
}

/// Two authors at once, `transactions` in all: author 0 writes in front of a bar, author 1 behind it, and now and then
/// one of them merges what the other has. So concurrent inserts never fall on one place.
pub(crate) fn concurrent(transactions: usize) -> Value {
    let mut random = Random(2);
    let mut out = vec![json!({"parents": [], "agent": 0, "patches": [[0, 0, "|"]]})];
    // Per author: the last transaction, what is written, and how long the other's part is as far as it is merged.
    let mut parts: [Vec<char>; 2] = Default::default();
    let (mut last, mut seen) = ([0, 0], [0, 0]);
    while out.len() < transactions {
        let me = random.below(2);
        let merge = random.below(12) == 0 && last[0] != last[1];
        let parents = if merge { vec![last[me], last[1 - me]] } else { vec![last[me]] };
        if merge {
            seen[me] = parts[1 - me].len();
        }
        let start = if me == 1 { seen[1] + 1 } else { 0 };
        let deletes = !parts[me].is_empty() && random.below(5) == 0;
        let at = random.below(parts[me].len() + usize::from(!deletes));
        let patch = if deletes {
            parts[me].remove(at);
            json!([start + at, 1, ""])
        } else {
            let c = random.letter();
            parts[me].insert(at, c);
            json!([start + at, 0, c])
        };
        last[me] = out.len();
        out.push(json!({"parents": parents, "agent": me, "patches": [patch]}));
    }
    let [front, behind] = parts.map(|part| part.into_iter().collect::<String>());
    json!({"kind": "concurrent", "endContent": format!("{front}|{behind}"), "numAgents": 2, "txns": out})
}

/// A linear congruential generator: the same script every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    fn letter(&mut self) -> char {
        ['a', 'e', 'é', ' ', 'n', '語', 't', '\n', '🙂', 's'][self.below(10)]
    }
}

/// The text after the first `count` transactions of a sequential trace, by the simplest means; and the number of
/// operations that they hold.
pub(crate) fn text_after(trace: &Trace, count: usize) -> (String, u64) {
    let (mut text, mut ops): (Vec<char>, u64) = (Vec::new(), 0);
    for patch in trace.transactions[..count].iter().flat_map(|transaction| &transaction.patches) {
        let (at, deleted) = (patch.position as usize, patch.deleted as usize);
        text.splice(at..at + deleted, patch.inserted.chars());
        ops += u64::from(patch.deleted) + patch.inserted.chars().count() as u64;
    }
    (text.into_iter().collect(), ops)
}

//! Recorded editing histories: reading both kinds of trace file, and who has to know what before each transaction.
//!
//! Always holds: a writer's transactions form a chain, and before one it knows exactly what the trace says its author
//! knew: what its document has, plus `missing`. Not here: what any peer does with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;

/// One edit: deletes `del` characters at `pos`, then inserts `text` there. Unicode scalar values.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patch {
    pub(crate) pos: usize,
    pub(crate) del: usize,
    pub(crate) text: String,
    /// `pos` and `del` in UTF-16 code units, right if `Trace::utf16` says so.
    pub(crate) utf16: (u32, u32),
}

/// Edits that belong together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Txn {
    pub(crate) patches: Vec<Patch>,
    /// Index of the document in which it is typed.
    pub(crate) writer: usize,
    /// The transactions that this document must take in first, in the order of the trace.
    pub(crate) missing: Vec<usize>,
    /// What it was typed on top of.
    pub(crate) parents: Vec<usize>,
}

/// A history.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) name: String,
    pub(crate) concurrent: bool,
    pub(crate) txns: Vec<Txn>,
    /// The text at the end.
    pub(crate) end: String,
    /// Number of documents that it takes to type the trace.
    pub(crate) writers: usize,
    /// The transactions that the first document still lacks in the end.
    pub(crate) rest: Vec<usize>,
    /// Whether positions in UTF-16 code units are known.
    pub(crate) utf16: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawTrace {
    kind: Option<String>,
    #[serde(default)]
    start_content: String,
    end_content: String,
    txns: Vec<RawTxn>,
}

#[derive(Deserialize)]
struct RawTxn {
    #[serde(default)]
    parents: Vec<usize>,
    #[serde(default)]
    agent: usize,
    patches: Vec<(usize, usize, String)>,
}

/// Reads a trace file; gzip if its name says so.
pub(crate) fn read(path: &Path) -> Result<Trace> {
    let mut json = String::new();
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let gzip = path.extension().is_some_and(|ending| ending == "gz");
    let read = if gzip { GzDecoder::new(file).read_to_string(&mut json) } else { (&file).read_to_string(&mut json) };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = file_name.trim_end_matches(".gz").trim_end_matches(".json");
    parse(name, &json).with_context(|| format!("{} is not a trace", path.display()))
}

/// Reads a trace from its JSON.
pub(crate) fn parse(name: &str, json: &str) -> Result<Trace> {
    let raw: RawTrace = serde_json::from_str(json)?;
    let concurrent = match raw.kind.as_deref() {
        None => false,
        Some("concurrent") => true,
        Some(kind) => bail!("traces of kind {kind} are not known"),
    };
    ensure!(!concurrent || raw.start_content.is_empty(), "a concurrent trace starts with nothing");
    let mut txns = Vec::with_capacity(raw.txns.len() + 1);
    if !raw.start_content.is_empty() {
        let start = Patch { text: raw.start_content, ..Patch::default() };
        txns.push(Txn { patches: vec![start], ..Txn::default() });
    }
    let mut agents = Vec::new();
    for txn in raw.txns {
        let patch = |(pos, del, text)| Patch { pos, del, text, utf16: (pos as u32, del as u32) };
        let edits = |(_, del, text): &(usize, usize, String)| *del > 0 || !text.is_empty();
        let patches = txn.patches.into_iter().filter(edits).map(patch).collect();
        agents.push(txn.agent);
        txns.push(Txn { patches, parents: txn.parents, ..Txn::default() });
    }
    let mut trace = Trace {
        name: name.to_owned(),
        concurrent,
        txns,
        end: raw.end_content,
        writers: 1,
        rest: Vec::new(),
        utf16: true,
    };
    trace.find_utf16();
    if concurrent {
        trace.assign_writers(&agents)?;
    }
    Ok(trace)
}

impl Trace {
    /// Fills in the positions in UTF-16 code units, which differ only behind characters that take two.
    fn find_utf16(&mut self) {
        let wide = |patch: &Patch| patch.text.chars().any(|c| c.len_utf16() > 1);
        if !self.txns.iter().flat_map(|txn| &txn.patches).any(wide) {
            return;
        }
        self.utf16 = !self.concurrent;
        let mut rope = ropey::Rope::new();
        let patches = self.txns.iter_mut().flat_map(|txn| &mut txn.patches);
        for patch in patches.take_while(|_| self.utf16) {
            let start = rope.char_to_utf16_cu(patch.pos);
            let end = rope.char_to_utf16_cu(patch.pos + patch.del);
            patch.utf16 = (start as u32, (end - start) as u32);
            rope.remove(patch.pos..patch.pos + patch.del);
            rope.insert(patch.pos, &patch.text);
        }
    }

    /// Gives every transaction a document that knows nothing but its past: one of the same author, if there is any.
    fn assign_writers(&mut self, agents: &[usize]) -> Result<()> {
        let mut children = vec![0_usize; self.txns.len()];
        self.txns.iter().flat_map(|txn| &txn.parents).for_each(|parent| children[*parent] += 1);
        // By transaction, while it has children to come: how many transactions of each writer it knows.
        let mut known: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut writers: Vec<Writer> = Vec::new();
        for at in 0..self.txns.len() {
            let mut need = vec![0; writers.len()];
            for parent in &self.txns[at].parents {
                ensure!(*parent < at, "transaction {at} stands before its parent {parent}");
                let past = &known[parent];
                need.iter_mut().zip(past).for_each(|(need, past)| *need = (*need).max(*past));
                children[*parent] -= 1;
                if children[*parent] == 0 {
                    known.remove(parent);
                }
            }
            let fits = |index: &usize| {
                let writer = &writers[*index];
                writer.agent == agents[at] && need[*index] == writer.txns.len()
            };
            let found = (0..writers.len()).filter(fits).max_by_key(|index| writers[*index].txns.last());
            let index = found.unwrap_or(writers.len());
            if found.is_none() {
                writers.push(Writer { agent: agents[at], ..Writer::default() });
                need.push(0);
            }
            self.txns[at].missing = missing(&writers, &writers[index].known, &need, index);
            self.txns[at].writer = index;
            need[index] += 1;
            writers[index].txns.push(at);
            writers[index].known.clone_from(&need);
            if children[at] > 0 {
                known.insert(at, need);
            }
        }
        let all: Vec<usize> = writers.iter().map(|writer| writer.txns.len()).collect();
        self.writers = writers.len().max(1);
        self.rest = writers.first().map(|first| missing(&writers, &first.known, &all, 0)).unwrap_or_default();
        Ok(())
    }
}

#[derive(Default)]
struct Writer {
    agent: usize,
    /// Its transactions.
    txns: Vec<usize>,
    /// How many transactions of each writer it knows.
    known: Vec<usize>,
}

fn missing(writers: &[Writer], known: &[usize], need: &[usize], own: usize) -> Vec<usize> {
    let of = |(index, writer): (usize, &Writer)| {
        let from = known.get(index).copied().unwrap_or(0);
        let to = if index == own { from } else { need[index] };
        writer.txns[from..to].to_vec()
    };
    let mut missing: Vec<usize> = writers.iter().enumerate().flat_map(of).collect();
    missing.sort_unstable();
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_knows_what_its_author_knew_and_no_more() {
        let json = r#"{"kind":"concurrent","endContent":"","numAgents":2,"txns":[
            {"parents":[],"agent":0,"patches":[[0,0,"a"]]},
            {"parents":[0],"agent":1,"patches":[[1,0,"b"]]},
            {"parents":[0],"agent":0,"patches":[[0,0,"c"]]},
            {"parents":[1],"agent":0,"patches":[[2,0,"d"]]},
            {"parents":[2,1],"agent":1,"patches":[[3,0,"e"]]}]}"#;
        let trace = parse("small", json).expect("well formed");
        let seen: Vec<_> = trace.txns.iter().map(|txn| (txn.writer, txn.missing.clone())).collect();
        // The fourth does not know the third, though both are of agent 0: it takes a document of its own.
        assert_eq!(seen, [(0, vec![]), (1, vec![0]), (0, vec![]), (2, vec![0, 1]), (1, vec![2])]);
        assert_eq!((trace.writers, trace.rest), (3, vec![1, 3, 4]));
    }

    #[test]
    fn positions_in_utf16_are_found_behind_wide_characters() {
        let json = r#"{"startContent":"","endContent":"","txns":[{"patches":[[0,0,"a😀b"],[2,1,"c"]]}]}"#;
        let trace = parse("wide", json).expect("well formed");
        let positions: Vec<_> = trace.txns[0].patches.iter().map(|patch| patch.utf16).collect();
        assert_eq!(positions, [(0, 0), (3, 1)]);
    }
}

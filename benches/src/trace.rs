//! Recorded editing histories: reading both kinds of trace file, and who has to know what before each transaction.
//!
//! Always holds: a writer's transactions form a chain, and before one it knows exactly what the trace says its author
//! knew: what its document has, plus `missing`. Not here: what any peer does with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::GzDecoder;
use serde::Deserialize;

/// One edit: deletes `del` characters at `pos`, then inserts `text` there. Unicode scalar values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edit<'a> {
    pub(crate) pos: usize,
    pub(crate) del: usize,
    pub(crate) text: &'a str,
    /// `pos` and `del` in UTF-16 code units, right if `Trace::utf16` says so.
    pub(crate) utf16: (u32, u32),
}

/// Edits, packed: reading them must cost next to nothing, or every ratio to the floor would look better than it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    patches: Vec<Patch>,
    text: String,
}

#[derive(Clone, Debug)]
struct Patch {
    pos: u32,
    del: u32,
    utf16: (u32, u32),
    /// Where the text ends; it starts where the one before ends.
    text_end: u32,
}

/// Consecutive edits of a script.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edits<'a> {
    patches: &'a [Patch],
    text_start: u32,
    text: &'a str,
}

impl Script {
    pub(crate) fn push(&mut self, edit: Edit<'_>) {
        self.text.push_str(edit.text);
        let text_end = self.text.len() as u32;
        self.patches.push(Patch { pos: edit.pos as u32, del: edit.del as u32, utf16: edit.utf16, text_end });
    }

    pub(crate) fn len(&self) -> usize {
        self.patches.len()
    }

    pub(crate) fn all(&self) -> Edits<'_> {
        self.range(0, self.len())
    }

    pub(crate) fn range(&self, from: usize, to: usize) -> Edits<'_> {
        let text_start = if from == 0 { 0 } else { self.patches[from - 1].text_end };
        Edits { patches: &self.patches[from..to], text_start, text: &self.text }
    }
}

impl<'a> Edits<'a> {
    pub(crate) fn is_empty(self) -> bool {
        self.patches.is_empty()
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Edit<'a>> {
        let mut start = self.text_start as usize;
        self.patches.iter().map(move |patch| {
            let end = patch.text_end as usize;
            let text = &self.text[start..end];
            start = end;
            Edit { pos: patch.pos as usize, del: patch.del as usize, text, utf16: patch.utf16 }
        })
    }
}

/// What surrounds the edits of a transaction.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
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
    script: Script,
    /// Where in the script each transaction ends.
    ends: Vec<u32>,
    /// By transaction; of a concurrent trace only.
    pub(crate) contexts: Vec<Context>,
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
    let mut trace = Trace {
        name: name.to_owned(),
        concurrent,
        script: Script::default(),
        ends: Vec::with_capacity(raw.txns.len() + 1),
        contexts: Vec::new(),
        end: raw.end_content,
        writers: 1,
        rest: Vec::new(),
        utf16: true,
    };
    if !raw.start_content.is_empty() {
        trace.push(&[(0, 0, raw.start_content)]);
    }
    let mut agents = Vec::new();
    for txn in raw.txns {
        trace.push(&txn.patches);
        if concurrent {
            agents.push(txn.agent);
            trace.contexts.push(Context { parents: txn.parents, ..Context::default() });
        }
    }
    trace.find_utf16();
    if concurrent {
        trace.assign_writers(&agents)?;
    }
    Ok(trace)
}

impl Trace {
    /// Number of transactions.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The edits of a transaction.
    pub(crate) fn edits(&self, txn: usize) -> Edits<'_> {
        let start = if txn == 0 { 0 } else { self.ends[txn - 1] };
        self.script.range(start as usize, self.ends[txn] as usize)
    }

    fn push(&mut self, patches: &[(usize, usize, String)]) {
        for (pos, del, text) in patches.iter().filter(|(_, del, text)| *del > 0 || !text.is_empty()) {
            self.script.push(Edit { pos: *pos, del: *del, text, utf16: (*pos as u32, *del as u32) });
        }
        self.ends.push(self.script.len() as u32);
    }

    /// Fills in the positions in UTF-16 code units, which differ only behind characters that take two.
    fn find_utf16(&mut self) {
        if !self.script.text.chars().any(|c| c.len_utf16() > 1) {
            return;
        }
        self.utf16 = !self.concurrent;
        if self.concurrent {
            return;
        }
        let mut rope = ropey::Rope::new();
        let mut text_start = 0;
        for patch in &mut self.script.patches {
            let (pos, del) = (patch.pos as usize, patch.del as usize);
            let start = rope.char_to_utf16_cu(pos);
            let end = rope.char_to_utf16_cu(pos + del);
            patch.utf16 = (start as u32, (end - start) as u32);
            rope.remove(pos..pos + del);
            rope.insert(pos, &self.script.text[text_start..patch.text_end as usize]);
            text_start = patch.text_end as usize;
        }
    }

    /// Gives every transaction a document that knows nothing but its past: one of the same author, if there is any.
    fn assign_writers(&mut self, agents: &[usize]) -> Result<()> {
        let mut children = vec![0_usize; self.len()];
        self.contexts.iter().flat_map(|context| &context.parents).for_each(|parent| children[*parent] += 1);
        // By transaction, while it has children to come: how many transactions of each writer it knows.
        let mut known: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut writers: Vec<Writer> = Vec::new();
        for at in 0..self.len() {
            let mut need = vec![0; writers.len()];
            for parent in &self.contexts[at].parents {
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
            self.contexts[at].missing = missing(&writers, &writers[index].known, &need, index);
            self.contexts[at].writer = index;
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
        let seen: Vec<_> = trace.contexts.iter().map(|txn| (txn.writer, txn.missing.clone())).collect();
        // The fourth does not know the third, though both are of agent 0: it takes a document of its own.
        assert_eq!(seen, [(0, vec![]), (1, vec![0]), (0, vec![]), (2, vec![0, 1]), (1, vec![2])]);
        assert_eq!((trace.writers, trace.rest), (3, vec![1, 3, 4]));
    }

    #[test]
    fn positions_in_utf16_are_found_behind_wide_characters() {
        let json = r#"{"startContent":"","endContent":"","txns":[{"patches":[[0,0,"a😀b"],[2,1,"c"]]}]}"#;
        let trace = parse("wide", json).expect("well formed");
        let positions: Vec<_> = trace.edits(0).iter().map(|edit| edit.utf16).collect();
        assert_eq!(positions, [(0, 0), (3, 1)]);
    }
}

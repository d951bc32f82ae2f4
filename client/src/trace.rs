//! Recorded editing histories: read from a file, and planned for one author to type again.
//!
//! Two forms, as published by josephg/editing-traces, plain or gzipped JSON. Sequential: `{startContent, endContent,
//! txns: [{patches}]}`, each transaction made on top of the one before. Concurrent: `{kind: "concurrent", endContent,
//! numAgents, txns: [{parents, agent, patches}]}`, each made on the merge of its parents. A patch is
//! `[position, deleted, "inserted"]`, in Unicode scalar values.
//!
//! Always holds: every parent stands before its child, so a trace has no cycles. Not here: typing it.

mod plan;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Deserialize;

pub use plan::{Need, Plan, Step};

/// A recorded editing history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The text that everything leads to.
    pub end_content: String,
    /// Number of authors.
    pub agents: u32,
    /// The transactions, parents before children.
    pub transactions: Vec<Transaction>,
}

/// Patches that one author made at one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The transactions whose merge it was made on; none: the empty text.
    pub parents: Vec<usize>,
    /// The author, from 0.
    pub agent: u32,
    /// The patches, to be applied one after the other.
    pub patches: Vec<Patch>,
}

impl Transaction {
    /// Whether it changes anything: without that it makes no change of a document.
    pub fn has_edits(&self) -> bool {
        self.patches.iter().any(|patch| patch.deleted > 0 || !patch.inserted.is_empty())
    }
}

/// A replacement in a text.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "(u32, u32, String)")]
pub struct Patch {
    /// Where, in Unicode scalar values.
    pub position: u32,
    /// How many Unicode scalar values are deleted there.
    pub deleted: u32,
    /// What is then inserted there.
    pub inserted: String,
}

impl From<(u32, u32, String)> for Patch {
    fn from((position, deleted, inserted): (u32, u32, String)) -> Self {
        Self { position, deleted, inserted }
    }
}

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read the trace {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The content is no trace.
    #[error("{file} is not a recorded editing history: {problem}")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// The trace has no such author.
    #[error("the trace has {agents} author(s), numbered from 0: there is no author {agent}")]
    NoSuchAgent {
        /// Who was asked for.
        agent: u32,
        /// How many there are.
        agents: u32,
    },
    /// An author's transactions do not follow one another.
    #[error("transaction {transaction} of the trace does not build on the one that its author {agent} made before")]
    NotLinear {
        /// The author.
        agent: u32,
        /// The transaction.
        transaction: usize,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recording {
    kind: Option<String>,
    start_content: Option<String>,
    end_content: String,
    num_agents: Option<u32>,
    txns: Vec<Txn>,
}

#[derive(Deserialize)]
struct Txn {
    parents: Option<Vec<usize>>,
    agent: Option<u32>,
    patches: Vec<Patch>,
}

impl Trace {
    /// Reads a trace from a file, gzipped or not.
    ///
    /// # Errors
    /// If the file cannot be read or is no trace.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let file = path.display().to_string();
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|mut input| input.read_to_end(&mut bytes));
        let read = read.and_then(|_| if bytes.starts_with(&[0x1f, 0x8b]) { gunzip(&bytes) } else { Ok(bytes) });
        let bytes = read.map_err(|source| TraceError::Io { file: file.clone(), source })?;
        Self::parse(&bytes).map_err(|problem| TraceError::Malformed { file, problem })
    }

    /// Reads a trace from its JSON text. The error says what is wrong.
    fn parse(json: &[u8]) -> Result<Self, String> {
        let file: Recording = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let concurrent = match file.kind.as_deref() {
            Some("concurrent") => true,
            None => false,
            Some(kind) => return Err(format!("kind {kind:?} is neither missing nor \"concurrent\"")),
        };
        if file.start_content.is_some_and(|start| !start.is_empty()) {
            return Err("startContent is not empty".into());
        }
        let agents = if concurrent { file.num_agents.ok_or("numAgents is missing")? } else { 1 };
        let mut transactions = Vec::with_capacity(file.txns.len());
        for (i, txn) in file.txns.into_iter().enumerate() {
            let (parents, agent) = if concurrent {
                let parents = txn.parents.ok_or_else(|| format!("transaction {i} has no parents"))?;
                (parents, txn.agent.ok_or_else(|| format!("transaction {i} has no agent"))?)
            } else {
                (i.checked_sub(1).into_iter().collect(), 0)
            };
            if agent >= agents || parents.iter().any(|parent| *parent >= i) {
                return Err(format!("transaction {i} names an author or a parent that is not there"));
            }
            transactions.push(Transaction { parents, agent, patches: txn.patches });
        }
        Ok(Self { end_content: file.end_content, agents, transactions })
    }
}

fn gunzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let sequential = br#"{"startContent":"","endContent":"b","txns":[{"time":"x","patches":[[0,0,"a"]]},{"patches":[[0,1,"b"]]}]}"#;
        let trace = Trace::parse(sequential).unwrap();
        assert_eq!((trace.agents, trace.end_content.as_str()), (1, "b"));
        assert_eq!(trace.transactions[1].parents, [0]);
        assert_eq!(trace.transactions[1].patches, [Patch { position: 0, deleted: 1, inserted: "b".into() }]);
        let concurrent =
            br#"{"kind":"concurrent","endContent":"","numAgents":2,"txns":[{"parents":[],"agent":1,"patches":[]}]}"#;
        let trace = Trace::parse(concurrent).unwrap();
        assert_eq!((trace.agents, trace.transactions[0].agent), (2, 1));
        assert!(!trace.transactions[0].has_edits());
    }

    #[test]
    fn what_is_no_trace_is_an_error() {
        for bad in [
            r#"{}"#,
            r#"{"kind":"other","endContent":"","txns":[]}"#,
            r#"{"startContent":"x","endContent":"","txns":[]}"#,
            r#"{"endContent":"","txns":[{"patches":[[-1,0,""]]}]}"#,
            r#"{"kind":"concurrent","endContent":"","txns":[]}"#,
            r#"{"kind":"concurrent","endContent":"","numAgents":1,"txns":[{"parents":[0],"agent":0,"patches":[]}]}"#,
            r#"{"kind":"concurrent","endContent":"","numAgents":1,"txns":[{"parents":[],"agent":1,"patches":[]}]}"#,
        ] {
            assert!(Trace::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(matches!(Trace::read(Path::new("/nonexistent")), Err(TraceError::Io { .. })));
    }
}

//! The floor: the same edits on a plain rope (`jumprope`), no CRDT.
//!
//! In a concurrent trace edits are not made one behind the other: there the floor applies them, one by one, as
//! diamond-types transformed them beforehand, outside of the time.

use std::time::Duration;

use anyhow::{Result, bail};
use diamond_types::list::OpLog;
use diamond_types::list::operation::{OpKind, Operation};
use jumprope::JumpRope;

use crate::bed::{Sample, Subject, check, each};
use crate::measure::{cpu, heap};
use crate::rows::Row;
use crate::trace::{Edit, Edits, Script, Trace};

/// The rope.
#[derive(Default)]
pub(super) struct Floor {
    /// The edits of a concurrent trace, one behind the other.
    transformed: Script,
}

fn type_in(rope: &mut JumpRope, edits: Edits<'_>) -> Result<()> {
    for edit in edits.iter() {
        if edit.del > 0 {
            rope.remove(edit.pos..edit.pos + edit.del);
        }
        if !edit.text.is_empty() {
            rope.insert(edit.pos, edit.text);
        }
    }
    Ok(())
}

/// What the edits of a concurrent trace do to a text that takes them in one by one.
fn transform(trace: &Trace) -> Script {
    let mut log = OpLog::new();
    let agents: Vec<_> = (0..trace.writers).map(|writer| log.get_or_create_agent_id(&format!("w{writer}"))).collect();
    let mut versions: Vec<Vec<usize>> = Vec::with_capacity(trace.len());
    // Where in the log each edit starts.
    let mut starts = Vec::new();
    for (at, txn) in trace.contexts.iter().enumerate() {
        let agent = agents[txn.writer];
        let join = |version: Vec<usize>, parent: &usize| match version.is_empty() {
            true => versions[*parent].clone(),
            false => log.version_union(&version, &versions[*parent]).to_vec(),
        };
        let mut version = txn.parents.iter().fold(Vec::new(), join);
        for edit in trace.edits(at).iter() {
            if edit.del > 0 {
                starts.push(log.len());
                version = vec![log.add_delete_at(agent, &version, edit.pos..edit.pos + edit.del)];
            }
            if !edit.text.is_empty() {
                starts.push(log.len());
                version = vec![log.add_insert_at(agent, &version, edit.pos, edit.text)];
            }
        }
        versions.push(version);
    }
    let mut edits = Script::default();
    for (times, op) in log.iter_xf_operations() {
        if let Some(op) = op {
            split(&op, times.start, &starts, &mut edits);
        }
    }
    edits
}

/// Takes a run that diamond-types put together apart into the edits that it was typed as.
fn split(run: &Operation, first: usize, starts: &[usize], edits: &mut Script) {
    let span = run.loc.span;
    let len = span.end - span.start;
    let content: Vec<char> = run.content.iter().flat_map(|content| content.chars()).collect();
    let mut done = 0;
    while done < len {
        let next = starts.partition_point(|start| *start <= first + done);
        let end = starts.get(next).map_or(len, |start| len.min(start - first));
        let (pos, del, text) = match (run.kind, run.loc.fwd) {
            (OpKind::Ins, _) => (span.start + done, 0, content[done..end].iter().collect()),
            (OpKind::Del, true) => (span.start, end - done, String::new()),
            (OpKind::Del, false) => (span.end - end, end - done, String::new()),
        };
        edits.push(Edit { pos, del, text: &text, utf16: (0, 0) });
        done = end;
    }
}

impl Subject for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn prepare(&mut self, trace: &Trace, _cap: Duration) -> Result<()> {
        self.transformed = if trace.concurrent { transform(trace) } else { Script::default() };
        Ok(())
    }

    fn run(&mut self, row: Row, trace: &Trace, _cap: Duration) -> Result<Sample> {
        match row {
            Row::Local => {
                // Never cut off: all else is measured by it.
                let mut rope = JumpRope::new();
                let sample = if trace.concurrent {
                    let edits = self.transformed.all();
                    Sample::Time(cpu(|| type_in(&mut rope, edits))?.0)
                } else {
                    each(trace, Duration::MAX, |at| type_in(&mut rope, trace.edits(at)))?
                };
                check(&rope.to_string(), &trace.end)?;
                Ok(sample)
            }
            Row::Open => {
                let (time, (rope, text)) = cpu(|| Ok(open(&trace.end)))?;
                check(&text, &trace.end)?;
                drop(rope);
                Ok(Sample::Time(time))
            }
            Row::LocalEmit
            | Row::Stream
            | Row::ImportAll
            | Row::ImportAllVerified
            | Row::Replay
            | Row::OpenEdit
            | Row::Save => Ok(Sample::Missing("a rope has no updates and no history".to_owned())),
            _ => bail!("{} is not timed", row.name()),
        }
    }

    fn count(&mut self, trace: &Trace) -> Result<Vec<(Row, u64)>> {
        let heap = heap(|| Ok(open(&trace.end).0))?;
        Ok(vec![(Row::HeapOpen, heap.live), (Row::HeapPeak, heap.peak)])
    }
}

fn open(text: &str) -> (JumpRope, String) {
    let rope = JumpRope::from(text);
    let text = rope.to_string();
    (rope, text)
}

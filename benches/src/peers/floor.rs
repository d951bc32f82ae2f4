//! The floor: the same edits on a plain rope (`jumprope`), no CRDT.
//!
//! A concurrent trace has no such edits: there the floor applies the runs that diamond-types transformed beforehand,
//! outside of the time.

use std::time::Duration;

use anyhow::{Result, bail};
use diamond_types::list::OpLog;
use diamond_types::list::operation::OpKind;
use jumprope::JumpRope;

use crate::bed::{Sample, Subject, check, each};
use crate::measure::{cpu, heap};
use crate::rows::Row;
use crate::trace::{Patch, Trace};

/// The rope.
#[derive(Default)]
pub(super) struct Floor {
    /// The edits of a concurrent trace, one behind the other.
    transformed: Vec<Patch>,
}

fn edit(rope: &mut JumpRope, patch: &Patch) {
    if patch.del > 0 {
        rope.remove(patch.pos..patch.pos + patch.del);
    }
    if !patch.text.is_empty() {
        rope.insert(patch.pos, &patch.text);
    }
}

fn all(rope: &mut JumpRope, patches: &[Patch]) -> Result<()> {
    patches.iter().for_each(|patch| edit(rope, patch));
    Ok(())
}

/// What the transactions of a concurrent trace do to a text that takes them in one by one.
fn transform(trace: &Trace) -> Vec<Patch> {
    let mut log = OpLog::new();
    let agents: Vec<_> = (0..trace.writers).map(|writer| log.get_or_create_agent_id(&format!("w{writer}"))).collect();
    let mut versions: Vec<Vec<usize>> = Vec::with_capacity(trace.txns.len());
    for txn in &trace.txns {
        let agent = agents[txn.writer];
        let start = txn.parents.iter().fold(Vec::new(), |version: Vec<usize>, parent| {
            if version.is_empty() {
                versions[*parent].clone()
            } else {
                log.version_union(&version, &versions[*parent]).to_vec()
            }
        });
        let mut version = start;
        for patch in &txn.patches {
            if patch.del > 0 {
                version = vec![log.add_delete_at(agent, &version, patch.pos..patch.pos + patch.del)];
            }
            if !patch.text.is_empty() {
                version = vec![log.add_insert_at(agent, &version, patch.pos, &patch.text)];
            }
        }
        versions.push(version);
    }
    let patch = |op: diamond_types::list::operation::Operation| {
        let pos = op.loc.span.start;
        match op.kind {
            OpKind::Ins => Patch { pos, text: op.content.unwrap_or_default().to_string(), ..Patch::default() },
            OpKind::Del => Patch { pos, del: op.loc.span.end - pos, ..Patch::default() },
        }
    };
    log.iter_xf_operations().filter_map(|(_, op)| op.map(patch)).collect()
}

impl Subject for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn prepare(&mut self, trace: &Trace, _cap: Duration) -> Result<()> {
        self.transformed = if trace.concurrent { transform(trace) } else { Vec::new() };
        Ok(())
    }

    fn run(&mut self, row: Row, trace: &Trace, _cap: Duration) -> Result<Sample> {
        match row {
            Row::Local => {
                // Never cut off: all else is measured by it.
                let mut rope = JumpRope::new();
                let sample = if trace.concurrent {
                    let edits = &self.transformed;
                    Sample::Time(cpu(|| all(&mut rope, edits))?.0)
                } else {
                    each(trace, Duration::MAX, |at| all(&mut rope, &trace.txns[at].patches))?
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
            Row::LocalEmit | Row::Stream | Row::ImportAll | Row::OpenEdit | Row::Save => {
                Ok(Sample::Missing("a rope has no updates and no history".to_owned()))
            }
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

//! Extensions: operations behind one opcode, each with a number, a count and the length of its fields.
//!
//! Always holds: the fields declare nothing (what they name was mentioned before) and leave the cursor alone, so a reader that
//! does not know a number passes over exactly these bytes, and everything behind them means the same to it.

use super::{ElementRef, LogNames, OpRun, opcode};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_bytes, put_str, put_u64};
use crate::op::{Expand, MAX_SEQ, MarkRun, Value};

const TREE_CREATE: u64 = 0;
const TREE_MOVE: u64 = 1;
const TREE_DELETE: u64 = 2;
const COUNTER_TRANSFER: u64 = 3;
const MARK: u64 = 4;
const UNMARK: u64 = 5;

/// Appends the run, if it is an extension.
pub(super) fn put(out: &mut Vec<u8>, run: &OpRun<'_>) {
    let mut fields = Vec::new();
    let code = match run {
        OpRun::TreeCreate { parent, pos } => {
            put_parent(&mut fields, *parent);
            put_u64(&mut fields, u64::from(*pos));
            TREE_CREATE
        }
        OpRun::TreeMove { node, parent, pos } => {
            put_known(&mut fields, *node);
            put_parent(&mut fields, *parent);
            put_u64(&mut fields, u64::from(*pos));
            TREE_MOVE
        }
        OpRun::TreeDelete { node } => {
            put_known(&mut fields, *node);
            TREE_DELETE
        }
        OpRun::CounterTransfer { to, amount } => {
            fields.extend_from_slice(to.as_bytes());
            put_u64(&mut fields, *amount);
            COUNTER_TRANSFER
        }
        OpRun::Mark(mark) => {
            put_mark(&mut fields, mark);
            if mark.value.is_some() { MARK } else { UNMARK }
        }
        OpRun::Unknown { code, fields: unknown, .. } => {
            fields.extend_from_slice(unknown);
            *code
        }
        _ => return,
    };
    let one = if run.ops() == 1 { opcode::ONE } else { 0 };
    out.push(opcode::EXTENSION | one);
    put_u64(out, code);
    if one == 0 {
        put_u64(out, u64::from(run.ops()));
    }
    put_bytes(out, &fields);
}

fn put_known(out: &mut Vec<u8>, element: ElementRef) {
    put_u64(out, u64::from(element.name));
    put_u64(out, u64::from(element.seq));
}

/// The top is 0, a node one more than the number of its author.
fn put_parent(out: &mut Vec<u8>, parent: Option<ElementRef>) {
    match parent {
        None => out.push(0),
        Some(node) => {
            put_u64(out, u64::from(node.name) + 1);
            put_u64(out, u64::from(node.seq));
        }
    }
}

fn put_mark(out: &mut Vec<u8>, mark: &MarkRun<'_>) {
    put_u64(out, u64::from(mark.start));
    put_u64(out, u64::from(mark.end - mark.start));
    out.push(mark.expand.tag());
    put_str(out, mark.key);
    mark.value.iter().for_each(|value| value.write(out));
}

impl LogNames {
    /// Reads what stands behind the head of an extension; `ops` tells how many operations that head and its count say.
    pub(super) fn read_extension<'a>(
        &self,
        reader: &mut Reader<'a>,
        ops: impl FnOnce(&mut Reader<'a>) -> Result<u32, DecodeError>,
    ) -> Result<OpRun<'a>, DecodeError> {
        let code = reader.u64("extension")?;
        let ops = ops(reader)?;
        let at = reader.clone();
        let fields = reader.bytes("extension fields")?;
        let mut inside = Reader::new(fields);
        let run = self.read_fields(code, &mut inside).map_err(|error| at.error(error.field, error.kind))?;
        let Some(run) = run else { return Ok(OpRun::Unknown { code, ops, fields }) };
        inside.end("extension fields").map_err(|error| at.error(error.field, error.kind))?;
        if ops == 1 { Ok(run) } else { Err(at.error("run length", DecodeErrorKind::Inconsistent("it must be one"))) }
    }

    fn read_fields<'a>(&self, code: u64, reader: &mut Reader<'a>) -> Result<Option<OpRun<'a>>, DecodeError> {
        Ok(Some(match code {
            TREE_CREATE => OpRun::TreeCreate { parent: self.read_parent(reader)?, pos: reader.u32("position")? },
            TREE_MOVE => {
                let node = self.read_known(reader)?;
                OpRun::TreeMove { node, parent: self.read_parent(reader)?, pos: reader.u32("position")? }
            }
            TREE_DELETE => OpRun::TreeDelete { node: self.read_known(reader)? },
            COUNTER_TRANSFER => {
                OpRun::CounterTransfer { to: reader.replica("receiver")?, amount: reader.u64("amount")? }
            }
            MARK | UNMARK => read_mark(reader, code == MARK)?,
            _ => return Ok(None),
        }))
    }

    fn read_known(&self, reader: &mut Reader<'_>) -> Result<ElementRef, DecodeError> {
        let name = reader.bounded("node author", self.replicas.len() as u64)? as u32;
        Ok(ElementRef { name, seq: reader.bounded("node", MAX_SEQ)? as u32 })
    }

    fn read_parent(&self, reader: &mut Reader<'_>) -> Result<Option<ElementRef>, DecodeError> {
        match reader.bounded("parent author", self.replicas.len() as u64 + 1)? {
            0 => Ok(None),
            name => Ok(Some(ElementRef { name: name as u32 - 1, seq: reader.bounded("parent", MAX_SEQ)? as u32 })),
        }
    }
}

fn read_mark<'a>(reader: &mut Reader<'a>, has_value: bool) -> Result<OpRun<'a>, DecodeError> {
    let start = reader.u32("mark position")?;
    let at = reader.clone();
    let len = reader.bounded("mark length", u64::from(u32::MAX - start))? as u32;
    if len == 0 {
        return Err(at.error("mark length", DecodeErrorKind::Inconsistent("it must not be zero")));
    }
    let expand = Expand::ALL[reader.bounded("mark expansion", 3)? as usize];
    let key = reader.str("mark key")?;
    let value = has_value.then(|| Value::read(reader)).transpose()?;
    Ok(OpRun::Mark(Box::new(MarkRun { start, end: start + len, expand, key, value })))
}

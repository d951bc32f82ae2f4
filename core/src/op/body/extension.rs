//! Extensions: operations behind one opcode, each with a number, a count and the length of its fields.
//!
//! Always holds: the fields declare nothing and leave the cursor alone, so they are read without knowing what they mean.

use super::{LogNames, OpRun, opcode};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_bytes, put_str, put_u64};
use crate::op::{Expand, MarkRun, Value};

const MARK: u64 = 4;
const UNMARK: u64 = 5;

/// Appends the run, if it is an extension.
pub(super) fn put(out: &mut Vec<u8>, run: &OpRun<'_>) {
    let mut fields = Vec::new();
    let code = match run {
        OpRun::Mark(mark) => {
            put_mark(&mut fields, mark);
            if mark.value.is_some() { MARK } else { UNMARK }
        }
        _ => return,
    };
    out.push(opcode::EXTENSION | opcode::ONE);
    put_u64(out, code);
    put_bytes(out, &fields);
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
        let start = reader.clone();
        let code = reader.u64("extension")?;
        let ops = ops(reader)?;
        let at = reader.clone();
        let mut inside = Reader::new(reader.bytes("extension fields")?);
        let run = match code {
            MARK | UNMARK => read_mark(&mut inside, code == MARK),
            _ => return Err(start.error("extension", DecodeErrorKind::UnknownTag(code))),
        };
        let run = run.map_err(|error| at.error(error.field, error.kind))?;
        inside.end("extension fields").map_err(|error| at.error(error.field, error.kind))?;
        if ops == 1 { Ok(run) } else { Err(at.error("run length", DecodeErrorKind::Inconsistent("it must be one"))) }
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

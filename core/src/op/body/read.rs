//! Reading bodies.

use smallvec::SmallVec;

use super::{ContainerDecl, ElementRef, Key, LogNames, OpRun, PlacedOp, TextRun, cursor_after, expected_pos, opcode};
use crate::codec::{DecodeError, DecodeErrorKind, Reader};
use crate::op::{ContainerKind, MAX_SEQ, Value};

type Runs<'a> = SmallVec<[PlacedOp<'a>; 1]>;

impl LogNames {
    /// Reads a body of `ops` operations; the names move behind it. Linear in the length of the body.
    ///
    /// # Errors
    /// If the bytes are malformed; the names stay as they were.
    pub fn read<'a>(&mut self, ops: u64, body: &'a [u8]) -> Result<Runs<'a>, DecodeError> {
        let mark = self.mark();
        let runs = self.read_columns(ops, body);
        if runs.is_err() {
            self.reset(mark);
        }
        runs
    }

    /// The short way for a body that is one run on the current container, a text. `None` if it is
    /// anything else, or malformed: then `read` tells, and nothing was changed.
    #[inline]
    pub fn read_text_run<'a>(&mut self, ops: u64, body: &'a [u8]) -> Option<TextRun<'a>> {
        let mut reader = Reader::new(body);
        let head = reader.u8("operation head").ok()?;
        let code = head & opcode::MASK;
        if !(opcode::TEXT_INSERT..=opcode::DELETE_BACKWARD).contains(&code)
            || head & !(opcode::MASK | opcode::ONE | opcode::AT_CURSOR) != 0
        {
            return None;
        }
        let backward = code == opcode::DELETE_BACKWARD;
        let pos = self.read_pos(&mut reader, head, backward).ok()?;
        let len = read_count(&mut reader, head, ops).ok()?;
        let text = reader.rest();
        if u64::from(len) != ops {
            return None;
        }
        let run = if code == opcode::TEXT_INSERT {
            let text = std::str::from_utf8(text).ok()?;
            if text.chars().count() != len as usize {
                return None;
            }
            self.cursor = pos.saturating_add(len);
            TextRun::Insert { pos, text }
        } else {
            if !text.is_empty() || (backward && len > pos.saturating_add(1)) {
                return None;
            }
            self.cursor = if backward { pos - (len - 1) } else { pos };
            TextRun::Delete { pos, len, backward: backward && len > 1 }
        };
        Some(run)
    }

    fn read_columns<'a>(&mut self, ops: u64, body: &'a [u8]) -> Result<Runs<'a>, DecodeError> {
        let mut reader = Reader::new(body);
        let mut runs = Runs::new();
        let mut read = 0u64;
        while read < ops {
            if let Some(placed) = self.read_head(&mut reader, ops - read)? {
                read += u64::from(placed.run.ops());
                runs.push(placed);
            }
        }
        let offset = reader.offset();
        let fail = |kind| DecodeError { field: "text column", offset, kind };
        let mut text = std::str::from_utf8(reader.rest()).map_err(|_| fail(DecodeErrorKind::NotUtf8))?;
        for placed in &mut runs {
            if let OpRun::TextInsert { chars, text: slot, .. } = &mut placed.run {
                let split = split_chars(text, *chars as usize);
                let have = text.len();
                let (head, tail) = split.ok_or(fail(DecodeErrorKind::TooShort { need: *chars as usize, have }))?;
                (*slot, text) = (head, tail);
            }
        }
        if text.is_empty() { Ok(runs) } else { Err(fail(DecodeErrorKind::Trailing(text.len()))) }
    }

    /// Reads one head: a run, or `None` for a change of the current container. A run holds at most `left` operations.
    fn read_head<'a>(&mut self, reader: &mut Reader<'a>, left: u64) -> Result<Option<PlacedOp<'a>>, DecodeError> {
        let at = reader.clone();
        let head = reader.u8("operation head")?;
        let code = head & opcode::MASK;
        let placed = matches!(code, 1..=5);
        let allowed = opcode::MASK
            | if placed { opcode::AT_CURSOR } else { 0 }
            | if matches!(code, 1..=4 | opcode::EXTENSION) { opcode::ONE } else { 0 };
        if head & !allowed != 0 {
            return Err(at.error("operation head", DecodeErrorKind::UnknownTag(u64::from(head))));
        }
        let backward = code == opcode::DELETE_BACKWARD;
        let pos = if placed { self.read_pos(reader, head, backward)? } else { 0 };
        let run = match code {
            opcode::CONTAINER => return self.read_container(reader).map(|()| None),
            opcode::TEXT_INSERT => OpRun::TextInsert { pos, chars: read_count(reader, head, left)?, text: "" },
            opcode::DELETE | opcode::DELETE_BACKWARD => {
                let len = read_count(reader, head, left)?;
                if backward && len > pos.saturating_add(1) {
                    return Err(at.error("deletion", DecodeErrorKind::Inconsistent("it runs past the beginning")));
                }
                OpRun::Delete { pos, len, backward: backward && len > 1 }
            }
            opcode::LIST_INSERT => {
                let count = read_count(reader, head, left)?;
                let values = (0..count).map(|_| Value::read(reader)).collect::<Result<_, _>>()?;
                OpRun::ListInsert { pos, values }
            }
            opcode::LIST_MOVE => OpRun::ListMove { pos, element: self.read_element(reader)? },
            opcode::LIST_SET => OpRun::ListSet { element: self.read_element(reader)?, value: Value::read(reader)? },
            opcode::MAP_SET => OpRun::MapSet { key: reader.str("map key")?, value: Value::read(reader)? },
            opcode::MAP_DELETE => OpRun::MapDelete { key: reader.str("map key")? },
            opcode::REGISTER_SET => OpRun::RegisterSet { value: Value::read(reader)? },
            opcode::REGISTER_CLEAR => OpRun::RegisterClear,
            opcode::COUNTER_ADD => OpRun::CounterAdd { by: reader.i64("increment")? },
            opcode::COUNTER_RESET => OpRun::CounterReset,
            opcode::SET_ADD => OpRun::SetAdd { value: Value::read(reader)? },
            opcode::SET_REMOVE => OpRun::SetRemove { value: Value::read(reader)? },
            _ => self.read_extension(reader, |reader| read_count(reader, head, left))?,
        };
        if let Some(cursor) = cursor_after(&run) {
            self.cursor = cursor;
        }
        Ok(Some(PlacedOp { container: self.current, run }))
    }

    fn read_pos(&self, reader: &mut Reader<'_>, head: u8, backward: bool) -> Result<u32, DecodeError> {
        let at = reader.clone();
        let expected = expected_pos(self.cursor, backward);
        if head & opcode::AT_CURSOR != 0 {
            return Ok(expected);
        }
        match reader.i64("position")? {
            0 => Err(at.error("position", DecodeErrorKind::NotCanonical)),
            delta => {
                let pos = i64::from(expected).checked_add(delta).and_then(|pos| u32::try_from(pos).ok());
                pos.ok_or_else(|| at.error("position", DecodeErrorKind::Inconsistent("it is outside of 32 bits")))
            }
        }
    }

    fn read_container(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        let at = reader.clone();
        let known = self.containers.len() as u64;
        let index = reader.bounded("container", known + 1)?;
        if index == known + 1 {
            let parent = reader.bounded("container parent", known)? as u32;
            let tag = reader.clone().u8("container kind")?;
            let keyed_by_element = tag & 1 == 1;
            let kind = ContainerKind::read(&mut Reader::new(&[tag >> 1])).map_err(|e| at.error(e.field, e.kind))?;
            reader.u8("container kind")?;
            let key = if keyed_by_element {
                Key::Element(self.read_element(reader)?)
            } else {
                Key::Name(reader.str("container key")?.to_owned())
            };
            self.containers.push(ContainerDecl { parent, key, kind });
        } else if index == u64::from(self.current) {
            return Err(at.error("container", DecodeErrorKind::NotCanonical));
        }
        (self.current, self.cursor) = (index as u32, 0);
        Ok(())
    }

    fn read_element(&mut self, reader: &mut Reader<'_>) -> Result<ElementRef, DecodeError> {
        let known = self.replicas.len() as u64;
        let name = reader.bounded("element author", known + 1)?;
        if name == known + 1 {
            let replica = reader.replica("element author")?;
            if self.replicas.contains(&replica) {
                return Err(reader.error("element author", DecodeErrorKind::NotCanonical));
            }
            self.replicas.push(replica);
        }
        Ok(ElementRef { name: name as u32, seq: reader.bounded("element", MAX_SEQ)? as u32 })
    }
}

fn read_count(reader: &mut Reader<'_>, head: u8, left: u64) -> Result<u32, DecodeError> {
    if head & opcode::ONE != 0 {
        return Ok(1);
    }
    let at = reader.clone();
    match reader.bounded("run length", left)? {
        0 | 1 => Err(at.error("run length", DecodeErrorKind::NotCanonical)),
        count => Ok(count as u32),
    }
}

fn split_chars(text: &str, chars: usize) -> Option<(&str, &str)> {
    let ascii = text.as_bytes().get(..chars).is_some_and(<[u8]>::is_ascii);
    if ascii {
        return Some(text.split_at(chars));
    }
    match text.char_indices().nth(chars) {
        Some((at, _)) => Some(text.split_at(at)),
        None => (text.chars().count() == chars).then_some((text, "")),
    }
}

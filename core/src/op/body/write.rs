//! Writing bodies: runs are joined as they come, so that typing costs one run however it was committed.

use super::{ContainerDecl, ElementRef, Key, LogNames, OpRun, PlacedOp, cursor_after, expected_pos, opcode};
use crate::codec::{put_i64, put_str, put_u64};
use crate::id::ReplicaId;

impl LogNames {
    /// The index of a container that is about to be mentioned for the first time.
    pub fn declare(&mut self, decl: ContainerDecl) -> u32 {
        self.containers.push(decl);
        self.containers.len() as u32
    }

    /// The index of `replica` in the log of `author`, mentioning it if it is new.
    pub fn name(&mut self, author: ReplicaId, replica: ReplicaId) -> u32 {
        if replica == author {
            return 0;
        }
        let at = self.replicas.iter().position(|known| *known == replica).unwrap_or_else(|| {
            self.replicas.push(replica);
            self.replicas.len() - 1
        });
        at as u32 + 1
    }
}

/// Collects the operations of a change.
#[derive(Clone, Debug, Default)]
pub struct BodyWriter {
    heads: Vec<u8>,
    text: String,
    ops: u32,
    open: Option<PlacedOp<'static>>,
    written: Written,
}

/// What of the log's names had been written before this body.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    containers: usize,
    replicas: usize,
}

impl BodyWriter {
    /// A writer for the next body of a log with these names. Call it before declaring or naming anything new.
    pub fn new(names: &LogNames) -> Self {
        let written = Written { containers: names.containers.len(), replicas: names.replicas.len() };
        Self { written, ..Self::default() }
    }

    /// Operations so far.
    pub fn ops(&self) -> u32 {
        self.ops
    }

    /// Bytes so far, without the run that is still open.
    pub fn bytes(&self) -> usize {
        self.heads.len() + self.text.len()
    }

    /// Appends a run, joining it with the one before it where that means the same.
    pub fn push(&mut self, names: &mut LogNames, container: u32, run: OpRun<'_>) {
        self.ops += run.ops();
        if let OpRun::TextInsert { text, .. } = &run {
            self.text.push_str(text);
        }
        let same = self.open.as_ref().is_some_and(|open| open.container == container);
        if let Some(open) = self.open.as_mut().filter(|_| same)
            && join(&mut open.run, &run)
        {
            return;
        }
        self.flush(names);
        match detach(&run) {
            Some(run) => self.open = Some(PlacedOp { container, run }),
            None => self.put_run(names, container, &run),
        }
    }

    /// The bytes of the body; the names move behind it.
    pub fn finish(mut self, names: &mut LogNames) -> Vec<u8> {
        self.flush(names);
        self.heads.extend_from_slice(self.text.as_bytes());
        self.heads
    }

    fn flush(&mut self, names: &mut LogNames) {
        if let Some(PlacedOp { container, run }) = self.open.take() {
            self.put_run(names, container, &run);
        }
    }

    fn put_run(&mut self, names: &mut LogNames, container: u32, run: &OpRun<'_>) {
        self.enter(names, container);
        let (out, written) = (&mut self.heads, &mut self.written);
        let one = |ops: u32| if ops == 1 { opcode::ONE } else { 0 };
        match run {
            OpRun::TextInsert { pos, chars, .. } => {
                put_placed(out, opcode::TEXT_INSERT | one(*chars), *pos, names.cursor);
                put_count(out, *chars);
            }
            OpRun::Delete { pos, len, backward } => {
                let backward = *backward || (*len == 1 && expected_pos(names.cursor, true) == *pos);
                let code = if backward { opcode::DELETE_BACKWARD } else { opcode::DELETE };
                put_placed(out, code | one(*len), *pos, expected_pos(names.cursor, backward));
                put_count(out, *len);
            }
            OpRun::ListInsert { pos, values } => {
                put_placed(out, opcode::LIST_INSERT | one(values.len() as u32), *pos, names.cursor);
                put_count(out, values.len() as u32);
                values.iter().for_each(|value| value.write(out));
            }
            OpRun::ListMove { pos, element } => {
                put_placed(out, opcode::LIST_MOVE, *pos, names.cursor);
                put_element(out, names, written, *element);
            }
            OpRun::ListSet { element, value } => {
                out.push(opcode::LIST_SET);
                put_element(out, names, written, *element);
                value.write(out);
            }
            OpRun::MapSet { key, value } => {
                out.push(opcode::MAP_SET);
                put_str(out, key);
                value.write(out);
            }
            OpRun::MapDelete { key } => {
                out.push(opcode::MAP_DELETE);
                put_str(out, key);
            }
            OpRun::RegisterSet { value } => {
                out.push(opcode::REGISTER_SET);
                value.write(out);
            }
            OpRun::RegisterClear => out.push(opcode::REGISTER_CLEAR),
            OpRun::CounterAdd { by } => {
                out.push(opcode::COUNTER_ADD);
                put_i64(out, *by);
            }
            OpRun::CounterReset => out.push(opcode::COUNTER_RESET),
            OpRun::SetAdd { value } => {
                out.push(opcode::SET_ADD);
                value.write(out);
            }
            OpRun::SetRemove { value } => {
                out.push(opcode::SET_REMOVE);
                value.write(out);
            }
        }
        if let Some(cursor) = cursor_after(run) {
            names.cursor = cursor;
        }
    }

    /// Makes `container` the current one, writing the declarations that lead to it first.
    fn enter(&mut self, names: &mut LogNames, container: u32) {
        while self.written.containers < container as usize {
            let index = self.written.containers;
            let decl = &names.containers[index];
            let out = &mut self.heads;
            out.push(opcode::CONTAINER);
            put_u64(out, index as u64 + 1);
            put_u64(out, u64::from(decl.parent));
            out.push(decl.kind.tag() << 1 | u8::from(matches!(decl.key, Key::Element(_))));
            match &decl.key {
                Key::Name(name) => put_str(out, name),
                Key::Element(element) => put_element(out, names, &mut self.written, *element),
            }
            self.written.containers += 1;
            (names.current, names.cursor) = (index as u32 + 1, 0);
        }
        if names.current != container {
            self.heads.push(opcode::CONTAINER);
            put_u64(&mut self.heads, u64::from(container));
            (names.current, names.cursor) = (container, 0);
        }
    }
}

fn put_placed(out: &mut Vec<u8>, head: u8, pos: u32, expected: u32) {
    if pos == expected {
        out.push(head | opcode::AT_CURSOR);
    } else {
        out.push(head);
        put_i64(out, i64::from(pos) - i64::from(expected));
    }
}

fn put_count(out: &mut Vec<u8>, count: u32) {
    if count != 1 {
        put_u64(out, u64::from(count));
    }
}

fn put_element(out: &mut Vec<u8>, names: &LogNames, written: &mut Written, element: ElementRef) {
    put_u64(out, u64::from(element.name));
    if element.name as usize > written.replicas {
        out.extend_from_slice(names.replicas[written.replicas].as_bytes());
        written.replicas += 1;
    }
    put_u64(out, u64::from(element.seq));
}

/// Joins `next` onto `open` if the two are one run; text itself is already in the text column.
fn join(open: &mut OpRun<'static>, next: &OpRun<'_>) -> bool {
    match (open, next) {
        (OpRun::TextInsert { pos, chars, .. }, OpRun::TextInsert { pos: at, chars: more, .. }) => {
            let joined = *at == *pos + *chars;
            *chars += if joined { *more } else { 0 };
            joined
        }
        (OpRun::ListInsert { pos, values }, OpRun::ListInsert { pos: at, values: more }) => {
            let joined = *at == *pos + values.len() as u32;
            if joined {
                values.extend_from_slice(more);
            }
            joined
        }
        (OpRun::Delete { pos, len, backward }, OpRun::Delete { pos: at, len: more, backward: false }) => {
            if *at == *pos && !*backward {
                *len += *more;
                true
            } else if *more == 1 && (*backward || *len == 1) && *at + *len == *pos {
                (*len, *backward) = (*len + 1, true);
                true
            } else {
                false
            }
        }
        _ => false,
    }
}

/// A run that a later one may join, without its text, which is in the text column already.
fn detach(run: &OpRun<'_>) -> Option<OpRun<'static>> {
    match run {
        OpRun::TextInsert { pos, chars, .. } => Some(OpRun::TextInsert { pos: *pos, chars: *chars, text: "" }),
        OpRun::Delete { pos, len, backward } => Some(OpRun::Delete { pos: *pos, len: *len, backward: *backward }),
        OpRun::ListInsert { pos, values } => Some(OpRun::ListInsert { pos: *pos, values: values.clone() }),
        _ => None,
    }
}

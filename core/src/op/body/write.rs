//! Writing bodies: runs are joined as they come, so that typing costs one run however it was committed.

use super::{ContainerDecl, ElementRef, Key, LogNames, OpRun, cursor_after, expected_pos, extension, opcode};
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
    /// The values of the open run of list insertions.
    values: Vec<u8>,
    ops: u32,
    open: Option<Open>,
    written: Written,
}

/// A run that later ones may join, and its container. Text and values are kept beside it.
#[derive(Clone, Copy, Debug)]
struct Open {
    container: u32,
    run: OpenRun,
}

#[derive(Clone, Copy, Debug)]
enum OpenRun {
    Text { pos: u32, chars: u32 },
    List { pos: u32, len: u32 },
    Delete { pos: u32, len: u32, backward: bool },
}

/// A point to which a body can be taken back.
#[derive(Clone, Copy, Debug)]
pub struct BodyMark {
    heads: u32,
    text: u32,
    values: u32,
    ops: u32,
    open: Option<Open>,
    written: Written,
}

impl BodyMark {
    /// Operations up to here.
    pub fn ops(&self) -> u32 {
        self.ops
    }
}

/// What of the log's names had been written before this body.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    containers: u32,
    replicas: u32,
}

impl BodyWriter {
    /// A writer for the next body of a log with these names. Call it before declaring or naming anything new.
    pub fn new(names: &LogNames) -> Self {
        let mut writer = Self::default();
        writer.start(names);
        writer
    }

    /// Begins the next body, as `new` does, in the memory of the one before.
    pub fn start(&mut self, names: &LogNames) {
        self.heads.clear();
        self.text.clear();
        self.values.clear();
        (self.ops, self.open) = (0, None);
        self.written = Written { containers: names.containers.len() as u32, replicas: names.replicas.len() as u32 };
    }

    /// Operations so far.
    pub fn ops(&self) -> u32 {
        self.ops
    }

    /// Bytes so far, but for the head of the open run.
    pub fn bytes(&self) -> usize {
        self.heads.len() + self.text.len() + self.values.len()
    }

    /// This point.
    pub fn mark(&self) -> BodyMark {
        BodyMark {
            heads: self.heads.len() as u32,
            text: self.text.len() as u32,
            values: self.values.len() as u32,
            ops: self.ops,
            open: self.open,
            written: self.written,
        }
    }

    /// Takes back everything since `mark`. A list run must not be open at a mark: its values leave with its head.
    pub fn reset(&mut self, mark: &BodyMark) {
        self.heads.truncate(mark.heads as usize);
        self.text.truncate(mark.text as usize);
        self.values.truncate(mark.values as usize);
        (self.ops, self.open, self.written) = (mark.ops, mark.open, mark.written);
    }

    /// Appends a run, joining it with the one before it where that means the same.
    pub fn push(&mut self, names: &mut LogNames, container: u32, run: &OpRun<'_>) {
        self.ops += run.ops();
        if let Some(open) = self.open.as_mut().filter(|open| open.container == container)
            && open.run.join(run)
        {
            self.put_content(run);
            return;
        }
        self.begin(names, container, run);
        self.put_content(run);
    }

    /// Appends a text insertion.
    #[inline]
    pub fn push_text(&mut self, names: &mut LogNames, container: u32, pos: u32, chars: u32, text: &str) {
        self.ops += chars;
        match &mut self.open {
            Some(Open { container: open, run: OpenRun::Text { pos: start, chars: len } })
                if *open == container && *start + *len == pos =>
            {
                *len += chars;
            }
            _ => {
                self.close(names);
                self.open = Some(Open { container, run: OpenRun::Text { pos, chars } });
            }
        }
        self.text.push_str(text);
    }

    /// Appends a deletion.
    #[inline]
    pub fn push_delete(&mut self, names: &mut LogNames, container: u32, pos: u32, len: u32) {
        self.ops += len;
        if !self.open.as_mut().is_some_and(|open| open.container == container && open.run.join_delete(pos, len)) {
            self.close(names);
            self.open = Some(Open { container, run: OpenRun::Delete { pos, len, backward: false } });
        }
    }

    /// Begins a run that goes on with none before it.
    fn begin(&mut self, names: &mut LogNames, container: u32, run: &OpRun<'_>) {
        self.close(names);
        match OpenRun::new(run) {
            Some(run) => self.open = Some(Open { container, run }),
            None => self.put_run(names, container, run),
        }
    }

    /// Puts text and list values where they are kept until the run's head is written.
    fn put_content(&mut self, run: &OpRun<'_>) {
        match run {
            OpRun::TextInsert { text, .. } => self.text.push_str(text),
            OpRun::ListInsert { values, .. } => values.iter().for_each(|value| value.write(&mut self.values)),
            _ => {}
        }
    }

    /// The bytes of the body; the names move behind it. The next body begins with `start`.
    pub fn finish(&mut self, names: &mut LogNames) -> &[u8] {
        self.close(names);
        self.heads.extend_from_slice(self.text.as_bytes());
        &self.heads
    }

    /// Writes the head of the open run if that is one of list insertions.
    pub fn close_list(&mut self, names: &mut LogNames) {
        if matches!(self.open, Some(Open { run: OpenRun::List { .. }, .. })) {
            self.close(names);
        }
    }

    /// Writes the head of the open run.
    fn close(&mut self, names: &mut LogNames) {
        let Some(Open { container, run }) = self.open.take() else { return };
        self.enter(names, container);
        let (out, cursor) = (&mut self.heads, names.cursor);
        let one = |ops: u32| if ops == 1 { opcode::ONE } else { 0 };
        names.cursor = match run {
            OpenRun::Text { pos, chars } => {
                put_placed(out, opcode::TEXT_INSERT | one(chars), pos, cursor);
                put_count(out, chars);
                pos + chars
            }
            OpenRun::List { pos, len } => {
                put_placed(out, opcode::LIST_INSERT | one(len), pos, cursor);
                put_count(out, len);
                out.append(&mut self.values);
                pos + len
            }
            OpenRun::Delete { pos, len, backward } => {
                let backward = backward || (len == 1 && expected_pos(cursor, true) == pos);
                let code = if backward { opcode::DELETE_BACKWARD } else { opcode::DELETE };
                put_placed(out, code | one(len), pos, expected_pos(cursor, backward));
                put_count(out, len);
                if backward && len > 1 { pos - (len - 1) } else { pos }
            }
        };
    }

    fn put_run(&mut self, names: &mut LogNames, container: u32, run: &OpRun<'_>) {
        self.enter(names, container);
        let (out, written) = (&mut self.heads, &mut self.written);
        match run {
            OpRun::TextInsert { .. } | OpRun::ListInsert { .. } | OpRun::Delete { .. } => {}
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
            OpRun::Mark(_) => extension::put(out, run),
        }
        if let Some(cursor) = cursor_after(run) {
            names.cursor = cursor;
        }
    }

    /// Makes `container` the current one, writing the declarations that lead to it first.
    fn enter(&mut self, names: &mut LogNames, container: u32) {
        while self.written.containers < container {
            let index = self.written.containers as usize;
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
    if element.name > written.replicas {
        out.extend_from_slice(names.replicas[written.replicas as usize].as_bytes());
        written.replicas += 1;
    }
    put_u64(out, u64::from(element.seq));
}

impl OpenRun {
    fn new(run: &OpRun<'_>) -> Option<Self> {
        match run {
            OpRun::TextInsert { pos, chars, .. } => Some(Self::Text { pos: *pos, chars: *chars }),
            OpRun::ListInsert { pos, values } => Some(Self::List { pos: *pos, len: values.len() as u32 }),
            OpRun::Delete { pos, len, backward } => Some(Self::Delete { pos: *pos, len: *len, backward: *backward }),
            _ => None,
        }
    }

    /// Joins `next` onto this run if the two are one.
    fn join(&mut self, next: &OpRun<'_>) -> bool {
        match (self, next) {
            (Self::Text { pos, chars }, OpRun::TextInsert { pos: at, chars: more, .. }) => {
                let joined = *at == *pos + *chars;
                *chars += if joined { *more } else { 0 };
                joined
            }
            (Self::List { pos, len }, OpRun::ListInsert { pos: at, values }) => {
                let joined = *at == *pos + *len;
                *len += if joined { values.len() as u32 } else { 0 };
                joined
            }
            (open, OpRun::Delete { pos: at, len: more, backward: false }) => open.join_delete(*at, *more),
            _ => false,
        }
    }

    /// The same for a deletion that is not yet known to run backward.
    #[inline]
    fn join_delete(&mut self, at: u32, more: u32) -> bool {
        let Self::Delete { pos, len, backward } = self else { return false };
        if at == *pos && !*backward {
            *len += more;
            true
        } else if more == 1 && (*backward || *len == 1) && at + *len == *pos {
            (*len, *backward) = (*len + 1, true);
            true
        } else {
            false
        }
    }
}

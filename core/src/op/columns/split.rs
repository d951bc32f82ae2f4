//! From changes to columns.
//!
//! Always holds: a change that cannot be walked over leaves nothing in the columns but its own bytes. Not here: the other
//! direction (`join`), and the bytes of the columns (`pack`).

use super::digests::{Named, computable};
use super::store::{Bytes, Number, Store};
use super::walk::{Head, LAYOUTS, LogState, NEAR, Side, VERBATIM, change, ops_of, token};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, zigzag};
use crate::id::ReplicaId;
use crate::op::body::opcode;
use crate::op::{Segment, change::KNOWN_FLAGS};
use crate::ordered::OrdMap;

/// Takes changes apart.
#[derive(Debug)]
pub(super) struct Split<'a> {
    reader: Reader<'a>,
    store: Store,
    /// Flags of all changes so far.
    flags: Vec<u8>,
    /// The run that the next change may go on with.
    open: Option<Open>,
    /// Segments that start with their log.
    targets: OrdMap<ReplicaId, u32>,
    /// Dependencies so far.
    named: Vec<Named>,
    keys: OrdMap<&'a [u8], u64>,
    /// The keys in the order of their numbers.
    key_list: Vec<&'a [u8]>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    code: u8,
    delta: Option<u64>,
    count: u64,
}

/// What is taken apart, and the flags of most changes.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) store: Store,
    pub(super) plain: u8,
}

/// The segments that start with their log, by replica.
pub(super) fn targets(segments: impl Iterator<Item = (ReplicaId, u64)>) -> OrdMap<ReplicaId, u32> {
    let mut targets = OrdMap::new();
    for (index, (replica, first_seq)) in segments.enumerate() {
        if first_seq == 0 {
            targets.entry(replica).or_insert(index as u32);
        }
    }
    targets
}

impl<'a> Split<'a> {
    pub(super) fn new(segments: &[Segment]) -> Self {
        Self {
            reader: Reader::new(&[]),
            store: Store::new(),
            flags: Vec::new(),
            open: None,
            targets: targets(segments.iter().map(|segment| (segment.replica, segment.first_seq))),
            named: Vec::new(),
            keys: OrdMap::new(),
            key_list: Vec::new(),
        }
    }

    pub(super) fn segment(&mut self, segment: &'a Segment) {
        let mut log = LogState::new(segment.first_seq);
        for bytes in segment.changes() {
            let bytes = bytes.expect("the frames of a segment are whole");
            let (mark, open) = (self.store.mark(), self.open);
            let (flags, named, keys) = (self.flags.len(), self.named.len(), self.key_list.len());
            self.reader = Reader::new(bytes);
            if change(self, &mut log).is_ok() {
                continue;
            }
            self.store.reset(&mark);
            self.open = open;
            self.flags.truncate(flags);
            self.named.truncate(named);
            for key in self.key_list.drain(keys..) {
                self.keys.remove(&key);
            }
            // Half of its names may have been taken in.
            log = LogState::default();
            self.flags.push(VERBATIM);
            self.store.put(Number::VerbatimLen, bytes.len() as u64);
            self.store.bytes(Bytes::Verbatim).extend_from_slice(bytes);
        }
        self.close();
    }

    /// Writes the open run.
    fn close(&mut self) {
        let Some(Open { code, delta, count }) = self.open.take() else { return };
        self.store.bytes(Bytes::Heads).push(token(code, delta.is_none(), count));
        if let Some(delta) = delta {
            self.store.put(Number::Position, delta - 1);
        }
        if count >= NEAR {
            self.store.put(Number::Count, count - NEAR);
        }
    }

    /// The columns, with those that need to know all changes.
    pub(super) fn finish(mut self, segments: &[Segment]) -> Columns {
        let mut digests = Gaps::default();
        for (named, computable) in self.named.iter().zip(computable(segments, &self.named)) {
            if digests.next(&mut self.store, Number::DigestGap, !computable) {
                self.store.bytes(Bytes::Digests).extend_from_slice(&named.digest);
            }
        }
        let mut counts = [0usize; 256];
        self.flags.iter().for_each(|flags| counts[usize::from(*flags)] += 1);
        let plain = (0..=u8::MAX).max_by_key(|flags| counts[usize::from(*flags)]).unwrap_or(0);
        let mut gaps = Gaps::default();
        for flags in self.flags {
            if gaps.next(&mut self.store, Number::Gap, flags != plain) {
                self.store.bytes(Bytes::Flags).push(flags);
            }
        }
        Columns { store: self.store, plain }
    }

    fn malformed(&self) -> DecodeError {
        self.reader.error("change", DecodeErrorKind::NotCanonical)
    }
}

/// Counts what is as usual between what is not.
#[derive(Default)]
struct Gaps(u64);

impl Gaps {
    fn next(&mut self, store: &mut Store, column: Number, event: bool) -> bool {
        if event {
            store.put(column, std::mem::take(&mut self.0));
        } else {
            self.0 += 1;
        }
        event
    }
}

impl Side for Split<'_> {
    fn flags(&mut self) -> Result<u8, DecodeError> {
        let flags = self.reader.u8("change flags")?;
        if flags & !KNOWN_FLAGS != 0 {
            return Err(self.malformed());
        }
        self.flags.push(flags);
        Ok(flags)
    }

    fn number(&mut self, column: Number) -> Result<u64, DecodeError> {
        let value = self.reader.u64("number")?;
        self.store.put(column, value);
        Ok(value)
    }

    fn near(&mut self, column: Number, base: u64) -> Result<u64, DecodeError> {
        let value = self.reader.u64("number")?;
        self.store.put(column, zigzag(value.wrapping_sub(base)));
        Ok(value)
    }

    fn or_next(&mut self, column: Number, next: Option<u64>) -> Result<u64, DecodeError> {
        let value = self.reader.bounded("number", u64::MAX - 1)?;
        self.store.put(column, if Some(value) == next { 0 } else { value + 1 });
        Ok(value)
    }

    fn byte(&mut self, column: Bytes) -> Result<u8, DecodeError> {
        let byte = self.reader.u8("byte")?;
        self.store.bytes(column).push(byte);
        Ok(byte)
    }

    fn raw(&mut self, column: Bytes, len: u64) -> Result<(), DecodeError> {
        let bytes = self.reader.take("bytes", usize::try_from(len).unwrap_or(usize::MAX))?;
        self.store.bytes(column).extend_from_slice(bytes);
        Ok(())
    }

    fn replica(&mut self) -> Result<Option<u32>, DecodeError> {
        let replica = self.reader.replica("replica")?;
        let target = self.targets.get(&replica).copied();
        self.store.put(Number::Replica, target.map_or(0, |target| u64::from(target) + 1));
        if target.is_none() {
            self.store.bytes(Bytes::Raw).extend_from_slice(replica.as_bytes());
        }
        Ok(target)
    }

    fn digest(&mut self, target: Option<u32>, end: u64) -> Result<(), DecodeError> {
        let digest = self.reader.array("digest")?;
        self.named.push(Named { target, end, digest });
        Ok(())
    }

    fn key(&mut self) -> Result<(), DecodeError> {
        let key = self.reader.bytes("key")?;
        if let Some(number) = self.keys.get(&key) {
            self.store.put(Number::Key, *number);
            return Ok(());
        }
        self.key_list.push(key);
        self.keys.insert(key, self.key_list.len() as u64);
        self.store.put(Number::Key, 0);
        self.store.put(Number::KeyLen, key.len() as u64);
        self.store.bytes(Bytes::Strings).extend_from_slice(key);
        Ok(())
    }

    fn head(&mut self, first: bool, left: u64) -> Result<Head, DecodeError> {
        let byte = self.reader.u8("operation head")?;
        let code = byte & opcode::MASK;
        let layout = LAYOUTS.get(usize::from(code)).ok_or_else(|| self.malformed())?;
        let allowed = opcode::MASK
            | if layout.placed { opcode::AT_CURSOR } else { 0 }
            | if layout.counted { opcode::ONE } else { 0 };
        if byte & !allowed != 0 {
            return Err(self.malformed());
        }
        let moved = layout.placed && byte & opcode::AT_CURSOR == 0;
        let delta = if moved { Some(self.reader.u64("position")?) } else { None };
        let many = layout.counted && byte & opcode::ONE == 0;
        let count = if many { self.reader.bounded("run length", left)? } else { ops_of(code) };
        if delta == Some(0) || (many && count < 2) {
            return Err(self.malformed());
        }
        match &mut self.open {
            Some(open) if first && layout.counted && delta.is_none() && open.code == code => open.count += count,
            _ => {
                self.close();
                self.open = Some(Open { code, delta, count });
            }
        }
        Ok(Head { code, count })
    }

    fn text(&mut self, chars: u64) -> Result<(), DecodeError> {
        let bytes = self.reader.rest();
        let text = std::str::from_utf8(bytes).map_err(|_| self.malformed())?;
        if text.chars().count() as u64 != chars {
            return Err(self.malformed());
        }
        self.store.bytes(Bytes::Text).extend_from_slice(bytes);
        Ok(())
    }

    fn unknown_tag(&self, _tag: u8) -> DecodeError {
        self.malformed()
    }
}

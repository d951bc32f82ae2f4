//! A sealed change: its header, its place in its author's log, and the digest chain over the log.
//!
//! Always holds: reading a change against the head of its log either fails and leaves the head alone, or advances it.
//! Not here: the operations inside the body (`body`).

use serde::{Deserialize, Serialize};

use super::{MAX_CHANGE_BYTES, MAX_MESSAGE_BYTES, MAX_SEQ};
use crate::clock::Hlc;
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_str, put_u64};
use crate::id::ReplicaId;

/// The digest of a log up to the end of one of its changes.
pub type Digest = [u8; 32];

const TIME_NEXT: u8 = 0;
pub(super) const TIME_MS: u8 = 1;
pub(super) const TIME_FULL: u8 = 2;
pub(super) const TIME_MASK: u8 = 3;
pub(super) const HAS_DEPS: u8 = 1 << 2;
pub(super) const HAS_MESSAGE: u8 = 1 << 3;
pub(super) const ONE_OP: u8 = 1 << 4;
pub(super) const KNOWN_FLAGS: u8 = TIME_MASK | HAS_DEPS | HAS_MESSAGE | ONE_OP;

/// A dependency on a change of another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dep {
    /// The other replica.
    pub replica: ReplicaId,
    /// The exclusive end of the change depended upon.
    pub end: u64,
    /// The first half of that log's digest at `end`.
    pub digest: [u8; 16],
}

/// What stands in front of a change's operations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeHeader {
    /// Sequence number of the first operation.
    pub first_seq: u64,
    /// Number of operations, at least one.
    pub ops: u64,
    /// When it was made.
    pub hlc: Hlc,
    /// What it depends on, beyond the author's previous change.
    pub deps: Vec<Dep>,
    /// Length of the commit message, which ends where the body begins.
    message: Option<u16>,
    /// Where the body begins.
    body: u32,
}

impl ChangeHeader {
    /// The exclusive end of the change's sequence numbers.
    pub fn end(&self) -> u64 {
        self.first_seq + self.ops
    }

    /// The commit message in the bytes of the change.
    pub fn message<'a>(&self, change: &'a [u8]) -> Option<&'a str> {
        let end = self.body as usize;
        self.message.and_then(|len| std::str::from_utf8(&change[end - usize::from(len)..end]).ok())
    }

    /// The operations in the bytes of the change.
    pub fn body<'a>(&self, change: &'a [u8]) -> &'a [u8] {
        &change[self.body as usize..]
    }
}

/// A change that is about to be sealed.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// When it was made; after the author's previous change.
    pub hlc: Hlc,
    /// Dependencies that are new since the author's previous change.
    pub deps: &'a [Dep],
    /// The commit message.
    pub message: Option<&'a str>,
    /// Number of operations.
    pub ops: u64,
    /// The operations (`BodyWriter`).
    pub body: &'a [u8],
}

/// What must be known of a log in order to read or write its next change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogHead {
    /// Exclusive end of the log.
    pub end: u64,
    /// Time of the last change.
    pub hlc: Hlc,
    /// The replicas that dependencies have named so far, in order of first mention.
    pub names: Vec<ReplicaId>,
}

/// Where one log ends: what a peer or a store must know in order to go on with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogState {
    /// The author.
    pub replica: ReplicaId,
    /// The end of the log.
    pub head: LogHead,
    /// The digest at the end.
    pub digest: Digest,
}

impl LogHead {
    /// Reads the change that follows this head, and moves the head behind it.
    ///
    /// # Errors
    /// If the header is malformed or does not fit the log; the head stays where it was.
    // Inlined it is faster, where bytes of code do not count.
    #[cfg_attr(target_family = "wasm", inline(never))]
    #[cfg_attr(not(target_family = "wasm"), inline(always))]
    pub fn read(&mut self, change: &[u8]) -> Result<ChangeHeader, DecodeError> {
        let known = self.names.len();
        let header = self.read_fields(change).inspect_err(|_| self.names.truncate(known))?;
        (self.end, self.hlc) = (header.end(), header.hlc);
        Ok(header)
    }

    #[inline]
    fn read_fields(&mut self, change: &[u8]) -> Result<ChangeHeader, DecodeError> {
        let mut reader = Reader::new(change);
        if change.len() > MAX_CHANGE_BYTES {
            let (got, max) = (change.len() as u64, MAX_CHANGE_BYTES as u64);
            return Err(reader.error("change", DecodeErrorKind::AboveLimit { got, max }));
        }
        let (flags, ops) = read_start(&mut reader)?;
        if ops > MAX_SEQ.saturating_sub(self.end) {
            let max = MAX_SEQ.saturating_sub(self.end);
            return Err(reader.error("operation count", DecodeErrorKind::AboveLimit { got: ops, max }));
        }
        let hlc = self.read_time(&mut reader, flags & TIME_MASK)?;
        let deps = if flags & HAS_DEPS != 0 { self.read_deps(&mut reader)? } else { Vec::new() };
        let message = if flags & HAS_MESSAGE != 0 { Some(read_message(&mut reader)?) } else { None };
        let body = reader.offset() as u32;
        Ok(ChangeHeader { first_seq: self.end, ops, hlc, deps, message, body })
    }

    #[inline]
    fn read_time(&self, reader: &mut Reader<'_>, mode: u8) -> Result<Hlc, DecodeError> {
        let at = reader.clone();
        let bad = |kind| at.error("time", kind);
        let overflow = || bad(DecodeErrorKind::Inconsistent("the time overflows"));
        let hlc = match mode {
            TIME_NEXT => self.hlc.next().ok_or_else(overflow)?,
            TIME_MS => {
                let ms = self.hlc.ms().checked_add(reader.u64("time")?).filter(|ms| *ms < 1 << 48);
                Hlc::new(ms.ok_or_else(overflow)?, 0)
            }
            TIME_FULL => {
                let bits = self.hlc.to_bits().checked_add(reader.u64("time")?);
                Hlc::from_bits(bits.ok_or_else(overflow)?)
            }
            mode => return Err(bad(DecodeErrorKind::UnknownTag(u64::from(mode)))),
        };
        if self.end > 0 && hlc <= self.hlc {
            return Err(bad(DecodeErrorKind::Inconsistent("a log's time never stands still")));
        }
        if mode != self.time_mode(hlc) {
            return Err(bad(DecodeErrorKind::NotCanonical));
        }
        Ok(hlc)
    }

    /// The one mode in which `hlc` is written behind this head.
    #[inline]
    fn time_mode(&self, hlc: Hlc) -> u8 {
        if self.end > 0 && self.hlc.next() == Some(hlc) {
            TIME_NEXT
        } else if hlc.counter() == 0 && hlc.ms() > self.hlc.ms() {
            TIME_MS
        } else {
            TIME_FULL
        }
    }

    #[inline(never)]
    fn read_deps(&mut self, reader: &mut Reader<'_>) -> Result<Vec<Dep>, DecodeError> {
        let count = reader.bounded("dependency count", (reader.remaining() / 18) as u64)?;
        if count == 0 {
            return Err(reader.error("dependency count", DecodeErrorKind::NotCanonical));
        }
        let mut deps: Vec<Dep> = Vec::new();
        // The order of the dependencies keeps the names that are new here apart.
        let known = self.names.len();
        for _ in 0..count {
            let name = reader.bounded("dependency name", self.names.len() as u64)? as usize;
            if name == self.names.len() {
                let replica = reader.replica("dependency replica")?;
                if self.names[..known].contains(&replica) {
                    return Err(reader.error("dependency replica", DecodeErrorKind::NotCanonical));
                }
                self.names.push(replica);
            }
            let replica = self.names[name];
            let end = reader.bounded("dependency end", MAX_SEQ)?;
            if end == 0 || deps.last().is_some_and(|last| last.replica >= replica) {
                return Err(reader.error("dependency", DecodeErrorKind::NotCanonical));
            }
            deps.push(Dep { replica, end, digest: reader.array("dependency digest")? });
        }
        Ok(deps)
    }

    /// Seals `change` as the next one of this log, appends its bytes to `out` and moves the head behind it.
    /// The dependencies must be sorted by replica, the time later than the head's.
    pub fn write(&mut self, change: &Change<'_>, out: &mut Vec<u8>) {
        let mode = self.time_mode(change.hlc);
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        out.push(
            mode | flag(!change.deps.is_empty(), HAS_DEPS)
                | flag(change.message.is_some(), HAS_MESSAGE)
                | flag(change.ops == 1, ONE_OP),
        );
        if change.ops != 1 {
            put_u64(out, change.ops);
        }
        match mode {
            TIME_MS => put_u64(out, change.hlc.ms() - self.hlc.ms()),
            TIME_FULL => put_u64(out, change.hlc.to_bits() - self.hlc.to_bits()),
            _ => {}
        }
        if !change.deps.is_empty() {
            self.write_deps(change.deps, out);
        }
        if let Some(message) = change.message {
            put_str(out, message);
        }
        out.extend_from_slice(change.body);
        (self.end, self.hlc) = (self.end + change.ops, change.hlc);
    }

    fn write_deps(&mut self, deps: &[Dep], out: &mut Vec<u8>) {
        put_u64(out, deps.len() as u64);
        for dep in deps {
            let name = self.names.iter().position(|name| *name == dep.replica);
            put_u64(out, name.unwrap_or(self.names.len()) as u64);
            if name.is_none() {
                self.names.push(dep.replica);
                out.extend_from_slice(dep.replica.as_bytes());
            }
            put_u64(out, dep.end);
            out.extend_from_slice(&dep.digest);
        }
    }

    /// How many operations a change holds, read without its log.
    ///
    /// # Errors
    /// If its first fields are malformed.
    pub fn peek_ops(change: &[u8]) -> Result<u64, DecodeError> {
        read_start(&mut Reader::new(change)).map(|(_, ops)| ops)
    }
}

/// Reads a commit message, and returns its length.
#[inline(never)]
fn read_message(reader: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let text = reader.str("commit message")?;
    if text.len() > MAX_MESSAGE_BYTES {
        let (got, max) = (text.len() as u64, MAX_MESSAGE_BYTES as u64);
        return Err(reader.error("commit message", DecodeErrorKind::AboveLimit { got, max }));
    }
    Ok(text.len() as u16)
}

#[inline]
fn read_start(reader: &mut Reader<'_>) -> Result<(u8, u64), DecodeError> {
    let flags = reader.u8("change flags")?;
    if flags & !KNOWN_FLAGS != 0 {
        return Err(reader.error("change flags", DecodeErrorKind::UnknownTag(u64::from(flags))));
    }
    if flags & ONE_OP != 0 {
        return Ok((flags, 1));
    }
    let ops = reader.bounded("operation count", MAX_SEQ)?;
    if ops < 2 {
        return Err(reader.error("operation count", DecodeErrorKind::NotCanonical));
    }
    Ok((flags, ops))
}

/// The digest of `replica`'s log before its first change.
pub fn chain_start(replica: ReplicaId) -> Digest {
    blake3::derive_key("selvedge 2026 log digest chain", replica.as_bytes())
}

/// The first half of a digest, which dependencies carry.
pub(crate) fn half(digest: &Digest) -> [u8; 16] {
    let mut out = [0; 16];
    out.copy_from_slice(&digest[..16]);
    out
}

/// The digest behind a change: BLAKE3 over the digest before it and its bytes.
pub fn chain(before: &Digest, change: &[u8]) -> Digest {
    // Nearly all changes are short, and hashing them at one go spares setting up a hasher.
    let mut buffer = [0; 128];
    match buffer.get_mut(..before.len() + change.len()) {
        Some(bytes) => {
            let (head, tail) = bytes.split_at_mut(before.len());
            head.copy_from_slice(before);
            tail.copy_from_slice(change);
            *blake3::hash(bytes).as_bytes()
        }
        None => *blake3::Hasher::new().update(before).update(change).finalize().as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(head: &mut LogHead, hlc: Hlc, deps: &[Dep], message: Option<&str>, ops: u64) -> Vec<u8> {
        let mut out = Vec::new();
        head.write(&Change { hlc, deps, message, ops, body: b"body" }, &mut out);
        out
    }

    #[test]
    fn changes_read_back_as_they_were_written() {
        let (mut writer, mut reader) = (LogHead::default(), LogHead::default());
        let dep = Dep { replica: ReplicaId::from(7), end: 3, digest: [9; 16] };
        let times = [Hlc::ZERO, Hlc::new(5, 0), Hlc::new(5, 1), Hlc::new(900, 4), Hlc::new(901, 0)];
        for (i, hlc) in times.into_iter().enumerate() {
            let deps = if i == 2 || i == 3 { vec![dep] } else { Vec::new() };
            let message = (i == 1).then_some("first draft");
            let bytes = write(&mut writer, hlc, &deps, message, i as u64 + 1);
            let header = reader.read(&bytes).expect("reads what was written");
            assert_eq!((header.hlc, header.ops, header.deps.to_vec()), (hlc, i as u64 + 1, deps));
            assert_eq!(header.message(&bytes), message);
            assert_eq!(header.body(&bytes), b"body");
            assert_eq!(reader, writer);
        }
    }

    #[test]
    fn a_keystroke_has_a_header_of_one_byte() {
        let mut head = LogHead::default();
        write(&mut head, Hlc::new(5, 0), &[], None, 1);
        assert_eq!(write(&mut head, Hlc::new(5, 1), &[], None, 1).len(), 1 + b"body".len());
    }

    #[test]
    fn a_malformed_header_leaves_the_head_alone() {
        let dep = Dep { replica: ReplicaId::from(7), end: 3, digest: [9; 16] };
        let bytes = write(&mut LogHead::default(), Hlc::new(5, 0), &[dep], Some("m"), 2);
        for cut in 0..bytes.len() - b"body".len() {
            let mut head = LogHead::default();
            assert!(head.read(&bytes[..cut]).is_err(), "cut at {cut}");
            assert_eq!(head, LogHead::default());
        }
        let mut head = LogHead { end: 1, hlc: Hlc::new(9, 0), names: Vec::new() };
        assert!(head.read(&[TIME_FULL | ONE_OP, 0]).is_err(), "time stands still");
        assert!(head.read(&[0xc0]).is_err(), "unknown flags");
        assert!(LogHead { end: MAX_SEQ, ..head }.read(&[ONE_OP, 0]).is_err(), "the log is full");
    }
}

//! From columns to changes.
//!
//! Always holds: a segment never grows beyond the length that was announced for it. Not here: the other direction
//! (`split`), and what is checked before anything is allocated (`pack`).

use super::digests::{Chains, Hole, fill};
use super::pack::{Packed, Place};
use super::split::targets;
use super::store::{Bytes, Number, View};
use super::walk::{Head, LAYOUTS, LogState, NEAR, Side, VERBATIM, change, ops_of, read_token};
use crate::codec::{DecodeError, DecodeErrorKind, put_u64, unzigzag};
use crate::id::ReplicaId;
use crate::op::change::KNOWN_FLAGS;
use crate::op::{MAX_SEQ, Segment, body::opcode};
use crate::ordered::OrdMap;

/// What is written between two checks of the length: a head with its numbers.
const SLACK: usize = 64;

/// Puts changes together.
#[derive(Debug)]
pub(super) struct Join<'a> {
    view: View<'a>,
    places: &'a [Place],
    plain: u8,
    targets: OrdMap<ReplicaId, u32>,
    /// Changes with the usual flags before the next one without, which there may not be.
    plain_left: Option<u64>,
    /// Dependencies whose digest is computed before the next one with a digest.
    computed_left: Option<u64>,
    keys: Vec<&'a [u8]>,
    holes: Vec<Hole>,
    segment: u32,
    flags: u8,
    out: Vec<u8>,
    limit: usize,
    /// The run that goes on into the next change: its opcode and what is left of it.
    open: Option<(u8, u64)>,
}

impl<'a> Join<'a> {
    pub(super) fn new(packed: &'a Packed<'_>) -> Result<Self, DecodeError> {
        let mut view = View::new(packed.streams());
        let plain_left = view.next(Number::Gap)?;
        let computed_left = view.next(Number::DigestGap)?;
        Ok(Self {
            view,
            places: &packed.places,
            plain: packed.plain,
            targets: targets(packed.places.iter().map(|place| (place.replica, place.first_seq))),
            plain_left,
            computed_left,
            keys: Vec::new(),
            holes: Vec::new(),
            segment: 0,
            flags: 0,
            out: Vec::new(),
            limit: 0,
            open: None,
        })
    }

    /// All segments, and the digests that were computed for them.
    pub(super) fn segments(mut self) -> Result<(Vec<Segment>, Chains), DecodeError> {
        let mut segments = Vec::with_capacity(self.places.len());
        for place in self.places {
            let frames = self.frames(place)?;
            segments.push(Segment { replica: place.replica, first_seq: place.first_seq, frames: frames.into() });
            self.segment += 1;
        }
        self.view.end()?;
        let chains = fill(&mut segments, &self.holes)?;
        Ok((segments, chains))
    }

    fn frames(&mut self, place: &Place) -> Result<Vec<u8>, DecodeError> {
        let mut log = LogState::new(place.first_seq);
        (self.limit, self.open) = (place.bytes, None);
        self.out = Vec::with_capacity(place.bytes + SLACK);
        while self.out.len() < self.limit {
            let start = self.out.len();
            let holes = self.holes.len();
            self.out.push(0);
            self.flags = self.next_flags()?;
            if self.flags == VERBATIM {
                log = LogState::default();
                let len = self.view.number(Number::VerbatimLen)?;
                self.raw(Bytes::Verbatim, len)?;
            } else {
                change(self, &mut log)?;
            }
            self.frame(start, holes);
        }
        self.check(0)?;
        Ok(std::mem::take(&mut self.out))
    }

    /// Puts the length in front of the change that begins behind `start`, where a byte was left for it.
    fn frame(&mut self, start: usize, holes: usize) {
        let len = self.out.len() - start - 1;
        if len < 128 {
            self.out[start] = len as u8;
            return;
        }
        let mut prefix = Vec::new();
        put_u64(&mut prefix, len as u64);
        let longer = prefix.len() as u32 - 1;
        self.out.splice(start..=start, prefix);
        self.holes[holes..].iter_mut().for_each(|hole| hole.at += longer);
    }

    fn next_flags(&mut self) -> Result<u8, DecodeError> {
        let flags = match &mut self.plain_left {
            Some(0) => {
                self.plain_left = self.view.next(Number::Gap)?;
                self.view.byte(Bytes::Flags)?
            }
            Some(left) => {
                *left -= 1;
                self.plain
            }
            None => self.plain,
        };
        if flags == VERBATIM || flags & !KNOWN_FLAGS == 0 {
            return Ok(flags);
        }
        Err(self.view.byte_error(Bytes::Flags, DecodeErrorKind::UnknownTag(u64::from(flags))))
    }

    /// Refuses to write more than was announced.
    fn check(&self, more: usize) -> Result<(), DecodeError> {
        let got = self.out.len().saturating_add(more);
        if got <= self.limit {
            return Ok(());
        }
        let kind = DecodeErrorKind::AboveLimit { got: got as u64, max: self.limit as u64 };
        Err(DecodeError { field: "segment length", offset: self.out.len(), kind })
    }

    fn put(&mut self, value: u64) -> Result<u64, DecodeError> {
        put_u64(&mut self.out, value);
        self.check(0)?;
        Ok(value)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        self.check(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

impl Side for Join<'_> {
    fn flags(&mut self) -> Result<u8, DecodeError> {
        self.out.push(self.flags);
        Ok(self.flags)
    }

    fn number(&mut self, column: Number) -> Result<u64, DecodeError> {
        let value = self.view.number(column)?;
        self.put(value)
    }

    fn near(&mut self, column: Number, base: u64) -> Result<u64, DecodeError> {
        let difference = unzigzag(self.view.number(column)?);
        self.put(base.wrapping_add(difference))
    }

    fn or_next(&mut self, column: Number, next: Option<u64>) -> Result<u64, DecodeError> {
        let value = match (self.view.number(column)?, next) {
            (0, Some(next)) => next,
            (0, None) => {
                let kind = DecodeErrorKind::Inconsistent("the next one is not known in the middle of a log");
                return Err(self.view.number_error(column, kind));
            }
            (value, _) => value - 1,
        };
        self.put(value)
    }

    fn byte(&mut self, column: Bytes) -> Result<u8, DecodeError> {
        let byte = self.view.byte(column)?;
        self.extend(&[byte])?;
        Ok(byte)
    }

    fn raw(&mut self, column: Bytes, len: u64) -> Result<(), DecodeError> {
        let bytes = self.view.take(column, len)?;
        self.extend(bytes)
    }

    fn replica(&mut self) -> Result<Option<u32>, DecodeError> {
        let Some(target) = self.view.number(Number::Replica)?.checked_sub(1) else {
            self.raw(Bytes::Raw, 16)?;
            return Ok(None);
        };
        let place = usize::try_from(target).ok().and_then(|target| self.places.get(target));
        let Some(place) = place else {
            let max = self.places.len() as u64;
            return Err(self.view.number_error(Number::Replica, DecodeErrorKind::AboveLimit { got: target + 1, max }));
        };
        self.extend(place.replica.as_bytes())?;
        Ok(self.targets.get(&place.replica).copied())
    }

    fn digest(&mut self, target: Option<u32>, end: u64) -> Result<(), DecodeError> {
        match &mut self.computed_left {
            Some(0) => {
                self.computed_left = self.view.next(Number::DigestGap)?;
                return self.raw(Bytes::Digests, 16);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        let Some(target) = target.filter(|_| end <= MAX_SEQ) else {
            let kind = DecodeErrorKind::Inconsistent("its digest cannot be computed");
            return Err(self.view.number_error(Number::DepEnd, kind));
        };
        self.holes.push(Hole { source: self.segment, at: self.out.len() as u32, target, end: end as u32 });
        self.extend(&[0; 16])
    }

    fn key(&mut self) -> Result<(), DecodeError> {
        let key = match self.view.number(Number::Key)? {
            0 => {
                let len = self.view.number(Number::KeyLen)?;
                let key = self.view.take(Bytes::Strings, len)?;
                self.keys.push(key);
                key
            }
            got => {
                let key = usize::try_from(got - 1).ok().and_then(|number| self.keys.get(number).copied());
                let max = self.keys.len() as u64;
                let fail = || self.view.number_error(Number::Key, DecodeErrorKind::AboveLimit { got, max });
                key.ok_or_else(fail)?
            }
        };
        self.put(key.len() as u64)?;
        self.extend(key)
    }

    fn head(&mut self, first: bool, left: u64) -> Result<Head, DecodeError> {
        let (code, at_cursor, run) = match self.open {
            Some((code, run)) if first => (code, true, run),
            _ => {
                let byte = self.view.byte(Bytes::Heads)?;
                let unknown = || self.view.byte_error(Bytes::Heads, DecodeErrorKind::UnknownTag(u64::from(byte)));
                read_token(byte).ok_or_else(unknown)?
            }
        };
        let layout = &LAYOUTS[usize::from(code)];
        let at_cursor_bit = if layout.placed && at_cursor { opcode::AT_CURSOR } else { 0 };
        let at = self.out.len();
        self.out.push(code | at_cursor_bit);
        if !at_cursor {
            let delta = self.view.number(Number::Position)?;
            self.put(delta.saturating_add(1))?;
        }
        if !layout.counted {
            return Ok(Head { code, count: ops_of(code) });
        }
        let fresh = !(first && self.open.is_some());
        let run = if fresh && run == NEAR { NEAR.saturating_add(self.view.number(Number::Count)?) } else { run };
        let count = run.min(left);
        self.open = (run > count).then_some((code, run - count));
        if count == 1 {
            self.out[at] |= opcode::ONE;
        } else {
            self.put(count)?;
        }
        Ok(Head { code, count })
    }

    fn text(&mut self, chars: u64) -> Result<(), DecodeError> {
        let left = self.view.left(Bytes::Text);
        let len = chars_len(left, chars).unwrap_or(u64::MAX);
        self.raw(Bytes::Text, len)
    }

    fn unknown_tag(&self, tag: u8) -> DecodeError {
        self.view.byte_error(Bytes::Tags, DecodeErrorKind::UnknownTag(u64::from(tag)))
    }
}

/// How many bytes the first `chars` characters take. Bytes that are not UTF-8 are told apart later, by who reads the body.
fn chars_len(text: &[u8], chars: u64) -> Option<u64> {
    let count = usize::try_from(chars).ok()?;
    if text.get(..count)?.is_ascii() {
        return Some(chars);
    }
    let mut starts = text.iter().enumerate().filter(|(_, byte)| **byte & 0xc0 != 0x80).map(|(at, _)| at);
    match starts.nth(count) {
        Some(at) => Some(at as u64),
        None => (text.iter().filter(|byte| **byte & 0xc0 != 0x80).count() == count).then_some(text.len() as u64),
    }
}

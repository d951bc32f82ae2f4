//! What an initiator asks and a responder answers, and their bytes.
//!
//! Always holds: each message has one encoding; lists are no longer than their limit, and are allocated only as far as
//! there are bytes for them. Bytes: docs/protocol.md. Not here: when something is asked (`initiator`), and what the
//! answer is (`respond`).

use super::collection::Cursor;
use super::item::{Hash, ID_BYTES, Id, Item};
use super::symbols::{MAX_SYMBOLS, Symbol};
use super::tree::{FAN, MAX_DEPTH, Prefix};
use crate::codec::{DecodeError, DecodeErrorKind, Reader, put_str, put_u64};
use crate::id::DocName;

/// Most names, ids or prefixes in one message.
pub(super) const MAX_ENTRIES: usize = 1_024;

/// The sixteen hashes below a prefix, four bytes of each; 0 where there is no item.
pub(super) type Hashes = [u32; FAN];

/// From the initiator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// What it has, and how much of the responder's feed it knows.
    Hello { known: Option<Cursor>, documents: u64, fingerprint: Hash },
    /// Symbols from `from` on up to `end`, of the set at the `seq`-th change.
    Symbols { seq: u64, from: usize, end: usize },
    /// How the documents with these ids are called.
    Names(Vec<Id>),
    /// What the responder has where the hashes below these prefixes differ.
    Compare { nonce: u64, prefixes: Vec<(Prefix, Hashes)> },
}

/// From the responder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Both have the same.
    Same { cursor: Cursor },
    /// These documents changed; `more` if others did afterwards.
    Changed { cursor: Cursor, more: bool, names: Vec<DocName> },
    /// Symbols from `from` on.
    Symbols { cursor: Cursor, documents: u64, from: usize, symbols: Vec<Symbol> },
    /// Documents that were asked for.
    Names(Vec<DocName>),
    /// What is below prefixes whose hashes differ.
    Below(Vec<(Prefix, Below)>),
}

/// What the responder has below a prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Below {
    Hashes(Box<Hashes>),
    /// Few documents: their ids and tags.
    Items(Vec<(Id, u32)>),
}

impl Ask {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Hello { known, documents, fingerprint } => {
                out.push(u8::from(known.is_some()));
                if let Some(cursor) = known {
                    put_cursor(&mut out, *cursor);
                }
                put_u64(&mut out, *documents);
                out.extend_from_slice(fingerprint);
            }
            Self::Symbols { seq, from, end } => {
                out.push(2);
                [*seq, *from as u64, *end as u64].into_iter().for_each(|number| put_u64(&mut out, number));
            }
            Self::Names(ids) => {
                out.push(3);
                put_u64(&mut out, ids.len() as u64);
                ids.iter().for_each(|id| put_id(&mut out, *id, 0));
            }
            Self::Compare { nonce, prefixes } => {
                out.push(4);
                out.extend_from_slice(&nonce.to_le_bytes());
                put_u64(&mut out, prefixes.len() as u64);
                for (prefix, hashes) in prefixes {
                    out.push(prefix.depth as u8);
                    put_u64(&mut out, prefix.digits);
                    put_hashes(&mut out, hashes);
                }
            }
        }
        out
    }

    /// # Errors
    /// If the bytes are no message.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let ask = match reader.u8("question")? {
            tag @ (0 | 1) => Self::Hello {
                known: if tag == 1 { Some(cursor(reader)?) } else { None },
                documents: reader.u64("number of documents")?,
                fingerprint: reader.array("fingerprint")?,
            },
            2 => {
                let seq = reader.u64("change")?;
                let from = reader.bounded("first symbol", MAX_SYMBOLS as u64)? as usize;
                let end = reader.bounded("end of symbols", MAX_SYMBOLS as u64)? as usize;
                if from >= end {
                    return Err(reader.error("end of symbols", DecodeErrorKind::Inconsistent("no symbols asked for")));
                }
                Self::Symbols { seq, from, end }
            }
            3 => Self::Names(list(reader, "ids", MAX_ENTRIES, ID_BYTES, |reader| id(reader, 0, 0))?),
            4 => {
                let nonce = u64::from_le_bytes(reader.array("nonce")?);
                let prefixes = list(reader, "prefixes", MAX_ENTRIES, 2 + 4 * FAN, |reader| {
                    let depth = u32::from(reader.u8("prefix")?);
                    Ok((prefix(reader, depth)?, hashes(reader)?))
                })?;
                ascending(reader, "prefixes", prefixes.iter().map(|(prefix, _)| *prefix))?;
                Self::Compare { nonce, prefixes }
            }
            tag => return Err(reader.error("question", DecodeErrorKind::UnknownTag(tag.into()))),
        };
        reader.end("question").map(|()| ask)
    }
}

impl Answer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Same { cursor } => {
                out.push(0);
                put_cursor(&mut out, *cursor);
            }
            Self::Changed { cursor, more, names } => {
                out.push(1 + u8::from(*more));
                put_cursor(&mut out, *cursor);
                put_names(&mut out, names);
            }
            Self::Symbols { cursor, documents, from, symbols } => {
                out.push(3);
                put_cursor(&mut out, *cursor);
                [*documents, *from as u64, symbols.len() as u64].into_iter().for_each(|n| put_u64(&mut out, n));
                for symbol in symbols {
                    symbol.items.iter().for_each(|half| out.extend_from_slice(&half.to_be_bytes()));
                    out.extend_from_slice(&symbol.checks.to_le_bytes());
                }
            }
            Self::Names(names) => {
                out.push(4);
                put_names(&mut out, names);
            }
            Self::Below(parts) => {
                out.push(5);
                put_u64(&mut out, parts.len() as u64);
                parts.iter().for_each(|(prefix, below)| put_below(&mut out, *prefix, below));
            }
        }
        out
    }

    /// # Errors
    /// If the bytes are no message.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let answer = match reader.u8("answer")? {
            0 => Self::Same { cursor: cursor(reader)? },
            tag @ (1 | 2) => Self::Changed { cursor: cursor(reader)?, more: tag == 2, names: names(reader)? },
            3 => {
                let (cursor, documents) = (cursor(reader)?, reader.u64("number of documents")?);
                let from = reader.bounded("first symbol", MAX_SYMBOLS as u64)? as usize;
                Self::Symbols { cursor, documents, from, symbols: list(reader, "symbols", MAX_SYMBOLS, 20, symbol)? }
            }
            4 => Self::Names(names(reader)?),
            5 => {
                let parts = list(reader, "prefixes", MAX_ENTRIES * FAN, 3, below)?;
                ascending(reader, "prefixes", parts.iter().map(|(prefix, _)| *prefix))?;
                Self::Below(parts)
            }
            tag => return Err(reader.error("answer", DecodeErrorKind::UnknownTag(tag.into()))),
        };
        reader.end("answer").map(|()| answer)
    }
}

fn put_cursor(out: &mut Vec<u8>, cursor: Cursor) {
    out.extend_from_slice(&cursor.epoch.to_le_bytes());
    put_u64(out, cursor.seq);
}

fn cursor(reader: &mut Reader<'_>) -> Result<Cursor, DecodeError> {
    Ok(Cursor { epoch: u64::from_le_bytes(reader.array("epoch")?), seq: reader.u64("change")? })
}

fn put_names(out: &mut Vec<u8>, names: &[DocName]) {
    put_u64(out, names.len() as u64);
    names.iter().for_each(|name| put_str(out, name.as_str()));
}

fn names(reader: &mut Reader<'_>) -> Result<Vec<DocName>, DecodeError> {
    list(reader, "names", MAX_ENTRIES, 2, |reader| {
        let wrong = reader.error("name", DecodeErrorKind::Inconsistent("not the name of a document"));
        DocName::new(reader.str("name")?).map_err(|_| wrong)
    })
}

fn put_hashes(out: &mut Vec<u8>, hashes: &Hashes) {
    hashes.iter().for_each(|hash| out.extend_from_slice(&hash.to_le_bytes()));
}

fn hashes(reader: &mut Reader<'_>) -> Result<Hashes, DecodeError> {
    let mut hashes = Hashes::default();
    for hash in &mut hashes {
        *hash = u32::from_le_bytes(reader.array("hash")?);
    }
    Ok(hashes)
}

/// The bytes of an id that do not follow from the prefix that it is under.
fn put_id(out: &mut Vec<u8>, id: Id, depth: u32) {
    out.extend_from_slice(&id.to_be_bytes()[8 - ID_BYTES + depth as usize / 2..]);
}

fn id(reader: &mut Reader<'_>, depth: u32, digits: u64) -> Result<Id, DecodeError> {
    let known = depth as usize / 2;
    let bytes = reader.take("id", ID_BYTES - known)?;
    let above = if depth & 1 == 0 { digits } else { digits >> 4 };
    Ok(bytes.iter().fold(above, |id, byte| id << 8 | u64::from(*byte)))
}

fn symbol(reader: &mut Reader<'_>) -> Result<Symbol, DecodeError> {
    let items = Item(reader.array("symbol")?).halves();
    let checks = u32::from_le_bytes(reader.array("symbol")?);
    Ok(Symbol { items: [items.0, items.1], checks })
}

fn put_below(out: &mut Vec<u8>, prefix: Prefix, below: &Below) {
    out.push((prefix.depth as u8) << 1 | u8::from(matches!(below, Below::Items(_))));
    put_u64(out, prefix.digits);
    match below {
        Below::Hashes(hashes) => put_hashes(out, hashes),
        Below::Items(items) => {
            put_u64(out, items.len() as u64);
            for (id, tag) in items {
                put_id(out, *id, prefix.depth);
                out.extend_from_slice(&tag.to_le_bytes());
            }
        }
    }
}

fn below(reader: &mut Reader<'_>) -> Result<(Prefix, Below), DecodeError> {
    let head = reader.u8("prefix")?;
    let prefix = prefix(reader, u32::from(head >> 1))?;
    if head & 1 == 0 {
        return Ok((prefix, Below::Hashes(Box::new(hashes(reader)?))));
    }
    let least = ID_BYTES - prefix.depth as usize / 2 + 4;
    let items = list(reader, "items", usize::MAX, least, |reader| {
        let id = id(reader, prefix.depth, prefix.digits)?;
        if !prefix.contains(id) {
            return Err(reader.error("id", DecodeErrorKind::Inconsistent("not under its prefix")));
        }
        Ok((id, u32::from_le_bytes(reader.array("tag")?)))
    })?;
    Ok((prefix, Below::Items(items)))
}

fn prefix(reader: &mut Reader<'_>, depth: u32) -> Result<Prefix, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(reader.error("prefix", DecodeErrorKind::AboveLimit { got: depth.into(), max: MAX_DEPTH.into() }));
    }
    Ok(Prefix { depth, digits: reader.bounded("prefix", (1 << (4 * depth)) - 1)? })
}

/// A list behind its count, each entry of at least `least` bytes.
fn list<T>(
    reader: &mut Reader<'_>,
    field: &'static str,
    max: usize,
    least: usize,
    mut entry: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.bounded(field, max.min(reader.remaining() / least) as u64)?;
    (0..count).map(|_| entry(reader)).collect()
}

fn ascending(
    reader: &Reader<'_>,
    field: &'static str,
    prefixes: impl Iterator<Item = Prefix> + Clone,
) -> Result<(), DecodeError> {
    let sorted = prefixes.clone().zip(prefixes.skip(1)).all(|(one, next)| one < next);
    if sorted { Ok(()) } else { Err(reader.error(field, DecodeErrorKind::NotCanonical)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip_and_are_short() {
        let cursor = Cursor { epoch: 7, seq: 300 };
        let deep = Prefix { depth: 5, digits: 0x12345 };
        let asks = [
            (Ask::Hello { known: Some(cursor), documents: 1_000_000, fingerprint: [9; 16] }, 30),
            (Ask::Hello { known: None, documents: 0, fingerprint: [0; 16] }, 18),
            (Ask::Symbols { seq: 300, from: 64, end: 256 }, 6),
            (Ask::Names(vec![0xffff_0000_1111, 5]), 14),
            (Ask::Compare { nonce: 3, prefixes: vec![(Prefix::ALL, [1; FAN]), (deep, [0; FAN])] }, 144),
        ];
        for (ask, len) in asks {
            let bytes = ask.encode();
            assert_eq!((Ask::decode(&bytes), bytes.len()), (Ok(ask), len));
        }
        let names: Vec<DocName> = DocName::new("a name").into_iter().collect();
        let items = Below::Items(vec![(0x1234_5678_9abc, 77), (0x1234_5000_0000, 1)]);
        let answers = [
            (Answer::Same { cursor }, 11),
            (Answer::Changed { cursor, more: true, names: names.clone() }, 19),
            (Answer::Symbols { cursor, documents: 5, from: 2, symbols: vec![Symbol::from(Item([3; 16]))] }, 34),
            (Answer::Names(names), 9),
            (Answer::Below(vec![(Prefix::ALL, Below::Hashes(Box::new([8; FAN]))), (deep, items)]), 89),
        ];
        for (answer, len) in answers {
            let bytes = answer.encode();
            assert_eq!((Answer::decode(&bytes), bytes.len()), (Ok(answer), len));
        }
    }

    /// Bug class C: counts and prefixes from the wire are compared with what can be before anything is allocated.
    #[test]
    fn what_cannot_be_is_refused() {
        // Counts of 2³² - 1 behind the fixed fields, and no entries.
        let many = [0xff, 0xff, 0xff, 0xff, 0x0f];
        let (fixed, zeros) = ([[0; 11], [0; 11]].concat(), [0; 200]);
        for (tag, before) in [(1, 9), (2, 9), (3, 11), (4, 0), (5, 0)] {
            let bomb = [&[tag][..], &fixed[..before], &many, &zeros].concat();
            assert!(Answer::decode(&bomb).is_err(), "answer {tag}");
        }
        for (tag, before) in [(3, 0), (4, 8)] {
            let bomb = [&[tag][..], &fixed[..before], &many, &zeros].concat();
            assert!(Ask::decode(&bomb).is_err(), "question {tag}");
        }
        for bytes in [&[][..], &[5, 0], &[6, 0, 0], &[2, 0, 64, 64], &[2, 0, 9, 4]] {
            assert!(Ask::decode(bytes).is_err(), "{bytes:?}");
        }
        assert!(Answer::decode(&[6, 0]).is_err());
        let twice = Ask::Compare { nonce: 3, prefixes: vec![(Prefix::ALL, [1; FAN]); 2] };
        assert!(Ask::decode(&twice.encode()).is_err());
        let wide = Ask::Compare { nonce: 3, prefixes: vec![(Prefix { depth: 1, digits: 16 }, [1; FAN])] };
        assert!(Ask::decode(&wide.encode()).is_err());
        let elsewhere = vec![(Prefix { depth: 1, digits: 2 }, Below::Items(vec![(1, 1)]))];
        assert!(Answer::decode(&Answer::Below(elsewhere).encode()).is_err());
    }
}

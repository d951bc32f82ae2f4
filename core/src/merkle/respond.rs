//! `respond`: answers whatever an initiator asks.
//!
//! Always holds: an answer follows from the collection and the question alone, nothing is kept for a peer; it has at
//! most `MAX_ENTRIES` names, `MAX_SYMBOLS` symbols, or what lies below sixteen times `MAX_ENTRIES` prefixes.

use super::collection::Collection;
use super::item::{Hash, short};
use super::message::{Answer, Ask, Below, Hashes, MAX_ENTRIES};
use super::symbols::MAX_SYMBOLS;
use super::tree::{FAN, LEAF, MAX_DEPTH, Prefix};
use crate::codec::DecodeError;

/// Symbols in the first answer: enough for the difference that ten edited documents make.
const FIRST_SYMBOLS: usize = 64;

/// The answer to a message of an `Initiator`. O(answer · log n), and O(n) when more symbols are asked for than ever
/// before.
///
/// # Errors
/// If the bytes are no message.
pub fn respond(collection: &mut Collection, message: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let answer = match Ask::decode(message)? {
        Ask::Hello { known, documents, fingerprint } => {
            let cursor = collection.cursor();
            // Whoever has nothing needs everything: the feed from its start.
            let since = if documents == 0 { Some(0) } else { None };
            let since = known.filter(|known| known.epoch == cursor.epoch).map(|known| known.seq).or(since);
            hello(collection, since, fingerprint)
        }
        Ask::Symbols { seq, from, end } => {
            // Symbols of two different sets do not go together: if there were changes, all are sent.
            let from = if seq == collection.cursor().seq { from } else { 0 };
            symbols(collection, from, end)
        }
        Ask::Names(ids) => {
            let names = ids.iter().flat_map(|id| collection.names_of(*id)).take(MAX_ENTRIES);
            Answer::Names(names.cloned().collect())
        }
        Ask::Compare { nonce, prefixes } => {
            let mut parts = Vec::new();
            for (prefix, theirs) in prefixes.iter().filter(|(prefix, _)| prefix.depth < MAX_DEPTH) {
                let ours = hashes(collection, *prefix, nonce);
                let differ = (0..FAN).filter(|digit| ours[*digit] != theirs[*digit]);
                parts.extend(differ.map(|digit| below(collection, prefix.child(digit), nonce)));
            }
            Answer::Below(parts)
        }
    };
    Ok(answer.encode())
}

fn hello(collection: &mut Collection, since: Option<u64>, fingerprint: Hash) -> Answer {
    let mut cursor = collection.cursor();
    if collection.fingerprint() == fingerprint {
        return Answer::Same { cursor };
    }
    if let Some(since) = since.filter(|since| *since < cursor.seq) {
        let (names, up_to) = collection.page_since(since, MAX_ENTRIES);
        let more = up_to < cursor.seq;
        cursor.seq = up_to;
        return Answer::Changed { cursor, more, names };
    }
    symbols(collection, 0, FIRST_SYMBOLS)
}

fn symbols(collection: &mut Collection, from: usize, end: usize) -> Answer {
    let (cursor, documents) = (collection.cursor(), collection.len() as u64);
    let symbols = collection.symbols(end.min(MAX_SYMBOLS))[from..].to_vec();
    Answer::Symbols { cursor, documents, from, symbols }
}

/// The hashes below a prefix, as they are sent.
pub(super) fn hashes(collection: &mut Collection, prefix: Prefix, nonce: u64) -> Hashes {
    std::array::from_fn(|digit| short(&collection.hash(prefix.child(digit)), nonce))
}

fn below(collection: &mut Collection, prefix: Prefix, nonce: u64) -> (Prefix, Below) {
    if collection.tree.count_at_most(prefix) > LEAF && prefix.depth < MAX_DEPTH {
        return (prefix, Below::Hashes(Box::new(hashes(collection, prefix, nonce))));
    }
    let slots = collection.tree.slots(prefix).into_iter();
    let items = slots.map(|slot| collection.tree.items()[slot as usize]).map(|item| (item.id(), item.tag(nonce)));
    (prefix, Below::Items(items.collect()))
}

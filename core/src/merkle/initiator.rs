//! `Initiator`: asks a responder until it knows which documents differ.
//!
//! It begins with what it knows of the other side: a cursor and the fingerprint. A feed that goes on from the cursor is
//! the answer; without one, symbols are peeled; if those would be too many, the trees are descended where they differ,
//! two levels per round trip. Always holds: whatever the responder says, a comparison ends, and what is kept for it is
//! bounded by its last answers. What is found while documents change may be a little more or less than the difference:
//! whoever needs all of it begins again until the answer is that both sides are equal.

use super::collection::{Collection, Cursor};
use super::item::{Id, Item};
use super::message::{Answer, Ask, Below, Hashes, MAX_ENTRIES};
use super::respond::hashes;
use super::symbols::{MAX_SYMBOLS, Symbol, enough, peel};
use super::tree::{FAN, LEAF, Prefix};
use crate::codec::{DecodeError, DecodeErrorKind};
use crate::id::DocName;

/// Most messages of one comparison. Honest sides need a few dozen for a million documents that all differ.
const MAX_ASKS: u32 = 4_096;

/// Ids whose names are not asked for before the descent has come to its end.
const MANY_IDS: usize = 4 * MAX_ENTRIES;

/// What an answer told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Documents that differ: their states do, or one side does not have them. A document may be named more than once.
    pub found: Vec<DocName>,
    /// The next message to the responder; `None` if the comparison has ended.
    pub send: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Awaited {
    Hello,
    Symbols,
    Names,
    /// What is below these prefixes, ascending.
    Below(Vec<Prefix>),
}

/// One comparison with one responder.
#[derive(Debug)]
pub struct Initiator {
    nonce: u64,
    awaited: Awaited,
    asks: u32,
    cursor: Option<Cursor>,
    /// The responder's symbols so far.
    theirs: Vec<Symbol>,
    /// Prefixes to be looked at.
    queue: Vec<Prefix>,
    /// Ids of documents that only the responder has.
    unnamed: Vec<Id>,
}

impl Initiator {
    fn new(nonce: u64, awaited: Awaited) -> Self {
        let (queue, unnamed) = (Vec::new(), Vec::new());
        Self { nonce, awaited, asks: 0, cursor: None, theirs: Vec::new(), queue, unnamed }
    }

    /// Begins a comparison; the message goes to `respond` on the other side. `known` is the place in the responder's
    /// feed up to which everything has been fetched. `nonce` differs from one comparison to the next, in a way that
    /// nobody foresees who may write documents.
    pub fn hello(collection: &mut Collection, known: Option<Cursor>, nonce: u64) -> (Self, Vec<u8>) {
        let mut initiator = Self::new(nonce, Awaited::Hello);
        let ask = initiator.say_hello(collection, known);
        (initiator, ask)
    }

    /// Begins a comparison that looks at the trees alone: for a responder whose feed and symbols are not trusted.
    pub fn audit(collection: &mut Collection, nonce: u64) -> (Self, Vec<u8>) {
        let mut initiator = Self::new(nonce, Awaited::Names);
        initiator.queue = top(collection);
        let ask = initiator.compare(collection);
        (initiator, ask)
    }

    /// How much of the responder's feed is known once everything that was found has been fetched; `None` after an
    /// audit.
    pub fn cursor(&self) -> Option<Cursor> {
        self.cursor
    }

    /// Takes the responder's answer.
    ///
    /// # Errors
    /// If the bytes are no answer to what was asked, or the answers do not come to an end. The comparison is over then.
    pub fn receive(&mut self, collection: &mut Collection, message: &[u8]) -> Result<Step, DecodeError> {
        let mut found = Vec::new();
        let answer = Answer::decode(message)?;
        self.asks += 1;
        if self.asks > MAX_ASKS {
            return Err(wrong("the answers do not come to an end"));
        }
        match (answer, std::mem::replace(&mut self.awaited, Awaited::Names)) {
            (Answer::Same { cursor }, Awaited::Hello) => self.cursor = Some(cursor),
            (Answer::Changed { cursor, more, names }, Awaited::Hello) => {
                self.cursor = Some(cursor);
                let send = more.then(|| self.say_hello(collection, Some(cursor)));
                return Ok(Step { found: names, send });
            }
            (Answer::Symbols { cursor, documents, from, symbols }, Awaited::Hello | Awaited::Symbols) => {
                self.take_symbols(cursor, from, &symbols)?;
                if let Some(ask) = self.peel(collection, documents, &mut found) {
                    return Ok(Step { found, send: Some(ask) });
                }
            }
            (Answer::Names(names), Awaited::Names) => found = names,
            (Answer::Below(parts), Awaited::Below(asked)) => {
                for (prefix, below) in parts {
                    if prefix.depth == 0 || asked.binary_search(&prefix.parent()).is_err() {
                        return Err(wrong("a prefix that was not asked for"));
                    }
                    self.look_below(collection, prefix, &below, &mut found);
                }
            }
            _ => return Err(wrong("an answer to another question")),
        }
        Ok(Step { found, send: self.next(collection) })
    }

    fn say_hello(&mut self, collection: &mut Collection, known: Option<Cursor>) -> Vec<u8> {
        self.awaited = Awaited::Hello;
        let (documents, fingerprint) = (collection.len() as u64, collection.fingerprint());
        Ask::Hello { known, documents, fingerprint }.encode()
    }

    fn take_symbols(&mut self, cursor: Cursor, from: usize, symbols: &[Symbol]) -> Result<(), DecodeError> {
        let same_set = self.cursor.is_some_and(|before| before == cursor);
        if from == 0 {
            self.theirs.clear();
        } else if from != self.theirs.len() || !same_set {
            return Err(wrong("symbols that do not follow those before"));
        }
        if symbols.is_empty() || self.theirs.len() + symbols.len() > MAX_SYMBOLS {
            return Err(wrong("no symbols, or more than were asked for"));
        }
        self.cursor = Some(cursor);
        self.theirs.extend_from_slice(symbols);
        Ok(())
    }

    /// Looks for the difference in the symbols; returns a message that asks for more of them, if that is worth it.
    fn peel(&mut self, collection: &mut Collection, documents: u64, found: &mut Vec<DocName>) -> Option<Vec<u8>> {
        let (from, seq) = (self.theirs.len(), self.cursor?.seq);
        let mut difference = self.theirs.clone();
        let ours = collection.symbols(from);
        difference.iter_mut().zip(ours).for_each(|(theirs, ours)| theirs.add(ours));
        let end = enough(&difference);
        if let Some(items) = peel(difference) {
            self.theirs.clear();
            let side = |item: Item| (item.id(), collection.slot(item));
            self.sort_out(collection, items.into_iter().map(side).collect(), found);
            return None;
        }
        // A tree tells all of its items in about half of the bytes that a symbol takes.
        if end > MAX_SYMBOLS || end as u64 > documents / 2 {
            self.theirs.clear();
            self.queue = top(collection);
            return None;
        }
        self.awaited = Awaited::Symbols;
        Some(Ask::Symbols { seq, from, end }.encode())
    }

    /// Compares what the responder has below a prefix with ours.
    fn look_below(&mut self, collection: &mut Collection, prefix: Prefix, below: &Below, found: &mut Vec<DocName>) {
        match below {
            Below::Hashes(theirs) => {
                let ours = hashes(collection, prefix, self.nonce);
                let differ = (0..FAN).filter(|digit| ours[*digit] != theirs[*digit]);
                self.queue.extend(differ.map(|digit| prefix.child(digit)));
            }
            Below::Items(theirs) => {
                let mut theirs = theirs.clone();
                theirs.sort_unstable();
                let mut ours = Vec::new();
                let mut unmatched = Vec::new();
                for slot in collection.tree.slots(prefix) {
                    let item = collection.tree.items()[slot as usize];
                    let entry = (item.id(), item.tag(self.nonce));
                    ours.push(entry);
                    if theirs.binary_search(&entry).is_err() {
                        unmatched.push((item.id(), Some(slot)));
                    }
                }
                ours.sort_unstable();
                let new = theirs.iter().filter(|entry| ours.binary_search(entry).is_err());
                unmatched.extend(new.map(|(id, _)| (*id, None)));
                self.sort_out(collection, unmatched, found);
            }
        }
    }

    /// Names the documents of items that one side alone has: of ours by slot, of the responder's without. A document
    /// that both have in different states is on both sides.
    fn sort_out(&mut self, collection: &Collection, mut items: Vec<(Id, Option<u32>)>, found: &mut Vec<DocName>) {
        items.sort_unstable();
        for same in items.chunk_by(|one, next| one.0 == next.0) {
            let ours = same.iter().filter_map(|(_, slot)| *slot);
            found.extend(ours.clone().map(|slot| collection.name(slot).clone()));
            if same.len() > 2 * ours.count() {
                self.unnamed.push(same[0].0);
            }
        }
    }

    fn next(&mut self, collection: &mut Collection) -> Option<Vec<u8>> {
        if !self.queue.is_empty() && self.unnamed.len() < MANY_IDS {
            return Some(self.compare(collection));
        }
        if self.unnamed.is_empty() {
            return None;
        }
        self.awaited = Awaited::Names;
        Some(Ask::Names(last(&mut self.unnamed)).encode())
    }

    fn compare(&mut self, collection: &mut Collection) -> Vec<u8> {
        let mut asked = last(&mut self.queue);
        asked.sort_unstable();
        let prefixes: Vec<(Prefix, Hashes)> =
            asked.iter().map(|prefix| (*prefix, hashes(collection, *prefix, self.nonce))).collect();
        self.awaited = Awaited::Below(asked);
        Ask::Compare { nonce: self.nonce, prefixes }.encode()
    }
}

/// The prefixes to begin with: a large collection skips a level.
fn top(collection: &Collection) -> Vec<Prefix> {
    if collection.len() < FAN * FAN * LEAF as usize {
        return vec![Prefix::ALL];
    }
    (0..FAN).map(|digit| Prefix::ALL.child(digit)).collect()
}

/// Takes as many as fit into a message.
fn last<T>(from: &mut Vec<T>) -> Vec<T> {
    from.split_off(from.len().saturating_sub(MAX_ENTRIES))
}

fn wrong(what: &'static str) -> DecodeError {
    DecodeError { field: "answer", offset: 0, kind: DecodeErrorKind::Inconsistent(what) }
}

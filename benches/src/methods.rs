//! Ways to find out which of many documents differ: Selvedge's, and those that others use.
//!
//! Always holds: a method that claims to be exact has found exactly the documents that were edited, or its row is an
//! error; bytes are those of all messages, both ways. Not here: fetching the documents.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, ensure};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use selvedge::DocName;
use selvedge::merkle::{Collection, Initiator, respond};
use serde::Serialize;

/// What a method costs.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) method: &'static str,
    pub(crate) documents: u64,
    pub(crate) changed: u64,
    pub(crate) bytes: u64,
    pub(crate) round_trips: u64,
    /// Edited documents that the method does not find.
    pub(crate) missed: u64,
}

/// The two sides: the same documents, of which `changed` were edited on the second one.
pub(crate) struct Sides {
    pub(crate) documents: u64,
    pub(crate) changed: u64,
    ours: Collection,
    theirs: Collection,
}

fn name(number: u64) -> Result<DocName> {
    DocName::new(format!("doc/{number:012}")).map_err(|error| anyhow!("{error}"))
}

/// A collection of documents with names of 16 bytes.
pub(crate) fn collection(documents: u64) -> Result<Collection> {
    let mut collection = Collection::new([7; 32], 1);
    for number in 0..documents {
        collection.update(&name(number)?, &state(number, 0));
    }
    Ok(collection)
}

fn state(number: u64, edits: u64) -> [u8; 16] {
    let hash = blake3::hash(&[number.to_le_bytes(), edits.to_le_bytes()].concat());
    let mut state = [0; 16];
    state.copy_from_slice(&hash.as_bytes()[..16]);
    state
}

impl Sides {
    pub(crate) fn new(ours: &Collection, changed: u64) -> Result<Self> {
        let documents = ours.len() as u64;
        let mut sides = Self { documents, changed, ours: ours.clone(), theirs: ours.clone() };
        for number in sides.edited() {
            sides.theirs.update(&name(number)?, &state(number, 1));
        }
        Ok(sides)
    }

    fn edited(&self) -> impl Iterator<Item = u64> + use<> {
        let (every, changed) = (self.documents / self.changed.max(1), self.changed);
        (0..changed).map(move |number| number * every + every / 3)
    }

    fn row(&self, method: &'static str, bytes: usize, round_trips: u64) -> Row {
        let (documents, changed) = (self.documents, self.changed);
        Row { method, documents, changed, bytes: bytes as u64, round_trips, missed: 0 }
    }

    /// The logarithm of the number of ways to choose the edited documents: nobody needs fewer bytes on average.
    pub(crate) fn bound(&self) -> Row {
        let bits: f64 = (0..self.changed).map(|i| ((self.documents - i) as f64 / (i + 1) as f64).log2()).sum();
        self.row("bound", (bits / 8.0).ceil() as usize, 1)
    }

    /// Collections that are equal, whatever they know of each other.
    pub(crate) fn equal(&mut self) -> Result<Row> {
        let mut same = self.ours.clone();
        let (initiator, ask) = Initiator::hello(&mut self.ours, None, 1);
        let (found, bytes, round_trips) = converse(&mut self.ours, &mut same, initiator, ask)?;
        ensure!(found.is_empty(), "equal collections differ");
        Ok(Row { changed: 0, ..self.row("fingerprint", bytes, round_trips) })
    }

    /// A peer that had everything before the edits.
    pub(crate) fn cursor(&mut self) -> Result<Row> {
        let known = self.ours.cursor();
        let begin = Initiator::hello(&mut self.ours, Some(known), 1);
        self.exact("cursor", begin)
    }

    /// A peer that has not met this side before: symbols.
    pub(crate) fn iblt(&mut self) -> Result<Row> {
        let begin = Initiator::hello(&mut self.ours, None, 1);
        self.exact("iblt", begin)
    }

    /// The trees alone.
    pub(crate) fn merkle(&mut self) -> Result<Row> {
        let begin = Initiator::audit(&mut self.ours, 1);
        self.exact("merkle", begin)
    }

    fn exact(&mut self, method: &'static str, (initiator, ask): (Initiator, Vec<u8>)) -> Result<Row> {
        let (found, bytes, round_trips) = converse(&mut self.ours, &mut self.theirs, initiator, ask)?;
        let edited = self.edited().map(name).collect::<Result<BTreeSet<_>>>()?;
        ensure!(found == edited, "{method} found {} documents, {} were edited", found.len(), edited.len());
        Ok(self.row(method, bytes, round_trips))
    }

    /// What Automerge does with changes, done with states: a Bloom filter of 10 bits per entry and 7 probes goes one
    /// way, what is not in it comes back (here as 16 bytes each).
    pub(crate) fn bloom(&self) -> Row {
        const PROBES: u64 = 7;
        let bits = self.documents * 10;
        let mut filter = vec![0_u8; bits.div_ceil(8) as usize];
        let probes = |number, edits| {
            let number = u128::from_le_bytes(state(number, edits));
            let (first, step) = ((number >> 64) as u64 % bits, (number as u64 % bits) | 1);
            (0..PROBES).map(move |i| first.wrapping_add(step.wrapping_mul(i)) % bits)
        };
        let place = |bit: u64| ((bit / 8) as usize, 1_u8 << (bit % 8));
        for bit in (0..self.documents).flat_map(|number| probes(number, 0)) {
            let (byte, mask) = place(bit);
            filter[byte] |= mask;
        }
        let known = |bit| filter[place(bit).0] & place(bit).1 != 0;
        let missed = self.edited().filter(|number| probes(*number, 1).all(known)).count();
        let bytes = filter.len() + (self.changed as usize - missed) * 16;
        Row { missed: missed as u64, ..self.row("bloom", bytes, 1) }
    }

    /// Range-based set reconciliation, the crate `negentropy`: the names as the ids that it sorts by would not change
    /// with an edit, so its set is that of the states.
    pub(crate) fn range(&self) -> Result<Row> {
        let edited: BTreeSet<u64> = self.edited().collect();
        let id = |number, edits| Id::from_byte_array(*blake3::hash(&state(number, edits)).as_bytes());
        let (mut ours, mut theirs) = (NegentropyStorageVector::new(), NegentropyStorageVector::new());
        for number in 0..self.documents {
            ours.insert(0, id(number, 0))?;
            theirs.insert(0, id(number, u64::from(edited.contains(&number))))?;
        }
        ours.seal()?;
        theirs.seal()?;
        let (mut client, mut server) = (Negentropy::borrowed(&ours, 0)?, Negentropy::borrowed(&theirs, 0)?);
        let mut message = Some(client.initiate()?);
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let (mut bytes, mut round_trips) = (0, 0);
        while let Some(query) = message {
            let answer = server.reconcile(&query)?;
            bytes += query.len() + answer.len();
            round_trips += 1;
            message = client.reconcile_with_ids(&answer, &mut have, &mut need)?;
        }
        ensure!(have.len() == edited.len() && need.len() == edited.len(), "negentropy found something else");
        Ok(self.row("range", bytes, round_trips))
    }
}

fn converse(
    ours: &mut Collection,
    theirs: &mut Collection,
    mut initiator: Initiator,
    ask: Vec<u8>,
) -> Result<(BTreeSet<DocName>, usize, u64)> {
    let (mut found, mut bytes, mut round_trips) = (BTreeSet::new(), 0, 0);
    let mut ask = Some(ask);
    while let Some(message) = ask {
        let answer = respond(theirs, &message).context("the question")?;
        bytes += message.len() + answer.len();
        round_trips += 1;
        let step = initiator.receive(ours, &answer).context("the answer")?;
        found.extend(step.found);
        ask = step.send;
    }
    Ok((found, bytes, round_trips))
}

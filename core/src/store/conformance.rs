//! The conformance suite of every `Store`: what a store must do, as data (`cases.json`), and the runner for Rust.
//!
//! Always holds: the same cases run against every implementation, the browser's (in TypeScript) included, which is why
//! they are data. A store's own tests implement `Harness` and call `run`.
//! Not here: what only one medium can do wrong (torn writes, lost syncs: the tests of that store).

use serde::Deserialize;

use super::{Append, Record, Store, StoreError};
use crate::id::DocName;

/// The cases: a list of `{name, steps}`; the steps are those of `Step`, named by `do`.
pub const CASES: &str = include_str!("cases.json");

/// The cases about damage that is mended in place; the browser's store, from which everything is fetched anew, has none.
pub const REPAIR_CASES: &str = include_str!("repair.json");

/// What the suite needs of a store beyond the trait.
pub trait Harness {
    /// The store under test.
    type Store: Store;

    /// A new, empty store on a medium of its own.
    fn create(&mut self) -> Self::Store;

    /// Closes the store and opens the same medium again.
    ///
    /// # Errors
    /// If it does not open.
    fn reopen(&mut self, store: Self::Store) -> Result<Self::Store, StoreError>;

    /// Loses power: nothing is closed, what was not made durable is gone; then opens the same medium again.
    ///
    /// # Errors
    /// If it does not open.
    fn crash(&mut self, store: Self::Store) -> Result<Self::Store, StoreError>;

    /// Flips one bit in the stored bytes of a record, behind the back of the store.
    fn damage(&mut self, store: Self::Store, doc: &DocName, index: u64) -> Self::Store;

    /// Removes a record that others follow from the medium, behind the back of the store.
    fn lose(&mut self, store: Self::Store, doc: &DocName, index: u64) -> Self::Store;

    /// Makes the medium fail (or succeed again) while records are appended.
    fn set_failing(&mut self, store: &mut Self::Store, failing: bool);
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    /// One commit.
    Append {
        records: Vec<(Text, Bytes)>,
    },
    /// One commit on a medium that fails.
    AppendFails {
        records: Vec<(Text, Bytes)>,
    },
    /// The records of a document from `from` on.
    Read {
        doc: Text,
        #[serde(default)]
        from: u64,
        expect: Vec<(u64, Bytes)>,
    },
    /// Reading must fail with an error that contains these words.
    ReadFails {
        doc: Text,
        names: Vec<String>,
    },
    /// All documents, in any order.
    Documents {
        expect: Vec<Text>,
    },
    Reopen,
    Crash,
    Damage {
        doc: Text,
        index: u64,
    },
    Lose {
        doc: Text,
        index: u64,
    },
    /// What can be read, and which records cannot; those are set aside.
    Salvage {
        doc: Text,
        expect: Vec<(u64, Bytes)>,
        damaged: Vec<u64>,
    },
    /// Records in the place of damaged ones.
    Repair {
        doc: Text,
        records: Vec<(u64, Bytes)>,
    },
    /// The same, where one that is whole would be replaced, or on a medium that fails.
    RepairFails {
        doc: Text,
        records: Vec<(u64, Bytes)>,
        #[serde(default)]
        failing: bool,
    },
    /// How many records were set aside and are kept, at least.
    SetAside {
        expect: u64,
    },
}

/// A text, or a short one repeated.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Repeated { text: String, times: usize },
}

/// Bytes in hexadecimal, or a few repeated.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Plain(String),
    Repeated { bytes: String, times: usize },
}

/// Runs every case against a store of its own and returns how many there are.
///
/// # Errors
/// The first case and step that went wrong, and how.
pub fn run<H: Harness>(harness: &mut H) -> Result<usize, String> {
    let read = |cases| serde_json::from_str::<Vec<Case>>(cases).map_err(|error| error.to_string());
    let cases = [read(CASES)?, read(REPAIR_CASES)?].concat();
    for case in &cases {
        let mut store = harness.create();
        for (number, step) in case.steps.iter().enumerate() {
            let result = perform(harness, store, step);
            store = result.map_err(|why| format!("case {:?}, step {number} ({step:?}): {why}", case.name))?;
        }
    }
    Ok(cases.len())
}

fn perform<H: Harness>(harness: &mut H, mut store: H::Store, step: &Step) -> Result<H::Store, String> {
    let failed = |error: StoreError| error.to_string();
    match step {
        Step::Append { records } => store.append(&appends(records)?).map_err(failed)?,
        Step::AppendFails { records } => {
            harness.set_failing(&mut store, true);
            let result = store.append(&appends(records)?);
            harness.set_failing(&mut store, false);
            if result.is_ok() {
                return Err("the append succeeded".to_owned());
            }
        }
        Step::Read { doc, from, expect } => {
            let found = store.read(&doc.name()?, *from).map_err(failed)?;
            same("records", found, numbered(expect)?)?;
        }
        Step::ReadFails { doc, names } => match store.read(&doc.name()?, 0) {
            Ok(records) => return Err(format!("{} records were read", records.len())),
            Err(StoreError::Corrupt { record, .. }) => {
                if let Some(name) = names.iter().find(|name| !record.contains(name.as_str())) {
                    return Err(format!("the error does not name {name:?}: {record}"));
                }
            }
            Err(other) => return Err(format!("not reported as damage: {other}")),
        },
        Step::Documents { expect } => {
            let mut found = store.documents().map_err(failed)?;
            let mut expect = expect.iter().map(Text::name).collect::<Result<Vec<_>, _>>()?;
            found.sort();
            expect.sort();
            same("documents", found, expect)?;
        }
        Step::Reopen => return harness.reopen(store).map_err(failed),
        Step::Crash => return harness.crash(store).map_err(failed),
        Step::Damage { doc, index } => return Ok(harness.damage(store, &doc.name()?, *index)),
        Step::Lose { doc, index } => return Ok(harness.lose(store, &doc.name()?, *index)),
        Step::Salvage { doc, expect, damaged } => {
            let found = store.salvage(&doc.name()?).map_err(failed)?;
            same("records", found.records, numbered(expect)?)?;
            same("damage", found.damaged.iter().map(|damage| damage.index).collect(), damaged.clone())?;
        }
        Step::Repair { doc, records } => store.repair(&doc.name()?, &numbered(records)?).map_err(failed)?,
        Step::RepairFails { doc, records, failing } => {
            harness.set_failing(&mut store, *failing);
            let result = store.repair(&doc.name()?, &numbered(records)?);
            harness.set_failing(&mut store, false);
            if result.is_ok() {
                return Err("the repair succeeded".to_owned());
            }
        }
        Step::SetAside { expect } => {
            let kept = store.set_aside().map_err(failed)?;
            if kept < *expect {
                return Err(format!("{kept} records are kept aside instead of {expect}"));
            }
        }
    }
    Ok(store)
}

fn appends(records: &[(Text, Bytes)]) -> Result<Vec<Append>, String> {
    records
        .iter()
        .map(|(doc, bytes)| Ok(Append { doc: doc.name()?, bytes: bytes.decode()?, checkpoints: Vec::new() }))
        .collect()
}

fn numbered(records: &[(u64, Bytes)]) -> Result<Vec<Record>, String> {
    records.iter().map(|(index, bytes)| Ok(Record { index: *index, bytes: bytes.decode()? })).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expect: T) -> Result<(), String> {
    if found == expect {
        return Ok(());
    }
    let short = |value: &T| format!("{value:?}").chars().take(400).collect::<String>();
    Err(format!("other {what} than expected: {} instead of {}", short(&found), short(&expect)))
}

impl Text {
    fn name(&self) -> Result<DocName, String> {
        let text = match self {
            Text::Plain(text) => text.clone(),
            Text::Repeated { text, times } => text.repeat(*times),
        };
        DocName::new(text).map_err(|error| error.to_string())
    }
}

impl Bytes {
    fn decode(&self) -> Result<Vec<u8>, String> {
        let (digits, times) = match self {
            Bytes::Plain(digits) => (digits, 1),
            Bytes::Repeated { bytes, times } => (bytes, *times),
        };
        let pairs = digits.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> =
            pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
        Ok(bytes.ok_or_else(|| format!("{digits:?} is not hexadecimal"))?.repeat(times))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryStore;
    use super::*;

    struct Memory;

    impl Harness for Memory {
        type Store = MemoryStore;

        fn create(&mut self) -> MemoryStore {
            MemoryStore::new()
        }

        fn reopen(&mut self, store: MemoryStore) -> Result<MemoryStore, StoreError> {
            Ok(store.clone())
        }

        fn crash(&mut self, store: MemoryStore) -> Result<MemoryStore, StoreError> {
            Ok(store)
        }

        fn damage(&mut self, store: MemoryStore, doc: &DocName, index: u64) -> MemoryStore {
            store.with_raw_records(doc, |records| records[index as usize][9] ^= 4);
            store
        }

        fn lose(&mut self, store: MemoryStore, doc: &DocName, index: u64) -> MemoryStore {
            store.with_raw_records(doc, |records| records.remove(index as usize));
            store
        }

        fn set_failing(&mut self, store: &mut MemoryStore, failing: bool) {
            store.set_full(failing);
        }
    }

    #[test]
    fn the_memory_store_conforms() {
        assert_eq!(run(&mut Memory).map(|cases| cases > 10), Ok(true));
    }

    /// A store that forgets its newest record.
    struct Forgetful(MemoryStore);

    impl Store for Forgetful {
        fn append(&mut self, records: &[Append]) -> Result<(), StoreError> {
            self.0.append(records)
        }

        fn read(&mut self, doc: &DocName, from: u64) -> Result<Vec<Record>, StoreError> {
            self.0.read(doc, from).map(|mut records| {
                records.pop();
                records
            })
        }

        fn documents(&mut self) -> Result<Vec<DocName>, StoreError> {
            self.0.documents()
        }

        fn salvage(&mut self, doc: &DocName) -> Result<super::super::Salvage, StoreError> {
            self.0.salvage(doc)
        }

        fn repair(&mut self, doc: &DocName, records: &[Record]) -> Result<(), StoreError> {
            self.0.repair(doc, records)
        }

        fn set_aside(&mut self) -> Result<u64, StoreError> {
            self.0.set_aside()
        }
    }

    struct Broken;

    impl Harness for Broken {
        type Store = Forgetful;

        fn create(&mut self) -> Forgetful {
            Forgetful(MemoryStore::new())
        }

        fn reopen(&mut self, store: Forgetful) -> Result<Forgetful, StoreError> {
            Ok(store)
        }

        fn crash(&mut self, store: Forgetful) -> Result<Forgetful, StoreError> {
            Ok(store)
        }

        fn damage(&mut self, store: Forgetful, _: &DocName, _: u64) -> Forgetful {
            store
        }

        fn lose(&mut self, store: Forgetful, _: &DocName, _: u64) -> Forgetful {
            store
        }

        fn set_failing(&mut self, _: &mut Forgetful, _: bool) {}
    }

    #[test]
    fn a_store_that_forgets_is_caught() {
        let error = run(&mut Broken).expect_err("it forgets");
        assert!(error.contains("records come back in order"), "{error}");
    }
}

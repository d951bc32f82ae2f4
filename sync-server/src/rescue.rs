//! Rescue: the records in a redb file that redb itself refuses to open, found by their own checksums.
//!
//! After a crash redb opens a file only if every page of it is as it was written, so one flipped byte would take all
//! documents along. Records and checkpoints vouch for themselves, wherever they lie: each names its document and number
//! under its checksum. Always holds: the file is only read; nothing is taken whose checksum does not match, and a record
//! that is not found is missing, not fewer. Not here: what becomes of the file (`redb_store`).

use std::collections::BTreeMap;

use selvedge::store::{Checkpoint, record};
use selvedge::{DocName, ReplicaId};

/// Pages begin at multiples of this many bytes.
const PAGE: usize = 4096;

/// What the first byte of a page with rows says.
const LEAF: u8 = 1;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Rescued {
    /// The contents of records.
    pub(crate) records: BTreeMap<(DocName, u64), Vec<u8>>,
    /// The latest checkpoint of each log.
    pub(crate) checkpoints: BTreeMap<(DocName, ReplicaId), Checkpoint>,
}

impl Rescued {
    /// Looks through the bytes of a file.
    pub(crate) fn look_through(file: &[u8]) -> Self {
        let mut found = Self::default();
        for start in (0..file.len()).step_by(PAGE) {
            for (key, value) in rows(&file[start..]) {
                found.take(key, value);
            }
        }
        found
    }

    fn take(&mut self, key: &[u8], value: &[u8]) {
        let Some((name, rest)) = split_name(key) else { return };
        if let Ok(index) = <[u8; 8]>::try_from(rest).map(u64::from_le_bytes) {
            if let Ok(content) = record::open(&name, index, value) {
                self.records.insert((name, index), content.to_vec());
            }
        } else if let Ok(found) = Checkpoint::open(&name, value) {
            // Pages that are no longer in use have older ones.
            let latest = self.checkpoints.entry((name, found.replica)).or_insert(found);
            if latest.end < found.end {
                *latest = found;
            }
        }
    }

    /// How many records each document has at least.
    pub(crate) fn counts(&self) -> BTreeMap<&DocName, u64> {
        self.records.keys().map(|(doc, index)| (doc, index + 1)).collect()
    }
}

/// The rows of a leaf page: a count, where each key ends, where each value ends, the keys, the values.
fn rows(page: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut rows = Vec::new();
    let Some(&[kind, _, low, high]) = page.first_chunk() else { return rows };
    let count = usize::from(u16::from_le_bytes([low, high]));
    if kind != LEAF {
        return rows;
    }
    let end = |number: usize| {
        let bytes = page.get(4 + 4 * number..8 + 4 * number)?;
        Some(u32::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let mut key_start = 4 + 8 * count;
    let Some(mut value_start) = end(count.saturating_sub(1)) else { return rows };
    for number in 0..count {
        let (Some(key_end), Some(value_end)) = (end(number), end(count + number)) else { break };
        rows.extend(page.get(key_start..key_end).zip(page.get(value_start..value_end)));
        (key_start, value_start) = (key_end, value_end);
    }
    rows
}

/// The name in front of a key, behind its length: one byte, or 254 and two.
fn split_name(key: &[u8]) -> Option<(DocName, &[u8])> {
    let (len, rest) = match key {
        [254, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
        [len, rest @ ..] => (usize::from(*len), rest),
        [] => return None,
    };
    let (name, rest) = rest.split_at_checked(len)?;
    Some((DocName::new(std::str::from_utf8(name).ok()?).ok()?, rest))
}

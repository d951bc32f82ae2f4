//! The bytes of a stored record: a checksum over document, index and content, then the content.
//!
//! The checksum is the first 8 bytes of BLAKE3 (derive-key context `selvedge 2026 stored record`) over the length of the
//! document's name (8 bytes, little-endian), the name, the index (the same) and the content.
//! Always holds: a record that was damaged, moved to another index or put into another document does not open.
//! Not here: how long a record is (each store knows), and repair (a peer or a backup has the bytes).

use super::StoreError;
use crate::id::DocName;
use crate::planted::{self, Bug};

/// Bytes in front of the content.
pub const OVERHEAD: usize = 8;

/// The stored form of record `index` of `doc`.
pub fn seal(doc: &DocName, index: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(OVERHEAD + content.len());
    out.extend_from_slice(&checksum(doc, index, content));
    out.extend_from_slice(content);
    out
}

/// The content of a record that `seal` made.
///
/// # Errors
/// What is wrong with it; `corrupt` makes a `StoreError` of that.
pub fn open<'a>(doc: &DocName, index: u64, stored: &'a [u8]) -> Result<&'a [u8], String> {
    let Some((sum, content)) = stored.split_at_checked(OVERHEAD) else {
        return Err(format!("it is {} bytes long, less than its checksum", stored.len()));
    };
    if sum != checksum(doc, index, content) && !planted::is(Bug::RecordNotChecked) {
        return Err("the checksum does not match its bytes".to_owned());
    }
    Ok(content)
}

/// The error for a record that cannot be read back, naming the file, the document and the record.
pub fn corrupt(file: impl Into<String>, doc: &DocName, index: u64, problem: impl Into<String>) -> StoreError {
    StoreError::Corrupt {
        file: file.into(),
        record: format!("{index} of document {doc:?}", doc = doc.as_str()),
        problem: problem.into(),
    }
}

/// Tells torn, flipped and misplaced bytes from the right ones (not a defence against an adversary).
fn checksum(doc: &DocName, index: u64, content: &[u8]) -> [u8; OVERHEAD] {
    let mut hasher = blake3::Hasher::new_derive_key("selvedge 2026 stored record");
    hasher.update(&(doc.as_str().len() as u64).to_le_bytes());
    hasher.update(doc.as_str().as_bytes()).update(&index.to_le_bytes()).update(content);
    let mut out = [0; OVERHEAD];
    hasher.finalize_xof().fill(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DocName {
        DocName::new(text).expect("a name")
    }

    /// Bug class D: every flipped bit, every cut and every misplacement is noticed.
    #[test]
    fn only_the_same_bytes_at_the_same_place_open() {
        let stored = seal(&name("a"), 3, b"content");
        assert_eq!(open(&name("a"), 3, &stored), Ok(&b"content"[..]));
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&name("a"), 3, &flipped).is_err(), "bit {bit}");
        }
        for cut in 0..stored.len() {
            assert!(open(&name("a"), 3, &stored[..cut]).is_err(), "cut at {cut}");
        }
        assert!(open(&name("a"), 4, &stored).is_err() && open(&name("b"), 3, &stored).is_err());
    }
}

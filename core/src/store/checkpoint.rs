//! `Checkpoint`: where a log has got to, kept apart from the records, so that what was lost can be verified when it comes
//! back from a peer.
//!
//! Always holds: a checkpoint that was damaged, or put into another document, does not open.
//! Not here: the digest chain itself (`op::chain`), and which changes lead to it (the drivers compare).

use super::record;
use crate::codec::{Reader, put_u64};
use crate::id::{DocName, ReplicaId};

/// A point that a log passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log.
    pub replica: ReplicaId,
    /// The exclusive end of a change.
    pub end: u64,
    /// The first half of the log's digest there.
    pub digest: [u8; 16],
}

/// No record has this number.
const INDEX: u64 = u64::MAX;

impl Checkpoint {
    /// The stored form: sealed as records are, under a number that none of them has.
    pub fn seal(&self, doc: &DocName) -> Vec<u8> {
        let mut content = self.replica.as_bytes().to_vec();
        put_u64(&mut content, self.end);
        content.extend_from_slice(&self.digest);
        record::seal(doc, INDEX, &content)
    }

    /// Reads what `seal` made.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(doc: &DocName, stored: &[u8]) -> Result<Self, String> {
        let mut reader = Reader::new(record::open(doc, INDEX, stored)?);
        let mut read = || {
            let replica = reader.replica("checkpoint replica")?;
            let end = reader.u64("checkpoint end")?;
            let digest = reader.array("checkpoint digest")?;
            reader.end("checkpoint")?;
            Ok(Self { replica, end, digest })
        };
        read().map_err(|error: crate::codec::DecodeError| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_bytes_of_the_same_document_open() {
        let (a, b) = (DocName::new("a").expect("a name"), DocName::new("b").expect("a name"));
        let checkpoint = Checkpoint { replica: ReplicaId::from(7), end: 300, digest: [9; 16] };
        let stored = checkpoint.seal(&a);
        assert_eq!(Checkpoint::open(&a, &stored), Ok(checkpoint));
        assert!(Checkpoint::open(&b, &stored).is_err());
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Checkpoint::open(&a, &flipped).is_err(), "bit {bit}");
        }
    }
}

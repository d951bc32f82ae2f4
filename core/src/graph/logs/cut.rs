//! Logs as they were at an older version.
//!
//! Always holds: what is cut is closed: every change in it stands behind what it depends on. A version that is not is
//! refused by name. Not here: the state at that version (`doc`).

use super::Logs;
use crate::codec::DecodeError;
use crate::id::{OpId, ReplicaId, VersionVector};

/// A version that a document cannot be read at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// It names operations that did not arrive here yet.
    #[error("the version knows {end} operations of replica {replica}, this document {known}; import the rest first")]
    Unknown {
        /// Whose operations.
        replica: ReplicaId,
        /// How many the version names.
        end: u64,
        /// How many are known.
        known: u64,
    },
    /// It ends inside a change. Versions that `Doc::version` and `Doc::changes` tell of never do.
    #[error(
        "the version ends at operation {end} of replica {replica}, inside a change; take {first} or {change_end} instead"
    )]
    InsideChange {
        /// Whose change.
        replica: ReplicaId,
        /// Where the version ends.
        end: u64,
        /// Where the change begins.
        first: u64,
        /// The exclusive end of the change.
        change_end: u64,
    },
    /// It has an operation without one that it depends on.
    #[error(
        "the version has operation {} of replica {}, but not operation {} of replica {}, which that depends on; raise it",
        id.seq, id.replica, needs.seq, needs.replica
    )]
    NotClosed {
        /// The operation it has.
        id: OpId,
        /// The operation it lacks.
        needs: OpId,
    },
    /// It lies before what a document that was opened from a shallow save begins with.
    #[error(
        "the version knows {end} operations of replica {replica}, and the history here begins behind {base} of them, with a \
         shallow save; take a version that includes `Doc::base_version`, or ask a copy with the whole history"
    )]
    BeforeBase {
        /// Whose operations.
        replica: ReplicaId,
        /// How many the version names.
        end: u64,
        /// How many were left out of the save.
        base: u64,
    },
    /// The history that the document was opened with cannot be read.
    #[error("the history that the document was opened with is damaged: {0}; fetch the document from another copy")]
    Unreadable(DecodeError),
    /// Somebody has written with the id that a fork was to write with.
    #[error("replica {replica} has written in this document already; give a fork a fresh id")]
    ReplicaInUse {
        /// The id.
        replica: ReplicaId,
    },
}

impl Logs {
    /// The logs as they were at `version`, numbered as here. O(changes).
    ///
    /// # Errors
    /// If the version names what is unknown, ends inside a change, lacks what it depends on, or lies before the base.
    pub fn until(&self, version: &VersionVector) -> Result<Self, VersionError> {
        for (replica, end) in version.iter() {
            let known = self.find(replica).map_or(0, |log| self.end(log));
            if end > known {
                return Err(VersionError::Unknown { replica, end, known });
            }
        }
        let mut cut = Self { base: self.base.clone(), ..Self::new() };
        for log in &self.logs {
            let (replica, number) = (log.replica, cut.intern(log.replica) as usize);
            let (end, base) = (version.end(replica), log.base().end);
            if end < base {
                return Err(VersionError::BeforeBase { replica, end, base });
            }
            cut.logs[number] = log.bare();
            for index in (0..log.len()).take_while(|index| log.first_seq(*index) < end) {
                let header = cut.logs[number].append(log.change(index)).expect("what was read once can be read again");
                if header.end() > end {
                    let (first, change_end) = (header.first_seq, header.end());
                    return Err(VersionError::InsideChange { replica, end, first, change_end });
                }
                if let Some(dep) = header.deps.iter().find(|dep| version.end(dep.replica) < dep.end) {
                    let id = OpId { replica, seq: header.first_seq };
                    return Err(VersionError::NotClosed { id, needs: OpId { replica: dep.replica, seq: dep.end - 1 } });
                }
            }
        }
        Ok(cut)
    }
}

//! What the actor tells about the connection and about every document, for anyone to watch.
//!
//! Always holds: what is told was true when the actor last finished a turn. Not here: who tells it (`actor`).

use selvedge::sync::{CloseCode, SyncStatus};
use selvedge::{ReplicaId, VersionVector};

use crate::error::ClientError;

/// The connection to the relay; of several relays, to the one that is reached best.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// No relay was named.
    #[default]
    None,
    /// The first attempt is under way.
    Connecting,
    /// It is up.
    Online,
    /// It is down; the next attempt comes by itself.
    Offline {
        /// Why.
        problem: String,
        /// How long the client waits before the next attempt, in milliseconds, counted from when this was told.
        retry_ms: u64,
    },
    /// The relay ended it for a reason that trying again does not mend: there are no more attempts.
    Rejected {
        /// Why.
        code: CloseCode,
        /// The relay's words.
        text: String,
    },
}

impl Connection {
    /// The smaller, the better.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Online => 0,
            Self::Connecting => 1,
            Self::Offline { .. } => 2,
            Self::Rejected { .. } => 3,
            Self::None => 4,
        }
    }
}

/// Where a document has got to.
#[derive(Clone, Debug)]
pub struct Progress {
    /// Who writes here.
    pub replica: ReplicaId,
    /// How often what was written here went on under other ids, because another copy had written with ours. What was
    /// taken from the document before (handles, undo managers, anchors) is to be taken anew, and presence set again.
    pub healed: u32,
    /// Where our own changes have got to. Each flag tells of everything edited so far.
    pub status: SyncStatus,
    /// What of our own changes the relay has acknowledged as durable.
    pub acknowledged: VersionVector,
    /// How often changes of others have arrived.
    pub arrivals: u64,
    /// What is wrong at present.
    pub error: Option<ClientError>,
}

impl Progress {
    /// Of a document that was just opened.
    pub(crate) fn new(replica: ReplicaId) -> Self {
        let (status, acknowledged) = (SyncStatus::default(), VersionVector::new());
        Self { replica, healed: 0, status, acknowledged, arrivals: 0, error: None }
    }
}

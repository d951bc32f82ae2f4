//! `Sub`: one peer that has the document open: what it has, what it is owed, and what it owes us.

use super::accept::Held;
use super::ack::Acks;
use super::digest::DigestSaid;
use super::outbox::Outbox;
use crate::id::{ReplicaId, VersionVector};
use crate::ordered::{OrdMap, OrdSet};
use crate::sync::flow::Window;
use crate::sync::input::{Rights, Role, Token};

/// A subscriber.
#[derive(Debug)]
pub(crate) struct Sub {
    pub(crate) channel: u32,
    /// Our role on the connection.
    pub(crate) role: Role,
    /// Whether the peer has a store of its own.
    pub(crate) remote: bool,
    /// What the peer may do here.
    pub(crate) rights: Rights,
    /// Whether the peer takes our changes and presence.
    pub(crate) may_send: bool,
    /// The replica whose presence the peer may send; `None` for an acceptor that speaks for others too.
    pub(crate) owner: Option<ReplicaId>,
    /// How urgent the peer needs the document.
    pub(crate) priority: u8,
    /// The user of the peer's credential.
    pub(crate) user: Option<String>,
    /// What the peer has, as far as we know.
    pub(crate) known: VersionVector,
    pub(crate) outbox: Outbox,
    /// Log ends to be announced in place of changes.
    pub(crate) announce: OrdMap<ReplicaId, u64>,
    /// The peer is to be told that changes come otherwise too.
    pub(crate) prune: bool,
    /// The peer is to be asked for what it announced.
    pub(crate) graft: bool,
    /// Changes are being loaded for the peer.
    pub(crate) loading: Option<Token>,
    /// What was loaded is in the outbox.
    pub(crate) loaded: bool,
    /// The peer is behind: what it lacks must be loaded, once more if that is being done.
    pub(crate) want_load: bool,
    /// What it lacks was not in the store yet.
    pub(crate) starved: bool,
    pub(crate) window: Window,
    /// When it was last served, in turns of its connection.
    pub(crate) turn: u64,
    pub(crate) held: Held,
    /// Something arrived behind a gap, and was dropped.
    pub(crate) gap: bool,
    /// Times that we asked again without any progress.
    pub(crate) resyncs: u8,
    /// The peer has sent all that it owed for the catch-up.
    pub(crate) peer_done: bool,
    /// A digest is to be sent when nothing else is.
    pub(crate) digest_owed: bool,
    pub(crate) digest_sent: Option<[u8; 8]>,
    /// A digest of the peer that could not be compared yet.
    pub(crate) digest_said: Option<DigestSaid>,
    /// The version at which both copies were last found equal.
    pub(crate) agreed: Option<[u8; 8]>,
    pub(crate) digest_replies: u8,
    /// Logs of which the peer was told, since it opened the document, that ours goes on where its log ends.
    pub(crate) continued: OrdSet<ReplicaId>,
    pub(crate) acks: Acks,
    /// What the peer had of ours when the document was opened, received and durable: told when all that came with that
    /// was looked at, unless it is another content.
    pub(crate) had: Option<(VersionVector, VersionVector)>,
    /// Own changes that the peer has not acknowledged.
    pub(crate) not_received: OrdMap<ReplicaId, u64>,
    pub(crate) not_durable: OrdMap<ReplicaId, u64>,
    /// What the peer had when the document was opened, and we do not have yet.
    pub(crate) missing: OrdMap<ReplicaId, u64>,
    pub(crate) presence: OrdSet<(ReplicaId, String)>,
    /// The application was told that its changes are not taken.
    pub(crate) read_only_told: bool,
}

impl Sub {
    pub(crate) fn new(channel: u32, role: Role, remote: bool, known: VersionVector) -> Self {
        Self {
            channel,
            role,
            remote,
            rights: Rights::ALL,
            may_send: true,
            owner: None,
            priority: 0,
            user: None,
            known,
            outbox: Outbox::default(),
            announce: OrdMap::new(),
            prune: false,
            graft: false,
            loading: None,
            loaded: false,
            want_load: false,
            starved: false,
            window: Window::default(),
            turn: 0,
            held: Held::default(),
            gap: false,
            resyncs: 0,
            peer_done: false,
            digest_owed: false,
            digest_sent: None,
            digest_said: None,
            agreed: None,
            digest_replies: 0,
            continued: OrdSet::new(),
            acks: Acks::default(),
            had: None,
            not_received: OrdMap::new(),
            not_durable: OrdMap::new(),
            missing: OrdMap::new(),
            presence: OrdSet::new(),
            read_only_told: false,
        }
    }

    /// Whether what the peer lacks comes from the log.
    pub(crate) fn is_behind(&self) -> bool {
        self.want_load || self.loading.is_some()
    }
}

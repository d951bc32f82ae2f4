//! `Config` and `Limits`: what an engine is told once, and every bound that it holds against its peers.
//!
//! Always holds: a limit is checked before anything is allocated or kept for a peer. Not here: rights (they come with
//! each connection's credential).

/// What an engine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether a peer may open documents that are not here yet: they are asked for with `Effect::Open` (a relay).
    /// Without it, only documents that the application has opened are shared.
    pub serve: bool,
    /// Whether the driver answers questions about collections (`Effect::Asked`). Without it, peers are told that none
    /// are compared here.
    pub collections: bool,
    /// The bounds.
    pub limits: Limits,
    /// Program and version, told to peers for their logs.
    pub agent: String,
}

impl Config {
    /// An application that keeps documents of its own.
    pub fn client() -> Self {
        let agent = concat!("selvedge/", env!("CARGO_PKG_VERSION")).into();
        Self { serve: false, collections: false, limits: Limits::default(), agent }
    }

    /// A relay: opens any document that a peer has rights for.
    pub fn relay() -> Self {
        let agent = concat!("selvedge-relay/", env!("CARGO_PKG_VERSION")).into();
        Self { serve: true, collections: false, limits: Limits::default(), agent }
    }
}

/// Bounds on what peers may make us keep or do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest message that is read, in bytes. At least `MAX_CHANGE_BYTES` and a little more, or large changes do not pass.
    pub max_message_bytes: usize,
    /// Connections at a time; further ones are closed.
    pub max_connections: usize,
    /// Documents that one connection may have open at a time.
    pub max_documents_per_conn: usize,
    /// Replicas that one connection may name while it is up.
    pub max_names_per_conn: usize,
    /// Presence entries (owner and key) of one document.
    pub max_presence_per_doc: usize,
    /// Presence keys of one owner in one document.
    pub max_presence_per_owner: usize,
    /// Bytes of one connection that the driver was given and has not written. Beyond it nothing is pushed to the peer: it
    /// catches up from the log when it takes something again. A part of a history that is being sent may add 250 KiB.
    pub max_unwritten_bytes: usize,
    /// Bytes of changes of one document on their way to one peer that it has not taken; at least 64 KiB, which is when
    /// peers tell at the latest.
    pub window_bytes: usize,
    /// How long after the connection came up the greeting and the credential must be through, in milliseconds.
    pub greeting_timeout_ms: u64,
    /// After how much silence of ours we send a heartbeat, in milliseconds.
    pub ping_after_ms: u64,
    /// After how much silence of the peer the connection is closed, in milliseconds.
    pub timeout_ms: u64,
    /// After how long a connection is closed that takes nothing although something waits for it, in milliseconds. Longer
    /// than a silence may be: one large frame over a slow line is written in one piece.
    pub stall_timeout_ms: u64,
    /// How long a presence value lives without a refresh, in milliseconds.
    pub presence_timeout_ms: u64,
    /// How often the owner's engine refreshes its presence, in milliseconds.
    pub presence_refresh_ms: u64,
    /// How long a served document without peers stays in memory, in milliseconds.
    pub idle_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_bytes: 16 << 20,
            max_connections: 10_000,
            max_documents_per_conn: 1_000,
            max_names_per_conn: 1 << 18,
            max_presence_per_doc: 4_096,
            max_presence_per_owner: 16,
            max_unwritten_bytes: 2 << 20,
            window_bytes: 1 << 20,
            greeting_timeout_ms: 10_000,
            ping_after_ms: 15_000,
            timeout_ms: 45_000,
            stall_timeout_ms: 180_000,
            presence_timeout_ms: 30_000,
            presence_refresh_ms: 10_000,
            idle_timeout_ms: 60_000,
        }
    }
}

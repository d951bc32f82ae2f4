//! `Link`: one connection between two processes, as a WebSocket is: ordered, and nothing is lost unless all is.
//!
//! Always holds: what one end sends arrives in its order, or the connection breaks. Not here: who is told what (`world`).

use std::collections::VecDeque;

use super::node::MAX_UNWRITTEN_BYTES;
use super::watch::{Heard, Watch};

/// Bytes that wait in one direction at most: what flow control allows, one change, and signs of life.
pub(super) const MAX_WAITING: usize = MAX_UNWRITTEN_BYTES + (32 << 10);

/// What travels.
#[derive(Debug)]
pub(super) enum Packet {
    /// A message, what it tells the other end, and whether the checks know what is in it.
    Frame(Vec<u8>, Vec<Heard>),
    /// The other side is gone.
    Fin,
}

/// What will happen to the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Truncate,
    Flip,
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) queue: VecDeque<(u64, Packet)>,
    /// When the last one arrives.
    pub(super) last_ms: u64,
    /// What every frame takes in addition, and until when that goes on.
    pub(super) slow: (u64, u64),
    pub(super) damage: Option<Damage>,
    /// Nothing arrives any more, and nobody says so.
    pub(super) dead: bool,
    /// Bytes that were written, and of which the sender was not told.
    pub(super) unreported: usize,
}

/// One end.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) node: usize,
    /// The process there knows the connection.
    pub(super) open: bool,
}

/// A connection: end 0 dialed. Lane 0 carries what end 0 sends.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) ends: [End; 2],
    pub(super) lanes: [Lane; 2],
    /// The slot of the dialer that it belongs to.
    pub(super) slot: usize,
    pub(super) latency_ms: u64,
    /// Frames sent since the beginning.
    pub(super) sent: u64,
    /// `None`: one of the ends says what it likes.
    pub(super) watch: Option<Watch>,
}

impl Link {
    /// Frames on their way.
    pub(super) fn in_flight(&self, end: usize) -> usize {
        self.lanes[end].queue.iter().filter(|(_, packet)| matches!(packet, Packet::Frame(..))).count()
    }

    /// Bytes on their way.
    pub(super) fn waiting(&self, end: usize) -> usize {
        let bytes = |(_, packet): &(u64, Packet)| if let Packet::Frame(bytes, _) = packet { bytes.len() } else { 0 };
        self.lanes[end].queue.iter().map(bytes).sum()
    }

    /// When a packet that is sent now arrives.
    pub(super) fn arrival(&mut self, end: usize, now_ms: u64) -> u64 {
        let lane = &mut self.lanes[end];
        let (slow_ms, until_ms) = lane.slow;
        let slow_ms = if now_ms < until_ms { slow_ms } else { 0 };
        lane.last_ms = lane.last_ms.max(now_ms + self.latency_ms) + slow_ms;
        lane.last_ms
    }
}

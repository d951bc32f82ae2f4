//! Who may send what, and when: role × message × phase, as a match over the message enums.
//!
//! Always holds: a message that is new in the enum does not compile until it is classified here; before the credential
//! was accepted nothing but the greeting is allowed. Not here: which rights a credential gives (the driver).

use super::conn::Phase;
use super::input::{Rights, Role};
use super::message::{Greeting, Message};
use crate::planted::{self, Bug};

/// What a message needs besides a connection that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing.
    Connection,
    /// To come from the side that opened the connection.
    Dialer,
    /// To come from the side that was dialed.
    Acceptor,
    /// A channel that was asked for, open or not, from the side that was dialed.
    Answer,
    /// A channel, open or not.
    Channel(u32),
    /// A channel, open or not, from the dialer.
    DialerChannel(u32),
    /// An open channel.
    Read(u32),
    /// An open channel and the right to write.
    Write(u32),
}

/// What `message` needs.
pub(crate) fn need(message: &Message<'_>) -> Need {
    match message {
        Message::Names(_) | Message::Ping => Need::Connection,
        Message::Open(_) | Message::Question { .. } | Message::Search { .. } => Need::Dialer,
        Message::Opened(_) => Need::Answer,
        Message::Offer { .. } | Message::Answer { .. } | Message::News { .. } | Message::SearchAnswer { .. } => {
            Need::Acceptor
        }
        Message::Refused { channel, .. } => Need::Channel(*channel),
        Message::Leave { channel } | Message::Priority { channel, .. } => Need::DialerChannel(*channel),
        Message::Digest { channel, .. }
        | Message::Resync { channel, .. }
        | Message::Ack { channel, .. }
        | Message::Prune { channel }
        | Message::Credit { channel, .. } => Need::Read(*channel),
        Message::Changes { channel, .. }
        | Message::Presence { channel, .. }
        | Message::Announce { channel, .. }
        | Message::Continues { channel, .. } => Need::Write(*channel),
    }
}

/// Whether a peer in `sender`'s role may send a greeting now. A closing word is welcome at any time.
pub(crate) fn greeting_allowed(greeting: &Greeting<'_>, phase: Phase, sender: Role) -> bool {
    match greeting {
        Greeting::Hello(_) => phase == Phase::Greeting && sender == Role::Dialer,
        Greeting::Welcome(_) => phase == Phase::Greeting && sender == Role::Acceptor,
        Greeting::Close { .. } => phase != Phase::Closing,
    }
}

/// Whether a peer in `sender`'s role may send a message of this need now. `rights` are the sender's, where the
/// channel is open.
pub(crate) fn allowed(need: Need, phase: Phase, sender: Role, rights: Option<Rights>) -> bool {
    if phase != Phase::Ready {
        return false;
    }
    match need {
        Need::Connection | Need::Channel(_) => true,
        Need::Dialer | Need::DialerChannel(_) => sender == Role::Dialer,
        Need::Acceptor | Need::Answer => sender == Role::Acceptor,
        Need::Read(_) => rights.is_some_and(|rights| rights.read),
        Need::Write(_) if planted::is(Bug::RightToWriteNotChecked) => rights.is_some_and(|rights| rights.read),
        Need::Write(_) => rights.is_some_and(|rights| rights.read && rights.write),
    }
}

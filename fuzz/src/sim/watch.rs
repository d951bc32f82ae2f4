//! `Watch`: listens to one connection, and knows from what was said there what may be said next.
//!
//! Always holds: it looks at frames alone. Checked: nothing is sent twice unasked, nothing goes back to where it came
//! from, acknowledgements and claims of durability are true when they are made, an application speaks only of what its
//! own disk has, frames stay within their bounds, and so does what a peer has not taken; what it says to have taken it was
//! sent.

use std::collections::BTreeMap;

use selvedge::op::Segment;
use selvedge::{DocName, ReplicaId, VersionVector};

use super::node::WINDOW_BYTES;
use super::wire::{self, Frame, Greeting, Level, Message};

/// A frame is cut at 256 KiB, unless one change alone is larger; no change is larger than 16 KiB here.
const MAX_FRAME_BYTES: usize = 288 << 10;

/// What may be on its way of one document, with the largest change.
const MAX_UNTAKEN_BYTES: u64 = WINDOW_BYTES as u64 + (16 << 10);

/// The capability to say what was taken (§13).
const FLOW: u64 = 2;

/// One document on the connection.
#[derive(Debug)]
struct Channel {
    doc: DocName,
    /// Whether the dialer wants to know what is durable.
    acks: bool,
    /// What each side knows that the other one has of every log: not to be sent again.
    sent: [BTreeMap<ReplicaId, u64>; 2],
    /// Bytes of changes that each side has sent, and what the other one said to have taken.
    bytes: [(u64, u64); 2],
}

/// What was said over one connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    names: [Vec<ReplicaId>; 2],
    channels: BTreeMap<u32, Channel>,
    /// Both sides say what they have taken.
    flow_control: bool,
}

/// Changes in a frame, sent or announced: of a document, a log up to a seq.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) doc: DocName,
    pub(super) replica: ReplicaId,
    /// Exclusive.
    pub(super) end: u64,
}

/// What a frame changes once it has arrived.
#[derive(Debug)]
pub(super) enum Heard {
    /// Who hears it knows that the other side has this.
    Has(u32, ReplicaId, u64),
    /// Who hears it is asked for everything behind this.
    Asked(u32, BTreeMap<ReplicaId, u64>),
}

/// What a frame says that must be looked up elsewhere.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Changes.
    pub(super) changes: Vec<Told>,
    /// Claims that these log ends are durable.
    pub(super) durable: Vec<(DocName, VersionVector)>,
    /// What the other side knows from it.
    pub(super) heard: Vec<Heard>,
    /// The first message in it that is more than a sign of life or a digest.
    pub(super) busy: Option<String>,
}

impl Watch {
    /// A frame is sent by the dialer (0) or the acceptor (1).
    ///
    /// # Errors
    /// What must not be said, in words.
    pub(super) fn frame(&mut self, end: usize, bytes: &[u8]) -> Result<Said, String> {
        let frame = wire::read(bytes).ok_or("a frame of ours is malformed")?;
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(format!("a frame of {} bytes", bytes.len()));
        }
        let mut said = Said::default();
        match frame {
            Frame::Greeting(greeting) => {
                if let Greeting::Welcome { capabilities, .. } = greeting {
                    self.flow_control = capabilities & FLOW != 0;
                }
                said.busy = Some(format!("{greeting:?}"));
            }
            Frame::Messages(messages) => {
                for message in messages {
                    if said.busy.is_none() && !matches!(message, Message::Ping | Message::Digest { .. }) {
                        said.busy = Some(format!("{message:?}"));
                    }
                    self.message(end, message, &mut said)?;
                }
            }
        }
        Ok(said)
    }

    fn message(&mut self, end: usize, message: Message, said: &mut Said) -> Result<(), String> {
        match message {
            Message::Names(names) => self.names[end].extend(names.into_iter().map(ReplicaId::from_bytes)),
            Message::Open { channel, name, version, acks, .. } => {
                let doc = DocName::new(name).map_err(|error| error.to_string())?;
                let has = self.ends(end, &version)?;
                self.channels.insert(channel, Channel { doc, acks, sent: [BTreeMap::new(), has], bytes: [(0, 0); 2] });
            }
            Message::Opened { channel, state, undurable, .. } => self.opened(channel, state, &undurable, said)?,
            Message::Refused { channel, .. } | Message::Leave { channel } => drop(self.channels.remove(&channel)),
            Message::Changes { channel, log, first_seq, frames } => {
                self.changes(end, channel, log, first_seq, &frames, said)?;
            }
            Message::Announce { channel, ends } => {
                let ends = self.ends(end, &ends)?;
                let Some(open) = self.channels.get_mut(&channel) else { return Ok(()) };
                for (replica, after) in ends {
                    // What is announced is sent only if it is asked for.
                    let known = open.sent[end].entry(replica).or_default();
                    *known = (*known).max(after);
                    said.heard.push(Heard::Has(channel, replica, after));
                    said.changes.push(Told { doc: open.doc.clone(), replica, end: after });
                }
            }
            Message::Credit { channel, taken } => {
                let Some(channel) = self.channels.get_mut(&channel) else { return Ok(()) };
                let (sent, before) = channel.bytes[1 - end];
                if taken > sent || taken <= before || !self.flow_control {
                    return Err(format!("{taken} bytes are said to be taken of {sent}, and {before} were before"));
                }
                channel.bytes[1 - end].1 = taken;
            }
            Message::Resync { channel, version } => said.heard.push(Heard::Asked(channel, self.ends(end, &version)?)),
            Message::Ack { channel, level: Level::Durable, ends } => {
                let ends = self.ends(end, &ends)?;
                if let Some(channel) = self.channels.get(&channel) {
                    said.durable.push((channel.doc.clone(), ends.into_iter().collect()));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn opened(
        &mut self,
        number: u32,
        state: Option<(wire::Ends, [u8; 16])>,
        undurable: &wire::Ends,
        said: &mut Said,
    ) -> Result<(), String> {
        let differing = self.ends(1, &state.map(|state| state.0).unwrap_or_default())?;
        let undurable = self.ends(1, undurable)?;
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        // What the dialer has, but for the differences, is what the acceptor has.
        let mut has = channel.sent[1].clone();
        has.extend(differing);
        channel.sent[0].clone_from(&has);
        has.extend(undurable);
        if channel.acks {
            said.durable.push((channel.doc.clone(), has.into_iter().collect()));
        }
        Ok(())
    }

    fn changes(
        &mut self,
        end: usize,
        number: u32,
        log: u32,
        first: u64,
        frames: &[u8],
        said: &mut Said,
    ) -> Result<(), String> {
        let replica = self.name(end, log)?;
        let Some(channel) = self.channels.get_mut(&number) else { return Ok(()) };
        let (sent, taken) = &mut channel.bytes[end];
        *sent += frames.len() as u64;
        if self.flow_control && *sent - *taken > MAX_UNTAKEN_BYTES {
            return Err(format!("{sent} bytes of {} are sent, of which {taken} were taken", channel.doc));
        }
        let segment = Segment { replica, first_seq: first, frames: frames.into() };
        let after = segment.end().map_err(|error| format!("changes of ours are malformed: {error}"))?;
        let known = channel.sent[end].entry(replica).or_default();
        if first < *known {
            return Err(format!(
                "changes are sent again over one connection: {replica} from {first} on, {known} was there"
            ));
        }
        *known = after;
        said.heard.push(Heard::Has(number, replica, after));
        said.changes.push(Told { doc: channel.doc.clone(), replica, end: after });
        Ok(())
    }

    /// A frame has arrived at this end: from now on it is not to send that back, and must send what it was asked for.
    pub(super) fn arrived(&mut self, end: usize, heard: Vec<Heard>) {
        for heard in heard {
            match heard {
                Heard::Has(number, replica, after) => {
                    let Some(channel) = self.channels.get_mut(&number) else { continue };
                    let known = channel.sent[end].entry(replica).or_default();
                    *known = (*known).max(after);
                }
                Heard::Asked(number, version) => {
                    let Some(channel) = self.channels.get_mut(&number) else { continue };
                    channel.sent[end] = version;
                }
            }
        }
    }

    /// The process at this end is gone. What it said to have need not be on its disk: the one that takes its place may
    /// write other changes under the same numbers, and whoever does not know yet that this end is gone passes those on.
    pub(super) fn gone(&mut self, end: usize) {
        self.channels.values_mut().for_each(|channel| channel.sent[1 - end].clear());
    }

    fn name(&self, end: usize, index: u32) -> Result<ReplicaId, String> {
        self.names[end].get(index as usize).copied().ok_or_else(|| format!("nobody was named {index}"))
    }

    fn ends(&self, end: usize, ends: &wire::Ends) -> Result<BTreeMap<ReplicaId, u64>, String> {
        ends.iter().map(|(index, exclusive)| Ok((self.name(end, *index)?, *exclusive))).collect()
    }
}

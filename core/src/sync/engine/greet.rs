//! Connections come and go: the greeting, the credential, and the ways in which a connection ends.
//!
//! Always holds: a stranger's bytes reach nothing but the greeting; whoever is closed is told why, with a number.

use super::Engine;
use crate::sync::conn::{Conn, Phase};
use crate::sync::message::{
    Blob, FLOW, GOSSIP, Greeting, Hello, PROTOCOL_MAX, PROTOCOL_MIN, Welcome, clip, encode_greeting,
};
use crate::sync::timers::Owner;
use crate::sync::{CloseCode, ConnId, Effect, Grant, Link, Role};

/// Longest credential that we present or look at, in bytes.
const MAX_CREDENTIAL_BYTES: usize = 8 << 10;

impl Engine {
    pub(super) fn connected(&mut self, id: ConnId, role: Role, link: Link, credential: Option<String>) {
        if self.conns.contains_key(&id) {
            return;
        }
        self.conns.insert(id, Conn::new(role, link, self.now_ms));
        if self.conns.len() > self.config.limits.max_connections {
            let text = format!("{} connections are open, which is the limit here", self.config.limits.max_connections);
            self.close(id, CloseCode::Limit, &text);
            return;
        }
        self.timers.at_latest(Owner::Conn(id), self.conns[&id].due_ms(&self.config.limits));
        if role == Role::Acceptor {
            return;
        }
        let (max_message_bytes, agent) = (self.config.limits.max_message_bytes as u64, self.config.agent.clone());
        let Some(conn) = self.conn(id) else { return };
        let capabilities = conn.capabilities();
        conn.greet(&Greeting::Hello(Hello {
            min: PROTOCOL_MIN,
            max: PROTOCOL_MAX,
            capabilities,
            max_message_bytes,
            credential: credential.as_deref(),
            agent: clip(&agent),
            extension: Blob(&[]),
        }));
    }

    pub(super) fn disconnected(&mut self, id: ConnId) {
        self.detach(id);
        self.conns.remove(&id);
        self.timers.remove(&Owner::Conn(id));
    }

    pub(super) fn greeted(&mut self, id: ConnId, greeting: &Greeting<'_>) {
        match greeting {
            Greeting::Hello(hello) => self.hello(id, hello),
            Greeting::Welcome(welcome) => self.welcome(id, welcome),
            Greeting::Close { code, text } => {
                let code = CloseCode::from_number(*code).unwrap_or(CloseCode::Internal);
                self.end(id, code, clip(text).to_owned());
            }
        }
    }

    fn hello(&mut self, id: ConnId, hello: &Hello<'_>) {
        if hello.min > hello.max || hello.min > PROTOCOL_MAX || hello.max < PROTOCOL_MIN {
            let who = if self.config.serve { "relay" } else { "peer" };
            let text = format!(
                "this {who} speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}, you offered {} to {}",
                hello.min, hello.max
            );
            return self.close(id, CloseCode::Version, &text);
        }
        if hello.credential.is_some_and(|credential| credential.len() > MAX_CREDENTIAL_BYTES) {
            return self.close(id, CloseCode::Unauthorized, "the credential is longer than 8 KiB");
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.phase = Phase::Authenticating;
        conn.peer_max_bytes = hello.max_message_bytes;
        conn.gossip = hello.capabilities & GOSSIP != 0;
        conn.flow_control = hello.capabilities & FLOW != 0;
        if conn.link == Link::SharedStore {
            // Who shares our store can read and write all of it anyway.
            return self.authenticated(id, Ok(Grant::all()));
        }
        let credential = hello.credential.map(str::to_owned);
        self.effects.push_back(Effect::Authenticate { conn: id, credential });
    }

    fn welcome(&mut self, id: ConnId, welcome: &Welcome<'_>) {
        if !(PROTOCOL_MIN..=PROTOCOL_MAX).contains(&welcome.version) {
            let text = format!("this side speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}, you chose {}", welcome.version);
            return self.close(id, CloseCode::Version, &text);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.phase = Phase::Ready;
        conn.peer_max_bytes = welcome.max_message_bytes;
        let common = conn.capabilities() & welcome.capabilities;
        (conn.gossip, conn.flow_control) = (common & GOSSIP != 0, common & FLOW != 0);
        let docs = self.by_priority(self.rooms.keys().cloned().collect());
        docs.iter().for_each(|doc| self.ask(id, doc));
        self.send_question(id);
        self.timers.at_latest(Owner::Conn(id), self.conns[&id].due_ms(&self.config.limits));
    }

    /// The driver's word on a credential: the first one lets the connection in, later ones change its rights.
    pub(super) fn authenticated(&mut self, id: ConnId, grant: Result<Grant, String>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let known = matches!(conn.phase, Phase::Authenticating | Phase::Ready);
        if conn.role != Role::Acceptor || !known {
            return;
        }
        let grant = match grant {
            Ok(grant) => grant,
            Err(reason) => return self.close(id, CloseCode::Unauthorized, &reason),
        };
        conn.grant = grant;
        if conn.phase == Phase::Ready {
            return self.apply_grant(id);
        }
        conn.phase = Phase::Ready;
        let limits = &self.config.limits;
        let (max_message_bytes, max_documents) =
            (limits.max_message_bytes as u64, limits.max_documents_per_conn as u64);
        self.timers.at_latest(Owner::Conn(id), conn.due_ms(limits));
        let agent = self.config.agent.clone();
        let Some(conn) = self.conn(id) else { return };
        let capabilities = (u64::from(conn.gossip) * GOSSIP) | (u64::from(conn.flow_control) * FLOW);
        conn.greet(&Greeting::Welcome(Welcome {
            version: PROTOCOL_MAX,
            capabilities,
            max_message_bytes,
            max_documents,
            agent: clip(&agent),
            extension: Blob(&[]),
        }));
    }

    pub(super) fn close_for_driver(&mut self, id: ConnId, code: CloseCode, text: &str) {
        if self.conns.get(&id).is_some_and(|conn| conn.phase != Phase::Closing) {
            self.close(id, code, text);
        }
    }

    /// Closes a connection: tells the peer, then the driver.
    pub(super) fn close(&mut self, id: ConnId, code: CloseCode, text: &str) {
        let text = clip(text);
        let bytes = encode_greeting(&Greeting::Close { code: code.number(), text });
        self.effects.push_back(Effect::Send { conn: id, bytes });
        self.end(id, code, text.to_owned());
    }

    /// Ends a connection for us; what waited for it is dropped.
    fn end(&mut self, id: ConnId, code: CloseCode, text: String) {
        self.effects.push_back(Effect::Close { conn: id, code, text });
        self.detach(id);
        self.timers.remove(&Owner::Conn(id));
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.phase = Phase::Closing;
            conn.take_frames(&self.config.limits, self.now_ms);
        }
    }

    /// Takes a connection out of every room.
    fn detach(&mut self, id: ConnId) {
        self.give_up_fetches_over(id);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let channels: Vec<u32> = conn.channels.keys().copied().collect();
        for channel in channels {
            self.drop_channel(id, channel);
        }
    }
}

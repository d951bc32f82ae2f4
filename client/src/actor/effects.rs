//! What is done for each of the engine's effects.
//!
//! Always holds: effects are performed in order; completions that come at once are given back before the turn ends.

use selvedge::DocName;
use selvedge::op::Batch;
use selvedge::store::{Append, Checkpoint};
use selvedge::sync::{AckLevel, CloseCode, ConnId, Effect, Grant, Input, RefuseCode, SyncStatus, Token};

use super::turn::unix_ms;
use super::{Actor, OpenDoc};
use crate::error::ClientError;
use crate::handle::Presence;

impl Actor {
    /// Drains the engine.
    pub(super) fn perform_effects(&mut self) {
        loop {
            while let Some(effect) = self.engine.poll_effect() {
                self.perform(effect);
            }
            match self.answers.pop_front() {
                Some(input) => self.handle(input),
                None if self.go_on_following() => {}
                None => return,
            }
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Persist { token, doc, batch } => self.persist(token, doc, &batch),
            Effect::Load { token, doc, since, max_bytes } => {
                let answer = match self.docs.get_mut(&doc) {
                    Some(OpenDoc { held: Some(held), .. }) => {
                        let (batch, digests) = (held.part_since(&since, max_bytes), held.digests_at(&since));
                        Input::Loaded { token, batch, digests }
                    }
                    Some(OpenDoc { doc, .. }) => {
                        let (batch, digests) = (doc.part_since(&since, max_bytes), doc.digests_at(&since));
                        Input::Loaded { token, batch, digests }
                    }
                    None => Input::LoadFailed { token, reason: "the document was closed".into() },
                };
                self.answers.push_back(answer);
            }
            Effect::Send { conn, bytes } => {
                if let Some(link) = self.links.get(&conn) {
                    link.out.send(bytes);
                }
            }
            Effect::Applied { doc, batch } => self.apply(&doc, &batch),
            Effect::Acked { doc, level: AckLevel::Durable, version } => {
                self.tell(&doc, |open| open.progress.send_modify(|progress| progress.acknowledged.merge(&version)));
            }
            Effect::Status { doc, status } => {
                self.tell(&doc, |open| open.set_status(status));
                if status.caught_up {
                    self.followed(&doc);
                }
            }
            Effect::Presence { doc, owner, user, key, value } => self.tell(&doc, |open| {
                let _ = open.presence.send(Presence { owner, user, key, value });
            }),
            // Whoever dialed yields; this copy is the other one, or is told of by `Forked`.
            Effect::Refused { doc, code: RefuseCode::Fork, text } => {
                tracing::warn!(%doc, text, "forked");
                self.followed(&doc);
            }
            Effect::Forked { conn, doc } => self.forked(conn, doc),
            Effect::SearchAnswered { conn, doc, answer } => self.search_answered(conn, &doc, answer),
            Effect::SearchAsked { conn, doc, question } => {
                let open = self.docs.get_mut(&doc).filter(|open| open.held.is_none());
                let answer = open.and_then(|open| open.doc.answer_search(&question).ok());
                self.answers.push_back(Input::SearchAnswer { conn, answer });
            }
            Effect::Refused { doc, code, text } => {
                self.followed(&doc);
                let error = ClientError::Refused { doc: doc.clone(), code, text };
                self.tell(&doc, |open| open.fail(error));
            }
            Effect::Close { conn, code, text } => self.close_connection(conn, code, text),
            Effect::Authenticate { conn, credential } => self.authenticate(conn, credential.as_deref()),
            // Only a relay serves, fetches, evicts and mends documents by itself.
            Effect::Acked { .. }
            | Effect::Open { .. }
            | Effect::Evict { .. }
            | Effect::Fetched { .. }
            | Effect::Salvaged { .. } => {}
            Effect::Answered { conn, collection, answer } => self.on_answer(conn, &collection, answer.as_deref()),
            Effect::News { conn, collection } => self.on_news(conn, &collection),
            // Nobody's questions about collections are answered here (`Config::collections`).
            Effect::Asked { .. } => {}
        }
    }

    fn tell(&mut self, doc: &DocName, what: impl FnOnce(&OpenDoc)) {
        if let Some(open) = self.docs.get(doc) {
            what(open);
        }
    }

    fn persist(&mut self, token: Token, doc: DocName, batch: &Batch) {
        let Some(worker) = &self.worker else {
            self.answers.push_back(Input::Persisted { token });
            return;
        };
        let bytes = batch.encode();
        self.storing_bytes += bytes.len();
        self.storing.insert(token, doc.clone());
        let open = self.docs.get_mut(&doc);
        let checkpoints = open.and_then(|open| open.checkpoint(batch)).into_iter().collect();
        let record = Append { doc, bytes, checkpoints };
        match self.docs.get_mut(&record.doc).and_then(|open| open.mending.as_mut()) {
            Some(mending) => mending.waiting.push((token, record)),
            None => worker.append(token, record),
        }
    }

    fn apply(&mut self, doc: &DocName, batch: &Batch) {
        let Some(open) = self.docs.get_mut(doc) else { return };
        open.doc.set_now(unix_ms());
        let applied = match &mut open.held {
            Some(held) => held.arrive(batch).map(|_| 0),
            None => open.doc.import_batch(batch).map(|imported| imported.pending_bytes),
        };
        if let (Ok(pending_bytes), Some(mending)) = (&applied, &mut open.mending) {
            mending.pending_bytes = *pending_bytes;
        }
        if let Err(source) = applied {
            open.fail(ClientError::Changes { doc: doc.clone(), origin: "the relay", source });
        }
        open.progress.send_modify(|progress| progress.arrivals += 1);
    }

    fn close_connection(&mut self, conn: ConnId, code: CloseCode, text: String) {
        tracing::warn!(?code, text, "closing the connection");
        let Some(link) = self.links.remove(&conn) else { return };
        link.out.close(code, text.clone());
        if let Some(relay) = link.relay.filter(|_| matches!(code, CloseCode::Version | CloseCode::Unauthorized)) {
            self.reject(relay, code, text);
        }
    }

    /// Another device has dialled this one.
    fn authenticate(&mut self, conn: ConnId, credential: Option<&str>) {
        let admitted = match &self.net.listen_token {
            None => true,
            Some(token) => credential.is_some_and(|shown| same(shown.as_bytes(), token.as_bytes())),
        };
        let grant = if admitted { Ok(Grant::all()) } else { Err("the token is not the one of this device".to_owned()) };
        self.answers.push_back(Input::Authenticated { conn, grant });
    }
}

impl OpenDoc {
    /// Where our own log has got to with this batch: nobody else may have it if the store loses it.
    fn checkpoint(&mut self, batch: &Batch) -> Option<Checkpoint> {
        let replica = self.doc.replica();
        let end = batch.segments.iter().rfind(|segment| segment.replica == replica)?.end().ok()?;
        let digest = self.doc.log_digest(replica, end)?;
        Some(Checkpoint { replica, end, digest })
    }

    fn set_status(&self, status: SyncStatus) {
        if status.connected {
            let passes = [RefuseCode::Unreadable, RefuseCode::NotStored, RefuseCode::Limit];
            self.clear_error(|error| matches!(error, ClientError::Refused { code, .. } if passes.contains(code)));
        }
        let (replica, own_end) = (self.doc.replica(), self.own_end);
        self.progress.send_modify(|progress| {
            progress.status = status;
            if status.durable {
                progress.acknowledged.raise(replica, own_end);
            }
        });
    }
}

/// Compares in a time that tells nothing but the lengths.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

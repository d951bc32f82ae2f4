//! Collections are compared: questions and answers pass between the drivers of the two sides.
//!
//! Always holds: a connection has one question on its way at most; none reaches the driver unless the asking side may
//! read every document of the collection; a dialer that asked is told once when the collection has changed.
//! Not here: what they say (`merkle`), and the collections themselves: the driver has the store, which knows documents
//! that no room is open for.

use super::Engine;
use super::open::Broken;
use crate::id::DocName;
use crate::merkle::StateDigest;
use crate::sync::conn::Phase;
use crate::sync::message::{Blob, Message};
use crate::sync::{CloseCode, ConnId, Effect, Role};

/// Bytes of a question or an answer beyond its content, at most.
const OVERHEAD: usize = 300;

/// Collections of whose changes one connection is told.
const MAX_WATCHED: usize = 64;

impl Engine {
    /// What stands for the state of a document in a collection; `None` if it is not open here. O(logs) after a change.
    pub fn digest(&mut self, doc: &DocName) -> Option<StateDigest> {
        self.rooms.get_mut(doc).map(|room| room.summary().fingerprint)
    }

    /// The driver asks about a collection.
    pub(super) fn ask_about(&mut self, id: ConnId, collection: String, question: Vec<u8>) {
        let conn = self.conns.get_mut(&id).filter(|conn| conn.role == Role::Dialer && conn.phase != Phase::Closing);
        match conn {
            Some(conn) if collection.len() <= DocName::MAX_BYTES => {
                conn.questions.push_back((collection, question));
                self.send_question(id);
            }
            _ => self.effects.push_back(Effect::Answered { conn: id, collection, answer: None }),
        }
    }

    /// Sends the next question, if none is on its way and the greeting is through.
    pub(super) fn send_question(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.phase != Phase::Ready || conn.asked.is_some() {
            return;
        }
        let Some((collection, question)) = conn.questions.pop_front() else { return };
        conn.push(&Message::Question { collection: &collection, question: Blob(&question) });
        conn.asked = Some(collection);
        self.dirty_conns.insert(id);
    }

    pub(super) fn on_question(&mut self, id: ConnId, collection: &str, question: &[u8]) -> Result<(), Broken> {
        let answers = self.config.collections;
        let Some(conn) = self.conn(id) else { return Ok(()) };
        if conn.asked.is_some() {
            return Err(Broken(CloseCode::Limit, "a question before the last one was answered".to_owned()));
        }
        if collection.len() > DocName::MAX_BYTES {
            return Err("the name of a collection is too long".to_owned().into());
        }
        if !answers || !conn.grant.may_read_all(collection) {
            conn.push(&Message::Answer { collection, answer: None });
            return Ok(());
        }
        conn.asked = Some(collection.to_owned());
        let (collection, question) = (collection.to_owned(), question.to_vec());
        self.effects.push_back(Effect::Asked { conn: id, collection, question });
        Ok(())
    }

    /// The driver answers what a peer asked.
    pub(super) fn answer(&mut self, id: ConnId, answer: Option<&[u8]>) {
        let Some(conn) = self.conn(id).filter(|conn| conn.role == Role::Acceptor && conn.phase == Phase::Ready) else {
            return;
        };
        let Some(collection) = conn.asked.take() else { return };
        let fits = |answer: &&[u8]| (answer.len() + OVERHEAD) as u64 <= conn.peer_max_bytes;
        // The rights may have changed since it was asked.
        let answer = answer.filter(fits).filter(|_| conn.grant.may_read_all(&collection)).map(Blob);
        if answer.is_some() && conn.watched.len() < MAX_WATCHED {
            conn.watched.insert(collection.clone());
        }
        conn.push(&Message::Answer { collection: &collection, answer });
    }

    /// The driver's collection has changed: whoever asked about it since the last news is told.
    pub(super) fn tell_news(&mut self, collection: &str) {
        for (id, conn) in &mut self.conns {
            if conn.phase == Phase::Ready && conn.watched.remove(collection) && conn.grant.may_read_all(collection) {
                conn.push(&Message::News { collection });
                self.dirty_conns.insert(*id);
            }
        }
    }

    pub(super) fn on_answer(&mut self, id: ConnId, collection: &str, answer: Option<&[u8]>) -> Result<(), Broken> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        match conn.asked.take() {
            Some(asked) if asked == collection => {
                let answer = answer.map(<[u8]>::to_vec);
                self.effects.push_back(Effect::Answered { conn: id, collection: asked, answer });
                self.send_question(id);
                Ok(())
            }
            _ => Err(format!("nothing was asked about collection {collection:?}").into()),
        }
    }
}

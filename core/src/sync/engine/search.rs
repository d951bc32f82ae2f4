//! Forks are searched for: questions and answers pass between the drivers of the two sides, which have the logs.
//!
//! Always holds: a connection has one search on its way at most; none reaches the driver unless the asking side may read
//! the document, and the document is here, whole. Not here: what they say (`graph::ForkSearch`), and what follows.

use super::Engine;
use super::open::Broken;
use crate::id::DocName;
use crate::planted::{self, Bug};
use crate::sync::conn::Phase;
use crate::sync::message::{Blob, Message};
use crate::sync::{CloseCode, ConnId, Effect, Role};

/// Bytes of an answer beyond its content, at most.
const OVERHEAD: usize = 300;

impl Engine {
    /// Tells the driver of a fork with a peer that we dialed: our copy is the one that yields.
    pub(super) fn tell_forked(&mut self, id: ConnId, doc: DocName) {
        let dialed = self.conns.get(&id).is_some_and(|conn| conn.role == Role::Dialer);
        if dialed && !planted::is(Bug::ForkIsNotTold) {
            self.effects.push_back(Effect::Forked { conn: id, doc });
        }
    }

    /// The driver asks where a peer's copy differs.
    pub(super) fn search(&mut self, id: ConnId, doc: DocName, question: Vec<u8>) {
        let conn = self.conns.get_mut(&id).filter(|conn| conn.role == Role::Dialer && conn.phase == Phase::Ready);
        match conn {
            Some(conn) => {
                // A search that begins anew does not wait for answers to the one before.
                conn.searches.retain(|(other, _)| *other != doc);
                if let Some((_, before)) = conn.searched.as_mut().filter(|(asked, _)| *asked == doc) {
                    before.clear();
                }
                conn.searches.push_back((doc, question));
                self.send_search(id);
            }
            None => self.effects.push_back(Effect::SearchAnswered { conn: id, doc, answer: None }),
        }
    }

    fn send_search(&mut self, id: ConnId) {
        let Some(conn) = self.conn(id).filter(|conn| conn.searched.is_none()) else { return };
        let Some((name, question)) = conn.searches.pop_front() else { return };
        conn.push(&Message::Search { name: name.clone(), question: Blob(&question) });
        conn.searched = Some((name, question));
    }

    pub(super) fn on_search(&mut self, id: ConnId, doc: DocName, question: &[u8]) -> Result<(), Broken> {
        let Some(conn) = self.conn(id) else { return Ok(()) };
        if conn.searched.is_some() {
            return Err(Broken(CloseCode::Limit, "a search before the last one was answered".to_owned()));
        }
        let may_read = conn.grant.rights(&doc).read;
        conn.searched = Some((doc.clone(), question.to_vec()));
        if may_read && self.config.serve && !self.rooms.contains_key(&doc) {
            if !self.asked.contains_key(&doc) {
                self.effects.push_back(Effect::Open { doc: doc.clone() });
            }
            self.asked.entry(doc).or_default();
            return Ok(());
        }
        if may_read {
            self.hand_searches(&doc);
        } else {
            self.search_answer(id, None);
        }
        Ok(())
    }

    /// Hands the searches that wait for a document to the driver, now that it is here; or says that it cannot be had.
    pub(super) fn hand_searches(&mut self, doc: &DocName) {
        let whole = self.rooms.get(doc).is_some_and(|room| room.damage.is_none());
        let mut without = Vec::new();
        for (id, conn) in self.conns.iter_mut().filter(|(_, conn)| conn.role == Role::Acceptor) {
            let waits = conn.searched.as_mut().filter(|(asked, question)| asked == doc && !question.is_empty());
            let Some((_, question)) = waits else { continue };
            let question = std::mem::take(question);
            if whole {
                self.effects.push_back(Effect::SearchAsked { conn: *id, doc: doc.clone(), question });
            } else {
                without.push(*id);
            }
        }
        without.into_iter().for_each(|id| self.search_answer(id, None));
    }

    /// The driver answers what a peer asked.
    pub(super) fn search_answer(&mut self, id: ConnId, answer: Option<&[u8]>) {
        let Some(conn) = self.conn(id).filter(|conn| conn.role == Role::Acceptor && conn.phase == Phase::Ready) else {
            return;
        };
        let Some((name, _)) = conn.searched.take() else { return };
        let fits = |answer: &&[u8]| (answer.len() + OVERHEAD) as u64 <= conn.peer_max_bytes;
        // The rights may have changed since it was asked.
        let answer = answer.filter(fits).filter(|_| conn.grant.rights(&name).read).map(Blob);
        conn.push(&Message::SearchAnswer { name, answer });
    }

    pub(super) fn on_search_answer(&mut self, id: ConnId, doc: &DocName, answer: Option<&[u8]>) -> Result<(), Broken> {
        let Some(conn) = self.conns.get_mut(&id) else { return Ok(()) };
        match conn.searched.take() {
            Some((asked, question)) if asked == *doc => {
                if !question.is_empty() {
                    let answer = answer.map(<[u8]>::to_vec);
                    self.effects.push_back(Effect::SearchAnswered { conn: id, doc: asked, answer });
                }
                self.send_search(id);
                Ok(())
            }
            _ => Err(format!("nothing was asked about document {doc}").into()),
        }
    }
}

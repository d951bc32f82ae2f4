//! The hub's links: what other relays have that this one lacks is fetched, whether anybody has it open or not; and what
//! they ask is answered.
//!
//! Always holds: nothing is asked or answered before every document of the store is in the catalog; a peer that asked is
//! told of news at most once per `NEWS_PAUSE`. Not here: dialing (`link`), and which documents differ
//! (`selvedge::merkle`).

use std::collections::VecDeque;
use std::time::Duration;

use selvedge::DocName;
use selvedge::merkle::{Follower, StateDigest, Wish};
use selvedge::store::{Salvage, StoreError};
use selvedge::sync::{ConnId, Input};
use tokio::time::Instant;

use super::{Hub, Loaded};
use crate::catalog::Catalog;
use crate::room::Room;

/// What changes within this time is told as one piece of news.
const NEWS_PAUSE: Duration = Duration::from_millis(500);

/// The collection that relays compare: every document.
const EVERYTHING: &str = "";

/// Another relay that this one dials.
pub(crate) struct Peer {
    url: String,
    conn: Option<ConnId>,
    follower: Follower,
}

/// What the hub knows of other relays.
pub(crate) struct Links {
    peers: Vec<Peer>,
    pub(crate) catalog: Catalog,
    /// Documents of the store that are not in the catalog yet; `None` until the store has listed them.
    survey: Option<VecDeque<DocName>>,
    /// It was asked to list them.
    listing: bool,
    /// One of them is being read.
    reading: bool,
    /// Questions that came too early.
    waiting: Vec<(ConnId, String, Vec<u8>)>,
    news_at: Option<Instant>,
}

impl Links {
    pub(crate) fn new(urls: Vec<String>) -> Self {
        let peers = urls.into_iter().map(|url| Peer { url, conn: None, follower: Follower::default() }).collect();
        let (catalog, waiting) = (Catalog::new(), Vec::new());
        Self { peers, catalog, survey: None, listing: false, reading: false, waiting, news_at: None }
    }

    fn is_ready(&self) -> bool {
        self.survey.as_ref().is_some_and(VecDeque::is_empty) && !self.reading
    }

    fn peer_of(&mut self, conn: ConnId) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|peer| peer.conn == Some(conn))
    }

    /// When the hub must look at its links again.
    pub(crate) fn due(&self, now_ms: u64) -> Option<Duration> {
        if !self.is_ready() {
            // The end of the survey is an event of its own.
            return None;
        }
        let up = self.peers.iter().filter(|peer| peer.conn.is_some());
        let follow = up.map(|peer| Duration::from_millis(peer.follower.due_ms().saturating_sub(now_ms))).min();
        let news = self.news_at.map(|at| at.saturating_duration_since(Instant::now()));
        follow.into_iter().chain(news).min()
    }
}

impl Hub {
    /// A link is up.
    pub(super) fn linked(&mut self, conn: ConnId, peer: usize) {
        let now_ms = self.now_ms();
        if let Some(peer) = self.links.peers.get_mut(peer) {
            peer.conn = Some(conn);
            peer.follower.begin(now_ms);
        }
        self.list_documents();
    }

    /// A connection is gone.
    pub(super) fn unlinked(&mut self, conn: ConnId) {
        if let Some(peer) = self.links.peer_of(conn) {
            peer.conn = None;
        }
    }

    /// The state of a document is durable: whoever compares collections shall know of it.
    pub(super) fn note(&mut self, doc: &DocName) {
        let Some(digest) = self.engine.digest(doc) else { return };
        self.links.catalog.update(doc, digest);
        if self.links.news_at.is_none() {
            self.links.news_at = Some(Instant::now() + NEWS_PAUSE);
        }
    }

    /// Begins the survey, unless that was done: a relay that nobody compares with never reads its whole store.
    fn list_documents(&mut self) {
        if self.links.survey.is_none() && !std::mem::replace(&mut self.links.listing, true) {
            self.storage.documents();
        }
    }

    /// The store has listed its documents: they are read one by one, while everything else goes on.
    pub(super) fn survey(&mut self, documents: Result<Vec<DocName>, StoreError>) {
        match documents {
            Ok(documents) => self.links.survey = Some(documents.into()),
            Err(error) => {
                tracing::error!("cannot list the documents, so no collections are compared: {error}");
                self.links.listing = false;
                for (conn, ..) in std::mem::take(&mut self.links.waiting) {
                    self.input(Input::Answer { conn, answer: None });
                }
            }
        }
        self.survey_next();
    }

    /// What the catalog says of a document may be more than the store has.
    pub(super) fn survey_again(&mut self, doc: DocName) {
        if let Some(survey) = &mut self.links.survey {
            survey.push_back(doc);
        }
        self.survey_next();
    }

    fn survey_next(&mut self) {
        while let Some(doc) = self.links.survey.as_mut().filter(|_| !self.links.reading).and_then(VecDeque::pop_front) {
            match self.engine.digest(&doc) {
                Some(digest) => self.links.catalog.update(&doc, digest),
                None => {
                    self.storage.survey(doc);
                    self.links.reading = true;
                }
            }
        }
        if self.links.is_ready() {
            tracing::debug!(documents = self.links.catalog.len(), "every document is in the catalog");
            for (conn, collection, question) in std::mem::take(&mut self.links.waiting) {
                self.asked(conn, collection, question);
            }
        }
    }

    /// The records of a document that is not open: only its digest is kept of them.
    /// Of a damaged document what stands counts: it differs from a peer's, so it is fetched, and mended.
    pub(super) fn digest_records(&self, doc: DocName, found: Result<Salvage, StoreError>) {
        let (file, loaded) = (self.store_name.clone(), self.loaded.clone());
        tokio::task::spawn_blocking(move || {
            let room = found.and_then(|found| Room::from_salvage(&file, &doc, found));
            // The hub is gone only when the relay ends.
            let _ = loaded.send(Loaded::Digest(doc, room.map(|mut room| room.state().digest())));
        });
    }

    pub(super) fn surveyed(&mut self, doc: &DocName, digest: Result<StateDigest, StoreError>) {
        self.links.reading = false;
        match (self.engine.digest(doc), digest) {
            // It was opened meanwhile.
            (Some(digest), _) | (None, Ok(digest)) => self.links.catalog.update(doc, digest),
            (None, Err(error)) => tracing::error!(%doc, "it is left out of comparisons: {error}"),
        }
        self.survey_next();
    }

    /// A peer asks about a collection.
    pub(super) fn asked(&mut self, conn: ConnId, collection: String, question: Vec<u8>) {
        if !self.links.is_ready() {
            self.list_documents();
            // A connection has one question open at a time.
            return self.links.waiting.push((conn, collection, question));
        }
        let answer = self.links.catalog.answer(&collection, &question);
        self.input(Input::Answer { conn, answer });
    }

    /// A peer that we asked has answered.
    pub(super) fn answered_by(&mut self, conn: ConnId, answer: Option<&[u8]>) {
        let now_ms = self.now_ms();
        let Links { peers, catalog, .. } = &mut self.links;
        let Some(peer) = peers.iter_mut().find(|peer| peer.conn == Some(conn)) else { return };
        if answer.is_none() {
            tracing::warn!(
                peer = peer.url,
                "it compares no collections with us: only documents that somebody has open are exchanged. Does the token \
                 in --peer-token-file allow '*=rw'?"
            );
        }
        if let Err(error) = peer.follower.answered(now_ms, catalog.collection(EVERYTHING), answer) {
            tracing::warn!(peer = peer.url, "its answer about a collection is wrong: {error}");
        }
    }

    /// A document was brought up to a peer's copy, or cannot be.
    pub(super) fn fetched(&mut self, conn: ConnId, doc: &DocName) {
        if self.engine.digest(doc).is_some() {
            self.note(doc);
        }
        if let Some(peer) = self.links.peer_of(conn) {
            peer.follower.done(doc);
        }
    }

    /// A peer's collection has changed.
    pub(super) fn news_from(&mut self, conn: ConnId) {
        let now_ms = self.now_ms();
        if let Some(peer) = self.links.peer_of(conn) {
            peer.follower.news(now_ms);
        }
    }

    /// Does what the links want now; whether there was anything.
    pub(super) fn follow(&mut self) -> bool {
        if !self.links.is_ready() {
            return false;
        }
        let now_ms = self.now_ms();
        let mut inputs = Vec::new();
        if self.links.news_at.is_some_and(|at| at <= Instant::now()) {
            self.links.news_at = None;
            inputs.extend(self.links.catalog.take_changed().into_iter().map(|collection| Input::News { collection }));
        }
        let Links { peers, catalog, .. } = &mut self.links;
        for peer in peers {
            let Some(conn) = peer.conn else { continue };
            while let Some(wish) =
                peer.follower.next(now_ms, catalog.collection(EVERYTHING), getrandom::u64().unwrap_or(now_ms))
            {
                inputs.push(match wish {
                    Wish::Ask(question) => Input::Ask { conn, collection: EVERYTHING.to_owned(), question },
                    Wish::Fetch(doc) => Input::Fetch { conn, doc },
                });
            }
        }
        let any = !inputs.is_empty();
        inputs.into_iter().for_each(|input| self.input(input));
        any
    }
}

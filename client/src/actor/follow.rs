//! Following a prefix: every document of a relay whose name begins with it is opened here as it appears.
//!
//! Always holds: while nothing changes nothing is asked, but for one question a minute; a document that is open is kept
//! equal by the engine, so that comparisons find only what is not open yet. Not here: which documents differ
//! (`selvedge::merkle`).

use std::collections::BTreeMap;

use rand_core::TryRng;
use selvedge::DocName;
use selvedge::merkle::{Collection, Follower, Wish};
use selvedge::sync::{ConnId, DocState, Engine, Input};
use tokio::sync::{mpsc, oneshot};

use super::Actor;
use crate::error::ClientError;
use crate::handle::DocHandle;

/// Where documents that were found go.
pub(crate) type Found = mpsc::UnboundedSender<Result<DocHandle, ClientError>>;

/// A prefix that is followed.
pub(super) struct Following {
    prefix: String,
    found: Found,
    /// The documents that are open here.
    collection: Collection,
    followers: BTreeMap<ConnId, Follower>,
}

fn random() -> u64 {
    // Without randomness, a comparison that went wrong by chance goes wrong once more.
    getrandom::SysRng.try_next_u64().unwrap_or_default()
}

impl Actor {
    pub(super) fn follow(&mut self, prefix: String, found: Found) {
        let collection = Collection::of(&prefix, random());
        let mut following = Following { prefix, found, collection, followers: BTreeMap::new() };
        for (conn, _) in self.links.iter().filter(|(_, link)| link.relay.is_some()) {
            following.begin(*conn, self.now_ms());
        }
        self.followings.push(following);
    }

    /// A relay is there.
    pub(super) fn follow_over(&mut self, conn: ConnId) {
        let now_ms = self.now_ms();
        self.followings.iter_mut().for_each(|following| following.begin(conn, now_ms));
    }

    /// A connection is gone.
    pub(super) fn unfollow_over(&mut self, conn: ConnId) {
        for following in &mut self.followings {
            following.followers.remove(&conn);
        }
    }

    /// A relay has answered a question.
    pub(super) fn on_answer(&mut self, conn: ConnId, prefix: &str, answer: Option<&[u8]>) {
        let now_ms = self.now_ms();
        let Some(following) = self.followings.iter_mut().find(|following| following.prefix == prefix) else { return };
        let Some(follower) = following.followers.get_mut(&conn) else { return };
        if answer.is_none() {
            // Whoever asked may have gone.
            let _ = following.found.send(Err(ClientError::NotCompared { prefix: prefix.to_owned() }));
        }
        if let Err(error) = follower.answered(now_ms, &mut following.collection, answer) {
            tracing::warn!(prefix, %error, "the answer about a collection is wrong");
        }
    }

    /// A relay's collection has changed.
    pub(super) fn on_news(&mut self, conn: ConnId, prefix: &str) {
        let now_ms = self.now_ms();
        for following in self.followings.iter_mut().filter(|following| following.prefix == prefix) {
            following.followers.get_mut(&conn).into_iter().for_each(|follower| follower.news(now_ms));
        }
    }

    /// A document is caught up, or cannot be had.
    pub(super) fn followed(&mut self, doc: &DocName) {
        for following in &mut self.followings {
            following.note(&mut self.engine, doc);
            following.followers.values_mut().for_each(|follower| follower.done(doc));
        }
    }

    /// When `go_on_following` is due.
    pub(super) fn follow_due_ms(&self) -> Option<u64> {
        let followers = self.followings.iter().flat_map(|following| following.followers.values());
        followers.map(Follower::due_ms).min()
    }

    /// Asks and opens what is due; whether there was anything.
    pub(super) fn go_on_following(&mut self) -> bool {
        let now_ms = self.now_ms();
        self.followings.retain(|following| !following.found.is_closed());
        let mut wishes = Vec::new();
        for following in &mut self.followings {
            let due = following.followers.values().any(|follower| follower.due_ms() <= now_ms);
            for doc in self.docs.keys().filter(|_| due) {
                following.note(&mut self.engine, doc);
            }
            for (conn, follower) in &mut following.followers {
                while let Some(wish) = follower.next(now_ms, &mut following.collection, random()) {
                    wishes.push((*conn, following.prefix.clone(), following.found.clone(), wish));
                }
            }
        }
        let any = !wishes.is_empty();
        for (conn, collection, found, wish) in wishes {
            match wish {
                Wish::Ask(question) => self.handle(Input::Ask { conn, collection, question }),
                Wish::Fetch(doc) => self.open_followed(doc, found),
            }
        }
        any
    }

    fn open_followed(&mut self, doc: DocName, found: Found) {
        if self.docs.contains_key(&doc) {
            // What is missing comes over its channel.
            if self.engine.status(&doc).is_none_or(|status| status.caught_up) {
                self.followed(&doc);
            }
            return;
        }
        let (reply, opened) = oneshot::channel();
        self.open(doc, false, reply);
        tokio::spawn(async move {
            if let Ok(opened) = opened.await {
                // Whoever asked may have gone.
                let _ = found.send(opened);
            }
        });
    }
}

impl Following {
    fn begin(&mut self, conn: ConnId, now_ms: u64) {
        self.followers.entry(conn).or_default().begin(now_ms);
    }

    /// Notes the state of an open document; relays do not list those without changes.
    fn note(&mut self, engine: &mut Engine, doc: &DocName) {
        let ours = doc.as_str().starts_with(&self.prefix);
        if let Some(digest) = engine.digest(doc).filter(|digest| ours && *digest != DocState::default().digest()) {
            self.collection.update(doc, &digest);
        }
    }
}

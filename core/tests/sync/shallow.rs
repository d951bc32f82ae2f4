//! A document that was opened from a shallow save, at one end of a connection: it serves who has its base, and refuses who
//! lacks older changes instead of leaving them to wait for ever.

use selvedge::sync::{Config, ConnId, DocState, Effect, Engine, Grant, Input, Link, RefuseCode, Role};
use selvedge::{Doc, ReplicaId};

use crate::net::doc;

const CONN: ConnId = ConnId(1);

/// An application with one document, as a driver runs it.
struct Peer {
    engine: Engine,
    doc: Doc,
    refused: Vec<(RefuseCode, String)>,
}

impl Peer {
    fn new(mut held: Doc, role: Role) -> Self {
        let mut engine = Engine::new(Config::client());
        let state = DocState { logs: held.log_states() };
        engine.handle(1, Input::Opened { doc: doc("d"), state, presence_owner: None });
        engine.handle(1, Input::Connected { conn: CONN, role, link: Link::Remote, credential: None });
        Self { engine, doc: held, refused: Vec::new() }
    }

    /// Does what the engine asks for; the messages to the other end.
    fn drain(&mut self) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        while let Some(effect) = self.engine.poll_effect() {
            let answer = match effect {
                Effect::Send { bytes, .. } => {
                    sent.push(bytes);
                    continue;
                }
                Effect::Authenticate { conn, .. } => Input::Authenticated { conn, grant: Ok(Grant::all()) },
                Effect::Persist { token, .. } => Input::Persisted { token },
                Effect::Load { token, since, .. } => match self.doc.reaches(&since) {
                    Ok(()) => {
                        let (batch, digests) = (self.doc.batch_since(&since), self.doc.digests_at(&since));
                        Input::Loaded { token, batch, digests }
                    }
                    Err(error) => Input::LoadFailed { token, reason: error.to_string() },
                },
                Effect::Applied { batch, .. } => {
                    let imported = self.doc.import_batch(&batch).expect("a batch of a document");
                    assert!(imported.before_base.is_empty() && imported.pending_bytes == 0, "{imported:?}");
                    continue;
                }
                Effect::Refused { code, text, .. } => {
                    self.refused.push((code, text));
                    continue;
                }
                _ => continue,
            };
            self.engine.handle(1, answer);
        }
        sent
    }
}

/// Connects two copies until all is quiet.
fn connect(dialer: Doc, acceptor: Doc) -> [Peer; 2] {
    let mut peers = [Peer::new(dialer, Role::Dialer), Peer::new(acceptor, Role::Acceptor)];
    for _ in 0..100 {
        let [one, other] = &mut peers;
        let (there, back) = (one.drain(), other.drain());
        if there.is_empty() && back.is_empty() {
            return peers;
        }
        there.into_iter().for_each(|bytes| other.engine.handle(1, Input::Received { conn: CONN, bytes }));
        back.into_iter().for_each(|bytes| one.engine.handle(1, Input::Received { conn: CONN, bytes }));
    }
    panic!("the two do not come to rest");
}

/// A whole document, a shallow copy of it, and one that has just the base; the first two have written more.
fn copies() -> [Doc; 3] {
    let mut whole = Doc::new(ReplicaId::from(1));
    whole.change(|tx| tx.text("t").push_str("of old")).expect("an edit");
    let version = whole.version();
    let base = whole.fork_at(&version, ReplicaId::from(3)).expect("a version");
    whole.change(|tx| tx.text("t").push_str(", and more")).expect("an edit");
    let saved = whole.save_shallow(&version).expect("a version");
    let mut shallow = Doc::load(ReplicaId::from(2), &saved).expect("a save");
    shallow.change(|tx| tx.text("t").insert(0, "shallow, ")).expect("an edit");
    [whole, shallow, base]
}

#[test]
fn it_serves_and_follows_who_has_the_base() {
    let [mut whole, shallow, base] = copies();
    whole.change(|tx| tx.text("t").insert(0, "whole, ")).expect("an edit");
    let [mut shallow, mut base] = connect(shallow, base);
    assert_eq!(shallow.doc.log_states(), base.doc.log_states());
    assert_eq!(base.doc.to_json(), shallow.doc.to_json());
    let [mut whole, mut shallow] = connect(whole, shallow.doc);
    assert_eq!((whole.doc.to_json(), whole.doc.log_states()), (shallow.doc.to_json(), shallow.doc.log_states()));
    assert!([whole, shallow].iter().all(|peer| peer.refused.is_empty()));
}

#[test]
fn who_lacks_what_is_older_is_refused_with_the_reason() {
    for dials in [true, false] {
        let [_, shallow, _] = copies();
        let empty = Doc::new(ReplicaId::from(4));
        let peers = if dials { connect(shallow, empty) } else { connect(empty, shallow) };
        let [one, other] = &peers;
        let (shallow, empty) = if dials { (one, other) } else { (other, one) };
        assert!(empty.doc.is_empty(), "nothing comes that it could not use");
        assert_eq!(shallow.doc.text("t").to_string(), "shallow, of old, and more");
        // Who dialed hears of it.
        let [(RefuseCode::Unreadable, text)] = &one.refused[..] else { panic!("{:?}", one.refused) };
        assert!(text.contains("shallow save") && text.contains("a copy with the whole history"), "{text}");
    }
}

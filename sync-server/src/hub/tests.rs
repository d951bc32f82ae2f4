//! The hub by hand: turns that the network rarely makes.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use selvedge::store::MemoryStore;
use selvedge::sync::Config;
use tokio::sync::Semaphore;

use super::*;
use crate::outbox::Next;

/// What was logged.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What a relay that lets nobody in says to a greeting.
fn farewell(hello: Vec<u8>, reason: &str) -> Vec<u8> {
    let (mut peer, conn) = (Engine::new(Config::relay()), ConnId(0));
    peer.handle(0, Input::Connected { conn, role: Role::Acceptor, link: Link::Remote, credential: None });
    peer.handle(0, Input::Received { conn, bytes: hello });
    peer.handle(0, Input::Authenticated { conn, grant: Err(reason.to_owned()) });
    std::iter::from_fn(|| peer.poll_effect())
        .find_map(|effect| match effect {
            Effect::Send { bytes, .. } => Some(bytes),
            _ => None,
        })
        .expect("it says why")
}

/// A peer that refuses a link says why and hangs up; both may reach the hub within one turn.
#[tokio::test]
async fn a_peer_that_says_why_and_is_gone_within_one_turn_has_its_reason_logged() {
    let (answer, _answers) = mpsc::unbounded_channel();
    let (storage, _thread) = Storage::start(Box::new(MemoryStore::new()), answer).expect("a thread");
    let engine = Engine::new(Config::relay());
    let (mut hub, _rooms) = Hub::new(engine, Gate::open(), storage, "store".to_owned(), vec!["ws://b".to_owned()]);
    let (conn, outbox) = (ConnId(1), Arc::new(Outbox::default()));
    let dialed = Some(Dialed { peer: 0, credential: None });
    hub.heard(FromConn::Connected { conn, outbox: Arc::clone(&outbox), dialed });
    hub.perform();
    let Next::Write(mut sent) = outbox.next().await else { panic!("it greets") };
    let bytes = farewell(sent.remove(0), "the reason of the peer");

    let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.expect("a permit");
    let logged = Logged::default();
    let to = logged.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        hub.heard(FromConn::Received { conn, bytes, permit });
        hub.heard(FromConn::Disconnected { conn });
        hub.perform();
    });
    let logged = String::from_utf8_lossy(&logged.0.lock().expect("not poisoned")).into_owned();
    assert!(logged.contains("the reason of the peer"), "{logged}");
}

//! Every decoder that strangers' bytes reach, in one list: what it reads, and what is then done with it.
//!
//! Always holds: checksums are made right first, so that the parser behind them is reached; what decodes is used (read,
//! edited, saved, merged), because success that panics afterwards is no success; `read` does the decoding alone, for who
//! counts its memory. The tests and the libFuzzer targets (`targets/`) walk the same list. Not here: where the bytes come
//! from.

use std::sync::LazyLock;

use selvedge::doc::Anchor;
use selvedge::merkle::{Collection, Initiator, respond};
use selvedge::op::{Batch, LogHead, LogNames, Segment, columns};
use selvedge::store::record;
use selvedge::sync::{Config, ConnId, DocState, Effect, Engine, Grant, Input, Link, Role};
use selvedge::{Doc, DocName, ReplicaId, VersionVector};

use crate::bytes::{exercise, feed, fix_checksum};

/// A decoder.
#[derive(Clone, Copy)]
pub struct Decoder {
    /// Its name: of the libFuzzer target and of the folder of its crashers.
    pub name: &'static str,
    /// Bytes that it accepts, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Makes the bytes such that the parser is reached.
    pub mend: fn(&mut Vec<u8>),
    /// Decodes and drops; whether the bytes were accepted.
    pub read: fn(&[u8]) -> bool,
    /// Decodes and uses.
    pub use_it: fn(&[u8]) -> Result<(), String>,
}

/// All of them.
pub const DECODERS: [Decoder; 12] = [
    Decoder { name: "change", seeds: changes, mend: as_it_is, read: |bytes| read_change(bytes), use_it: use_change },
    Decoder { name: "batch", seeds: batches, mend: as_it_is, read: |b| Batch::decode(b).is_ok(), use_it: use_batch },
    Decoder {
        name: "columns",
        seeds: packed,
        mend: as_it_is,
        read: |b| columns::decode(b).is_ok(),
        use_it: use_columns,
    },
    Decoder {
        name: "update",
        seeds: updates,
        mend: |bytes| fix_checksum(bytes),
        read: read_update,
        use_it: use_update,
    },
    Decoder {
        name: "document",
        seeds: saves,
        mend: |bytes| fix_checksum(bytes),
        read: read_document,
        use_it: use_document,
    },
    Decoder {
        name: "shallow",
        seeds: shallow_saves,
        mend: |bytes| fix_checksum(bytes),
        read: read_document,
        use_it: use_shallow,
    },
    Decoder {
        name: "anchor",
        seeds: anchors,
        mend: as_it_is,
        read: |b| Anchor::from_bytes(b).is_ok(),
        use_it: use_anchor,
    },
    Decoder { name: "record", seeds: records, mend: seal_record, read: read_record, use_it: use_record },
    Decoder {
        name: "greeting",
        seeds: greetings,
        mend: as_it_is,
        read: |b| hear(false, b),
        use_it: |b| talk(false, b),
    },
    Decoder { name: "message", seeds: messages, mend: as_it_is, read: |b| hear(true, b), use_it: |b| talk(true, b) },
    Decoder {
        name: "question",
        seeds: questions,
        mend: as_it_is,
        read: |b| respond(&mut collection(1), b).is_ok(),
        use_it: use_question,
    },
    Decoder {
        name: "answer",
        seeds: answers,
        mend: as_it_is,
        read: |b| hear_answer(&mut collection(2), b),
        use_it: use_answer,
    },
];

/// The decoder of that name.
pub fn by_name(name: &str) -> Option<Decoder> {
    DECODERS.into_iter().find(|decoder| decoder.name == name)
}

impl Decoder {
    /// Makes the bytes reach the parser, and uses what they decode to.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub fn run(&self, bytes: &[u8]) -> Result<(), String> {
        let mut bytes = bytes.to_vec();
        (self.mend)(&mut bytes);
        (self.use_it)(&bytes)
    }
}

fn as_it_is(_: &mut Vec<u8>) {}

fn text<E: std::fmt::Display>(error: E) -> String {
    error.to_string()
}

/// Two documents that know of each other, with something of every kind, and what they have of one another.
fn sample() -> [Doc; 2] {
    let mut docs = [Doc::new(ReplicaId::from(1)), Doc::new(ReplicaId::from(2))];
    for turn in 0..4 {
        let [one, other] = &mut docs;
        let (me, you) = if turn % 2 == 0 { (one, other) } else { (other, one) };
        // What they come to is looked at by the tests of scripts; here only the bytes matter.
        let _ = exercise(me);
        let _ = you.import_batch(&me.batch_since(&VersionVector::new()));
    }
    docs
}

/// What both of them wrote.
static WHOLE: LazyLock<Batch> = LazyLock::new(|| sample()[0].batch_since(&VersionVector::new()));

/// The first of them, made of what both wrote.
fn writer() -> Doc {
    let mut doc = Doc::new(ReplicaId::from(1));
    let _ = doc.import_batch(&WHOLE);
    doc
}

fn changes() -> Vec<Vec<u8>> {
    let of = |segment: &Segment| segment.changes().map_while(Result::ok).map(<[u8]>::to_vec).collect::<Vec<_>>();
    WHOLE.segments.iter().flat_map(of).collect()
}

fn read_change(bytes: &[u8]) -> bool {
    let header = LogHead::default().read(bytes);
    header.is_ok_and(|header| LogNames::default().read(header.ops, header.body(bytes)).is_ok())
}

/// As the first change of a log of its own, and as the next one of a log that is there.
fn use_change(bytes: &[u8]) -> Result<(), String> {
    let mut doc = writer();
    let version = doc.version();
    for (replica, first_seq) in [(ReplicaId::from(9), 0), (ReplicaId::from(2), version.end(ReplicaId::from(2)))] {
        let mut frames = Vec::new();
        selvedge::codec::put_bytes(&mut frames, bytes);
        import(&mut doc, &Batch::from(Segment { replica, first_seq, frames: frames.into() }))?;
    }
    Ok(())
}

/// Imports into a document; a failure changes nothing, and the document can be used either way.
fn import(doc: &mut Doc, batch: &Batch) -> Result<(), String> {
    let before = (doc.to_json(), doc.version());
    if doc.import_batch(batch).is_err() && (doc.to_json(), doc.version()) != before {
        return Err("a failed import changed the document".to_owned());
    }
    exercise(doc)
}

fn batches() -> Vec<Vec<u8>> {
    vec![WHOLE.encode(), Batch::default().encode()]
}

fn use_batch(bytes: &[u8]) -> Result<(), String> {
    let Ok(batch) = Batch::decode(bytes) else { return Ok(()) };
    let again = Batch::decode(&batch.encode()).map_err(text)?;
    if again != batch {
        return Err("a batch has changed on its way".to_owned());
    }
    import(&mut Doc::new(ReplicaId::from(7)), &batch)?;
    import(&mut writer(), &batch)
}

fn packed() -> Vec<Vec<u8>> {
    vec![columns::encode(&WHOLE.segments), columns::encode(&[])]
}

fn use_columns(bytes: &[u8]) -> Result<(), String> {
    let Ok(segments) = columns::decode(bytes) else { return Ok(()) };
    if columns::decode(&columns::encode(&segments)).as_ref() != Ok(&segments) {
        return Err("columns do not come back".to_owned());
    }
    import(&mut writer(), &Batch { segments: segments.into() })
}

fn updates() -> Vec<Vec<u8>> {
    let mut doc = writer();
    vec![doc.export_since(&VersionVector::new()), doc.export_all()]
}

fn read_update(bytes: &[u8]) -> bool {
    Doc::new(ReplicaId::from(7)).import(bytes).is_ok()
}

fn use_update(bytes: &[u8]) -> Result<(), String> {
    let mut doc = Doc::new(ReplicaId::from(7));
    // A state may be of another history than the one behind it: that is told when the history is read.
    if doc.import(bytes).is_ok() && doc.is_provisional() && doc.verify() != Ok(true) {
        return Ok(());
    }
    feed(&mut doc, bytes)?;
    feed(&mut writer(), bytes)
}

fn saves() -> Vec<Vec<u8>> {
    let [mut doc, mut other] = sample();
    let first = doc.save();
    let _ = exercise(&mut doc);
    vec![first, doc.save(), other.save()]
}

fn read_document(bytes: &[u8]) -> bool {
    Doc::load(ReplicaId::from(7), bytes).is_ok()
}

fn use_document(bytes: &[u8]) -> Result<(), String> {
    let Ok(mut doc) = Doc::load(ReplicaId::from(7), bytes) else { return Ok(()) };
    if doc.verify() == Ok(true) { exercise(&mut doc) } else { Ok(()) }
}

/// A base alone, and one with changes behind it.
fn shallow_saves() -> Vec<Vec<u8>> {
    let [mut doc, _] = sample();
    let before = doc.version();
    let _ = exercise(&mut doc);
    let now = doc.version();
    [before, now].iter().filter_map(|version| doc.save_shallow(version).ok()).collect()
}

/// Nobody can verify a base: whatever it says, the document can be used.
fn use_shallow(bytes: &[u8]) -> Result<(), String> {
    let Ok(mut doc) = Doc::load(ReplicaId::from(7), bytes) else { return Ok(()) };
    if doc.base_version().is_empty() {
        return use_document(bytes);
    }
    exercise(&mut doc)?;
    import(&mut doc, &WHOLE)
}

fn anchors() -> Vec<Vec<u8>> {
    let mut doc = writer();
    let handles: Vec<_> = (0..).map_while(|number| doc.handle(number)).collect();
    let at = |side| handles.iter().filter_map(|handle| doc.anchor(*handle, 0, side).ok()).collect::<Vec<_>>();
    let mut at = at;
    let all = [at(selvedge::doc::Side::Before), at(selvedge::doc::Side::After)].concat();
    all.iter().map(Anchor::to_bytes).collect()
}

fn use_anchor(bytes: &[u8]) -> Result<(), String> {
    let Ok(anchor) = Anchor::from_bytes(bytes) else { return Ok(()) };
    if Anchor::from_bytes(&anchor.to_bytes()).as_ref() != Ok(&anchor) {
        return Err("an anchor does not come back".to_owned());
    }
    let mut doc = writer();
    doc.resolve(&anchor);
    exercise(&mut doc)
}

fn name() -> DocName {
    DocName::new("fuzz").unwrap_or_else(|error| unreachable!("a good name: {error}"))
}

fn records() -> Vec<Vec<u8>> {
    vec![record::seal(&name(), 0, &WHOLE.encode()), record::seal(&name(), 0, &[])]
}

/// What follows the checksum, with the right one in front.
fn seal_record(bytes: &mut Vec<u8>) {
    let content = bytes.split_off(bytes.len().min(record::OVERHEAD));
    *bytes = record::seal(&name(), 0, &content);
}

fn read_record(bytes: &[u8]) -> bool {
    record::open(&name(), 0, bytes).is_ok_and(|content| Batch::decode(content).is_ok())
}

fn use_record(bytes: &[u8]) -> Result<(), String> {
    if record::open(&name(), 1, bytes).is_ok() {
        return Err("a record opens at another index".to_owned());
    }
    use_batch(record::open(&name(), 0, bytes)?)
}

/// Tells the engine everything that its effects ask for; what it sends to the connection.
fn drain(engine: &mut Engine, conn: ConnId) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    while let Some(effect) = engine.poll_effect() {
        let input = match effect {
            Effect::Authenticate { conn, .. } => Input::Authenticated { conn, grant: Ok(Grant::all()) },
            Effect::Open { doc } => Input::Opened { doc, state: DocState::default(), presence_owner: None },
            Effect::Persist { token, .. } => Input::Persisted { token },
            Effect::Load { token, .. } => Input::Loaded { token, batch: WHOLE.clone(), digests: Vec::new() },
            Effect::Asked { conn, question, .. } => {
                Input::Answer { conn, answer: respond(&mut collection(1), &question).ok() }
            }
            Effect::Close { conn, .. } => Input::Disconnected { conn },
            Effect::Send { conn: to, bytes } => {
                let written = Input::Written { conn: to, bytes: bytes.len() };
                sent.extend((to == conn).then_some(bytes));
                written
            }
            _ => continue,
        };
        engine.handle(1, input);
    }
    sent
}

const CONN: ConnId = ConnId(1);

fn relay() -> Engine {
    Engine::new(Config { collections: true, ..Config::relay() })
}

/// An application that has the sample open, connected.
fn application() -> Engine {
    let mut engine = Engine::new(Config::client());
    let mut doc = writer();
    let owner = Some(doc.replica());
    engine.handle(1, Input::Opened { doc: name(), state: DocState::default(), presence_owner: owner });
    engine.handle(1, Input::Edited { doc: name(), batch: doc.batch_since(&VersionVector::new()) });
    engine.handle(1, Input::SetPresence { doc: name(), key: "cursor".into(), value: Some(vec![1]) });
    engine.handle(1, Input::Connected { conn: CONN, role: Role::Dialer, link: Link::Remote, credential: None });
    engine
}

fn connect(engine: &mut Engine) {
    engine.handle(1, Input::Connected { conn: CONN, role: Role::Acceptor, link: Link::Remote, credential: None });
}

/// What an application says to a relay: its greeting, and what comes then.
static CONVERSATION: LazyLock<Vec<Vec<u8>>> = LazyLock::new(conversation);

fn conversation() -> Vec<Vec<u8>> {
    let (mut application, mut relay) = (application(), relay());
    connect(&mut relay);
    let mut said = Vec::new();
    for _ in 0..4 {
        for bytes in drain(&mut application, CONN) {
            said.push(bytes.clone());
            relay.handle(1, Input::Received { conn: CONN, bytes });
        }
        for bytes in drain(&mut relay, CONN) {
            application.handle(1, Input::Received { conn: CONN, bytes });
        }
    }
    said
}

fn greetings() -> Vec<Vec<u8>> {
    CONVERSATION[..1].to_vec()
}

fn messages() -> Vec<Vec<u8>> {
    CONVERSATION[1..].to_vec()
}

/// Whether a relay that is told the bytes, after a greeting if they come behind one, keeps the connection.
fn hear(greeted: bool, bytes: &[u8]) -> bool {
    let mut engine = relay();
    connect(&mut engine);
    let greeting = greeted.then(greetings).into_iter().flatten();
    let mut kept = true;
    for bytes in greeting.chain([bytes.to_vec()]) {
        engine.handle(1, Input::Received { conn: CONN, bytes });
        while let Some(effect) = engine.poll_effect() {
            kept &= !matches!(effect, Effect::Close { .. });
            if let Effect::Authenticate { conn, .. } = effect {
                engine.handle(1, Input::Authenticated { conn, grant: Ok(Grant::all()) });
            }
        }
    }
    kept
}

/// Tells a relay the bytes, all of whose effects are answered; an honest application is served afterwards.
fn talk(greeted: bool, bytes: &[u8]) -> Result<(), String> {
    let mut relay = relay();
    connect(&mut relay);
    let greeting = greeted.then(greetings).into_iter().flatten();
    for bytes in greeting.chain([bytes.to_vec()]) {
        relay.handle(1, Input::Received { conn: CONN, bytes });
        drain(&mut relay, CONN);
    }
    let (mut honest, second) = (application(), ConnId(2));
    relay.handle(2, Input::Connected { conn: second, role: Role::Acceptor, link: Link::Remote, credential: None });
    for _ in 0..8 {
        for bytes in drain(&mut honest, CONN) {
            relay.handle(2, Input::Received { conn: second, bytes });
        }
        for bytes in drain(&mut relay, second) {
            honest.handle(2, Input::Received { conn: CONN, bytes });
        }
    }
    let status = honest.status(&name()).ok_or("the document is closed")?;
    if status.connected { Ok(()) } else { Err(format!("the relay does not serve others any more: {status:?}")) }
}

fn collection(version: u8) -> Collection {
    let mut collection = Collection::new([7; 32], 1);
    for number in 0..40_u8 {
        let doc = DocName::new(format!("doc {number}")).unwrap_or_else(|error| unreachable!("a good name: {error}"));
        // A quarter of them differ between two versions.
        collection.update(&doc, &[if number % 4 == 0 { version } else { 0 }; 16]);
    }
    collection
}

/// Questions and answers of a comparison, one of each kind or more.
fn comparison() -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut ours, mut theirs, mut said) = (collection(2), collection(1), Vec::new());
    let cursor = theirs.cursor();
    type Begin = fn(&mut Collection, selvedge::merkle::Cursor) -> (Initiator, Vec<u8>);
    let begins: [Begin; 3] = [
        |ours, _| Initiator::hello(ours, None, 1),
        |ours, cursor| Initiator::hello(ours, Some(cursor), 1),
        |ours, _| Initiator::audit(ours, 1),
    ];
    for begin in begins {
        let (mut initiator, first) = begin(&mut ours, cursor);
        let mut next = Some(first);
        while let Some(question) = next.take() {
            let Ok(answer) = respond(&mut theirs, &question) else { break };
            next = initiator.receive(&mut ours, &answer).ok().and_then(|step| step.send);
            said.push((question, answer));
        }
    }
    said
}

fn questions() -> Vec<Vec<u8>> {
    comparison().into_iter().map(|(question, _)| question).collect()
}

fn use_question(bytes: &[u8]) -> Result<(), String> {
    let (mut theirs, untouched) = (collection(1), collection(1).fingerprint());
    let Ok(answer) = respond(&mut theirs, bytes) else { return Ok(()) };
    hear_answer(&mut collection(2), &answer);
    if theirs.fingerprint() == untouched { Ok(()) } else { Err("a question changed the collection".to_owned()) }
}

fn answers() -> Vec<Vec<u8>> {
    comparison().into_iter().map(|(_, answer)| answer).collect()
}

/// An answer to every kind of question; whether one takes it.
fn hear_answer(ours: &mut Collection, bytes: &[u8]) -> bool {
    let (mut hello, _) = Initiator::hello(ours, None, 1);
    let (mut audit, _) = Initiator::audit(ours, 1);
    let first = hello.receive(ours, bytes).is_ok();
    audit.receive(ours, bytes).is_ok() || first
}

fn use_answer(bytes: &[u8]) -> Result<(), String> {
    let (mut ours, untouched) = (collection(2), collection(2).fingerprint());
    hear_answer(&mut ours, bytes);
    if ours.fingerprint() == untouched { Ok(()) } else { Err("an answer changed the collection".to_owned()) }
}

//! `Replica`: one document and its sync engine, as the npm package's driver uses them.
//!
//! Always holds: own edits reach the engine before anything that it asks to be loaded, so it never sends what it has
//! not been told of; after a panic every further call says that the object is unusable.

use std::cell::RefCell;

use js_sys::{Array, Object, Reflect, Uint8Array};
use selvedge::codec::DecodeError;
use selvedge::doc::{Anchor, Metric, Side};
use selvedge::graph::Logs;
use selvedge::op::{Batch, Segment};
use selvedge::sync::{Config, ConnId, DocState, Effect, Engine, Grant, Input, Link, Role, Token};
use selvedge::{Doc, DocName, Handle, ReplicaId, Transaction, UndoManager, Value, VersionVector};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::command::{self, Plain};
use crate::fail::{decode_error, edit_error, fail, install_panic_hook, misuse};
use crate::history::{path_keys, version_error};
use crate::view::{self, View};
use crate::{decode, effects, slots};

/// One document of one writer.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Replica {
    inner: RefCell<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    name: DocName,
    pub(crate) doc: Doc,
    /// By the origin of the edits that they undo.
    pub(crate) undo: Vec<(String, UndoManager)>,
    engine: Engine,
    view: View,
    /// Whether everything that the records held is in the document.
    whole: bool,
}

#[wasm_bindgen]
impl Replica {
    /// Opens a document from what the store has of it. `now` is the time of day, `clock` a time that never runs back;
    /// both in milliseconds.
    ///
    /// # Errors
    /// If the name is not allowed or a record cannot be read.
    #[wasm_bindgen(constructor)]
    pub fn new(name: String, replica: &[u8], records: &Array, now: f64, clock: f64) -> Result<Self, JsValue> {
        install_panic_hook();
        let name = DocName::new(name).map_err(|error| fail("invalid-use", &error.to_string()))?;
        let id: [u8; 16] = replica.try_into().map_err(|_| misuse("a replica id has 16 bytes"))?;
        let id = ReplicaId::from_bytes(id);
        let mut batches = Vec::new();
        for (number, record) in records.iter().enumerate() {
            let record: &Uint8Array = record.dyn_ref().ok_or_else(|| misuse("a record is a Uint8Array"))?;
            batches.push(Batch::decode(&record.to_vec()).map_err(|error| unreadable(&name, number, &error))?);
        }
        let (mut doc, whole) = restore(&name, id, millis(now), batches)?;
        doc.record_patches(true);
        let mut engine = Engine::new(Config::client());
        let state = DocState { logs: doc.log_states() };
        engine.handle(millis(clock), Input::Opened { doc: name.clone(), state, presence_owner: Some(id) });
        Ok(Self { inner: RefCell::new(Inner { name, doc, undo: Vec::new(), engine, view: View::default(), whole }) })
    }

    /// Tells the document the time of day.
    #[wasm_bindgen(js_name = setNow)]
    pub fn set_now(&self, now: f64) -> Result<(), JsValue> {
        self.tell(|inner| inner.doc.set_now(millis(now)))
    }

    /// All of the commands, as one transaction, to be undone with others of its origin. `cursor` is where the user was.
    pub fn apply(&self, commands: &Array, origin: &str, cursor: String) -> Result<(), JsValue> {
        let commands = decode::commands(commands)?;
        let edit = |tx: &mut Transaction<'_>| command::apply(tx, &commands);
        self.with(|inner| {
            let edited = match inner.undo.iter_mut().find(|(known, _)| known == origin) {
                Some((_, undo)) => {
                    undo.set_cursor(cursor.into_bytes());
                    undo.change(&mut inner.doc, edit)
                }
                None => inner.doc.change(edit),
            };
            edited.map_err(edit_error)
        })
    }

    /// Ends the current change; the message is kept with it.
    pub fn commit(&self, message: Option<String>) -> Result<(), JsValue> {
        self.tell(|inner| inner.doc.commit(message.as_deref()))
    }

    /// Writes initial content if the document is empty; whether it did.
    pub fn init(&self, content: &JsValue) -> Result<bool, JsValue> {
        let Plain::Map(content) = decode::plain(content, 0)? else {
            return Err(misuse("initial content is an object"));
        };
        self.with(|inner| inner.doc.init(|tx| command::fill_root(tx, &content)).map_err(edit_error))
    }

    /// Everything that there is to see.
    pub fn view(&self) -> Result<JsValue, JsValue> {
        self.with(|inner| {
            inner.doc.take_patches();
            Ok(inner.view.whole(&inner.doc))
        })
    }

    /// What changed in the view since the last call.
    #[wasm_bindgen(js_name = takePatches)]
    pub fn take_patches(&self) -> Result<Array, JsValue> {
        self.with(|inner| {
            let patches = inner.doc.take_patches();
            Ok(inner.view.patches(&inner.doc, &patches))
        })
    }

    /// The ends of all logs, by replica.
    pub fn version(&self) -> Result<Object, JsValue> {
        self.with(|inner| {
            let object = Object::new();
            for (replica, end) in inner.doc.version().iter() {
                Reflect::set(&object, &replica.to_string().into(), &(end as f64).into())?;
            }
            Ok(object)
        })
    }

    /// The whole document as a file.
    pub fn save(&self) -> Result<Vec<u8>, JsValue> {
        self.with(|inner| Ok(inner.doc.save()))
    }

    /// The whole document as one record.
    pub fn everything(&self) -> Result<Vec<u8>, JsValue> {
        self.with(|inner| Ok(inner.doc.batch_since(&VersionVector::new()).encode()))
    }

    /// Whether `everything` says as much as the records that the document was opened from.
    #[wasm_bindgen(js_name = isWhole)]
    pub fn is_whole(&self) -> Result<bool, JsValue> {
        self.with(|inner| Ok(inner.whole))
    }

    /// For a document of which records were damaged: whether by now nothing waits for what they held. If so, what
    /// waited is passed on like an edit, because it may never have been sent.
    pub fn mend(&self, clock: f64) -> Result<bool, JsValue> {
        self.with(|inner| {
            let misfit = |error| decode_error("the document does not fit", &error);
            let imported = inner.doc.import_batch(&Batch::default()).map_err(misfit)?;
            inner.whole = imported.pending_bytes == 0 && imported.forks.is_empty();
            if inner.whole {
                let everything = inner.doc.batch_since(&VersionVector::new());
                let batch =
                    in_causal_order(&everything, &VersionVector::new(), &inner.doc.version()).map_err(misfit)?;
                inner.engine.handle(millis(clock), Input::Edited { doc: inner.name.clone(), batch });
            }
            Ok(inner.whole)
        })
    }

    /// Merges a file; whether anything in it was new.
    #[wasm_bindgen(js_name = importSaved)]
    pub fn import_saved(&self, bytes: &[u8], clock: f64) -> Result<bool, JsValue> {
        self.with(|inner| {
            inner.flush(millis(clock));
            let id = ReplicaId::from_bytes([0; 16]);
            let mut saved =
                Doc::load(id, bytes).map_err(|error| decode_error("these bytes are no document", &error))?;
            let before = inner.doc.version();
            saved.reaches(&before).map_err(version_error)?;
            let batch = saved.batch_since(&VersionVector::new());
            let misfit = |error| decode_error("the document does not fit", &error);
            inner.doc.import_batch(&batch).map_err(misfit)?;
            let batch = in_causal_order(&batch, &before, &inner.doc.version()).map_err(misfit)?;
            let is_new = !batch.is_empty();
            if is_new {
                inner.engine.handle(millis(clock), Input::Edited { doc: inner.name.clone(), batch });
            }
            Ok(is_new)
        })
    }

    /// Every value that was written at the same time to a key of a map, or to a register, the one that is read first.
    pub fn conflicts(&self, handle: u32, key: Option<String>) -> Result<Array, JsValue> {
        self.with(|inner| {
            let handle = inner.handle(handle)?;
            let values: Vec<Value> = match key {
                Some(key) => inner.doc.map_at(handle).values(&key),
                None => inner.doc.register_at(handle).values(),
            };
            Ok(values.iter().map(slots::value).collect())
        })
    }

    /// The runs of a text with equal marks: each its text, and keys and values in turn.
    pub fn runs(&self, handle: u32) -> Result<Array, JsValue> {
        self.with(|inner| {
            let text = inner.doc.text_at(inner.handle(handle)?);
            Ok(text.to_delta().into_iter().map(|op| view::run(&op)).collect())
        })
    }

    /// An anchor at an index of a text, in UTF-16 units, or of a list.
    pub fn anchor(&self, handle: u32, index: usize, after: bool) -> Result<String, JsValue> {
        self.with(|inner| {
            let handle = inner.handle(handle)?;
            let text = inner.doc.text_at(handle);
            let pos = match text.handle() {
                Some(_) => text.convert(index, Metric::Utf16, Metric::Scalar).map_err(edit_error)?,
                None => index,
            };
            let side = if after { Side::After } else { Side::Before };
            inner.doc.anchor(handle, pos, side).map(|anchor| anchor.to_string()).map_err(edit_error)
        })
    }

    /// Where an anchor is: its index, and the keys that lead to its container; undefined if that is not known or shown.
    pub fn resolve(&self, anchor: &str) -> Result<Option<Array>, JsValue> {
        let anchor: Anchor = anchor.parse().map_err(|error| decode_error("this is no anchor", &error))?;
        self.with(|inner| {
            let found = inner.doc.resolve(&anchor);
            let path = found.and_then(|found| Some((found, inner.doc.path(found.container)?)));
            Ok(path.and_then(|(found, path)| {
                let keys = path_keys(&path)?;
                keys.unshift(&JsValue::from_f64(found.utf16 as f64));
                Some(keys)
            }))
        })
    }

    /// Hands over what was edited to the sync engine.
    pub fn flush(&self, clock: f64) -> Result<(), JsValue> {
        self.tell(|inner| inner.flush(millis(clock)))
    }

    /// A connection is up.
    pub fn connected(
        &self,
        clock: f64,
        conn: f64,
        dialer: bool,
        shared: bool,
        credential: Option<String>,
    ) -> Result<(), JsValue> {
        let role = if dialer { Role::Dialer } else { Role::Acceptor };
        let link = if shared { Link::SharedStore } else { Link::Remote };
        self.input(clock, Input::Connected { conn: ConnId(millis(conn)), role, link, credential })
    }

    /// A connection is gone.
    pub fn disconnected(&self, clock: f64, conn: f64) -> Result<(), JsValue> {
        self.input(clock, Input::Disconnected { conn: ConnId(millis(conn)) })
    }

    /// A message arrived.
    pub fn received(&self, clock: f64, conn: f64, bytes: Vec<u8>) -> Result<(), JsValue> {
        self.input(clock, Input::Received { conn: ConnId(millis(conn)), bytes })
    }

    /// A connection has written so many bytes of its messages since the last time.
    pub fn written(&self, clock: f64, conn: f64, bytes: f64) -> Result<(), JsValue> {
        self.input(clock, Input::Written { conn: ConnId(millis(conn)), bytes: millis(bytes) as usize })
    }

    /// A record is stored.
    pub fn persisted(&self, clock: f64, token: f64) -> Result<(), JsValue> {
        self.input(clock, Input::Persisted { token: Token(millis(token)) })
    }

    /// A record cannot be stored.
    #[wasm_bindgen(js_name = persistFailed)]
    pub fn persist_failed(&self, clock: f64, token: f64, reason: String) -> Result<(), JsValue> {
        self.input(clock, Input::PersistFailed { token: Token(millis(token)), reason })
    }

    /// Sets or removes a presence key of our own.
    #[wasm_bindgen(js_name = setPresence)]
    pub fn set_presence(&self, clock: f64, key: String, value: Option<Vec<u8>>) -> Result<(), JsValue> {
        self.tell(|inner| {
            let doc = inner.name.clone();
            inner.engine.handle(millis(clock), Input::SetPresence { doc, key, value });
        })
    }

    /// How urgent the document is.
    pub fn prioritize(&self, clock: f64, priority: u8) -> Result<(), JsValue> {
        self.tell(|inner| {
            let doc = inner.name.clone();
            inner.engine.handle(millis(clock), Input::Prioritize { doc, priority });
        })
    }

    /// The deadline has passed.
    pub fn woken(&self, clock: f64) -> Result<(), JsValue> {
        self.input(clock, Input::Woken)
    }

    /// What the driver has to do now.
    pub fn effects(&self, clock: f64) -> Result<Array, JsValue> {
        self.with(|inner| inner.effects(millis(clock)))
    }

    /// When `woken` is due.
    pub fn deadline(&self) -> Result<Option<f64>, JsValue> {
        self.with(|inner| Ok(inner.engine.deadline().map(|deadline| deadline as f64)))
    }
}

impl Replica {
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Inner) -> Result<T, JsValue>) -> Result<T, JsValue> {
        let mut inner = self.inner.try_borrow_mut().map_err(|_| {
            fail("panic", "this document object is unusable since an earlier bug in Selvedge; open the document again")
        })?;
        work(&mut inner)
    }

    pub(crate) fn tell(&self, work: impl FnOnce(&mut Inner)) -> Result<(), JsValue> {
        self.with(|inner| {
            work(inner);
            Ok(())
        })
    }

    fn input(&self, clock: f64, input: Input) -> Result<(), JsValue> {
        self.tell(|inner| inner.engine.handle(millis(clock), input))
    }
}

impl Inner {
    fn handle(&self, number: u32) -> Result<Handle, JsValue> {
        self.doc.handle(number).ok_or_else(|| misuse("there is no such container"))
    }

    fn flush(&mut self, clock: u64) {
        let batch = self.doc.take_batch();
        if !batch.is_empty() {
            self.engine.handle(clock, Input::Edited { doc: self.name.clone(), batch });
        }
    }

    fn effects(&mut self, clock: u64) -> Result<Array, JsValue> {
        let out = Array::new();
        while let Some(effect) = self.engine.poll_effect() {
            match effect {
                // The other end is a tab of this origin: whoever can speak to us can read the store as well.
                Effect::Authenticate { conn, .. } => {
                    self.engine.handle(clock, Input::Authenticated { conn, grant: Ok(Grant::all()) });
                }
                Effect::Load { token, since, max_bytes, .. } => {
                    self.flush(clock);
                    let (batch, digests) = (self.doc.part_since(&since, max_bytes), self.doc.digests_at(&since));
                    self.engine.handle(clock, Input::Loaded { token, batch, digests });
                }
                Effect::Applied { batch, .. } => {
                    self.flush(clock);
                    let what = "changes that a peer sent do not fit the document";
                    self.doc.import_batch(&batch).map_err(|error| decode_error(what, &error))?;
                }
                effect => {
                    if let Some(effect) = effects::to_js(effect) {
                        out.push(&effect);
                    }
                }
            }
        }
        Ok(out)
    }
}

/// A document from its records, and whether nothing in them was left out: changes that wait for others, or a fork.
fn restore(name: &DocName, id: ReplicaId, now: u64, batches: Vec<Batch>) -> Result<(Doc, bool), JsValue> {
    let all = Batch { segments: batches.iter().flat_map(|batch| batch.segments.iter().cloned()).collect() };
    let mut doc = Doc::new(id);
    doc.set_now(now);
    if let Ok(imported) = doc.import_batch(&all) {
        return Ok((doc, imported.pending_bytes == 0 && imported.forks.is_empty()));
    }
    // One of them does not fit: which?
    let mut doc = Doc::new(id);
    for (number, batch) in batches.iter().enumerate() {
        doc.import_batch(batch).map_err(|error| unreadable(name, number, &error))?;
    }
    Ok((doc, false))
}

fn unreadable(name: &DocName, number: usize, error: &DecodeError) -> JsValue {
    decode_error(&format!("record {name}/{number} cannot be read; nothing was changed"), error)
}

/// What `batch` has between two versions, so that every change stands behind what it depends on.
fn in_causal_order(batch: &Batch, before: &VersionVector, now: &VersionVector) -> Result<Batch, DecodeError> {
    let mut logs = Logs::new();
    let mut ordered = Batch::default();
    for change in logs.append(batch)?.unwrap_or_default().changes {
        let (replica, first_seq) = (logs.replica(change.first.log), u64::from(change.first.seq));
        let is_new = first_seq >= before.end(replica) && first_seq < now.end(replica);
        if !is_new {
            continue;
        }
        if ordered.segments.last().is_none_or(|last| last.replica != replica) {
            ordered.segments.push(Segment::new(replica, first_seq));
        }
        if let Some(segment) = ordered.segments.last_mut() {
            segment.push(logs.bytes(&change));
        }
    }
    Ok(ordered)
}

/// A count of milliseconds or a number of ours, as JavaScript passes it.
pub(crate) fn millis(number: f64) -> u64 {
    number as u64
}

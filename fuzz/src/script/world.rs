//! `World`: the replicas of a script, their mailboxes and clocks, and what happens to them.
//!
//! Every step checks what must hold at once: an update of ours is never refused, none of our operations is invalid, a
//! failed transaction leaves no trace, and views follow their documents by patches alone. What is done with history is in
//! `past`.

mod past;

use selvedge::doc::{Anchor, Position, Side};
use selvedge::op::{Batch, Segment};
use selvedge::{ContainerKind, Doc, EditError, Handle, ReplicaId, UndoManager, VersionVector};
use serde_json::{Value as Json, json};

use super::{Action, Edit, Failure, Script, edit};
use crate::view::View;

/// One replica.
#[derive(Debug)]
pub struct Replica {
    /// Its document.
    pub doc: Doc,
    /// What undoes its edits.
    pub undo: UndoManager,
    view: View,
    past: Vec<(VersionVector, Json)>,
    mail: Vec<Batch>,
}

/// All replicas of a script.
#[derive(Debug)]
pub struct World {
    /// In the order of their numbers.
    pub replicas: Vec<Replica>,
    /// Positions that somebody remembered.
    anchors: Vec<Anchor>,
    /// Ids given out so far.
    ids: u128,
}

type Outcome = Result<(), String>;

fn told(what: &str, error: impl std::fmt::Display) -> String {
    format!("{what}: {error}")
}

impl Replica {
    pub(crate) fn new(mut doc: Doc) -> Self {
        doc.record_patches(true);
        let view = View::of(&doc);
        Self { undo: UndoManager::new(&doc), doc, view, past: Vec::new(), mail: Vec::new() }
    }

    /// Takes in a batch that a replica of the same script made.
    fn hear(&mut self, batch: &Batch) -> Outcome {
        let imported = self.doc.import_batch(batch).map_err(|error| told("an import was refused", error))?;
        if !imported.invalid.is_empty() {
            return Err(format!("operations of ours are invalid: {:?}", imported.invalid));
        }
        if !imported.unknown.is_empty() {
            return Err(format!("operations of ours are unknown: {:?}", imported.unknown));
        }
        if !imported.forks.is_empty() {
            return Err(format!("a fork out of nothing: {:?}", imported.forks));
        }
        Ok(())
    }

    /// Applies the patches since the last call to the view.
    pub(crate) fn follow(&mut self) -> Outcome {
        let patches = self.doc.take_patches();
        for patch in &patches {
            if patch.path != self.doc.path(patch.container) {
                return Err(format!("a patch tells a wrong path: {patch:?}"));
            }
            self.view.apply(patch)?;
        }
        Ok(())
    }

    /// Checks that the view, which knows nothing but patches, equals the document.
    pub fn check_view(&mut self) -> Outcome {
        self.follow()?;
        self.view.compare(&self.doc)
    }

    /// One transaction.
    pub(crate) fn edit(&mut self, edits: &[Edit]) -> Outcome {
        let edited = self.undo.change(&mut self.doc, |tx| edits.iter().try_for_each(|edit| edit::apply(tx, edit)));
        match edited {
            Ok(()) | Err(EditError::TooDeep(_) | EditError::TakenBack(_)) => Ok(()),
            Err(error) => Err(told("an edit was refused", error)),
        }
    }

    fn fail(&mut self, edits: &[Edit], how: Failure) -> Outcome {
        self.follow()?;
        let before = self.doc.to_json();
        let version = (edits.len() % 2 == 1).then(|| self.doc.version());
        let failed = self.undo.change(&mut self.doc, |tx| {
            edits.iter().try_for_each(|edit| edit::apply(tx, edit))?;
            edit::fail(tx, how)
        });
        if failed.is_ok() {
            return Err(format!("a transaction that must fail did not: {how:?}"));
        }
        if self.doc.to_json() != before || version.is_some_and(|version| version != self.doc.version()) {
            return Err(format!("a failed transaction left a trace: {before} became {}", self.doc.to_json()));
        }
        match self.doc.take_patches() {
            patches if patches.is_empty() => Ok(()),
            patches => Err(format!("a failed transaction left patches: {patches:?}")),
        }
    }

    fn cut(&mut self) -> Outcome {
        let version = self.doc.version();
        let batch = self.doc.batch_since(&VersionVector::new());
        let ends = batch.ends().map_err(|error| told("a batch of ours is malformed", error))?;
        if ends == version { Ok(()) } else { Err(format!("the version is {version:?}, the logs end at {ends:?}")) }
    }

    /// An anchor, which is where it was made as long as nothing happens.
    fn anchor(&mut self, at: u16, pos: u16, side: Side) -> Result<Option<Anchor>, String> {
        let is_ordered = |kind| matches!(kind, ContainerKind::Text | ContainerKind::List);
        let handles = (0..).map_while(|number| self.doc.handle(number));
        let ordered: Vec<Handle> = handles.filter(|handle| is_ordered(self.doc.kind(*handle))).collect();
        let Some(handle) = ordered.get(usize::from(at) % ordered.len().max(1)).copied() else { return Ok(None) };
        let len = self.doc.text_at(handle).len() + self.doc.list_at(handle).len();
        if len == 0 {
            // Perhaps nobody else ever hears of it.
            return Ok(None);
        }
        let pos = usize::from(pos) % (len + 1);
        let anchor = self.doc.anchor(handle, pos, side).map_err(|error| told("an anchor was refused", error))?;
        match self.doc.resolve(&anchor) {
            Some(found) if (found.container, found.index) == (handle, pos) => Ok(Some(anchor)),
            found => Err(format!("an anchor at {pos} of {handle:?} is found at {found:?}")),
        }
    }

    fn init(&mut self, content: u8) -> Outcome {
        let filled = self.doc.init(|tx| {
            tx.root().set("title", "new")?;
            if content.is_multiple_of(2) {
                tx.root().set_container("list", ContainerKind::List)?;
                return tx.list("list").push(i64::from(content % 4));
            }
            tx.text("text").push_str("init")
        });
        filled.map(drop).map_err(|error| told("an initial change was refused", error))
    }
}

impl World {
    /// Empty replicas.
    pub fn new(script: &Script) -> Self {
        let mut world = Self { replicas: Vec::new(), anchors: Vec::new(), ids: 0 };
        for _ in 0..script.replicas.clamp(2, 5) {
            let id = world.fresh_id();
            world.replicas.push(Replica::new(Doc::new(id)));
        }
        world
    }

    /// Ids whose order has nothing to do with the order in which they are given out.
    fn fresh_id(&mut self) -> ReplicaId {
        self.ids += 1;
        replica_id(self.ids)
    }

    /// Does everything that the script says.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub fn run(&mut self, script: &Script) -> Outcome {
        for (number, action) in script.actions.iter().enumerate() {
            self.step(action).map_err(|error| format!("action {number}, {action:?}: {error}"))?;
        }
        Ok(())
    }

    fn replica(&mut self, number: u8) -> &mut Replica {
        let count = self.replicas.len();
        &mut self.replicas[usize::from(number) % count]
    }

    fn step(&mut self, action: &Action) -> Outcome {
        match action {
            Action::Edit { replica, edits } => self.replica(*replica).edit(edits),
            Action::Fail { replica, edits, how } => self.replica(*replica).fail(edits, *how),
            Action::Commit { replica, message } => {
                self.replica(*replica).doc.commit(Some(message));
                Ok(())
            }
            Action::Cut { replica } => self.replica(*replica).cut(),
            Action::Exchange { a, b } => self.send(*a, *b, None).and_then(|()| self.send(*b, *a, None)),
            Action::Send { from, to, changes } => self.send(*from, *to, *changes),
            Action::Hold { from, to, single } => {
                let batch = self.missing(*from, *to);
                let batches = if *single { split(&batch) } else { vec![batch] };
                self.replica(*to).mail.extend(batches);
                Ok(())
            }
            Action::Deliver { to, pick, keep } => self.deliver(*to, *pick, *keep),
            Action::SaveLoad { replica } => self.save_and_load(*replica),
            Action::Clock { replica, ms } => {
                self.replica(*replica).doc.set_now(*ms);
                Ok(())
            }
            Action::Anchor { replica, at, pos, side } => {
                let anchor = self.replica(*replica).anchor(*at, *pos, *side)?;
                self.anchors.extend(anchor);
                Ok(())
            }
            Action::Init { replica, content } => self.replica(*replica).init(*content),
            Action::Undo { replica } => self.replica(*replica).undo(),
            Action::Redo { replica } => {
                let replica = self.replica(*replica);
                replica.undo.redo(&mut replica.doc).map(drop).map_err(|error| told("a redo was refused", error))
            }
            Action::Visit { replica, a, b } => self.replica(*replica).visit(*a, *b),
            Action::Fork { replica, at, edits } => {
                let id = self.fresh_id();
                self.replica(*replica).fork(*at, edits, id)
            }
        }
    }

    /// What `to` does not know of what `from` knows.
    fn missing(&mut self, from: u8, to: u8) -> Batch {
        let known = self.replica(to).doc.version();
        self.replica(from).doc.batch_since(&known)
    }

    fn send(&mut self, from: u8, to: u8, changes: Option<u16>) -> Outcome {
        let batch = self.missing(from, to);
        let Some(changes) = changes else { return self.replica(to).hear(&batch) };
        let singles = split(&batch);
        let segments = singles.into_iter().take(usize::from(changes)).flat_map(|batch| batch.segments);
        self.replica(to).hear(&Batch { segments: segments.collect() })
    }

    fn deliver(&mut self, to: u8, pick: u16, keep: bool) -> Outcome {
        let replica = self.replica(to);
        if replica.mail.is_empty() {
            return Ok(());
        }
        let at = usize::from(pick) % replica.mail.len();
        let batch = if keep { replica.mail[at].clone() } else { replica.mail.remove(at) };
        replica.hear(&batch)
    }

    fn save_and_load(&mut self, number: u8) -> Outcome {
        let id = self.fresh_id();
        let replica = self.replica(number);
        replica.check_view()?;
        let saved = replica.doc.save();
        let loaded = Doc::load(id, &saved).map_err(|error| told("a save cannot be loaded", error))?;
        if loaded.to_json() != replica.doc.to_json() || loaded.version() != replica.doc.version() {
            return Err(format!("saved {}, loaded {}", replica.doc.to_json(), loaded.to_json()));
        }
        let (mail, past) = (std::mem::take(&mut replica.mail), std::mem::take(&mut replica.past));
        *replica = Replica { mail, past, ..Replica::new(loaded) };
        Ok(())
    }

    /// Delivers everything that is held back, and tells everybody everything.
    ///
    /// # Errors
    /// What does not hold, in words.
    pub fn settle(&mut self) -> Outcome {
        for replica in &mut self.replicas {
            for batch in std::mem::take(&mut replica.mail) {
                replica.hear(&batch)?;
            }
        }
        let count = self.replicas.len() as u8;
        for _ in 0..2 {
            for (from, to) in (0..count).flat_map(|from| (0..count).map(move |to| (from, to))) {
                self.send(from, to, None)?;
            }
        }
        Ok(())
    }

    /// Where a replica finds the anchors: index, UTF-16 and UTF-8. (Handles differ between copies.)
    pub fn positions(&mut self, replica: usize) -> Vec<Option<(usize, usize, usize)>> {
        let doc = &mut self.replicas[replica].doc;
        let numbers = |found: Position| (found.index, found.utf16, found.utf8);
        self.anchors.iter().map(|anchor| doc.resolve(anchor).map(numbers)).collect()
    }

    /// Digests of every replica's save, of its update since the beginning, and of its JSON.
    pub fn digests(&mut self) -> Json {
        let hex = |bytes: &[u8]| blake3::hash(bytes).to_hex().to_string();
        let replicas = self.replicas.iter_mut().map(|replica| {
            let doc = &mut replica.doc;
            let (save, update) = (doc.save(), doc.export_since(&VersionVector::new()));
            json!({ "save": hex(&save), "update": hex(&update), "json": hex(doc.to_json().to_string().as_bytes()) })
        });
        replicas.collect()
    }
}

/// The id that is given out as this number.
pub(super) fn replica_id(number: u128) -> ReplicaId {
    ReplicaId::for_init(&number.to_le_bytes())
}

/// The changes of a batch, each in a batch of its own.
pub fn split(batch: &Batch) -> Vec<Batch> {
    let mut singles = Vec::new();
    for segment in &batch.segments {
        let mut first_seq = segment.first_seq;
        for change in segment.changes().map_while(Result::ok) {
            let mut single = Segment::new(segment.replica, first_seq);
            single.push(change);
            first_seq = single.end().unwrap_or(first_seq);
            singles.push(single.into());
        }
    }
    singles
}

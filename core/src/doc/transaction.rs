//! Transactions: edits that happen together or not at all.

use super::apply::Ineffective;
use super::{BoundedCounterMut, CounterMut, Doc, EditError, ListMut, MapMut, RegisterMut, SetMut, TextMut, TreeMut};
use crate::crdt::Handle;
use crate::id::ReplicaId;
use crate::op::{Change, ContainerKind};

/// The edits of one transaction (`Doc::change`).
#[derive(Debug)]
pub struct Transaction<'a> {
    pub(super) doc: &'a mut Doc,
}

impl Doc {
    /// Runs `edit` as one transaction. If it returns an error, the document is as it was before.
    ///
    /// # Errors
    /// What `edit` returns.
    #[inline]
    pub fn change<T>(
        &mut self,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        let mark = self.mark();
        self.containers.set_local(true);
        let result = edit(&mut Transaction { doc: self });
        self.containers.set_local(false);
        if result.is_err() {
            self.rollback(&mark);
        }
        result
    }

    /// Fills an empty document with initial content that is the same change, byte for byte, on every replica that
    /// makes the same edits: however many do, it is there once. Returns whether it was written: a document that has
    /// any history is left alone.
    ///
    /// # Errors
    /// What `edit` returns; the document stays empty.
    pub fn init(
        &mut self,
        edit: impl FnOnce(&mut Transaction<'_>) -> Result<(), EditError>,
    ) -> Result<bool, EditError> {
        if !self.is_empty() {
            return Ok(false);
        }
        let mut draft = Self::new(ReplicaId::from(0));
        draft.change(edit)?;
        let Some((ops, body)) = draft.into_body() else { return Ok(false) };
        let replica = ReplicaId::for_init(&body);
        let log = self.logs.intern(replica);
        let hlc = crate::clock::Hlc::ZERO;
        self.logs.seal(log, &Change { hlc, deps: &[], message: None, ops: u64::from(ops), body: &body });
        let change = self.logs.replay(log).next().and_then(Result::ok);
        self.apply_change(&change.expect("reads what it wrote"), &mut Ineffective::default());
        self.note_order(log);
        self.untaken.push((log, 0));
        Ok(true)
    }
}

impl Transaction<'_> {
    /// The root map: the document as a whole.
    pub fn root(&mut self) -> MapMut<'_> {
        MapMut { doc: self.doc, handle: Handle::ROOT }
    }

    /// The document as this transaction has left it so far.
    pub fn doc(&self) -> &Doc {
        self.doc
    }

    /// The map with this name.
    pub fn map(&mut self, name: &str) -> MapMut<'_> {
        let handle = self.named(name, ContainerKind::Map);
        MapMut { doc: self.doc, handle }
    }

    /// The list with this name.
    pub fn list(&mut self, name: &str) -> ListMut<'_> {
        let handle = self.named(name, ContainerKind::List);
        ListMut { doc: self.doc, handle }
    }

    /// The text with this name.
    pub fn text(&mut self, name: &str) -> TextMut<'_> {
        let handle = self.named(name, ContainerKind::Text);
        TextMut { doc: self.doc, handle }
    }

    /// The register with this name.
    pub fn register(&mut self, name: &str) -> RegisterMut<'_> {
        let handle = self.named(name, ContainerKind::Register);
        RegisterMut { doc: self.doc, handle }
    }

    /// The counter with this name.
    pub fn counter(&mut self, name: &str) -> CounterMut<'_> {
        let handle = self.named(name, ContainerKind::Counter);
        CounterMut { doc: self.doc, handle }
    }

    /// The set with this name.
    pub fn set(&mut self, name: &str) -> SetMut<'_> {
        let handle = self.named(name, ContainerKind::Set);
        SetMut { doc: self.doc, handle }
    }

    /// The tree with this name.
    pub fn tree(&mut self, name: &str) -> TreeMut<'_> {
        let handle = self.named(name, ContainerKind::Tree);
        TreeMut { doc: self.doc, handle }
    }

    /// The bounded counter with this name.
    pub fn bounded_counter(&mut self, name: &str) -> BoundedCounterMut<'_> {
        let handle = self.named(name, ContainerKind::BoundedCounter);
        BoundedCounterMut { doc: self.doc, handle }
    }

    /// The set with this name in which removals win.
    pub fn remove_wins_set(&mut self, name: &str) -> SetMut<'_> {
        let handle = self.named(name, ContainerKind::RemoveWinsSet);
        SetMut { doc: self.doc, handle }
    }

    #[inline]
    fn named(&mut self, name: &str, kind: ContainerKind) -> Handle {
        self.doc.containers.named_in_root(name, kind)
    }

    /// The map behind a handle.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no map.
    pub fn map_at(&mut self, handle: Handle) -> Result<MapMut<'_>, EditError> {
        self.check(handle, ContainerKind::Map)?;
        Ok(MapMut { doc: self.doc, handle })
    }

    /// The list behind a handle.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no list.
    pub fn list_at(&mut self, handle: Handle) -> Result<ListMut<'_>, EditError> {
        self.check(handle, ContainerKind::List)?;
        Ok(ListMut { doc: self.doc, handle })
    }

    /// The text behind a handle.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no text.
    pub fn text_at(&mut self, handle: Handle) -> Result<TextMut<'_>, EditError> {
        self.check(handle, ContainerKind::Text)?;
        Ok(TextMut { doc: self.doc, handle })
    }

    /// The register behind a handle.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no register.
    pub fn register_at(&mut self, handle: Handle) -> Result<RegisterMut<'_>, EditError> {
        self.check(handle, ContainerKind::Register)?;
        Ok(RegisterMut { doc: self.doc, handle })
    }

    /// The counter behind a handle.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no counter.
    pub fn counter_at(&mut self, handle: Handle) -> Result<CounterMut<'_>, EditError> {
        self.check(handle, ContainerKind::Counter)?;
        Ok(CounterMut { doc: self.doc, handle })
    }

    /// The set behind a handle, whichever wins in it.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no set.
    pub fn set_at(&mut self, handle: Handle) -> Result<SetMut<'_>, EditError> {
        let remove_wins = self.doc.kind(handle) == ContainerKind::RemoveWinsSet;
        self.check(handle, if remove_wins { ContainerKind::RemoveWinsSet } else { ContainerKind::Set })?;
        Ok(SetMut { doc: self.doc, handle })
    }

    /// The tree behind a handle.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no tree.
    pub fn tree_at(&mut self, handle: Handle) -> Result<TreeMut<'_>, EditError> {
        self.check(handle, ContainerKind::Tree)?;
        Ok(TreeMut { doc: self.doc, handle })
    }

    /// The bounded counter behind a handle.
    ///
    /// # Errors
    /// `EditError::WrongKind` or `TakenBack` if it is no bounded counter.
    pub fn bounded_counter_at(&mut self, handle: Handle) -> Result<BoundedCounterMut<'_>, EditError> {
        self.check(handle, ContainerKind::BoundedCounter)?;
        Ok(BoundedCounterMut { doc: self.doc, handle })
    }

    fn check(&self, handle: Handle, wanted: ContainerKind) -> Result<(), EditError> {
        let found = self.doc.containers.kind(handle);
        let place = || format!("container {}", handle.to_u32());
        if !found.is_known() {
            return Err(EditError::UnknownKind { place: place(), tag: found.tag() });
        }
        if found != wanted {
            return Err(EditError::WrongKind { place: place(), found, wanted });
        }
        if self.doc.containers.exists(handle) { Ok(()) } else { Err(EditError::TakenBack(place())) }
    }
}

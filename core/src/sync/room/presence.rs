//! `PresenceTable`: who is here and what they are doing: per owner and key the last value, which ends by itself.
//!
//! Always holds: a value that is not refreshed ends; the number of values is bounded; a value that came over one
//! connection is replaced over another one only by a newer one. Not here: who may speak for whom (`engine`).

use super::Room;
use crate::id::ReplicaId;
use crate::ordered::OrdMap;
use crate::sync::config::Limits;
use crate::sync::input::ConnId;

/// Longest presence key, in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 64;
/// Longest presence value, in bytes.
pub(crate) const MAX_VALUE_BYTES: usize = 4 << 10;

/// A value as somebody said it. `None` is the end of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) clock: u64,
    pub(crate) user: Option<String>,
    pub(crate) value: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Entry {
    said: Said,
    /// `None`: our own.
    from: Option<ConnId>,
    expires_ms: u64,
}

type Id = (ReplicaId, String);

/// The presence of one document.
#[derive(Debug, Default)]
pub(crate) struct PresenceTable {
    entries: OrdMap<Id, Entry>,
    refresh_ms: Option<u64>,
}

/// What taking in a value did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Took {
    /// Older than what is here, or there is no room for it.
    Nothing,
    /// The same value once more.
    Refreshed,
    Changed,
    /// Too many keys of one owner.
    TooMany,
}

impl PresenceTable {
    /// What is known of a key.
    pub(crate) fn get(&self, id: &Id) -> Option<(&Said, Option<ConnId>)> {
        self.entries.get(id).map(|entry| (&entry.said, entry.from))
    }

    /// Keys with a value, for somebody who comes late.
    pub(crate) fn present(&self) -> Vec<Id> {
        let present = self.entries.iter().filter(|(_, entry)| entry.said.value.is_some());
        present.map(|(id, _)| id.clone()).collect()
    }

    /// Takes in a value from elsewhere; `bound`: the connection is the owner's own, so it need not be newer.
    pub(crate) fn take(
        &mut self,
        id: &Id,
        said: Said,
        from: ConnId,
        bound: bool,
        limits: &Limits,
        now_ms: u64,
    ) -> Took {
        let expires_ms = now_ms.saturating_add(limits.presence_timeout_ms);
        if let Some(entry) = self.entries.get_mut(id) {
            if entry.from.is_none() || !(bound || entry.from == Some(from) || said.clock > entry.said.clock) {
                return Took::Nothing;
            }
            let same = entry.said.value == said.value && entry.said.user == said.user;
            *entry = Entry { said, from: Some(from), expires_ms };
            return if same { Took::Refreshed } else { Took::Changed };
        }
        if said.value.is_none() {
            return Took::Nothing;
        }
        let keys = self.entries.range((id.0, String::new())..).take_while(|(other, _)| other.0 == id.0).count();
        if keys >= limits.max_presence_per_owner {
            return Took::TooMany;
        }
        if self.entries.len() >= limits.max_presence_per_doc {
            return Took::Nothing;
        }
        self.entries.insert(id.clone(), Entry { said, from: Some(from), expires_ms });
        Took::Changed
    }

    /// Sets a value of our own; `false` if these are too many keys.
    fn set_own(&mut self, id: &Id, value: Option<Vec<u8>>, limits: &Limits, now_ms: u64) -> bool {
        let keys = self.entries.range((id.0, String::new())..).take_while(|(other, _)| other.0 == id.0).count();
        let last = self.entries.get(id).map(|entry| entry.said.clock);
        if last.is_none() && (value.is_none() || keys >= limits.max_presence_per_owner) {
            return false;
        }
        // The time in the clock makes a restarted owner newer than its own past.
        let clock = last.map_or(now_ms, |last| now_ms.max(last + 1));
        let expires_ms = now_ms.saturating_add(limits.presence_timeout_ms);
        let said = Said { clock, user: None, value };
        self.entries.insert(id.clone(), Entry { said, from: None, expires_ms });
        let refresh_ms = now_ms.saturating_add(limits.presence_refresh_ms);
        self.refresh_ms = Some(self.refresh_ms.map_or(refresh_ms, |at_ms| at_ms.min(refresh_ms)));
        true
    }

    /// Ends the values that came over a connection which is gone. With `keep` they stay for a while without a value,
    /// so that their end can be told.
    fn end_from(&mut self, conn: ConnId, keep: bool, expires_ms: u64) -> Vec<Id> {
        let mut ended = Vec::new();
        self.entries.retain(|id, entry| {
            let gone = entry.from == Some(conn);
            if gone && entry.said.value.take().is_some() {
                ended.push(id.clone());
                entry.expires_ms = expires_ms;
            }
            keep || !gone
        });
        ended
    }

    /// Ends what was not refreshed, and says what of ours must be: (ended, to refresh).
    fn tick(&mut self, limits: &Limits, now_ms: u64) -> (Vec<Id>, Vec<Id>) {
        let mut ended = Vec::new();
        self.entries.retain(|id, entry| {
            let live = entry.expires_ms > now_ms || (entry.from.is_none() && entry.said.value.is_some());
            if !live && entry.said.value.take().is_some() {
                // It stays for a while without a value, so that late news of it are known to be old.
                entry.expires_ms = now_ms.saturating_add(limits.presence_timeout_ms);
                ended.push(id.clone());
                return true;
            }
            live
        });
        let mut refresh = Vec::new();
        if self.refresh_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            let own = self.entries.iter().filter(|(_, entry)| entry.from.is_none() && entry.said.value.is_some());
            refresh.extend(own.map(|(id, _)| id.clone()));
            self.refresh_ms =
                if refresh.is_empty() { None } else { Some(now_ms.saturating_add(limits.presence_refresh_ms)) };
        }
        (ended, refresh)
    }

    /// When `tick` has something to do.
    fn due_ms(&self) -> Option<u64> {
        let lives = |entry: &&Entry| entry.from.is_some() || entry.said.value.is_none();
        let expiry = self.entries.values().filter(lives).map(|entry| entry.expires_ms).min();
        expiry.into_iter().chain(self.refresh_ms).min()
    }
}

impl Room {
    /// Marks a key to be sent to everybody who may have it.
    pub(crate) fn spread_presence(&mut self, id: &Id) {
        let from = self.presence.get(id).and_then(|(_, from)| from);
        // An application speaks for itself only: others reach its peers on their own.
        if self.app && from.is_some() {
            return;
        }
        for (conn, sub) in &mut self.subs {
            if sub.may_send && from != Some(*conn) {
                sub.presence.insert(id.clone());
            }
        }
    }

    /// Sets a presence value of our own; `false` if it cannot be.
    pub(crate) fn set_presence(&mut self, key: String, value: Option<Vec<u8>>, limits: &Limits, now_ms: u64) -> bool {
        let fits = key.len() <= MAX_KEY_BYTES && value.as_ref().is_none_or(|value| value.len() <= MAX_VALUE_BYTES);
        let Some(owner) = self.owner.filter(|_| fits) else { return false };
        let id = (owner, key);
        let set = self.presence.set_own(&id, value, limits, now_ms);
        if set {
            self.spread_presence(&id);
        }
        set
    }

    /// Ends the presence that came over a connection which is gone. Returns what ended.
    pub(crate) fn end_presence(&mut self, conn: ConnId, limits: &Limits, now_ms: u64) -> Vec<Id> {
        let ended = self.presence.end_from(conn, !self.app, now_ms.saturating_add(limits.presence_timeout_ms));
        ended.iter().for_each(|id| self.spread_presence(id));
        ended
    }

    /// Ends and refreshes what is due. Returns what ended.
    pub(crate) fn tick_presence(&mut self, limits: &Limits, now_ms: u64) -> Vec<Id> {
        let (ended, refresh) = self.presence.tick(limits, now_ms);
        ended.iter().chain(&refresh).for_each(|id| self.spread_presence(id));
        ended
    }

    /// When presence wants to be looked at.
    pub(crate) fn presence_due_ms(&self) -> Option<u64> {
        self.presence.due_ms()
    }

    /// What a new subscriber must be told.
    pub(crate) fn presence_for(&self, conn: ConnId) -> crate::ordered::OrdSet<Id> {
        let told = self.presence.present().into_iter().filter(|id| match self.presence.get(id) {
            Some((_, from)) => from.is_none() || (!self.app && from != Some(conn)),
            None => false,
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(clock: u64, value: Option<&[u8]>) -> Said {
        Said { clock, user: None, value: value.map(<[u8]>::to_vec) }
    }

    #[test]
    fn over_another_connection_only_news_count() {
        let (mut table, limits) = (PresenceTable::default(), Limits::default());
        let id = (ReplicaId::from(1), "cursor".to_owned());
        let (tab, relay) = (ConnId(1), ConnId(2));
        let mut take = |said, from| table.take(&id, said, from, false, &limits, 0);
        assert_eq!(take(said(5, Some(b"a")), tab), Took::Changed);
        assert_eq!(take(said(5, Some(b"a")), relay), Took::Nothing, "the same news by another way");
        assert_eq!(take(said(4, Some(b"old")), relay), Took::Nothing);
        assert_eq!(take(said(4, None), relay), Took::Nothing);
        assert_eq!(take(said(6, Some(b"b")), relay), Took::Changed);
        assert_eq!(take(said(2, Some(b"b")), relay), Took::Refreshed, "a connection follows its own order");
        // A relay hears an owner over the owner's own connection: the last one to speak counts.
        assert_eq!(table.take(&id, said(1, Some(b"c")), tab, true, &limits, 0), Took::Changed);
    }

    #[test]
    fn the_table_is_bounded() {
        let limits = Limits { max_presence_per_doc: 3, max_presence_per_owner: 2, ..Limits::default() };
        let mut table = PresenceTable::default();
        let mut take = |owner: u128, key: &str| {
            table.take(&(ReplicaId::from(owner), key.to_owned()), said(1, Some(b"v")), ConnId(1), true, &limits, 0)
        };
        assert_eq!((take(1, "a"), take(1, "b"), take(1, "c")), (Took::Changed, Took::Changed, Took::TooMany));
        assert_eq!((take(2, "a"), take(3, "a")), (Took::Changed, Took::Nothing));
    }
}

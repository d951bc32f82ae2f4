//! `Map`: a multi-value register per key. A deletion removes the values it has seen; a concurrent write survives it.

use super::{Context, Event, MultiValue, StateReader, StateWriter};
use crate::codec::DecodeError;
use crate::op::Value;
use crate::ordered::OrdMap;

#[derive(Clone, Debug, Default)]
pub(crate) struct MapState {
    keys: OrdMap<String, MultiValue>,
}

impl MapState {
    pub(crate) fn set(&mut self, context: &Context<'_>, key: &str, value: Value) -> Option<Event> {
        let slot = match self.keys.get_mut(key) {
            Some(slot) => slot,
            None => self.keys.entry(key.to_owned()).or_default(),
        };
        let before = slot.get().cloned();
        slot.set(context, value);
        changed(key, before.as_ref(), slot.get())
    }

    pub(crate) fn delete(&mut self, context: &Context<'_>, key: &str) -> Option<Event> {
        let slot = self.keys.get_mut(key)?;
        let before = slot.get().cloned();
        slot.clear(context);
        let event = changed(key, before.as_ref(), slot.get());
        if slot.is_empty() {
            self.keys.remove(key);
        }
        event
    }

    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        out.count(self.keys.len());
        for (key, values) in &self.keys {
            out.str(key);
            values.write_state(out);
        }
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        for _ in 0..from.count("key count")? {
            let key = from.str("map key")?.to_owned();
            self.keys.entry(key).or_default().read_state(from)?;
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&MultiValue> {
        self.keys.get(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

fn changed(key: &str, before: Option<&Value>, now: Option<&Value>) -> Option<Event> {
    (before != now).then(|| Event::MapSet { key: key.to_owned(), value: now.cloned() })
}

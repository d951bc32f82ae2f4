//! `Set`: observed-remove. A removal takes back the additions it has seen; a concurrent addition wins.

use smallvec::SmallVec;

use super::{Context, Event, StateReader, StateWriter};
use crate::codec::DecodeError;
use crate::graph::Dot;
use crate::op::Value;
use crate::ordered::OrdMap;
use crate::planted::{self, Bug};

#[derive(Clone, Debug, Default)]
pub(crate) struct SetState {
    /// The additions of each value that no removal (and no later addition) has seen.
    values: OrdMap<Value, SmallVec<[Dot; 1]>>,
}

impl SetState {
    pub(crate) fn add(&mut self, context: &Context<'_>, value: Value) -> Option<Event> {
        let event = (!self.values.contains_key(&value)).then(|| Event::SetAdd { value: value.clone() });
        let dots = self.values.entry(value).or_default();
        dots.retain(|dot| !context.past.contains(*dot));
        dots.push(context.dot);
        event
    }

    pub(crate) fn remove(&mut self, context: &Context<'_>, value: &Value) -> Option<Event> {
        let dots = self.values.get_mut(value)?;
        dots.retain(|dot| !context.past.contains(*dot) && !planted::is(Bug::SetRemovesTheUnseen));
        if !dots.is_empty() {
            return None;
        }
        self.values.remove(value);
        Some(Event::SetRemove { value: value.clone() })
    }

    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        out.count(self.values.len());
        for (value, dots) in &self.values {
            out.value(value);
            out.dots(dots);
        }
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        for _ in 0..from.count("value count")? {
            let value = from.value()?;
            self.values.insert(value, from.dots("addition")?);
        }
        Ok(())
    }

    pub(crate) fn contains(&self, value: &Value) -> bool {
        self.values.contains_key(value)
    }

    /// The additions of a value that count.
    pub(crate) fn additions(&self, value: &Value) -> &[Dot] {
        self.values.get(value).map_or(&[], SmallVec::as_slice)
    }

    pub(crate) fn values(&self) -> impl ExactSizeIterator<Item = &Value> {
        self.values.keys()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

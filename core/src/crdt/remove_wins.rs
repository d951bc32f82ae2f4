//! `RemoveWinsSet`: a removal keeps its value out until an addition that has seen it; a concurrent addition loses. It is `Set`
//! with the two exchanged.

use smallvec::SmallVec;

use super::{Context, Event, StateReader, StateWriter};
use crate::codec::DecodeError;
use crate::graph::Dot;
use crate::op::Value;
use crate::ordered::{OrdMap, OrdSet};
use crate::planted::{self, Bug};

#[derive(Clone, Debug, Default)]
pub(crate) struct RemoveWinsState {
    /// The values that were added and that no removal keeps out.
    values: OrdSet<Value>,
    /// The removals of each value that no addition (and no later removal) has seen.
    removals: OrdMap<Value, SmallVec<[Dot; 1]>>,
}

impl RemoveWinsState {
    pub(crate) fn add(&mut self, context: &Context<'_>, value: Value) -> Option<Event> {
        if let Some(dots) = self.removals.get_mut(&value) {
            dots.retain(|dot| !context.past.contains(*dot));
            if !dots.is_empty() {
                return None;
            }
            self.removals.remove(&value);
        }
        self.values.insert(value.clone()).then_some(Event::SetAdd { value })
    }

    pub(crate) fn remove(&mut self, context: &Context<'_>, value: Value) -> Option<Event> {
        let dots = self.removals.entry(value.clone()).or_default();
        dots.retain(|dot| !context.past.contains(*dot));
        dots.push(context.dot);
        if planted::is(Bug::RemovalForgotten) {
            self.removals.remove(&value);
        }
        self.values.remove(&value).then_some(Event::SetRemove { value })
    }

    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        out.count(self.values.len());
        self.values.iter().for_each(|value| out.value(value));
        out.count(self.removals.len());
        for (value, dots) in &self.removals {
            out.value(value);
            out.dots(dots);
        }
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        for _ in 0..from.count("value count")? {
            self.values.insert(from.value()?);
        }
        for _ in 0..from.count("removal count")? {
            let value = from.value()?;
            self.removals.insert(value, from.dots("removal")?);
        }
        Ok(())
    }

    pub(crate) fn contains(&self, value: &Value) -> bool {
        self.values.contains(value)
    }

    /// The removals that keep a value out.
    pub(crate) fn removals(&self, value: &Value) -> &[Dot] {
        self.removals.get(value).map_or(&[], SmallVec::as_slice)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

//! `Stretches`: operations mapped to operations, by stretches of consecutive ones.

use crate::graph::Dot;
use crate::ordered::OrdMap;

/// Stretches that do not overlap, each mapped to another one of its length.
#[derive(Debug, Default)]
pub(crate) struct Stretches(OrdMap<Dot, (u32, Dot)>);

impl Stretches {
    /// Maps `first .. first + len` to `to .. to + len`.
    pub(crate) fn insert(&mut self, first: Dot, len: u32, to: Dot) {
        self.0.insert(first, (len, to));
    }

    /// Takes out the stretch that begins with `first`; what it was mapped to.
    pub(crate) fn remove(&mut self, first: Dot) -> Option<Dot> {
        self.0.remove(&first).map(|(_, to)| to)
    }

    /// What `dot` is mapped to, if it is, and for how many operations from it on (at most `max`) that goes on.
    pub(crate) fn find(&self, dot: Dot, max: u32) -> (Option<Dot>, u32) {
        if let Some((first, (len, to))) = self.0.range(..=dot).next_back()
            && first.log == dot.log
            && dot.seq - first.seq < *len
        {
            let inside = dot.seq - first.seq;
            return (Some(to.plus(inside)), max.min(len - inside));
        }
        let behind = self.0.range(dot..).next().filter(|(first, _)| first.log == dot.log);
        (None, behind.map_or(max, |(first, _)| max.min(first.seq - dot.seq)))
    }
}

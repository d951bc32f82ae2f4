//! `Counter`: a sum of increments. A reset takes back the increments it has seen; concurrent ones survive it.

use super::{Context, Event, StateReader, StateWriter};
use crate::codec::{DecodeError, put_i64, put_u64};
use crate::graph::Dot;
use crate::ordered::sort_by_key;
use crate::planted::{self, Bug};

/// One author's increments.
#[derive(Clone, Debug)]
struct Author {
    log: u32,
    /// (seq, increment) of the increments that no reset has seen.
    live: Vec<(u32, i64)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct CounterState {
    authors: Vec<Author>,
    value: i64,
}

impl CounterState {
    pub(crate) fn add(&mut self, context: &Context<'_>, by: i64) -> Option<Event> {
        let author = match self.authors.iter().position(|author| author.log == context.dot.log) {
            Some(index) => &mut self.authors[index],
            None => {
                self.authors.push(Author { log: context.dot.log, live: Vec::new() });
                self.authors.last_mut()?
            }
        };
        author.live.push((context.dot.seq, by));
        self.value = self.value.wrapping_add(by);
        (by != 0).then_some(Event::Counter { by })
    }

    pub(crate) fn reset(&mut self, context: &Context<'_>) -> Option<Event> {
        let mut by = 0i64;
        for author in &mut self.authors {
            let seen = context.past.end(author.log).unwrap_or(u32::MAX);
            let all = planted::is(Bug::CounterResetTakesTheUnseen);
            let gone = author.live.partition_point(|(seq, _)| *seq < seen || all);
            by = author.live.drain(..gone).fold(by, |sum, (_, by)| sum.wrapping_sub(by));
        }
        self.value = self.value.wrapping_add(by);
        (by != 0).then_some(Event::Counter { by })
    }

    pub(crate) fn write_state(&self, out: &mut StateWriter<'_>) {
        let mut authors: Vec<&Author> = self.authors.iter().filter(|author| !author.live.is_empty()).collect();
        sort_by_key(&mut authors, |author| out.rank(author.log));
        out.count(authors.len());
        for author in authors {
            let rank = out.rank(author.log);
            put_u64(&mut out.out, u64::from(rank));
            out.count(author.live.len());
            let mut last = 0;
            for (seq, by) in &author.live {
                put_u64(&mut out.out, u64::from(*seq - last));
                put_i64(&mut out.out, *by);
                last = *seq;
            }
        }
    }

    pub(crate) fn read_state(&mut self, from: &mut StateReader<'_>) -> Result<(), DecodeError> {
        for _ in 0..from.count("author count")? {
            let (log, end) = from.log("author")?;
            let (mut live, mut last) = (Vec::new(), 0);
            for _ in 0..from.count("increment count")? {
                last += from.reader.bounded("increment", end.saturating_sub(last))?;
                let by = from.reader.i64("increment")?;
                live.push((last as u32, by));
                self.value = self.value.wrapping_add(by);
            }
            self.authors.push(Author { log, live });
        }
        Ok(())
    }

    /// The increments that no reset has seen.
    pub(crate) fn increments(&self) -> impl Iterator<Item = (Dot, i64)> {
        let all = self.authors.iter().flat_map(|author| author.live.iter().map(|live| (author.log, live)));
        all.map(|(log, (seq, by))| (Dot { log, seq: *seq }, *by))
    }

    /// The sum, modulo 2⁶⁴.
    pub(crate) fn value(&self) -> i64 {
        self.value
    }

    /// Whether no increment counts.
    pub(crate) fn is_empty(&self) -> bool {
        self.authors.iter().all(|author| author.live.is_empty())
    }
}

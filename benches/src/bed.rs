//! One peer under measurement: types the trace once, keeps what it made, and times one row at a time.
//!
//! Always holds: a figure is returned only after the text was found equal to the trace's end; what is prepared and what
//! is checked is outside of the time. Not here: rounds and medians (`run`), the libraries (`peers`).

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::measure::{Watch, cpu, heap};
use crate::peers::Peer;
use crate::rows::Row;
use crate::trace::{Edit, Edits, Script, Trace};

/// Transactions between two looks at the clock.
const CLOCK_EVERY: usize = 256;

/// What came of measuring a row once.
#[derive(Clone, Debug)]
pub(crate) enum Sample {
    /// CPU time.
    Time(Duration),
    /// The cap was reached with this share of the transactions done.
    Cut(f64),
    /// Not possible, and why.
    Missing(String),
}

/// A peer, whatever its types.
pub(crate) trait Subject {
    /// The name of its crate.
    fn name(&self) -> &'static str;

    /// Forgets what was made of another trace; what cannot be made by a timed row is made here.
    fn prepare(&mut self, trace: &Trace, cap: Duration) -> Result<()>;

    /// Measures a row once.
    fn run(&mut self, row: Row, trace: &Trace, cap: Duration) -> Result<Sample>;

    /// What is counted, not timed. To be asked after the timed rows.
    fn count(&mut self, trace: &Trace) -> Result<Vec<(Row, u64)>>;
}

/// A peer and what it made of the trace.
pub(crate) struct Bed<P: Peer> {
    name: &'static str,
    refused: Option<&'static str>,
    updates: Option<Vec<Vec<u8>>>,
    /// The first writer's document of a concurrent trace, when it knows everything.
    spare: Option<P::Doc>,
    doc: Option<P::Doc>,
    saved: Option<Vec<u8>>,
    exported: Option<Vec<u8>>,
    history: Option<Vec<u8>>,
}

impl<P: Peer> Bed<P> {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, refused: None, updates: None, spare: None, doc: None, saved: None, exported: None, history: None }
    }

    /// Keeps a finished document and its files, if there is none yet.
    fn keep(&mut self, mut doc: P::Doc, trace: &Trace) -> Result<()> {
        check(&P::text(&doc)?, &trace.end)?;
        if self.doc.is_none() {
            self.saved = Some(P::save(&mut doc)?);
            self.exported = P::export(&mut doc)?;
            self.history = P::history(&mut doc)?;
            self.doc = Some(doc);
        }
        Ok(())
    }

    /// Types a concurrent trace: every writer in a document of its own, which knows what its author knew.
    fn type_together(&mut self, trace: &Trace, cap: Duration) -> Result<()> {
        let mut docs = (0..trace.writers).map(P::create).collect::<Result<Vec<_>>>()?;
        let mut updates: Vec<Vec<u8>> = Vec::with_capacity(trace.len());
        let watch = Watch::start();
        for (at, txn) in trace.contexts.iter().enumerate() {
            if at.is_multiple_of(CLOCK_EVERY) && watch.elapsed() > cap {
                return Ok(());
            }
            let doc = &mut docs[txn.writer];
            txn.missing.iter().try_for_each(|other| apply::<P>(doc, &updates[*other]))?;
            updates.push(edit_emit::<P>(doc, trace.edits(at))?);
        }
        let mut first = docs.swap_remove(0);
        trace.rest.iter().try_for_each(|other| apply::<P>(&mut first, &updates[*other]))?;
        check(&P::text(&first)?, &trace.end)?;
        self.spare = Some(first);
        self.updates = Some(updates);
        Ok(())
    }

    fn local(&mut self, trace: &Trace, cap: Duration) -> Result<Sample> {
        let mut doc = P::create(0)?;
        let time = each(trace, cap, |at| P::edit(&mut doc, trace.edits(at)))?;
        if matches!(time, Sample::Time(_)) {
            self.keep(doc, trace)?;
        }
        Ok(time)
    }

    fn local_emit(&mut self, trace: &Trace, cap: Duration) -> Result<Sample> {
        let mut doc = P::create(0)?;
        let mut updates = Vec::with_capacity(trace.len());
        let time = each(trace, cap, |at| {
            updates.push(edit_emit::<P>(&mut doc, trace.edits(at))?);
            Ok(())
        })?;
        if matches!(time, Sample::Time(_)) {
            check(&P::text(&doc)?, &trace.end)?;
            self.updates.get_or_insert(updates);
        }
        Ok(time)
    }

    /// Of a concurrent trace, the document that comes out is the one that is saved and exported: it took in everything
    /// in the order of the trace, which for some libraries is the smallest and fastest to read. If that takes too long,
    /// the first writer's stands in.
    fn stream(&mut self, trace: &Trace, cap: Duration) -> Result<Sample> {
        let Some(updates) = &self.updates else { return Ok(cut_before()) };
        let mut doc = P::create(trace.writers)?;
        let time = each(trace, cap, |at| apply::<P>(&mut doc, &updates[at]))?;
        let whole = matches!(time, Sample::Time(_));
        if whole {
            check(&P::text(&doc)?, &trace.end)?;
        }
        if let Some(spare) = self.spare.take() {
            self.keep(if whole { doc } else { spare }, trace)?;
        }
        Ok(time)
    }

    fn import_all(&self, trace: &Trace, row: Row) -> Result<Sample> {
        if self.saved.is_none() {
            return Ok(cut_before());
        }
        let Some(exported) = &self.exported else {
            return Ok(Sample::Missing("has no export of its history".to_owned()));
        };
        let exported = if row == Row::Replay { self.history.as_ref().unwrap_or(exported) } else { exported };
        let import = || match row {
            Row::ImportAllVerified => P::import_verified(exported)?.map_or_else(|| P::import(exported), Ok),
            _ => P::import(exported),
        };
        let (time, (_doc, text)) = cpu(|| to_text::<P>(import()?))?;
        check(&text, &trace.end)?;
        Ok(Sample::Time(time))
    }

    fn open(&self, trace: &Trace, row: Row) -> Result<Sample> {
        let Some(saved) = &self.saved else { return Ok(cut_before()) };
        let at = trace.end.chars().count() / 2;
        let mut edit = Script::default();
        edit.push(Edit { pos: at, del: 0, text: "x", utf16: (utf16_of(&trace.end, at), 0) });
        let open = || to_text::<P>(P::open(saved)?);
        let (time, (mut doc, text)) = match row {
            Row::OpenEdit => cpu(|| {
                let (mut doc, text) = open()?;
                P::edit(&mut doc, edit.all())?;
                Ok((doc, text))
            })?,
            _ => cpu(open)?,
        };
        check(&text, &trace.end)?;
        let edited: String = trace.end.chars().take(at).chain(['x']).chain(trace.end.chars().skip(at)).collect();
        match row {
            Row::OpenEdit => check(&P::text(&doc)?, &edited)?,
            Row::Save => {
                P::edit(&mut doc, edit.all())?;
                let (time, saved) = cpu(|| P::save(&mut doc))?;
                check(&P::text(&P::open(&saved)?)?, &edited)?;
                return Ok(Sample::Time(time));
            }
            _ => {}
        }
        Ok(Sample::Time(time))
    }
}

impl<P: Peer> Subject for Bed<P> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn prepare(&mut self, trace: &Trace, cap: Duration) -> Result<()> {
        *self = Self::new(self.name);
        self.refused = P::refuses(trace);
        if trace.concurrent && self.refused.is_none() {
            self.type_together(trace, cap)?;
        }
        Ok(())
    }

    fn run(&mut self, row: Row, trace: &Trace, cap: Duration) -> Result<Sample> {
        if let Some(reason) = self.refused {
            return Ok(Sample::Missing(reason.to_owned()));
        }
        match row {
            Row::Local => self.local(trace, cap),
            Row::LocalEmit => self.local_emit(trace, cap),
            Row::Stream => self.stream(trace, cap),
            Row::ImportAll | Row::ImportAllVerified | Row::Replay => self.import_all(trace, row),
            Row::Open | Row::OpenEdit | Row::Save => self.open(trace, row),
            _ => bail!("{} is not timed", row.name()),
        }
        .with_context(|| format!("{} failed at {} of {}", self.name, row.name(), trace.name))
    }

    fn count(&mut self, trace: &Trace) -> Result<Vec<(Row, u64)>> {
        let (Some(saved), Some(doc)) = (&self.saved, &mut self.doc) else { return Ok(Vec::new()) };
        let heap = heap(|| Ok(to_text::<P>(P::open(saved)?)?.0))?;
        let mut counts = vec![
            (Row::FullBytes, Some(saved.len() as u64)),
            (Row::HistoryBytes, self.history.as_ref().or(self.exported.as_ref()).map(|bytes| bytes.len() as u64)),
            (Row::HeapOpen, Some(heap.live)),
            (Row::HeapPeak, Some(heap.peak)),
        ];
        if P::open_history(saved)?.is_some() {
            counts.push((Row::HeapHistory, Some(crate::measure::heap(|| P::open_history(saved))?.live)));
        }
        if let Some(updates) = &self.updates {
            let updates: Vec<&[u8]> = updates.iter().map(Vec::as_slice).filter(|update| !update.is_empty()).collect();
            counts.push((Row::UpdatesBytes, Some(updates.iter().map(|update| update.len() as u64).sum())));
            for (row, value) in P::sizes(doc, trace, &updates)? {
                counts.retain(|(other, _)| *other != row);
                counts.push((row, value));
            }
        }
        Ok(counts.into_iter().filter_map(|(row, value)| Some((row, value?))).collect())
    }
}

/// Runs `step` for every transaction of the trace until the cap.
pub(crate) fn each(trace: &Trace, cap: Duration, mut step: impl FnMut(usize) -> Result<()>) -> Result<Sample> {
    let total = trace.len();
    let (time, done) = cpu(|| {
        let watch = Watch::start();
        for at in 0..total {
            if at > 0 && at.is_multiple_of(CLOCK_EVERY) && watch.elapsed() > cap {
                return Ok(at);
            }
            step(at)?;
        }
        Ok(total)
    })?;
    Ok(if done < total { Sample::Cut(done as f64 / total as f64) } else { Sample::Time(time) })
}

/// Fails, with the place of the first difference, if a text is not what it should be.
pub(crate) fn check(text: &str, expected: &str) -> Result<()> {
    let same = text.chars().zip(expected.chars()).take_while(|(a, b)| a == b).count();
    let (got, want) = (text.chars().count(), expected.chars().count());
    ensure!(text == expected, "a wrong text: {got} characters instead of {want}, the first {same} are right");
    Ok(())
}

fn to_text<P: Peer>(doc: P::Doc) -> Result<(P::Doc, String)> {
    let text = P::text(&doc)?;
    Ok((doc, text))
}

/// The update of a transaction; empty, like it, if it has no edits.
fn edit_emit<P: Peer>(doc: &mut P::Doc, edits: Edits<'_>) -> Result<Vec<u8>> {
    if edits.is_empty() { Ok(Vec::new()) } else { P::edit_emit(doc, edits) }
}

fn apply<P: Peer>(doc: &mut P::Doc, update: &[u8]) -> Result<()> {
    if update.is_empty() { Ok(()) } else { P::apply(doc, update) }
}

fn cut_before() -> Sample {
    Sample::Missing("typing the trace was cut off".to_owned())
}

fn utf16_of(text: &str, chars: usize) -> u32 {
    text.chars().take(chars).map(|c| c.len_utf16() as u32).sum()
}

//! Progress of a replay: a bar on a terminal, lines elsewhere.
//!
//! A line is `typed N of TOTAL, durable N, version REPLICA:END`: the version is that of the durable changes, as far as
//! the relay has acknowledged them. Always holds: lines come at most a few times a second, the last one in any case.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::ProgressKind;

const LINE_EVERY: Duration = Duration::from_millis(500);

pub(super) enum Show {
    Bar(ProgressBar),
    Lines { total: usize, last: Instant, shown: (usize, usize) },
    Nothing,
}

impl Show {
    pub(super) fn new(kind: ProgressKind, total: usize) -> Self {
        match kind {
            ProgressKind::None => Self::Nothing,
            ProgressKind::Auto if std::io::stderr().is_terminal() => {
                let bar = ProgressBar::new(total as u64);
                let style = ProgressStyle::with_template("typed {pos}/{len} {wide_bar} {per_sec}, {msg} durable");
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                Self::Bar(bar)
            }
            ProgressKind::Auto | ProgressKind::Plain => {
                Self::Lines { total, last: Instant::now(), shown: (usize::MAX, 0) }
            }
        }
    }

    /// Shows how many changes are typed and durable.
    pub(super) fn update(&mut self, typed: usize, durable: usize, version: impl FnOnce() -> String) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(typed as u64);
                bar.set_message(durable.to_string());
            }
            Self::Lines { total, last, shown } => {
                if last.elapsed() >= LINE_EVERY && *shown != (typed, durable) {
                    println!("typed {typed} of {total}, durable {durable}, version {}", version());
                    (*last, *shown) = (Instant::now(), (typed, durable));
                }
            }
            Self::Nothing => {}
        }
    }

    /// The last time.
    pub(super) fn end(&mut self, typed: usize, durable: usize, version: impl FnOnce() -> String) {
        if let Self::Lines { last, .. } = self
            && let Some(earlier) = Instant::now().checked_sub(LINE_EVERY)
        {
            *last = earlier;
        }
        self.update(typed, durable, version);
        if let Self::Bar(bar) = self {
            bar.finish();
        }
    }
}

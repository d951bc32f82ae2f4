//! The rows of the table: what is measured, in which unit, and of which traces.
//!
//! Not here: how (`bed`, `peers`).

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// CPU time in milliseconds.
    Ms,
    /// Bytes.
    Bytes,
    /// Instructions, counted by callgrind: they do not depend on the machine's load.
    Instructions,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ms => "ms",
            Self::Bytes => "bytes",
            Self::Instructions => "instructions",
        }
    }
}

/// A row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    /// All edits, one transaction each.
    Local,
    /// The same, each transaction encoded as an update.
    LocalEmit,
    /// Those updates, decoded and applied one by one.
    Stream,
    /// Everything in one import into an empty document, to text.
    ImportAll,
    /// The same, and what it brought along finished agrees with the operations.
    ImportAllVerified,
    /// The operations alone, in one import into an empty document, to text.
    Replay,
    /// A saved document, to text.
    Open,
    /// The same, and one edit.
    OpenEdit,
    /// The encoding of an opened document after one edit.
    Save,
    /// The whole history, as one exports it.
    HistoryBytes,
    /// The file of `open` and `save`.
    FullBytes,
    /// The same when every transaction had its own time.
    FullBytesLive,
    /// A file with the present state only.
    StateBytes,
    /// All updates of `local_emit` as sent in one session.
    UpdatesBytes,
    /// The same, each readable on its own.
    UpdatesAloneBytes,
    /// Heap after opening.
    HeapOpen,
    /// Heap after opening, with the history ready to be read.
    HeapHistory,
    /// The most heap that opening needed at once.
    HeapPeak,
    /// Instructions of `local`.
    LocalInstructions,
    /// Instructions of `local_emit`.
    LocalEmitInstructions,
    /// Instructions of `stream`.
    StreamInstructions,
    /// Instructions of `replay`.
    ReplayInstructions,
}

use Row::*;

/// What is timed, in this order.
pub(crate) const TIMED: &[Row] =
    &[Local, LocalEmit, Stream, ImportAll, ImportAllVerified, Replay, Open, OpenEdit, Save];

/// Timed rows whose instructions are counted as well, and the rows of the counts.
pub(crate) const COUNTED: &[(Row, Row)] = &[
    (Local, LocalInstructions),
    (LocalEmit, LocalEmitInstructions),
    (Stream, StreamInstructions),
    (Replay, ReplayInstructions),
];

/// All rows in the order of the table.
pub(crate) const ALL: &[Row] = &[
    Local,
    LocalEmit,
    Stream,
    ImportAll,
    ImportAllVerified,
    Replay,
    Open,
    OpenEdit,
    Save,
    HistoryBytes,
    FullBytes,
    FullBytesLive,
    StateBytes,
    UpdatesBytes,
    UpdatesAloneBytes,
    HeapOpen,
    HeapHistory,
    HeapPeak,
    LocalInstructions,
    LocalEmitInstructions,
    StreamInstructions,
    ReplayInstructions,
];

impl Row {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Local => "local",
            LocalEmit => "local_emit",
            Stream => "stream",
            ImportAll => "import_all",
            ImportAllVerified => "import_all_verified",
            Replay => "replay",
            Open => "open",
            OpenEdit => "open_edit",
            Save => "save",
            HistoryBytes => "history_bytes",
            FullBytes => "full_bytes",
            FullBytesLive => "full_bytes_live",
            StateBytes => "state_bytes",
            UpdatesBytes => "updates_bytes",
            UpdatesAloneBytes => "updates_alone_bytes",
            HeapOpen => "heap_open",
            HeapHistory => "heap_history",
            HeapPeak => "heap_peak",
            LocalInstructions => "local_instructions",
            LocalEmitInstructions => "local_emit_instructions",
            StreamInstructions => "stream_instructions",
            ReplayInstructions => "replay_instructions",
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            row if row <= Save => Unit::Ms,
            row if row < LocalInstructions => Unit::Bytes,
            _ => Unit::Instructions,
        }
    }

    /// The row of the floor that a figure of this row is divided by.
    pub(crate) fn floor(self) -> Option<Row> {
        match self {
            row if row <= Save => Some(Local),
            HeapOpen | HeapPeak => Some(self),
            row if row >= LocalInstructions => Some(LocalInstructions),
            _ => None,
        }
    }

    /// Whether it can be timed on a trace of that kind: nobody types a concurrent one in one document.
    pub(crate) fn applies(self, concurrent: bool) -> bool {
        !(concurrent && matches!(self, Local | LocalEmit))
    }
}

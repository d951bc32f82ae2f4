//! What became of an operation.

/// What applying a run of operations did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Applied {
    /// It had its effect.
    Done,
    /// It is invalid where it stands and had no effect.
    Invalid,
    /// Only a newer version knows what it means here; it had no effect.
    Unknown,
    /// Its place cannot be told without knowing who wrote what: the history has to be replayed first. It had no effect.
    NeedsHistory,
}

impl From<bool> for Applied {
    fn from(valid: bool) -> Self {
        if valid { Self::Done } else { Self::Invalid }
    }
}

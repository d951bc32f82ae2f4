//! `DecodeError`: what was being read, where, and what was wrong with it.

/// Bytes that cannot be decoded. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {field} at byte {offset}: {kind}")]
pub struct DecodeError {
    /// The field that was being read.
    pub field: &'static str,
    /// Where it starts, in bytes from the beginning of the input (of the inflated block, inside a compressed one).
    pub offset: usize,
    /// What is wrong.
    pub kind: DecodeErrorKind,
}

/// What can be wrong with bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The input ends too early.
    #[error("needs {need} bytes, {have} are left")]
    TooShort {
        /// Bytes needed.
        need: usize,
        /// Bytes left.
        have: usize,
    },
    /// Bytes are left after the last field.
    #[error("{0} bytes follow the end")]
    Trailing(usize),
    /// A number or length above its limit.
    #[error("{got} is above the limit of {max}")]
    AboveLimit {
        /// The value found.
        got: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// A value that has a shorter or other encoding.
    #[error("not the canonical encoding")]
    NotCanonical,
    /// A tag that this version does not know.
    #[error("unknown tag {0}")]
    UnknownTag(u64),
    /// Text that is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The file or message is of another kind.
    #[error("not a {0}")]
    WrongMagic(&'static str),
    /// A format version outside of what this build reads.
    #[error("format version {got}; this build reads {min} to {max}")]
    WrongVersion {
        /// The version found.
        got: u8,
        /// The oldest that can be read.
        min: u8,
        /// The newest that can be read.
        max: u8,
    },
    /// The checksum does not match the bytes: they were damaged.
    #[error("the checksum does not match")]
    Checksum,
    /// The compressed data is damaged or inflates beyond its bound.
    #[error("damaged compressed data")]
    Compression,
    /// A reference to a name that was never mentioned, or a number that breaks an order.
    #[error("{0}")]
    Inconsistent(&'static str),
}

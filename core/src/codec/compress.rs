//! Deflate, with the inflated length known before it is allocated.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_slice_iter_to_slice;

/// A compressed message inflates to at most this many times its own size; the writer leaves it as it is otherwise.
pub const MAX_INFLATION: usize = 12;

/// How much time is given to compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For what is sent once: a third of the time, 4 % more bytes of text.
    Wire = 3,
    /// For what is kept. Beyond this nothing is saved.
    Disk = 8,
}

/// The compressed form, which may be longer.
pub fn deflate(raw: &[u8], effort: Effort) -> Vec<u8> {
    compress_to_vec(raw, effort as u8)
}

/// The raw form, or `None` if the data is damaged or is not of this length. The caller bounds the length.
pub fn inflate(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; len];
    let inflated = decompress_slice_iter_to_slice(&mut out, std::iter::once(packed), false, true);
    (inflated == Ok(len)).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_length_that_was_announced_is_inflated() {
        let text = b"the selvedge of a cloth does not fray; ".repeat(3);
        let packed = deflate(&text, Effort::Wire);
        assert!(packed.len() < text.len());
        assert_eq!(inflate(&packed, text.len()).as_deref(), Some(&text[..]));
        assert_eq!(inflate(&packed, text.len() - 1), None);
        assert_eq!(inflate(&packed, text.len() + 1), None);
        assert_eq!(inflate(&packed[1..], text.len()), None);
    }
}

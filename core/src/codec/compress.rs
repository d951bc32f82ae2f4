//! Deflate with a bound on inflation, so that a small input can never ask for a large allocation.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::{TINFLStatus, decompress_slice_iter_to_slice};

/// A compressed block inflates to at most this many times its own size; the writer stores it raw otherwise.
pub const MAX_INFLATION: usize = 12;

const LEVEL: u8 = 6;
const WORTH_TRYING: usize = 128;

/// The compressed form, or `None` if it is not smaller or would inflate beyond the bound.
pub fn deflate(raw: &[u8]) -> Option<Vec<u8>> {
    if raw.len() < WORTH_TRYING {
        return None;
    }
    let packed = compress_to_vec(raw, LEVEL);
    (packed.len() < raw.len() && packed.len() * MAX_INFLATION >= raw.len()).then_some(packed)
}

/// The raw form, or `None` if the data is damaged or breaks the bound.
pub fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    // Most blocks inflate less than this; growing to the bound by doubling would need twice the bound.
    const USUAL: usize = 4;
    inflate_into(packed, packed.len() * USUAL)
        .or_else(|full| {
            let retry = full == TINFLStatus::HasMoreOutput;
            if retry { inflate_into(packed, packed.len() * MAX_INFLATION) } else { Err(full) }
        })
        .ok()
}

fn inflate_into(packed: &[u8], size: usize) -> Result<Vec<u8>, TINFLStatus> {
    let mut out = vec![0; size];
    let len = decompress_slice_iter_to_slice(&mut out, std::iter::once(packed), false, true)?;
    out.truncate(len);
    out.shrink_to_fit();
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_and_bombs_do_not() {
        let text = "the selvedge of a cloth does not fray; ".repeat(3);
        let text: Vec<u8> = text.bytes().enumerate().map(|(i, b)| b ^ (i % 3) as u8).collect();
        let packed = deflate(&text);
        assert_eq!(packed.as_deref().and_then(inflate), packed.map(|_| text));
        assert_eq!(deflate(&[0; 100_000]), None);
        assert_eq!(inflate(&compress_to_vec(&[0; 100_000], LEVEL)), None);
    }
}

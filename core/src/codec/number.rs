//! Numbers of columns: a lead byte and up to eight tail bytes, kept in two streams, since leads hold the magnitude and
//! deflate well, and tails are nearly random.
//!
//! Always holds: every number comes back. Not here: which column holds what.

/// Leads below this are the number itself.
pub(crate) const LONE_LEAD: u8 = 192;
/// The first number with one tail byte: leads 192 to 223 hold five bits in front of it.
const ONE_TAIL: u64 = 192;
/// The first with two: leads 224 to 239 hold four bits in front of them.
const TWO_TAILS: u64 = ONE_TAIL + (32 << 8);
/// The first that its tail bytes hold as it is.
const PLAIN: u64 = TWO_TAILS + (16 << 16);
/// Lead 240 stands for three such bytes, 245 for eight.
const PLAIN_LEAD: usize = 240;

/// Appends a number to its two streams.
pub(crate) fn put_number(leads: &mut Vec<u8>, tails: &mut Vec<u8>, value: u64) {
    let (byte, tail, bits) = match value {
        ..ONE_TAIL => (value as u8, 0, 0),
        ONE_TAIL..TWO_TAILS => (192 + ((value - ONE_TAIL) >> 8) as u8, 1, value - ONE_TAIL),
        TWO_TAILS..PLAIN => (224 + ((value - TWO_TAILS) >> 16) as u8, 2, value - TWO_TAILS),
        PLAIN.. => {
            let tail = (8 - value.leading_zeros() as usize / 8).max(3);
            ((PLAIN_LEAD + tail - 3) as u8, tail, value)
        }
    };
    leads.push(byte);
    tails.extend_from_slice(&bits.to_le_bytes()[..tail]);
}

/// How many tail bytes belong to a lead, `None` if there is no such lead.
pub(crate) fn tail_len(lead: u8) -> Option<usize> {
    match lead {
        ..192 => Some(0),
        192..224 => Some(1),
        224..240 => Some(2),
        240..246 => Some(usize::from(lead) - PLAIN_LEAD + 3),
        _ => None,
    }
}

/// The number with this lead and these tail bytes (`tail_len`).
pub(crate) fn join_number(lead: u8, tail: &[u8]) -> u64 {
    let mut low = [0; 8];
    low[..tail.len()].copy_from_slice(tail);
    let low = u64::from_le_bytes(low);
    match lead {
        ..192 => u64::from(lead),
        192..224 => ONE_TAIL + (u64::from(lead - 192) << 8 | low),
        224..240 => TWO_TAILS + (u64::from(lead - 224) << 16 | low),
        240.. => low,
    }
}

/// A difference as a number: small in both directions.
pub(crate) fn zigzag(difference: u64) -> u64 {
    difference << 1 ^ (difference as i64 >> 63) as u64
}

/// The difference again.
pub(crate) fn unzigzag(number: u64) -> u64 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_size_come_back() {
        let mut numbers: Vec<u64> = (0..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit]).collect();
        numbers.extend([ONE_TAIL - 1, ONE_TAIL, TWO_TAILS - 1, TWO_TAILS, PLAIN - 1, PLAIN, u64::MAX]);
        for number in numbers {
            let (mut leads, mut tails) = (Vec::new(), Vec::new());
            put_number(&mut leads, &mut tails, number);
            assert_eq!((leads.len(), tail_len(leads[0])), (1, Some(tails.len())));
            assert_eq!(join_number(leads[0], &tails), number);
            assert_eq!(unzigzag(zigzag(number)), number);
        }
    }
}

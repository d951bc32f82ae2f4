//! The characters of a text: a B-tree of strings that converts between Unicode scalar values, UTF-16 and UTF-8.
//!
//! The leaf of the last edit stays open: an edit inside it changes the string and nothing above, and what the sums
//! above lack is kept as one difference until the next edit is elsewhere. So typing needs no descent.
//! Always holds: no leaf is empty unless it is the only one; a leaf's text is at most `MAX_LEAF` bytes.
//! Not here: whose characters they are (`sequence`).

mod leaf;
mod tree;

use self::leaf::Leaf;
use self::tree::Node;

/// Longest text of a leaf, in bytes.
const MAX_LEAF: usize = 1024;
/// What a leaf is filled to when there is more to come.
const FILL_LEAF: usize = 768;
/// A leaf below this length is joined with its neighbour if both fit into `FILL_LEAF`.
const MIN_LEAF: usize = 256;

/// What an offset into a text counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Unicode scalar values.
    Scalar,
    /// UTF-16 code units.
    Utf16,
    /// Bytes of UTF-8.
    Utf8,
}

/// A length, or a place, in every metric. Differences wrap around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) bytes: usize,
    pub(crate) chars: u32,
    pub(crate) utf16: u32,
}

impl Extent {
    /// The length of a text.
    #[inline]
    pub(crate) fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self { bytes: text.len(), chars: text.len() as u32, utf16: text.len() as u32 };
        }
        let leads = text.bytes().filter(|byte| *byte as i8 >= -0x40).count() as u32;
        let pairs = text.bytes().filter(|byte| *byte >= 0xf0).count() as u32;
        Self { bytes: text.len(), chars: leads, utf16: leads + pairs }
    }

    /// One of the three.
    #[inline]
    pub(crate) fn get(self, metric: Metric) -> usize {
        match metric {
            Metric::Scalar => self.chars as usize,
            Metric::Utf16 => self.utf16 as usize,
            Metric::Utf8 => self.bytes,
        }
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.wrapping_add(other.bytes),
            chars: self.chars.wrapping_add(other.chars),
            utf16: self.utf16.wrapping_add(other.utf16),
        }
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        Self {
            bytes: self.bytes.wrapping_sub(other.bytes),
            chars: self.chars.wrapping_sub(other.chars),
            utf16: self.utf16.wrapping_sub(other.utf16),
        }
    }
}

/// The leaf of the last edit.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    leaf: u32,
    /// Where it starts.
    start: Extent,
    /// What the sums above it lack.
    debt: Extent,
}

/// A text.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    leaves: Vec<Leaf>,
    nodes: Vec<Node>,
    free_leaves: Vec<u32>,
    free_nodes: Vec<u32>,
    root: u32,
    total: Extent,
    open: Open,
}

impl Rope {
    pub(crate) fn new() -> Self {
        let leaf = Leaf { text: String::new(), extent: Extent::default(), parent: 0 };
        Self {
            leaves: vec![leaf],
            nodes: vec![Node::over_first_leaf()],
            free_leaves: Vec::new(),
            free_nodes: Vec::new(),
            root: 0,
            total: Extent::default(),
            open: Open::default(),
        }
    }

    /// The length.
    #[inline]
    pub(crate) fn extent(&self) -> Extent {
        self.total
    }

    /// Number of Unicode scalar values.
    #[inline]
    pub(crate) fn len(&self) -> u32 {
        self.total.chars
    }

    /// Inserts `text` of length `extent` before a character (at most `len()`).
    #[inline]
    pub(crate) fn insert(&mut self, pos: u32, text: &str, extent: Extent) {
        let leaf = &mut self.leaves[self.open.leaf as usize];
        let at = pos.wrapping_sub(self.open.start.chars);
        if at <= leaf.extent.chars && leaf.text.len() + text.len() <= MAX_LEAF {
            leaf.insert(at, text, extent);
            self.open.debt = self.open.debt.plus(extent);
            self.total = self.total.plus(extent);
            return;
        }
        self.insert_elsewhere(pos, text, extent);
    }

    #[cold]
    #[inline(never)]
    fn insert_elsewhere(&mut self, mut pos: u32, mut text: &str, mut extent: Extent) {
        loop {
            self.seek(pos, false);
            let leaf = &self.leaves[self.open.leaf as usize];
            let end = self.open.start.plus(leaf.extent);
            let (at, len) = (pos - self.open.start.chars, leaf.text.len());
            if len + text.len() <= MAX_LEAF {
                return self.insert(pos, text, extent);
            }
            if at < leaf.extent.chars {
                let middle =
                    if text.len() < FILL_LEAF { leaf.text.floor_char_boundary(len / 2) } else { leaf.byte(at) };
                self.split_leaf(middle);
                continue;
            }
            if len >= FILL_LEAF {
                let (next, start) = (self.split_leaf(len), end);
                self.open = Open { leaf: next, start, debt: Extent::default() };
            }
            let room = FILL_LEAF - self.leaves[self.open.leaf as usize].text.len();
            let piece = &text[..text.floor_char_boundary(room.min(text.len()).max(4))];
            let taken = Extent::of(piece);
            let at = pos - self.open.start.chars;
            self.leaves[self.open.leaf as usize].insert(at, piece, taken);
            self.open.debt = self.open.debt.plus(taken);
            self.total = self.total.plus(taken);
            (pos, text, extent) = (pos + taken.chars, &text[piece.len()..], extent.minus(taken));
            if text.is_empty() {
                return;
            }
        }
    }

    /// Deletes `len` characters at a position (both within the text).
    #[inline]
    pub(crate) fn delete(&mut self, pos: u32, len: u32) {
        let leaf = &mut self.leaves[self.open.leaf as usize];
        let at = pos.wrapping_sub(self.open.start.chars);
        if at < leaf.extent.chars && len <= leaf.extent.chars - at && len < leaf.extent.chars {
            let gone = leaf.delete(at, len);
            self.open.debt = self.open.debt.minus(gone);
            self.total = self.total.minus(gone);
            return;
        }
        self.delete_elsewhere(pos, len);
    }

    #[cold]
    #[inline(never)]
    fn delete_elsewhere(&mut self, pos: u32, mut len: u32) {
        while len > 0 {
            self.seek(pos, true);
            let at = pos - self.open.start.chars;
            let leaf = &mut self.leaves[self.open.leaf as usize];
            let count = len.min(leaf.extent.chars - at);
            let gone = leaf.delete(at, count);
            let left = leaf.text.len();
            self.open.debt = self.open.debt.minus(gone);
            self.total = self.total.minus(gone);
            len -= count;
            if left < MIN_LEAF {
                self.join_leaf();
            }
        }
    }

    /// A place given in one metric, in all of them. `None` past the end or inside of a character. O(log n).
    pub(crate) fn locate(&self, metric: Metric, offset: usize) -> Option<Extent> {
        if offset > self.total.get(metric) {
            return None;
        }
        let (leaf, start) = self.find(metric, offset);
        let leaf = &self.leaves[leaf as usize];
        let byte = leaf.byte_of(metric, offset - start.get(metric))?;
        Some(start.plus(Extent::of(&leaf.text[..byte])))
    }

    /// The UTF-16 offset of a character that is there, or of the end. O(log n).
    pub(crate) fn utf16_of(&self, pos: u32) -> u32 {
        if self.total.chars == self.total.utf16 {
            return pos;
        }
        self.locate(Metric::Scalar, pos as usize).map_or(self.total.utf16, |place| place.utf16)
    }

    /// The text in pieces, in order.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &str> {
        self.leaf_order().map(|leaf| self.leaves[leaf as usize].text.as_str())
    }

    /// The characters from `pos` on, `len` of them or up to the end.
    pub(crate) fn slice(&self, pos: u32, len: u32) -> String {
        let (mut skip, mut left, mut out) = (pos as usize, len as usize, String::new());
        for leaf in self.leaf_order() {
            let leaf = &self.leaves[leaf as usize];
            let chars = leaf.extent.chars as usize;
            if left == 0 {
                break;
            }
            if skip >= chars {
                skip -= chars;
                continue;
            }
            let take = left.min(chars - skip);
            out.push_str(&leaf.text[leaf.byte(skip as u32)..leaf.byte((skip + take) as u32)]);
            (skip, left) = (0, left - take);
        }
        out
    }
}

impl From<&str> for Rope {
    fn from(text: &str) -> Self {
        let mut rope = Self::new();
        if !text.is_empty() {
            rope.insert(0, text, Extent::of(text));
        }
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rope: &Rope, expected: &[char]) {
        let text: String = expected.iter().collect();
        assert_eq!(rope.chunks().collect::<String>(), text);
        assert_eq!(rope.extent(), Extent::of(&text));
        let mut place = Extent::default();
        for (i, c) in expected.iter().enumerate() {
            if i.is_multiple_of(37) {
                assert_eq!(rope.locate(Metric::Scalar, place.chars as usize), Some(place));
                assert_eq!(rope.locate(Metric::Utf16, place.utf16 as usize), Some(place));
                assert_eq!(rope.locate(Metric::Utf8, place.bytes), Some(place));
                if c.len_utf16() == 2 {
                    assert_eq!(rope.locate(Metric::Utf16, place.utf16 as usize + 1), None);
                }
                if c.len_utf8() > 1 {
                    assert_eq!(rope.locate(Metric::Utf8, place.bytes + 1), None);
                }
            }
            place = place.plus(Extent::of(c.encode_utf8(&mut [0; 4])));
        }
        assert_eq!(rope.locate(Metric::Scalar, expected.len() + 1), None);
    }

    #[test]
    fn edits_equal_those_of_a_plain_vector() {
        for (seed, longest) in [(1, 3), (2, 40), (3, 3000)] {
            let (mut rope, mut model, mut dice) = (Rope::new(), Vec::<char>::new(), seed as u64);
            let mut next = |n: usize| {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (dice >> 33) as usize % n
            };
            for step in 0..1500 {
                let pos = next(model.len() + 1);
                if next(5) < 2 {
                    let len = next(longest * 2).min(model.len() - pos);
                    rope.delete(pos as u32, len as u32);
                    model.drain(pos..pos + len);
                } else {
                    let text: String =
                        (0..1 + next(longest)).map(|_| ['a', 'b', '\n', 'ö', '日', '🦀'][next(6)]).collect();
                    rope.insert(pos as u32, &text, Extent::of(&text));
                    model.splice(pos..pos, text.chars());
                    let len = next(20).min(model.len() - pos);
                    assert_eq!(rope.slice(pos as u32, len as u32), model[pos..pos + len].iter().collect::<String>());
                }
                if step % 50 == 0 {
                    check(&rope, &model);
                }
            }
            check(&rope, &model);
            rope.delete(0, model.len() as u32);
            check(&rope, &[]);
            rope.insert(0, "again", Extent::of("again"));
            check(&rope, &['a', 'g', 'a', 'i', 'n']);
        }
    }
}

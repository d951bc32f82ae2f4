//! Iteration over the entries between two places of a map.

/// A place between entries, or that of the entry behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(super) chunk: usize,
    pub(super) at: usize,
}

impl Position {
    pub(super) const START: Self = Self { chunk: 0, at: 0 };
}

/// The entries from one place to another, from both ends.
pub(crate) struct Iter<'a, K, V> {
    chunks: &'a [Vec<(K, V)>],
    front: Position,
    back: Position,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, K, V> Iter<'a, K, V> {
    pub(super) fn new(chunks: &'a [Vec<(K, V)>], front: Position, back: Position) -> Self {
        Self { chunks, front, back }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        // The end of a chunk is the beginning of the next one.
        while self.chunks.get(self.front.chunk).is_some_and(|chunk| self.front.at >= chunk.len()) {
            self.front = Position { chunk: self.front.chunk + 1, at: 0 };
        }
        if self.front >= self.back {
            return None;
        }
        let (key, value) = self.chunks.get(self.front.chunk)?.get(self.front.at)?;
        self.front.at += 1;
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let before = |place: Position| self.chunks.iter().take(place.chunk).map(Vec::len).sum::<usize>() + place.at;
        let left = before(self.back).saturating_sub(before(self.front));
        (left, Some(left))
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        while self.back.at == 0 && self.back.chunk > 0 {
            let chunk = self.back.chunk - 1;
            self.back = Position { chunk, at: self.chunks[chunk].len() };
        }
        if self.front >= self.back {
            return None;
        }
        self.back.at -= 1;
        let (key, value) = self.chunks.get(self.back.chunk)?.get(self.back.at)?;
        Some((key, value))
    }
}

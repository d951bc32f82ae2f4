//! Ordered maps and sets with little code per type.
//!
//! The standard library's B-trees are compiled anew for every pair of types, some ten kilobytes each: they made up almost
//! half of the browser package (docs/decisions/0006-ordered-maps.md). These keep sorted entries in a list of short
//! chunks: a search is two binary searches, an insertion moves at most a chunk and, when one splits, the list of chunks.
//! Always holds: iteration is in the order of the keys, the same on every platform.

mod entry;
mod iter;
mod map;
mod set;
mod sort;

pub(crate) use map::OrdMap;
pub(crate) use set::OrdSet;
pub(crate) use sort::{ranking, sort_by_key};

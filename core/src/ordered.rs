//! Ordered maps and sets: the standard library's natively, smaller ones in wasm.
//!
//! The standard B-trees are compiled anew for every pair of types, some ten kilobytes each, and made up almost half of
//! the browser package. The ones here keep sorted entries in a list of short chunks: a search is two binary searches, an
//! insertion moves at most a chunk and, when one splits, the list of chunks. Always holds: the same methods in the same
//! order with the same results as the standard ones. Not here: methods that nobody in this crate uses.

#[cfg(any(target_arch = "wasm32", test))]
mod entry;
#[cfg(any(target_arch = "wasm32", test))]
mod iter;
#[cfg(any(target_arch = "wasm32", test))]
mod map;
#[cfg(any(target_arch = "wasm32", test))]
mod set;

#[cfg(target_arch = "wasm32")]
pub(crate) use map::BTreeMap;
#[cfg(target_arch = "wasm32")]
pub(crate) use set::BTreeSet;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use std::collections::{BTreeMap, BTreeSet};

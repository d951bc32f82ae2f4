//! CPU time and heap of a piece of work.
//!
//! `unsafe` is allowed here, and nowhere else in this workspace: a global allocator that counts cannot be written
//! without it. It hands every call to the system's allocator unchanged. Always holds: it counts only while `heap` runs,
//! so that times are those of the plain allocator, and only on its thread: no peer starts others for the work here. The
//! counters are plain cells, which need no allocation themselves.
#![allow(unsafe_code, reason = "implements GlobalAlloc, see above")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use anyhow::Result;
use cpu_time::ProcessTime;

thread_local! {
    static COLLECTING: Cell<bool> = const { Cell::new(false) };
    static COUNTING: Cell<bool> = const { Cell::new(false) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, which can count.
pub(crate) struct Counting;

fn count(bytes: i64) {
    if COUNTING.get() {
        LIVE.set(LIVE.get() + bytes);
        PEAK.set(PEAK.get().max(LIVE.get()));
    }
}

// SAFETY: every method passes its arguments to `System` and returns what it returned; the counters are plain numbers.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above; `at` came from `System`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above; `at` came from `System`.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Bytes on the heap, beyond what was there before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heap {
    /// Kept by the result.
    pub(crate) live: u64,
    /// The most that was in use at once.
    pub(crate) peak: u64,
}

/// Runs `work` and counts what it allocates. Its result is dropped after the count.
pub(crate) fn heap<T>(work: impl FnOnce() -> Result<T>) -> Result<Heap> {
    LIVE.set(0);
    PEAK.set(0);
    COUNTING.set(true);
    let result = work();
    COUNTING.set(false);
    result?;
    let bytes = |counted: i64| u64::try_from(counted).unwrap_or(0);
    Ok(Heap { live: bytes(LIVE.get()), peak: bytes(PEAK.get()) })
}

/// A stopwatch of the process's CPU time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch(ProcessTime);

impl Watch {
    pub(crate) fn start() -> Self {
        Self(ProcessTime::now())
    }

    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// Runs `work`; its CPU time and its result, which the caller drops outside of the time.
pub(crate) fn cpu<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let watch = Watch::start();
    let result = if COLLECTING.get() { collected(work)? } else { work()? };
    Ok((watch.elapsed(), result))
}

/// From now on, whatever is timed runs inside of `collected`.
pub(crate) fn collect() {
    COLLECTING.set(true);
}

/// The place where callgrind counts (`count`).
#[inline(never)]
fn collected<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    std::hint::black_box(work())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heap_is_counted_and_what_is_freed_is_not() {
        let kept = heap(|| {
            drop(std::hint::black_box(vec![0_u8; 50_000]));
            Ok(std::hint::black_box(vec![1_u8; 10_000]))
        });
        let kept = kept.expect("nothing fails");
        assert_eq!((kept.live, kept.peak), (10_000, 50_000));
    }
}

//! `LossyDisk`: a redb backend that keeps what was synced and loses the rest when the power fails (for tests only).
//!
//! Always holds: after `power_failure` a deterministic choice of the writes since the last sync is there, down to 512-byte
//! sectors and in any order, growth of the file included (`Lose::Some`), or none of them (`Lose::All`).
//! Not here: bit rot in what was synced (the tests flip bits themselves).

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

const SECTOR: usize = 512;

/// What a power failure does to what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lose {
    /// All of it is gone.
    All,
    /// Every sector and every change of length is kept or lost by a coin from this seed: torn and reordered writes.
    Some(u64),
}

/// A disk. Clones are the same disk; each is a backend of its own generation, dead after the next power failure.
#[derive(Clone, Debug, Default)]
pub struct LossyDisk {
    state: Arc<Mutex<State>>,
    generation: u64,
}

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    current: Vec<u8>,
    unsynced: Vec<Write>,
    generation: u64,
    full: bool,
    /// Calls that change something, so far.
    writes: u64,
    /// The power fails in front of this call.
    fail_at: Option<(u64, Lose)>,
}

#[derive(Debug)]
enum Write {
    Bytes { offset: usize, bytes: Vec<u8> },
    Len(usize),
}

impl LossyDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The power fails: backends handed out so far are dead, and what was not synced is lost as told.
    pub fn power_failure(&self, lose: Lose) {
        self.lock().power_failure(lose);
    }

    /// The power fails by itself in front of the `call`-th write, change of length or sync from now on (from 0).
    pub fn fail_at(&self, call: u64, lose: Lose) {
        let mut state = self.lock();
        state.fail_at = Some((state.writes + call, lose));
    }

    /// Writes, changes of length and syncs so far.
    pub fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Whether the disk is full from now on: writes fail, reads go on.
    pub fn set_full(&self, full: bool) {
        self.lock().full = full;
    }

    /// A handle after a power failure (or the first one): the backend of the next process.
    pub fn plug_in(&self) -> Self {
        Self { state: Arc::clone(&self.state), generation: self.lock().generation }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.generation == self.generation { Ok(state) } else { Err(io::Error::other("the power has failed")) }
    }

    fn writable(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.alive()?;
        if let Some((call, lose)) = state.fail_at
            && state.writes >= call
        {
            state.power_failure(lose);
            return Err(io::Error::other("the power has failed"));
        }
        state.writes += 1;
        if state.full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(state) }
    }
}

impl State {
    fn power_failure(&mut self, lose: Lose) {
        self.generation += 1;
        self.fail_at = None;
        let unsynced = std::mem::take(&mut self.unsynced);
        if let Lose::Some(mut seed) = lose {
            for write in &unsynced {
                match write {
                    Write::Len(len) if coin(&mut seed) => self.durable.resize(*len, 0),
                    Write::Len(_) => {}
                    Write::Bytes { offset, bytes } => {
                        for (sector, chunk) in (0..).zip(bytes.chunks(SECTOR)) {
                            let at = offset + sector * SECTOR;
                            if coin(&mut seed) && at + chunk.len() <= self.durable.len() {
                                self.durable[at..at + chunk.len()].copy_from_slice(chunk);
                            }
                        }
                    }
                }
            }
        }
        self.current.clone_from(&self.durable);
    }
}

/// SplitMix64: a test must fail the same way twice.
fn coin(seed: &mut u64) -> bool {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *seed;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) & 1 == 1
}

impl StorageBackend for LossyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.alive()?.current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.alive()?;
        let from = offset as usize;
        let bytes = state.current.get(from..from.saturating_add(out.len()));
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.writable()?;
        state.current.resize(len as usize, 0);
        state.unsynced.push(Write::Len(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.writable()?;
        for write in std::mem::take(&mut state.unsynced) {
            match write {
                Write::Len(len) => state.durable.resize(len, 0),
                Write::Bytes { offset, bytes } => state.durable[offset..offset + bytes.len()].copy_from_slice(&bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.writable()?;
        let from = offset as usize;
        let place = state.current.get_mut(from..from.saturating_add(data.len()));
        place.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(data);
        state.unsynced.push(Write::Bytes { offset: from, bytes: data.to_vec() });
        Ok(())
    }
}

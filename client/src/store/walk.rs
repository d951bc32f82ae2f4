//! `Walk`: reads the frames of a log file one after the other, and tells an unfinished append from damage.
//!
//! Always holds: every byte it steps over was checked; it ends at the end of the file or in front of what can be
//! nothing but an append that never returned. Not here: which frames make a commit (`log`).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use selvedge::DocName;
use selvedge::store::{Checkpoint, StoreError, record};

use super::frame::{self, END_MARK, FRAME_HEAD, Kind, Lease};
use super::log::io_error;

/// Disks write sectors of this many bytes, or multiples of it, whole.
const SECTOR: u64 = 512;

/// A frame, checked.
pub(super) enum Frame {
    Lease(Lease),
    Checkpoint,
    Record { content: Vec<u8>, ends_commit: bool },
}

/// A cursor over a log file.
pub(super) struct Walk<'a> {
    path: &'a Path,
    doc: &'a DocName,
    input: BufReader<&'a File>,
    at: u64,
    len: u64,
}

impl<'a> Walk<'a> {
    /// Starts at byte `at` of the file at `path`.
    pub(super) fn new(path: &'a Path, file: &'a File, doc: &'a DocName, at: u64) -> Result<Self, StoreError> {
        let fail = |source| io_error(path, source);
        let len = file.metadata().map_err(fail)?.len();
        let mut input = BufReader::with_capacity(64 << 10, file);
        input.seek(SeekFrom::Start(at)).map_err(fail)?;
        Ok(Self { path, doc, input, at, len })
    }

    /// Where the next frame starts.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next frame; a record in it has this index.
    pub(super) fn next(&mut self, index: u64) -> Result<Option<Frame>, StoreError> {
        let left = self.len - self.at;
        if left < FRAME_HEAD as u64 {
            // Nothing, or the beginning of a head: an append returns only after all of it was written.
            return Ok(None);
        }
        let mut head = [0; FRAME_HEAD];
        self.fill(&mut head)?;
        let Some((kind, content_len)) = frame::read_head(self.at, &head) else {
            return self.torn(index, &head, FRAME_HEAD, "its length does not match its checksum");
        };
        let frame_len = FRAME_HEAD + content_len + END_MARK.len();
        if frame_len as u64 > left {
            return Ok(None);
        }
        let mut bytes = vec![0; content_len + END_MARK.len()];
        self.fill(&mut bytes)?;
        let (content, end_mark) = bytes.split_at(content_len);
        let read = match kind {
            Kind::Lease => Lease::decode(content).map(Frame::Lease).map_err(|error| error.to_string()),
            Kind::Checkpoint => Checkpoint::open(self.doc, content).map(|_| Frame::Checkpoint),
            Kind::Record | Kind::LastRecord => {
                let ends_commit = kind == Kind::LastRecord;
                let opened = record::open(self.doc, index, content);
                opened.map(|content| Frame::Record { content: content.to_vec(), ends_commit })
            }
        };
        let problem = match read {
            Ok(frame) if *end_mark == END_MARK => {
                self.at += frame_len as u64;
                return Ok(Some(frame));
            }
            Ok(_) => "it does not end as records do".to_owned(),
            Err(problem) => problem,
        };
        self.torn(index, &bytes, frame_len, &problem)
    }

    /// Decides what damage in the first `extent` bytes of this frame is: `None` if it can only come from an append that
    /// was cut short, otherwise an error. `last_read` was read last.
    ///
    /// An append that was cut short may leave a file that had grown already while from the frame's first byte on, or
    /// from some sector in it on, nothing had reached the disk, up to the end of the file. A frame ends in bytes that
    /// are not zero: one that was written whole never looks like that, whichever single byte of it is flipped.
    fn torn(
        &mut self,
        index: u64,
        last_read: &[u8],
        extent: usize,
        problem: &str,
    ) -> Result<Option<Frame>, StoreError> {
        let mut tail = last_read.to_vec();
        self.input.read_to_end(&mut tail).map_err(|source| io_error(self.path, source))?;
        let zeros = tail.iter().rev().take_while(|byte| **byte == 0).count() as u64;
        let zeros_start = self.len - zeros;
        let boundary = if zeros_start <= self.at { self.at } else { zeros_start.next_multiple_of(SECTOR) };
        if zeros >= END_MARK.len() as u64 && boundary < self.at + extent as u64 {
            return Ok(None);
        }
        let problem = format!("at byte {}: {problem}", self.at);
        Err(record::corrupt(self.path.display().to_string(), self.doc, index, problem))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StoreError> {
        self.input.read_exact(bytes).map_err(|source| io_error(self.path, source))
    }
}

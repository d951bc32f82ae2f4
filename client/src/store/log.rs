//! One document's log file: open, scan, append.
//!
//! Always holds: a commit is there or not after a crash; a tail is cut off only where it can be nothing but an append
//! that never returned (see `walk`); any other damage is an error and changes nothing.
//! Not here: which file belongs to which document (`file`), the bytes (`frame`).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use selvedge::DocName;
use selvedge::store::{Append, StoreError, record};

use super::frame::{self, Kind, Lease, MAX_CONTENT, MAX_HEADER};
use super::walk::{Frame, Walk};

/// An open log file.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    doc: DocName,
    file: File,
    header_len: u64,
    /// Where the last whole commit ends, and what is known at that point.
    tail: Tail,
    /// A failed append could not be taken back: what the file ends with is unknown until it is opened again.
    broken: bool,
}

/// What a log ends with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tail {
    end: u64,
    next_index: u64,
    pub(super) lease: Option<Lease>,
}

impl LogFile {
    /// Makes the log of `doc`: it appears whole or not at all.
    pub(super) fn create(path: &Path, doc: &DocName) -> Result<(), StoreError> {
        write_whole(path, &frame::header(doc))
    }

    /// Opens the log of `doc`, reads it through once and cuts off what an unfinished append left.
    pub(super) fn open(path: &Path, doc: &DocName) -> Result<Self, StoreError> {
        let fail = |source| io_error(path, source);
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
        let mut log = Self::with_file(path, file)?;
        if log.doc != *doc {
            return Err(corrupt(path, "header", &format!("it is the log of {:?}", log.doc.as_str())));
        }
        log.scan(0, |_, _| ())?;
        let (end, len) = (log.tail.end, log.file.metadata().map_err(fail)?.len());
        if end < len {
            tracing::warn!(file = %path.display(), from = end, bytes = len - end, "cut off an unfinished append");
            log.file.set_len(end).and_then(|()| log.file.sync_data()).map_err(fail)?;
        }
        Ok(log)
    }

    fn with_file(path: &Path, mut file: File) -> Result<Self, StoreError> {
        let mut head = Vec::with_capacity(MAX_HEADER);
        let read = (&mut file).take(MAX_HEADER as u64).read_to_end(&mut head);
        read.map_err(|source| io_error(path, source))?;
        let (doc, header_len) =
            frame::read_header(&head).map_err(|error| corrupt(path, "header", &error.to_string()))?;
        let (header_len, path) = (header_len as u64, path.to_owned());
        Ok(Self { path, doc, file, header_len, tail: Tail::default(), broken: false })
    }

    /// What the log ends with; `rollback` goes back to it.
    pub(super) fn tail(&self) -> Tail {
        self.tail
    }

    /// What tells this file from a copy of it: its number in the file system, which another file system may use as well,
    /// and the time when it was made, which no copy shares. What the system does not tell counts as 0.
    pub(super) fn identity(&self) -> Result<u64, StoreError> {
        let metadata = self.file.metadata().map_err(|source| io_error(&self.path, source))?;
        let made = metadata.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        let made_ns = made.map_or(0, |since| since.as_nanos() as u64);
        #[cfg(unix)]
        let number = std::os::unix::fs::MetadataExt::ino(&metadata);
        #[cfg(not(unix))]
        let number = 0u64;
        Ok(number.rotate_left(32) ^ made_ns)
    }

    /// Reads every record from index `from` on. Every byte of the file is checked.
    pub(super) fn scan(&mut self, from: u64, mut visit: impl FnMut(u64, Vec<u8>)) -> Result<(), StoreError> {
        let mut walk = self.walk()?;
        let mut tail = Tail { end: self.header_len, ..Tail::default() };
        let (mut index, mut commit) = (0, Vec::new());
        while let Some(frame) = walk.next(index)? {
            let (content, ends_commit) = match frame {
                Frame::Lease(lease) => {
                    tail = Tail { end: walk.at(), lease: Some(lease), ..tail };
                    continue;
                }
                // Part of the commit of the records behind it.
                Frame::Checkpoint => continue,
                Frame::Record { content, ends_commit } => (content, ends_commit),
            };
            if index >= from {
                commit.push((index, content));
            }
            index += 1;
            if ends_commit {
                tail = Tail { end: walk.at(), next_index: index, ..tail };
                commit.drain(..).for_each(|(index, content)| visit(index, content));
            }
        }
        drop(walk);
        self.tail = tail;
        Ok(())
    }

    fn walk(&self) -> Result<Walk<'_>, StoreError> {
        Walk::new(&self.path, &self.file, &self.doc, self.header_len)
    }

    /// Whether there is any record, read or damaged.
    fn has_records(&self) -> Result<bool, StoreError> {
        let mut walk = self.walk()?;
        for index in 0.. {
            match walk.next(index) {
                Ok(Some(Frame::Record { ends_commit: true, .. })) | Err(StoreError::Corrupt { .. }) => return Ok(true),
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }

    /// Appends records as one commit; not durable before `sync`.
    pub(super) fn write_records(&mut self, records: &[&Append]) -> Result<(), StoreError> {
        let (mut out, mut index) = (Vec::new(), self.tail.next_index);
        for point in records.iter().flat_map(|record| &record.checkpoints) {
            self.put_frame(&mut out, Kind::Checkpoint, &point.seal(&self.doc))?;
        }
        for (i, record) in records.iter().enumerate() {
            let sealed = record::seal(&self.doc, index, &record.bytes);
            let kind = if i + 1 == records.len() { Kind::LastRecord } else { Kind::Record };
            self.put_frame(&mut out, kind, &sealed)?;
            index += 1;
        }
        self.write(&out)?;
        self.tail.next_index = index;
        Ok(())
    }

    /// Appends a lease; not durable before `sync`.
    pub(super) fn write_lease(&mut self, lease: Lease) -> Result<(), StoreError> {
        let mut out = Vec::new();
        self.put_frame(&mut out, Kind::Lease, &lease.encode())?;
        self.write(&out)?;
        self.tail.lease = Some(lease);
        Ok(())
    }

    fn put_frame(&self, out: &mut Vec<u8>, kind: Kind, content: &[u8]) -> Result<(), StoreError> {
        if content.len() > MAX_CONTENT {
            let problem = format!("a record of {} bytes is above the limit of {MAX_CONTENT}", content.len());
            return Err(io_error(&self.path, io::Error::new(io::ErrorKind::InvalidInput, problem)));
        }
        frame::put_frame(out, self.tail.end + out.len() as u64, kind, content);
        Ok(())
    }

    fn write(&mut self, frames: &[u8]) -> Result<(), StoreError> {
        if self.broken {
            let problem = "an earlier write failed and could not be taken back; open the store again";
            return Err(io_error(&self.path, io::Error::other(problem)));
        }
        let written = self.file.seek(SeekFrom::Start(self.tail.end)).and_then(|_| self.file.write_all(frames));
        written.map_err(|source| io_error(&self.path, source))?;
        self.tail.end += frames.len() as u64;
        Ok(())
    }

    /// Makes everything written durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|source| io_error(&self.path, source))
    }

    /// Takes back what was written behind `tail`.
    pub(super) fn rollback(&mut self, tail: Tail) {
        self.tail = tail;
        let undone = self.file.set_len(tail.end).and_then(|()| self.file.sync_data());
        self.broken |= undone.is_err();
    }
}

/// Writes a file that appears whole or not at all, durably.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let partial = path.with_extension("new");
    let write = || -> io::Result<()> {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        sync_folder(path)
    };
    write().map_err(|source| io_error(path, source))
}

/// The document whose log is at `path`, and whether it has any record.
pub(super) fn peek(path: &Path) -> Result<(DocName, bool), StoreError> {
    let file = File::open(path).map_err(|source| io_error(path, source))?;
    let log = LogFile::with_file(path, file)?;
    let has_records = log.has_records()?;
    Ok((log.doc, has_records))
}

pub(super) fn corrupt(path: &Path, record: &str, problem: &str) -> StoreError {
    StoreError::Corrupt { file: path.display().to_string(), record: record.into(), problem: problem.into() }
}

pub(super) fn io_error(path: &Path, source: io::Error) -> StoreError {
    let file = path.display().to_string();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full { file },
        _ => StoreError::Io { file, source },
    }
}

/// Makes the presence of `path` in its folder durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

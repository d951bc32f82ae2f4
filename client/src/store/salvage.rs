//! What can be read of a damaged log file: every record whose bytes are those that were written, wherever it lies.
//!
//! Always holds: a record is taken only if its checksum, which covers document and number, says so; the file is only
//! read. Not here: what becomes of the file (`file`).

use std::collections::BTreeMap;

use selvedge::DocName;
use selvedge::store::{Checkpoint, Damage, Record, Salvage, record};

use super::frame::{self, END_MARK, FRAME_HEAD, Kind};

/// The smallest frame of a record.
const MIN_FRAME: usize = FRAME_HEAD + record::OVERHEAD + END_MARK.len();

/// Looks through the bytes of the log of `doc`.
pub(super) fn look_through(doc: &DocName, bytes: &[u8]) -> Salvage {
    let (mut found, mut points) = (Salvage::default(), BTreeMap::new());
    let (mut at, mut next, mut lost_from) = (frame::header(doc).len(), 0, None);
    while at < bytes.len() {
        let Some((kind, content)) = frame_at(bytes, at) else {
            lost_from.get_or_insert(at);
            at += 1;
            continue;
        };
        let end = at + FRAME_HEAD + content.len() + END_MARK.len();
        if kind == Kind::Checkpoint {
            points.extend(Checkpoint::open(doc, content).ok().map(|point| (point.replica, point)));
        }
        if matches!(kind, Kind::Record | Kind::LastRecord) {
            // Behind a stretch that cannot be read, the number tells how many records were in it.
            let most = lost_from.map_or(0, |from| (at - from) / MIN_FRAME + 1) as u64;
            let open = |index| record::open(doc, index, content).ok().map(|content| (index, content.to_vec()));
            match (next..=next + most).find_map(open) {
                Some((index, bytes)) => {
                    lose(&mut found, next..index, "its place in the file cannot be read");
                    found.records.push(Record { index, bytes });
                    (next, lost_from) = (index + 1, None);
                }
                None if lost_from.is_none() => {
                    lose(&mut found, next..next + 1, "the checksum does not match its bytes");
                    next += 1;
                }
                None => {}
            }
        }
        at = end;
    }
    if lost_from.is_some() {
        lose(&mut found, next..next + 1, "its place in the file cannot be read");
    }
    found.checkpoints = points.into_values().collect();
    found
}

fn lose(found: &mut Salvage, indexes: std::ops::Range<u64>, problem: &str) {
    found.damaged.extend(indexes.map(|index| Damage { index, problem: problem.to_owned() }));
}

fn frame_at(bytes: &[u8], at: usize) -> Option<(Kind, &[u8])> {
    let head = bytes.get(at..at + FRAME_HEAD)?.try_into().ok()?;
    let (kind, len) = frame::read_head(at as u64, head)?;
    let start = at + FRAME_HEAD;
    bytes.get(start..start + len + END_MARK.len()).map(|content| (kind, &content[..len]))
}

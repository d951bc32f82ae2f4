//! Hostile bytes: envelopes with the checksum made right, mutations of good bytes, and what must hold of a document that
//! was given any of them.

use selvedge::codec::{Reader, checksum, put_u64};
use selvedge::doc::Expand;
use selvedge::{ContainerKind, Doc, EditError, ReplicaId, VersionVector};

/// An update that holds `payload`, uncompressed.
pub fn update(payload: &[u8]) -> Vec<u8> {
    envelope(b"SLVu", 0, payload)
}

/// A saved document that holds `payload`, uncompressed.
pub fn document(payload: &[u8]) -> Vec<u8> {
    envelope(b"SLVd", 0, payload)
}

/// A file of one block with a right checksum around anything.
pub fn envelope(magic: &[u8; 4], block: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = [&magic[..], &[1, block], &checksum(payload)].concat();
    put_u64(&mut out, payload.len() as u64);
    out.extend_from_slice(payload);
    out
}

/// Makes the checksums of a file's blocks right, as far as there are whole ones.
pub fn fix_checksum(bytes: &mut [u8]) {
    let mut at = 5;
    loop {
        let mut reader = Reader::new(bytes.get(at + 5..).unwrap_or_default());
        let Ok(content) = reader.bytes("block") else { return };
        let sum = checksum(content);
        let end = at + 5 + reader.offset();
        bytes[at + 1..at + 5].copy_from_slice(&sum);
        at = end;
    }
}

/// Damages bytes as the numbers say: (what, where, with what).
pub fn mutate(bytes: &mut Vec<u8>, mutations: &[(u8, u32, u8)]) {
    for (what, at, with) in mutations {
        let len = bytes.len();
        if len == 0 {
            bytes.push(*with);
            continue;
        }
        let at = *at as usize % len;
        match what % 8 {
            0 => bytes[at] ^= 1 << (with % 8),
            1 => bytes[at] = *with,
            2 => bytes.insert(at, *with),
            3 => drop(bytes.remove(at)),
            4 => bytes.truncate(at),
            5 => bytes[at] = bytes[at].wrapping_add(1),
            6 => {
                let end = (at + usize::from(*with)).min(len);
                bytes.extend_from_within(at..end);
            }
            _ => {
                let number = [0xff, 0xff, 0xff, 0xff, 0x0f];
                let count = (usize::from(*with) % 6).min(len - at);
                bytes.splice(at..at + count, number);
            }
        }
    }
}

/// Imports bytes into a document and checks that a failure changed nothing and that the document can be used either
/// way. Bug class C: success that panics on the first read is no success.
///
/// # Errors
/// What does not hold, in words.
pub fn feed(doc: &mut Doc, bytes: &[u8]) -> Result<(), String> {
    let before = (doc.to_json(), doc.version(), doc.save());
    if doc.import(bytes).is_err() && (doc.to_json(), doc.version(), doc.save()) != before {
        return Err("a failed import changed the document".to_owned());
    }
    exercise(doc)
}

/// Reads everything, edits every kind of container, exports, saves and loads.
///
/// # Errors
/// What does not hold, in words.
pub fn exercise(doc: &mut Doc) -> Result<(), String> {
    for handle in (0..).map_while(|number| doc.handle(number)) {
        doc.path(handle);
        doc.container_to_json(handle);
    }
    let edited = doc.change(|tx| {
        tx.text("text").insert(0, "x😀")?;
        tx.text("text").delete(0, 1)?;
        tx.text("text").mark(0..1, "bold", true, Expand::After)?;
        tx.list("list").insert(0, "x")?;
        tx.list("list").push("y")?;
        tx.list("list").move_to(0, 1)?;
        tx.root().set("k", 1)?;
        tx.root().get_or_create("child", ContainerKind::Map)?;
        tx.counter("counter").add(1)?;
        tx.set("set").add("x")?;
        tx.remove_wins_set("remove-wins").remove("x")?;
        tx.remove_wins_set("remove-wins").add("x")?;
        tx.bounded_counter("bounded").increment(2)?;
        tx.bounded_counter("bounded").decrement(1)?;
        let node = tx.tree("tree").create(None, 0)?;
        let child = tx.tree("tree").create(Some(node), 0)?;
        tx.tree("tree").map(child)?.set("k", 1)?;
        tx.tree("tree").move_to(child, None, 1)?;
        tx.tree("tree").remove(node)?;
        tx.register("register").set("x")
    });
    match edited {
        Ok(()) | Err(EditError::LogFull { .. } | EditError::TooLarge { .. } | EditError::LogUnreadable) => {}
        Err(error) => return Err(format!("the document cannot be edited: {error}")),
    }
    let saved = doc.save();
    let loaded = Doc::load(ReplicaId::from(0xfeed), &saved).map_err(|error| format!("it cannot be loaded: {error}"))?;
    if loaded.to_json() != doc.to_json() {
        return Err(format!("the document is {}, its save loads as {}", doc.to_json(), loaded.to_json()));
    }
    if doc.reaches(&VersionVector::new()).is_err() {
        // It has no beginning, so nobody can begin with it.
        return Ok(());
    }
    let mut copy = Doc::new(ReplicaId::from(0xbeef));
    copy.import(&doc.export_since(&VersionVector::new())).map_err(|error| format!("its update is refused: {error}"))?;
    if copy.to_json() == doc.to_json() { Ok(()) } else { Err("its update makes another document".to_owned()) }
}

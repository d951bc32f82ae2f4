//! Words typed at one place at the same time stay words, forward and backward, for two and three writers: what FugueMax
//! promises (arXiv 2305.00583).

use selvedge::{Doc, ReplicaId, VersionVector};

const WORDS: [&str; 3] = ["abcd", "EFGH", "1234"];

/// Types a word at a position of a text and of a list, forward or backward, each character in a change of its own.
fn write_word(doc: &mut Doc, at: usize, word: &str, backward: bool) -> Result<(), Box<dyn std::error::Error>> {
    let mut chars: Vec<char> = word.chars().collect();
    if backward {
        chars.reverse();
    }
    for (i, c) in chars.iter().enumerate() {
        let at = if backward { at } else { at + i };
        doc.change(|tx| {
            tx.text("t").insert(at, &c.to_string())?;
            tx.list("l").insert(at, c.to_string())
        })?;
        doc.commit(None);
    }
    Ok(())
}

#[test]
fn words_are_never_interleaved() -> Result<(), Box<dyn std::error::Error>> {
    let orders: [[u128; 3]; 6] = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for (writers, at, directions) in (2..=3).flat_map(|n| (0..3).flat_map(move |at| (0..8).map(move |d| (n, at, d)))) {
        for ids in orders {
            let mut base = Doc::new(ReplicaId::from(9));
            base.change(|tx| {
                tx.text("t").push_str("<>")?;
                tx.list("l").insert_all(0, vec!["<".into(), ">".into()])
            })?;
            let start = base.save();
            let mut docs = Vec::new();
            for (number, id) in ids.into_iter().take(writers).enumerate() {
                let mut doc = Doc::load(ReplicaId::from(id), &start)?;
                write_word(&mut doc, at, WORDS[number], directions >> number & 1 == 1)?;
                docs.push(doc);
            }
            for mut doc in docs {
                base.import(&doc.export_since(&VersionVector::new()))?;
            }
            let text = base.text("t").to_string();
            for word in &WORDS[..writers] {
                assert!(text.contains(word), "{word:?} is torn in {text:?} (at {at}, ids {ids:?}, {directions:b})");
            }
            let list: String =
                base.to_json()["l"].as_array().into_iter().flatten().filter_map(|c| c.as_str()).collect();
            assert_eq!(list, text, "lists and texts have one order");
        }
    }
    Ok(())
}

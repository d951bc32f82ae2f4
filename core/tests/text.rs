//! Texts beyond characters: offsets in every unit, anchors, marks and Deltas. Bug classes A (divergence) and G (offsets).

#[path = "common/copies.rs"]
mod copies;

use copies::{Outcome, doc, exchange};
use selvedge::doc::{Anchor, DeltaOp, Expand, Metric, Side};
use selvedge::{ContainerKind, Doc, EditError, Handle, ReplicaId, Value, VersionVector};
use serde_json::json;

/// Two copies of a text.
fn pair(text: &str) -> Result<(Doc, Doc), Box<dyn std::error::Error>> {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| tx.text("t").push_str(text))?;
    exchange(&mut a, &mut b)?;
    Ok((a, b))
}

/// Marks the first occurrence of `words`.
fn mark(doc: &mut Doc, words: &str, key: &str, value: impl Into<Value>, expand: Expand) -> Outcome {
    let text = doc.text("t").to_string();
    let start = text.find(words).ok_or("the words are not there")?;
    doc.change(|tx| tx.text("t").mark(start..start + words.len(), key, value, expand))?;
    Ok(())
}

fn bold(doc: &mut Doc, words: &str) -> Outcome {
    mark(doc, words, "bold", true, Expand::After)
}

fn unbold(doc: &mut Doc, words: &str) -> Outcome {
    let text = doc.text("t").to_string();
    let start = text.find(words).ok_or("the words are not there")?;
    doc.change(|tx| tx.text("t").unmark(start..start + words.len(), "bold"))?;
    Ok(())
}

fn insert(doc: &mut Doc, before: &str, words: &str) -> Outcome {
    let text = doc.text("t").to_string();
    let at = text.find(before).ok_or("the words are not there")?;
    doc.change(|tx| tx.text("t").insert(at, words))?;
    Ok(())
}

/// The text with its marks: `The |fox{bold}`.
fn rich(doc: &Doc) -> String {
    let text = doc.text("t");
    let spans = text.runs().into_iter().map(|span| {
        let words = text.slice(span.start..span.start + span.len).unwrap_or_default();
        let marks = span.marks.iter().map(|(key, value)| match value {
            Value::Bool(true) => key.clone(),
            Value::String(value) => format!("{key}={value}"),
            other => format!("{key}={other:?}"),
        });
        let marks = marks.collect::<Vec<_>>().join(",");
        if marks.is_empty() { words } else { format!("{words}{{{marks}}}") }
    });
    spans.collect::<Vec<_>>().join("|")
}

/// What two people do at the same time to "The fox jumped.", and what comes of it: the examples of the Peritext paper.
#[test]
fn the_examples_of_peritext() -> Outcome {
    type Edit = fn(&mut Doc) -> Outcome;
    let cases: [(&str, Edit, Edit, &str); 9] = [
        (
            "text inserted into what another makes bold is bold",
            |a| bold(a, "The fox jumped."),
            |b| insert(b, "fox", "brown "),
            "The brown fox jumped.{bold}",
        ),
        ("overlapping bold is bold once", |a| bold(a, "The fox"), |b| bold(b, "fox jumped"), "The fox jumped{bold}|."),
        (
            "bold and italic are both there where they overlap",
            |a| bold(a, "The fox"),
            |b| mark(b, "fox jumped", "italic", true, Expand::After),
            "The {bold}|fox{bold,italic}| jumped{italic}|.",
        ),
        (
            "of two colours one is seen where they overlap",
            |a| mark(a, "The fox", "color", "red", Expand::After),
            |b| mark(b, "fox jumped", "color", "blue", Expand::After),
            "The {color=red}|fox jumped{color=blue}|.",
        ),
        (
            "comments have keys of their own and overlap",
            |a| mark(a, "The fox", "comment:1", "who?", Expand::None),
            |b| mark(b, "fox jumped", "comment:2", "why?", Expand::None),
            "The {comment:1=who?}|fox{comment:1=who?,comment:2=why?}| jumped{comment:2=why?}|.",
        ),
        (
            "of bold and not bold one is seen where they overlap",
            |a| {
                bold(a, "The fox jumped.")?;
                unbold(a, "jumped.")
            },
            |b| bold(b, "The fox jumped."),
            "The fox {bold}|jumped.",
        ),
        (
            "text inserted at the end of what becomes bold is bold, at the beginning it is not",
            |a| bold(a, "fox"),
            |b| {
                insert(b, "fox", "red ")?;
                insert(b, " jumped", "es")
            },
            "The red |foxes{bold}| jumped.",
        ),
        (
            "text inserted at the ends of what becomes a link is no part of it",
            |a| mark(a, "fox", "link", "/fox", Expand::None),
            |b| {
                insert(b, "fox", "red ")?;
                insert(b, " jumped", "es")
            },
            "The red |fox{link=/fox}|es jumped.",
        ),
        (
            "a mark on what another deletes is on what is left",
            |a| bold(a, "fox jumped"),
            |b| Ok(b.change(|tx| tx.text("t").delete(4, 4))?),
            "The |jumped{bold}|.",
        ),
    ];
    for (name, left, right, expected) in cases {
        let (mut a, mut b) = pair("The fox jumped.")?;
        left(&mut a)?;
        right(&mut b)?;
        exchange(&mut a, &mut b)?;
        assert_eq!(rich(&a), expected, "{name}");
    }
    Ok(())
}

#[test]
fn typing_at_the_edges_follows_the_rule_of_the_mark() -> Outcome {
    let cases = [
        (Expand::None, "a[|b{m}|]c"),
        (Expand::Before, "a|[b{m}|]c"),
        (Expand::After, "a[|b]{m}|c"),
        (Expand::Both, "a|[b]{m}|c"),
    ];
    for (expand, expected) in cases {
        let (mut a, mut b) = pair("abc")?;
        mark(&mut a, "b", "m", true, expand)?;
        insert(&mut a, "b", "[")?;
        insert(&mut a, "c", "]")?;
        exchange(&mut a, &mut b)?;
        assert_eq!(rich(&b), expected, "{expand:?}");
        // What loses its mark in the middle keeps the rule at the new edges.
        let (mut a, _) = pair("abc")?;
        mark(&mut a, "abc", "m", true, expand)?;
        a.change(|tx| tx.text("t").unmark(1..2, "m"))?;
        insert(&mut a, "b", "[")?;
        insert(&mut a, "c", "]")?;
        let expected = match expand {
            Expand::None => "a{m}|[b]|c{m}",
            Expand::Before => "a{m}|[b|]c{m}",
            Expand::After => "a[{m}|b]|c{m}",
            Expand::Both => "a[{m}|b|]c{m}",
        };
        assert_eq!(rich(&a), expected, "{expand:?}, taken away");
    }
    Ok(())
}

#[test]
fn a_mark_ends_where_its_last_character_was_deleted() -> Outcome {
    let (mut a, mut b) = pair("The fox jumped.")?;
    mark(&mut a, "fox", "link", "/fox", Expand::None)?;
    a.change(|tx| tx.text("t").delete(6, 1))?;
    let before = a.version();
    a.change(|tx| {
        let mut text = tx.text("t");
        text.insert(6, "rm")?;
        text.insert(8, "at")
    })?;
    exchange(&mut a, &mut b)?;
    assert_eq!(rich(&b), "The |fo{link=/fox}|rmat jumped.");
    assert_eq!(a.version().ops() - before.ops(), 5, "four characters, and one mark that is taken away");
    // A bold that ends there goes on.
    let (mut a, _) = pair("The fox jumped.")?;
    bold(&mut a, "fox")?;
    a.change(|tx| tx.text("t").delete(6, 2))?;
    a.change(|tx| tx.text("t").insert(6, "r"))?;
    assert_eq!(rich(&a), "The |for{bold}|jumped.");
    Ok(())
}

#[test]
fn marks_survive_saving_and_a_replay_and_can_be_taken_back() -> Outcome {
    let (mut a, mut b) = pair("hello world")?;
    bold(&mut a, "hello")?;
    let failed = a.change(|tx| {
        tx.text("t").mark(0..11, "bold", "very", Expand::Both)?;
        tx.text("t").insert(99, "x")
    });
    assert!(failed.is_err());
    assert_eq!(rich(&a), "hello{bold}| world");
    b.change(|tx| tx.text("t").insert(5, "!"))?;
    exchange(&mut a, &mut b)?;
    assert_eq!(rich(&a), "hello!{bold}| world");
    let loaded = Doc::load(ReplicaId::from(3), &a.save())?;
    assert_eq!(rich(&loaded), rich(&a));
    Ok(())
}

#[test]
fn what_cannot_be_marked_is_told() -> Outcome {
    let (mut a, _) = pair("abc")?;
    let mut try_mark = |start: usize, end: usize, value: Value| {
        let result = a.change(|tx| tx.text("t").mark(start..end, "k", value, Expand::After));
        result.map_err(|error| error.to_string())
    };
    assert_eq!(try_mark(1, 9, 1.into()), Err("end of the range 9 is out of range: the length is 3".into()));
    assert_eq!(try_mark(2, 1, 1.into()), Err("start of the range 2 is out of range: the length is 1".into()));
    assert!(try_mark(0, 1, Value::Null).is_err());
    assert!(try_mark(0, 1, ContainerKind::Map.into()).is_err());
    assert_eq!(try_mark(1, 1, 1.into()), Ok(()));
    let before = a.version();
    a.change(|tx| tx.text("t").unmark(0..3, "nothing"))?;
    assert_eq!(a.version(), before, "nothing to take away is no operation");
    Ok(())
}

#[test]
fn a_delta_says_what_a_text_is_and_how_it_is_edited() -> Outcome {
    let style = |key: &str| if key == "link" { Expand::None } else { Expand::After };
    let read = |json: serde_json::Value| -> Result<Vec<DeltaOp>, EditError> {
        json.as_array().into_iter().flatten().map(DeltaOp::from_json).collect()
    };
    let write = |doc: &Doc| doc.text("t").to_delta().iter().map(DeltaOp::to_json).collect::<serde_json::Value>();
    let (mut a, mut b) = (doc(1), doc(2));
    let content = json!([
        { "insert": "Gandalf", "attributes": { "bold": true } },
        { "insert": " the " },
        { "insert": "Grey🧙", "attributes": { "color": "#ccc" } },
        { "insert": "\n" },
    ]);
    a.change(|tx| tx.text("t").apply_delta(&read(content.clone())?, &style))?;
    assert_eq!(write(&a), content);
    exchange(&mut a, &mut b)?;
    let edit = json!([
        { "retain": 7, "attributes": { "bold": null, "link": "/g" } },
        { "insert": "," },
        { "retain": 5 },
        { "delete": 6 },
        { "insert": "White", "attributes": { "color": "#fff" } },
    ]);
    b.change(|tx| tx.text("t").apply_delta(&read(edit)?, &style))?;
    let expected = json!([
        { "insert": "Gandalf", "attributes": { "link": "/g" } },
        { "insert": ", the " },
        { "insert": "White", "attributes": { "color": "#fff" } },
        { "insert": "\n" },
    ]);
    assert_eq!(write(&b), expected);
    exchange(&mut a, &mut b)?;
    assert_eq!(write(&a), expected);
    for wrong in [
        json!([{ "insert": { "image": "x.png" } }]),
        json!([{ "insert": "x", "retain": 1 }]),
        json!([{ "retain": -1 }]),
        json!([{ "retain": 1, "attributes": { "k": [1] } }]),
        json!([{}]),
    ] {
        assert!(matches!(read(wrong.clone()), Err(EditError::Delta(_))), "{wrong}");
    }
    let past_end = a.change(|tx| tx.text("t").apply_delta(&read(json!([{ "delete": 99 }]))?, &style));
    assert!(matches!(past_end, Err(EditError::OutOfRange { index: 99, .. })), "{past_end:?}");
    Ok(())
}

#[test]
fn every_unit_counts_its_own_way() -> Outcome {
    let mut a = doc(1);
    a.change(|tx| {
        let mut text = tx.text("t");
        text.insert_utf8(0, "é🧙x")?;
        text.insert_utf8(6, "日")?;
        text.insert_utf16(3, "+")?;
        assert_eq!((text.len(), text.len_utf16(), text.len_utf8()), (5, 6, 11));
        text.delete_utf8(7, 3)
    })?;
    let text = a.text("t");
    assert_eq!(text.to_string(), "é🧙+x");
    assert_eq!((text.len(), text.len_utf16(), text.len_utf8()), (4, 5, 8));
    let units = [Metric::Scalar, Metric::Utf16, Metric::Utf8];
    for offsets in [[0, 0, 0], [1, 1, 2], [2, 3, 6], [3, 4, 7], [4, 5, 8]] {
        for (from, to) in (0..3).flat_map(|from| (0..3).map(move |to| (from, to))) {
            assert_eq!(text.convert(offsets[from], units[from], units[to]), Ok(offsets[to]));
        }
    }
    assert_eq!(text.convert(2, Metric::Utf16, Metric::Scalar), Err(EditError::InsideCharacter { offset: 2 }));
    assert_eq!(text.convert(1, Metric::Utf8, Metric::Scalar), Err(EditError::InsideCharacter { offset: 1 }));
    let past = EditError::OutOfRange { what: "UTF-8 offset", index: 9, len: 8 };
    assert_eq!(text.convert(9, Metric::Utf8, Metric::Scalar), Err(past));
    assert_eq!(text.slice(1..3)?, "🧙+");
    assert!(text.slice(1..5).is_err());
    assert_eq!(a.text("none").convert(0, Metric::Utf8, Metric::Utf16), Ok(0));
    let cut = a.change(|tx| tx.text("t").delete_utf8(0, 1));
    assert_eq!(cut, Err(EditError::InsideCharacter { offset: 1 }));
    Ok(())
}

fn handle(doc: &Doc, name: &str) -> Handle {
    doc.text(name).handle().or(doc.list(name).handle()).unwrap_or(Handle::ROOT)
}

fn index(doc: &mut Doc, anchor: &Anchor) -> Option<usize> {
    doc.resolve(anchor).map(|position| position.index)
}

#[test]
fn anchors_stay_with_their_characters_on_every_copy() -> Outcome {
    let (mut a, mut b) = pair("one 🧙 two")?;
    let at = handle(&a, "t");
    let before = a.anchor(at, 6, Side::Before)?;
    let after = a.anchor(at, 6, Side::After)?;
    let (start, end) = (a.anchor(at, 0, Side::After)?, a.anchor(at, 9, Side::Before)?);
    b.change(|tx| {
        tx.text("t").insert(6, "and ")?;
        tx.text("t").insert(0, "> ")?;
        tx.text("t").push_str("!")
    })?;
    for anchor in [&before, &after, &start, &end] {
        assert_eq!(Anchor::from_bytes(&anchor.to_bytes()).as_ref(), Ok(anchor));
        assert_eq!(serde_json::from_value::<Anchor>(serde_json::to_value(anchor)?)?, *anchor);
    }
    assert_eq!(b.text("t").to_string(), "> one 🧙 and two!");
    let found = b.resolve(&before).ok_or("not found")?;
    assert_eq!((found.index, found.utf16, found.utf8), (12, 13, 15));
    assert_eq!([&after, &start, &end].map(|anchor| index(&mut b, anchor)), [Some(8), Some(0), Some(16)]);
    b.change(|tx| tx.text("t").delete(7, 6))?;
    assert_eq!(b.text("t").to_string(), "> one 🧙wo!");
    assert_eq!([&before, &after].map(|anchor| index(&mut b, anchor)), [Some(7), Some(7)], "where it was");
    exchange(&mut a, &mut b)?;
    assert_eq!([&before, &after].map(|anchor| index(&mut a, anchor)), [Some(7), Some(7)]);
    let mut stranger = doc(9);
    assert_eq!(stranger.resolve(&before), None);
    stranger.change(|tx| tx.text("t").push_str("x"))?;
    assert_eq!(stranger.resolve(&before), None);
    assert!(a.anchor(at, 99, Side::After).is_err());
    assert!(a.anchor(Handle::ROOT, 0, Side::After).is_err());
    assert!("xyz".parse::<Anchor>().is_err());
    Ok(())
}

#[test]
fn anchors_in_lists_follow_what_is_moved() -> Outcome {
    let (mut a, mut b) = (doc(1), doc(2));
    a.change(|tx| {
        tx.list("l").insert_all(0, vec![1.into(), 2.into(), 3.into()])?;
        tx.list("l").insert_container(3, ContainerKind::Text).map(drop)
    })?;
    b.import(&a.export_since(&VersionVector::new()))?;
    let list = handle(&a, "l");
    let two = a.anchor(list, 1, Side::Before)?;
    a.change(|tx| tx.list("l").move_to(1, 3))?;
    assert_eq!(index(&mut a, &two), Some(3));
    b.import(&a.export_since(&b.version()))?;
    assert_eq!(index(&mut b, &two), Some(3));
    a.change(|tx| tx.list("l").delete(3, 1))?;
    assert_eq!(index(&mut a, &two), Some(3));
    // A text in an element is found wherever the element is.
    let Some(selvedge::doc::Entry::Container(_, text)) = a.list("l").entry(2) else { return Err("no text".into()) };
    a.change(|tx| tx.text_at(text)?.push_str("inside"))?;
    let inside = a.anchor(text, 2, Side::After)?;
    a.change(|tx| tx.list("l").move_to(2, 0))?;
    b.import(&a.export_since(&b.version()))?;
    let found = b.resolve(&inside).ok_or("not found")?;
    assert_eq!((found.index, b.text_at(found.container).to_string()), (2, "inside".to_owned()));
    Ok(())
}

//! The same script of edits makes the same bytes natively and in wasm: this test runs it natively and compares with
//! `script.golden.json`; `npm run test:wasm` runs it in wasm and compares with the same file. To write the file anew
//! after a deliberate change of the format: `SELVEDGE_WRITE_GOLDEN=1 cargo test -p selvedge-wasm`.

#![allow(clippy::unwrap_used, reason = "a script that does not parse is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use selvedge::doc::{DeltaOp, Expand};
use selvedge::{ContainerKind, Doc, ReplicaId, Value, VersionVector};
use selvedge_wasm::command::{Command, Edit, Key, Path, Plain, apply, fill_root};
use serde_json::{Value as Json, json};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

fn read(name: &str) -> Json {
    let text = fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("a script that parses"))
        .collect()
}

fn plain(json: &Json) -> Plain {
    match json {
        Json::Object(map) => match scalar(json) {
            Some(value) => Plain::Value(value),
            None => Plain::Map(map.iter().map(|(key, item)| (key.clone(), plain(item))).collect()),
        },
        Json::Array(items) => Plain::List(items.iter().map(plain).collect()),
        _ => Plain::Value(scalar(json).expect("a script that parses")),
    }
}

/// A value; what JSON has no form for is an object with one key that begins with `$`.
fn scalar(json: &Json) -> Option<Value> {
    let tagged = |key: &str| json.get(key).and_then(Json::as_str);
    if let Some(number) = tagged("$int") {
        return Some(Value::Int(number.parse().expect("a script that parses")));
    }
    if let Some(number) = tagged("$float") {
        return Some(Value::Float(number.parse().expect("a script that parses")));
    }
    if let Some(bytes) = tagged("$bytes") {
        return Some(Value::Bytes(unhex(bytes)));
    }
    match json {
        Json::Null => Some(Value::Null),
        Json::Bool(value) => Some((*value).into()),
        Json::Number(number) => Some(
            number.as_i64().map_or_else(|| Value::Float(number.as_f64().expect("a script that parses")), Value::Int),
        ),
        Json::String(text) => Some(text.as_str().into()),
        _ => None,
    }
}

fn path(json: &Json) -> Path {
    let step = |pair: &[Json]| {
        let key = match &pair[0] {
            Json::String(name) => Key::Name(name.clone()),
            index => Key::Index(number(index)),
        };
        (key, ContainerKind::ALL[number(&pair[1])])
    };
    json.as_array().expect("a script that parses").chunks(2).map(step).collect()
}

fn number(json: &Json) -> usize {
    json.as_u64().expect("a script that parses") as usize
}

fn text(json: &Json) -> String {
    json.as_str().expect("a script that parses").to_owned()
}

fn command(json: &Json) -> Command {
    let (a, b, c) = (&json[2], &json[3], &json[4]);
    let edit = match json[0].as_str().expect("a script that parses") {
        "mapSet" => Edit::MapSet(text(a), plain(b)),
        "mapDelete" => Edit::MapDelete(text(a)),
        "listInsert" => {
            Edit::ListInsert(number(a), b.as_array().expect("a script that parses").iter().map(plain).collect())
        }
        "listSet" => Edit::ListSet(number(a), plain(b)),
        "listDelete" => Edit::ListDelete(number(a), number(b)),
        "listMove" => Edit::ListMove(number(a), number(b)),
        "textSplice" => Edit::TextSplice(number(a), number(b), text(c)),
        "textMark" => {
            Edit::TextMark(number(a), number(b), text(c), mark_value(&json[5]), Expand::ALL[number(&json[6])])
        }
        "textDelta" => delta(a),
        "counterAdd" => Edit::CounterAdd(a.as_i64().expect("a script that parses")),
        "setAdd" => Edit::SetAdd(scalar(a).expect("a script that parses")),
        "setRemove" => Edit::SetRemove(scalar(a).expect("a script that parses")),
        "registerSet" => Edit::RegisterSet(scalar(a).expect("a script that parses")),
        "registerClear" => Edit::RegisterClear,
        other => panic!("no command {other}"),
    };
    Command { path: path(&json[1]), edit }
}

fn mark_value(json: &Json) -> Option<Value> {
    scalar(json).filter(|value| *value != Value::Null)
}

/// A Delta as the npm package gives it.
fn delta(json: &Json) -> Edit {
    let (mut ops, mut rules) = (Vec::new(), BTreeMap::new());
    for op in json.as_array().expect("a script that parses") {
        let (what, given) = op.as_array().and_then(|op| op.split_first()).expect("a script that parses");
        for attribute in given.chunks(3) {
            rules.insert(text(&attribute[0]), Expand::ALL[number(&attribute[2])]);
        }
        let attributes = given.chunks(3).map(|attribute| (text(&attribute[0]), mark_value(&attribute[1]))).collect();
        ops.push(match what.as_i64() {
            None => DeltaOp::Insert { text: text(what), attributes },
            Some(len) if len < 0 => DeltaOp::Delete { len: len.unsigned_abs() as usize },
            Some(len) => DeltaOp::Retain { len: len as usize, attributes },
        });
    }
    Edit::TextDelta(ops, rules.into_iter().collect())
}

/// Runs the script: the bytes of every change as it is handed over, and the files in the end.
fn run(script: &Json) -> Json {
    let Plain::Map(init) = plain(&script["init"]) else { panic!("init is an object") };
    let ids = script["replicas"].as_array().expect("a script that parses").iter();
    let mut docs: Vec<Doc> = ids
        .map(|id| Doc::new(id.as_str().expect("a script that parses").parse().expect("a script that parses")))
        .collect();
    let mut updates = Vec::new();
    for doc in &mut docs {
        assert!(doc.init(|tx| fill_root(tx, &init)).expect("a script that parses"));
        updates.push(hex(&doc.take_batch().encode()));
    }
    for step in script["steps"].as_array().expect("a script that parses") {
        if let Some(at) = step["at"].as_u64() {
            let doc = &mut docs[at as usize];
            let commands: Vec<Command> =
                step["commands"].as_array().expect("a script that parses").iter().map(command).collect();
            doc.set_now(step["now"].as_u64().expect("a script that parses"));
            doc.change(|tx| apply(tx, &commands)).unwrap_or_else(|error| panic!("{step}: {error}"));
            if let Some(message) = step["message"].as_str() {
                doc.commit(Some(message));
            }
            updates.push(hex(&doc.take_batch().encode()));
        } else {
            let saved = docs[number(&step["from"])].save();
            let mut saved = Doc::load(ReplicaId::from(0), &saved).expect("a script that parses");
            let batch = saved.batch_since(&VersionVector::new());
            docs[number(&step["to"])].import_batch(&batch).expect("a script that parses");
        }
    }
    let saves: Vec<String> = docs.iter_mut().map(|doc| hex(&doc.save())).collect();
    let views: Vec<Json> = docs.iter().map(Doc::to_json).collect();
    json!({ "updates": updates, "saves": saves, "views": views })
}

#[test]
fn the_script_makes_the_same_bytes_as_ever() {
    let found = run(&read("script.json"));
    if std::env::var_os("SELVEDGE_WRITE_GOLDEN").is_some() {
        fs::write(file("script.golden.json"), format!("{found:#}\n")).expect("a script that parses");
    }
    let golden = read("script.golden.json");
    for part in ["updates", "saves", "views"] {
        let (found, golden) = (
            found[part].as_array().expect("a script that parses"),
            golden[part].as_array().expect("a script that parses"),
        );
        assert_eq!(found.len(), golden.len(), "{part}");
        for (number, (found, golden)) in found.iter().zip(golden).enumerate() {
            assert_eq!(found, golden, "{part}, number {number}");
        }
    }
}

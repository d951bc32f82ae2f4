//! The same script of edits makes the same bytes natively and in wasm: this test runs it natively and compares with
//! `script.golden.json`; `npm run test:wasm` runs it in wasm and compares with the same file. To write the file anew
//! after a deliberate change of the format: `SELVEDGE_WRITE_GOLDEN=1 cargo test -p selvedge-wasm`.

use std::fs;
use std::path::PathBuf;

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
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn plain(json: &Json) -> Plain {
    match json {
        Json::Object(map) => match scalar(json) {
            Some(value) => Plain::Value(value),
            None => Plain::Map(map.iter().map(|(key, item)| (key.clone(), plain(item))).collect()),
        },
        Json::Array(items) => Plain::List(items.iter().map(plain).collect()),
        _ => Plain::Value(scalar(json).unwrap()),
    }
}

/// A value; what JSON has no form for is an object with one key that begins with `$`.
fn scalar(json: &Json) -> Option<Value> {
    let tagged = |key: &str| json.get(key).and_then(Json::as_str);
    if let Some(number) = tagged("$int") {
        return Some(Value::Int(number.parse().unwrap()));
    }
    if let Some(number) = tagged("$float") {
        return Some(Value::Float(number.parse().unwrap()));
    }
    if let Some(bytes) = tagged("$bytes") {
        return Some(Value::Bytes(unhex(bytes)));
    }
    match json {
        Json::Null => Some(Value::Null),
        Json::Bool(value) => Some((*value).into()),
        Json::Number(number) => {
            Some(number.as_i64().map_or_else(|| Value::Float(number.as_f64().unwrap()), Value::Int))
        }
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
    json.as_array().unwrap().chunks(2).map(step).collect()
}

fn number(json: &Json) -> usize {
    json.as_u64().unwrap() as usize
}

fn text(json: &Json) -> String {
    json.as_str().unwrap().to_owned()
}

fn command(json: &Json) -> Command {
    let (a, b, c) = (&json[2], &json[3], &json[4]);
    let edit = match json[0].as_str().unwrap() {
        "mapSet" => Edit::MapSet(text(a), plain(b)),
        "mapDelete" => Edit::MapDelete(text(a)),
        "listInsert" => Edit::ListInsert(number(a), b.as_array().unwrap().iter().map(plain).collect()),
        "listSet" => Edit::ListSet(number(a), plain(b)),
        "listDelete" => Edit::ListDelete(number(a), number(b)),
        "listMove" => Edit::ListMove(number(a), number(b)),
        "textSplice" => Edit::TextSplice(number(a), number(b), text(c)),
        "counterAdd" => Edit::CounterAdd(a.as_i64().unwrap()),
        "setAdd" => Edit::SetAdd(scalar(a).unwrap()),
        "setRemove" => Edit::SetRemove(scalar(a).unwrap()),
        "registerSet" => Edit::RegisterSet(scalar(a).unwrap()),
        "registerClear" => Edit::RegisterClear,
        other => panic!("no command {other}"),
    };
    Command { path: path(&json[1]), edit }
}

/// Runs the script: the bytes of every change as it is handed over, and the files in the end.
fn run(script: &Json) -> Json {
    let Plain::Map(init) = plain(&script["init"]) else { panic!("init is an object") };
    let ids = script["replicas"].as_array().unwrap().iter();
    let mut docs: Vec<Doc> = ids.map(|id| Doc::new(id.as_str().unwrap().parse().unwrap())).collect();
    let mut updates = Vec::new();
    for doc in &mut docs {
        assert!(doc.init(|tx| fill_root(tx, &init)).unwrap());
        updates.push(hex(&doc.take_batch().encode()));
    }
    for step in script["steps"].as_array().unwrap() {
        if let Some(at) = step["at"].as_u64() {
            let doc = &mut docs[at as usize];
            let commands: Vec<Command> = step["commands"].as_array().unwrap().iter().map(command).collect();
            doc.set_now(step["now"].as_u64().unwrap());
            doc.change(|tx| apply(tx, &commands)).unwrap_or_else(|error| panic!("{step}: {error}"));
            if let Some(message) = step["message"].as_str() {
                doc.commit(Some(message));
            }
            updates.push(hex(&doc.take_batch().encode()));
        } else {
            let saved = docs[number(&step["from"])].save();
            let mut saved = Doc::load(ReplicaId::from(0), &saved).unwrap();
            let batch = saved.batch_since(&VersionVector::new());
            docs[number(&step["to"])].import_batch(&batch).unwrap();
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
        fs::write(file("script.golden.json"), format!("{found:#}\n")).unwrap();
    }
    let golden = read("script.golden.json");
    for part in ["updates", "saves", "views"] {
        let (found, golden) = (found[part].as_array().unwrap(), golden[part].as_array().unwrap());
        assert_eq!(found.len(), golden.len(), "{part}");
        for (number, (found, golden)) in found.iter().zip(golden).enumerate() {
            assert_eq!(found, golden, "{part}, number {number}");
        }
    }
}

//! A document as JSON with the marks of its texts: what `Doc::to_json` leaves out.

use selvedge::doc::Entry;
use selvedge::{ContainerKind, Doc, Handle};
use serde_json::{Map, Value as Json, json};

/// The whole document, every text as a list of runs: text, and marks by key.
pub fn to_json(doc: &Doc) -> Json {
    container(doc, Handle::ROOT)
}

fn container(doc: &Doc, handle: Handle) -> Json {
    let shown = |entry: Entry, plain: Json| match entry {
        Entry::Container(_, inside) => container(doc, inside),
        Entry::Value(_) => plain,
    };
    let plain = doc.container_to_json(handle);
    match doc.kind(handle) {
        ContainerKind::Map => {
            let map = doc.map_at(handle);
            let pair = |key: String| Some((key.clone(), shown(map.entry(&key)?, plain[&key].clone())));
            Json::Object(map.keys().into_iter().filter_map(pair).collect::<Map<_, _>>())
        }
        ContainerKind::List => {
            let entries = doc.list_at(handle).entries().into_iter().enumerate();
            entries.map(|(index, entry)| shown(entry, plain[index].clone())).collect()
        }
        ContainerKind::Text => text(doc, handle),
        ContainerKind::Tree => {
            let tree = doc.tree_at(handle);
            let nodes = tree.nodes().into_iter().enumerate().map(|(index, node)| {
                let mut shown = plain[index].clone();
                if let Some(map) = tree.map(node) {
                    shown["data"] = container(doc, map);
                }
                shown
            });
            nodes.collect()
        }
        _ => plain,
    }
}

fn text(doc: &Doc, handle: Handle) -> Json {
    let delta = doc.text_at(handle).to_delta();
    let run = |json: Json| json!([json["insert"], json.get("attributes").unwrap_or(&json!({}))]);
    delta.iter().map(|op| run(op.to_json())).collect()
}

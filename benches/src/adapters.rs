//! The libraries, seen from the bench of types. No logic beyond calling each as its documentation says.
//!
//! A library without sets keeps a map from elements to `true`; one without counters has no counter.

use anyhow::{Context, Result, bail};
use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ObjId, ObjType, ROOT, ReadDoc, ScalarValue};
use loro::{ExportMode, LoroDoc};
use selvedge::{ReplicaId, Value, VersionVector};
use yrs::any::Number;
use yrs::updates::decoder::Decode;
use yrs::{Any, Array, Map, Out, ReadTxn, StateVector, Transact, Update};

use crate::plan::{Kind, Op, Sum, key};

/// A library.
pub(crate) trait Library {
    type Doc;

    const NAME: &'static str;

    /// Why it cannot do a kind, if so.
    fn refuses(_kind: Kind) -> Option<&'static str> {
        None
    }

    /// An empty document in which this writer writes.
    fn create(writer: u64) -> Result<Self::Doc>;

    /// One operation, in a transaction of its own.
    fn apply(doc: &mut Self::Doc, op: Op) -> Result<()>;

    /// What there is of a kind.
    fn sum(doc: &Self::Doc, kind: Kind) -> Result<Sum>;

    /// The document as its library stores it, with its history where there is one.
    fn save(doc: &mut Self::Doc) -> Result<Vec<u8>>;

    /// Opens what `save` wrote.
    fn open(saved: &[u8]) -> Result<Self::Doc>;

    /// Everything, for others.
    fn export(doc: &mut Self::Doc) -> Result<Vec<u8>>;

    /// Takes in what `export` wrote.
    fn import(doc: &mut Self::Doc, exported: &[u8]) -> Result<()>;
}

pub(crate) struct Selvedge;

fn number(value: &Value) -> Result<i64> {
    let Value::Int(number) = value else { bail!("{value:?} is not a number") };
    Ok(*number)
}

impl Library for Selvedge {
    type Doc = selvedge::Doc;

    const NAME: &'static str = "selvedge";

    fn create(writer: u64) -> Result<Self::Doc> {
        let mut doc = selvedge::Doc::new(ReplicaId::from(u128::from(writer).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C)));
        doc.set_now(1_700_000_000_000);
        Ok(doc)
    }

    fn apply(doc: &mut Self::Doc, op: Op) -> Result<()> {
        doc.change(|tx| match op {
            Op::Put(at, value) => tx.map("map").set(&key(at), value),
            Op::Add(element) => tx.set("set").add(i64::from(element)),
            Op::Remove(element) => tx.set("set").remove(i64::from(element)),
            Op::Increment(by) => tx.counter("counter").add(by),
            Op::Insert(at, value) => tx.list("list").insert(at, value),
            Op::Delete(at) => tx.list("list").delete(at, 1),
        })?;
        Ok(())
    }

    fn sum(doc: &Self::Doc, kind: Kind) -> Result<Sum> {
        let values: Vec<Value> = match kind {
            Kind::Counter => return Ok(Sum { entries: 1, total: doc.counter("counter").value() }),
            Kind::Map => {
                let map = doc.map("map");
                map.keys().iter().filter_map(|key| map.get(key)).collect()
            }
            Kind::Set => doc.set("set").values(),
            Kind::List => {
                let list = doc.list("list");
                (0..list.len()).filter_map(|at| list.get(at)).collect()
            }
        };
        let total = values.iter().map(number).sum::<Result<i64>>()?;
        Ok(Sum { entries: values.len(), total })
    }

    fn save(doc: &mut Self::Doc) -> Result<Vec<u8>> {
        Ok(doc.save())
    }

    fn open(saved: &[u8]) -> Result<Self::Doc> {
        Ok(selvedge::Doc::load(ReplicaId::from(1_000_000), saved)?)
    }

    fn export(doc: &mut Self::Doc) -> Result<Vec<u8>> {
        Ok(doc.export_since(&VersionVector::new()))
    }

    fn import(doc: &mut Self::Doc, exported: &[u8]) -> Result<()> {
        doc.import(exported)?;
        Ok(())
    }
}

pub(crate) struct Loro;

impl Library for Loro {
    type Doc = LoroDoc;

    const NAME: &'static str = "loro";

    fn create(writer: u64) -> Result<LoroDoc> {
        let doc = LoroDoc::new();
        doc.set_peer_id(writer)?;
        Ok(doc)
    }

    fn apply(doc: &mut LoroDoc, op: Op) -> Result<()> {
        match op {
            Op::Put(at, value) => doc.get_map("map").insert(&key(at), value)?,
            Op::Add(element) => doc.get_map("set").insert(&element.to_string(), true)?,
            Op::Remove(element) => doc.get_map("set").delete(&element.to_string())?,
            Op::Increment(by) => doc.get_counter("counter").increment(by as f64)?,
            Op::Insert(at, value) => doc.get_list("list").insert(at, value)?,
            Op::Delete(at) => doc.get_list("list").delete(at, 1)?,
        }
        doc.commit();
        Ok(())
    }

    fn sum(doc: &LoroDoc, kind: Kind) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut add = |number: i64| {
            sum.entries += 1;
            sum.total += number;
        };
        let number = |value: loro::ValueOrContainer| value.into_value().ok().and_then(|value| value.into_i64().ok());
        match kind {
            Kind::Counter => add(doc.get_counter("counter").get_value() as i64),
            Kind::Map => doc.get_map("map").for_each(|_, value| add(number(value).unwrap_or(i64::MIN / 2))),
            Kind::Set => doc.get_map("set").for_each(|element, _| add(element.parse().unwrap_or(i64::MIN / 2))),
            Kind::List => doc.get_list("list").for_each(|value| add(number(value).unwrap_or(i64::MIN / 2))),
        }
        Ok(sum)
    }

    fn save(doc: &mut LoroDoc) -> Result<Vec<u8>> {
        Ok(doc.export(ExportMode::Snapshot)?)
    }

    fn open(saved: &[u8]) -> Result<LoroDoc> {
        Ok(LoroDoc::from_snapshot(saved)?)
    }

    fn export(doc: &mut LoroDoc) -> Result<Vec<u8>> {
        Ok(doc.export(ExportMode::all_updates())?)
    }

    fn import(doc: &mut LoroDoc, exported: &[u8]) -> Result<()> {
        doc.import(exported)?;
        Ok(())
    }
}

pub(crate) struct Automerge;

const CONTAINERS: [(&str, ObjType); 3] = [("map", ObjType::Map), ("set", ObjType::Map), ("list", ObjType::List)];

fn container(doc: &AutoCommit, name: &str) -> Result<ObjId> {
    Ok(doc.get(ROOT, name)?.with_context(|| format!("the document has no {name}"))?.1)
}

impl Library for Automerge {
    type Doc = AutoCommit;

    const NAME: &'static str = "automerge";

    fn create(writer: u64) -> Result<AutoCommit> {
        // The change that makes the containers is the same in all documents.
        let mut base = AutoCommit::new().with_actor(ActorId::from([0]));
        for (name, kind) in CONTAINERS {
            base.put_object(ROOT, name, kind)?;
        }
        base.put(ROOT, "counter", ScalarValue::counter(0))?;
        base.commit_with(automerge::transaction::CommitOptions::default().with_time(0));
        Ok(base.with_actor(ActorId::from(u128::from(writer).to_be_bytes())))
    }

    fn apply(doc: &mut AutoCommit, op: Op) -> Result<()> {
        match op {
            Op::Put(at, value) => doc.put(&container(doc, "map")?, key(at), value)?,
            Op::Add(element) => doc.put(&container(doc, "set")?, element.to_string(), true)?,
            Op::Remove(element) => doc.delete(&container(doc, "set")?, element.to_string())?,
            Op::Increment(by) => doc.increment(ROOT, "counter", by)?,
            Op::Insert(at, value) => doc.insert(&container(doc, "list")?, at, value)?,
            Op::Delete(at) => doc.delete(&container(doc, "list")?, at)?,
        }
        doc.commit();
        Ok(())
    }

    fn sum(doc: &AutoCommit, kind: Kind) -> Result<Sum> {
        let mut sum = Sum::default();
        let mut add = |number: Option<i64>| {
            sum.entries += 1;
            sum.total += number.unwrap_or(i64::MIN / 2);
        };
        match kind {
            Kind::Counter => add(doc.get(ROOT, "counter")?.and_then(|(value, _)| value.as_i64())),
            Kind::Map => {
                doc.map_range(&container(doc, "map")?, ..).for_each(|item| add(item.value.into_value().as_i64()))
            }
            Kind::Set => doc.keys(&container(doc, "set")?).for_each(|element| add(element.parse().ok())),
            Kind::List => {
                doc.list_range(&container(doc, "list")?, ..).for_each(|item| add(item.value.into_value().as_i64()))
            }
        }
        Ok(sum)
    }

    fn save(doc: &mut AutoCommit) -> Result<Vec<u8>> {
        Ok(doc.save())
    }

    fn open(saved: &[u8]) -> Result<AutoCommit> {
        Ok(AutoCommit::load(saved)?)
    }

    fn export(doc: &mut AutoCommit) -> Result<Vec<u8>> {
        Ok(doc.save())
    }

    fn import(doc: &mut AutoCommit, exported: &[u8]) -> Result<()> {
        doc.load_incremental(exported)?;
        Ok(())
    }
}

pub(crate) struct Yrs;

impl Library for Yrs {
    type Doc = yrs::Doc;

    const NAME: &'static str = "yrs";

    fn refuses(kind: Kind) -> Option<&'static str> {
        (kind == Kind::Counter).then_some("has no counter")
    }

    fn create(writer: u64) -> Result<yrs::Doc> {
        Ok(yrs::Doc::with_client_id(writer))
    }

    fn apply(doc: &mut yrs::Doc, op: Op) -> Result<()> {
        let (map, set, list) =
            (doc.get_or_insert_map("map"), doc.get_or_insert_map("set"), doc.get_or_insert_array("list"));
        let mut txn = doc.transact_mut();
        match op {
            Op::Put(at, value) => drop(map.insert(&mut txn, key(at), Any::from(value))),
            Op::Add(element) => drop(set.insert(&mut txn, element.to_string(), Any::Bool(true))),
            Op::Remove(element) => drop(set.remove(&mut txn, &element.to_string())),
            Op::Increment(_) => bail!("has no counter"),
            Op::Insert(at, value) => drop(list.insert(&mut txn, at as u32, Any::from(value))),
            Op::Delete(at) => list.remove(&mut txn, at as u32),
        }
        Ok(())
    }

    fn sum(doc: &yrs::Doc, kind: Kind) -> Result<Sum> {
        let (map, set, list) =
            (doc.get_or_insert_map("map"), doc.get_or_insert_map("set"), doc.get_or_insert_array("list"));
        let txn = doc.transact();
        let mut sum = Sum::default();
        let mut add = |number: i64| {
            sum.entries += 1;
            sum.total += number;
        };
        let number = |value: Out| match value {
            Out::Any(Any::Number(Number::Int(number))) => number,
            Out::Any(Any::Number(Number::Float(number))) => number as i64,
            _ => i64::MIN / 2,
        };
        match kind {
            Kind::Counter => bail!("has no counter"),
            Kind::Map => map.iter(&txn).for_each(|(_, value)| add(number(value))),
            Kind::Set => set.keys(&txn).for_each(|element| add(element.parse().unwrap_or(i64::MIN / 2))),
            Kind::List => list.iter(&txn).for_each(|value| add(number(value))),
        }
        Ok(sum)
    }

    fn save(doc: &mut yrs::Doc) -> Result<Vec<u8>> {
        Ok(doc.transact().encode_state_as_update_v1(&StateVector::default()))
    }

    fn open(saved: &[u8]) -> Result<yrs::Doc> {
        let mut doc = Self::create(1_000_000)?;
        Self::import(&mut doc, saved)?;
        Ok(doc)
    }

    fn export(doc: &mut yrs::Doc) -> Result<Vec<u8>> {
        Self::save(doc)
    }

    fn import(doc: &mut yrs::Doc, exported: &[u8]) -> Result<()> {
        doc.transact_mut().apply_update(Update::decode_v1(exported)?)?;
        Ok(())
    }
}

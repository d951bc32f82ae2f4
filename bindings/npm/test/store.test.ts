/**
 * The stores: the conformance cases that every store of Selvedge runs (core/src/store/cases.json), and what only
 * IndexedDB can do wrong. Bug class D: quota, abort, versionchange, eviction; class B: one id, two writers.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import "fake-indexeddb/auto";
import { IDBFactory, IDBObjectStore } from "fake-indexeddb";

import { IndexedDbStore } from "../src/store/indexeddb.js";
import { MemoryStore } from "../src/store/memory.js";
import type { Append, RecordStore } from "../src/store/store.js";
import { toHex } from "../src/util.js";
import { TestLocks } from "./helpers/locks.js";

type Text = string | { text: string; times: number };
type Bytes = string | { bytes: string; times: number };
type Records = [Text, Bytes][];
type Step =
  | { do: "append" | "append_fails"; records: Records }
  | { do: "read"; doc: Text; from?: number; expect: [number, Bytes][] }
  | { do: "read_fails"; doc: Text; names: string[] }
  | { do: "documents"; expect: Text[] }
  | { do: "reopen" | "crash" }
  | { do: "damage" | "lose"; doc: Text; index: number };

interface Harness {
  store: RecordStore;
  reopen(): Promise<void>;
  crash(): Promise<void>;
  damage(doc: string, index: number): Promise<void>;
  lose(doc: string, index: number): Promise<void>;
  setFailing(failing: boolean): void;
}

const cases = JSON.parse(readFileSync("../../core/src/store/cases.json", "utf8")) as { name: string; steps: Step[] }[];
assert.ok(cases.length > 10);

function text(text: Text): string {
  return typeof text === "string" ? text : text.text.repeat(text.times);
}

function bytes(bytes: Bytes): Uint8Array {
  const hex = typeof bytes === "string" ? bytes : bytes.bytes.repeat(bytes.times);
  return new Uint8Array(Buffer.from(hex, "hex"));
}

function appends(records: Records): Append[] {
  return records.map(([doc, content]) => ({ doc: text(doc), bytes: bytes(content) }));
}

async function perform(harness: Harness, step: Step): Promise<void> {
  switch (step.do) {
    case "append":
      return harness.store.append(appends(step.records));
    case "append_fails":
      harness.setFailing(true);
      await assert.rejects(harness.store.append(appends(step.records)), { code: "quota" });
      return harness.setFailing(false);
    case "read": {
      const found = await harness.store.read(text(step.doc), step.from ?? 0);
      assert.deepEqual(found, step.expect.map(([index, content]) => ({ index, bytes: bytes(content) })));
      break;
    }
    case "read_fails":
      await assert.rejects(harness.store.read(text(step.doc), 0), (error: Error) =>
        step.names.every((name) => error.message.includes(name)));
      break;
    case "documents":
      assert.deepEqual((await harness.store.documents()).sort(), step.expect.map(text).sort());
      break;
    case "reopen":
      return harness.reopen();
    case "crash":
      return harness.crash();
    case "damage":
      return harness.damage(text(step.doc), step.index);
    case "lose":
      return harness.lose(text(step.doc), step.index);
    default:
      throw new Error(`an unknown step: ${JSON.stringify(step)}`);
  }
}

/** Changes a row behind the store's back. */
async function tamper(factory: IDBFactory, change: (rows: IDBObjectStore) => void): Promise<void> {
  const db = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = factory.open("selvedge");
    request.onsuccess = () => resolve(request.result as unknown as IDBDatabase);
    request.onerror = () => reject(request.error);
  });
  const tx = db.transaction("records", "readwrite");
  change(tx.objectStore("records") as unknown as IDBObjectStore);
  await new Promise((resolve, reject) => {
    tx.oncomplete = resolve;
    tx.onabort = () => reject(tx.error);
  });
  db.close();
}

const realAdd = IDBObjectStore.prototype.add;

/** Makes the disk full at the n-th record of a transaction. */
function fullAt(record: number): void {
  let added = 0;
  IDBObjectStore.prototype.add = function add(this: IDBObjectStore, ...args: Parameters<typeof realAdd>) {
    const request = realAdd.apply(this, args);
    if (++added === record) (this.transaction as unknown as { _abort(name: string): void })._abort("QuotaExceededError");
    return request;
  };
}

function notFull(): void {
  IDBObjectStore.prototype.add = realAdd;
}

function indexedDb(): Harness {
  const factory = new IDBFactory();
  const make = () => new IndexedDbStore(factory as unknown as globalThis.IDBFactory, undefined);
  const harness: Harness = {
    store: make(),
    async reopen() {
      await harness.store.close();
      harness.store = make();
    },
    async crash() {
      harness.store = make();
    },
    damage: (doc, index) => tamper(factory, (rows) => {
      const get = rows.get([doc, index]);
      get.onsuccess = () => {
        const row = get.result as { bytes: Uint8Array };
        row.bytes[0]! ^= 4;
        rows.put(row);
      };
    }),
    lose: (doc, index) => tamper(factory, (rows) => void rows.delete([doc, index])),
    setFailing: (failing) => (failing ? fullAt(2) : notFull()),
  };
  return harness;
}

for (const { name, steps } of cases) {
  test(`IndexedDB: ${name}`, async () => {
    const harness = indexedDb();
    for (const step of steps) await perform(harness, step);
    await harness.store.close();
  });
}

// A map in memory has no medium that could fail or be damaged behind its back, and nothing outlives it.
const media = ["append_fails", "damage", "lose", "reopen", "crash"];
for (const { name, steps } of cases.filter((one) => one.steps.every((step) => !media.includes(step.do)))) {
  test(`memory: ${name}`, async () => {
    const harness = { store: new MemoryStore() } as unknown as Harness;
    for (const step of steps) await perform(harness, step);
  });
}

test("two tabs append at the same time: no number twice, none missing", async () => {
  const factory = new IDBFactory() as unknown as globalThis.IDBFactory;
  const stores = [1, 2, 3].map(() => new IndexedDbStore(factory, undefined));
  await Promise.all(stores.flatMap((store, i) =>
    [0, 1, 2, 3].map((n) => store.append([{ doc: "a", bytes: new Uint8Array([i, n]) }, { doc: "a", bytes: new Uint8Array([i, n, 1]) }]))));
  const records = await stores[0]!.read("a", 0);
  assert.equal(records.length, 24);
  assert.equal(new Set(records.map(({ bytes }) => toHex(bytes))).size, 24);
  for (const store of stores) await store.close();
});

test("records up to a mark are put together; what comes after the mark stays, and numbers go on", async () => {
  const store = new IndexedDbStore(new IDBFactory() as unknown as globalThis.IDBFactory, undefined);
  const one = (byte: number) => new Uint8Array([byte]);
  for (const byte of [0, 1, 2, 3]) await store.append([{ doc: "a", bytes: one(byte) }, { doc: "b", bytes: one(byte) }]);
  await store.compact("a", 2, one(9));
  assert.deepEqual(await store.read("a", 0), [{ index: 2, bytes: one(9) }, { index: 3, bytes: one(3) }]);
  await store.append([{ doc: "a", bytes: one(4) }]);
  assert.deepEqual(await store.read("a", 3), [{ index: 3, bytes: one(3) }, { index: 4, bytes: one(4) }]);
  assert.equal((await store.read("b", 0)).length, 4);
  await store.close();
});

/** Bug class D (y-indexeddb#42): a connection that was closed by a versionchange must not lose what comes later. */
test("a database that somebody deletes is made again, and its loss is told", async () => {
  const factory = new IDBFactory() as unknown as globalThis.IDBFactory;
  const store = new IndexedDbStore(factory, undefined);
  await store.append([{ doc: "a", bytes: new Uint8Array([1]) }]);
  const lost = new Promise<void>((resolve) => {
    store.onLost = resolve;
  });
  await new Promise((resolve) => {
    factory.deleteDatabase("selvedge").onsuccess = resolve;
  });
  await lost;
  await store.append([{ doc: "a", bytes: new Uint8Array([2]) }]);
  assert.deepEqual(await store.read("a", 0), [{ index: 0, bytes: new Uint8Array([2]) }]);
  await store.close();
});

test("a newer version of the database is an error that says so", async () => {
  const factory = new IDBFactory() as unknown as globalThis.IDBFactory;
  await new Promise((resolve) => {
    factory.open("selvedge", 99).onsuccess = (event) => {
      (event.target as IDBOpenDBRequest).result.close();
      resolve(undefined);
    };
  });
  const store = new IndexedDbStore(factory, undefined);
  await assert.rejects(store.read("a", 0), { code: "store", message: /VersionError/ });
  await store.close();
});

/** Bug class B (q2#689): a stable id that two tabs share wedges the document. */
test("an id is leased to one tab at a time and used again when its tab is gone", async () => {
  const factory = new IDBFactory() as unknown as globalThis.IDBFactory;
  const manager = new TestLocks();
  const open = () => {
    const page = manager.page();
    return { page, store: new IndexedDbStore(factory, page.locks) };
  };
  const [one, two, three] = [open(), open(), open()];
  const first = await one.store.lease("a");
  const second = await two.store.lease("a");
  assert.notDeepEqual(first.replica, second.replica);
  const other = await three.store.lease("b");
  assert.notDeepEqual(other.replica, first.replica);
  one.page.end();
  const again = await three.store.lease("a");
  assert.deepEqual(again.replica, first.replica);
  second.release();
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual((await three.store.lease("a")).replica, second.replica);
  assert.notDeepEqual((await three.store.lease("a")).replica, second.replica);
  for (const { store } of [one, two, three]) await store.close();
});

test("without Web Locks every lease is a fresh id", async () => {
  const factory = new IDBFactory() as unknown as globalThis.IDBFactory;
  const store = new IndexedDbStore(factory, undefined);
  assert.notDeepEqual((await store.lease("a")).replica, (await store.lease("a")).replica);
  await store.close();
});

/**
 * Several tabs of one browser: documents of one name share edits over BroadcastChannel, presence and status tell the
 * truth, `offline` cuts the tabs, and everything is there after all of them were closed.
 */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import "fake-indexeddb/auto";
import { IDBFactory, IDBObjectStore } from "fake-indexeddb";

import { open, type OpenOptions } from "../src/index.js";
import type { SelvedgeError } from "../src/error.js";
import type { Doc } from "../src/types.js";
import { becomes, quiet, until } from "./helpers/wait.js";

type Any = Record<string, any>;

let names = 0;
let opened: Doc<Any>[] = [];

// A channel that a failed test leaves open would keep the process alive.
afterEach(async () => {
  await Promise.allSettled(opened.map((doc) => doc.close()));
  opened = [];
});

async function tabs(count: number, options: OpenOptions<Any> = {}): Promise<Doc<Any>[]> {
  globalThis.indexedDB = new IDBFactory() as unknown as globalThis.IDBFactory;
  const name = `tabs ${names++}`;
  const docs: Doc<Any>[] = [];
  for (let i = 0; i < count; i++) docs.push(await open(name, options));
  opened.push(...docs);
  return docs;
}

async function close(docs: Doc<Any>[]): Promise<void> {
  await Promise.all(docs.map((doc) => doc.close()));
}

for (const store of ["indexeddb", "memory"] as const) {
  test(`tabs share edits of every kind of container (${store})`, async () => {
    const docs = await tabs(3, { store, init: { list: [], title: "t" } });
    const [a, b, c] = docs as [Doc<Any>, Doc<Any>, Doc<Any>];
    await until("all pairs are connected", () => docs.every((doc) => doc.status.tabs === 2));
    a.change((d) => {
      d.title = "from a";
      d.list.push({ n: 1 });
    });
    b.text("text").insert(0, "hello");
    b.counter("count").add(2);
    c.counter("count").add(3);
    c.set("tags").add("x");
    c.register("reg").set(7);
    c.map("map").set("k", [1]);
    const expected = {
      title: "from a", list: [{ n: 1 }], text: "hello", count: 5, tags: ["x"], reg: 7, map: { k: [1] },
    };
    for (const doc of docs) await becomes(() => doc.value, expected);
    for (const doc of docs) await doc.until("saved");
    await close(docs);
  });
}

test("what was saved is there when the document is opened again, once", async () => {
  const docs = await tabs(2, { init: { title: "first", list: [] } });
  const { name } = docs[0]!;
  docs[0]!.change((d) => void d.list.push("a"));
  docs[1]!.change((d) => void d.list.push("b"));
  await until("both are equal", () => (docs[0]!.value.list as unknown[]).length === 2 && (docs[1]!.value.list as unknown[]).length === 2);
  const value = docs[0]!.value;
  await close(docs);
  const again = await open<Any>(name, { init: { title: "first", list: [] } });
  assert.deepEqual(again.value, value);
  again.change((d) => void (d.list[0] = "c"));
  await again.until("saved");
  const version = again.version;
  await again.close();
  const third = await open(name);
  assert.deepEqual(third.version, version);
  await third.close();
});

test("offline cuts the tabs and joins them again", async () => {
  const docs = await tabs(2);
  const [a, b] = docs as [Doc<Any>, Doc<Any>];
  await until("the pair is connected", () => a.status.tabs === 1 && b.status.tabs === 1);
  a.offline(true);
  assert.deepEqual([a.status.online, a.status.tabs], [false, 0]);
  await until("the other tab noticed", () => b.status.tabs === 0);
  a.text("t").insert(0, "mine");
  b.text("t").insert(0, "theirs");
  await quiet();
  assert.notDeepEqual(a.value, b.value);
  a.offline(false);
  await until("both are equal", () => a.text("t").length === 10 && b.text("t").length === 10);
  assert.deepEqual(a.value, b.value);
  await close(docs);
});

test("presence is seen by the others and ends with its tab", async () => {
  const docs = await tabs(2);
  const [a, b] = docs as [Doc<Any>, Doc<Any>];
  const seen: unknown[] = [];
  b.onPresence((others) => seen.push(others));
  a.presence.set("cursor", { at: 3, name: "Ada" });
  await becomes(() => b.presence.others(), [{ owner: a.replica, user: null, state: { cursor: { at: 3, name: "Ada" } } }]);
  assert.deepEqual(a.presence.others(), []);
  a.presence.set("cursor", null);
  await becomes(() => b.presence.others(), []);
  a.presence.set("cursor", 4);
  await until("it is seen again", () => b.presence.others().length === 1);
  await a.close();
  await becomes(() => b.presence.others(), []);
  assert.ok(seen.length >= 4);
  assert.throws(() => b.presence.set("k", "x".repeat(5000)), { code: "invalid-use" });
  await b.close();
});

/** Bug class D (EpicenterHQ/epicenter#2340): a store that fails must be told, and nothing may be lost. */
test("a full disk is told, edits go on in memory and are saved when there is space again", async () => {
  const [doc] = (await tabs(1)) as [Doc<Any>];
  const errors: SelvedgeError[] = [];
  doc.onError((error) => errors.push(error));
  await doc.until("saved");
  const add = IDBObjectStore.prototype.add;
  IDBObjectStore.prototype.add = function full(this: IDBObjectStore, ...args: Parameters<typeof add>) {
    const request = add.apply(this, args);
    (this.transaction as unknown as { _abort(name: string): void })._abort("QuotaExceededError");
    return request;
  };
  doc.text("t").insert(0, "kept");
  assert.equal(doc.status.saved, false);
  await until("the error is told", () => errors.length > 0);
  assert.deepEqual([errors[0]?.code, doc.status.error?.code, doc.status.saved], ["quota", "quota", false]);
  doc.text("t").append(" too");
  IDBObjectStore.prototype.add = add;
  await doc.until("saved");
  assert.equal(doc.status.error, null);
  await doc.close();
  const again = await open(doc.name);
  assert.equal(again.text("t").value, "kept too");
  await again.close();
});

/** Bug class D (ForumMagnum#12667): site data that is cleared under an open document. */
test("a store that is deleted gets everything again", async () => {
  const [doc] = (await tabs(1)) as [Doc<Any>];
  doc.text("t").insert(0, "all of it");
  await doc.until("saved");
  const seen: boolean[] = [];
  doc.onStatus(({ saved }) => seen.push(saved));
  await new Promise((resolve) => {
    indexedDB.deleteDatabase("selvedge").onsuccess = resolve;
  });
  await until("the loss is noticed and made good", () => seen.join().includes("true,false,true"));
  await doc.close();
  const again = await open(doc.name);
  assert.equal(again.text("t").value, "all of it");
  await again.close();
});

/** Bug class D (hocuspocus#382): a document that cannot be read is never taken for an empty one. */
test("a damaged record that nobody can be asked for is an error that names it, never an empty document", async () => {
  const [doc] = (await tabs(1)) as [Doc<Any>];
  doc.text("t").insert(0, "x");
  await doc.until("saved");
  await doc.close();
  await spoil(doc.name, 0);
  await assert.rejects(open(doc.name, { tabs: false }), (error: SelvedgeError) => error.code === "malformed" && error.message.includes(`${doc.name}/0`));
});

test("a closed document says so, and closing waits for the store", async () => {
  const [doc] = (await tabs(1)) as [Doc<Any>];
  doc.text("t").insert(0, "last words");
  const waiting = doc.until("connected");
  waiting.catch(() => undefined);
  await doc.close();
  await doc.close();
  await assert.rejects(waiting, { code: "closed" });
  assert.throws(() => doc.change(() => undefined), { code: "closed" });
  const again = await open(doc.name);
  assert.equal(again.text("t").value, "last words");
  await again.close();
});

test("names and options are checked", async () => {
  const bad: [unknown, unknown][] = [
    ["", {}], ["a\n", {}], ["x".repeat(257), {}], [7, {}], ["a", { stores: "memory" }], ["a", { store: "disk" }],
    ["a", { tabs: "yes" }], ["a", { token: 5 }], ["a", { relay: "ftp://x" }], ["a", { relay: "no address" }], ["a", { init: [] }],
  ];
  for (const [name, options] of bad) {
    await assert.rejects(open(name as string, options as OpenOptions<Any>), { code: "invalid-use" }, JSON.stringify([name, options]));
  }
  await assert.rejects(open("a", { init: { when: new Date() } }), { code: "unsupported-value", path: "init.when" });
});

test("many records are put together when the document is opened, whatever other tabs do", async () => {
  const [doc] = (await tabs(1)) as [Doc<Any>];
  for (let n = 0; n < 300; n++) {
    doc.text("t").append(`${n % 10}`);
    await doc.until("saved");
  }
  const { name, value, version } = doc;
  await doc.close();
  const count = () => new Promise<number>((resolve) => {
    const request = indexedDB.open("selvedge");
    request.onsuccess = () => {
      const counting = request.result.transaction("records").objectStore("records").count();
      counting.onsuccess = () => {
        request.result.close();
        resolve(counting.result);
      };
    };
  });
  assert.equal(await count(), 300);
  const both = await Promise.all([open<Any>(name), open<Any>(name)]);
  opened.push(...both);
  both.forEach((one, i) => one.set("tags").add(i));
  for (const one of both) await becomes(() => one.value, { tags: [0, 1], ...(value as Any) });
  await close(both);
  assert.ok((await count()) <= 6);
  const again = await open<Any>(name);
  opened.push(again);
  assert.deepEqual(again.value, { tags: [0, 1], ...(value as Any) });
  assert.ok(Object.entries(version).every(([replica, end]) => again.version[replica] === end));
});

/** Opens the database by itself, and changes what is in it. */
async function tamper(stores: string[], change: (tx: IDBTransaction) => void): Promise<void> {
  const db = await new Promise<IDBDatabase>((resolve, reject) => {
    const request = globalThis.indexedDB.open("selvedge");
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  await new Promise<void>((resolve, reject) => {
    const tx = db.transaction(stores, "readwrite");
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(tx.error);
    change(tx);
  });
  db.close();
}

/** Flips a bit of a record on disk. */
function spoil(doc: string, index: number): Promise<void> {
  return tamper(["records"], (tx) => {
    const row = tx.objectStore("records").get([doc, index]);
    row.onsuccess = () => {
      const spoiled = row.result as { bytes: Uint8Array };
      spoiled.bytes[3]! ^= 1;
      tx.objectStore("records").put(spoiled);
    };
  });
}

/** Bug class D: what the disk has spoiled is fetched again from whoever has it, and nothing else is lost. */
test("a damaged record is fetched again, set aside and replaced", async () => {
  const [author] = (await tabs(1)) as [Doc<Any>];
  const other: Doc<Any> = await open(author.name, { store: "memory" });
  opened.push(other);
  for (const word of ["one", "two", "three"]) {
    author.change((d) => void (d[word] = true));
    await author.until("saved");
  }
  const everything = { one: true, two: true, three: true };
  await becomes(() => other.value, everything);
  await author.close();
  await spoil(author.name, 1);

  // Alone it opens with what stands, and says what is wrong; what waits for the damaged record is not lost.
  other.offline(true);
  const alone: Doc<Any> = await open(author.name);
  opened.push(alone);
  assert.deepEqual(alone.value, { one: true });
  assert.equal(alone.status.error?.code, "malformed");
  assert.match(alone.status.error!.message, new RegExp(`${author.name}/1`));
  assert.notEqual(alone.replica, author.replica);
  alone.change((d) => void (d.alone = true));
  await alone.close();

  other.offline(false);
  const mended: Doc<Any> = await open(author.name);
  opened.push(mended);
  await becomes(() => mended.value, { ...everything, alone: true });
  await becomes(() => other.value, { ...everything, alone: true });
  await until("it is in order", () => mended.status.error === null);
  mended.change((d) => void (d.later = true));
  await mended.close();
  await other.close();
  const again: Doc<Any> = await open(author.name, { tabs: false });
  opened.push(again);
  assert.deepEqual(again.value, { ...everything, alone: true, later: true });
  assert.equal(again.status.error, null);
  await again.close();
  let kept: IDBValidKey[] = [];
  await tamper(["meta"], (tx) => {
    const keys = tx.objectStore("meta").getAllKeys();
    keys.onsuccess = () => (kept = keys.result);
  });
  assert.deepEqual(kept.filter((key) => Array.isArray(key)), [["set aside", author.name, 1]]);
});

test("a large document comes in parts, and says how much is still to come", async () => {
  const [a] = (await tabs(1, { store: "memory" })) as [Doc<Any>];
  let noise = 1;
  const digits = () => Array.from({ length: 5_000 }, () => ((noise = (noise * 48_271) % 2_147_483_647) % 36).toString(36)).join("");
  for (let i = 0; i < 300; i++) {
    a.change((d) => void (d[`key ${i}`] = digits()));
    await a.until("saved");
  }
  const b = await open<Any>(a.name, { store: "memory" });
  opened.push(b);
  const behind: number[] = [];
  b.onStatus((status) => behind.push(status.behind));
  await b.until("caughtUp");
  assert.deepEqual(b.value, a.value);
  const most = Math.max(...behind);
  // The first part comes with the answer that tells how much there is.
  assert.ok(most > 100 && most <= 300, String(most));
  const down = behind.slice(behind.indexOf(most));
  assert.ok(down.every((left, i) => i === 0 || left <= down[i - 1]!), down.join(" "));
  assert.ok(down.some((left) => left > 0 && left < most) && b.status.behind === 0, down.join(" "));
  await close([a, b]);
});

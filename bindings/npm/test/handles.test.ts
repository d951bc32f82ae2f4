/**
 * Handles: containers by name, inside of changes and outside, texts in UTF-16 units, cursors, bound inputs.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { load, open, transformIndex } from "../src/index.js";
import { diff } from "../src/diff.js";
import type { Doc, Splice, TextHandle } from "../src/types.js";

type Any = Record<string, any>;

async function memory(init?: Any): Promise<Doc<Any>> {
  return open(`handles ${Math.random()}`, { store: "memory", tabs: false, ...(init ? { init } : {}) });
}

function applied(text: string, splices: readonly Splice[]): string {
  return splices.reduce((now, s) => now.slice(0, s.index) + s.insert + now.slice(s.index + s.delete), text);
}

test("every kind of container, outside and inside of a change", async () => {
  const doc = await memory();
  const [text, counter, set] = [doc.text("notes"), doc.counter("clicks"), doc.set("tags")];
  const [register, list, map] = [doc.register("reg"), doc.list("items"), doc.map("meta")];
  assert.deepEqual([text.value, counter.value, set.value, register.value, list.value, map.value], ["", 0, [], undefined, [], {}]);
  assert.deepEqual(doc.value, {});
  text.insert(0, "hello");
  counter.add();
  set.add("b");
  register.set("r");
  list.push(1, { x: 1 });
  map.set("k", [2]);
  doc.change((d) => {
    text.append(" world");
    text.delete(0);
    assert.equal(text.toString(), "ello world");
    counter.add(-3);
    assert.equal(counter.value, -2);
    set.add("a");
    set.remove("b");
    set.add(1);
    assert.ok(set.has("a") && !set.has("b") && set.size === 2);
    register.set(null);
    list.insert(1, "between");
    list.move(0, 2);
    list.map(1).set("x", 2);
    assert.equal(list.length, 3);
    assert.deepEqual(d.items[1], { x: 2 });
    map.delete("k");
    map.map("inner").list("deep").push(true);
    assert.deepEqual(map.keys(), ["inner"]);
  });
  const expected = {
    notes: "ello world", clicks: -2, tags: [1, "a"], reg: null, items: ["between", { x: 2 }, 1], meta: { inner: { deep: [true] } },
  };
  assert.deepEqual(doc.value, expected);
  assert.deepEqual(doc.json(), expected);
  register.clear();
  assert.equal(register.value, undefined);
  await doc.close();
});

test("a container of another kind is never replaced by accident", async () => {
  const doc = await memory({ plain: 1, obj: {} });
  doc.text("notes").insert(0, "x");
  doc.counter("clicks").add(1);
  for (const edit of [
    (d: Any) => void (d.notes = "y"), (d: Any) => void d.clicks++, (d: Any) => void Object.assign(d, { notes: {} }),
    () => doc.list("notes").push(1), () => doc.text("plain").insert(0, "x"), () => doc.text("obj").insert(0, "x"),
    () => doc.text(["notes", "deeper"]).insert(0, "x"), () => doc.list("obj").push(1),
  ]) {
    assert.throws(() => doc.change(edit), { code: "wrong-kind" });
  }
  doc.change((d) => {
    delete d.notes;
    d.notes = "now a string";
  });
  assert.deepEqual(doc.value, { plain: 1, obj: {}, notes: "now a string", clicks: 1 });
  await doc.close();
});

/** Bug class G: positions are UTF-16 units, and no surrogate pair is ever cut. */
test("texts count UTF-16 units and keep characters whole", async () => {
  const doc = await memory();
  const text = doc.text("t");
  const family = "\u{1f468}\u200d\u{1f469}\u200d\u{1f467}";
  text.insert(0, `a${family}é\u{1f642}z`);
  assert.equal(text.length, text.value.length);
  assert.throws(() => text.insert(2, "x"), { code: "out-of-range" });
  assert.throws(() => text.delete(1, 1), { code: "out-of-range" });
  assert.throws(() => text.delete(0, 99), { code: "out-of-range" });
  assert.throws(() => text.insert(0.5, "x"), { code: "out-of-range" });
  assert.throws(() => text.insert(0, "\ud83d"), { code: "unsupported-value" });
  assert.throws(() => text.insert(0, 5 as unknown as string), { code: "unsupported-value" });
  text.insert(1 + family.length, "|");
  text.delete(1, 3);
  assert.equal(text.value, `a\u{1f469}\u200d\u{1f467}|é\u{1f642}z`);
  text.applyDiff(text.value.replace("\u{1f642}", "\u{1f643}"));
  assert.ok(text.value.endsWith("\u{1f643}z"));
  const copy = await load(doc.save());
  assert.equal(copy.text("t").value, text.value);
  await copy.close();
  await doc.close();
});

test("observers see every splice, and what they see is what there is", async () => {
  const [a, b] = [await memory(), await memory()];
  const text = a.text("t");
  let mirror = text.value;
  const locals = new Set<boolean>();
  text.observe(({ local, splices }) => {
    mirror = applied(mirror, splices);
    locals.add(local);
    assert.equal(mirror, text.value);
  });
  text.insert(0, "one \u{1f642} two");
  a.change(() => {
    text.delete(0, 4);
    text.append("!");
  });
  b.text("t").insert(0, "other ");
  a.import(b.save());
  b.import(a.save());
  assert.equal(b.text("t").value, text.value);
  assert.equal(mirror, text.value);
  b.text("t").insert(3, "XX");
  a.import(b.save());
  assert.equal(mirror, text.value);
  a.change((d) => void delete d.t);
  assert.equal(mirror, "");
  text.insert(0, "again");
  assert.equal(mirror, "again");
  assert.deepEqual([...locals].sort(), [false, true]);
  await a.close();
  await b.close();
});

test("diff finds one splice, on the side of the caret, and never cuts a pair", () => {
  const cases: [string, string, number | undefined, Splice | null][] = [
    ["abc", "abc", undefined, null],
    ["", "x", undefined, { index: 0, delete: 0, insert: "x" }],
    ["aa", "aaa", 1, { index: 0, delete: 0, insert: "a" }],
    ["aa", "aaa", 2, { index: 1, delete: 0, insert: "a" }],
    ["aaa", "aa", 0, { index: 0, delete: 1, insert: "" }],
    ["abcd", "aXd", 2, { index: 1, delete: 2, insert: "X" }],
    ["\u{1f642}", "\u{1f643}", undefined, { index: 0, delete: 2, insert: "\u{1f643}" }],
    ["\u{1f642}", "\u{1f842}", undefined, { index: 0, delete: 2, insert: "\u{1f842}" }],
  ];
  for (const [before, after, caret, expected] of cases) {
    const found = diff(before, after, caret);
    assert.deepEqual(found, expected, `${before} ${after}`);
    if (found) assert.equal(applied(before, [found]), after);
  }
});

test("cursors stay with the characters around them", () => {
  const insert = (index: number, text: string): Splice[] => [{ index, delete: 0, insert: text }];
  assert.equal(transformIndex(3, insert(1, "xy")), 5);
  assert.equal(transformIndex(3, insert(4, "xy")), 3);
  assert.equal(transformIndex(3, insert(3, "xy")), 5);
  assert.equal(transformIndex(3, insert(3, "xy"), true), 3);
  assert.equal(transformIndex(5, [{ index: 2, delete: 2, insert: "" }]), 3);
  assert.equal(transformIndex(3, [{ index: 2, delete: 4, insert: "" }]), 2);
  assert.equal(transformIndex(3, [{ index: 0, delete: 0, insert: "ab" }, { index: 0, delete: 1, insert: "" }]), 4);
});

test("listeners: at once, when their part changes, in order, and they may change the document", async () => {
  const doc = await memory({ a: { n: 1 }, b: [1] });
  const seen: unknown[] = [];
  const stop = doc.subscribe((d) => d.a, (a, { local }) => seen.push([a, local]));
  doc.subscribe((d) => (d.b as number[]).filter((n) => n > 1), (big) => seen.push(big));
  doc.subscribe((d) => {
    if (d.a.n === 2) doc.change((draft) => void (draft.a.n = 3));
  });
  doc.change((d) => void d.b.push(1));
  doc.change((d) => void d.b.push(2));
  doc.change((d) => void (d.a.n = 2));
  assert.deepEqual(seen, [[{ n: 1 }, false], [], [2], [{ n: 2 }, true], [{ n: 3 }, true]]);
  stop();
  stop();
  doc.change((d) => void (d.a.n = 9));
  assert.equal(seen.length, 5);
  const errors: unknown[] = [];
  doc.onError((error) => errors.push(error.code));
  doc.subscribe((d) => d.a.n, () => {
    throw new Error("in a listener");
  });
  const after: unknown[] = [];
  doc.subscribe((d) => d.a.n, (n) => after.push(n));
  doc.change((d) => void (d.a.n = 10));
  assert.deepEqual([errors.length, after], [2, [9, 10]]);
  await doc.close();
});

test("a large import changes the view as many small ones do", async () => {
  const [a, b, c] = [await memory({ l: [] }), await memory(), await memory()];
  b.import(a.save());
  c.import(a.save());
  for (let round = 0; round < 400; round++) {
    a.change((d) => {
      d.l.splice(round % (d.l.length + 1), 0, { n: round, inner: [round] });
      if (round % 3 === 0) d.l[0].inner.push("x");
      if (round % 5 === 4) d.l.splice(round % d.l.length, 1);
      if (round % 7 === 6) a.list("l").move(d.l.length - 1, 0);
    });
    c.import(a.save());
  }
  b.import(a.save());
  for (const copy of [b, c]) assert.deepEqual(copy.value, a.value);
  for (const doc of [a, b, c]) await doc.close();
});

test("values written at the same time can be read, on every copy the same", async () => {
  const [a, b] = [await memory(), await memory()];
  a.change((d) => void (d.k = "a"));
  b.change((d) => void (d.k = "b"));
  a.register("r").set(1);
  b.register("r").set(2);
  a.import(b.save());
  b.import(a.save());
  assert.deepEqual(a.value, b.value);
  assert.deepEqual(a.map([]).conflicts("k"), b.map([]).conflicts("k"));
  assert.deepEqual([...a.map([]).conflicts("k")].sort(), ["a", "b"]);
  assert.equal(a.map([]).conflicts("k")[0], (a.value as Any).k);
  assert.deepEqual([...a.register("r").conflicts()].sort(), [1, 2]);
  await a.close();
  await b.close();
});

test("bytes that are no document are refused and change nothing", async () => {
  const doc = await memory({ x: 1 });
  const saved = doc.save();
  for (const bytes of [new Uint8Array(), new Uint8Array(100), saved.slice(0, -1), saved.map((byte, i) => (i === 20 ? byte ^ 1 : byte))]) {
    assert.throws(() => doc.import(bytes), { code: "malformed" });
    await assert.rejects(load(bytes), { code: "malformed" });
  }
  assert.throws(() => doc.import("x" as unknown as Uint8Array), { code: "invalid-use" });
  assert.equal(doc.import(saved), false);
  assert.deepEqual(doc.value, { x: 1 });
  await doc.close();
});

/** As much of an input element as `bind` uses. */
class FakeInput extends EventTarget {
  value = "";
  selectionStart = 0;
  selectionEnd = 0;
  selectionDirection = "none";
  ownerDocument = { activeElement: this };

  setSelectionRange(start: number, end: number): void {
    [this.selectionStart, this.selectionEnd] = [start, end];
  }

  type(index: number, deleted: number, text: string): void {
    this.value = applied(this.value, [{ index, delete: deleted, insert: text }]);
    this.selectionStart = this.selectionEnd = index + text.length;
    this.dispatchEvent(new Event("input"));
  }
}

function bound(text: TextHandle): { input: FakeInput; unbind: () => void } {
  const input = new FakeInput();
  return { input, unbind: text.bind(input as unknown as HTMLTextAreaElement) };
}

test("a bound input: both directions, the cursor stays with its characters, composing is left alone", async () => {
  const doc = await memory();
  const text = doc.text("t");
  text.insert(0, "hello world");
  const { input, unbind } = bound(text);
  assert.equal(input.value, "hello world");
  input.type(5, 0, ",");
  assert.equal(text.value, "hello, world");
  input.setSelectionRange(7, 12);
  text.insert(0, ">> ");
  assert.deepEqual([input.value, input.selectionStart, input.selectionEnd], [">> hello, world", 10, 15]);
  input.setSelectionRange(3, 3);
  text.insert(3, "X");
  assert.deepEqual([input.selectionStart, input.selectionEnd], [3, 3]);
  input.dispatchEvent(new Event("compositionstart"));
  input.type(input.value.length, 0, "か");
  text.insert(0, "!");
  assert.equal(input.value, ">> Xhello, worldか");
  assert.equal(text.value, "!>> Xhello, world");
  input.dispatchEvent(new Event("compositionend"));
  assert.equal(text.value, "!>> Xhello, worldか");
  assert.equal(input.value, text.value);
  unbind();
  input.type(0, 0, "not heard");
  assert.equal(text.value, "!>> Xhello, worldか");
  await doc.close();
});

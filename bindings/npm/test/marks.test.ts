/**
 * Marks, Deltas and anchors: inside of changes and outside, from others, and what is refused.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { load, open } from "../src/index.js";
import type { DeltaOp, Doc, TextChange } from "../src/types.js";

type Any = Record<string, any>;

async function memory(): Promise<Doc<Any>> {
  return open(`marks ${Math.random()}`, { store: "memory", tabs: false });
}

/** What an editor that follows changes shows: one entry per UTF-16 unit. */
function follow(shown: [string, Any][], changes: readonly TextChange[]): void {
  for (const change of changes) {
    if ("insert" in change) {
      shown.splice(change.index, change.delete, ...change.insert.split("").map((unit): [string, Any] => [unit, {}]));
      continue;
    }
    for (const [, marks] of shown.slice(change.index, change.index + change.length)) {
      if (change.value === null) delete marks[change.key];
      else marks[change.key] = change.value;
    }
  }
}

function spread(delta: readonly DeltaOp[]): [string, Any][] {
  return delta.flatMap((op) => "insert" in op ? op.insert.split("").map((unit): [string, Any] => [unit, { ...op.attributes }]) : []);
}

test("marks are seen by everybody, and whoever follows the changes sees the same", async () => {
  const [one, two] = [await memory(), await memory()];
  const [text, other] = [one.text("t"), two.text("t")];
  const [mine, theirs]: [[string, Any][], [string, Any][]] = [[], []];
  text.observe(({ changes }) => follow(mine, changes));
  other.observe(({ changes }) => follow(theirs, changes));
  one.change(() => {
    text.insert(0, "The 🦊 jumped");
    text.mark(4, 2, "bold", true);
    text.mark(7, 6, "link", "/j", "none");
  });
  two.import(one.save());
  assert.deepEqual(other.toDelta(), [
    { insert: "The " }, { insert: "🦊", attributes: { bold: true } }, { insert: " " }, { insert: "jumped", attributes: { link: "/j" } },
  ]);
  assert.deepEqual(theirs, spread(other.toDelta()), "marks of a text that just came into being");
  other.insert(6, "!");
  other.insert(14, "?");
  other.unmark(0, 5 + 1, "bold");
  text.mark(0, 6, "color", "red", "both");
  text.applyDelta([{ insert: "> ", attributes: { quote: 1 } }, { retain: 4, attributes: { color: null, size: 2 } }, { delete: 2 }]);
  one.import(two.save());
  two.import(one.save());
  assert.deepEqual(text.toDelta(), other.toDelta());
  assert.deepEqual(text.toDelta()[0], { insert: "> ", attributes: { quote: 1 } });
  assert.equal(text.value, "> The ! jumped?");
  assert.deepEqual(mine, spread(text.toDelta()));
  assert.deepEqual(theirs, spread(other.toDelta()));
  assert.deepEqual((await load(one.save())).text("t").toDelta(), text.toDelta());
  assert.deepEqual(one.text("none").toDelta(), []);
  await Promise.all([one.close(), two.close()]);
});

test("what cannot be marked is refused with a hint, and nothing changes", async () => {
  const doc = await memory();
  const text = doc.text("t");
  text.insert(0, "a🦊");
  const before = text.toDelta();
  const embed = [{ insert: { image: "x" } }] as unknown as DeltaOp[];
  for (const [code, edit] of [
    ["out-of-range", () => text.mark(0, 9, "b", true)],
    ["out-of-range", () => text.mark(0, 2, "b", true)],
    ["out-of-range", () => text.applyDelta([{ retain: 2 }])],
    ["out-of-range", () => text.applyDelta([{ insert: "kept? no" }, { delete: -1 }])],
    ["unsupported-value", () => text.mark(0, 1, "b", null as never)],
    ["unsupported-value", () => text.mark(0, 1, "b", {} as never)],
    ["unsupported-value", () => text.applyDelta(embed)],
    ["unsupported-value", () => text.applyDelta([{ insert: "x", retain: 1 }] as unknown as DeltaOp[])],
    ["unsupported-value", () => text.applyDelta([{ retain: 1, attributes: { a: [] as never } }])],
    ["invalid-use", () => text.mark(0, 1, "b", true, "sideways" as never)],
    ["invalid-use", () => doc.change(() => text.toDelta())],
    ["invalid-use", () => doc.change(() => text.anchor(0))],
    ["out-of-range", () => text.anchor(99)],
    ["out-of-range", () => text.anchor(2)],
    ["out-of-range", () => doc.text("none").anchor(0)],
    ["malformed", () => doc.resolve("no anchor")],
  ] as const) {
    assert.throws(edit, { code });
  }
  assert.throws(() => text.applyDelta(embed), (error: any) => error.hint !== "" && error.path === "t");
  assert.deepEqual(text.toDelta(), before);
  await doc.close();
});

test("anchors stay with characters and elements, here and elsewhere", async () => {
  const [one, two] = [await memory(), await memory()];
  const text = one.text(["page", "body"]);
  text.insert(0, "a🦊b");
  const list = one.list("l");
  list.push(1, 2, 3);
  const [before, after, end] = [text.anchor(3, "before"), text.anchor(3), text.anchor(4, "before")];
  const element = list.anchor(1, "before");
  two.import(one.save());
  two.text(["page", "body"]).insert(3, "new");
  two.text(["page", "body"]).insert(0, ">");
  two.list("l").move(1, 2);
  const path = ["page", "body"];
  assert.deepEqual(two.resolve(before), { path, index: 7 });
  assert.deepEqual(two.resolve(after), { path, index: 4 });
  assert.deepEqual(two.resolve(end), { path, index: 8 });
  assert.deepEqual(two.resolve(element), { path: ["l"], index: 2 });
  assert.deepEqual(one.resolve(before), { path, index: 3 });
  const stranger = await memory();
  assert.equal(stranger.resolve(before), null);
  await Promise.all([one.close(), two.close(), stranger.close()]);
});

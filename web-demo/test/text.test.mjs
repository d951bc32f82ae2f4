/**
 * The text editor's arithmetic: splices, and undo among others' edits. Every character is unique, so that what became
 * of it can be followed.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { applyAll, carry, diff, rebase } from "../pkg/js/text/splices.js";
import { UndoHistory } from "../pkg/js/text/undo.js";
import { random } from "./random.mjs";

const ROUNDS = 3000;

/** Makes texts of characters that were never used before. */
function unique() {
  let next = 0x3400;
  return (length) => Array.from({ length }, () => String.fromCharCode(next++)).join("");
}

function someSplice(rng, text, fresh) {
  const index = rng.next(text.length + 1);
  const gone = rng.next(3) === 0 ? 0 : rng.next(Math.min(5, text.length - index + 1));
  const insert = gone > 0 && rng.next(2) === 0 ? "" : fresh(rng.next(3) + (gone === 0 ? 1 : 0));
  return { index, delete: gone, insert };
}

const cut = (text, { index, delete: gone }) => text.slice(index, index + gone);

test("a diff leads from one text to the other", () => {
  for (let seed = 0; seed < ROUNDS; seed += 1) {
    const rng = random(seed);
    const word = () => Array.from({ length: rng.next(9) }, () => ["a", "b", "😀", "😁", "\n"][rng.next(5)]).join("");
    const [before, after] = [word(), word()];
    const splice = diff(before, after, rng.next(after.length + 1));
    assert.ok(!splice || !/\p{Surrogate}/u.test(splice.insert), `seed ${seed}`);
    assert.equal(splice ? applyAll(before, [splice]) : before, after, `seed ${seed}`);
  }
});

test("a diff knows by the caret which of equal characters was typed", () => {
  assert.deepEqual(diff("aaa", "aaaa", 2), { index: 1, delete: 0, insert: "a" });
  assert.deepEqual(diff("aaa", "aaaa", 4), { index: 3, delete: 0, insert: "a" });
  assert.deepEqual(diff("aaa", "aa", 1), { index: 1, delete: 1, insert: "" });
});

test("a diff never cuts a surrogate pair", () => {
  // Bug class G: both share the first half (a smile and a grin), then the second half.
  assert.deepEqual(diff("x😀y", "x😁y", 3), { index: 1, delete: 2, insert: "😁" });
  assert.deepEqual(diff("x\u{1f600}y", "x\u{2f600}y".normalize(), 3)?.index, 1);
});

test("a rebased splice deletes what it deleted, inserts what it inserted, and spares what others wrote", () => {
  for (let seed = 0; seed < ROUNDS; seed += 1) {
    const rng = random(seed);
    const fresh = unique();
    const start = fresh(4 + rng.next(12));
    const mine = someSplice(rng, start, fresh);
    let theirs = start;
    const others = [];
    for (let i = rng.next(4); i >= 0; i -= 1) {
      const splice = someSplice(rng, theirs, fresh);
      others.push(splice);
      theirs = applyAll(theirs, [splice]);
    }
    const both = applyAll(theirs, rebase(mine, others));
    const gone = new Set(cut(start, mine));
    const kept = [...theirs].filter((char) => !gone.has(char)).join("");
    assert.equal([...both].filter((char) => !mine.insert.includes(char)).join(""), kept, `seed ${seed}`);
    assert.ok(both.includes(mine.insert), `seed ${seed}`);
  }
});

test("a position stays between the characters that it was between", () => {
  for (let seed = 0; seed < ROUNDS; seed += 1) {
    const rng = random(seed);
    const fresh = unique();
    const text = fresh(3 + rng.next(8));
    const splice = someSplice(rng, text, fresh);
    const after = applyAll(text, [splice]);
    const at = rng.next(text.length + 1);
    for (const stay of [false, true]) {
      const now = carry(at, splice, stay);
      const left = [...text.slice(0, at)].filter((char) => after.includes(char));
      const right = [...text.slice(at)].filter((char) => after.includes(char));
      for (const char of left) assert.ok(after.indexOf(char) < now, `seed ${seed}`);
      for (const char of right) assert.ok(after.indexOf(char) >= now, `seed ${seed}`);
    }
  }
});

test("undoing everything leaves the start and what others did to it; redoing all and undoing again too", () => {
  // Bug class F: undo considers the insertions and the deletions, and never those of others.
  for (let seed = 0; seed < ROUNDS; seed += 1) {
    const rng = random(seed);
    const fresh = unique();
    const history = new UndoHistory();
    let text = fresh(6);
    const wanted = new Set(text);
    const foreign = new Set(text);
    let now = 0;
    const apply = (splices) => {
      text = applyAll(text, splices);
    };
    const step = () => {
      const splice = someSplice(rng, text, fresh);
      if (rng.next(3) === 0) {
        history.others(splice);
        for (const char of cut(text, splice)) wanted.delete(char);
        for (const char of splice.insert) [wanted, foreign].forEach((set) => set.add(char));
      } else {
        history.edited(splice, cut(text, splice), now);
        now += rng.next(2) * 2000;
      }
      apply([splice]);
    };
    const all = (direction) => {
      for (let i = 0; i < 100; i += 1) apply(history[direction](text));
    };
    for (let i = 0; i < 8; i += 1) step();
    all("undo");
    // A character that others deleted while it was deleted here comes back with the undo: that is not checked.
    const missing = [...wanted].filter((char) => !text.includes(char));
    const left = [...text].filter((char) => !foreign.has(char));
    assert.deepEqual([missing, left], [[], []], `seed ${seed}`);
    assert.equal(new Set(text).size, text.length, `seed ${seed}`);
    const undone = text;
    all("redo");
    all("undo");
    assert.equal([...text].sort().join(""), [...undone].sort().join(""), `seed ${seed}`);
  }
});

test("undo takes back typing in words of time, in order, and leaves no trace", () => {
  const history = new UndoHistory();
  let text = "";
  const type = (index, insert, at) => {
    const splice = { index, delete: 0, insert };
    history.edited(splice, "", at);
    text = applyAll(text, [splice]);
  };
  "hello".split("").forEach((char, i) => type(i, char, i * 100));
  " you".split("").forEach((char, i) => type(5 + i, char, 5000 + i * 100));
  text = applyAll(text, history.undo(text));
  assert.equal(text, "hello");
  const other = { index: 2, delete: 0, insert: "XY" };
  history.others(other);
  text = applyAll(text, [other]);
  text = applyAll(text, history.undo(text));
  assert.equal(text, "XY");
  text = applyAll(text, history.redo(text));
  assert.equal([...text].sort().join(""), [..."helloXY"].sort().join(""));
  assert.ok(text.includes("XY"));
});

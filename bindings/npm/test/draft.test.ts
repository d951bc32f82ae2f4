/**
 * Changes on plain-looking data: what the callback of `change` may do, what it may not, and that all of it or nothing
 * happens. After every case the view equals what the core says and what another document makes of the same bytes.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { load, move, type OpenOptions, open, SelvedgeError } from "../src/index.js";
import type { Doc } from "../src/types.js";

type Any = Record<string, any>;

async function memory<T extends object = Any>(init?: Partial<T>): Promise<Doc<T>> {
  const options: OpenOptions<T> = { store: "memory", tabs: false };
  return open<T>(`draft ${Math.random()}`, init ? { ...options, init } : options);
}

/** Closes a document after checking that view, JSON and a copy made from the bytes agree. */
async function check(doc: Doc<any>, expected: unknown): Promise<void> {
  assert.deepEqual(doc.value, expected);
  assert.deepEqual(doc.json(), expected);
  const copy = await load(doc.save());
  assert.deepEqual(copy.value, expected);
  assert.deepEqual(copy.version, doc.version);
  await copy.close();
  await doc.close();
}

test("the example of the README", async () => {
  type Board = { title: string; todos: { text: string; done: boolean }[] };
  const doc = await memory<Board>({ title: "Groceries", todos: [] });
  const seen: unknown[] = [];
  doc.subscribe((b) => b.todos, (todos) => seen.push(todos));
  doc.change((b) => {
    b.todos.push({ text: "milk", done: false });
  });
  assert.deepEqual(seen, [[], [{ text: "milk", done: false }]]);
  await check(doc, { title: "Groceries", todos: [{ text: "milk", done: false }] });
});

test("objects and arrays nest to any depth, and reading sees the change's own edits", async () => {
  const doc = await memory();
  doc.change((b) => {
    b.a = { list: [1, [2, { deep: [true, null] }]], empty: {}, none: [] };
    assert.equal(b.a.list[1][1].deep[0], true);
    b.a.list[1][1].deep.push("x");
    assert.equal(b.a.list[1][1].deep.length, 3);
    assert.deepEqual(Object.keys(b.a), ["empty", "list", "none"].sort());
    assert.equal(JSON.stringify(b.a.list), '[1,[2,{"deep":[true,null,"x"]}]]');
    assert.ok("a" in b && !("z" in b) && Array.isArray(b.a.list));
  });
  await check(doc, { a: { list: [1, [2, { deep: [true, null, "x"] }]], empty: {}, none: [] } });
});

test("arrays do what arrays do", async () => {
  const doc = await memory();
  doc.change((b) => {
    b.l = [1, 2, 3];
    assert.equal(b.l.push(4, 5), 5);
    assert.equal(b.l.unshift(0), 6);
    assert.equal(b.l.pop(), 5);
    assert.equal(b.l.shift(), 0);
    assert.deepEqual(b.l.splice(1, 2, "b", "c", "d"), [2, 3]);
    assert.deepEqual([...b.l], [1, "b", "c", "d", 4]);
    b.l[0] = "a";
    b.l[5] = "e";
    assert.deepEqual(b.l.splice(-2), [4, "e"]);
    b.l.length = 3;
    assert.deepEqual(b.l.map((x: string) => x.toUpperCase()), ["A", "B", "C"]);
    assert.equal(b.l.indexOf("b"), 1);
    b.l.reverse();
    delete b.l[0];
    assert.deepEqual(b.l.concat(["z"]), ["b", "a", "z"]);
    b.l.sort();
  });
  await check(doc, { l: ["a", "b"] });
});

test("moving and sorting keep the elements", async () => {
  const doc = await memory();
  doc.change((b) => {
    b.l = [{ n: 3 }, { n: 1 }, { n: 2 }];
  });
  const third = doc.list("l").map(0);
  doc.change((b) => {
    const [first] = b.l;
    b.l.sort((x: { n: number }, y: { n: number }) => x.n - y.n);
    assert.ok(b.l[2] === first);
    move(b.l, 2, 0);
    first.seen = true;
  });
  assert.deepEqual(third.value, { n: 3, seen: true });
  assert.deepEqual(third.path, ["l", 0]);
  await check(doc, { l: [{ n: 3, seen: true }, { n: 1 }, { n: 2 }] });
});

test("replacing an object forgets what was in it; deleting and setting again too", async () => {
  const doc = await memory();
  doc.change((b) => {
    b.m = { old: 1, inner: { x: 1 } };
    b.l = [{ old: 1 }, 2];
  });
  doc.change((b) => {
    b.m = { fresh: { y: 2 } };
    b.l[0] = { fresh: true };
    b.l[1] = { was: "plain" };
  });
  doc.change((b) => {
    delete b.m;
    b.m = { inner: {} };
  });
  await check(doc, { m: { inner: {} }, l: [{ fresh: true }, { was: "plain" }] });
});

test("numbers, bytes and odd keys come back as they were", async () => {
  const doc = await memory();
  const values = {
    int: 7, negative: -5, zero: 0, half: 0.5, large: 2 ** 60, tiny: 5e-324, safe: Number.MAX_SAFE_INTEGER,
    big: 9223372036854775807n, "": "empty", "a.b": 1, __proto__: 1, constructor: "own", "é\u{1f642}": "\u{1f469}\u200d\u{1f680}",
  };
  doc.change((b) => {
    Object.assign(b, values);
    b.bytes = new Uint8Array([0, 255]);
    b.minusZero = -0;
    b.notANumber = NaN;
    b.infinite = -Infinity;
    Object.defineProperty(b, "__proto__", { value: "own", writable: true, enumerable: true, configurable: true });
  });
  const copy = await load<Any>(doc.save());
  for (const value of [doc.value, copy.value] as Any[]) {
    for (const [key, expected] of Object.entries(values)) assert.deepEqual(value[key], expected, key);
    assert.deepEqual(value.bytes, new Uint8Array([0, 255]));
    assert.ok(Object.is(value.minusZero, -0) && Number.isNaN(value.notANumber) && value.infinite === -Infinity);
    assert.equal(Object.getOwnPropertyDescriptor(value, "__proto__")?.value, "own");
    assert.equal(value.constructor, "own");
  }
  await copy.close();
  await doc.close();
});

/** Bug class G: a lone surrogate would become another string on its way. */
test("what a document cannot hold is refused with its place, and nothing of the change happens", async () => {
  const doc = await memory<Any>({ todos: [{ text: "milk" }] });
  const before = doc.version;
  const cycle: Any = {};
  cycle.self = cycle;
  class Thing {}
  const cases: [unknown, string][] = [
    [new Date(), "a Date"], [undefined, "undefined"], [() => 1, "function"], [Symbol("s"), "symbol"], [2n ** 63n, "64 bits"],
    [new Map(), "a Map"], [new Thing(), "a Thing"], [/x/, "a RegExp"], [cycle, "contains itself"], ["\ud83d", "surrogate"],
    [{ [Symbol("s")]: 1 }, "symbol"], [new Float64Array(1), "Float64Array"], [{ "\udc00": 1 }, "surrogate"],
    [[1, , 3], "undefined"], [Promise.resolve(), "Promise"], [{ deep: { date: new Date() } }, "a Date"],
  ];
  for (const [value, says] of cases) {
    assert.throws(
      () => doc.change((b) => {
        b.todos[0].text = "changed";
        b.todos[0].due = value;
      }),
      (error: unknown) => {
        assert.ok(error instanceof SelvedgeError && error instanceof Error);
        assert.equal(error.code, "unsupported-value");
        assert.ok(error.path.startsWith("todos[0].due"), error.path);
        assert.ok(error.message.includes(says), error.message);
        return true;
      },
    );
  }
  assert.throws(() => doc.change((b) => void (b["\ud83d"] = 1)), { code: "unsupported-value" });
  assert.throws(() => doc.change((b) => void (b[Symbol("s") as unknown as string] = 1)), { code: "unsupported-value" });
  assert.deepEqual(doc.version, before);
  await check(doc, { todos: [{ text: "milk" }] });
});

test("a throw takes everything back, and the document goes on", async () => {
  const doc = await memory<Any>({ l: [1] });
  const seen: unknown[] = [];
  doc.subscribe((value) => seen.push(value));
  const mine = new Error("changed my mind");
  assert.throws(() => doc.change((b) => {
    b.l.push(2);
    doc.text("t").insert(0, "text");
    doc.counter("c").add(5);
    throw mine;
  }), mine);
  assert.equal(seen.length, 1);
  doc.change((b) => void b.l.push(3));
  await check(doc, { l: [1, 3] });
});

test("a refused command of the core takes everything back", async () => {
  const doc = await memory<Any>({ l: [1] });
  const large = "x".repeat(9 << 20);
  assert.throws(() => doc.change((b) => {
    b.l.push(2);
    b.text = large;
  }), { code: "too-large" });
  doc.change((b) => void b.l.push(3));
  await check(doc, { l: [1, 3] });
});

test("misuse is refused: nested and asynchronous changes, drafts that outlive theirs, holes, frozen drafts", async () => {
  const doc = await memory<Any>({ l: [1, { x: 1 }] });
  let kept: Any = {};
  doc.change((b) => {
    kept = b;
  });
  assert.throws(() => kept.l, { code: "stale" });
  assert.throws(() => void (kept.x = 1), { code: "stale" });
  assert.throws(() => doc.change(() => doc.change(() => undefined)), { code: "invalid-use" });
  assert.throws(() => doc.change(async (b) => {
    b.x = 1;
  }), { code: "invalid-use" });
  assert.throws(() => doc.change((b) => void (b.l[5] = 1)), { code: "out-of-range" });
  assert.throws(() => doc.change((b) => void (b.l.length = 9)), { code: "invalid-use" });
  assert.throws(() => doc.change((b) => void (b.l.name = 9)), { code: "invalid-use" });
  assert.throws(() => doc.change((b) => void b.l.fill(0)), { code: "invalid-use" });
  assert.throws(() => doc.change((b) => void Object.freeze(b)), { code: "invalid-use" });
  assert.throws(() => doc.change((b) => void Object.setPrototypeOf(b, null)), { code: "invalid-use" });
  assert.throws(() => move([1, 2], 0, 1), { code: "invalid-use" });
  assert.throws(() => doc.change((b) => {
    const inner = b.l[1];
    b.l.splice(1, 1);
    inner.x = 2;
  }), { code: "stale" });
  assert.throws(() => void ((doc.value as Any).l[0] = 9), TypeError);
  await check(doc, { l: [1, { x: 1 }] });
});

test("assigning a part of the draft elsewhere copies it; change returns plain data", async () => {
  const doc = await memory<Any>({ a: { list: [1] } });
  const returned = doc.change((b) => {
    b.b = b.a;
    b.b.list.push(2);
    b.c = [b.a.list, b.a.list];
    return b.b;
  });
  assert.deepEqual(returned, { list: [1, 2] });
  await check(doc, { a: { list: [1] }, b: { list: [1, 2] }, c: [[1], [1]] });
});

test("snapshots share what did not change", async () => {
  const doc = await memory<Any>({ a: { x: 1 }, b: { y: [1] } });
  const before = doc.value as Any;
  doc.change((b) => void (b.a.x = 2));
  const after = doc.value as Any;
  assert.ok(before !== after && before.a !== after.a && before.b === after.b);
  assert.equal(before.a.x, 1);
  assert.ok(Object.isFrozen(after.b.y));
  await doc.close();
});

/** A script of random edits: the draft inside of the change, the view, and a copy always agree. */
test("random edits: draft, view and core agree", async () => {
  let state = 12345;
  const random = (below: number) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  const doc = await memory();
  const value = (depth: number): unknown => {
    const pick = random(depth > 2 ? 4 : 6);
    if (pick === 4) return Array.from({ length: random(3) }, () => value(depth + 1));
    if (pick === 5) return Object.fromEntries(Array.from({ length: random(3) }, () => [`k${random(4)}`, value(depth + 1)]));
    return [random(100), `s${random(9)}`, random(2) === 0, null][pick];
  };
  for (let round = 0; round < 150; round++) {
    const inside = doc.change((b) => {
      for (let i = 0; i < 6; i++) {
        let at: any = b;
        for (let depth = random(3); depth > 0; depth--) {
          const children = Object.values(at).filter((child) => typeof child === "object" && child !== null);
          if (children.length > 0) at = children[random(children.length)];
        }
        if (!Array.isArray(at)) {
          const key = `k${random(5)}`;
          if (random(4) === 0) delete at[key];
          else at[key] = value(0);
        } else if (at.length === 0 || random(3) === 0) at.splice(random(at.length + 1), random(2), value(1), value(1));
        else if (random(2) === 0) move(at, random(at.length), random(at.length));
        else if (random(2) === 0) at[random(at.length)] = value(1);
        else at.splice(random(at.length), 1);
      }
      return JSON.parse(JSON.stringify(b)) as unknown;
    });
    assert.deepEqual(doc.value, inside, `round ${round}`);
    assert.deepEqual(doc.json(), inside, `round ${round}`);
  }
  const copy = await load(doc.save());
  assert.deepEqual(copy.value, doc.value);
  await copy.close();
  await doc.close();
});

/**
 * The same script of edits makes the same bytes natively and in wasm (bindings/wasm/tests/script.rs is the other half),
 * and what the core does with calls that this package never makes.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { type CoreReplica, guarded, loadCore } from "../../src/core.js";
import type { Command } from "../../src/draft/transaction.js";
import { SelvedgeError } from "../../src/error.js";
import { Mirror } from "../../src/mirror.js";
import type { Plain } from "../../src/normalise.js";

interface Script {
  init: Plain;
  replicas: string[];
  steps: ({ at: number; now: number; commands: unknown[]; message?: string } | { from: number; to: number })[];
}

interface Golden {
  updates: string[];
  saves: string[];
  views: unknown[];
}

const DIR = "../wasm/tests";
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const unhex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const { Replica } = await loadCore();

/** What JSON has no form for is an object with one key that begins with `$`. */
function decode(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(decode);
  if (typeof json !== "object" || json === null) return json;
  const { $int, $float, $bytes } = json as { $int?: string; $float?: string; $bytes?: string };
  if ($int !== undefined) return BigInt($int);
  if ($float !== undefined) return Number($float);
  if ($bytes !== undefined) return unhex($bytes);
  return Object.fromEntries(Object.entries(json).map(([key, value]) => [key, decode(value)]));
}

/** Hands over what was edited; returns the bytes that are to be stored, and says that they are. */
function handOver(core: CoreReplica): Uint8Array[] {
  const records: Uint8Array[] = [];
  core.flush(0);
  for (let effects = core.effects(0); effects.length > 0; effects = core.effects(0)) {
    for (const effect of effects) {
      if (effect.type !== "persist") continue;
      records.push(effect.bytes);
      core.persisted(0, effect.token);
    }
  }
  return records;
}

function make(replica: string, records: Uint8Array[] = []): CoreReplica {
  return guarded(new Replica("script", unhex(replica), records, 0, 0));
}

test("the script makes the same bytes as natively", () => {
  const script = JSON.parse(readFileSync(`${DIR}/script.json`, "utf8")) as Script;
  const golden = JSON.parse(readFileSync(`${DIR}/script.golden.json`, "utf8")) as Golden;
  const cores = script.replicas.map((id) => make(id));
  const mirrors = cores.map((core) => new Mirror(core.view()));
  const stored = cores.map((): Uint8Array[] => []);
  const updates: string[] = [];
  const keep = (at: number) => {
    const records = handOver(cores[at]!);
    stored[at]!.push(...records);
    mirrors[at]!.apply(cores[at]!.takePatches());
    return records;
  };
  cores.forEach((core, at) => {
    assert.equal(core.init(script.init), true);
    updates.push(...keep(at).map(hex));
  });
  for (const step of script.steps) {
    if ("at" in step) {
      const core = cores[step.at]!;
      core.setNow(step.now);
      core.apply(decode(step.commands) as Command[], "", "");
      if (step.message !== undefined) core.commit(step.message);
      updates.push(...keep(step.at).map(hex));
    } else {
      cores[step.to]!.importSaved(cores[step.from]!.save(), 0);
      keep(step.to);
    }
  }
  assert.deepEqual(updates, golden.updates);
  assert.deepEqual(cores.map((core) => hex(core.save())), golden.saves);
  const views = mirrors.map((mirror) => asJson(mirror.root.snapshot()));
  assert.deepEqual(views, golden.views);
  // What was stored is the document; the view that patches made is the one that is there after opening.
  cores.forEach((core, at) => {
    const again = make(script.replicas[at]!, stored[at]);
    assert.deepEqual(new Mirror(again.view()).root.snapshot(), mirrors[at]!.root.snapshot());
    const saved = make("f".repeat(32));
    saved.importSaved(core.save(), 0);
    assert.deepEqual(new Mirror(saved.view()).root.snapshot(), mirrors[at]!.root.snapshot());
    // A save appends to the one before; copies that save for the first time save the same.
    assert.equal(hex(saved.save()), hex(again.save()));
  });
});

/** As the core's own JSON: bytes as numbers, large whole numbers rounded. */
function asJson(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asJson(item)]));
}

test("records that are damaged are named, and nothing opens", () => {
  const core = make("11".repeat(16));
  core.apply([["textSplice", ["t", 2], 0, 0, "text"]], "", "");
  const [record] = handOver(core) as [Uint8Array];
  for (let cut = 1; cut < record.length; cut++) {
    assert.throws(() => make("22".repeat(16), [record, record.slice(0, cut)]), { code: "malformed", message: /record script\/1/ });
  }
});

test("what this package never says is refused, changes nothing and breaks nothing", () => {
  const core = make("11".repeat(16));
  core.apply([["listInsert", ["l", 1], 0, [1, 2]], ["textSplice", ["t", 2], 0, 0, "a\u{1f642}"]], "", "");
  const before = hex(core.save());
  const bad: unknown[] = [
    [["no such thing", []]], [["mapSet"]], [["mapSet", "x", "k", 1]], [["listDelete", ["l", 1], 1, 5]], [["listDelete", ["l", 1], -1, 1]],
    [["listInsert", ["l", 1], 9, [1]]], [["listMove", ["l", 1], 0, 2]], [["textSplice", ["t", 2], 2, 0, "x"]], [["textSplice", ["t", 2], 1, 1, ""]],
    [["textSplice", ["t", 2], 0, 99, ""]], [["counterAdd", ["c", 4], 0.5]], [["mapSet", ["l", 9], "k", 1]], [["setAdd", ["s", 5], {}]],
    [["mapSet", [], "k", Symbol("s")]], [["mapSet", [], "k", undefined]], [["mapSet", [], "k", 2n ** 64n]], [["listSet", ["l", 0], 0, 1]],
    [["listInsert", ["l", 1], 0, [7]], ["listDelete", ["l", 1], 0, 9]],
  ];
  bad.forEach((commands, i) => assert.throws(() => core.apply(commands as Command[], "", ""), SelvedgeError, `number ${i}`));
  assert.equal(hex(core.save()), before);
  core.received(0, 99, new Uint8Array([1, 2, 3]));
  core.persisted(0, 99);
  core.disconnected(0, 99);
  core.connected(0, 1, false, false, undefined);
  core.received(0, 1, new Uint8Array([255, 255]));
  assert.ok(core.effects(0).some((effect) => effect.type === "close" && effect.conn === 1));
  core.apply([["listInsert", ["l", 1], 2, [3]]], "", "");
  assert.deepEqual(new Mirror(core.view()).root.snapshot(), { l: [1, 2, 3], t: "a\u{1f642}" });
});

/** A bug of ours must not leave half a document behind that looks whole. */
test("after a panic every call says so", () => {
  let calls = 0;
  const core = guarded({
    effects() {
      calls++;
      throw new WebAssembly.RuntimeError("unreachable");
    },
    setNow() {
      calls++;
    },
  } as unknown as CoreReplica);
  for (const call of [() => core.effects(0), () => core.setNow(0), () => core.effects(0)]) {
    assert.throws(call, { code: "panic", message: /unreachable.*Reload the page/ });
  }
  assert.equal(calls, 1);
});

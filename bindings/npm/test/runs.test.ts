/**
 * Runs of typing joined into one splice give the same text as the patches one by one.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { CorePatch } from "../src/core.js";
import { joinRuns } from "../src/runs.js";

/** Numbers that a seed repeats (an LCG, its high bits). */
function random(seed: number): (below: number) => number {
  let state = BigInt(seed + 1);
  return (below) => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number((state >> 33n) % BigInt(below));
  };
}

function apply(texts: Map<number, string>, patches: readonly CorePatch[]): Map<number, string> {
  const result = new Map(texts);
  for (const patch of patches) {
    if (patch[0] !== "textSplice") continue;
    const [, handle, index, deleted, insert] = patch;
    const text = result.get(handle) ?? "";
    result.set(handle, text.slice(0, index) + insert + text.slice(index + deleted));
  }
  return result;
}

test("joined runs give the same texts, and other patches keep their place", () => {
  for (let seed = 0; seed < 2000; seed++) {
    const next = random(seed);
    const start = new Map([[1, "abcdef"], [2, ""]]);
    let now = start;
    let at = 0;
    const patches: CorePatch[] = [];
    for (let i = 0; i < 30; i++) {
      const handle = next(8) === 0 ? 2 : 1;
      const text = now.get(handle) ?? "";
      if (next(6) === 0) at = next(text.length + 1);
      at = Math.min(at, text.length);
      const deleted = Math.min(next(3), text.length - at);
      const back = next(2) === 0 ? Math.min(at, next(3)) : 0;
      const kind = next(10);
      const patch: CorePatch = kind === 0 ? ["counter", 9, i]
        : kind < 5 ? ["textSplice", handle, at, 0, "xyz".slice(0, 1 + next(3))]
        : kind < 7 ? ["textSplice", handle, at - back, back, ""]
        : ["textSplice", handle, at, deleted, kind === 7 ? "Q" : ""];
      patches.push(patch);
      now = apply(now, [patch]);
      if (patch[0] === "textSplice") at = patch[2] + patch[4].length;
    }
    const joined = joinRuns(patches);
    assert.deepEqual(apply(start, joined), now, `seed ${seed}`);
    assert.ok(joined.length <= patches.length);
    const others = (list: readonly CorePatch[]) => list.filter(([kind]) => kind !== "textSplice");
    assert.deepEqual(others(joined), others(patches), `seed ${seed}`);
  }
});

test("a word typed and partly taken back is one splice", () => {
  const typed = [..."hello"].map((letter, i): CorePatch => ["textSplice", 1, 5 + i, 0, letter]);
  const gone: CorePatch[] = [["textSplice", 1, 9, 1, ""], ["textSplice", 1, 8, 1, ""]];
  assert.deepEqual(joinRuns([...typed, ...gone]), [["textSplice", 1, 5, 0, "hel"]]);
  assert.deepEqual(joinRuns([["textSplice", 1, 4, 1, ""], ["textSplice", 1, 3, 1, ""], ["textSplice", 1, 3, 1, ""]]), [
    ["textSplice", 1, 3, 3, ""],
  ]);
});

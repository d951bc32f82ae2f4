/**
 * Runs of typing as one splice: what somebody typed letter by letter comes as one patch per letter, and a long text would
 * be cut and joined again for every one of them.
 *
 * Always holds: applying the result gives the same text as applying the patches. Not here: applying them (`mirror`).
 */

import type { CorePatch } from "./core.js";
import type { Splice } from "./types.js";

type Mutable = { -readonly [K in keyof Splice]: Splice[K] };

/** The same patches, with those splices of one text that directly continue each other as one. */
export function joinRuns(patches: readonly CorePatch[]): CorePatch[] {
  const joined: CorePatch[] = [];
  let handle = -1;
  let run: Mutable | null = null;
  const end = () => {
    if (run) joined.push(["textSplice", handle, run.index, run.delete, run.insert]);
    run = null;
  };
  for (const patch of patches) {
    if (patch[0] !== "textSplice") {
      end();
      joined.push(patch);
      continue;
    }
    const next: Mutable = { index: patch[2], delete: patch[3], insert: patch[4] };
    if (run && handle === patch[1] && join(run, next)) continue;
    end();
    [handle, run] = [patch[1], next];
  }
  end();
  return joined;
}

/** Adds what comes next to a run, if it goes on where the run ends. */
function join(run: Mutable, { index, delete: deleted, insert }: Splice): boolean {
  const end = run.index + run.insert.length;
  if (deleted === 0) {
    if (index !== end) return false;
    run.insert += insert;
    return true;
  }
  if (insert !== "") return false;
  if (index + deleted === end && deleted <= run.insert.length) {
    run.insert = run.insert.slice(0, run.insert.length - deleted);
    return true;
  }
  if (run.insert !== "" || (index !== run.index && index + deleted !== run.index)) return false;
  run.index = index;
  run.delete += deleted;
  return true;
}

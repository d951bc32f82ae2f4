/** Waits in tests: bounded, and failing with what was waited for. */

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

/** Turns of the event loop after which a wait is given up: far more than anything here needs. */
const MAX_TURNS = 3_000;

export async function until(what: string, condition: () => boolean): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.fail(`waited in vain for: ${what}`);
}

/** Waits until a value is as expected; tells what it was otherwise. */
export async function becomes(read: () => unknown, expected: unknown): Promise<void> {
  await until("a value", () => isDeepStrictEqual(read(), expected)).catch(() => undefined);
  assert.deepEqual(read(), expected);
}

/** A moment in which something could happen that must not. */
export async function quiet(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
}

/**
 * What differs between two texts, as one splice, and where positions go when a text is spliced.
 *
 * Always holds: a splice never cuts a surrogate pair in two.
 */

import type { Splice } from "./types.js";
import { splitsPair } from "./util.js";

/**
 * The splice that turns `before` into `after`; `null` if they are equal. `caret`, the position behind what was just
 * typed, tells which of several equal characters is new.
 */
export function diff(before: string, after: string, caret?: number): Splice | null {
  if (before === after) return null;
  const shortest = Math.min(before.length, after.length);
  const sameEnd = (most: number) => {
    let n = 0;
    while (n < most && before.charCodeAt(before.length - 1 - n) === after.charCodeAt(after.length - 1 - n)) n++;
    return n;
  };
  const sameStart = (most: number) => {
    let n = 0;
    while (n < most && before.charCodeAt(n) === after.charCodeAt(n)) n++;
    return n;
  };
  let start: number;
  let end: number;
  if (caret === undefined) {
    start = sameStart(shortest);
    end = sameEnd(shortest - start);
  } else {
    end = sameEnd(Math.min(shortest, Math.max(after.length - caret, 0)));
    start = sameStart(shortest - end);
  }
  while (splitsPair(before, start) || splitsPair(after, start)) start--;
  while (end > 0 && (splitsPair(before, before.length - end) || splitsPair(after, after.length - end))) end--;
  return { index: start, delete: before.length - end - start, insert: after.slice(start, after.length - end) };
}

/**
 * Where a position in a text lies after splices: a cursor stays with the characters around it. At the place of an
 * insertion it goes behind the new text, or stays before it with `stay`.
 */
export function transformIndex(index: number, splices: readonly Splice[], stay = false): number {
  let at = index;
  for (const splice of splices) {
    const end = splice.index + splice.delete;
    const before = at < splice.index || (at === splice.index && (stay || splice.delete > 0));
    if (before) continue;
    at = at >= end ? at - splice.delete + splice.insert.length : splice.index + (stay ? 0 : splice.insert.length);
  }
  return at;
}

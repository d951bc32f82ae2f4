/**
 * Splices of a text: finding one from what was typed, and carrying positions and splices over others.
 *
 * Always holds: positions count UTF-16 units; no function here changes its arguments; a splice found by `diff` never
 * cuts a surrogate pair. Not here: the text itself, elements of the page.
 */

import type { Splice } from "selvedge";

/** A part of a text: `start` up to, not including, `end`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

/**
 * The one splice that makes `after` of `before`, or `null` if they are equal. `caret`, the position behind what was
 * typed, decides where in a run of equal characters it happened.
 */
export function diff(before: string, after: string, caret: number): Splice | null {
  if (before === after) return null;
  const shorter = Math.min(before.length, after.length);
  let tail = 0;
  const tailMax = Math.min(shorter, Math.max(0, after.length - caret));
  while (tail < tailMax && before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)) {
    tail += 1;
  }
  let head = 0;
  while (head < shorter - tail && before.charCodeAt(head) === after.charCodeAt(head)) head += 1;
  // The caret was no help (a paste that moved it elsewhere): take what is still equal at the end.
  while (
    tail < shorter - head &&
    before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)
  ) {
    tail += 1;
  }
  if (head > 0 && isHighSurrogate(before.charCodeAt(head - 1))) head -= 1;
  if (tail > 0 && isLowSurrogate(before.charCodeAt(before.length - tail))) tail -= 1;
  return { index: head, delete: before.length - tail - head, insert: after.slice(head, after.length - tail) };
}

/** The text after splices, applied one after another. */
export function applyAll(text: string, splices: readonly Splice[]): string {
  for (const { index, delete: gone, insert } of splices) text = text.slice(0, index) + insert + text.slice(index + gone);
  return text;
}

/**
 * Where a position lies after a splice. At the place of an insertion it goes behind it, or stays before it with `stay`;
 * in front of a part that is replaced it stays in front.
 */
export function carry(position: number, splice: Splice, stay = false): number {
  const { index, insert, delete: gone } = splice;
  if (position < index || (position === index && (stay || gone > 0))) return position;
  if (position > index + gone || (position === index + gone && !(stay && gone > 0))) return position - gone + insert.length;
  return stay ? index : index + insert.length;
}

/** The parts of a span that are left after a splice by somebody else: what they inserted inside does not belong to it. */
export function carrySpan(span: Span, splice: Splice): Span[] {
  const { start, end } = span;
  const cut = { start: splice.index, end: splice.index + splice.delete };
  if (start === end) {
    const at = start === splice.index ? start : carry(start, splice);
    return [{ start: at, end: at }];
  }
  const shift = splice.insert.length - splice.delete;
  const before = { start, end: Math.min(end, cut.start) };
  const after = { start: Math.max(start, cut.end) + shift, end: end + shift };
  return [before, after].filter((part) => part.start < part.end);
}

/**
 * A splice made before `others` were known, as splices that do the same after them, to be applied in order. What both
 * insert at one place comes behind theirs, or before it with `stay`.
 */
export function rebase(splice: Splice, others: readonly Splice[], stay = true): Splice[] {
  let spans: Span[] = splice.delete > 0 ? [{ start: splice.index, end: splice.index + splice.delete }] : [];
  let at = splice.index;
  for (const other of others) {
    spans = spans.flatMap((span) => carrySpan(span, other));
    at = carry(at, other, stay);
  }
  // From the last to the first, so that none moves those that are still to come.
  const cuts = spans.map(({ start, end }) => ({ index: start, delete: end - start, insert: "" })).reverse();
  const first = cuts.at(-1);
  if (first && first.index === at) {
    return [...cuts.slice(0, -1), { ...first, insert: splice.insert }];
  }
  const insertion = splice.insert === "" ? [] : [{ index: cuts.reduce((p, cut) => carry(p, cut, true), at), delete: 0, insert: splice.insert }];
  return [...cuts, ...insertion];
}

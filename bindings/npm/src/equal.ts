/**
 * Equality of plain data, quick where snapshots share parts.
 */

import type { Scalar } from "./types.js";

/** Whether two values are the same to a document. */
export function equalScalars(a: Scalar, b: Scalar): boolean {
  if (a instanceof Uint8Array) {
    return b instanceof Uint8Array && a.length === b.length && a.every((byte, i) => byte === b[i]);
  }
  return Object.is(a, b);
}

/** Whether two selections have the same content. Compares by identity first: snapshots share what did not change. */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return equalScalars(a, b);
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  const prototype: unknown = Object.getPrototypeOf(a);
  if (prototype !== Object.getPrototypeOf(b) || prototype !== Object.prototype) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length
    && keys.every((key) => Object.hasOwn(b, key)
      && equal((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]));
}

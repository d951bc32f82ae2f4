/**
 * Checks what the application wants to store and copies it: the document never shares an object with the application.
 *
 * Always holds: what comes out can be stored exactly; everything else is refused with its place, nothing is coerced.
 */

import { SelvedgeError } from "./error.js";
import type { Scalar, Value } from "./types.js";
import { isLone, pathName } from "./util.js";
import { defineKey } from "./view.js";

/** How deep plain data may be nested in one value. */
const MAX_DEPTH = 100;
const MIN_INT = -(2n ** 63n);
const MAX_INT = 2n ** 63n - 1n;

/** A value that was checked and copied; plain objects and arrays become maps and lists. */
export type Plain = Scalar | Plain[] | { [key: string]: Plain };

/** The content of one of our own drafts, if `value` is one. */
export type DraftContent = (value: object) => Value | undefined;

/** Checks and copies a value. */
export function normalise(value: unknown, path: readonly (string | number)[], contentOf: DraftContent = () => undefined): Plain {
  return copy(value, [...path], [], contentOf);
}

/** Checks a value that is replaced as a whole. */
export function scalar(value: unknown, path: readonly (string | number)[]): Scalar {
  const plain = normalise(value, path);
  if (isScalar(plain)) return plain;
  throw refuse(path, "an object or array", "Sets, registers and marks hold null, booleans, numbers, strings and bytes.");
}

export function isScalar(value: Plain): value is Scalar {
  return typeof value !== "object" || value === null || value instanceof Uint8Array;
}

/** Checks a string that becomes part of a document: a text, a key. */
export function checkString(text: unknown, path: readonly (string | number)[], what = "a string"): string {
  if (typeof text !== "string") throw refuse(path, `${describe(text)} where ${what} is needed`);
  if (isLone(text)) {
    throw refuse(path, "a string with half of a surrogate pair", "Cut strings between characters, not inside of an emoji.");
  }
  return text;
}

function copy(value: unknown, path: (string | number)[], around: object[], contentOf: DraftContent): Plain {
  switch (typeof value) {
    case "boolean":
    case "number":
      return value;
    case "string":
      return checkString(value, path);
    case "bigint":
      if (value < MIN_INT || value > MAX_INT) throw refuse(path, "a bigint of more than 64 bits");
      // A whole number is stored as such either way, and small ones read back as numbers.
      return Number.isSafeInteger(Number(value)) ? Number(value) : value;
    case "object":
      if (value === null) return value;
      return copyObject(contentOf(value) ?? value, path, around, contentOf);
    default:
      throw refuse(path, describe(value), value === undefined ? "Use `delete` to remove a key, or null." : "");
  }
}

function copyObject(value: unknown, path: (string | number)[], around: object[], contentOf: DraftContent): Plain {
  if (typeof value !== "object" || value === null) return copy(value, path, around, contentOf);
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (around.includes(value)) throw refuse(path, "an object that contains itself");
  if (around.length >= MAX_DEPTH) throw refuse(path, `data nested deeper than ${MAX_DEPTH} levels`);
  if (!Array.isArray(value)) checkPrototype(value, path);
  const symbol = Object.getOwnPropertySymbols(value)[0];
  if (symbol) throw refuse(path, `an object with a symbol as key, ${String(symbol)}`);
  around.push(value);
  const copied = Array.isArray(value) ? copyArray(value, path, around, contentOf) : copyMap(value, path, around, contentOf);
  around.pop();
  return copied;
}

function copyArray(value: unknown[], path: (string | number)[], around: object[], contentOf: DraftContent): Plain[] {
  const items: Plain[] = [];
  for (let i = 0; i < value.length; i++) {
    path.push(i);
    items.push(copy(value[i], path, around, contentOf));
    path.pop();
  }
  if (Object.keys(value).length !== value.length) throw refuse(path, "an array with named properties");
  return items;
}

/** Plain objects only, of this page or of another frame. */
function checkPrototype(value: object, path: readonly (string | number)[]): void {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null) {
    throw refuse(path, describe(value), value instanceof Date ? "Store getTime() or toISOString()." : "Store plain data.");
  }
  if (prototype !== null && !Object.hasOwn(prototype as object, "isPrototypeOf")) {
    throw refuse(path, describe(value), "Store plain data.");
  }
}

function copyMap(value: object, path: (string | number)[], around: object[], contentOf: DraftContent): Plain {
  const map: { [key: string]: Plain } = {};
  for (const [key, item] of Object.entries(value)) {
    path.push(key);
    checkString(key, path, "a key");
    defineKey(map, key, copy(item, path, around, contentOf));
    path.pop();
  }
  return map;
}

function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === "object") return `a ${value.constructor?.name || "object without a constructor"}`;
  return `a ${typeof value}`;
}

function refuse(path: readonly (string | number)[], what: string, hint = ""): SelvedgeError {
  return new SelvedgeError("unsupported-value", `a document cannot hold ${what}`, { path: pathName(path), hint });
}

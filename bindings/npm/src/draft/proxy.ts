/**
 * Proxies: map and list drafts as the plain objects and arrays that the callback of `doc.change` works on.
 *
 * Always holds: one container has one proxy, so `===` works; what a document cannot do (holes, getters, other
 * prototypes) is refused with an error, never ignored.
 */

import { SelvedgeError } from "../error.js";
import type { Value } from "../types.js";
import { pathName } from "../util.js";
import { type ListDraft, type MapDraft, slotValue } from "./models.js";

const proxies = new WeakMap<MapDraft | ListDraft, object>();
const drafts = new WeakMap<object, MapDraft | ListDraft>();

/** What the application sees of a map or list. */
export function proxyOf(draft: MapDraft | ListDraft): object {
  let proxy = proxies.get(draft);
  if (!proxy) {
    proxy = draft.kind === "map" ? new Proxy({}, mapHandler(draft)) : new Proxy([], listHandler(draft));
    proxies.set(draft, proxy);
    drafts.set(proxy, draft);
  }
  return proxy;
}

/** The draft behind one of our proxies. */
export function draftOfProxy(value: unknown): MapDraft | ListDraft | undefined {
  return typeof value === "object" && value !== null ? drafts.get(value) : undefined;
}

/** The content of one of our proxies: what is copied when it is assigned somewhere else. */
export function contentOfProxy(value: object): Value | undefined {
  return drafts.get(value)?.plain();
}

function mapHandler(draft: MapDraft): ProxyHandler<object> {
  return {
    get(_, key) {
      draft.tx.check();
      const slot = typeof key === "string" ? draft.get(key) : undefined;
      return slot === undefined ? Reflect.get(Object.prototype, key) : slotValue(slot);
    },
    has(_, key) {
      return (typeof key === "string" && draft.get(key) !== undefined) || Reflect.has(Object.prototype, key);
    },
    set(_, key, value) {
      draft.set(checkKey(draft, key), value);
      return true;
    },
    deleteProperty(_, key) {
      if (typeof key === "string") draft.delete(key);
      return true;
    },
    ownKeys() {
      draft.tx.check();
      return draft.keys();
    },
    getOwnPropertyDescriptor(_, key) {
      const slot = typeof key === "string" ? draft.get(key) : undefined;
      if (slot === undefined) return undefined;
      return { value: slotValue(slot), writable: true, enumerable: true, configurable: true };
    },
    defineProperty(_, key, descriptor) {
      draft.set(checkKey(draft, key), plainDescriptor(draft, descriptor).value);
      return true;
    },
    ...refusals(draft),
  };
}

function listHandler(draft: ListDraft): ProxyHandler<unknown[]> {
  const methods = listMethods(draft);
  return {
    get(_, key, receiver) {
      draft.tx.check();
      const index = indexOf(key);
      if (index !== undefined) {
        const slot = draft.get(index);
        return slot === undefined ? undefined : slotValue(slot);
      }
      if (key === "length") return draft.length;
      if (typeof key === "string" && Object.hasOwn(methods, key)) return methods[key as keyof typeof methods];
      return Reflect.get(Array.prototype, key, receiver);
    },
    has(_, key) {
      const index = indexOf(key);
      return index === undefined ? key === "length" || Reflect.has(Array.prototype, key) : index < draft.length;
    },
    set(_, key, value) {
      if (key === "length") setLength(draft, value);
      else setIndex(draft, checkIndex(draft, key), value);
      return true;
    },
    deleteProperty(_, key) {
      const index = indexOf(key);
      if (index !== undefined && index < draft.length) draft.delete(index, 1);
      return true;
    },
    ownKeys() {
      draft.tx.check();
      return [...Array.from({ length: draft.length }, (_, i) => String(i)), "length"];
    },
    getOwnPropertyDescriptor(_, key) {
      if (key === "length") return { value: draft.length, writable: true, enumerable: false, configurable: false };
      const index = indexOf(key);
      const slot = index === undefined ? undefined : draft.get(index);
      if (slot === undefined) return undefined;
      return { value: slotValue(slot), writable: true, enumerable: true, configurable: true };
    },
    defineProperty(_, key, descriptor) {
      setIndex(draft, checkIndex(draft, key), plainDescriptor(draft, descriptor).value);
      return true;
    },
    ...refusals(draft),
  };
}

/** The methods of arrays that change them; the others work through the proxy as they are. */
function listMethods(draft: ListDraft) {
  const splice = (start: number, deleted: number, values: unknown[]) => {
    // Values first: if one is refused, nothing was deleted.
    draft.insert(start + deleted, values);
    return draft.delete(start, deleted);
  };
  return {
    push(...values: unknown[]) {
      draft.insert(draft.length, values);
      return draft.length;
    },
    unshift(...values: unknown[]) {
      draft.insert(0, values);
      return draft.length;
    },
    pop() {
      return draft.length === 0 ? undefined : draft.delete(draft.length - 1, 1)[0];
    },
    shift() {
      return draft.length === 0 ? undefined : draft.delete(0, 1)[0];
    },
    splice(...args: unknown[]) {
      if (args.length === 0) return [];
      const [start, deleted, ...values] = args;
      const from = relative(start, draft.length);
      const rest = draft.length - from;
      const count = args.length === 1 ? rest : Math.min(Math.max(Math.trunc(Number(deleted)) || 0, 0), rest);
      return splice(from, count, values);
    },
    sort(this: unknown[], compare?: (a: unknown, b: unknown) => number) {
      const byText = (a: unknown, b: unknown) => (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0);
      const values = Array.from(this);
      const order = values.map((_, i) => i).sort((a, b) => (compare ?? byText)(values[a], values[b]) || a - b);
      draft.reorder(order);
      return this;
    },
    reverse(this: unknown[]) {
      draft.reorder(Array.from({ length: draft.length }, (_, i) => draft.length - 1 - i));
      return this;
    },
    fill(): never {
      throw misuse(draft, "fill() is not supported on a list");
    },
    copyWithin(): never {
      throw misuse(draft, "copyWithin() is not supported on a list");
    },
  };
}

function setIndex(draft: ListDraft, index: number, value: unknown): void {
  if (index === draft.length) draft.insert(index, [value]);
  else draft.set(index, value);
}

function setLength(draft: ListDraft, length: unknown): void {
  const ok = typeof length === "number" && Number.isInteger(length) && length >= 0 && length <= draft.length;
  if (!ok) throw misuse(draft, `a list of ${draft.length} cannot be given the length ${String(length)}`, "Use push().");
  draft.delete(length, draft.length - length);
}

/** An index as `splice` takes it: negative ones count from the end. */
function relative(index: unknown, length: number): number {
  const number = Math.trunc(Number(index)) || 0;
  return number < 0 ? Math.max(length + number, 0) : Math.min(number, length);
}

function indexOf(key: string | symbol): number | undefined {
  return typeof key === "string" && /^(0|[1-9]\d{0,9})$/.test(key) ? Number(key) : undefined;
}

function checkIndex(draft: ListDraft, key: string | symbol): number {
  const index = indexOf(key);
  if (index === undefined) throw misuse(draft, `a list has no place for a property named ${String(key)}`);
  return index;
}

function checkKey(draft: MapDraft, key: string | symbol): string {
  if (typeof key === "symbol") {
    throw new SelvedgeError("unsupported-value", `a document cannot hold a symbol as key, ${String(key)}`, {
      path: pathName(draft.place()),
    });
  }
  return key;
}

function plainDescriptor(draft: MapDraft | ListDraft, descriptor: PropertyDescriptor): PropertyDescriptor {
  const plain = "value" in descriptor && descriptor.writable !== false && descriptor.enumerable !== false;
  if (!plain) throw misuse(draft, "a document holds plain properties only");
  return descriptor;
}

function refusals(draft: MapDraft | ListDraft): Pick<ProxyHandler<object>, "setPrototypeOf" | "preventExtensions"> {
  return {
    setPrototypeOf() {
      throw misuse(draft, "a draft's prototype cannot be changed");
    },
    preventExtensions() {
      throw misuse(draft, "a draft cannot be frozen");
    },
  };
}

function misuse(draft: MapDraft | ListDraft, message: string, hint = ""): SelvedgeError {
  return new SelvedgeError("invalid-use", message, { path: pathName(draft.place()), hint });
}

/** Inside `doc.change`: moves one element of a draft's array so that it ends up at index `to`. */
export function move(array: readonly unknown[], from: number, to: number): void {
  const draft = draftOfProxy(array);
  if (draft?.kind !== "list") {
    throw new SelvedgeError("invalid-use", "move() takes an array of the draft that doc.change() passes to its callback");
  }
  draft.move(from, to);
}

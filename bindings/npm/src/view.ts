/**
 * The view: what the document looks like now, as a tree of containers that patches change, and the frozen snapshots
 * that the application sees of it.
 *
 * Always holds: a snapshot is made at most once per change of its container, and shares what did not change with the
 * one before. Not here: edits (`draft`): the view follows the patches of the WebAssembly core, nothing else.
 */

import type { Scalar } from "./types.js";

export type Kind = "map" | "list" | "text" | "register" | "counter" | "set";

/** Kinds by the numbers that the core gives them. */
export const KINDS: readonly Kind[] = ["map", "list", "text", "register", "counter", "set"];

/** What a place in a map or list holds. */
export type Slot = Scalar | Node;

export type Node = MapNode | ListNode | TextNode | RegisterNode | CounterNode | SetNode;

abstract class ViewNode {
  parent: MapNode | ListNode | null = null;
  /** The key under which a map holds it; unused in lists. */
  key = "";
  #cache: unknown = STALE;

  snapshot(): unknown {
    if (this.#cache === STALE) this.#cache = this.build();
    return this.#cache;
  }

  /** Says that this container changed, and with it everything around it. */
  touch(): void {
    for (let node: ViewNode | null = this; node && node.#cache !== STALE; node = node.parent) node.#cache = STALE;
  }

  protected abstract build(): unknown;
}

const STALE = Symbol("stale");

export class MapNode extends ViewNode {
  readonly kind = "map";
  #slots = new Map<string, Slot>();
  #sorted = true;

  get slots(): ReadonlyMap<string, Slot> {
    return this.#slots;
  }

  put(key: string, slot: Slot): void {
    if (isNode(slot) && this.#slots.get(key) === slot) return;
    detach(this.#slots.get(key), slot);
    if (!this.#slots.has(key)) this.#sorted = false;
    this.#slots.set(key, slot);
    if (isNode(slot)) {
      slot.parent = this;
      slot.key = key;
    }
    this.touch();
  }

  clear(): void {
    for (const slot of this.#slots.values()) detach(slot, undefined);
    this.#slots.clear();
    this.touch();
  }

  delete(key: string): void {
    detach(this.#slots.get(key), undefined);
    this.#slots.delete(key);
    this.touch();
  }

  protected build(): unknown {
    if (!this.#sorted) {
      this.#slots = new Map([...this.#slots].sort(([a], [b]) => (a < b ? -1 : 1)));
      this.#sorted = true;
    }
    const object: Record<string, unknown> = {};
    for (const [key, slot] of this.#slots) defineKey(object, key, slotSnapshot(slot));
    return Object.freeze(object);
  }
}

export class ListNode extends ViewNode {
  readonly kind = "list";
  readonly slots: Slot[] = [];

  insert(index: number, slots: readonly Slot[]): void {
    for (const slot of slots) if (isNode(slot)) slot.parent = this;
    this.slots.splice(index, 0, ...slots);
    this.touch();
  }

  delete(index: number, length: number): void {
    for (const slot of this.slots.splice(index, length)) detach(slot, undefined);
    this.touch();
  }

  set(index: number, slot: Slot): void {
    detach(this.slots[index], slot);
    this.slots[index] = slot;
    if (isNode(slot)) slot.parent = this;
    this.touch();
  }

  protected build(): unknown {
    return Object.freeze(this.slots.map(slotSnapshot));
  }
}

export class TextNode extends ViewNode {
  readonly kind = "text";
  text = "";

  splice(index: number, deleted: number, insert: string): void {
    this.text = this.text.slice(0, index) + insert + this.text.slice(index + deleted);
    this.touch();
  }

  protected build(): unknown {
    return this.text;
  }
}

export class CounterNode extends ViewNode {
  readonly kind = "counter";
  total: number | bigint = 0;

  set(total: number | bigint): void {
    this.total = total;
    this.touch();
  }

  protected build(): unknown {
    return this.total;
  }
}

export class SetNode extends ViewNode {
  readonly kind = "set";
  values: readonly Scalar[] = [];

  set(values: readonly Scalar[]): void {
    this.values = Object.freeze(values);
    this.touch();
  }

  protected build(): unknown {
    return this.values;
  }
}

export class RegisterNode extends ViewNode {
  readonly kind = "register";
  value: Scalar | undefined = undefined;

  set(value: Scalar | undefined): void {
    this.value = value;
    this.touch();
  }

  protected build(): unknown {
    return this.value ?? null;
  }
}

const NODES = { map: MapNode, list: ListNode, text: TextNode, register: RegisterNode, counter: CounterNode, set: SetNode };

export function makeNode(kind: Kind): Node {
  return new NODES[kind]();
}

export function isNode(slot: unknown): slot is Node {
  return slot instanceof ViewNode;
}

export function slotSnapshot(slot: Slot): unknown {
  return isNode(slot) ? slot.snapshot() : slot;
}

/** Whether a container can be reached from the root. */
export function isAttached(node: Node, root: MapNode): boolean {
  let at: Node = node;
  while (at.parent) at = at.parent;
  return at === root;
}

/** The keys that lead from the root to a container. */
export function nodePath(node: Node): (string | number)[] {
  const path: (string | number)[] = [];
  for (let at: Node = node; at.parent; at = at.parent) {
    path.unshift(at.parent instanceof MapNode ? at.key : at.parent.slots.indexOf(at));
  }
  return path;
}

/** Sets an own property, whatever its name is. */
export function defineKey(object: Record<string, unknown>, key: string, value: unknown): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}

function detach(slot: Slot | undefined, replacement: Slot | undefined): void {
  if (isNode(slot) && slot !== replacement) slot.parent = null;
}

/**
 * Drafts of the six kinds of container: what each looks like inside of a change, and the commands that it gives.
 *
 * Always holds: reading sees the change's own edits; an edit that is refused has given no command. A draft copies its
 * container when it is first needed, shallowly.
 */

import { SelvedgeError } from "../error.js";
import { checkString, normalise, type Plain, scalar } from "../normalise.js";
import { equalScalars } from "../equal.js";
import type { DeltaOp, Expand, Scalar, Value } from "../types.js";
import { pathName, splitsPair } from "../util.js";
import {
  type CounterNode, defineKey, isNode, type Kind, type ListNode, type MapNode, type Node, type RegisterNode, type SetNode,
  type TextNode,
} from "../view.js";
import { readDelta, ruleNumber } from "./delta.js";
import { contentOfProxy, proxyOf } from "./proxy.js";
import {
  type CommandPath, type Draft, draftOf, draftPlain, type DraftSlot, draftSlot, kindNumber, place, type Transaction,
} from "./transaction.js";

abstract class AnyDraft {
  abstract readonly kind: Kind;
  parent: MapDraft | ListDraft | null = null;
  /** The key under which a map holds it; unused in lists. */
  key = "";
  /** Whether it was taken out of the document in this change. */
  removed = false;
  readonly tx: Transaction;
  /** The container of the view that this is a draft of. */
  readonly source: Node | null;

  constructor(tx: Transaction, source: Node | null) {
    this.tx = tx;
    this.source = source;
  }

  /** What snapshots and JSON show. */
  abstract plain(): Value;

  /** Keys from the root, for people. */
  place(): (string | number)[] {
    if (!this.parent) return [];
    const key = this.parent.kind === "map" ? this.key : this.parent.indexOf(this);
    return [...this.parent.place(), key];
  }

  /** Keys and kinds from the root, for the core. */
  protected path(): CommandPath {
    this.checkInPlace();
    const path: CommandPath = [];
    for (let at: AnyDraft = this; at.parent; at = at.parent) {
      const { parent } = at;
      if (parent.kind === "map") parent.realise(at.key);
      path.unshift(parent.kind === "map" ? at.key : parent.indexOf(at), kindNumber(at.kind));
    }
    return path;
  }

  protected checkInPlace(): void {
    this.tx.check();
    for (let at: AnyDraft | null = this; at; at = at.parent) {
      if (!at.removed) continue;
      throw new SelvedgeError("stale", "this part of the document was removed earlier in the same change", {
        path: pathName(this.place()),
        hint: "Read it from the draft again, or insert a copy.",
      });
    }
  }
}

export class MapDraft extends AnyDraft {
  readonly kind = "map";
  #node: MapNode | null;
  #slots: Map<string, DraftSlot> | null = null;
  readonly #gone = new Set<string>();
  /** Containers that were asked for and are not there yet. */
  readonly #promised = new Map<string, Draft>();

  constructor(tx: Transaction, node: MapNode | null) {
    super(tx, node);
    this.#node = node;
  }

  /** The slot of a key; its draft is made when it is first asked for. */
  get(key: string): DraftSlot | undefined {
    const own = this.#slots?.get(key);
    if (own !== undefined || this.#slots?.has(key)) return own;
    const slot = this.#gone.has(key) ? undefined : this.#node?.slots.get(key);
    if (slot === undefined) return undefined;
    const draft = draftSlot(this.tx, slot, this, key);
    this.#own().set(key, draft);
    return draft;
  }

  keys(): string[] {
    const keys = new Set<string>();
    for (const key of this.#node?.slots.keys() ?? []) if (!this.#gone.has(key)) keys.add(key);
    for (const key of this.#slots?.keys() ?? []) keys.add(key);
    return [...keys].sort();
  }

  set(key: string, value: unknown): void {
    const at = [...this.place(), key];
    checkString(key, at, "a key");
    const old = this.get(key);
    if (isDraft(old) && old.kind !== "map" && old.kind !== "list") throw wrongKind(at, old.kind);
    const plain = normalise(value, at, contentOfProxy);
    this.tx.give(["mapSet", this.path(), key, plain]);
    remove(old ?? this.#promised.get(key));
    this.#promised.delete(key);
    this.#own().set(key, draftPlain(this.tx, plain, this, key));
  }

  delete(key: string): void {
    const old = this.get(key);
    if (old === undefined) return;
    this.tx.give(["mapDelete", this.path(), key]);
    remove(old);
    this.#own().delete(key);
    this.#gone.add(key);
  }

  /** A command is about to be given for a container that was only asked for so far: now it is there. */
  realise(key: string): void {
    const draft = this.#promised.get(key);
    if (!draft) return;
    this.#promised.delete(key);
    this.#own().set(key, draft);
  }

  /** The container of a kind under a key; made by the first command for it if there is nothing yet. */
  child(key: string, kind: Kind): Draft {
    const old = this.get(key) ?? this.#promised.get(key);
    if (old === undefined) {
      checkString(key, [...this.place(), key], "a key");
      const draft = place(draftOf(this.tx, kind, null), this, key);
      this.#promised.set(key, draft);
      return draft;
    }
    if (!isDraft(old) || old.kind !== kind) throw notA(kind, [...this.place(), key], old);
    return old;
  }

  fill(plain: { [key: string]: Plain }): void {
    for (const [key, value] of Object.entries(plain)) this.#own().set(key, draftPlain(this.tx, value, this, key));
  }

  plain(): Value {
    const object: Record<string, Value> = {};
    for (const key of this.keys()) {
      const slot = this.get(key);
      if (slot !== undefined) defineKey(object, key, slotPlain(slot));
    }
    return object;
  }

  #own(): Map<string, DraftSlot> {
    this.#slots ??= new Map();
    return this.#slots;
  }
}

export class ListDraft extends AnyDraft {
  readonly kind = "list";
  readonly #node: ListNode | null;
  /** A container of the view becomes a draft when it is asked for. */
  #slots: (DraftSlot | Node)[] | null = null;

  constructor(tx: Transaction, node: ListNode | null) {
    super(tx, node);
    this.#node = node;
  }

  get length(): number {
    return this.#slots?.length ?? this.#node?.slots.length ?? 0;
  }

  get(index: number): DraftSlot | undefined {
    const slots = this.#own();
    const slot = slots[index];
    if (slot === undefined || !isNode(slot)) return slot;
    const draft = draftSlot(this.tx, slot, this, "");
    slots[index] = draft;
    return draft;
  }

  /** The draft of a container that the view has in this list; `null` if it was taken out. */
  find(node: Node): Draft | null {
    const index = this.#own().findIndex((slot) => slot === node || (slot instanceof AnyDraft && slot.source === node));
    const slot = index < 0 ? undefined : this.get(index);
    return isDraft(slot) ? slot : null;
  }

  indexOf(draft: AnyDraft): number {
    return this.#own().indexOf(draft as Draft);
  }

  insert(index: number, values: readonly unknown[]): void {
    this.#checkRange(index, 0);
    if (values.length === 0) return;
    const at = this.place();
    const plain = values.map((value, i) => normalise(value, [...at, index + i], contentOfProxy));
    this.tx.give(["listInsert", this.path(), index, plain]);
    this.#own().splice(index, 0, ...plain.map((value) => draftPlain(this.tx, value, this, "")));
  }

  set(index: number, value: unknown): void {
    this.#checkRange(index, 1);
    const at = [...this.place(), index];
    const old = this.get(index);
    if (isDraft(old) && old.kind !== "map" && old.kind !== "list") throw wrongKind(at, old.kind);
    const plain = normalise(value, at, contentOfProxy);
    this.tx.give(["listSet", this.path(), index, plain]);
    remove(old);
    this.#own()[index] = draftPlain(this.tx, plain, this, "");
  }

  /** Deletes elements; returns copies of them. */
  delete(index: number, length: number): Value[] {
    this.#checkRange(index, length);
    if (length === 0) return [];
    this.tx.give(["listDelete", this.path(), index, length]);
    const gone = this.#own().splice(index, length);
    const copies = gone.map(slotPlain);
    gone.forEach(remove);
    return copies;
  }

  move(from: number, to: number): void {
    this.#checkRange(from, 1);
    this.#checkRange(to, 1);
    if (from === to) return;
    this.tx.give(["listMove", this.path(), from, to]);
    const slots = this.#own();
    slots.splice(to, 0, ...slots.splice(from, 1));
  }

  /** Puts the elements into another order, given as the places where they are now: one move per misplaced element. */
  reorder(order: readonly number[]): void {
    const slots = [...this.#own()];
    order.forEach((was, to) => {
      const from = this.#own().indexOf(slots[was] as DraftSlot, to);
      if (from > to) this.move(from, to);
    });
  }

  child(index: number, kind: Kind): Draft {
    this.#checkRange(index, 1);
    const old = this.get(index);
    if (isDraft(old) && old.kind === kind) return old;
    throw notA(kind, [...this.place(), index], old);
  }

  fill(plain: readonly Plain[]): void {
    this.#slots = plain.map((value) => draftPlain(this.tx, value, this, ""));
  }

  plain(): Value {
    return this.#own().map(slotPlain);
  }

  #own(): (DraftSlot | Node)[] {
    this.#slots ??= [...(this.#node?.slots ?? [])];
    return this.#slots;
  }

  #checkRange(index: number, length: number): void {
    checkRange(this, index, length, this.length, "list");
  }
}

export class TextDraft extends AnyDraft {
  readonly kind = "text";
  #text: string;

  constructor(tx: Transaction, node: TextNode | null) {
    super(tx, node);
    this.#text = node?.text ?? "";
  }

  get text(): string {
    return this.#text;
  }

  splice(index: number, deleted: number, insert: string): void {
    checkString(insert, this.place());
    this.#check(this.#text, index, deleted);
    if (deleted === 0 && insert === "") return;
    this.tx.give(["textSplice", this.path(), index, deleted, insert]);
    this.#text = this.#text.slice(0, index) + insert + this.#text.slice(index + deleted);
  }

  /** Marks a part of the text; `null` takes the mark away. */
  mark(index: number, length: number, key: string, value: Scalar, expand?: Expand): void {
    const place = this.place();
    this.#check(this.#text, index, length);
    const [name, plain, rule] = [checkString(key, place), scalar(value, [...place, key]), ruleNumber(expand, place)];
    this.tx.give(["textMark", this.path(), index, length, name, plain, rule]);
  }

  applyDelta(delta: readonly DeltaOp[], expand: { readonly [key: string]: Expand }): void {
    const check = (text: string, index: number, length: number) => this.#check(text, index, length);
    const { steps, text } = readDelta(delta, expand, this.#text, this.place(), check);
    this.tx.give(["textDelta", this.path(), steps]);
    this.#text = text;
  }

  plain(): Value {
    return this.#text;
  }

  #check(text: string, index: number, length: number): void {
    checkRange(this, index, length, text.length, "text");
    if (splitsPair(text, index) || splitsPair(text, index + length)) {
      throw new SelvedgeError("out-of-range", `positions ${index} to ${index + length} cut a surrogate pair in two`, {
        path: pathName(this.place()),
        hint: "Positions count UTF-16 units; an emoji has two or more and is inserted and deleted as a whole.",
      });
    }
  }
}

export class CounterDraft extends AnyDraft {
  readonly kind = "counter";
  #total: number | bigint;

  constructor(tx: Transaction, node: CounterNode | null) {
    super(tx, node);
    this.#total = node?.total ?? 0;
  }

  add(by: number): void {
    if (!Number.isSafeInteger(by)) {
      throw new SelvedgeError("unsupported-value", `a counter cannot add ${String(by)}`, {
        path: pathName(this.place()),
        hint: "Counters add whole numbers.",
      });
    }
    this.tx.give(["counterAdd", this.path(), by]);
    const total = BigInt(this.#total) + BigInt(by);
    this.#total = Number.isSafeInteger(Number(total)) ? Number(total) : total;
  }

  plain(): Value {
    return this.#total;
  }
}

export class SetDraft extends AnyDraft {
  readonly kind = "set";
  #values: readonly Scalar[];

  constructor(tx: Transaction, node: SetNode | null) {
    super(tx, node);
    this.#values = node?.values ?? [];
  }

  has(value: Scalar): boolean {
    return this.#values.some((known) => equalScalars(known, value));
  }

  add(value: unknown): void {
    const checked = scalar(value, this.place());
    this.tx.give(["setAdd", this.path(), checked]);
    if (!this.has(checked)) this.#values = [...this.#values, checked];
  }

  remove(value: unknown): void {
    const checked = scalar(value, this.place());
    if (!this.has(checked)) return;
    this.tx.give(["setRemove", this.path(), checked]);
    this.#values = this.#values.filter((known) => !equalScalars(known, checked));
  }

  plain(): readonly Scalar[] {
    return this.#values;
  }
}

export class RegisterDraft extends AnyDraft {
  readonly kind = "register";
  #value: Scalar | undefined;

  constructor(tx: Transaction, node: RegisterNode | null) {
    super(tx, node);
    this.#value = node?.value;
  }

  get value(): Scalar | undefined {
    return this.#value;
  }

  set(value: unknown): void {
    const checked = scalar(value, this.place());
    this.tx.give(["registerSet", this.path(), checked]);
    this.#value = checked;
  }

  clear(): void {
    this.tx.give(["registerClear", this.path()]);
    this.#value = undefined;
  }

  plain(): Value {
    return this.#value ?? null;
  }
}

export function isDraft(slot: DraftSlot | undefined): slot is Draft {
  return slot instanceof AnyDraft;
}

/** What the application reads of a slot inside of a change. */
export function slotValue(slot: DraftSlot): unknown {
  if (!isDraft(slot)) return slot;
  return slot.kind === "map" || slot.kind === "list" ? proxyOf(slot) : slot.plain();
}

function slotPlain(slot: DraftSlot | Node): Value {
  if (isNode(slot)) return slot.snapshot() as Value;
  return isDraft(slot) ? slot.plain() : slot;
}

function remove(slot: DraftSlot | Node | undefined): void {
  if (slot instanceof AnyDraft) slot.removed = true;
}

function checkRange(draft: AnyDraft, index: number, length: number, size: number, what: string): void {
  const ok = Number.isInteger(index) && Number.isInteger(length) && index >= 0 && length >= 0 && index + length <= size;
  if (ok) return;
  const range = length > 1 ? `${index} to ${index + length - 1}` : String(index);
  throw new SelvedgeError("out-of-range", `position ${range} is outside of the ${what}, which has a length of ${size}`, {
    path: pathName(draft.place()),
  });
}

function wrongKind(path: (string | number)[], kind: Kind): SelvedgeError {
  const last = JSON.stringify(path.length === 1 ? path[0] : path);
  return new SelvedgeError("wrong-kind", `a ${kind} lives here: an assignment would replace it for everybody`, {
    path: pathName(path),
    hint: `Edit it with doc.${kind}(${last}), or delete the key first.`,
  });
}

function notA(kind: Kind, path: (string | number)[], found: DraftSlot | undefined): SelvedgeError {
  const what = isDraft(found) ? `a ${found.kind}` : "a plain value";
  return new SelvedgeError("wrong-kind", `${what} lives here, not a ${kind}`, {
    path: pathName(path),
    hint: "Use another key, or delete it first.",
  });
}

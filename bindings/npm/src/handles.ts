/**
 * Handles: containers that are asked for by name, inside of a change or outside of one.
 *
 * Always holds: a handle that was reached through a list follows its element; reading inside of a change sees the
 * change's own edits. Not here: rules (`draft/models` has them).
 */

import { diff } from "./diff.js";
import type { DocumentObject } from "./document.js";
import type { CounterDraft, ListDraft, MapDraft, RegisterDraft, SetDraft, TextDraft } from "./draft/models.js";
import type { Draft, Transaction } from "./draft/transaction.js";
import { equalScalars } from "./equal.js";
import { SelvedgeError } from "./error.js";
import { bindElement } from "./bind.js";
import type {
  Attributes, Blame, ChangeEvent, Children, CounterHandle, DeltaOp, Expand, Handle, ListHandle, MapHandle, MarkChange, RegisterHandle,
  Scalar, SetHandle, Snapshot, Splice, TextEvent, TextHandle, Unsubscribe, Value,
} from "./types.js";
import { pathName } from "./util.js";
import {
  type CounterNode, defineKey, isAttached, isNode, type Kind, type ListNode, type MapNode, type Node, nodePath, type RegisterNode,
  type SetNode, type Slot, type TextNode,
} from "./view.js";

type Host = DocumentObject<object>;
type Keys = readonly (string | number)[];

interface Nodes {
  map: MapNode;
  list: ListNode;
  text: TextNode;
  register: RegisterNode;
  counter: CounterNode;
  set: SetNode;
}

interface Drafts {
  map: MapDraft;
  list: ListDraft;
  text: TextDraft;
  register: RegisterDraft;
  counter: CounterDraft;
  set: SetDraft;
}

abstract class View<K extends Kind, V> implements Handle<V> {
  protected readonly host: Host;
  protected abstract readonly kind: K;
  /** The keys behind the anchor, or from the root. */
  readonly #keys: Keys;
  /** An element of a list that the handle was reached through. */
  readonly #anchor: Node | null;

  constructor(host: Host, keys: Keys, anchor: Node | null = null) {
    this.host = host;
    this.#keys = keys;
    this.#anchor = anchor;
  }

  /** Who wrote the content of a text or list. */
  protected blamed(): readonly Blame[] {
    const node = this.node();
    const handle = node && this.host.mirror.handleOf(node);
    return handle === undefined || handle === null ? [] : this.host.blame(handle);
  }

  get path(): Keys {
    return this.#anchor ? [...nodePath(this.#anchor), ...this.#keys] : this.#keys;
  }

  get value(): V {
    return this.read();
  }

  subscribe(listener: (value: V, event: ChangeEvent) => void): Unsubscribe {
    return this.host.watch(() => this.viewed(), listener);
  }

  /** The content outside of a change. */
  protected abstract viewed(): V;

  /** The content of a draft. */
  protected abstract drafted(draft: Drafts[K]): V;

  protected read(): V {
    const tx = this.host.transaction;
    return tx ? this.drafted(this.draft(tx)) : this.viewed();
  }

  protected edit<R>(work: (draft: Drafts[K]) => R): R {
    return this.host.edit((tx) => work(this.draft(tx)));
  }

  /** The container in the view, or `null` if there is none yet. */
  protected node(): Nodes[K] | null {
    let at: Node | null = this.#anchor ?? this.host.mirror.root;
    if (this.#anchor && !isAttached(this.#anchor, this.host.mirror.root)) throw this.#stale();
    for (const key of this.#keys) {
      if (!at) return null;
      const slot: Slot | undefined = at.kind === "map" && typeof key === "string" ? at.slots.get(key)
        : at.kind === "list" && typeof key === "number" ? at.slots[key]
        : undefined;
      at = isNode(slot) ? slot : null;
    }
    return at?.kind === this.kind ? (at as Nodes[K]) : null;
  }

  /** The container in a change, made when it is first written to. */
  protected draft(tx: Transaction): Drafts[K] {
    let at: Draft = this.#anchor ? this.#anchorDraft(tx, this.#anchor) : tx.root;
    this.#keys.forEach((key, i) => {
      const next = this.#keys[i + 1];
      const kind = i === this.#keys.length - 1 ? this.kind : typeof next === "number" ? "list" : "map";
      if (at.kind === "map" && typeof key === "string") at = at.child(key, kind);
      else if (at.kind === "list" && typeof key === "number") at = at.child(key, kind);
      else throw this.#noPlace(i, at);
    });
    if (at.kind !== this.kind) throw this.#noPlace(this.#keys.length, at);
    return at as Drafts[K];
  }

  /** The core's number of the container, `null` if there is none yet. What asks for it cannot see an open change. */
  protected handle(): number | null {
    if (this.host.transaction) {
      throw new SelvedgeError("invalid-use", "this reads the document, which does not have the edits of an open change yet", {
        path: pathName(this.path),
        hint: "Call it before or after doc.change().",
      });
    }
    const node = this.node();
    return node ? this.host.mirror.handleOf(node) ?? null : null;
  }

  protected anchorAt(index: number, side: "before" | "after"): string {
    const handle = this.handle();
    if (handle !== null) return this.host.anchor(handle, index, side === "after");
    throw new SelvedgeError("out-of-range", "there is nothing here that an anchor could stay with", {
      path: pathName(this.path),
      hint: "Write to the text or list first.",
    });
  }

  /** Keys and anchor for a handle of something inside. */
  protected inside(key: string | number): [Host, Keys, Node | null] {
    if (typeof key === "string") return [this.host, [...this.#keys, key], this.#anchor];
    const node = this.node();
    const slot = node?.kind === "list" ? node.slots[key] : undefined;
    if (isNode(slot)) return [this.host, [], slot];
    throw new SelvedgeError("wrong-kind", "no container lives at this index", {
      path: pathName([...this.path, key]),
      hint: "Insert an object or array first.",
    });
  }

  #anchorDraft(tx: Transaction, node: Node): Draft {
    const { parent } = node;
    if (!parent) {
      if (node === this.host.mirror.root) return tx.root;
      throw this.#stale();
    }
    const around = this.#anchorDraft(tx, parent);
    const draft = around.kind === "list" ? around.find(node)
      : around.kind === "map" && around.get(node.key) !== undefined ? around.child(node.key, node.kind)
      : null;
    if (!draft) throw this.#stale();
    return draft;
  }

  #stale(): SelvedgeError {
    return new SelvedgeError("stale", "the list element that this handle belongs to was removed");
  }

  #noPlace(depth: number, found: Draft): SelvedgeError {
    return new SelvedgeError("wrong-kind", `a ${found.kind} lives here, which cannot hold what comes after it`, {
      path: pathName(this.path.slice(0, depth)),
    });
  }
}

export class TextView extends View<"text", string> implements TextHandle {
  protected readonly kind = "text";

  get length(): number {
    return this.read().length;
  }

  override toString(): string {
    return this.read();
  }

  insert(index: number, text: string): void {
    this.splice(index, 0, text);
  }

  delete(index: number, length = 1): void {
    this.splice(index, length);
  }

  splice(index: number, deleteLength: number, insert = ""): void {
    this.edit((draft) => draft.splice(index, deleteLength, insert));
  }

  blame(): readonly Blame[] {
    return this.blamed();
  }

  append(text: string): void {
    this.edit((draft) => draft.splice(draft.text.length, 0, text));
  }

  applyDiff(next: string, caret?: number): void {
    this.edit((draft) => {
      const change = diff(draft.text, next, caret);
      if (change) draft.splice(change.index, change.delete, change.insert);
    });
  }

  mark(index: number, length: number, key: string, value: Exclude<Scalar, null>, expand?: Expand): void {
    this.edit((draft) => {
      if (value !== null) return draft.mark(index, length, key, value, expand);
      throw new SelvedgeError("unsupported-value", "a mark cannot be null", {
        path: pathName(this.path),
        hint: "Take a mark away with unmark().",
      });
    });
  }

  unmark(index: number, length: number, key: string): void {
    this.edit((draft) => draft.mark(index, length, key, null));
  }

  toDelta(): DeltaOp[] {
    const handle = this.handle();
    const runs = handle === null ? [] : this.host.runs(handle);
    return runs.map(([insert, ...marks]) => {
      if (marks.length === 0) return { insert };
      const attributes: Record<string, Scalar> = {};
      for (let i = 0; i < marks.length; i += 2) defineKey(attributes, marks[i] as string, marks[i + 1] as Scalar);
      return { insert, attributes };
    });
  }

  applyDelta(delta: readonly DeltaOp[], expand: { readonly [key: string]: Expand } = {}): void {
    this.edit((draft) => draft.applyDelta(delta, expand));
  }

  anchor(index: number, side: "before" | "after" = "after"): string {
    return this.anchorAt(index, side);
  }

  observe(listener: (event: TextEvent) => void): Unsubscribe {
    let node = this.node();
    let text = this.viewed();
    return this.host.observe((event, texts) => {
      const now = this.node();
      const told = now && (texts.get(now) ?? []);
      const changes = now === node && told ? told : [...oneSplice(text, now?.text ?? ""), ...marksOf(this.toDelta())];
      const splices = changes.filter((change): change is Splice => "insert" in change);
      node = now;
      // Later changes may be in the view already: the splices say what this one made of the text.
      text = splices.reduce((known, { index, delete: deleted, insert }) =>
        known.slice(0, index) + insert + known.slice(index + deleted), text);
      if (changes.length > 0) listener({ local: event.local, splices, changes });
    });
  }

  bind(element: HTMLTextAreaElement | HTMLInputElement): Unsubscribe {
    return bindElement(this, element);
  }

  protected viewed(): string {
    return this.node()?.text ?? "";
  }

  protected drafted(draft: TextDraft): string {
    return draft.text;
  }
}

function oneSplice(before: string, after: string): readonly Splice[] {
  const change = diff(before, after);
  return change ? [change] : [];
}

/** What makes a text without marks one with these. */
function marksOf(delta: readonly DeltaOp[]): MarkChange[] {
  const marks: MarkChange[] = [];
  let index = 0;
  for (const op of delta) {
    const { length } = (op as { insert: string }).insert;
    const { attributes = {} } = op as { attributes?: Attributes };
    for (const [key, value] of Object.entries(attributes)) marks.push({ index, length, key, value });
    index += length;
  }
  return marks;
}

export class CounterView extends View<"counter", number> implements CounterHandle {
  protected readonly kind = "counter";

  add(by = 1): void {
    this.edit((draft) => draft.add(by));
  }

  protected viewed(): number {
    return Number(this.node()?.total ?? 0);
  }

  protected drafted(draft: CounterDraft): number {
    return Number(draft.plain());
  }
}

export class SetView<V extends Scalar> extends View<"set", readonly V[]> implements SetHandle<V> {
  protected readonly kind = "set";

  get size(): number {
    return this.read().length;
  }

  has(value: V): boolean {
    return this.read().some((known) => equalScalars(known, value));
  }

  values(): readonly V[] {
    return this.read();
  }

  add(value: V): void {
    this.edit((draft) => draft.add(value));
  }

  remove(value: V): void {
    this.edit((draft) => draft.remove(value));
  }

  protected viewed(): readonly V[] {
    return (this.node()?.values ?? []) as readonly V[];
  }

  protected drafted(draft: SetDraft): readonly V[] {
    return draft.plain() as readonly V[];
  }
}

export class RegisterView<V extends Scalar> extends View<"register", V | undefined> implements RegisterHandle<V> {
  protected readonly kind = "register";

  set(value: V): void {
    this.edit((draft) => draft.set(value));
  }

  clear(): void {
    this.edit((draft) => draft.clear());
  }

  conflicts(): readonly V[] {
    const node = this.node();
    const handle = node && this.host.mirror.handleOf(node);
    return handle === undefined || handle === null ? [] : (this.host.conflicts(handle, undefined) as V[]);
  }

  protected viewed(): V | undefined {
    return this.node()?.value as V | undefined;
  }

  protected drafted(draft: RegisterDraft): V | undefined {
    return draft.value as V | undefined;
  }
}

/** Maps and lists: handles of what is inside. */
abstract class Outer<K extends "map" | "list", V, Key extends string | number> extends View<K, V> implements Children<Key> {
  text(key: Key): TextHandle {
    return new TextView(...this.inside(key));
  }

  counter(key: Key): CounterHandle {
    return new CounterView(...this.inside(key));
  }

  setAt(key: Key): SetHandle {
    return new SetView(...this.inside(key));
  }

  register(key: Key): RegisterHandle {
    return new RegisterView(...this.inside(key));
  }

  list<E = Value>(key: Key): ListHandle<E> {
    return new ListView<E>(...this.inside(key));
  }

  map<E = Value>(key: Key): MapHandle<E> {
    return new MapView<E>(...this.inside(key));
  }
}

export class ListView<E> extends Outer<"list", readonly Snapshot<E>[], number> implements ListHandle<E> {
  protected readonly kind = "list";

  get length(): number {
    const tx = this.host.transaction;
    return tx ? this.draft(tx).length : (this.node()?.slots.length ?? 0);
  }

  get(index: number): Snapshot<E> | undefined {
    return this.read()[index];
  }

  blame(): readonly Blame[] {
    return this.blamed();
  }

  push(...values: E[]): void {
    this.edit((draft) => draft.insert(draft.length, values));
  }

  insert(index: number, ...values: E[]): void {
    this.edit((draft) => draft.insert(index, values));
  }

  set(index: number, value: E): void {
    this.edit((draft) => draft.set(index, value));
  }

  delete(index: number, length = 1): void {
    this.edit((draft) => void draft.delete(index, length));
  }

  move(from: number, to: number): void {
    this.edit((draft) => draft.move(from, to));
  }

  anchor(index: number, side: "before" | "after" = "after"): string {
    return this.anchorAt(index, side);
  }

  protected viewed(): readonly Snapshot<E>[] {
    return (this.node()?.snapshot() ?? EMPTY_LIST) as readonly Snapshot<E>[];
  }

  protected drafted(draft: ListDraft): readonly Snapshot<E>[] {
    return draft.plain() as unknown as readonly Snapshot<E>[];
  }
}

type Entries<V> = { readonly [key: string]: Snapshot<V> };

export class MapView<V> extends Outer<"map", Entries<V>, string> implements MapHandle<V> {
  protected readonly kind = "map";

  has(key: string): boolean {
    return Object.hasOwn(this.read(), key);
  }

  get(key: string): Snapshot<V> | undefined {
    const entries = this.read();
    return Object.hasOwn(entries, key) ? entries[key] : undefined;
  }

  keys(): readonly string[] {
    return Object.keys(this.read());
  }

  set(key: string, value: V): void {
    this.edit((draft) => draft.set(key, value));
  }

  delete(key: string): void {
    this.edit((draft) => draft.delete(key));
  }

  conflicts(key: string): readonly Value[] {
    const node = this.node();
    const handle = node && this.host.mirror.handleOf(node);
    return handle === undefined || handle === null ? [] : this.host.conflicts(handle, key);
  }

  protected viewed(): Entries<V> {
    return (this.node()?.snapshot() ?? EMPTY_MAP) as Entries<V>;
  }

  protected drafted(draft: MapDraft): Entries<V> {
    return draft.plain() as Entries<V>;
  }
}

const EMPTY_LIST: readonly never[] = Object.freeze([]);
const EMPTY_MAP = Object.freeze({});



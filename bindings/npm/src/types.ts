/**
 * The public types: what `open` gives back and takes.
 *
 * Always holds: nothing here has a body. Positions and lengths in texts count UTF-16 units, as JavaScript strings do.
 */

import type { SelvedgeError } from "./error.js";

/** What a document can hold as plain data. `Uint8Array` is kept as bytes. */
export type Value = null | boolean | number | bigint | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value };

/** Values that are replaced as a whole. */
export type Scalar = null | boolean | number | bigint | string | Uint8Array;

/** A read-only view of `T`. Two snapshots share every part that did not change (`===`). */
export type Snapshot<T> = 0 extends 1 & T ? any
  : T extends Scalar ? T
  : T extends readonly (infer E)[] ? readonly Snapshot<E>[]
  : { readonly [K in keyof T]: Snapshot<T[K]> };

/** Takes back a subscription. May be called twice. */
export type Unsubscribe = () => void;

/** The part of the WebSocket constructor that is used (the browser's own, or the `ws` package's). */
export type WebSocketConstructor = new (url: string) => WebSocket;

export interface OpenOptions<T> {
  /** A relay's address, `ws://` or `wss://`. Without it the document is kept here and in this browser's tabs. */
  relay?: string | undefined;
  /** The credential for the relay, or a function that fetches a fresh one before every connection. */
  token?: string | (() => string | Promise<string>) | undefined;
  /** What an empty document starts with: the same bytes on every client, so it is never there twice. */
  init?: Partial<T> | undefined;
  /** Where the document is kept. Default: `indexeddb` where there is one, otherwise an error that says so. */
  store?: "indexeddb" | "memory" | undefined;
  /** Whether tabs of this browser talk to each other directly. Default: yes, where BroadcastChannel exists. */
  tabs?: boolean | undefined;
  /** Another WebSocket implementation. Default: the global one. */
  webSocket?: WebSocketConstructor | undefined;
}

/** What made a new snapshot. */
export interface ChangeEvent {
  /** Whether this document object made it (not another tab, device or person). */
  readonly local: boolean;
}

/** Where this document's own edits have got to. Each flag tells of everything edited so far. */
export interface Status {
  /** Saved on this device. */
  readonly saved: boolean;
  /** The relay (or another remote peer) is connected and has the document open. */
  readonly connected: boolean;
  /** The relay has received it. */
  readonly sent: boolean;
  /** The relay has stored it durably. */
  readonly durable: boolean;
  /** Everything that the relay had when the document was opened has arrived. */
  readonly caughtUp: boolean;
  /**
   * How many operations of that have not arrived yet: counts down to 0 while a large history comes in, and goes on where
   * it stopped after a lost connection.
   */
  readonly behind: number;
  /** Neither `offline(true)` nor the browser's own offline state. */
  readonly online: boolean;
  /** Other tabs of this browser that are connected directly. */
  readonly tabs: number;
  /** What is wrong now, if anything: a store that fails, a relay that refuses. */
  readonly error: SelvedgeError | null;
}

/** Somebody else who has the document open. */
export interface Peer {
  /** The replica's id: one per tab or device. */
  readonly owner: string;
  /** The user that the relay vouches for, if it checks tokens. */
  readonly user: string | null;
  /** What the peer has set, by key. */
  readonly state: { readonly [key: string]: Value };
}

/** Who is here: ephemeral, never stored. A peer that is not heard of for a while disappears. */
export interface Presence {
  /** Sets a key of our own (JSON, at most 4 KiB); `null` removes it. Kept alive and sent again after a reconnect. */
  set(key: string, value: Value): void;
  /** Everybody else, ordered by id. */
  others(): readonly Peer[];
}

/** The keys or indexes that lead to a container, from the root: `["cards", 2, "body"]`. */
export type Path = string | readonly (string | number)[];

/** Part of a text that was replaced. Several are applied one after another, in order. */
export interface Splice {
  /** Where, in UTF-16 units. */
  readonly index: number;
  /** How many UTF-16 units were deleted. */
  readonly delete: number;
  /** What was inserted. */
  readonly insert: string;
}

/** Part of a text that got a mark, or lost it. Inserted text comes without marks: what it has by its place follows. */
export interface MarkChange {
  /** Where, in UTF-16 units. */
  readonly index: number;
  /** How many UTF-16 units. */
  readonly length: number;
  readonly key: string;
  /** The mark's value, `null` if it is gone. */
  readonly value: Scalar;
}

export type TextChange = Splice | MarkChange;

/** What happened to a text. */
export interface TextEvent {
  readonly local: boolean;
  readonly splices: readonly Splice[];
  /** The splices and what happened to marks, in order: each counts on all before it. */
  readonly changes: readonly TextChange[];
}

/** Where text that is inserted at an end of a marked stretch becomes part of it. */
export type Expand = "none" | "before" | "after" | "both";

/** Marks of a part of a text, by key; `null` takes a mark away. */
export interface Attributes {
  readonly [key: string]: Scalar;
}

/** A step of a Delta, in Quill's form. Lengths count UTF-16 units. */
export type DeltaOp =
  | { readonly insert: string; readonly attributes?: Attributes | undefined }
  | { readonly retain: number; readonly attributes?: Attributes | undefined }
  | { readonly delete: number };

/** A position that survives edits: a string that means the same on every copy. */
export type Anchor = string;

/** Where an anchor is now. */
export interface AnchorPosition {
  /** The keys that lead to the text or list. */
  readonly path: readonly (string | number)[];
  /** The index in it, in UTF-16 units. */
  readonly index: number;
}

/** Texts and lists. */
export interface Anchored {
  /**
   * A position that survives edits. It stays behind what is before it (`after`, the default) or before what is behind
   * it (`before`); find it with `doc.resolve`. Not inside of a change.
   */
  anchor(index: number, side?: "before" | "after"): Anchor;
}

/** How much of every replica's log is known: exclusive ends by replica id. What `doc.version` gives. */
export interface Version {
  readonly [replica: string]: number;
}

/** A step from one version to another. Apply them in order; a container inside reads as null, and is told by its own path. */
export type Patch =
  | readonly ["mapSet", path: PatchPath, key: string, value: Scalar]
  | readonly ["mapDelete", path: PatchPath, key: string]
  | readonly ["listInsert", path: PatchPath, index: number, values: readonly Scalar[]]
  | readonly ["listDelete", path: PatchPath, index: number, length: number]
  | readonly ["listSet", path: PatchPath, index: number, value: Scalar]
  | readonly ["textSplice", path: PatchPath, index: number, deleted: number, insert: string]
  | readonly ["counter", path: PatchPath, by: number | bigint]
  | readonly ["register", path: PatchPath, value: Scalar]
  | readonly ["setAdd" | "setRemove", path: PatchPath, value: Scalar];

/** The keys and indexes that lead to a container at the newer of the two versions asked for. */
export type PatchPath = readonly (string | number)[];

/** A change in the history. */
export interface ChangeInfo {
  /** The replica that made it. */
  readonly author: string;
  /** The number of its first operation in its author's log, from 0. */
  readonly seq: number;
  /** How many operations it holds. */
  readonly ops: number;
  /** When it was made, by its author's clock. */
  readonly time: Date;
  /** The message that was given to `change`. */
  readonly message: string | undefined;
  /** The last operations of others' changes that it depends on, beyond those of its author's change before it. */
  readonly deps: readonly { readonly author: string; readonly seq: number }[];
}

/** Who wrote a stretch of a text or list. Stretches follow each other without gaps. */
export interface Blame {
  /** How many UTF-16 units of a text, or elements of a list. */
  readonly length: number;
  readonly author: string;
  readonly time: Date;
  readonly message: string | undefined;
}

/** How a change is made. */
export interface ChangeOptions {
  /** Kept in the history. */
  message?: string | undefined;
  /** Whose edit it is: only the undo manager of this origin undoes it. Default: `""`. */
  origin?: string | undefined;
}

/** Undo and redo for the edits of one origin, made here. Everybody else's edits stay. */
export interface UndoManager {
  /** Takes back the last edit that still has an effect. Returns whether there was one. */
  undo(): boolean;
  /** Brings back what the last undo took away. Returns whether there was anything. */
  redo(): boolean;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  /** Where the user is, as JSON data of your own: set it before edits; after undo and redo it reads what was set then. */
  cursor: Value;
}

/** What all handles have. A handle may be made before its container exists: writing makes it. */
export interface Handle<V> {
  /** The keys that lead here. */
  readonly path: readonly (string | number)[];
  /** The content now. */
  readonly value: V;
  /** Calls at once with the content, and again whenever it changed. */
  subscribe(listener: (value: V, event: ChangeEvent) => void): Unsubscribe;
}

/** Characters in an order, edited by many at once. */
export interface TextHandle extends Handle<string>, Anchored {
  /** In UTF-16 units. */
  readonly length: number;
  toString(): string;
  insert(index: number, text: string): void;
  delete(index: number, length?: number): void;
  splice(index: number, deleteLength: number, insert?: string): void;
  append(text: string): void;
  /**
   * Makes the text equal to `next` with one splice: what differs between the common start and end.
   * `caret`, the position behind what was just typed, tells where in a run of equal characters it was.
   */
  applyDiff(next: string, caret?: number): void;
  /** Marks a part of the text: bold, a link. `expand` (default `after`) tells what typing at its ends does. */
  mark(index: number, length: number, key: string, value: Exclude<Scalar, null>, expand?: Expand): void;
  /** Takes a mark away from a part of the text. */
  unmark(index: number, length: number, key: string): void;
  /** The text and its marks as insertions, in the form of Quill's Delta. Not inside of a change. */
  toDelta(): DeltaOp[];
  /** Edits text and marks. `expand` gives rules for keys whose marks do not grow at their end (`after`). */
  applyDelta(delta: readonly DeltaOp[], expand?: { readonly [key: string]: Expand }): void;
  /** What every change did, ours (`local`) and others'. Not called at once. */
  observe(listener: (event: TextEvent) => void): Unsubscribe;
  /** Who wrote what. */
  blame(): readonly Blame[];
  /** Keeps an input or textarea and this text equal in both directions, cursor and selection included. */
  bind(element: HTMLTextAreaElement | HTMLInputElement): Unsubscribe;
}

/** A sum of everybody's increments. */
export interface CounterHandle extends Handle<number> {
  /** Adds a whole number, 1 by default; may be negative. */
  add(by?: number): void;
}

/** Values without order or repetition. Adding wins over removing at the same time. */
export interface SetHandle<V extends Scalar = Scalar> extends Handle<readonly V[]> {
  readonly size: number;
  has(value: V): boolean;
  /** All values, in an order that is the same everywhere. */
  values(): readonly V[];
  add(value: V): void;
  remove(value: V): void;
}

/** One value. Writes at the same time are all kept; one of them, the same everywhere, is read first. */
export interface RegisterHandle<V extends Scalar = Scalar> extends Handle<V | undefined> {
  set(value: V): void;
  clear(): void;
  /** Every value written at the same time, the one that is read first. */
  conflicts(): readonly V[];
}

/** A list whose elements can be moved. */
export interface ListHandle<E = Value> extends Handle<readonly Snapshot<E>[]>, Children<number>, Anchored {
  readonly length: number;
  get(index: number): Snapshot<E> | undefined;
  push(...values: E[]): void;
  insert(index: number, ...values: E[]): void;
  set(index: number, value: E): void;
  delete(index: number, length?: number): void;
  /** Moves one element so that it ends up at index `to`. */
  move(from: number, to: number): void;
  /** Who wrote what the elements read. */
  blame(): readonly Blame[];
}

/** Values by key. */
export interface MapHandle<V = Value> extends Handle<{ readonly [key: string]: Snapshot<V> }>, Children<string> {
  has(key: string): boolean;
  get(key: string): Snapshot<V> | undefined;
  keys(): readonly string[];
  set(key: string, value: V): void;
  delete(key: string): void;
  /** Every value written to the key at the same time, the one that is read first. */
  conflicts(key: string): readonly Value[];
}

/** Containers by key (inside a map) or by index (inside a list; the handle then follows its element when it moves). */
export interface Children<K> {
  text(key: K): TextHandle;
  counter(key: K): CounterHandle;
  setAt(key: K): SetHandle;
  register(key: K): RegisterHandle;
  list<E = Value>(key: K): ListHandle<E>;
  map<V = Value>(key: K): MapHandle<V>;
}

/** A document that is there: offline, in every tab, and synced when a relay is named. */
export interface Doc<T> {
  readonly name: string;
  /** This tab's writer id, 32 hexadecimal digits. */
  readonly replica: string;
  /** The document now: plain read-only data. Texts are strings, counters numbers, sets sorted arrays. */
  readonly value: Snapshot<T>;

  /**
   * Edits the document: all of it or, if `edit` throws, nothing. `draft` is read and written like plain data.
   * Returns what `edit` returns. Must not be asynchronous. A string for options is the message.
   */
  change<R>(edit: (draft: T) => R, options?: string | ChangeOptions): R;

  /** Calls `listener` at once with the value, and again after every change. */
  subscribe(listener: (value: Snapshot<T>, event: ChangeEvent) => void): Unsubscribe;
  /** Calls `listener` at once with what `selector` picks, and again after every change that changes it. */
  subscribe<S>(selector: (value: Snapshot<T>) => S, listener: (selected: S, event: ChangeEvent) => void): Unsubscribe;

  text(path: Path): TextHandle;
  counter(path: Path): CounterHandle;
  set<V extends Scalar = Scalar>(path: Path): SetHandle<V>;
  register<V extends Scalar = Scalar>(path: Path): RegisterHandle<V>;
  list<E = Value>(path: Path): ListHandle<E>;
  map<V = Value>(path: Path): MapHandle<V>;

  /** Where an anchor is now, or where it was if what it stayed with is gone; `null` if that is not known here or not shown. */
  resolve(anchor: Anchor): AnchorPosition | null;

  readonly status: Status;
  /** Calls at once, and again whenever the status changed. */
  onStatus(listener: (status: Status) => void): Unsubscribe;
  /** Resolves when the flag is set (at once if it is). Rejects when the document is closed. */
  until(flag: "saved" | "connected" | "sent" | "durable" | "caughtUp"): Promise<void>;
  /** Everything that goes wrong outside of a call: the store, the relay, a listener that throws. */
  onError(listener: (error: SelvedgeError) => void): Unsubscribe;

  readonly presence: Presence;
  /** Calls at once, and again whenever somebody else's presence changed. */
  onPresence(listener: (others: readonly Peer[]) => void): Unsubscribe;

  /** How urgent the document is, 0 (at first) to 255: what is more urgent the relay sends first. */
  prioritize(priority: number): void;

  /** `true` cuts the relay and the other tabs, `false` connects again. Edits go on either way. */
  offline(on: boolean): void;

  /**
   * What undoes the edits of an origin (default `""`: handles, and changes that name none) from the first call on.
   * Edits within `mergeMs` (500) of each other are undone together; the first call decides.
   */
  undoManager(options?: { origin?: string | undefined; mergeMs?: number | undefined }): UndoManager;
  /** How much of every replica's log is here. */
  readonly version: Version;
  /** The value at an older version. */
  checkout(version: Version): Snapshot<T>;
  /** What turns the value at version `from` into the value at version `to`, whichever is older. */
  diff(from: Version, to: Version): readonly Patch[];
  /** All changes, each behind those that it depends on. */
  history(): readonly ChangeInfo[];
  /** The document as plain JSON data, a copy of its own. */
  json(): unknown;
  /** The whole document, history included, as bytes that `open` documents can `import` and `load` reads. */
  save(): Uint8Array;
  /** Merges bytes from `save`. Returns whether anything was new. */
  import(bytes: Uint8Array): boolean;

  /** Saves what is not saved yet, leaves the relay and the tabs, frees the memory. */
  close(): Promise<void>;
}

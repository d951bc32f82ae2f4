/**
 * A document as the application sees it: value, changes, subscriptions, handles, status, presence.
 *
 * Always holds: listeners are called after a change is complete, one change after another, so a listener may change
 * the document; a listener that throws harms nobody else and is reported.
 */

import type { CorePatch, CoreReplica } from "./core.js";
import { contentOfProxy, draftOfProxy, proxyOf } from "./draft/proxy.js";
import { Transaction } from "./draft/transaction.js";
import { Driver } from "./driver.js";
import { equal } from "./equal.js";
import { SelvedgeError } from "./error.js";
import { CounterView, ListView, MapView, RegisterView, SetView, TextView } from "./handles.js";
import { changeInfo, Undo } from "./history.js";
import { Mirror, type TextChanges } from "./mirror.js";
import { normalise } from "./normalise.js";
import type { Damage, Lease, RecordStore } from "./store/store.js";
import type {
  Anchor, AnchorPosition, Blame, ChangeEvent, ChangeInfo, ChangeOptions, CounterHandle, Doc, ListHandle, MapHandle, Patch, Path, Peer,
  Presence, RegisterHandle, Scalar, SetHandle, Snapshot, Status, TextHandle, UndoManager, Unsubscribe, Value, Version,
} from "./types.js";
import { pathName, toHex } from "./util.js";
import { defineKey } from "./view.js";

/** Largest presence value, in bytes of JSON. */
const MAX_PRESENCE_BYTES = 4096;

/** What connects a document with others; started and stopped by `offline`. */
export interface Links {
  start(): void;
  stop(): void;
}

interface Delivery {
  event: ChangeEvent;
  texts: TextChanges;
}

type Listener = (event: ChangeEvent, texts: TextChanges) => void;

export class DocumentObject<T extends object> implements Doc<T> {
  readonly name: string;
  readonly replica: string;
  readonly presence: Presence;
  readonly #core: CoreReplica;
  readonly #mirror: Mirror;
  readonly #driver: Driver;
  readonly #store: RecordStore;
  readonly #lease: Lease;
  #links: Links | null = null;
  #tx: Transaction | null = null;
  readonly #undo = new Map<string, Undo>();
  #listeners = new Set<Listener>();
  #deliveries: Delivery[] = [];
  #delivering = false;
  #statusListeners = new Set<(status: Status) => void>();
  #presenceListeners = new Set<(others: readonly Peer[]) => void>();
  #errorListeners = new Set<(error: SelvedgeError) => void>();
  #status: Status;
  #tabs = 0;
  #offline = false;
  #linkError: SelvedgeError | null = null;
  #closed: Promise<void> | null = null;
  #compacting: Promise<void> = Promise.resolve();
  /** Stored records that do not come back as they were written. */
  #damage: Damage | null = null;
  readonly #onPage = (event: Event) => this.#pageEvent(event);

  constructor(core: CoreReplica, name: string, lease: Lease, store: RecordStore) {
    this.#core = core;
    this.name = name;
    this.replica = toHex(lease.replica);
    this.#store = store;
    this.#lease = lease;
    this.#mirror = new Mirror(core.view());
    this.#driver = new Driver(core, name, store, {
      changed: () => {
        this.#takePatches(false);
        if (this.#damage) this.#refreshStatus();
      },
      statusChanged: () => this.#refreshStatus(),
      presenceChanged: () => this.#tellPresence(),
      error: (error) => {
        // The relay lives on but refuses the document: the status says so until it is open there.
        if (error.code === "relay") this.#linkError = error;
        this.report(error);
      },
      forked: () => void lease.retire().catch((error: SelvedgeError) => this.report(error)),
    });
    this.presence = { set: (key, value) => this.#setPresence(key, value), others: () => this.#driver.peers() };
    this.#status = this.#makeStatus();
    for (const type of PAGE_EVENTS) globalThis.addEventListener?.(type, this.#onPage);
    globalThis.document?.addEventListener("visibilitychange", this.#onPage);
  }

  // What is in it.

  get value(): Snapshot<T> {
    return this.#mirror.root.snapshot() as Snapshot<T>;
  }

  get version(): Version {
    this.#checkOpen();
    return this.#core.version();
  }

  checkout(version: Version): Snapshot<T> {
    this.#checkOpen();
    return new Mirror(this.#core.checkout(version)).root.snapshot() as Snapshot<T>;
  }

  diff(from: Version, to: Version): readonly Patch[] {
    this.#checkOpen();
    return this.#core.diff(from, to);
  }

  history(): readonly ChangeInfo[] {
    this.#checkOpen();
    return this.#core.changes().map(changeInfo);
  }

  blame(handle: number): readonly Blame[] {
    this.#checkOpen();
    return this.#core.blame(handle).map(([length, author, time, message]) => ({ length, author, time: new Date(time), message }));
  }

  undoManager({ origin = "", mergeMs = 500 }: { origin?: string | undefined; mergeMs?: number | undefined } = {}): UndoManager {
    this.#checkOpen();
    let undo = this.#undo.get(origin);
    if (!undo) {
      this.#core.recordUndo(origin, mergeMs);
      undo = new Undo(this.#core, origin, (turn) => this.#turn(turn));
      this.#undo.set(origin, undo);
    }
    return undo;
  }

  /** Undoes or redoes: an edit like any other. */
  #turn(turn: () => boolean): boolean {
    this.#checkNoChange("undo() or redo()");
    this.#checkOpen();
    this.#core.setNow(Date.now());
    const turned = turn();
    if (turned) this.#edited();
    return turned;
  }

  json(): unknown {
    return toJson(this.value);
  }

  save(): Uint8Array {
    this.#checkOpen();
    return this.#core.save();
  }

  import(bytes: Uint8Array): boolean {
    if (!(bytes instanceof Uint8Array)) throw new SelvedgeError("invalid-use", "import() takes the Uint8Array that save() gave");
    this.#checkNoChange("import()");
    this.#checkOpen();
    this.#core.setNow(Date.now());
    return this.#driver.import(bytes);
  }

  // Changing it.

  change<R>(edit: (draft: T) => R, options: string | ChangeOptions = {}): R {
    const { message, origin = "" } = typeof options === "string" ? { message: options } : options;
    if ((message !== undefined && typeof message !== "string") || typeof origin !== "string") {
      throw new SelvedgeError("invalid-use", "a change's message and origin are strings");
    }
    this.#checkNoChange("change()");
    return this.transact((tx) => plainResult(edit(proxyOf(tx.root) as T)), message, origin);
  }

  /** Runs edits: inside of the current change, or as a change of their own. */
  edit<R>(work: (tx: Transaction) => R): R {
    return this.#tx ? work(this.#tx) : this.transact(work);
  }

  /** The change that is being made, if one is. */
  get transaction(): Transaction | null {
    return this.#tx;
  }

  get mirror(): Mirror {
    return this.#mirror;
  }

  private transact<R>(work: (tx: Transaction) => R, message?: string, origin = ""): R {
    this.#checkOpen();
    const tx = new Transaction(this.#mirror.root);
    this.#tx = tx;
    let result: R;
    try {
      result = work(tx);
    } finally {
      tx.end();
      this.#tx = null;
    }
    if (tx.commands.length > 0) {
      this.#core.setNow(Date.now());
      this.#core.apply(tx.commands, origin, this.#undo.get(origin)?.place ?? "");
      if (message !== undefined) this.#core.commit(message);
      this.#edited();
    }
    return result;
  }

  #edited(): void {
    this.#driver.edited();
    this.#takePatches(true);
    this.#refreshStatus();
  }

  // Listening to it.

  subscribe(listener: (value: Snapshot<T>, event: ChangeEvent) => void): Unsubscribe;
  subscribe<S>(selector: (value: Snapshot<T>) => S, listener: (selected: S, event: ChangeEvent) => void): Unsubscribe;
  subscribe<S>(
    first: (value: Snapshot<T>, event: ChangeEvent) => S,
    second?: (selected: S, event: ChangeEvent) => void,
  ): Unsubscribe {
    const selector = second ? (first as (value: Snapshot<T>) => S) : ((value: Snapshot<T>) => value as S);
    const listener = second ?? (first as unknown as (selected: S, event: ChangeEvent) => void);
    if (typeof selector !== "function" || typeof listener !== "function") {
      throw new SelvedgeError("invalid-use", "subscribe() takes a listener, or a selector and a listener");
    }
    return this.watch(() => selector(this.value), listener);
  }

  /** Calls at once with what `read` gives, and again whenever that changed. */
  watch<V>(read: () => V, listener: (value: V, event: ChangeEvent) => void): Unsubscribe {
    let last = read();
    const unsubscribe = this.observe((event) => {
      const next = read();
      if (equal(last, next)) return;
      last = next;
      listener(next, event);
    });
    this.#guard(() => listener(last, { local: false }));
    return unsubscribe;
  }

  /** Calls after every change, with what it did to texts. */
  observe(listener: Listener): Unsubscribe {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  // Containers by name.

  text(path: Path): TextHandle {
    return new TextView(this.#asHost(), keys(path));
  }

  counter(path: Path): CounterHandle {
    return new CounterView(this.#asHost(), keys(path));
  }

  set<V extends Scalar = Scalar>(path: Path): SetHandle<V> {
    return new SetView<V>(this.#asHost(), keys(path));
  }

  register<V extends Scalar = Scalar>(path: Path): RegisterHandle<V> {
    return new RegisterView<V>(this.#asHost(), keys(path));
  }

  list<E = Value>(path: Path): ListHandle<E> {
    return new ListView<E>(this.#asHost(), keys(path));
  }

  map<V = Value>(path: Path): MapHandle<V> {
    return new MapView<V>(this.#asHost(), path === "" || path.length === 0 ? [] : keys(path));
  }

  conflicts(handle: number, key: string | undefined): Scalar[] {
    this.#checkOpen();
    return this.#core.conflicts(handle, key);
  }

  runs(handle: number): ReturnType<CoreReplica["runs"]> {
    this.#checkOpen();
    return this.#core.runs(handle);
  }

  anchor(handle: number, index: number, after: boolean): Anchor {
    this.#checkOpen();
    return this.#core.anchor(handle, index, after);
  }

  resolve(anchor: Anchor): AnchorPosition | null {
    this.#checkOpen();
    const [index, ...path] = this.#core.resolve(anchor) ?? [];
    return index === undefined ? null : { path, index };
  }

  // Where it stands.

  get status(): Status {
    return this.#status;
  }

  onStatus(listener: (status: Status) => void): Unsubscribe {
    return this.#listen(this.#statusListeners, listener, () => this.#status);
  }

  until(flag: "saved" | "connected" | "sent" | "durable" | "caughtUp"): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(this.#closedError());
      const done = (status: Status) => {
        if (this.#closed) reject(this.#closedError());
        else if (status[flag]) resolve();
        else return;
        this.#statusListeners.delete(done);
      };
      this.#statusListeners.add(done);
      done(this.#status);
    });
  }

  onError(listener: (error: SelvedgeError) => void): Unsubscribe {
    this.#errorListeners.add(listener);
    return () => {
      this.#errorListeners.delete(listener);
    };
  }

  onPresence(listener: (others: readonly Peer[]) => void): Unsubscribe {
    return this.#listen(this.#presenceListeners, listener, () => this.#driver.peers());
  }

  // Connections.

  /** For `open`: what `offline` switches. */
  attach(makeLinks: (driver: Driver, events: { tabs(count: number): void; error(error: SelvedgeError): void }) => Links): void {
    this.#links = makeLinks(this.#driver, {
      tabs: (count) => {
        this.#tabs = count;
        this.#refreshStatus();
      },
      error: (error) => {
        this.#linkError = error;
        this.report(error);
        this.#refreshStatus();
      },
    });
    this.#links.start();
    this.#driver.pump();
  }

  /** For `open`: the initial content was just written. */
  initialised(): void {
    this.#driver.edited();
  }

  /** For `open`: puts the stored records up to number `last` together, in the background. */
  compact(last: number, damage?: Damage): void {
    this.#compacting = this.#store.compact(this.name, last, this.#core.everything(), damage)
      .catch((error: SelvedgeError) => this.report(error));
  }

  /** For `open`: records are damaged; they are put in order when all that waits for them is here again. */
  mend(damage: Damage): void {
    this.#damage = damage;
    this.report(damage.problem);
    this.#refreshStatus();
  }

  #tryToMend(): void {
    const damage = this.#damage;
    const isHeard = this.#driver.status.caughtUp || this.#tabs > 0;
    if (!damage || !isHeard || !this.#driver.mend()) return;
    this.#damage = null;
    this.compact(damage.last, damage);
    this.#driver.pump();
  }

  prioritize(priority: number): void {
    if (!Number.isInteger(priority) || priority < 0 || priority > 255) {
      throw new SelvedgeError("invalid-use", `${priority} is no priority`, { hint: "It is a whole number from 0 to 255." });
    }
    this.#checkOpen();
    this.#driver.prioritize(priority);
  }

  offline(on: boolean): void {
    this.#checkOpen();
    if (this.#offline === on) return;
    this.#offline = on;
    this.#driver.flush();
    if (on) this.#links?.stop();
    else this.#links?.start();
    this.#refreshStatus();
  }

  close(): Promise<void> {
    this.#closed ??= this.#shutDown();
    return this.#closed;
  }

  /** Tells what went wrong to whoever listens, otherwise to the console. */
  report(error: SelvedgeError): void {
    if (this.#errorListeners.size === 0) console.error(error);
    for (const listener of [...this.#errorListeners]) {
      try {
        listener(error);
      } catch (thrown) {
        console.error(thrown);
      }
    }
  }

  async #shutDown(): Promise<void> {
    for (const type of PAGE_EVENTS) globalThis.removeEventListener?.(type, this.#onPage);
    globalThis.document?.removeEventListener("visibilitychange", this.#onPage);
    try {
      this.#driver.flush();
      this.#links?.stop();
      await this.#driver.close();
      await this.#compacting;
    } finally {
      this.#lease.release();
      await this.#store.close();
      this.#refreshStatus();
      this.#listeners.clear();
    }
    this.#core.free();
  }

  #takePatches(local: boolean): void {
    const patches: CorePatch[] = this.#core.takePatches();
    if (patches.length === 0) return;
    this.#deliveries.push({ event: { local }, texts: this.#mirror.apply(patches) });
    if (this.#delivering || this.#tx) return;
    this.#delivering = true;
    try {
      for (let next = this.#deliveries.shift(); next; next = this.#deliveries.shift()) {
        const { event, texts } = next;
        for (const listener of [...this.#listeners]) {
          if (this.#listeners.has(listener)) this.#guard(() => listener(event, texts));
        }
      }
    } finally {
      this.#delivering = false;
    }
  }

  #makeStatus(): Status {
    const { status, saved, dirty, storeError } = this.#driver;
    const { connected, caughtUp, behind } = status;
    return Object.freeze({
      saved,
      connected,
      sent: status.received && !dirty,
      durable: status.durable && !dirty,
      caughtUp,
      behind,
      online: !this.#offline && globalThis.navigator?.onLine !== false,
      tabs: this.#tabs,
      error: storeError ?? this.#damage?.problem ?? (connected ? null : this.#linkError),
    });
  }

  #refreshStatus(): void {
    if (this.#driver.status.connected) this.#linkError = null;
    this.#tryToMend();
    const status = this.#makeStatus();
    const keys = Object.keys(status) as (keyof Status)[];
    if (keys.every((key) => status[key] === this.#status[key]) && !this.#closed) return;
    this.#status = status;
    for (const listener of [...this.#statusListeners]) this.#guard(() => listener(status));
  }

  #tellPresence(): void {
    const peers = this.#driver.peers();
    for (const listener of [...this.#presenceListeners]) this.#guard(() => listener(peers));
  }

  #setPresence(key: string, value: Value): void {
    const plain = normalise(value, ["presence", key]);
    const bytes = plain === null ? undefined : new TextEncoder().encode(JSON.stringify(plain));
    if (bytes && bytes.length > MAX_PRESENCE_BYTES) {
      throw new SelvedgeError("invalid-use", `presence ${key} has ${bytes.length} bytes of JSON; ${MAX_PRESENCE_BYTES} are allowed`);
    }
    this.#checkOpen();
    this.#driver.setPresence(key, bytes);
  }

  #listen<V>(listeners: Set<(value: V) => void>, listener: (value: V) => void, read: () => V): Unsubscribe {
    listeners.add(listener);
    this.#guard(() => listener(read()));
    return () => {
      listeners.delete(listener);
    };
  }

  #guard(call: () => void): void {
    try {
      call();
    } catch (cause) {
      this.report(cause instanceof SelvedgeError ? cause
        : new SelvedgeError("invalid-use", `a listener of ${this.name} threw: ${String(cause)}`, { cause }));
    }
  }

  #pageEvent(event: Event): void {
    if (event.type === "pagehide" || globalThis.document?.visibilityState === "hidden") this.#driver.flush();
    else this.#driver.wake();
    this.#refreshStatus();
  }

  #checkNoChange(what: string): void {
    if (!this.#tx) return;
    throw new SelvedgeError("invalid-use", `${what} was called inside of a change`, {
      hint: "Pass the draft on instead, or call it afterwards.",
    });
  }

  #checkOpen(): void {
    if (this.#closed) throw this.#closedError();
  }

  #closedError(): SelvedgeError {
    return new SelvedgeError("closed", `the document ${this.name} was closed`, { hint: "Open it again." });
  }

  #asHost(): DocumentObject<object> {
    return this as unknown as DocumentObject<object>;
  }
}

const PAGE_EVENTS = ["pagehide", "pageshow", "online", "offline", "resume"];

function keys(path: Path): readonly (string | number)[] {
  const list = typeof path === "string" ? [path] : [...path];
  const ok = list.length > 0 && typeof list[0] === "string"
    && list.every((key) => typeof key === "string" || (Number.isInteger(key) && key >= 0));
  if (!ok) {
    throw new SelvedgeError("invalid-use", `${pathName(list)} is no path to a container`, {
      hint: 'Give a name such as "notes", or keys and indexes such as ["cards", 2, "body"].',
    });
  }
  return list;
}

/** Plain JSON data: bytes as arrays of numbers, whole numbers beyond 2^53 rounded, what JSON has no number for as null. */
function toJson(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Uint8Array || Array.isArray(value)) return Array.from(value, toJson);
  const object: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) defineKey(object, key, toJson(item));
  return object;
}

/** What `change` returns: drafts become copies, promises are refused. */
function plainResult<R>(result: R): R {
  if (typeof (result as { then?: unknown } | null)?.then === "function") {
    void (result as unknown as Promise<unknown>).then(undefined, () => undefined);
    throw new SelvedgeError("invalid-use", "the callback of change() must not be asynchronous", {
      hint: "Await first, change afterwards.",
    });
  }
  return draftOfProxy(result) ? (contentOfProxy(result as object) as R) : result;
}

/**
 * The driver of one document: it carries the core's effects out (storage, connections, timers) and tells it what
 * came of them.
 *
 * Always holds: a record counts as saved only when the store says so; what the store refuses stays in memory, is tried
 * again, and is told as an error; effects are carried out in the order in which the core gave them.
 * Not here: what the application sees (`document`).
 */

import type { CoreEffect, CoreReplica, CoreStatus } from "./core.js";
import { SelvedgeError } from "./error.js";
import type { Connection, Switchboard } from "./net/link.js";
import type { RecordStore } from "./store/store.js";
import type { Peer, Value } from "./types.js";

/** After how many written bytes the core is told. */
const REPORT_BYTES = 16 << 10;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
/** `RefuseCode::Fork`: two contents for one operation, so this writer's id was used twice. */
const REFUSED_FORK = 6;

export interface DriverEvents {
  /** Changes of others may have arrived. */
  changed(): void;
  statusChanged(): void;
  presenceChanged(): void;
  error(error: SelvedgeError): void;
  /** Somebody else wrote with our id. */
  forked(): void;
}

interface Unsaved {
  /** The core's number; `null` for what the core does not wait for. */
  token: number | null;
  bytes: Uint8Array;
}

export class Driver implements Switchboard {
  status: CoreStatus = { saved: true, connected: false, received: false, durable: false, caughtUp: false, behind: 0 };
  /** What is wrong with the store now. */
  storeError: SelvedgeError | null = null;
  readonly core: CoreReplica;
  readonly #name: string;
  readonly #store: RecordStore;
  readonly #events: DriverEvents;
  #connections = new Map<number, Connection>();
  /** Bytes that were written and not told, by connection. */
  #written = new Map<number, number>();
  #nextConn = 1;
  #unsaved: Unsaved[] = [];
  #writing: Promise<void> | null = null;
  #dirty = false;
  #flushing = false;
  #pumping = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #peers = new Map<string, { user: string | null; state: Map<string, Value> }>();
  #closing = false;
  #ended = false;
  #giveUpWait: (() => void) | null = null;

  constructor(core: CoreReplica, name: string, store: RecordStore, events: DriverEvents) {
    this.core = core;
    this.#name = name;
    this.#store = store;
    this.#events = events;
    store.onLost = () => {
      this.#unsaved.unshift({ token: null, bytes: core.everything() });
      this.#write();
      events.statusChanged();
    };
    store.onTrouble = (error) => this.#storeFailed(error);
  }

  /** Whether everything edited so far is on this device's disk. */
  get saved(): boolean {
    return this.status.saved && !this.#dirty && this.#unsaved.length === 0 && this.#writing === null;
  }

  /** Whether edits wait to be handed to the core's sync engine. */
  get dirty(): boolean {
    return this.#dirty;
  }

  /** The document was edited: what belongs to one turn becomes one change, and while the store writes, to the next. */
  edited(): void {
    this.#dirty = true;
    if (this.#flushing || this.#writing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      if (!this.#writing) this.flush();
    });
  }

  /** Hands over what was edited, now. */
  flush(): void {
    if (!this.#dirty) return;
    this.#input(() => this.core.flush(clock()));
    this.#dirty = false;
    this.pump();
  }

  /** After stored records were damaged: whether everything that waited for them is here. */
  mend(): boolean {
    return this.core.mend(clock());
  }

  /** Merges a saved document; whether anything in it was new. */
  import(bytes: Uint8Array): boolean {
    this.#dirty = false;
    const isNew = this.core.importSaved(bytes, clock());
    this.pump();
    return isNew;
  }

  connected(connection: Connection, role: "dialer" | "acceptor", shared: boolean, credential?: string): number {
    const conn = this.#nextConn++;
    this.#connections.set(conn, connection);
    this.#input(() => this.core.connected(clock(), conn, role === "dialer", shared, credential));
    queueMicrotask(() => this.pump());
    return conn;
  }

  received(conn: number, bytes: Uint8Array): void {
    if (!this.#connections.has(conn)) return;
    this.#input(() => {
      this.core.setNow(Date.now());
      this.core.received(clock(), conn, bytes);
    });
    this.pump();
  }

  written(conn: number, bytes: number): void {
    const written = (this.#written.get(conn) ?? 0) + bytes;
    if (!this.#connections.has(conn)) return;
    this.#written.set(conn, written % REPORT_BYTES);
    if (written < REPORT_BYTES) return;
    this.#input(() => this.core.written(clock(), conn, written - written % REPORT_BYTES));
    this.pump();
  }

  disconnected(conn: number): void {
    this.#written.delete(conn);
    if (!this.#connections.delete(conn)) return;
    this.#input(() => this.core.disconnected(clock(), conn));
    this.pump();
  }

  prioritize(priority: number): void {
    this.core.prioritize(clock(), priority);
    this.pump();
  }

  setPresence(key: string, value: Uint8Array | undefined): void {
    this.core.setPresence(clock(), key, value);
    this.pump();
  }

  peers(): Peer[] {
    const byOwner = [...this.#peers].sort(([a], [b]) => (a < b ? -1 : 1));
    return byOwner.map(([owner, { user, state }]) => ({ owner, user, state: Object.fromEntries(state) }));
  }

  /** The page was asleep, or somebody wants to know now. */
  wake(): void {
    this.#input(() => this.core.woken(clock()));
    this.pump();
  }

  /** Carries out every effect that waits. */
  pump(): void {
    if (this.#pumping || this.#ended) return;
    this.#pumping = true;
    const seen = new Set<string>();
    this.#input(() => {
      for (let effects = this.core.effects(clock()); effects.length > 0; effects = this.core.effects(clock())) {
        for (const effect of effects) {
          seen.add(effect.type);
          this.#carryOut(effect);
        }
      }
    });
    this.#pumping = false;
    this.#input(() => this.#schedule());
    this.#input(() => this.#events.changed());
    if (seen.has("presence")) this.#events.presenceChanged();
    if (seen.has("status") || seen.has("persist") || seen.has("refused")) this.#events.statusChanged();
  }

  /** A call into the core that nobody waits for: what goes wrong is reported, and after a panic nothing goes on. */
  #input(call: () => void): void {
    if (this.#ended) return;
    try {
      call();
    } catch (thrown) {
      const error = thrown as SelvedgeError;
      if (error.code === "panic") {
        this.#ended = true;
        clearTimeout(this.#timer);
        for (const connection of this.#connections.values()) connection.close(0, "");
      }
      this.#events.error(error);
    }
  }

  /** Waits until everything is saved, or until the store refuses it once more. Then nothing happens any more. */
  async close(): Promise<void> {
    this.flush();
    this.#closing = true;
    this.#giveUpWait?.();
    await this.#writing;
    this.#ended = true;
    clearTimeout(this.#timer);
    if (this.#unsaved.length === 0) return;
    throw new SelvedgeError("store", `${this.#name}: ${this.#unsaved.length} records could not be saved on this device`, {
      cause: this.storeError,
    });
  }

  #carryOut(effect: CoreEffect): void {
    switch (effect.type) {
      case "persist":
        this.#unsaved.push({ token: effect.token, bytes: effect.bytes });
        this.#write();
        break;
      case "send":
        this.#connections.get(effect.conn)?.send(effect.bytes);
        break;
      case "close": {
        const connection = this.#connections.get(effect.conn);
        this.#connections.delete(effect.conn);
        connection?.close(effect.code, effect.text);
        break;
      }
      case "status":
        this.status = effect.status;
        break;
      case "presence":
        this.#notePresence(effect.owner, effect.user ?? null, effect.key, effect.value);
        break;
      case "refused":
        if (effect.code === REFUSED_FORK) this.#events.forked();
        this.#events.error(new SelvedgeError("relay", `the relay refuses ${this.#name}: ${effect.text}`, {
          closeCode: effect.code,
          hint: effect.code === REFUSED_FORK ? "Reload the page: it goes on with a writer's id of its own." : "",
        }));
    }
  }

  #write(): void {
    if (this.#writing) return;
    this.#writing = this.#writeAll().finally(() => {
      this.#writing = null;
      this.#events.statusChanged();
      this.flush();
      if (this.#unsaved.length > 0 && !this.#closing) this.#write();
    });
  }

  /** Appends all that waits, a transaction at a time. */
  async #writeAll(): Promise<void> {
    for (let failures = 0; this.#unsaved.length > 0;) {
      const records = [...this.#unsaved];
      try {
        await this.#store.append(records.map(({ bytes }) => ({ doc: this.#name, bytes })));
      } catch (error) {
        this.#storeFailed(error as SelvedgeError);
        if (this.#closing) return;
        await this.#pause(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures++));
        continue;
      }
      failures = 0;
      this.storeError = null;
      // What was added in the meantime stands behind them, what a lost store wants again before them.
      this.#unsaved = this.#unsaved.filter((unsaved) => !records.includes(unsaved));
      this.#input(() => {
        for (const { token } of records) if (token !== null) this.core.persisted(clock(), token);
      });
      this.pump();
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#giveUpWait = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #storeFailed(error: SelvedgeError): void {
    this.storeError = error;
    this.#events.error(error);
    this.#events.statusChanged();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const deadline = this.core.deadline();
    if (deadline === undefined) return;
    this.#timer = setTimeout(() => this.wake(), Math.min(Math.max(deadline - clock(), 0), 2 ** 31 - 1));
  }

  #notePresence(owner: string, user: string | null, key: string, bytes: Uint8Array | undefined): void {
    const peer = this.#peers.get(owner) ?? { user, state: new Map<string, Value>() };
    peer.user = user;
    const value = bytes && parseJson(bytes);
    if (value === undefined || value === null) peer.state.delete(key);
    else peer.state.set(key, value);
    if (peer.state.size === 0) this.#peers.delete(owner);
    else this.#peers.set(owner, peer);
  }
}

/** What a peer set; nothing if it is no JSON. */
function parseJson(bytes: Uint8Array): Value | undefined {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Value;
  } catch {
    return undefined;
  }
}

/** Milliseconds that never run back. */
export function clock(): number {
  return Math.floor(performance.timeOrigin + performance.now());
}

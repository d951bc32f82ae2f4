/**
 * The store in IndexedDB: one database for all documents of an origin.
 *
 * Always holds: one append is one transaction with strict durability, resolved on `complete` only; a connection that
 * the browser closed is opened again, and a database that came back empty is reported (`onLost`), never taken for an
 * empty document.
 */

import { SelvedgeError } from "../error.js";
import { randomBytes, toHex } from "../util.js";
import { type Append, type Damage, freshLease, type Lease, type RecordStore, type Salvage, type StoredRecord } from "./store.js";

const DATABASE = "selvedge";
const VERSION = 1;
/** How long another connection may hold up an upgrade, in milliseconds. */
const BLOCKED_TIMEOUT_MS = 5_000;

interface Row {
  doc: string;
  index: number;
  bytes: Uint8Array;
  /** Of place and bytes: what comes back is what was written, or an error. */
  checksum: number;
  /** Whether it stands for all records before it as well. */
  whole?: boolean;
}

export class IndexedDbStore implements RecordStore {
  readonly shared = true;
  onLost: (() => void) | null = null;
  onTrouble: ((error: SelvedgeError) => void) | null = null;
  #factory: IDBFactory;
  #locks: LockManager | undefined;
  #db: Promise<IDBDatabase> | null = null;
  #epoch: string | null = null;
  #closed = false;

  constructor(factory: IDBFactory, locks: LockManager | undefined) {
    this.#factory = factory;
    this.#locks = locks;
  }

  async append(records: readonly Append[]): Promise<void> {
    await this.#run("readwrite", "append", async (tx) => {
      const store = tx.objectStore("records");
      const next = new Map<string, number>();
      for (const { doc, bytes } of records) {
        const index = next.get(doc) ?? (await lastIndex(store, doc)) + 1;
        next.set(doc, index + 1);
        store.add({ doc, index, bytes, checksum: checksum(doc, index, bytes) } satisfies Row);
      }
    });
  }

  async read(doc: string, from: number): Promise<StoredRecord[]> {
    const { records, damage } = await this.#read(doc, from);
    if (damage) throw damage.problem;
    return records;
  }

  salvage(doc: string): Promise<Salvage> {
    return this.#read(doc, 0);
  }

  async #read(doc: string, from: number): Promise<Salvage> {
    const rows = await this.#run("readonly", "read", (tx) => {
      const range = IDBKeyRange.bound([doc, from], [doc, Infinity]);
      return result<Row[]>(tx.objectStore("records").getAll(range));
    });
    let next = from;
    let first: number | null = null;
    const records: StoredRecord[] = [];
    const indexes: number[] = [];
    for (const { index, bytes, checksum: sum, whole } of rows) {
      if (index !== next && whole !== true) first ??= next;
      if (bytes instanceof Uint8Array && sum === checksum(doc, index, bytes)) {
        records.push({ index, bytes });
      } else {
        first ??= index;
        indexes.push(index);
      }
      next = index + 1;
    }
    if (first === null) return { records, damage: null };
    const problem = new SelvedgeError("malformed", `IndexedDB database ${DATABASE}, record ${doc}/${first}: it is missing or damaged`, {
      hint: "It is fetched again from the relay or another tab, if one is there that has it. What nobody else has of it is lost.",
    });
    return { records, damage: { indexes, last: next - 1, problem } };
  }

  async compact(doc: string, last: number, bytes: Uint8Array, damage?: Damage): Promise<void> {
    await this.#run("readwrite", "compact", async (tx) => {
      const store = tx.objectStore("records");
      for (const index of damage?.indexes ?? []) {
        tx.objectStore("meta").put(await result(store.get([doc, index])), ["set aside", doc, index]);
      }
      if (damage) tx.objectStore("replicas").delete(IDBKeyRange.bound([doc], [doc, []]));
      store.delete(IDBKeyRange.bound([doc, 0], [doc, last]));
      store.add({ doc, index: last, bytes, checksum: checksum(doc, last, bytes), whole: true } satisfies Row);
    });
  }

  async documents(): Promise<string[]> {
    return this.#run("readonly", "documents", async (tx) => {
      const store = tx.objectStore("records");
      const names: string[] = [];
      let after: IDBKeyRange | null = null;
      for (;;) {
        const cursor: IDBCursor | null = await result(store.openKeyCursor(after));
        if (!cursor) return names.sort();
        const [name] = cursor.key as [string, number];
        names.push(name);
        after = IDBKeyRange.lowerBound([name, Infinity], true);
      }
    });
  }

  async lease(doc: string): Promise<Lease> {
    const locks = this.#locks;
    if (!locks) return freshLease();
    const pool = await this.#run("readonly", "lease", (tx) =>
      result<{ replica: Uint8Array }[]>(tx.objectStore("replicas").getAll(IDBKeyRange.bound([doc], [doc, []]))));
    for (const { replica } of pool) {
      const release = await hold(locks, doc, replica);
      if (release) return this.#leased(doc, replica, release);
    }
    const replica = randomBytes(16);
    const release = await hold(locks, doc, replica);
    if (!release) return freshLease();
    await this.#run("readwrite", "lease", (tx) => {
      tx.objectStore("replicas").put({ doc, id: toHex(replica), replica });
    });
    return this.#leased(doc, replica, release);
  }

  #leased(doc: string, replica: Uint8Array, release: () => void): Lease {
    const retire = () => this.#run("readwrite", "retire", (tx) => void tx.objectStore("replicas").delete([doc, toHex(replica)]));
    return { replica, release, retire };
  }

  async close(): Promise<void> {
    this.#closed = true;
    const db = this.#db;
    this.#db = null;
    // A failed connection has nothing to close.
    await db?.then((open) => open.close(), () => undefined);
  }

  /** One transaction: what `work` returns, once everything in it is stored. */
  async #run<R>(mode: IDBTransactionMode, what: string, work: (tx: IDBTransaction) => R | Promise<R>): Promise<R> {
    for (let attempt = 0; ; attempt++) {
      const db = await this.#connect();
      let tx: IDBTransaction;
      try {
        tx = db.transaction(["records", "replicas", "meta"], mode, { durability: "strict" });
      } catch (error) {
        // The browser closed the connection under us: once more with a new one.
        this.#db = null;
        if (attempt === 0 && !this.#closed) continue;
        throw asStoreError(what, error);
      }
      return complete(tx, what, work);
    }
  }

  #connect(): Promise<IDBDatabase> {
    if (this.#closed) return Promise.reject(new SelvedgeError("closed", "the store was closed"));
    if (!this.#db) {
      const connecting = this.#open();
      this.#db = connecting;
      connecting.catch(() => {
        if (this.#db === connecting) this.#db = null;
      });
    }
    return this.#db;
  }

  #reopen(): void {
    this.#db = null;
    setTimeout(() => {
      if (!this.#closed) this.#connect().catch((error: SelvedgeError) => this.onTrouble?.(error));
    });
  }

  async #open(): Promise<IDBDatabase> {
    const db = await openDatabase(this.#factory);
    // Somebody deletes or upgrades the database, or the browser evicts it: step aside and open it again, so that
    // what it lost is noticed and written again at once.
    db.onversionchange = () => {
      db.close();
      this.#reopen();
    };
    db.onclose = () => this.#reopen();
    const tx = db.transaction("meta");
    const epoch = await complete(tx, "open", (open) => result<string>(open.objectStore("meta").get("epoch")));
    const lost = this.#epoch !== null && this.#epoch !== epoch;
    this.#epoch = epoch;
    if (lost) this.onLost?.();
    return db;
  }
}

function openDatabase(factory: IDBFactory): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    let request: IDBOpenDBRequest;
    try {
      request = factory.open(DATABASE, VERSION);
    } catch (error) {
      reject(asStoreError("open", error));
      return;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    let gaveUp = false;
    request.onblocked = () => {
      timer ??= setTimeout(() => {
        gaveUp = true;
        reject(new SelvedgeError("store", `IndexedDB database ${DATABASE} is blocked by another tab with an old version`, {
          hint: "Close or reload the other tabs of this site.",
        }));
      }, BLOCKED_TIMEOUT_MS);
    };
    request.onupgradeneeded = () => {
      const db = request.result;
      db.createObjectStore("records", { keyPath: ["doc", "index"] });
      db.createObjectStore("replicas", { keyPath: ["doc", "id"] });
      db.createObjectStore("meta").put(toHex(randomBytes(16)), "epoch");
    };
    request.onsuccess = () => {
      clearTimeout(timer);
      if (gaveUp) request.result.close();
      else resolve(request.result);
    };
    request.onerror = () => {
      clearTimeout(timer);
      reject(asStoreError("open", request.error));
    };
  });
}

/** What `work` returns, once the transaction is stored. If either fails, nothing of it is. */
async function complete<R>(tx: IDBTransaction, what: string, work: (tx: IDBTransaction) => R | Promise<R>): Promise<R> {
  const done = new Promise<void>((resolve, reject) => {
    tx.oncomplete = () => resolve();
    tx.onabort = () => reject(asStoreError(what, tx.error));
  });
  done.catch(() => undefined);
  let value: R;
  try {
    value = await work(tx);
  } catch (error) {
    try {
      tx.abort();
    } catch {
      // It was aborted already: that is what `error` tells.
    }
    throw asStoreError(what, error);
  }
  await done;
  return value;
}

function result<R>(request: IDBRequest<R>): Promise<R> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** CRC-32 of a record's place and bytes. */
function checksum(doc: string, index: number, bytes: Uint8Array): number {
  let crc = -1;
  for (const part of [new TextEncoder().encode(`${doc}/${index}/`), bytes]) {
    for (const byte of part) crc = (crc >>> 8) ^ (CRC_TABLE[(crc ^ byte) & 0xff] as number);
  }
  return ~crc >>> 0;
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

async function lastIndex(store: IDBObjectStore, doc: string): Promise<number> {
  const range = IDBKeyRange.bound([doc, 0], [doc, Infinity]);
  const cursor = await result(store.openKeyCursor(range, "prev"));
  return cursor ? (cursor.key as [string, number])[1] : -1;
}

/** Takes the lock of an id if it is free; it is ours until the returned function is called or the page ends. */
function hold(locks: LockManager, doc: string, replica: Uint8Array): Promise<(() => void) | null> {
  return new Promise((resolve, reject) => {
    const name = `selvedge:replica:${doc}:${toHex(replica)}`;
    const request = locks.request(name, { ifAvailable: true }, (lock) => {
      if (!lock) return resolve(null);
      return new Promise<void>((release) => resolve(release));
    });
    request.catch(reject);
  });
}

function asStoreError(what: string, error: unknown): SelvedgeError {
  if (error instanceof SelvedgeError) return error;
  const name = (error as { name?: string } | null)?.name ?? "unknown error";
  if (name === "QuotaExceededError") {
    return new SelvedgeError("quota", `IndexedDB (${what}): no space is left for this site`, {
      hint: "Free some space; what was edited is kept in memory and tried again.",
      cause: error,
    });
  }
  const message = (error as { message?: string } | null)?.message ?? "";
  return new SelvedgeError("store", `IndexedDB (${what}): ${name}${message ? `: ${message}` : ""}`, { cause: error });
}

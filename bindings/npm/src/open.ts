/**
 * `open` and `load`: from a name or bytes to a document object.
 */

import { type CoreModule, type CoreReplica, fromCore, guarded, loadCore } from "./core.js";
import { DocumentObject, type Links } from "./document.js";
import { clock } from "./driver.js";
import { SelvedgeError } from "./error.js";
import { RelayLink, relayUrl } from "./net/relay.js";
import { TabLinks } from "./net/tabs.js";
import { normalise, type Plain } from "./normalise.js";
import { IndexedDbStore } from "./store/indexeddb.js";
import { MemoryStore } from "./store/memory.js";
import { freshLease, type Lease, type RecordStore } from "./store/store.js";
import type { Doc, OpenOptions } from "./types.js";
import { isLone } from "./util.js";

/** Beyond this, a document's records are put together when it is opened. */
const MANY_RECORDS = 256;
const OPTIONS = ["relay", "token", "init", "store", "tabs", "webSocket"];

/**
 * Opens a document by name: from this device's store, and from the relay and the other tabs as they answer.
 *
 * Rejects if the store cannot be read: a document that cannot be read is never taken for an empty one. Nor if
 * records are damaged and there is nobody to fetch them from; with a relay or other tabs it opens with what stands,
 * and `status.error` says what is wrong until the rest was fetched again.
 */
export async function open<T extends object = Record<string, any>>(name: string, options: OpenOptions<T> = {}): Promise<Doc<T>> {
  checkName(name);
  checkOptions(options);
  const init = options.init === undefined ? undefined : checkInit(options.init);
  const relay = options.relay === undefined ? undefined : relayUrl(options.relay);
  const webSocket = options.webSocket ?? globalThis.WebSocket;
  if (relay !== undefined && typeof webSocket !== "function") {
    throw new SelvedgeError("invalid-use", "there is no WebSocket here", { hint: "Pass one as `webSocket`, for example that of the package ws." });
  }
  const store = makeStore(options.store);
  const [module, lease] = await Promise.all([loadCore(), store.lease(name)]).catch((error: unknown) => closing(store, error));
  const hasPeers = relay !== undefined || sharesTabs(options);
  const document = await start<T>(module, name, store, lease, init, hasPeers).catch((error: unknown) => {
    lease.release();
    return closing(store, error);
  });
  document.attach((driver, events): Links => {
    const tabs = sharesTabs(options)
      ? new TabLinks(driver, name, store.shared, globalThis.navigator?.locks, events.tabs)
      : null;
    const link = relay === undefined ? null
      : new RelayLink(driver, { url: relay, token: options.token, webSocket, onError: events.error });
    return {
      start: () => {
        tabs?.start();
        link?.start();
      },
      stop: () => {
        tabs?.stop();
        link?.stop();
      },
    };
  });
  return document;
}

function sharesTabs(options: OpenOptions<object>): boolean {
  return options.tabs !== false && typeof BroadcastChannel === "function";
}

/** A document in memory from the bytes of `save`: no store, no tabs, no relay. */
export async function load<T extends object = Record<string, any>>(bytes: Uint8Array): Promise<Doc<T>> {
  const store = new MemoryStore();
  const document = await start<T>(await loadCore(), "loaded", store, freshLease(), undefined, false);
  try {
    document.import(bytes);
  } catch (error) {
    await document.close();
    throw error;
  }
  return document;
}

async function start<T extends object>(
  module: CoreModule, name: string, store: RecordStore, lease: Lease, init: Plain | undefined,
  hasPeers: boolean,
): Promise<DocumentObject<T>> {
  const { records, damage } = await store.salvage(name);
  // What our id wrote last may be lost here and known elsewhere: it must not be used again.
  if (damage) {
    if (!hasPeers) throw damage.problem;
    lease.release();
    lease = freshLease();
  }
  let core: CoreReplica;
  let fresh: boolean;
  try {
    core = guarded(new module.Replica(name, lease.replica, records.map(({ bytes }) => bytes), Date.now(), clock()));
    fresh = init !== undefined && core.init(init);
  } catch (error) {
    throw fromCore(error);
  }
  const document = new DocumentObject<T>(core, name, lease, store);
  if (fresh) document.initialised();
  if (damage) document.mend(damage);
  else if (records.length > MANY_RECORDS && core.isWhole()) document.compact(records.at(-1)?.index ?? 0);
  return document;
}

function makeStore(kind: "indexeddb" | "memory" | undefined): RecordStore {
  if (kind === "memory") return new MemoryStore();
  if (!globalThis.indexedDB) {
    throw new SelvedgeError("store", "there is no IndexedDB here: the document could not be kept", {
      hint: 'Pass `store: "memory"` to open() if it need not outlive the page.',
    });
  }
  return new IndexedDbStore(globalThis.indexedDB, globalThis.navigator?.locks);
}

/** Passes an error on, once the store is closed. */
async function closing(store: RecordStore, error: unknown): Promise<never> {
  await store.close();
  throw error;
}

function checkName(name: unknown): void {
  const ok = typeof name === "string" && name !== "" && !isLone(name) && !/\p{Cc}/u.test(name)
    && new TextEncoder().encode(name).length <= 256;
  if (!ok) {
    throw new SelvedgeError("invalid-use", `${JSON.stringify(name)} is no document name`, {
      hint: "Names have 1 to 256 bytes of UTF-8 without control characters.",
    });
  }
}

function checkOptions(options: object): void {
  for (const key of Object.keys(options)) {
    if (!OPTIONS.includes(key)) {
      throw new SelvedgeError("invalid-use", `open() has no option ${JSON.stringify(key)}`, { hint: `It has ${OPTIONS.join(", ")}.` });
    }
  }
  const { store, tabs, token } = options as OpenOptions<object>;
  if (store !== undefined && store !== "memory" && store !== "indexeddb") {
    throw new SelvedgeError("invalid-use", `${JSON.stringify(store)} is no store`, { hint: 'Use "indexeddb" or "memory".' });
  }
  if (tabs !== undefined && typeof tabs !== "boolean") throw new SelvedgeError("invalid-use", "the option `tabs` is true or false");
  if (token !== undefined && typeof token !== "string" && typeof token !== "function") {
    throw new SelvedgeError("invalid-use", "the option `token` is a string or a function that gives one");
  }
}

function checkInit(init: unknown): Plain {
  const plain = normalise(init, ["init"]);
  if (typeof plain !== "object" || plain === null || Array.isArray(plain) || plain instanceof Uint8Array) {
    throw new SelvedgeError("invalid-use", "the option `init` is an object: the document's first content");
  }
  return plain;
}

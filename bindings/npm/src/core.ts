/**
 * The WebAssembly core as the rest of this package sees it, and how it is loaded.
 *
 * The module is part of the package as text (compressed, base64): no bundler has to know about it, and a page without
 * a bundler needs no further request. Always holds: it is loaded once, when it is first needed; after a panic the
 * document object says so at every call, and no other document of the page is touched.
 */

import type { Command } from "./draft/transaction.js";
import { type ErrorCode, SelvedgeError } from "./error.js";
import type { Plain } from "./normalise.js";
import type { Patch, Scalar, Version } from "./types.js";

/** A value as it crosses the border: a container is told by its handle. */
export type CoreSlot = Scalar | CoreContainer;

/** A container with its content. */
export interface CoreContainer {
  /** A number that stands for the container as long as the document lives. */
  readonly handle: number;
  /** Index in `KINDS`. */
  readonly kind: number;
  /**
   * Keys and slots in turn (map), slots (list), a string, a number, values (set), a value or undefined (register).
   * Not there if the container was told before.
   */
  readonly content?: unknown;
}

/** What changed in one container; positions are those at that moment. */
export type CorePatch =
  | readonly ["mapSet", handle: number, key: string, slot: CoreSlot]
  | readonly ["mapDelete", handle: number, key: string]
  | readonly ["listInsert", handle: number, index: number, slots: readonly CoreSlot[]]
  | readonly ["listDelete", handle: number, index: number, length: number]
  | readonly ["listSet", handle: number, index: number, slot: CoreSlot]
  | readonly ["list", handle: number, slots: readonly CoreSlot[]]
  | readonly ["textSplice", handle: number, index: number, deleted: number, insert: string]
  | readonly ["textMark", handle: number, index: number, length: number, key: string, value: Scalar | undefined]
  | readonly ["counter", handle: number, total: number | bigint]
  | readonly ["register", handle: number, value: Scalar | undefined]
  | readonly ["set", handle: number, values: readonly Scalar[]];

/** A change; `deps` are authors and numbers of operations in turn. */
export type CoreChange = readonly [
  author: string, seq: number, ops: number, time: number, message: string | undefined, deps: readonly (string | number)[],
];

/** Where edits have got to, as the core tells it. */
export interface CoreStatus {
  readonly saved: boolean;
  readonly connected: boolean;
  readonly received: boolean;
  readonly durable: boolean;
  readonly caughtUp: boolean;
  readonly behind: number;
}

/** What the core asks for. */
export type CoreEffect =
  | { readonly type: "persist"; readonly token: number; readonly bytes: Uint8Array }
  | { readonly type: "send"; readonly conn: number; readonly bytes: Uint8Array }
  | { readonly type: "close"; readonly conn: number; readonly code: number; readonly text: string }
  | { readonly type: "refused"; readonly code: number; readonly text: string }
  | { readonly type: "status"; readonly status: CoreStatus }
  | {
    readonly type: "presence";
    readonly owner: string;
    readonly user: string | undefined;
    readonly key: string;
    readonly value: Uint8Array | undefined;
  };

/** One document: what it is and how it is kept equal with others. Times are milliseconds. */
export interface CoreReplica {
  /** Tells the time of day. */
  setNow(now: number): void;
  /** All of the commands or, if it throws, none. */
  apply(commands: readonly Command[], origin: string, cursor: string): void;
  /** Ends the current change; `message` is kept with it. */
  commit(message: string | undefined): void;
  /** Writes the initial content if the document is empty. */
  init(content: Plain): boolean;
  /** Everything, from the root. */
  view(): CoreContainer;
  /** What changed since the last call, in order. */
  takePatches(): CorePatch[];
  version(): { [replica: string]: number };
  save(): Uint8Array;
  /** Everything as one record. */
  everything(): Uint8Array;
  /** Whether `everything` says as much as the records that the document was opened from. */
  isWhole(): boolean;
  /** For a document of which records were damaged: whether by now nothing waits for what they held. */
  mend(clock: number): boolean;
  importSaved(bytes: Uint8Array, clock: number): boolean;
  conflicts(handle: number, key: string | undefined): Scalar[];
  /** The runs of a text with equal marks: text, then keys and values in turn. */
  runs(handle: number): [text: string, ...marks: Scalar[]][];
  /** A position that stays with what is on one side of it. */
  anchor(handle: number, index: number, after: boolean): string;
  /** Where an anchor is: its index, and the keys that lead to its container. */
  resolve(anchor: string): [index: number, ...path: (string | number)[]] | undefined;
  /** From now on, what `apply` is given with this origin can be undone. */
  recordUndo(origin: string, mergeMs: number): void;
  /** Undoes (`back`) or redoes; the cursor that was told before, undefined if there was nothing to do. */
  turn(origin: string, back: boolean, cursor: string): string | undefined;
  canTurn(origin: string, back: boolean): boolean;
  checkout(version: Version): CoreContainer;
  diff(from: Version, to: Version): Patch[];
  changes(): CoreChange[];
  blame(handle: number): (readonly [length: number, author: string, time: number, message: string | undefined])[];

  /** Hands sealed edits to the sync engine. */
  flush(clock: number): void;
  connected(clock: number, conn: number, dialer: boolean, shared: boolean, credential: string | undefined): void;
  disconnected(clock: number, conn: number): void;
  received(clock: number, conn: number, bytes: Uint8Array): void;
  /** So many bytes of a connection's messages were written since the last time. */
  written(clock: number, conn: number, bytes: number): void;
  persisted(clock: number, token: number): void;
  persistFailed(clock: number, token: number, reason: string): void;
  prioritize(clock: number, priority: number): void;
  setPresence(clock: number, key: string, value: Uint8Array | undefined): void;
  woken(clock: number): void;
  effects(clock: number): CoreEffect[];
  /** When `woken` is due. */
  deadline(): number | undefined;
  free(): void;
}

export interface CoreModule {
  Replica: new (name: string, replica: Uint8Array, records: readonly Uint8Array[], now: number, clock: number) => CoreReplica;
}

/** Where the module may come from: an address, a response, or its bytes. */
export type WasmSource = string | URL | Response | BufferSource | WebAssembly.Module;

let loading: Promise<CoreModule> | null = null;
let source: WasmSource | null = null;

/**
 * Takes the WebAssembly module from somewhere else than the package's own copy, for pages that serve
 * `selvedge_wasm_bg.wasm` as a file. Call it before the first `open`.
 */
export function useWasm(from: WasmSource): void {
  if (loading) {
    throw new SelvedgeError("invalid-use", "useWasm() was called after the module was loaded", {
      hint: "Call it before the first open().",
    });
  }
  source = from;
}

/** The core, fetched and started at the first call. */
export function loadCore(): Promise<CoreModule> {
  if (!loading) {
    loading = start();
    // A page that was offline for a moment may try again.
    loading.catch(() => {
      loading = null;
    });
  }
  return loading;
}

async function start(): Promise<CoreModule> {
  try {
    const { default: init, Replica } = await import("../wasm/selvedge_wasm.js");
    const module = source ?? (await import("./packed.js")).unpack();
    await init({ module_or_path: module });
    return { Replica: Replica as unknown as CoreModule["Replica"] };
  } catch (cause) {
    throw new SelvedgeError("wasm", `the WebAssembly core cannot be started: ${String(cause)}`, {
      hint: "It needs a browser of 2023 or later and, under a content security policy, 'wasm-unsafe-eval'.",
      cause,
    });
  }
}

/**
 * A core whose errors are ours. After a panic it is not called any more: every call throws what the first one threw.
 */
export function guarded(core: CoreReplica): CoreReplica {
  let broken: SelvedgeError | null = null;
  return new Proxy(core, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name, target);
      if (typeof method !== "function") return method;
      return (...args: unknown[]): unknown => {
        if (broken) throw broken;
        try {
          return Reflect.apply(method, target, args);
        } catch (thrown) {
          const error = fromCore(thrown);
          if (error.code === "panic") broken = error;
          throw error;
        }
      };
    },
  });
}

/** An error of the core as the application sees it. */
export function fromCore(error: unknown): SelvedgeError {
  if (error instanceof SelvedgeError) return error;
  const { code, message } = error as { code?: ErrorCode; message?: string };
  if (code !== undefined && message !== undefined && code !== "panic") return new SelvedgeError(code, message);
  return new SelvedgeError("panic", message ?? String(error), {
    hint: "Reload the page: what was saved is safe. Please report it.",
    cause: error,
  });
}

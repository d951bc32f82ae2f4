/**
 * `RecordStore`: an append-only log of records per document, and the lease of a writer's id.
 *
 * Always holds, of every implementation: when `append` resolves, its records survive a crash, all of them; when it
 * rejects, none was added; records come back as they were written or as an error, never silently fewer. An id that is
 * leased is used by nobody else at that time. Not here: what records mean.
 */

import type { SelvedgeError } from "../error.js";
import { randomBytes } from "../util.js";

/** A record as it was appended. */
export interface StoredRecord {
  /** Its number in the document's log, from 0. Numbers are missing only before one that stands for them. */
  readonly index: number;
  readonly bytes: Uint8Array;
}

/** One record to be appended. */
export interface Append {
  readonly doc: string;
  readonly bytes: Uint8Array;
}

/** Records that do not come back as they were written. */
export interface Damage {
  /** The numbers of those that are there; others are missing. */
  readonly indexes: readonly number[];
  /** The largest number that there is. */
  readonly last: number;
  readonly problem: SelvedgeError;
}

export interface Salvage {
  /** Those that came back as they were written, in order. */
  readonly records: StoredRecord[];
  readonly damage: Damage | null;
}

/** A writer's id that is ours until it is released (or this page ends). */
export interface Lease {
  readonly replica: Uint8Array;
  release(): void;
  /** Nobody may use this id again: two writers did. */
  retire(): Promise<void>;
}

export interface RecordStore {
  /** Whether other tabs read and write the same records. */
  readonly shared: boolean;
  append(records: readonly Append[]): Promise<void>;
  /** The records from a number on. Rejects if one is damaged. */
  read(doc: string, from: number): Promise<StoredRecord[]>;
  /** What there is of a document, damaged or not. */
  salvage(doc: string): Promise<Salvage>;
  documents(): Promise<string[]>;
  /**
   * Puts `bytes`, which say all that the records up to number `last` say, in their place. Damaged ones among them are
   * set aside, and nobody may use an id again that wrote to the document: what it wrote last may be lost.
   */
  compact(doc: string, last: number, bytes: Uint8Array, damaged?: Damage): Promise<void>;
  /** An id that wrote to this document before and is free, or a fresh one. Take it before reading the records. */
  lease(doc: string): Promise<Lease>;
  /** Called when the store lost what it held (evicted, deleted): everything must be appended again. */
  onLost: (() => void) | null;
  /** Called when something fails outside of a call. */
  onTrouble: ((error: SelvedgeError) => void) | null;
  close(): Promise<void>;
}

/** An id that nobody ever used. */
export function freshLease(): Lease {
  return { replica: randomBytes(16), release: () => undefined, retire: () => Promise.resolve() };
}

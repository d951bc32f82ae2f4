/**
 * The npm package `selvedge`: documents that are there offline, in every tab, and synced when a relay is named.
 */

export { SelvedgeError, type ErrorCode } from "./error.js";
export type * from "./types.js";

import type { Doc, OpenOptions, Splice } from "./types.js";

/** Opens a document by name: from this device's store, and from the relay and other tabs as they answer. */
export declare function open<T extends object = Record<string, any>>(name: string, options?: OpenOptions<T>): Promise<Doc<T>>;

/** A document in memory from the bytes of `save`: no store, no tabs, no relay. */
export declare function load<T extends object = Record<string, any>>(bytes: Uint8Array): Promise<Doc<T>>;

/** Inside `doc.change`: moves one element of a draft's array so that it ends up at index `to`. */
export declare function move(array: readonly unknown[], from: number, to: number): void;

/**
 * Where a position in a text lies after splices: a cursor stays with the characters around it. At the place of an
 * insertion it goes behind the new text, or stays before it with `stay`.
 */
export declare function transformIndex(index: number, splices: readonly Splice[], stay?: boolean): number;

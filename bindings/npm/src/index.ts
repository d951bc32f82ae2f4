/**
 * The npm package `selvedge`: documents that are there offline, in every tab, and synced when a relay is named.
 */

export { useWasm, type WasmSource } from "./core.js";
export { transformIndex } from "./diff.js";
export { move } from "./draft/proxy.js";
export { SelvedgeError, type ErrorCode } from "./error.js";
export { load, open } from "./open.js";
export type * from "./types.js";

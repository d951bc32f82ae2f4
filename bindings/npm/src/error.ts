/**
 * `SelvedgeError`: everything that this package throws, rejects with or reports.
 *
 * Always holds: `code` is stable and may be compared; `message` is for people and says what, where and what to do.
 */

/** What went wrong, as a stable word. */
export type ErrorCode =
  /** A value that a document cannot hold (a function, a Date, undefined, a symbol, a lone surrogate, a cycle). */
  | "unsupported-value"
  /** A container of another kind lives at this place. */
  | "wrong-kind"
  /** An index or a length outside of the list or text. */
  | "out-of-range"
  /** More than fits into one change, or into everything that one writer may write. */
  | "too-large"
  /** Part of the document that was removed, or a draft used after its change ended. */
  | "stale"
  /** A change inside of a change, an asynchronous change callback, a name or an option that is not allowed. */
  | "invalid-use"
  /** Bytes that are no document, update or record of ours. */
  | "malformed"
  /** A version that is not known here, or that no `doc.version` ever was. */
  | "unknown-version"
  /** The document was closed. */
  | "closed"
  /** IndexedDB is missing, blocked, or failed. What was edited is kept in memory and tried again. */
  | "store"
  /** The disk quota is used up. What was edited is kept in memory and tried again. */
  | "quota"
  /** The relay closed the connection with a numbered reason, or refused the document. */
  | "relay"
  /** The WebAssembly module cannot be fetched or started. */
  | "wasm"
  /** A bug of this package: the document object is unusable, what was saved is safe. */
  | "panic";

/** An error with a stable `code`, the place in the document, and a hint. */
export class SelvedgeError extends Error {
  override readonly name = "SelvedgeError";
  /** A stable word for the kind of error. */
  readonly code: ErrorCode;
  /** The place in the document, such as `todos[3].due`; empty where there is none. */
  readonly path: string;
  /** What to do about it; empty where there is nothing to say. */
  readonly hint: string;
  /** The relay's number for the reason (`relay` errors only). */
  readonly closeCode: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    details: { path?: string; hint?: string; closeCode?: number; cause?: unknown } = {},
  ) {
    const where = details.path ? ` (at ${details.path})` : "";
    const hint = details.hint ? ` ${details.hint}` : "";
    super(`${message}${where}.${hint}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.path = details.path ?? "";
    this.hint = details.hint ?? "";
    this.closeCode = details.closeCode;
  }
}

/**
 * The connection to a relay: a WebSocket that is dialled again, with exponential backoff and jitter, until it is
 * stopped.
 *
 * Always holds: at most one socket at a time; after `stop` nothing is called any more.
 */

import { SelvedgeError } from "../error.js";
import type { WebSocketConstructor } from "../types.js";
import type { Switchboard } from "./link.js";

const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 30_000;
/** A connection that lived this long, in milliseconds, resets the backoff. */
const STABLE_MS = 10_000;
/** WebSocket close codes from here on are the engine's numbers. */
const CLOSE_CODE_BASE = 4000;
/** How often is looked whether a socket has sent what it was given, in milliseconds: nothing tells. */
const BUFFER_CHECK_MS = 50;
/** The relay is shutting down: nothing is wrong, it is dialled again. */
const GOING_AWAY = 9;

export interface RelayOptions {
  url: string;
  token: string | (() => string | Promise<string>) | undefined;
  webSocket: WebSocketConstructor;
  onError: (error: SelvedgeError) => void;
}

/** Checks a relay's address without dialling it. */
export function relayUrl(address: string): string {
  const hint = 'Give an address such as "wss://relay.example.org".';
  let url: URL;
  try {
    url = new URL(address, globalThis.location?.href);
  } catch (cause) {
    throw new SelvedgeError("invalid-use", `${JSON.stringify(address)} is no relay address`, { hint, cause });
  }
  url.protocol = url.protocol.replace(/^http/, "ws");
  if (url.protocol !== "ws:" && url.protocol !== "wss:") {
    throw new SelvedgeError("invalid-use", `${JSON.stringify(address)} is no relay address`, { hint });
  }
  url.hash = "";
  return url.href;
}

export class RelayLink {
  #board: Switchboard;
  #options: RelayOptions;
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #failures = 0;
  #running = false;
  #attempt = 0;
  readonly #wake = () => this.#dialNow();

  constructor(board: Switchboard, options: RelayOptions) {
    this.#board = board;
    this.#options = options;
  }

  start(): void {
    if (this.#running) return;
    this.#running = true;
    this.#failures = 0;
    globalThis.addEventListener?.("online", this.#wake);
    void this.#dial();
  }

  stop(): void {
    this.#running = false;
    this.#attempt++;
    clearTimeout(this.#timer);
    globalThis.removeEventListener?.("online", this.#wake);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  /** The network is back: do not wait for the backoff. */
  #dialNow(): void {
    if (!this.#running || this.#socket) return;
    clearTimeout(this.#timer);
    this.#failures = 0;
    void this.#dial();
  }

  async #dial(): Promise<void> {
    const attempt = ++this.#attempt;
    const { url, token, webSocket } = this.#options;
    let credential: string | undefined;
    let socket: WebSocket;
    try {
      credential = typeof token === "function" ? await token() : token;
      if (attempt !== this.#attempt) return;
      socket = new webSocket(url);
    } catch (cause) {
      if (attempt !== this.#attempt) return;
      this.#options.onError(new SelvedgeError("relay", `cannot connect to ${url}: ${String(cause)}`, { cause }));
      this.#retry();
      return;
    }
    this.#socket = socket;
    this.#listen(socket, credential);
  }

  #listen(socket: WebSocket, credential: string | undefined): void {
    let conn: number | null = null;
    let openedAt = 0;
    let closedByUs = false;
    let given = 0;
    let checking = false;
    const report = (): void => {
      checking = false;
      if (this.#socket !== socket || conn === null) return;
      const written = Math.max(given - socket.bufferedAmount, 0);
      given -= written;
      if (given > 0) {
        checking = true;
        setTimeout(report, BUFFER_CHECK_MS);
      }
      if (written > 0) this.#board.written(conn, written);
    };
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      if (this.#socket !== socket) return;
      openedAt = Date.now();
      conn = this.#board.connected({
        send: (bytes) => {
          socket.send(bytes as Uint8Array<ArrayBuffer>);
          given += bytes.length;
          if (!checking) report();
        },
        close: (code, text) => {
          closedByUs = true;
          if (code !== 0) this.#options.onError(this.#reason(code, text, "we closed the connection"));
          socket.close(CLOSE_CODE_BASE + code, text.slice(0, 40));
        },
      }, "dialer", false, credential);
    };
    socket.onmessage = (event: MessageEvent) => {
      if (this.#socket !== socket || conn === null || !(event.data instanceof ArrayBuffer)) return;
      this.#board.received(conn, new Uint8Array(event.data));
    };
    socket.onclose = (event: CloseEvent) => {
      const ours = this.#socket === socket;
      if (conn !== null) this.#board.disconnected(conn);
      if (!ours) return;
      this.#socket = null;
      if (conn !== null && Date.now() - openedAt > STABLE_MS) this.#failures = 0;
      const code = event.code - CLOSE_CODE_BASE;
      if (!closedByUs && code > 0 && code < 1000 && code !== GOING_AWAY) {
        this.#options.onError(this.#reason(code, event.reason, "the relay closed the connection"));
      }
      this.#retry();
    };
    // What went wrong is not told to scripts; `close` follows.
    socket.onerror = () => undefined;
  }

  #retry(): void {
    if (!this.#running) return;
    const longest = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#failures++);
    this.#timer = setTimeout(() => void this.#dial(), longest * (0.5 + Math.random() / 2));
  }

  #reason(code: number, text: string, who: string): SelvedgeError {
    const hint = HINTS[code];
    return new SelvedgeError("relay", `${this.#options.url}: ${who}: ${text || `reason ${code}`}`, {
      closeCode: code,
      ...(hint === undefined ? {} : { hint }),
    });
  }
}

const HINTS: Record<number, string> = {
  3: "Update the page or the relay: they have no protocol version in common.",
  4: "Pass a valid `token` to open().",
  5: "Ask for a token with more rights.",
  7: "The relay's limits are reached; it is tried again.",
};

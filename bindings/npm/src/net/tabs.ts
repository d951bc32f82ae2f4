/**
 * The other tabs of this browser: over one BroadcastChannel per document every pair of tabs is a connection.
 *
 * A tab that joins says hello; of two tabs the one with the smaller id dials. A tab's id is new at every join, so a
 * pair of ids names one connection for ever. Always holds: frames of a pair arrive in order and name both ends. That
 * a tab is gone is told by its goodbye or, where there are Web Locks, by the lock that it held.
 */

import { randomBytes, toHex } from "../util.js";
import type { Switchboard } from "./link.js";

type Message =
  | { t: "hello"; from: string }
  | { t: "here"; from: string; to: string }
  | { t: "dial"; from: string; to: string }
  | { t: "frame"; from: string; to: string; bytes: Uint8Array }
  | { t: "hangup"; from: string; to: string }
  | { t: "bye"; from: string };

interface Session {
  id: string;
  channel: BroadcastChannel;
  peers: Map<string, number>;
  release: () => void;
  gone: AbortController;
}

export class TabLinks {
  #board: Switchboard;
  #shared: boolean;
  #name: string;
  #locks: LockManager | undefined;
  #onCount: (tabs: number) => void;
  #session: Session | null = null;

  constructor(board: Switchboard, doc: string, shared: boolean, locks: LockManager | undefined, onCount: (tabs: number) => void) {
    this.#board = board;
    this.#shared = shared;
    this.#name = `selvedge:${doc}`;
    this.#locks = locks;
    this.#onCount = onCount;
  }

  start(): void {
    if (this.#session) return;
    const id = toHex(randomBytes(8));
    const channel = new BroadcastChannel(this.#name);
    const session: Session = { id, channel, peers: new Map(), release: () => undefined, gone: new AbortController() };
    this.#session = session;
    channel.onmessage = (event: MessageEvent<Message>) => {
      if (this.#session === session) this.#on(session, event.data);
    };
    const hello = () => {
      if (this.#session === session) post(session, { t: "hello", from: id });
    };
    const locks = this.#locks;
    if (!locks) return hello();
    // Others wait for this lock: they get it when this tab is gone, however it went.
    locks.request(this.#lockName(id), () => new Promise<void>((release) => {
      session.release = release;
      if (this.#session === session) hello();
      else release();
    })).catch(hello);
  }

  stop(): void {
    const session = this.#session;
    if (!session) return;
    this.#session = null;
    post(session, { t: "bye", from: session.id });
    session.channel.close();
    session.release();
    session.gone.abort();
    for (const conn of session.peers.values()) this.#board.disconnected(conn);
    this.#onCount(0);
  }

  #lockName(id: string): string {
    return `${this.#name}:tab:${id}`;
  }

  #on(session: Session, message: Message): void {
    if ("to" in message && message.to !== session.id) return;
    const { from } = message;
    switch (message.t) {
      case "hello":
      case "here":
        if (session.id < from) {
          if (!session.peers.has(from)) {
            post(session, { t: "dial", from: session.id, to: from });
            this.#connect(session, from, "dialer");
          }
        } else if (message.t === "hello") {
          post(session, { t: "here", from: session.id, to: from });
        }
        break;
      case "dial":
        this.#connect(session, from, "acceptor");
        break;
      case "frame": {
        const conn = session.peers.get(from);
        if (conn !== undefined && message.bytes instanceof Uint8Array) this.#board.received(conn, message.bytes);
        break;
      }
      case "hangup":
      case "bye":
        this.#gone(session, from);
    }
  }

  #connect(session: Session, peer: string, role: "dialer" | "acceptor"): void {
    if (session.peers.has(peer)) return;
    const conn = this.#board.connected({
      send: (bytes) => {
        post(session, { t: "frame", from: session.id, to: peer, bytes });
        this.#board.written(conn, bytes.length);
      },
      close: () => {
        post(session, { t: "hangup", from: session.id, to: peer });
        this.#gone(session, peer);
      },
    }, role, this.#shared);
    session.peers.set(peer, conn);
    this.#onCount(session.peers.size);
    this.#locks?.request(this.#lockName(peer), { mode: "shared", signal: session.gone.signal }, () => this.#gone(session, peer))
      // We left first.
      .catch(() => undefined);
  }

  #gone(session: Session, peer: string): void {
    const conn = session.peers.get(peer);
    if (conn === undefined || this.#session !== session) return;
    session.peers.delete(peer);
    this.#board.disconnected(conn);
    this.#onCount(session.peers.size);
  }
}

function post(session: Session, message: Message): void {
  try {
    session.channel.postMessage(message);
  } catch {
    // The channel was closed between two messages: the tab is leaving.
  }
}

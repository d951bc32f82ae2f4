/**
 * The connection to a relay: addresses, backoff, close codes, tokens, `offline`; and two documents that speak the real
 * protocol over sockets in memory. A real relay is in the tests of the packed package and of the web demo.
 */

import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import { open, type OpenOptions } from "../src/index.js";
import type { SelvedgeError } from "../src/error.js";
import type { Connection, Switchboard } from "../src/net/link.js";
import { RelayLink, relayUrl } from "../src/net/relay.js";
import type { Doc, WebSocketConstructor } from "../src/types.js";
import { until } from "./helpers/wait.js";

class FakeSocket {
  static all: FakeSocket[] = [];
  binaryType = "";
  sent: Uint8Array[] = [];
  bufferedAmount = 0;
  closedWith: number | undefined;
  onopen = () => {};
  onmessage = (_: unknown) => {};
  onclose = (_: unknown) => {};

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  send(bytes: Uint8Array): void {
    this.sent.push(bytes);
  }

  close(code: number): void {
    this.closedWith = code;
    this.onclose({ code, reason: "" });
  }
}

const webSocket = FakeSocket as unknown as WebSocketConstructor;

function link(options: { token?: string | (() => Promise<string>) } = {}) {
  FakeSocket.all = [];
  const events: string[] = [];
  const errors: SelvedgeError[] = [];
  const board: Switchboard = {
    connected: (_, role, shared, credential) => {
      events.push(`connected ${role} ${shared} ${credential ?? "-"}`);
      return 7;
    },
    received: (conn, bytes) => events.push(`received ${conn} ${bytes.length}`),
    written: (conn, bytes) => events.push(`written ${conn} ${bytes}`),
    disconnected: (conn) => events.push(`disconnected ${conn}`),
  };
  const relay = new RelayLink(board, { url: "ws://r/", token: options.token, webSocket, onError: (error) => errors.push(error) });
  return { relay, events, errors, last: () => FakeSocket.all.at(-1)! };
}

afterEach(() => mock.timers.reset());

const turn = () => new Promise((resolve) => setImmediate(resolve));

test("addresses", () => {
  assert.equal(relayUrl("ws://localhost:8787"), "ws://localhost:8787/");
  assert.equal(relayUrl("https://example.org/sync#x"), "wss://example.org/sync");
  for (const bad of ["", "localhost:8787", "ftp://x", "//"]) assert.throws(() => relayUrl(bad), { code: "invalid-use" }, bad);
});

test("it is dialled again with growing delays, at once when the network is back, and never after stop", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  const { relay, events } = link();
  relay.start();
  relay.start();
  await turn();
  const delays: number[] = [];
  for (let round = 0; round < 12; round++) {
    const dialled = FakeSocket.all.length;
    FakeSocket.all.at(-1)!.onclose({ code: 1006, reason: "" });
    let waited = 0;
    for (; FakeSocket.all.length === dialled && waited < 60_000; waited += 50) {
      mock.timers.tick(50);
      await turn();
    }
    delays.push(waited);
  }
  assert.equal(FakeSocket.all.length, 13);
  delays.forEach((delay, round) => {
    const longest = Math.min(30_000, 250 * 2 ** round);
    assert.ok(delay >= longest / 2 && delay <= longest + 50, `delay ${round}: ${delay}`);
  });
  FakeSocket.all.at(-1)!.onclose({ code: 1006, reason: "" });
  relay.stop();
  mock.timers.tick(600_000);
  await turn();
  assert.equal(FakeSocket.all.length, 13);
  assert.deepEqual(events, []);
});

test("messages, close codes and tokens", async () => {
  let tokens = 0;
  const { relay, events, errors, last } = link({ token: async () => `token ${++tokens}` });
  relay.start();
  await turn();
  const socket = last();
  socket.onopen();
  socket.onmessage({ data: new ArrayBuffer(3) });
  socket.onmessage({ data: "text" });
  socket.onclose({ code: 4004, reason: "the token has expired" });
  socket.onmessage({ data: new ArrayBuffer(9) });
  assert.deepEqual(events, ["connected dialer false token 1", "received 7 3", "disconnected 7"]);
  assert.deepEqual([errors[0]?.code, errors[0]?.closeCode], ["relay", 4]);
  assert.match(errors[0]!.message, /the token has expired.*valid `token`/);
  await until("it is dialled again", () => FakeSocket.all.length === 2);
  last().onopen();
  assert.equal(events.at(-1), "connected dialer false token 2");
  relay.stop();
  assert.equal(last().closedWith, 1000);
  assert.equal(events.at(-1), "disconnected 7");
  assert.equal(errors.length, 1);
});

test("a token that cannot be fetched is told and tried again", async () => {
  let calls = 0;
  const { relay, errors } = link({
    token: async () => {
      if (++calls === 1) throw new Error("no network");
      return "t";
    },
  });
  relay.start();
  await until("a socket", () => FakeSocket.all.length === 1);
  assert.match(errors[0]!.message, /no network/);
  relay.stop();
});

test("a document says what the relay says, and goes on", async () => {
  FakeSocket.all = [];
  const doc: Doc<any> = await open("r", { store: "memory", tabs: false, relay: "ws://r", webSocket } as OpenOptions<any>);
  const errors: SelvedgeError[] = [];
  doc.onError((error) => errors.push(error));
  await until("it is dialled", () => FakeSocket.all.length === 1);
  FakeSocket.all[0]!.onopen();
  await until("it greets", () => FakeSocket.all[0]!.sent.length > 0);
  FakeSocket.all[0]!.onmessage({ data: new Uint8Array([255, 1, 2, 3]).buffer });
  await until("what it said is refused", () => errors.length > 0);
  assert.equal(errors[0]!.code, "relay");
  assert.ok(FakeSocket.all[0]!.closedWith! > 4000);
  assert.equal(doc.status.error, errors[0]);
  doc.text("t").insert(0, "still here");
  await doc.until("saved");
  assert.deepEqual([doc.status.connected, doc.status.sent, doc.status.durable], [false, false, false]);
  doc.offline(true);
  const dialled = FakeSocket.all.length;
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(FakeSocket.all.length, dialled);
  await doc.close();
});

/** The relay's greeting: version 1, no capabilities, 1 MiB, 10 documents, nobody, nothing. */
const WELCOME = new Uint8Array([0, ...new TextEncoder().encode("selvedge"), 1, 1, 0, 128, 128, 64, 10, 0, 0]);

test("the priority goes with the document, and later when it changes", async () => {
  FakeSocket.all = [];
  const doc: Doc<any> = await open("p", { store: "memory", tabs: false, relay: "ws://r", webSocket } as OpenOptions<any>);
  for (const bad of [-1, 256, 1.5, Number.NaN, "9" as unknown as number]) assert.throws(() => doc.prioritize(bad), { code: "invalid-use" });
  doc.prioritize(7);
  await until("it is dialled", () => FakeSocket.all.length === 1);
  const socket = FakeSocket.all[0]!;
  socket.onopen();
  await until("it greets", () => socket.sent.length === 1);
  socket.onmessage({ data: WELCOME.buffer });
  await until("it asks for the document", () => socket.sent.length === 2);
  assert.deepEqual([...socket.sent[1]!.slice(-3)], [17, 0, 7]);
  doc.prioritize(9);
  await until("it says so", () => socket.sent.length === 3);
  assert.deepEqual([...socket.sent[2]!], [1, 17, 0, 9]);
  await doc.close();
});

test("what a socket has written is told, at the latest when it has written all", async () => {
  mock.timers.enable({ apis: ["setTimeout", "Date"] });
  FakeSocket.all = [];
  const written: number[] = [];
  let connection: Connection | undefined;
  const board: Switchboard = {
    connected: (connected) => {
      connection = connected;
      return 1;
    },
    received: () => undefined,
    written: (_, bytes) => written.push(bytes),
    disconnected: () => undefined,
  };
  const relay = new RelayLink(board, { url: "ws://r/", token: undefined, webSocket, onError: () => undefined });
  relay.start();
  await turn();
  const socket = FakeSocket.all[0]!;
  socket.onopen();
  socket.bufferedAmount = 100;
  connection!.send(new Uint8Array(100));
  socket.bufferedAmount = 130;
  connection!.send(new Uint8Array(50));
  mock.timers.tick(50);
  assert.deepEqual(written, [20]);
  mock.timers.tick(200);
  assert.deepEqual(written, [20]);
  socket.bufferedAmount = 0;
  mock.timers.tick(50);
  assert.deepEqual(written, [20, 130]);
  mock.timers.tick(500);
  connection!.send(new Uint8Array(10));
  assert.deepEqual(written, [20, 130, 10]);
  relay.stop();
});

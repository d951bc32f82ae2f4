/**
 * Bad input: what is refused or cannot be stored is told in clear words, and never shown as an empty page.
 */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { execFileSync } from "node:child_process";

import { browser, device, Relay, relayProgram, Tab, temporaryFolder } from "./harness.mjs";

const notice = (tab) => tab.page.getByRole("alert").filter({ visible: true });

test("a document that the relay refuses is told with its reason; writing goes on; a right token lets it in", async (t) => {
  // Bug class J: nothing of a refused document is read or passed on.
  const folder = temporaryFolder(t);
  const key = path.join(folder, "relay.key");
  writeFileSync(key, "a secret of at least thirty-two bytes");
  const token = (rule) =>
    execFileSync(relayProgram(), ["token", "--token-key", key, "--doc", rule, "--sub", "ada"], { encoding: "utf8" }).trim();
  const relay = await Relay.start(t, { args: ["--token-key", key] });
  const context = await device(await browser(t));

  const none = await Tab.open(context, relay.url, "board");
  await notice(none).getByText("The relay refuses this page").waitFor();
  assert.match(await notice(none).innerText(), /token/u);

  const wrong = await Tab.open(context, relay.url, "board", { query: `?token=${token("other=rw")}` });
  await notice(wrong).getByText("The relay refuses this page").waitFor();
  await wrong.type("still writing");
  await wrong.untilStatus({ saved: true, sent: false, durable: false, mood: "bad" });

  const right = await Tab.open(context, relay.url, "board", { query: `?token=${token("board=rw")}` });
  await right.untilShown({ text: "still writing" });
  await right.untilStatus({ durable: true });
  assert.equal(await notice(right).count(), 0);
});

test("an address that names no page is told, and the way out works", async (t) => {
  const relay = await Relay.start(t);
  const context = await device(await browser(t));
  const tab = await Tab.open(context, relay.url, "a".repeat(300), { ready: "refused" });
  assert.match(await notice(tab).innerText(), /longer than 256 bytes/u);
  await tab.page.getByRole("button", { name: "Go to the welcome page" }).click();
  await tab.ready();
  await tab.untilShown({ title: "A page that is yours" });
  const garbled = await Tab.open(context, relay.url, "%E0%A4%A", { ready: "refused" });
  assert.match(await notice(garbled).innerText(), /not a readable name/u);
});

test("a browser that cannot store says so instead of showing an empty page", async (t) => {
  // Bug class D: a failed open is an error, never an empty document.
  const relay = await Relay.start(t);
  const context = await device(await browser(t));
  await context.addInitScript(() => {
    IDBFactory.prototype.open = () => {
      throw new DOMException("storage is switched off", "SecurityError");
    };
  });
  const tab = await Tab.open(context, relay.url, "nowhere", { ready: "refused" });
  assert.match(await notice(tab).innerText(), /This page cannot be opened/u);
  assert.equal(await tab.page.getByLabel("Notes", { exact: true }).isVisible(), false);
});

test("what the device fails to save is told as not saved", async (t) => {
  // Bug class D: an aborted transaction is told, and what it held is kept and tried again.
  const relay = await Relay.start(t);
  const context = await device(await browser(t));
  const tab = await Tab.open(context, relay.url, "full");
  await tab.type("saved ");
  await tab.untilStatus({ saved: true, durable: true });
  await tab.offline(true);
  await tab.page.evaluate(() => {
    globalThis.realTransaction = IDBDatabase.prototype.transaction;
    IDBDatabase.prototype.transaction = function (stores, mode, ...rest) {
      const transaction = globalThis.realTransaction.call(this, stores, mode, ...rest);
      if (mode === "readwrite") transaction.abort();
      return transaction;
    };
  });
  await tab.type("not saved");
  await tab.untilStatus({ saved: false, mood: "bad" });
  await notice(tab).getByText("This device cannot save").waitFor();
  await tab.page.evaluate(() => {
    IDBDatabase.prototype.transaction = globalThis.realTransaction;
  });
  await tab.untilStatus({ saved: true, mood: "waiting" });
  await tab.page.getByRole("alert").waitFor({ state: "hidden" });
});

/**
 * The sync status tells the truth: saved, sent and durable are three things.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { browser, device, Relay, Tab } from "./harness.mjs";

test("with the relay killed an edit is saved here but not durable; after its return it is", async (t) => {
  // Bug class B: what was not acknowledged is sent again.
  const relay = await Relay.start(t);
  const tab = await Tab.open(await device(await browser(t)), relay.url, "status");
  await tab.type("one ");
  await tab.untilStatus({ saved: true, sent: true, durable: true, words: "Saved on this device and on the relay" });

  await relay.stop("SIGKILL");
  await tab.untilStatus({ connected: false });
  await tab.type("two ");
  const away = await tab.untilStatus({ saved: true, sent: false, durable: false, mood: "waiting" });
  await tab.untilStatus({ words: "Relay out of reach. Saved on this device" });
  assert.equal(away.connected, false);

  await relay.start();
  await tab.untilStatus({ saved: true, sent: true, durable: true, words: "Saved on this device and on the relay" });

  // Durable means durable: killed at once, the relay still has it, and a device that never saw it gets it.
  await relay.stop("SIGKILL");
  await tab.page.context().close();
  await relay.start();
  const fresh = await Tab.open(await device(await browser(t)), relay.url, "status");
  await fresh.untilShown({ text: "one two " });
});

test("the switch is told in words, and what waits is told apart from what is safe", async (t) => {
  const relay = await Relay.start(t);
  const tab = await Tab.open(await device(await browser(t)), relay.url, "words");
  await tab.type("safe");
  await tab.untilStatus({ durable: true });
  await tab.offline(true);
  await tab.untilStatus({ durable: true, words: "Offline. Everything is on the relay" });
  await tab.type(" waiting");
  await tab.untilStatus({ saved: true, durable: false, words: "Offline. Saved on this device" });
  await tab.offline(false);
  await tab.untilStatus({ durable: true, mood: "good" });
});

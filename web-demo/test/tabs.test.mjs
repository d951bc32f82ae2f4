/**
 * Tabs of one browser: they share edits without a relay, and the offline switch cuts them as well.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { browser, device, pause, Relay, Tab, untilEqual } from "./harness.mjs";

test("two tabs share edits while the relay is down; the switch cuts relay and tabs", async (t) => {
  // Bug class D: several tabs write into one store.
  const relay = await Relay.start(t);
  const context = await device(await browser(t));
  const first = await Tab.open(context, relay.url, "tabs");
  const second = await Tab.open(context, relay.url, "tabs");
  await relay.stop("SIGKILL");
  await first.untilStatus({ connected: false });
  await first.setTitle("Without a relay");
  await first.type("one ");
  await second.untilShown({ title: "Without a relay", text: "one " });
  await second.type("two ");
  await second.addItem("from the second tab");
  await first.untilShown({ text: "one two ", items: [{ text: "from the second tab", done: false }] });

  await second.offline(true);
  await first.type("three ");
  await second.clap();
  await pause(500);
  assert.deepEqual([(await first.shown()).claps, (await second.shown()).text], [0, "one two "]);

  await second.offline(false);
  const shown = await untilEqual([first, second]);
  assert.deepEqual([shown.claps, shown.text], [1, "one two three "]);

  await relay.start();
  await Promise.all([first, second].map((tab) => tab.untilStatus({ durable: true })));
  const elsewhere = await Tab.open(await device(await browser(t)), relay.url, "tabs");
  await elsewhere.untilShown(shown);
  for (const tab of [first, second, elsewhere]) assert.deepEqual(tab.errors, []);
});

test("the switch also cuts the relay, and survives a reload of the tab", async (t) => {
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const near = await Tab.open(await device(chromium), relay.url, "switch");
  const far = await Tab.open(await device(chromium), relay.url, "switch");
  await near.offline(true);
  await near.setTitle("near");
  await far.type("far");
  await near.reload();
  await near.untilStatus({ saved: true, connected: false, durable: false });
  await pause(500);
  assert.deepEqual([(await near.shown()).text, (await far.shown()).title], ["", ""]);
  await near.offline(false);
  const shown = await untilEqual([near, far]);
  assert.deepEqual([shown.title, shown.text], ["near", "far"]);
});

/**
 * Devices that edit offline and meet again: different at first, then equal, also after a reload without network and on a
 * device that comes later.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { browser, device, Relay, Tab, untilEqual } from "./harness.mjs";

const NAME = "meeting";

async function start(ada) {
  await ada.setTitle("Meeting");
  await ada.type("Agenda: ");
  for (const item of ["coffee", "budget", "names", "dates"]) await ada.addItem(item);
  await ada.clap(2);
  await ada.addTag("monday");
}

async function editHere(ada) {
  await ada.setTitle("Meeting on Monday");
  await ada.type("first the money. ");
  await ada.tick("coffee");
  await ada.dragItem("dates", "coffee");
  await ada.addItem("from Ada");
  await ada.clap(3);
  await ada.addTag("ada");
  await ada.removeTag("monday");
}

async function editThere(bob) {
  await bob.setTitle("Meeting on Tuesday");
  await bob.type("first the people. ");
  await bob.renameItem("budget", "the budget");
  await bob.pressOnGrip("names", "Home");
  await bob.removeItem("coffee");
  await bob.addItem("from Bob");
  await bob.clap(4);
  await bob.addTag("bob");
}

test("two devices, one offline, edit everything; they are unequal, then equal, and stay so", async (t) => {
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const contexts = [await device(chromium), await device(chromium)];
  const ada = await Tab.open(contexts[0], relay.url, NAME);
  const bob = await Tab.open(contexts[1], relay.url, NAME);
  await start(ada);
  const before = await untilEqual([ada, bob]);
  assert.deepEqual(before, {
    title: "Meeting", text: "Agenda: ", claps: 2, tags: ["monday"],
    items: ["coffee", "budget", "names", "dates"].map((text) => ({ text, done: false })),
  });

  await bob.offline(true);
  await editHere(ada);
  await editThere(bob);
  const [here, there] = [await ada.shown(), await bob.shown()];
  for (const part of ["title", "text", "items", "claps", "tags"]) assert.notDeepEqual(here[part], there[part], part);
  await bob.untilStatus({ saved: true, sent: false, durable: false, connected: false });

  await bob.offline(false);
  const merged = await untilEqual([ada, bob]);
  checkMerged(merged);
  await Promise.all([ada, bob].map((tab) => tab.untilStatus({ saved: true, sent: true, durable: true })));
  assert.deepEqual(await ada.held(), await bob.held());

  // Without any network: the application comes from the device, and the document with it.
  await Promise.all([ada, bob].map((tab) => tab.keptForOffline()));
  await relay.stop();
  await contexts[0].setOffline(true);
  await Promise.all([ada, bob].map((tab) => tab.reload()));
  for (const tab of [ada, bob]) assert.deepEqual(await tab.shown(), merged);
  await contexts[0].setOffline(false);

  await relay.start();
  const carol = await Tab.open(await device(chromium), relay.url, NAME);
  await carol.untilShown(merged);
  assert.deepEqual(await carol.held(), await ada.held());
  for (const tab of [ada, bob, carol]) assert.deepEqual(tab.errors, []);
});

/** What both did is there: nothing is lost and nothing is there twice. */
function checkMerged({ title, text, items, claps, tags }) {
  assert.ok(["Meeting on Monday", "Meeting on Tuesday"].includes(title), title);
  assert.equal([...text].sort().join(""), [..."Agenda: first the money. first the people. "].sort().join(""));
  for (const sentence of ["first the money. ", "first the people. "]) assert.ok(text.includes(sentence), text);
  assert.equal(claps, 9);
  assert.deepEqual([...tags].sort(), ["ada", "bob"]);
  assert.deepEqual(items.map((item) => item.text).sort(), ["dates", "from Ada", "from Bob", "names", "the budget"]);
  // Both moved a line to the top: each is moved once, and both are before the line that nobody moved.
  const places = Object.fromEntries(items.map((item, place) => [item.text, place]));
  assert.ok(places.dates < places["the budget"] && places.names < places["the budget"], JSON.stringify(items));
}

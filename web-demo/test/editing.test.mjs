/**
 * Writing while others write: the caret stays, undo takes back one's own typing only, cursors are seen, input methods
 * are not disturbed, lines are moved by finger and by keyboard.
 */

import assert from "node:assert/strict";
import { test } from "node:test";

import { browser, device, Relay, Tab, until, untilEqual } from "./harness.mjs";

async function pair(t, name) {
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const ada = await Tab.open(await device(chromium), relay.url, name);
  const bob = await Tab.open(await device(chromium), relay.url, name);
  return { relay, ada, bob };
}

const area = (tab) => tab.page.getByLabel("Notes", { exact: true });
const select = (tab, start, end = start) =>
  area(tab).evaluate((element, [from, to]) => {
    element.focus();
    element.setSelectionRange(from, to);
  }, [start, end]);
const selected = (tab) => area(tab).evaluate((element) => [element.selectionStart, element.selectionEnd]);
const insert = (tab, index, text) => tab.page.evaluate(([at, what]) => globalThis.page.doc.text("text").insert(at, what), [index, text]);

test("caret and selection stay with their characters while others write around them", async (t) => {
  const { ada, bob } = await pair(t, "caret");
  await ada.type("The quick brown fox");
  await bob.untilShown({ text: "The quick brown fox" });
  await select(ada, 4, 9);
  await insert(bob, 0, "Look! ");
  await insert(bob, 25, " jumps");
  await ada.untilShown({ text: "Look! The quick brown fox jumps" });
  assert.deepEqual(await selected(ada), [10, 15]);
  await ada.page.keyboard.type("slow");
  await bob.untilShown({ text: "Look! The slow brown fox jumps" });
  assert.deepEqual(await selected(ada), [14, 14]);
});

test("undo takes back what was typed here and nothing of the others", async (t) => {
  // Bug class F: undo beside edits of others.
  const { ada, bob } = await pair(t, "undo");
  await ada.type("one");
  await bob.untilShown({ text: "one" });
  await insert(bob, 1, "XX");
  await ada.untilShown({ text: "oXXne" });
  await area(ada).press("ControlOrMeta+z");
  await bob.untilShown({ text: "XX" });
  await area(ada).press("ControlOrMeta+Shift+z");
  const { text } = await untilEqual([ada, bob]);
  assert.equal([...text].sort().join(""), [..."oneXX"].sort().join(""));
  assert.ok(text.includes("XX"), text);
});

test("others see cursor, selection and name, and see them go", async (t) => {
  const { ada, bob } = await pair(t, "cursors");
  await ada.page.getByRole("button", { name: /Who is here/u }).click();
  await ada.page.getByLabel("Your name").fill("Ada Lovelace");
  await ada.page.getByLabel("Your name").press("Enter");
  await ada.page.keyboard.press("Escape");
  await ada.type("first line\nsecond line");
  await bob.untilShown({ text: "first line\nsecond line" });
  await select(ada, 11, 17);
  const cursor = bob.page.locator("#cursors .cursor");
  await bob.page.locator("#cursors .cursor-selection").waitFor();
  assert.equal(await cursor.count(), 1);
  assert.equal(await cursor.locator(".cursor-name").textContent(), "Ada Lovelace");
  const place = () => cursor.locator(".cursor-bar").boundingBox();
  const onSecondLine = await place();
  await select(ada, 3);
  const onFirstLine = await until("the cursor moved up", async () => {
    const box = await place();
    return box.y < onSecondLine.y - 10 && box;
  });
  // Text before the cursor pushes it along.
  await insert(bob, 0, "the ");
  await until("the cursor moved right", async () => (await place()).x > onFirstLine.x + 10);
  await bob.page.getByRole("button", { name: "Who is here: 2 people are here" }).waitFor();
  await ada.page.close();
  await until("the cursor went", async () => (await cursor.count()) === 0, 90_000);
});

test("an input method is left alone until it has composed", async (t) => {
  const { ada, bob } = await pair(t, "compose");
  await ada.type("ab");
  await bob.untilShown({ text: "ab" });
  await select(ada, 1);
  const session = await ada.page.context().newCDPSession(ada.page);
  await session.send("Input.imeSetComposition", { text: "に", selectionStart: 1, selectionEnd: 1 });
  await insert(bob, 0, "bob ");
  await until("bob's edit is here", () => ada.page.evaluate(() => globalThis.page.doc.text("text").toString().startsWith("bob ")));
  await ada.page.waitForTimeout(400);
  assert.equal((await ada.shown()).text, "aにb", "nothing is written into a composition");
  await session.send("Input.imeSetComposition", { text: "日本", selectionStart: 2, selectionEnd: 2 });
  await session.send("Input.insertText", { text: "日本" });
  for (const tab of [ada, bob]) await tab.untilShown({ text: "bob a日本b" });
  assert.deepEqual(await selected(ada), [7, 7]);
});

test("a line is moved by finger, and by keyboard with its place read out", async (t) => {
  const relay = await Relay.start(t);
  const chromium = await browser(t);
  const phone = await device(chromium, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });
  const tab = await Tab.open(phone, relay.url, "lines");
  for (const item of ["a", "b", "c"]) await tab.addItem(item);
  const order = async () => (await tab.shown()).items.map((item) => item.text).join("");
  const grip = (place) => tab.page.locator(".item-grip").nth(place);
  await grip(2).scrollIntoViewIfNeeded();
  const from = await grip(0).boundingBox();
  const to = await grip(2).boundingBox();
  const session = await phone.newCDPSession(tab.page);
  const touch = (type, y) =>
    session.send("Input.dispatchTouchEvent", { type, touchPoints: type === "touchEnd" ? [] : [{ x: from.x + from.width / 2, y }] });
  await touch("touchStart", from.y + from.height / 2);
  const goal = to.y + to.height * 0.8;
  for (let step = 1; step <= 10; step += 1) await touch("touchMove", from.y + from.height / 2 + ((goal - from.y) * step) / 10);
  await touch("touchEnd");
  await until("the line is at the end", async () => (await order()) === "bca");

  await tab.pressOnGrip("a", "ArrowUp");
  await until("the line is one up", async () => (await order()) === "bac");
  assert.equal(await tab.page.locator("#items-said").textContent(), "Moved to place 2 of 3");
  assert.equal(await tab.page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Move a, 2 of 3");
  await tab.page.keyboard.press("Home");
  await until("the line is first", async () => (await order()) === "abc");
});

test("a line keeps focus and caret while others move and edit the lines around it", async (t) => {
  const { ada, bob } = await pair(t, "focus");
  for (const item of ["a", "b", "c"]) await ada.addItem(item);
  await bob.untilShown({ items: ["a", "b", "c"].map((text) => ({ text, done: false })) });
  const field = ada.page.getByLabel("Text of line 2", { exact: true });
  await field.focus();
  await ada.page.keyboard.type("!");
  await bob.pressOnGrip("c", "Home");
  await bob.tick("a");
  await ada.untilShown({ items: [{ text: "c", done: false }, { text: "a", done: true }, { text: "b!", done: false }] });
  await ada.page.keyboard.type("?");
  const { items } = await untilEqual([ada, bob]);
  assert.deepEqual(items.map((item) => item.text), ["c", "a", "b!?"]);
});

test("pages are made, listed and linked", async (t) => {
  const relay = await Relay.start(t);
  const context = await device(await browser(t));
  const tab = await Tab.open(context, relay.url, "");
  await tab.untilShown({ title: "A page that is yours" });
  assert.equal((await tab.shown()).items.length, 4);
  await tab.page.getByRole("button", { name: /^Page:/u }).click();
  await tab.page.getByRole("button", { name: "New page" }).click();
  await tab.untilShown({ title: "", text: "", items: [] });
  assert.match(tab.page.url(), /#notes-[a-z0-9]{10}$/u);
  await tab.setTitle("A new one");
  await tab.page.getByRole("button", { name: /^Page:/u }).click();
  await tab.page.getByRole("link", { name: "A page that is yours" }).click();
  await tab.untilShown({ title: "A page that is yours" });
  await tab.page.goBack();
  await tab.untilShown({ title: "A new one" });
  assert.deepEqual(tab.errors, []);
});

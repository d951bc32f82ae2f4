/**
 * The demo checks itself: `node check.mjs URL [--screenshots DIR]` opens it on two devices in headless Chromium, edits
 * both, one of them offline, and prints what it saw. Exit code 0 if both end equal, otherwise 1.
 *
 * Not here: the relay, which must run at URL.
 */

import { mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

import { browser, device, pause, Tab, untilEqual } from "./test/harness.mjs";

const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 };

const SAFE = { saved: true, sent: true, durable: true, words: "Saved on this device and on the relay" };
const WAITING = { saved: true, sent: false, durable: false, words: "Offline. Saved on this device" };

const { values, positionals } = parseArgs({ allowPositionals: true, options: { screenshots: { type: "string" } } });
const url = positionals[0]?.replace(/\/$/u, "");
if (!url || positionals.length !== 1) {
  console.error("usage: node check.mjs URL [--screenshots DIR]");
  process.exit(2);
}

const say = (line) => console.log(line);
const cleanups = [];
/** Stands in for the test runner's context. */
const scope = { after: (work) => cleanups.push(work) };
let failed = false;
try {
  await check();
  say("ok");
} catch (error) {
  failed = true;
  console.error(`FAILED: ${error.message}`);
} finally {
  for (const cleanup of cleanups.reverse()) await cleanup();
}
process.exitCode = failed ? 1 : 0;

async function check() {
  await fetch(`${url}/healthz`).catch(() => {
    throw new Error(`nothing answers at ${url}: start a relay there first (cargo xtask demo)`);
  });
  const chromium = await browser(scope);
  const name = `check-${Date.now().toString(36)}`;
  say(`opening ${url}/#${name} on two devices`);
  const ada = await Tab.open(await device(chromium), url, name);
  const bob = await Tab.open(await device(chromium, PHONE), url, name);
  await bob.page.emulateMedia({ colorScheme: "dark" });

  await ada.setTitle("Weekend in the mountains");
  await ada.type("Leave on Friday with the 14:07 and be at the hut before dark.\n");
  for (const item of ["Book the hut", "Headlamps", "Bread and cheese"]) await ada.addItem(item);
  await ada.clap();
  await ada.addTag("hiking");
  say(`both show: ${line(await untilEqual([ada, bob]))}`);
  await ada.untilStatus(SAFE);
  say(`status: ${SAFE.words}`);
  await bob.page.getByLabel("Notes", { exact: true }).focus();
  const cursor = ada.page.locator("#cursors .cursor-name").first();
  await cursor.waitFor({ state: "attached" });
  say(`the first sees the cursor of ${await cursor.textContent()}`);
  await shoot(values.screenshots, { desktop: ada, phone: bob }, "1-together");

  await bob.offline(true);
  say("the second one is switched offline; both edit");
  await ada.tick("Book the hut");
  await ada.type("Jonas brings the stove.\n");
  await ada.clap(2);
  await bob.addItem("Check the last train home");
  await bob.pressOnGrip("Bread and cheese", "Home");
  await bob.type("There is no network up there.\n");
  await bob.clap(3);
  await bob.addTag("october");
  const [here, there] = [await ada.shown(), await bob.shown()];
  say(`the first shows:  ${line(here)}`);
  say(`the second shows: ${line(there)}`);
  if (JSON.stringify(here) === JSON.stringify(there)) throw new Error("they are equal, though one is offline");
  await bob.untilStatus(WAITING);
  say(`status of the second: ${WAITING.words}`);
  await shoot(values.screenshots, { desktop: ada, phone: bob }, "2-apart");

  await bob.offline(false);
  say("it is switched back on");
  const merged = await untilEqual([ada, bob]);
  say(`both show: ${line(merged)}`);
  if (merged.claps !== 6 || merged.items.length !== 4 || merged.tags.length !== 2) throw new Error("an edit is lost or there twice");
  await Promise.all([ada, bob].map((tab) => tab.untilStatus(SAFE)));
  say(`status of both: ${SAFE.words}`);
  await shoot(values.screenshots, { desktop: ada, phone: bob }, "3-equal");

  await bob.reload();
  const carol = await Tab.open(await device(chromium), url, name);
  await untilEqual([ada, bob, carol]);
  say("a reload and a third device show the same");
  const errors = [ada, bob, carol].flatMap((tab) => tab.errors);
  if (errors.length > 0) throw new Error(`errors in the page: ${errors.join("; ")}`);
}

/** A page in one line. */
function line({ title, text, items, claps, tags }) {
  const list = items.map((item) => `${item.done ? "[x]" : "[ ]"} ${item.text}`).join(", ");
  return `“${title}”, ${text.length} characters, ${list}; ${claps} claps; ${tags.map((tag) => `#${tag}`).join(" ")}`;
}

/** Screenshots in both themes, if they were asked for. */
async function shoot(folder, tabs, step) {
  if (folder === undefined) return;
  mkdirSync(folder, { recursive: true });
  for (const [device, tab] of Object.entries(tabs)) {
    for (const colorScheme of ["light", "dark"]) {
      await tab.page.emulateMedia({ colorScheme });
      await tab.page.evaluate(() => window.scrollTo(0, 0));
      // Colours change over a moment.
      await pause(300);
      await tab.page.screenshot({ path: path.join(folder, `${step}-${device}-${colorScheme}.png`), fullPage: device === "phone" });
    }
  }
  say(`screenshots of step ${step} in ${folder}`);
}

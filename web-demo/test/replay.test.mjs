/**
 * A long recorded history goes through the relay while a second native client and this page follow it, and the relay is
 * killed half-way.
 */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import { browser, command, device, pause, Relay, run, Tab, temporaryFolder, trace, until, within } from "./harness.mjs";
import { random } from "./random.mjs";

/** Longest wait for all of it, on a slow machine. */
const LIMIT_MS = 900_000;
/** How long the replay runs and rests. */
const SPELL_MS = 10;
const REST_MS = 550;

/** The last that the replay told of itself. */
function progress({ output }) {
  const [, typed, total, durable] = [...output.out.matchAll(/typed (\d+) of (\d+), durable (\d+)/gu)].at(-1) ?? [0, 0, 0, 0];
  return { typed: Number(typed), total: Number(total), durable: Number(durable) };
}

/**
 * Lets the replay run in short spells, because all of it takes about a second, until so many changes are typed and the
 * first are durable, and leaves it at rest. It tells how far it is when half a second has gone by since it last did.
 */
async function typeUntil(replay, goal) {
  for (let spell = 0; ; spell += 1) {
    const { typed, durable } = progress(replay);
    if (typed >= goal && durable > 0) return;
    if (spell > 1000 || replay.child.exitCode !== null) throw new Error(`no middle was found:\n${replay.output.out}${replay.output.err}`);
    replay.child.kill("SIGCONT");
    await pause(SPELL_MS);
    replay.child.kill("SIGSTOP");
    await pause(REST_MS);
  }
}

/** Where the recordings are not there: a history of the same kind, made up. */
function madeUp(folder) {
  const rng = random(1);
  let text = "";
  const txns = [];
  for (let at = 0; txns.length < 100_000; ) {
    if (rng.next(200) === 0) at = rng.next(text.length + 1);
    if (at > 0 && rng.next(10) < 3) {
      at -= 1;
      text = text.slice(0, at) + text.slice(at + 1);
      txns.push({ patches: [[at, 1, ""]] });
    } else {
      const letter = "etaoin shrdlu\n"[rng.next(14)];
      text = text.slice(0, at) + letter + text.slice(at);
      txns.push({ patches: [[at, 0, letter]] });
      at += 1;
    }
  }
  const file = path.join(folder, "made-up.json");
  writeFileSync(file, JSON.stringify({ startContent: "", endContent: text, txns }));
  return { file, endContent: text, edits: txns.length };
}

test("a recorded history arrives in full, though the relay is killed half-way", { timeout: LIMIT_MS * 2 }, async (t) => {
  // Bug classes A, B and H: no client diverges or is left behind, and the page keeps up.
  const { file, endContent, edits } = trace() ?? madeUp(temporaryFolder(t));
  t.diagnostic(`${path.basename(file)}: ${edits} edits`);
  const relay = await Relay.start(t);
  const tab = await Tab.open(await device(await browser(t)), relay.url, "paper");
  const copy = path.join(temporaryFolder(t), "copy");
  const watcher = command(t, ["watch", "--relay", relay.socket, "--doc", "paper", "--data", copy]);
  let patches = 0;
  watcher.child.stdout.on("data", (text) => (patches += text.split("\n").length - 1));
  await tab.page.evaluate(() => {
    // The longest time for which the page did nothing for the person in front of it.
    globalThis.longestTask = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) globalThis.longestTask = Math.max(globalThis.longestTask, duration);
    }).observe({ type: "longtask" });
  });
  await until("the watcher watches", () => /watching/u.test(watcher.output.err + watcher.output.out));

  const replay = command(t, ["replay", file, "--relay", relay.socket, "--doc", "paper", "--progress", "plain"]);
  await typeUntil(replay, edits / 2);
  await relay.stop("SIGKILL");
  replay.child.kill("SIGCONT");
  const { durable, total } = progress(replay);
  t.diagnostic(`the relay is killed with ${durable} of ${total} changes acknowledged`);
  assert.ok(durable > 0 && durable < total && replay.child.exitCode === null, "the replay is in the middle");
  await tab.untilStatus({ connected: false });
  const heard = patches;
  await pause(500);
  await relay.start();

  assert.equal(await within(LIMIT_MS, "the replay ends", replay.done), 0, replay.output.err);
  const length = () => tab.page.evaluate(() => globalThis.page.doc.text("text").length);
  await until("the page has all of it", async () => (await length()) === endContent.length, LIMIT_MS);
  await tab.untilShown({ text: endContent });
  assert.equal(await run(t, "cat", "--relay", relay.socket, "--doc", "paper", "--text"), endContent);
  await until("the watcher hears of it again", () => patches > heard);

  // The page can be written in, at the end and in the middle of all that, and the others get it.
  await tab.type("\nRead to the end.");
  await tab.untilStatus({ durable: true });
  const whole = `${endContent}\nRead to the end.`;
  assert.equal(await run(t, "cat", "--relay", relay.socket, "--doc", "paper", "--text"), whole);

  // The watcher's own copy, read without any relay.
  await until("the watcher saw the last letters", () => /end\./u.test(watcher.output.out.slice(-2000)) || watcher.output.out.endsWith("\n"));
  assert.equal(watcher.child.exitCode, null, watcher.output.err);
  watcher.child.kill("SIGINT");
  assert.equal(await watcher.done, 0, watcher.output.err);
  assert.equal(await run(t, "cat", "--doc", "paper", "--text", "--data", copy), whole);
  t.diagnostic(`longest task in the page: ${Math.round(await tab.page.evaluate(() => globalThis.longestTask))} ms`);
  assert.deepEqual(tab.errors, []);
});

/**
 * What the browser tests and `check.mjs` share: a relay process, native commands, Chromium, and a page object of the demo.
 *
 * Always holds: every process started here is stopped by its own id; every wait is bounded and says what it waited for;
 * nothing but loopback is used. Not here: assertions of a test.
 */

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";

import { chromium } from "playwright-core";

export const DEMO = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");
export const DIST = path.join(DEMO, "dist");
/** Longest wait for anything that should happen at once. */
export const WAIT_MS = 30_000;

const CHROMIUM_FLAGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** A program of this workspace: named by a variable, or where cargo leaves it. */
export function program(name, variable, build) {
  const named = process.env[variable];
  const target = path.resolve(DEMO, "../target");
  const places = named ? [named] : ["release", "debug"].map((profile) => path.join(target, profile, name));
  const found = places.find((place) => existsSync(place));
  if (!found) throw new Error(`no ${name} at ${places.join(" or ")}: build it with \`${build}\`, or set ${variable}`);
  return found;
}

export const relayProgram = () =>
  program("selvedge-relay", "SELVEDGE_RELAY", "cargo build --release -p selvedge-relay");
export const cliProgram = () => program("selvedge", "SELVEDGE_CLI", "cargo build --release -p selvedge-client");

/** A new empty folder for a test, removed at its end. */
export function temporaryFolder(t) {
  const folder = mkdtempSync(path.join(tmpdir(), "selvedge-demo-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Waits until `check` gives something truthy; after that long an error that says what was missing. */
export async function until(what, check, limitMs = WAIT_MS) {
  const end = Date.now() + limitMs;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await pause(50);
  }
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What `promise` gives, or after so long an error that says what did not happen. */
export async function within(limitMs, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limitMs} ms: ${what}`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A relay process on loopback; the port stays the same over restarts. */
export class Relay {
  #child = null;
  #log = [];
  #port = 0;

  constructor(data, args = []) {
    this.data = data;
    this.args = args;
  }

  /** Starts a relay for a test, on a free port, stopped at its end. */
  static async start(t, { data = temporaryFolder(t), args = [] } = {}) {
    if (!existsSync(path.join(DIST, "index.html"))) {
      throw new Error(`no page in ${DIST}: build it with \`cargo xtask build\``);
    }
    const relay = new Relay(data, args);
    t.after(() => relay.stop("SIGKILL"));
    await relay.start();
    return relay;
  }

  async start() {
    const args = ["serve", "--listen", `127.0.0.1:${this.#port}`, "--data", this.data, "--web", DIST, ...this.args];
    const child = spawn(relayProgram(), args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    child.stderr.on("data", (text) => this.#log.push(String(text)));
    const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(`it ended (${code ?? signal})`)));
    const line = new Promise((resolve) => {
      createInterface({ input: child.stdout }).on("line", (text) => {
        const port = /^listening on http:\/\/127\.0\.0\.1:(\d+)/u.exec(text)?.[1];
        if (port) resolve(Number(port));
      });
    });
    const result = await within(WAIT_MS, "the relay says where it listens", Promise.race([line, ended]));
    if (typeof result !== "number") throw new Error(`the relay did not start: ${result}\n${this.log}`);
    this.#port = result;
  }

  /** Stops the process with a signal and waits for its end. */
  async stop(signal = "SIGTERM") {
    const child = this.#child;
    this.#child = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill(signal);
    await within(WAIT_MS, `the relay ends after ${signal}`, ended);
  }

  get url() {
    return `http://127.0.0.1:${this.#port}`;
  }

  get socket() {
    return `ws://127.0.0.1:${this.#port}/sync`;
  }

  /** The end of what it logged. */
  get log() {
    return this.#log.join("").split("\n").slice(-30).join("\n");
  }
}

/** A native command that runs beside the test, stopped at its end. */
export function command(t, args) {
  const child = spawn(cliProgram(), args, { stdio: ["ignore", "pipe", "pipe"] });
  const output = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.out += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (output.err += text));
  const done = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? signal));
  });
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    await done;
  });
  return { child, output, done };
}

/** Runs a native command to its end and gives what it printed. */
export async function run(t, ...args) {
  const { output, done } = command(t, args);
  const code = await done;
  if (code !== 0) throw new Error(`selvedge ${args.join(" ")} ended with ${code}:\n${output.err}`);
  return output.out;
}

/** Chromium, closed at the end of the test. */
export async function browser(t) {
  const executablePath = process.env.SELVEDGE_CHROMIUM ?? "/usr/bin/chromium";
  if (!existsSync(executablePath)) {
    throw new Error(`no Chromium at ${executablePath}: install it, or set SELVEDGE_CHROMIUM to the path of one`);
  }
  const launched = await chromium.launch({ executablePath, args: CHROMIUM_FLAGS });
  t.after(() => launched.close());
  return launched;
}

/** A device: a browser context of its own, so that no other shares its store or its channels. */
export async function device(chromiumBrowser, options = {}) {
  const context = await chromiumBrowser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(WAIT_MS);
  return context;
}

/** The demo in one tab, used the way a person would: by what its controls are called. */
export class Tab {
  constructor(page, name) {
    this.page = page;
    this.name = name;
    /** Errors that the page's own code did not catch. */
    this.errors = [];
    page.on("pageerror", (error) => this.errors.push(error.message));
  }

  /** Opens the demo at a page. */
  static async open(context, url, name, { query = "", ready = "open" } = {}) {
    const tab = new Tab(await context.newPage(), name);
    await tab.page.goto(`${url}/${query}#${name}`);
    await tab.ready(ready);
    return tab;
  }

  async ready(state = "open") {
    await this.page.locator(`html[data-state="${state}"]`).waitFor({ state: "attached" });
  }

  async reload() {
    await this.page.reload();
    await this.ready();
  }

  /** Waits until the application itself is on the device. */
  async keptForOffline() {
    await this.page.evaluate(async () => {
      const { active } = await navigator.serviceWorker.ready;
      if (active?.state === "activated") return;
      await new Promise((resolve) => active?.addEventListener("statechange", resolve, { once: true }));
    });
  }

  // Doing things.

  async setTitle(title) {
    await this.page.getByLabel("Title", { exact: true }).fill(title);
  }

  async type(text) {
    const area = this.page.getByLabel("Notes", { exact: true });
    await area.focus();
    await area.press("ControlOrMeta+End");
    await area.pressSequentially(text);
  }

  async addItem(text) {
    await this.page.getByLabel("New line", { exact: true }).fill(text);
    await this.page.getByLabel("New line", { exact: true }).press("Enter");
  }

  #item(text) {
    return this.page.locator("#items .item").filter({ has: this.page.getByRole("checkbox", { name: `Done: ${text}`, exact: true }) });
  }

  async tick(text) {
    await this.#item(text).getByRole("checkbox").click();
  }

  async renameItem(text, next) {
    await this.#item(text).getByRole("textbox").fill(next);
  }

  async removeItem(text) {
    await this.#item(text).hover();
    await this.page.getByRole("button", { name: `Remove ${text}`, exact: true }).click();
  }

  /** Drags a line by its grip onto the place of another. */
  async dragItem(text, onto) {
    const grip = await this.#item(text).locator(".item-grip").boundingBox();
    const goal = await this.#item(onto).boundingBox();
    const from = { x: grip.x + grip.width / 2, y: grip.y + grip.height / 2 };
    const to = goal.y > grip.y ? goal.y + goal.height - 2 : goal.y + 2;
    await this.page.mouse.move(from.x, from.y);
    await this.page.mouse.down();
    for (let step = 1; step <= 8; step += 1) await this.page.mouse.move(from.x, from.y + ((to - from.y) * step) / 8);
    await this.page.mouse.up();
  }

  /** Moves a line with the keyboard. */
  async pressOnGrip(text, key) {
    await this.#item(text).locator(".item-grip").press(key);
  }

  async clap(times = 1) {
    for (let i = 0; i < times; i += 1) await this.page.getByRole("button", { name: "Clap", exact: true }).click();
  }

  async addTag(tag) {
    await this.page.getByLabel("New tag", { exact: true }).fill(tag);
    await this.page.getByLabel("New tag", { exact: true }).press("Enter");
  }

  async removeTag(tag) {
    await this.page.getByRole("button", { name: `Remove tag ${tag}`, exact: true }).click();
  }

  /** Uses the page's own switch. */
  async offline(on) {
    const button = this.page.getByRole("switch", { name: "Offline" });
    if ((await button.getAttribute("aria-checked")) !== String(on)) await button.click();
  }

  // Looking at things.

  /** What the page shows. */
  async shown() {
    return this.page.evaluate(() => ({
      title: document.querySelector("#title").value,
      text: document.querySelector("#text").value,
      items: [...document.querySelectorAll("#items .item")].map((row) => ({
        text: row.querySelector(".item-text").value,
        done: row.querySelector(".item-check").checked,
      })),
      claps: Number(document.querySelector("#claps").textContent),
      tags: [...document.querySelectorAll("#tags .tag-name")].map((tag) => tag.textContent),
    }));
  }

  /** What the document holds. */
  async held() {
    return this.page.evaluate(() => globalThis.page.doc.json());
  }

  /** The sync status as the page shows it. */
  async status() {
    return this.page.evaluate(() => {
      const box = document.querySelector("#sync");
      const step = (id) => document.querySelector(id).classList.contains("step-done");
      return {
        saved: step("#step-saved"), sent: step("#step-sent"), durable: step("#step-durable"),
        connected: box.dataset.connected === "true", mood: box.dataset.mood, words: document.querySelector("#sync-words").textContent,
      };
    });
  }

  /** Waits until the status shows all of `wanted`. */
  async untilStatus(wanted, limitMs) {
    let last;
    await until(`status ${JSON.stringify(wanted)} of ${this.name}`, async () => {
      last = await this.status();
      return Object.entries(wanted).every(([key, value]) => last[key] === value);
    }, limitMs).catch((error) => {
      throw new Error(`${error.message}; it is ${JSON.stringify(last)}`);
    });
    return last;
  }

  /** Waits until the page shows all of `wanted`. */
  async untilShown(wanted, limitMs) {
    let last;
    const wantedJson = JSON.stringify(wanted);
    await until("the page shows what was expected", async () => {
      const all = await this.shown();
      last = Object.fromEntries(Object.keys(wanted).map((key) => [key, all[key]]));
      return JSON.stringify(last) === wantedJson;
    }, limitMs).catch((error) => {
      throw new Error(`${error.message}\nexpected ${wantedJson}\nit is     ${JSON.stringify(last)}`);
    });
  }
}

/** Waits until all tabs show the same, and gives that. */
export async function untilEqual(tabs, limitMs) {
  let views;
  await until("all pages show the same", async () => {
    views = await Promise.all(tabs.map((tab) => tab.shown()));
    return views.every((view) => JSON.stringify(view) === JSON.stringify(views[0]));
  }, limitMs).catch((error) => {
    throw new Error(`${error.message}\n${views.map((view) => JSON.stringify(view).slice(0, 2000)).join("\n")}`);
  });
  return views[0];
}

/** The recorded history of a text, or one that is made up where the recordings are not there. */
export function trace() {
  const folder = process.env.SELVEDGE_TRACES ?? path.resolve(DEMO, "../../shared/traces");
  const file = path.join(folder, "automerge-paper.json.gz");
  if (!existsSync(file)) return null;
  const { endContent, txns } = JSON.parse(gunzipSync(readFileSync(file)));
  return { file, endContent, edits: txns.reduce((sum, txn) => sum + txn.patches.length, 0) };
}

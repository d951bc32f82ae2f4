/**
 * The package as its users get it: packed, installed into an empty application outside of the repository, bundled by
 * esbuild without configuration or loaded by a plain page, run in a real browser, with a real relay and without one.
 */

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";

const PACKAGE = resolve(".");
const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript" };
const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
/** All of the package, gzipped by the server, in bytes. */
const BUDGET = 250_000;

/** The ten lines of the README, and what a page around them does. */
const MAIN = `
import { open } from "selvedge";
const doc = await open("board-1", {
  ...(globalThis.relay ? { relay: globalThis.relay } : {}),
  init: { title: "Groceries", todos: [] },
});
doc.subscribe((b) => b.todos, (todos) => render(todos));
if (globalThis.writes) doc.change((b) => { b.todos.push({ text: globalThis.writes, done: false }); });
function render(todos) {
  document.querySelector("ul").replaceChildren(...todos.map((todo) => {
    const item = document.createElement("li");
    item.textContent = todo.text;
    return item;
  }));
}
doc.subscribe((b) => b.title, (title) => { document.title = title; });
globalThis.doc = doc;
`;

let app: string;
let server: Server;
let origin: string;
let browser: Browser;

before(async () => {
  app = mkdtempSync(join(tmpdir(), "selvedge-app-"));
  run("npm", ["pack", "--pack-destination", app], PACKAGE);
  const tarball = spawnSync("ls", [app], { encoding: "utf8" }).stdout.trim();
  writeFileSync(join(app, "package.json"), '{ "name": "app", "private": true, "type": "module" }');
  run("npm", ["install", "--offline", `./${tarball}`], app);
  writeFileSync(join(app, "main.js"), MAIN);
  mkdirSync(join(app, "bundled"));
  await build({ entryPoints: [join(app, "main.js")], bundle: true, format: "esm", outfile: join(app, "bundled/main.js"), logLevel: "error" });
  page("bundled/index.html", '<script type="module" src="main.js"></script>');
  page("plain.html", `<script type="importmap">{ "imports": { "selvedge": "/node_modules/selvedge/dist/index.js" } }</script>
    <script type="module" src="main.js"></script>`);
  server = createServer((request, response) => {
    const path = join(app, normalize(new URL(request.url ?? "/", "http://x").pathname));
    if (!existsSync(path) || !statSync(path).isFile()) return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream" }).end(readFileSync(path));
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await chromium.launch({ executablePath: process.env["SELVEDGE_CHROMIUM"] ?? "/usr/bin/chromium", args: FLAGS });
});

after(async () => {
  await browser?.close();
  server?.closeAllConnections();
  server?.close();
  if (app) rmSync(app, { recursive: true, force: true });
});

function page(file: string, scripts: string): void {
  writeFileSync(join(app, file), `<!doctype html><meta charset="utf-8"><title></title><link rel="icon" href="data:,"><ul></ul>
    <script>for (const [key, value] of new URLSearchParams(location.search)) globalThis[key] = value;</script>${scripts}`);
}

function run(command: string, args: string[], cwd: string): void {
  const { status, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  assert.equal(status, 0, `${command} ${args.join(" ")}: ${stderr}`);
}

/** Opens a page; anything that it throws or logs as an error fails the test. */
async function visit(context: BrowserContext, path: string, query: Record<string, string> = {}): Promise<Page> {
  const opened = await context.newPage();
  opened.on("pageerror", (error) => assert.fail(`${path}: ${error.message}`));
  opened.on("console", (message) => {
    if (message.type() === "error") assert.fail(`${path}: ${message.text()}`);
  });
  await opened.goto(`${origin}/${path}?${new URLSearchParams(query).toString()}`);
  return opened;
}

async function shows(opened: Page, expected: string[]): Promise<void> {
  const read = () => [...document.querySelectorAll("li")].map((item) => item.textContent ?? "").sort();
  const matches = (items: string[]) =>
    JSON.stringify([...document.querySelectorAll("li")].map((item) => item.textContent ?? "").sort()) === JSON.stringify(items);
  await opened.waitForFunction(matches, [...expected].sort(), { timeout: 20_000 }).catch(() => undefined);
  assert.deepEqual(await opened.evaluate(read), [...expected].sort());
}

async function saved(opened: Page): Promise<void> {
  await opened.evaluate(() => (globalThis as unknown as { doc: { until(flag: string): Promise<void> } }).doc.until("saved"));
}

for (const path of ["bundled/index.html", "plain.html"]) {
  test(`${path}: offline, over a reload, and in two tabs`, async () => {
    const context = await browser.newContext();
    const first = await visit(context, path, { writes: "milk" });
    await shows(first, ["milk"]);
    assert.equal(await first.title(), "Groceries");
    await saved(first);
    await first.reload();
    await shows(first, ["milk", "milk"]);
    const second = await visit(context, path, { writes: "bread" });
    for (const tab of [first, second]) await shows(tab, ["milk", "milk", "bread"]);
    await saved(second);
    await first.close();
    await second.close();
    const third = await visit(context, path);
    await shows(third, ["milk", "milk", "bread"]);
    await context.close();
  });

  test(`${path}: two browsers through a relay`, async (t) => {
    const relay = await startRelay(t);
    const contexts = [await browser.newContext(), await browser.newContext()];
    const [one, two] = [await visit(contexts[0]!, path, { relay, writes: "milk" }), await visit(contexts[1]!, path, { relay, writes: "eggs" })];
    for (const opened of [one, two]) {
      await shows(opened, ["milk", "eggs"]);
      await opened.evaluate(() => (globalThis as unknown as { doc: { until(flag: string): Promise<void> } }).doc.until("durable"));
    }
    for (const context of contexts) await context.close();
    const later = await browser.newContext();
    await shows(await visit(later, path, { relay }), ["milk", "eggs"]);
    await later.close();
  });
}

test("all of it, as a production build ships it, is within the budget", async () => {
  await build({
    entryPoints: [join(app, "main.js")], bundle: true, minify: true, format: "esm", outfile: join(app, "small.js"), logLevel: "error",
  });
  const size = gzipSync(readFileSync(join(app, "small.js")), { level: 9 }).length;
  assert.ok(size <= BUDGET, `${size} bytes gzipped; ${BUDGET} are allowed`);
});

test("the types follow the application's own", () => {
  const tsc = join(PACKAGE, "node_modules/typescript/bin/tsc");
  const check = (lines: string) => {
    writeFileSync(join(app, "types.ts"), `import { open } from "selvedge";
      type Board = { title: string; todos: { text: string; done: boolean }[] };
      const doc = await open<Board>("b", { relay: "ws://localhost:8787", init: { title: "Groceries", todos: [] } });
      ${lines}`);
    const options = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--lib", "es2022,dom", "--types", ""];
    return spawnSync(process.execPath, [tsc, ...options, "types.ts"], { cwd: app, encoding: "utf8" });
  };
  const good = check(`doc.subscribe(b => b.todos, todos => todos.map(todo => todo.text.length));
    doc.change(b => { b.todos.push({ text: "milk", done: false }); b.todos[0]!.done = true; });
    const n: number = doc.change(b => b.todos.length);`);
  assert.equal(good.status, 0, good.stdout);
  for (const wrong of [
    `doc.change(b => { b.todos.push({ text: 5, done: false }); });`, `doc.change(b => { b.titel = "x"; });`,
    `doc.value.title = "x";`, `doc.value.todos.push({ text: "x", done: true });`, `await open<Board>("b", { init: { title: 5 } });`,
  ]) assert.notEqual(check(wrong).status, 0, wrong);
});

/** A relay on a free port, stopped at the end of the test. */
async function startRelay(t: { after(done: () => void): void }): Promise<string> {
  const data = mkdtempSync(join(tmpdir(), "selvedge-relay-"));
  const child = spawn(relayProgram(), ["serve", "--listen", "127.0.0.1:0", "--data", data], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => {
    child.kill("SIGKILL");
    rmSync(data, { recursive: true, force: true });
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(line)?.[1];
    if (port) return `ws://127.0.0.1:${port}`;
  }
  throw new Error("the relay ended before it listened");
}

function relayProgram(): string {
  const target = process.env["CARGO_TARGET_DIR"] ?? resolve(PACKAGE, "../../target");
  const places = process.env["SELVEDGE_RELAY"] ? [process.env["SELVEDGE_RELAY"]]
    : ["release", "debug"].map((profile) => join(target, profile, "selvedge-relay"));
  const found = places.find((place) => existsSync(place));
  assert.ok(found, `no relay at ${places.join(" or ")}: run \`cargo build --release -p selvedge-relay\`, or set SELVEDGE_RELAY`);
  return found;
}

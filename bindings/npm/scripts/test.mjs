/**
 * `node scripts/test.mjs DIR`: compiles the tests in DIR and runs them with `node --test`. Fails if there are none.
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const dir = process.argv[2] ?? "test";
// The tests see wasm/ and packed.js where the package sees them: one folder up and beside them.
const out = `${root}.test`;
const files = readdirSync(`${root}${dir}`).filter((file) => file.endsWith(".test.ts"));
if (files.length === 0) fail(`there are no tests in ${dir}`);
if (!existsSync(`${root}dist/packed.js`)) fail("there is no dist/: run `npm run build` first");
run("tsc", [`${root}node_modules/typescript/bin/tsc`, "--noEmit", "-p", `${root}tsconfig.test.json`]);
rmSync(out, { recursive: true, force: true });
mkdirSync(out);
await build({
  entryPoints: files.map((file) => `${root}${dir}/${file}`),
  outdir: out,
  outExtension: { ".js": ".mjs" },
  bundle: true,
  packages: "external",
  platform: "node",
  format: "esm",
  target: "node20",
  sourcemap: "inline",
  external: ["../wasm/*", "./packed.js"],
  logLevel: "warning",
});
copyFileSync(`${root}dist/packed.js`, `${out}/packed.js`);
run("node --test", ["--enable-source-maps", "--test", "--test-timeout=300000", ...files.map((file) => `${out}/${file.replace(/ts$/, "mjs")}`)]);

function run(what, args) {
  const { status, signal } = spawnSync(process.execPath, args, { stdio: "inherit", cwd: root });
  if (status !== 0) fail(`${what} failed (${signal ?? status})`);
}

function fail(why) {
  console.error(why);
  process.exit(1);
}

/**
 * The build fails when the Rust build inside of it fails, instead of leaving a page without its module.
 */

import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";

import WasmPackPlugin from "@wasm-tool/wasm-pack-plugin";
import webpack from "webpack";

import { WasmPresentPlugin } from "../build/wasm-present.mjs";
import { temporaryFolder } from "./harness.mjs";

/** Builds a page of one line whose wasm-pack is a script, and gives webpack's errors. */
async function build(t, script, left = null) {
  const folder = temporaryFolder(t);
  const pkg = path.join(folder, "pkg");
  const module = path.join(pkg, "selvedge_wasm_bg.wasm");
  for (const name of ["pkg", "crate/src"]) mkdirSync(path.join(folder, name), { recursive: true });
  writeFileSync(path.join(folder, "index.js"), 'import "./pkg/selvedge_wasm.js";\n');
  if (left) writeFileSync(module, left);
  const program = path.join(folder, "wasm-pack");
  writeFileSync(program, `#!/bin/sh\n${script.replaceAll("MODULE", module)}\n`);
  chmodSync(program, 0o755);
  const before = process.env.WASM_PACK_PATH;
  process.env.WASM_PACK_PATH = program;
  t.after(() => {
    if (before === undefined) delete process.env.WASM_PACK_PATH;
    else process.env.WASM_PACK_PATH = before;
  });
  const compiler = webpack({
    mode: "production",
    context: folder,
    entry: "./index.js",
    output: { path: path.join(folder, "dist") },
    plugins: [
      new WasmPackPlugin({ crateDirectory: path.join(folder, "crate"), outDir: pkg, outName: "selvedge_wasm", pluginLogLevel: "error" }),
      new WasmPresentPlugin(module),
    ],
  });
  const stats = await new Promise((resolve, reject) => compiler.run((error, result) => (error ? reject(error) : resolve(result))));
  await new Promise((resolve) => compiler.close(resolve));
  return stats.toJson({ all: false, errors: true }).errors.map((error) => error.message).join("\n");
}

test("a Rust error fails the build, also with the module of an earlier build in the folder", async (t) => {
  assert.match(await build(t, "exit 1"), /selvedge_wasm_bg\.wasm is missing: the Rust build failed/u);
  assert.match(await build(t, "exit 1", "\0asm\x01\0\0\0"), /is missing: the Rust build failed/u);
});

test("a module that is none fails the build; a real one passes", async (t) => {
  assert.match(await build(t, ": > 'MODULE'"), /is no wasm module/u);
  assert.match(await build(t, "echo '<!doctype html>' > 'MODULE'"), /is no wasm module/u);
  assert.equal(await build(t, "printf '\\0asm\\001\\0\\0\\0' > 'MODULE'"), "");
});

/**
 * `npm run build`: the package in dist/, from src/ and from the module in wasm/ (which `cargo xtask build` makes).
 *
 * The module becomes text that the package loads when it is first needed: bundlers need no configuration for it. It is
 * packed with LZMA: a fifth smaller than deflated, which browsers could unpack themselves.
 */

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { compress } from "lzma1";

const root = fileURLToPath(new URL("..", import.meta.url));
const module = `${root}wasm/selvedge_wasm_bg.wasm`;
const glue = `${root}wasm/selvedge_wasm.js`;
/** All of it, gzipped, in bytes. */
const BUDGET = 250_000;

if (!existsSync(module)) {
  console.error("There is no wasm/selvedge_wasm_bg.wasm: run `cargo xtask build` in the repository's root.");
  process.exit(1);
}
rmSync(`${root}dist`, { recursive: true, force: true });
mkdirSync(`${root}dist`);
for (const licence of ["LICENSE-MIT", "LICENSE-APACHE"]) copyFileSync(`${root}../../${licence}`, `${root}dist/${licence}`);
writeFileSync(glue, withoutUrl(readFileSync(glue, "utf8")));
await pack(readFileSync(module));
copyFileSync(`${root}node_modules/lzma1/LICENSE`, `${root}dist/LICENSE-lzma1`);
const tsc = spawnSync(process.execPath, [`${root}node_modules/typescript/bin/tsc`, "-p", root, "--emitDeclarationOnly"], {
  stdio: "inherit",
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
await build({
  entryPoints: [`${root}src/index.ts`],
  outdir: `${root}dist`,
  bundle: true,
  format: "esm",
  target: "es2022",
  external: ["../wasm/*", "./packed.js"],
  logLevel: "warning",
});
await report();

/** The glue without its default address of the module: bundlers would look for a file that is not shipped. */
function withoutUrl(source) {
  return source.replace(
    /module_or_path = new URL\([^)]*import\.meta\.url\);/,
    'throw new TypeError("pass the module to init()");',
  );
}

/** Writes dist/packed.js, and sees that it gives the module back. */
async function pack(bytes) {
  const packed = Buffer.from(compress(bytes, 9)).toString("base64");
  await build({
    entryPoints: { packed: `${root}scripts/unpack.js` },
    outdir: `${root}dist`,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    define: { PACKED: JSON.stringify(packed), LENGTH: String(bytes.length) },
    logLevel: "warning",
  });
  const { unpack } = await import(pathToFileURL(`${root}dist/packed.js`).href);
  if (bytes.compare(unpack()) === 0) return;
  console.error("The packed module does not unpack to what was packed: look at the release of lzma1.");
  process.exit(1);
}

async function report() {
  const minified = async (file) => {
    const { code } = await transform(readFileSync(file, "utf8"), { minify: true, format: "esm" });
    return gzipSync(code, { level: 9 }).length;
  };
  const sizes = {
    "JavaScript": await minified(`${root}dist/index.js`),
    "glue": await minified(glue),
    "module": gzipSync(readFileSync(`${root}dist/packed.js`), { level: 9 }).length,
  };
  const total = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  const parts = Object.entries(sizes).map(([name, size]) => `${name} ${kilobytes(size)}`).join(", ");
  console.log(`gzipped: ${kilobytes(total)} of ${kilobytes(BUDGET)} kB (${parts})`);
  if (total > BUDGET) {
    console.error("The package is over its budget: nothing may grow any more before something shrinks.");
    process.exit(1);
  }
}

function kilobytes(bytes) {
  return (bytes / 1000).toFixed(1);
}

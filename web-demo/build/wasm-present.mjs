/**
 * Fails the build when wasm-pack has left no module.
 *
 * On a Rust error in the first build the wasm-pack plugin leaves an empty script, and webpack reports success.
 */

import { readFile, rm } from "node:fs/promises";

const MAGIC = Buffer.from("\0asm", "latin1");

export class WasmPresentPlugin {
  /** @param {string} file the module that wasm-pack must have written */
  constructor(file) {
    this.file = file;
  }

  apply(compiler) {
    // A module of an earlier build must not stand in for a failed one.
    compiler.hooks.beforeRun.tapPromise(this.constructor.name, () => rm(this.file, { force: true }));
    compiler.hooks.make.tapPromise({ name: this.constructor.name, stage: -100 }, async (compilation) => {
      const head = await readFile(this.file).then((bytes) => bytes.subarray(0, MAGIC.length), () => null);
      if (head?.equals(MAGIC)) return;
      const Failure = compiler.webpack.WebpackError;
      compilation.errors.push(new Failure(`${this.file} is ${head ? "no wasm module" : "missing"}: the Rust build failed, see above`));
    });
  }
}

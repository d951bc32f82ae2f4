/**
 * Writes dist/offline.js: the service worker with the names of all files of this build.
 */

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";

const KEPT = /\.(?:html|js|css|wasm|woff2|svg|webmanifest)$/u;

export class OfflineWorkerPlugin {
  /** @param {string} source the worker, without the constants VERSION and FILES */
  constructor(source) {
    this.source = source;
  }

  apply(compiler) {
    const { Compilation, sources } = compiler.webpack;
    compiler.hooks.thisCompilation.tap(this.constructor.name, (compilation) => {
      compilation.fileDependencies.add(this.source);
      const stage = Compilation.PROCESS_ASSETS_STAGE_REPORT;
      compilation.hooks.processAssets.tapPromise({ name: this.constructor.name, stage }, async () => {
        const names = Object.keys(compilation.assets).filter((name) => KEPT.test(name)).sort();
        const hash = createHash("sha256");
        for (const name of names) hash.update(name).update(compilation.assets[name].buffer());
        const files = names.map((name) => (name === "index.html" ? "/" : `/${name}`));
        const constants = `const VERSION = ${JSON.stringify(hash.digest("hex").slice(0, 16))};\nconst FILES = ${JSON.stringify(files)};\n`;
        const worker = await readFile(this.source, "utf8");
        compilation.emitAsset("offline.js", new sources.RawSource(constants + worker));
      });
    });
  }
}

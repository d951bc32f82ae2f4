/**
 * The build of the demo: the Rust crate to wasm by wasm-pack, the compiled TypeScript and the styles into dist/.
 *
 * `tsc` runs before (see package.json). Always holds: a build without a real wasm module fails.
 */

import path from "node:path";
import { fileURLToPath } from "node:url";

import WasmPackPlugin from "@wasm-tool/wasm-pack-plugin";

import { OfflineWorkerPlugin } from "./build/offline-worker.mjs";
import { WasmPresentPlugin } from "./build/wasm-present.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const bindings = path.resolve(here, "../bindings");
const wasm = path.resolve(here, "pkg/wasm");

export default {
  mode: "production",
  context: here,
  entry: { index: "./src/index.html" },
  output: {
    path: path.resolve(here, "dist"),
    publicPath: "/",
    clean: true,
    filename: "[name].[contenthash:10].js",
    cssFilename: "[name].[contenthash:10].css",
    htmlFilename: "[name].html",
    assetModuleFilename: "[name].[contenthash:10][ext]",
  },
  resolve: {
    // The package brings a module of its own; this page takes the one that the plugin has just built.
    alias: { [path.join(bindings, "npm/wasm")]: wasm, [path.join(bindings, "npm/dist/packed.js")]: false },
  },
  devtool: "source-map",
  performance: { hints: false },
  plugins: [
    new WasmPackPlugin({
      crateDirectory: path.join(bindings, "wasm"),
      outDir: wasm,
      outName: "selvedge_wasm",
      extraArgs: "--target web --mode no-install",
      args: "--log-level warn",
      forceMode: "production",
    }),
    new WasmPresentPlugin(path.join(wasm, "selvedge_wasm_bg.wasm")),
    new OfflineWorkerPlugin(path.join(here, "worker/offline.js")),
  ],
};

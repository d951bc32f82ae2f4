/**
 * Every example of docs/javascript.md, run as it stands: `EXPRESSION; // → VALUE` is an assertion.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import "fake-indexeddb/auto";

import * as selvedge from "../src/index.js";
import type { Doc } from "../src/types.js";
import { until } from "./helpers/wait.js";

const text = readFileSync("../../docs/javascript.md", "utf8");
const examples = [...text.matchAll(/## ([^\n]+)\n(?:(?!\n## )[^])*?```js\n([^]*?)```/g)].map(([, title, code]) => ({ title: title!, code: code! }));
assert.equal(examples.length, text.split("```js\n").length - 1);

const opened: Doc<any>[] = [];
after(() => Promise.allSettled(opened.map((doc) => doc.close())));

/** What the examples import, so that what they leave open is closed. */
const module = {
  ...selvedge,
  open: async (...args: Parameters<typeof selvedge.open>) => keep(await selvedge.open(...args)),
  load: async (...args: Parameters<typeof selvedge.load>) => keep(await selvedge.load(...args)),
};

function keep(doc: Doc<any>): Doc<any> {
  opened.push(doc);
  return doc;
}

/** As much of a textarea as an example needs. */
class Textarea extends EventTarget {
  value = "";
  selectionStart = 0;
  selectionEnd = 0;
  ownerDocument = {};
}

const AsyncFunction = (async () => undefined).constructor as new (...args: string[]) => (...args: unknown[]) => Promise<void>;

for (const { title, code } of examples) {
  test(`example: ${title}`, async () => {
    const checks = [...code.matchAll(/\/\/ →/g)].length;
    let checked = 0;
    const check = (actual: unknown, expected: unknown, line: string) => {
      checked++;
      assert.deepEqual(actual, expected, line);
    };
    const body = code
      .replace(/^import (\{[^}]*\}) from "selvedge";$/gm, "const $1 = selvedge;")
      .replace(/^(.*); \/\/ → (.*)$/gm, (line, expression: string, value: string) =>
        `check(${expression}, ${value}, ${JSON.stringify(line)});`);
    const shown = (...values: unknown[]) => assert.ok(values.length > 0);
    const globals = {
      selvedge: module, check, render: shown, show: shown,
      until: (condition: () => boolean) => until(title, condition),
      document: { querySelector: () => new Textarea() },
    };
    await new AsyncFunction(...Object.keys(globals), body)(...Object.values(globals));
    assert.equal(checked, checks);
  });
}

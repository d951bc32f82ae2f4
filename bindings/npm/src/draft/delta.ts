/**
 * Deltas on their way in: checked against the text that they edit, and as the core takes them.
 *
 * Always holds: what comes out fits the text and cuts no surrogate pair; embeds are refused.
 */

import { SelvedgeError } from "../error.js";
import { checkString, scalar } from "../normalise.js";
import type { DeltaOp, Expand, Scalar } from "../types.js";
import { pathName } from "../util.js";

type Place = readonly (string | number)[];

/** What is inserted, retained or (less than zero) deleted; then key, value and rule of every attribute. */
export type DeltaStep = Scalar[];

/** The steps of a Delta, and the text behind them. `check` refuses a part of a text that is not there. */
export function readDelta(
  delta: readonly DeltaOp[],
  expand: { readonly [key: string]: Expand },
  before: string,
  place: Place,
  check: (text: string, index: number, length: number) => void,
): { steps: DeltaStep[]; text: string } {
  let [text, at] = [before, 0];
  const steps = delta.map((op) => {
    const { insert, retain, delete: deleted, attributes } = op as Record<string, unknown>;
    const given = [insert, retain, deleted].filter((what) => what !== undefined);
    const what = given[0];
    if (given.length !== 1 || (typeof insert !== "string" && typeof what !== "number")) {
      throw new SelvedgeError("unsupported-value", "a step of a Delta inserts a string, or retains or deletes a length", {
        path: pathName(place),
        hint: "A text holds characters: embeds cannot be inserted.",
      });
    }
    const step: DeltaStep = [];
    for (const [key, value] of Object.entries(attributes ?? {})) {
      step.push(checkString(key, place), scalar(value, [...place, key]), ruleNumber(expand[key], place));
    }
    if (typeof what === "string") {
      checkString(what, place);
      text = text.slice(0, at) + what + text.slice(at);
      at += what.length;
      return [what, ...step];
    }
    const length = what as number;
    check(text, at, length);
    if (retain !== undefined) {
      at += length;
      return [length, ...step];
    }
    text = text.slice(0, at) + text.slice(at + length);
    return [-length];
  });
  return { steps: steps.filter(([what]) => what !== 0 && what !== ""), text };
}

/** The number that the core gives a rule. */
export function ruleNumber(expand: Expand = "after", place: Place): number {
  const rule = ["none", "before", "after", "both"].indexOf(expand);
  if (rule >= 0) return rule;
  throw new SelvedgeError("invalid-use", `there is no rule ${String(expand)}`, {
    path: pathName(place),
    hint: 'A mark expands "none", "before", "after" or "both".',
  });
}

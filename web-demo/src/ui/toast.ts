/**
 * A short message at the edge of the page that goes by itself, also read out by screen readers.
 */

import { byId, h } from "./dom.js";

const SHOWN_MS = 4000;
let timer: ReturnType<typeof setTimeout> | undefined;

/** Says something; `bad` for what did not work. */
export function toast(message: string, kind: "good" | "bad" = "good"): void {
  const place = byId("toast");
  place.replaceChildren(h("p", { class: kind === "bad" ? "toast toast-bad" : "toast" }, message));
  clearTimeout(timer);
  timer = setTimeout(() => place.replaceChildren(), SHOWN_MS);
}

/** Tells of an error in its own words. */
export function report(error: unknown): void {
  console.error(error);
  toast(error instanceof Error ? error.message : String(error), "bad");
}

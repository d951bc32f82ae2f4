/**
 * The applause: a counter to which everybody adds, at once or offline, and nothing is lost or counted twice.
 */

import type { Page } from "../page.js";
import { byId, setText } from "./dom.js";
import { report } from "./toast.js";

/** Connects the counter. */
export function mountCounter(page: Page): void {
  const shown = byId("claps");
  const add = (by: number) => (): void => {
    try {
      page.claps.add(by);
    } catch (error) {
      report(error);
    }
  };
  const options = { signal: page.signal };
  byId("clap").addEventListener("click", add(1), options);
  byId("unclap").addEventListener("click", add(-1), options);
  const stop = page.claps.subscribe((value) => {
    const text = String(value);
    if (shown.textContent === text) return;
    setText(shown, text);
    shown.classList.remove("counted");
    void shown.offsetWidth;
    shown.classList.add("counted");
  });
  page.signal.addEventListener("abort", stop);
}

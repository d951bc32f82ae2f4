/**
 * The offline switch: cuts the relay and the other tabs, for as long as this tab lives, also over a reload.
 */

import type { Page } from "../page.js";
import { byId } from "./dom.js";

const KEY = "selvedge-offline";

/** Connects the switch. */
export function mountOffline(page: Page): void {
  const button = byId("offline");
  const set = (on: boolean): void => {
    page.doc.offline(on);
    button.setAttribute("aria-checked", String(on));
    document.documentElement.classList.toggle("is-offline", on);
    try {
      if (on) sessionStorage.setItem(KEY, "1");
      else sessionStorage.removeItem(KEY);
    } catch {
      // Without storage the switch lasts until the reload.
    }
  };
  set(wasOffline());
  button.addEventListener("click", () => set(button.getAttribute("aria-checked") !== "true"), { signal: page.signal });
}

/** Whether this tab was switched offline before. */
function wasOffline(): boolean {
  try {
    return sessionStorage.getItem(KEY) === "1";
  } catch {
    return false;
  }
}

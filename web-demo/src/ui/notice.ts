/**
 * What went wrong and what to do: as a banner over a page that can still be edited, or instead of a page that cannot.
 */

import type { SelvedgeError } from "selvedge";

import type { Page } from "../page.js";
import { byId, h } from "./dom.js";

/** A button in a notice. */
export interface Action {
  readonly label: string;
  readonly run: () => void;
}

/** Shows the notice instead of the page (`blocking`), or over it. */
export function showNotice(title: string, text: string, actions: readonly Action[], blocking: boolean): void {
  const place = byId("notice");
  const buttons = actions.map(({ label, run }) => {
    const button = h("button", { type: "button", class: "button" }, label);
    button.addEventListener("click", run);
    return button;
  });
  const words = text.charAt(0).toUpperCase() + text.slice(1);
  const signature = `${title}\n${text}`;
  if (place.dataset["signature"] !== signature) {
    place.dataset["signature"] = signature;
    place.replaceChildren(
      h("div", { class: "notice-words" }, h("h2", {}, title), h("p", {}, words)),
      h("div", { class: "notice-actions" }, ...buttons),
    );
  }
  place.hidden = false;
  byId("page").hidden = blocking;
}

/** Takes the notice away. */
export function hideNotice(): void {
  const place = byId("notice");
  place.hidden = true;
  place.replaceChildren();
  delete place.dataset["signature"];
  byId("page").hidden = false;
}

/** Shows what is wrong with an open page while it is wrong. */
export function mountNotice(page: Page): void {
  const again = (): void => {
    page.doc.offline(true);
    page.doc.offline(false);
  };
  const stop = page.doc.onStatus(({ error, connected, online }) => {
    if (!error || (error.code === "relay" && (connected || !online))) hideNotice();
    else showNotice(titleOf(error), wordsOf(error), error.code === "relay" ? [{ label: "Try again", run: again }] : [], false);
  });
  page.signal.addEventListener("abort", () => {
    stop();
    hideNotice();
  });
}

function titleOf(error: SelvedgeError): string {
  switch (error.code) {
    case "relay":
      return "The relay refuses this page";
    case "quota":
      return "This device has no room left";
    case "store":
      return "This device cannot save";
    default:
      return "Something is wrong";
  }
}

function wordsOf(error: SelvedgeError): string {
  const kept = {
    relay: "You can go on writing: it stays on this device and in its other tabs.",
    store: "Keep this tab open: what you write is in memory and is tried again.",
    quota: "Make room, and keep this tab open: what you write is in memory and is tried again.",
  };
  return `${error.message} ${kept[error.code as keyof typeof kept] ?? ""}`.trim();
}

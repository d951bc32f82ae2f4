/**
 * The start of the page: opens the document that the address names, and opens another when the address changes.
 *
 * Always holds: at most one document is open; what cannot be opened is told in place of the page, never shown as empty.
 */

import { open, useWasm, type Doc } from "selvedge";

import { mountChecklist } from "./checklist/checklist.js";
import { keepForOffline } from "./offline-copy.js";
import { addressOf, nameInAddress, pageOf, readTitle, WELCOME, WELCOME_DATA, type PageData } from "./page.js";
import { mountText } from "./text/text-editor.js";
import { mountCounter } from "./ui/counter.js";
import { byId, setText } from "./ui/dom.js";
import { hideNotice, mountNotice, showNotice, type Action } from "./ui/notice.js";
import { mountOffline } from "./ui/offline.js";
import { mountPages, visited } from "./ui/pages.js";
import { mountPeople } from "./ui/people.js";
import { mountPopovers } from "./ui/popovers.js";
import { mountStatus } from "./ui/status.js";
import { mountTags } from "./ui/tags.js";
import { mountTitle } from "./ui/title.js";

declare global {
  /** The open document, for the curious: try `page.doc.json()` in the console. */
  var page: { readonly doc: Doc<PageData> } | undefined;
}

let current: { name: string; doc: Doc<PageData>; abort: AbortController } | null = null;
/** Switching pages waits for the one before. */
let turn: Promise<void> = Promise.resolve();

// The module as wasm-pack left it, as a file of its own: it is compiled while it arrives.
useWasm(new URL("../wasm/selvedge_wasm_bg.wasm", import.meta.url));
mountPopovers();
mountPages();
keepForOffline();
window.addEventListener("hashchange", show);
show();

function show(): void {
  turn = turn.then(async () => {
    const wanted = nameInAddress(location.hash);
    if ("problem" in wanted) {
      await leave();
      delete byId("page-name").dataset["name"];
      refuse("This is no address of a page", wanted.problem);
      return;
    }
    if (wanted.name === current?.name) return;
    await leave();
    await enter(wanted.name);
  });
}

async function leave(): Promise<void> {
  const last = current;
  current = null;
  globalThis.page = undefined;
  last?.abort.abort();
  await last?.doc.close().catch((error: unknown) => console.error(error));
}

async function enter(name: string): Promise<void> {
  const root = document.documentElement;
  root.dataset["state"] = "opening";
  hideNotice();
  setText(byId("page-name"), name);
  byId("page-name").dataset["name"] = name;
  let doc: Doc<PageData>;
  try {
    doc = await open<PageData>(name, {
      relay: `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/sync`,
      token: new URLSearchParams(location.search).get("token") ?? undefined,
      init: name === WELCOME ? WELCOME_DATA : undefined,
    });
  } catch (error) {
    console.error(error);
    const words = error instanceof Error ? error.message : String(error);
    refuse("This page cannot be opened", words, { label: "Try again", run: show });
    return;
  }
  const abort = new AbortController();
  const page = pageOf(doc, abort.signal);
  current = { name, doc, abort };
  globalThis.page = { doc };
  mountOffline(page);
  mountTitle(page, (title) => visited(name, title));
  mountText(page);
  mountChecklist(page);
  mountCounter(page);
  mountTags(page);
  mountPeople(page);
  mountStatus(page);
  mountNotice(page);
  visited(name, readTitle(doc.value));
  root.dataset["state"] = "open";
}

/** Shows why there is no page, and ways out. */
function refuse(title: string, words: string, ...actions: Action[]): void {
  document.documentElement.dataset["state"] = "refused";
  const away = { label: "Go to the welcome page", run: () => (location.hash = addressOf(WELCOME)) };
  const elsewhere = byId("page-name").dataset["name"] === WELCOME ? [] : [away];
  showNotice(title, words, [...actions, ...elsewhere], true);
}

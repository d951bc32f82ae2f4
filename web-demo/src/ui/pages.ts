/**
 * The menu of pages: those visited on this device, a new one, and the link to this one.
 *
 * Only names and titles are remembered here; the pages themselves are documents. Not here: opening one (`main`).
 */

import { addressOf, newName, WELCOME } from "../page.js";
import { byId, h, setText } from "./dom.js";
import { toast } from "./toast.js";

interface Visit {
  readonly name: string;
  readonly title: string;
}

const KEY = "selvedge-pages";
const MOST = 12;

/** Shows the menu's entries; called once. */
export function mountPages(): void {
  const menu = byId("pages");
  byId("new-page").addEventListener("click", () => {
    menu.hidePopover();
    location.hash = addressOf(newName());
    byId("title").focus();
  });
  byId("copy-link").addEventListener("click", () => {
    menu.hidePopover();
    void copy(location.href);
  });
  menu.addEventListener("toggle", (event) => {
    if ((event as ToggleEvent).newState === "open") fill(byId("pages-list"));
  });
  menu.addEventListener("click", (event) => {
    if ((event.target as Element).closest("a")) menu.hidePopover();
  });
}

/** A page was opened or got another title. */
export function visited(name: string, title: string): void {
  const label = title.trim() || (name === WELCOME ? "Welcome" : name);
  setText(byId("page-name"), label);
  document.title = `${label} · Selvedge`;
  const visits = [{ name, title: label }, ...read().filter((visit) => visit.name !== name)].slice(0, MOST);
  try {
    localStorage.setItem(KEY, JSON.stringify(visits));
  } catch {
    // Without storage the menu has this page only.
  }
}

function fill(list: HTMLElement): void {
  const here = byId("page-name").dataset["name"];
  const entries = read().map(({ name, title }) => {
    const current = name === here ? ({ "aria-current": "page" } as const) : {};
    return h("li", {}, h("a", { href: addressOf(name), class: "menu-item", ...current }, title));
  });
  list.replaceChildren(...entries);
}

function read(): Visit[] {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    if (!Array.isArray(value)) return [];
    return value.filter((one): one is Visit => typeof one?.name === "string" && typeof one?.title === "string");
  } catch {
    return [];
  }
}

async function copy(link: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(link);
    toast("Link copied. Whoever opens it edits this page with you.");
  } catch {
    toast(`Copy this link: ${link}`);
  }
}

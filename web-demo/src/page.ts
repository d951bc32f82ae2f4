/**
 * The page's document: its shape, its name in the address, and what a new one starts with.
 *
 * Containers: `title` (a value), `text` (Text), `items` (List of {text, done}), `claps` (Counter), `tags` (Set). What the
 * document holds may come from any program, so readers check it. Not here: drawing.
 */

import type { CounterHandle, Doc, ListHandle, SetHandle, TextHandle } from "selvedge";

/** One line of the checklist. */
export interface Item {
  text: string;
  done: boolean;
}

/** What is read and written as plain data; the rest has handles. */
export interface PageData {
  title: string;
  items: Item[];
}

/** The open page. */
export interface Page {
  readonly doc: Doc<PageData>;
  readonly text: TextHandle;
  readonly items: ListHandle<Item>;
  readonly claps: CounterHandle;
  readonly tags: SetHandle<string>;
  /** Aborted when another page takes its place. */
  readonly signal: AbortSignal;
}

/** The page that is shown where the address names none. */
export const WELCOME = "welcome";
const MAX_NAME_BYTES = 256;

/** Things to try, on the page that everybody sees first. */
export const WELCOME_DATA: PageData = {
  title: "A page that is yours",
  items: [
    { text: "Open this page in a second tab, or on your phone", done: false },
    { text: "Switch one of them offline and edit both", done: false },
    { text: "Switch it back on and watch them agree", done: false },
    { text: "Drag this line to the top", done: false },
  ],
};

/** The handles of an open document. */
export function pageOf(doc: Doc<PageData>, signal: AbortSignal): Page {
  return {
    doc,
    text: doc.text("text"),
    items: doc.list<Item>("items"),
    claps: doc.counter("claps"),
    tags: doc.set<string>("tags"),
    signal,
  };
}

/** The name that the address asks for, or why it cannot be one. */
export function nameInAddress(hash: string): { name: string } | { problem: string } {
  let name: string;
  try {
    name = decodeURIComponent(hash.replace(/^#\/?/u, ""));
  } catch {
    return { problem: "The end of this address is not a readable name." };
  }
  if (name === "") return { name: WELCOME };
  if (new TextEncoder().encode(name).length > MAX_NAME_BYTES) {
    return { problem: `The name in this address is longer than ${MAX_NAME_BYTES} bytes.` };
  }
  if (/\p{Cc}/u.test(name)) return { problem: "The name in this address has control characters." };
  return { name };
}

/** The address of a page. */
export function addressOf(name: string): string {
  return `#${encodeURIComponent(name).replaceAll("%2F", "/")}`;
}

/** A name that nobody has used: ten characters that are hard to mix up. */
export function newName(): string {
  const letters = "abcdefghjkmnpqrstuvwxyz23456789";
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return `notes-${[...bytes].map((byte) => letters[byte % letters.length]).join("")}`;
}

/** The checklist, whatever the document holds there. */
export function readItems(data: unknown): readonly unknown[] {
  const items = (data as { items?: unknown } | null)?.items;
  return Array.isArray(items) ? items : [];
}

/** Whether an element of the checklist is a map, whose parts can be edited. */
export function isLine(item: unknown): item is Partial<Record<keyof Item, unknown>> {
  return typeof item === "object" && item !== null && !Array.isArray(item) && !(item instanceof Uint8Array);
}

/** One line as it can be shown. */
export function readItem(item: unknown): Item {
  if (!isLine(item)) return { text: String(item ?? ""), done: false };
  return { text: String(item.text ?? ""), done: item.done === true };
}

/** The title as it can be shown. */
export function readTitle(data: unknown): string {
  const title = (data as { title?: unknown } | null)?.title;
  return typeof title === "string" ? title : "";
}

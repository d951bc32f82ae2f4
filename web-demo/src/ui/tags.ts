/**
 * The tags: a set. Added twice it is there once; added and removed at the same time it stays.
 */

import type { Page } from "../page.js";
import { byId, h, icon } from "./dom.js";
import { report } from "./toast.js";

const MAX_LENGTH = 60;

/** Connects the tags. */
export function mountTags(page: Page): void {
  const list = byId("tags");
  const empty = byId("tags-empty");
  const field = byId<HTMLInputElement>("tag-new");
  const attempt = (edit: () => void): void => {
    try {
      edit();
    } catch (error) {
      report(error);
    }
  };
  const add = (): void => {
    for (const part of field.value.split(",")) {
      const tag = part.trim().replace(/^#/u, "").slice(0, MAX_LENGTH);
      if (tag !== "" && !page.tags.has(tag)) attempt(() => page.tags.add(tag));
    }
    field.value = "";
  };
  const chip = (tag: string): HTMLElement => {
    const remove = h("button", { type: "button", class: "tag-remove", "aria-label": `Remove tag ${tag}` }, icon("cross"));
    remove.addEventListener("click", () => {
      attempt(() => page.tags.remove(tag));
      field.focus();
    });
    return h("li", { class: "tag", "data-tag": tag }, h("span", { class: "tag-name" }, tag), remove);
  };
  const show = (values: readonly unknown[]): void => {
    const tags = values.map(String);
    const chips = new Map([...list.querySelectorAll<HTMLElement>(".tag")].map((one) => [one.dataset["tag"], one]));
    list.replaceChildren(...tags.map((tag) => chips.get(tag) ?? chip(tag)));
    empty.hidden = tags.length > 0;
  };
  const options = { signal: page.signal };
  byId("tag-form").addEventListener("submit", (event) => {
    event.preventDefault();
    add();
  }, options);
  field.addEventListener("input", (event) => {
    if (!(event as InputEvent).isComposing && field.value.includes(",")) add();
  }, options);
  field.value = "";
  list.replaceChildren();
  page.signal.addEventListener("abort", page.tags.subscribe(show));
}

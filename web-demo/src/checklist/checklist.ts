/**
 * The checklist: rows that are ticked, edited, added, removed and put in another order by mouse, touch or keyboard.
 *
 * Always holds: a row stays the same element while its line is edited or moved, so focus and caret stay; while a row is
 * dragged nothing is drawn. Which row is which is known by handles, which follow their lines. Not here: the dragging
 * itself (`drag`).
 */

import type { MapHandle } from "selvedge";

import { perFrame, type Drawing } from "../frame.js";
import { isLine, readItem, readItems, type Item, type Page } from "../page.js";
import { byId, h, icon, setText, setValue } from "../ui/dom.js";
import { report } from "../ui/toast.js";
import { draggable } from "./drag.js";
import { glide } from "./glide.js";

interface Row {
  readonly element: HTMLLIElement;
  readonly check: HTMLInputElement;
  readonly field: HTMLTextAreaElement;
  readonly grip: HTMLButtonElement;
  readonly remove: HTMLButtonElement;
  /** Follows the line when it moves; `null` where the document holds something else, which is shown but not edited. */
  readonly line: MapHandle | null;
}

/** Connects the checklist with the page's items. */
export function mountChecklist(page: Page): void {
  new Checklist(page);
}

class Checklist {
  readonly #page: Page;
  readonly #list = byId<HTMLUListElement>("items");
  readonly #empty = byId("items-empty");
  readonly #count = byId("items-count");
  readonly #said = byId("items-said");
  readonly #drawing: Drawing;
  #rows: Row[] = [];
  #dragging = false;

  constructor(page: Page) {
    this.#page = page;
    this.#list.replaceChildren();
    this.#drawing = perFrame(() => this.#draw());
    const { signal } = page;
    const form = byId<HTMLFormElement>("item-form");
    const field = byId<HTMLInputElement>("item-new");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add(field);
    }, { signal });
    const stop = page.doc.subscribe((data) => data.items, () => this.#drawing.request());
    draggable(this.#list, {
      signal,
      rows: () => this.#rows.map((row) => row.element),
      begin: () => {
        this.#drawing.flush();
        this.#dragging = true;
      },
      end: (row, to) => {
        this.#dragging = false;
        if (signal.aborted) return;
        const dragged = this.#rows.find((one) => one.element === row);
        const target = this.#rows[to];
        // Others may have moved lines meanwhile: what counts is the row that it was dropped on.
        if (dragged && target && dragged !== target) this.#move(this.#place(dragged), this.#place(target));
        else this.#drawing.request();
      },
    });
    signal.addEventListener("abort", () => {
      stop();
      this.#drawing.stop();
    });
    this.#drawing.request();
    this.#drawing.flush();
  }

  /** Where a row's line is in the document now, -1 if it was removed. */
  #place(row: Row): number {
    return row.line ? placeOf(row.line) : this.#rows.indexOf(row);
  }

  #draw(): void {
    if (this.#dragging) {
      // Asked for again when the row is dropped.
      return;
    }
    const next = readItems(this.#page.doc.value);
    const known = new Map(this.#rows.flatMap((row) => (row.line ? [[placeOf(row.line), row] as const] : [])));
    const rows = next.map((item, i) => (isLine(item) && known.get(i)) || this.#make(i, isLine(item)));
    const settle = glide(this.#rows.map((row) => row.element));
    const refocus = keepFocus(this.#list);
    for (const row of this.#rows) if (!rows.includes(row)) row.element.remove();
    rows.forEach((row, i) => {
      const there = this.#list.children[i];
      if (there !== row.element) this.#list.insertBefore(row.element, there ?? null);
    });
    refocus();
    this.#rows = rows;
    rows.forEach((row, i) => this.#fill(row, readItem(next[i]), i));
    settle();
    this.#empty.hidden = rows.length > 0;
    const done = next.filter((item) => readItem(item).done).length;
    setText(this.#count, rows.length === 0 ? "" : `${done} of ${rows.length} done`);
  }

  #fill(row: Row, item: Item, place: number): void {
    const name = item.text.trim() || `line ${place + 1}`;
    row.check.checked = item.done;
    row.element.classList.toggle("item-done", item.done);
    if (!row.field.matches("[data-composing]")) setValue(row.field, item.text);
    row.check.setAttribute("aria-label", `Done: ${name}`);
    row.field.setAttribute("aria-label", `Text of line ${place + 1}`);
    row.remove.setAttribute("aria-label", `Remove ${name}`);
    row.grip.setAttribute("aria-label", `Move ${name}, ${place + 1} of ${this.#rows.length}`);
  }

  #make(index: number, editable: boolean): Row {
    const check = h("input", { type: "checkbox", class: "item-check" });
    const field = h("textarea", { class: "item-text", rows: "1", spellcheck: "true", enterkeyhint: "next" });
    const grip = h("button", { type: "button", class: "item-grip", "aria-describedby": "items-help" }, icon("grip"));
    const remove = h("button", { type: "button", class: "item-remove" }, icon("cross"));
    const element = h("li", { class: "item" }, grip, h("label", { class: "item-tick" }, check), field, remove);
    const row: Row = { element, check, field, grip, remove, line: editable ? this.#page.items.map(index) : null };
    check.disabled = !editable;
    field.readOnly = !editable;
    check.addEventListener("change", () => this.#try(() => row.line?.set("done", check.checked)));
    remove.addEventListener("click", () => this.#remove(row));
    field.addEventListener("compositionstart", () => field.setAttribute("data-composing", ""));
    field.addEventListener("compositionend", () => {
      field.removeAttribute("data-composing");
      this.#edited(row);
    });
    field.addEventListener("input", () => this.#edited(row));
    field.addEventListener("keydown", (event) => this.#fieldKey(row, event));
    grip.addEventListener("keydown", (event) => this.#gripKey(row, event));
    return row;
  }

  #edited(row: Row): void {
    if (row.field.matches("[data-composing]")) return;
    const text = row.field.value.replace(/\s*\n\s*/gu, " ");
    if (text !== row.field.value) setValue(row.field, text);
    this.#try(() => row.line?.set("text", text));
  }

  #fieldKey(row: Row, event: KeyboardEvent): void {
    if (event.isComposing) return;
    const place = this.#place(row);
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      this.#step(row, event.key === "ArrowUp" ? place - 1 : place + 1, row.field);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#try(() => this.#page.items.insert(place + 1, { text: "", done: false }));
      this.#drawing.request();
      this.#drawing.flush();
      this.#rows[place + 1]?.field.focus();
    } else if (event.key === "Backspace" && row.field.value === "") {
      event.preventDefault();
      this.#remove(row);
    }
  }

  #gripKey(row: Row, event: KeyboardEvent): void {
    const place = this.#place(row);
    const last = this.#rows.length - 1;
    const goals: Record<string, number> = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: last };
    const goal = goals[event.key];
    if (goal === undefined) return;
    event.preventDefault();
    this.#step(row, goal, row.grip);
  }

  /** Moves a row by keyboard: says where it is, and keeps the focus. */
  #step(row: Row, to: number, focus: HTMLElement): void {
    const from = this.#place(row);
    if (from < 0 || to < 0 || to >= this.#page.items.length || to === from) return;
    this.#move(from, to);
    focus.focus();
    row.element.scrollIntoView({ block: "nearest" });
    setText(this.#said, `Moved to place ${to + 1} of ${this.#rows.length}`);
  }

  #move(from: number, to: number): void {
    if (from >= 0 && to >= 0 && from !== to) this.#try(() => this.#page.items.move(from, to));
    this.#drawing.request();
    this.#drawing.flush();
  }

  #add(field: HTMLInputElement): void {
    const text = field.value.trim();
    if (text === "") return;
    if (!this.#try(() => this.#page.items.push({ text, done: false }))) return;
    field.value = "";
    this.#drawing.request();
    this.#drawing.flush();
  }

  #remove(row: Row): void {
    const place = this.#place(row);
    if (place < 0 || !this.#try(() => this.#page.items.delete(place))) return;
    this.#drawing.request();
    this.#drawing.flush();
    const next = this.#rows[Math.max(0, place - 1)];
    (next?.field ?? byId("item-new")).focus();
  }

  /** Edits the document; an error is told, not thrown. */
  #try(edit: () => void): boolean {
    try {
      edit();
      return true;
    } catch (error) {
      report(error);
      this.#drawing.request();
      return false;
    }
  }
}

/** Remembers what has the focus in `list`; the function it returns gives it back, which moving an element loses. */
function keepFocus(list: HTMLElement): () => void {
  const focused = document.activeElement;
  if (!(focused instanceof HTMLElement) || !list.contains(focused)) return () => {};
  const caret = focused instanceof HTMLTextAreaElement ? ([focused.selectionStart, focused.selectionEnd] as const) : null;
  return () => {
    if (document.activeElement === focused || !focused.isConnected) return;
    focused.focus({ preventScroll: true });
    if (caret && focused instanceof HTMLTextAreaElement) focused.setSelectionRange(...caret);
  };
}

/** The index of a line in the list, -1 if it was removed. */
function placeOf(line: MapHandle): number {
  const place = line.path.at(-1);
  return typeof place === "number" ? place : -1;
}

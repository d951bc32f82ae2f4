/**
 * The text of the page: a textarea kept equal with the document's text, with other people's cursors over it.
 *
 * Always holds: between two events the textarea shows `#shown`, and the document holds `#shown` after `#pending`, the
 * splices of others that are not drawn yet; nothing is written into the textarea while an input method composes; the
 * caret stays with the characters around it. Not here: how positions move (`splices`), the stack of undo (`undo`).
 */

import type { Splice } from "selvedge";

import { perFrame, type Drawing } from "../frame.js";
import type { Page } from "../page.js";
import { byId } from "../ui/dom.js";
import { report } from "../ui/toast.js";
import { Cursors } from "./cursors.js";
import { Mirror } from "./mirror.js";
import { applyAll, carry, diff, rebase } from "./splices.js";
import { UndoHistory } from "./undo.js";

const CURSOR_MS = 60;
/** More splices at once than somebody types. */
const MANY = 200;
/** A lone half of a pair: the other half comes with the next input event. */
const HALF = /\p{Surrogate}/u;

/** Connects the textarea with the page's text. */
export function mountText(page: Page): void {
  new TextEditor(page, byId<HTMLTextAreaElement>("text"));
}

class TextEditor {
  readonly #page: Page;
  readonly #area: HTMLTextAreaElement;
  readonly #mirror: Mirror;
  readonly #cursors: Cursors;
  readonly #history = new UndoHistory();
  readonly #drawing: Drawing;
  #shown = "";
  /** The document's text after the last event. */
  #known = "";
  #pending: Splice[] = [];
  #composing = false;
  #sent = "null";
  #cursorTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(page: Page, area: HTMLTextAreaElement) {
    this.#page = page;
    this.#area = area;
    const layer = byId("cursors");
    layer.replaceChildren();
    this.#mirror = new Mirror(byId("mirror"));
    this.#cursors = new Cursors(page.doc as never, layer, this.#mirror);
    this.#drawing = perFrame(() => this.#draw());
    this.#listen();
    area.value = "";
    this.#known = page.text.toString();
    this.#drawing.request();
    this.#drawing.flush();
  }

  #listen(): void {
    const { signal } = this.#page;
    const on = (type: string, listener: (event: Event) => void, target: EventTarget = this.#area): void =>
      target.addEventListener(type, listener, { signal });
    on("beforeinput", (event) => this.#beforeInput(event as InputEvent));
    on("input", () => this.#commit());
    on("compositionstart", () => {
      this.#drawing.flush();
      this.#composing = true;
    });
    on("compositionend", () => {
      this.#composing = false;
      this.#commit();
      this.#drawing.flush();
    });
    on("keydown", (event) => this.#key(event as KeyboardEvent));
    on("focus", () => this.#cursorMoved());
    on("blur", () => {
      this.#history.pause();
      this.#cursorMoved();
    });
    on("selectionchange", () => this.#cursorMoved(), document);
    on("pagehide", () => this.#commit(), window);
    // The lines wrap elsewhere.
    const observer = new ResizeObserver(() => this.#cursors.any && this.#drawing.request());
    observer.observe(this.#area);
    const takeBack = [
      this.#page.text.observe(({ local, splices }) => {
        if (local) this.#known = this.#page.text.toString();
        else this.#received(splices);
        this.#drawing.request();
      }),
      this.#page.doc.onPresence((others) => {
        this.#cursors.peers(others);
        this.#drawing.request();
      }),
      () => observer.disconnect(),
      () => this.#drawing.stop(),
      () => clearTimeout(this.#cursorTimer),
    ];
    signal.addEventListener("abort", () => takeBack.forEach((undo) => undo()));
  }

  /** Others edited the text. */
  #received(splices: readonly Splice[]): void {
    for (const splice of splices) this.#pending.push(splice);
    this.#cursors.edited(splices);
    const before = this.#known;
    this.#known = this.#page.text.toString();
    // Carrying the whole history over every keystroke of a long absence would stop the page: one splice has to do.
    const whole = splices.length > MANY ? diff(before, this.#known, this.#known.length) : null;
    for (const splice of splices.length > MANY ? [whole] : splices) if (splice) this.#history.others(splice);
  }

  #beforeInput(event: InputEvent): void {
    if (event.inputType === "historyUndo" || event.inputType === "historyRedo") {
      event.preventDefault();
      this.#travel(event.inputType === "historyUndo" ? "undo" : "redo");
      return;
    }
    // What the person sees is what the input will be measured against.
    if (!this.#composing) this.#drawing.flush();
  }

  #key(event: KeyboardEvent): void {
    const command = event.ctrlKey !== event.metaKey && !event.altKey && !event.isComposing;
    const key = event.key.toLowerCase();
    if (!command || (key !== "z" && key !== "y")) return;
    event.preventDefault();
    this.#travel(key === "y" || event.shiftKey ? "redo" : "undo");
  }

  /** Takes what was typed into the document. */
  #commit(): void {
    if (this.#composing) return;
    const value = this.#area.value;
    const splice = diff(this.#shown, value, this.#area.selectionEnd);
    if (!splice || HALF.test(splice.insert)) return;
    const steps = this.#pending.length > 0 ? rebase(splice, this.#pending) : [splice];
    let before = this.#pending.length > 0 ? this.#page.text.toString() : this.#shown;
    if (!this.#write(steps)) return;
    for (const step of steps) {
      this.#history.edited(step, before.slice(step.index, step.index + step.delete), performance.now());
      if (steps.length > 1) before = applyAll(before, [step]);
    }
    if (this.#pending.length === 0) {
      this.#shown = value;
      this.#mirror.update(value);
      this.#drawing.request();
    } else {
      this.#redraw(steps);
    }
    this.#cursorMoved();
  }

  /** Applies splices to the document; what it refuses is taken back and told. */
  #write(steps: readonly Splice[]): boolean {
    try {
      for (const { index, delete: gone, insert } of steps) this.#page.text.splice(index, gone, insert);
    } catch (error) {
      report(error);
      this.#redraw([]);
      return false;
    }
    this.#cursors.edited(steps);
    return true;
  }

  #travel(direction: "undo" | "redo"): void {
    if (this.#composing) return;
    this.#drawing.flush();
    const steps = this.#history[direction](this.#shown);
    if (steps.length === 0 || !this.#write(steps)) return;
    this.#redraw(steps);
    this.#reveal();
    this.#cursorMoved();
  }

  /** Shows the document's text with the caret behind our own `steps`. */
  #redraw(steps: readonly Splice[]): void {
    const last = steps.findLast((step) => step.insert !== "") ?? steps.at(-1);
    const caret = last ? last.index + last.insert.length : this.#area.selectionEnd;
    this.#pending = [];
    this.#show(this.#page.text.toString(), caret, caret);
    this.#drawing.request();
  }

  /** Draws what others did. */
  #draw(): void {
    if (this.#composing) return;
    const text = this.#page.text.toString();
    if (text !== this.#shown) {
      const anchor = this.#readingAt();
      const known = this.#pending.length > 0 ? this.#pending : [diff(this.#shown, text, text.length)];
      const move = (at: number): number => known.reduce((p, splice) => (splice ? carry(p, splice, true) : p), at);
      this.#show(text, move(this.#area.selectionStart), move(this.#area.selectionEnd));
      if (anchor) window.scrollBy(0, this.#mirror.spot(Math.min(move(anchor.at), text.length)).top - anchor.top);
    }
    this.#pending = [];
    if (this.#cursors.any) this.#cursors.draw(text.length);
  }

  #show(text: string, start: number, end: number): void {
    const { selectionDirection } = this.#area;
    this.#shown = text;
    this.#mirror.update(text);
    this.#area.value = text;
    this.#area.setSelectionRange(start, end, selectionDirection);
  }

  /** The position that should stay where it is on the screen: the caret, or the first line in sight. */
  #readingAt(): { at: number; top: number } | null {
    const area = this.#area.getBoundingClientRect();
    if (area.top >= 0 && document.activeElement !== this.#area) return null;
    if (document.activeElement === this.#area) {
      const caret = this.#area.selectionEnd;
      const { top } = this.#mirror.spot(caret);
      if (area.top + top >= 0 && area.top + top < window.innerHeight) return { at: caret, top };
    }
    return area.top < 0 ? this.#mirror.lineAt(-area.top) : null;
  }

  /** Scrolls so that the caret is in sight. */
  #reveal(): void {
    const { top, height } = this.#mirror.spot(this.#area.selectionEnd);
    const y = this.#area.getBoundingClientRect().top + top;
    const margin = 96;
    if (y < margin) window.scrollBy(0, y - margin);
    else if (y + height > window.innerHeight - margin) window.scrollBy(0, y + height - window.innerHeight + margin);
  }

  /** Tells the others where the caret is, soon. */
  #cursorMoved(): void {
    this.#cursorTimer ??= setTimeout(() => {
      this.#cursorTimer = undefined;
      this.#sendCursor();
    }, CURSOR_MS);
  }

  #sendCursor(): void {
    const { doc, signal } = this.#page;
    if (signal.aborted || this.#composing) return;
    this.#drawing.flush();
    const { selectionStart, selectionEnd, selectionDirection } = this.#area;
    const backward = selectionDirection === "backward";
    const seq = doc.version[doc.replica] ?? 0;
    const here = document.activeElement === this.#area;
    const cursor = here
      ? { anchor: backward ? selectionEnd : selectionStart, head: backward ? selectionStart : selectionEnd, seq }
      : null;
    const json = JSON.stringify(cursor);
    if (json === this.#sent) return;
    this.#sent = json;
    doc.presence.set("cursor", cursor);
  }
}

/**
 * Other people's cursors in the text: where they are, and drawing them.
 *
 * A cursor comes with the seq that its owner had written: an earlier edit may still be on its way, and until it is here
 * the cursor waits. Always holds: a cursor that is shown moves with the characters around it, whoever edits them.
 * Not here: who the people are (`people`), sending one's own cursor (`text-editor`).
 */

import type { Doc, Peer, Splice } from "selvedge";

import { colourOf, nameOf } from "../identity.js";
import { h } from "../ui/dom.js";
import type { Mirror } from "./mirror.js";
import { carry } from "./splices.js";

/** What a page says of its own cursor: presence key `cursor`. */
export interface Cursor {
  readonly anchor: number;
  readonly head: number;
  /** How many ops its writer had made. */
  readonly seq: number;
}

interface Shown {
  /** The presence value, as JSON, that the position came from. */
  source: string;
  anchor: number;
  head: number;
  element: HTMLElement;
  name: string;
}

const MAX_BOXES = 60;

/** Presence of somebody else may hold anything: `null` if it is no cursor. */
function readCursor(peer: Peer): Cursor | null {
  const value = peer.state["cursor"] as Partial<Record<keyof Cursor, unknown>> | null | undefined;
  if (!value || typeof value !== "object") return null;
  const { anchor, head, seq } = value;
  const natural = [anchor, head, seq].every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
  return natural ? { anchor: anchor as number, head: head as number, seq: seq as number } : null;
}

/** All cursors of others. */
export class Cursors {
  readonly #doc: Doc<never>;
  readonly #layer: HTMLElement;
  readonly #mirror: Mirror;
  readonly #shown = new Map<string, Shown>();
  #peers: readonly Peer[] = [];
  #waiting = false;

  constructor(doc: Doc<never>, layer: HTMLElement, mirror: Mirror) {
    this.#doc = doc;
    this.#layer = layer;
    this.#mirror = mirror;
  }

  /** Whether there is anything to draw. */
  get any(): boolean {
    return this.#shown.size > 0;
  }

  /** Presence changed. */
  peers(peers: readonly Peer[]): void {
    this.#peers = peers;
    const here = new Set(peers.filter((peer) => readCursor(peer)).map((peer) => peer.owner));
    for (const [owner, shown] of this.#shown) {
      if (here.has(owner)) continue;
      shown.element.remove();
      this.#shown.delete(owner);
    }
    this.#adopt();
  }

  /** The text changed. */
  edited(splices: readonly Splice[]): void {
    for (const shown of this.#shown.values()) {
      for (const splice of splices) {
        shown.anchor = carry(shown.anchor, splice, true);
        shown.head = carry(shown.head, splice, true);
      }
    }
    if (this.#waiting) this.#adopt();
  }

  /** Takes the positions for which everything has arrived. */
  #adopt(): void {
    this.#waiting = false;
    let version: Doc<never>["version"] | null = null;
    for (const peer of this.#peers) {
      const cursor = readCursor(peer);
      if (!cursor) continue;
      const source = JSON.stringify(cursor);
      const shown = this.#shown.get(peer.owner);
      if (shown?.source === source) continue;
      version ??= this.#doc.version;
      if ((version[peer.owner] ?? 0) < cursor.seq) {
        this.#waiting = true;
        continue;
      }
      const element = shown?.element ?? this.#make(peer);
      this.#shown.set(peer.owner, { source, anchor: cursor.anchor, head: cursor.head, element, name: nameOf(peer) });
      wake(element);
    }
  }

  #make(peer: Peer): HTMLElement {
    const flag = h("span", { class: "cursor-name" }, nameOf(peer));
    const element = h("div", { class: "cursor", "data-owner": peer.owner }, h("span", { class: "cursor-bar" }, flag));
    this.#layer.append(element);
    return element;
  }

  /** Draws all of them into a text of `length` units. */
  draw(length: number): void {
    for (const peer of this.#peers) {
      const shown = this.#shown.get(peer.owner);
      const bar = shown?.element.querySelector<HTMLElement>(".cursor-bar");
      if (!shown || !bar) continue;
      const head = Math.min(shown.head, length);
      const anchor = Math.min(shown.anchor, length);
      const spot = this.#mirror.spot(head);
      shown.element.style.setProperty("--person", colourOf(peer));
      bar.style.transform = `translate(${spot.left}px, ${spot.top}px)`;
      bar.style.height = `${spot.height}px`;
      bar.classList.toggle("cursor-low", spot.top < spot.height);
      const flag = bar.firstElementChild;
      if (flag && flag.textContent !== nameOf(peer)) flag.textContent = nameOf(peer);
      for (const box of shown.element.querySelectorAll(".cursor-selection")) box.remove();
      if (anchor === head) continue;
      for (const box of this.#mirror.boxes(Math.min(anchor, head), Math.max(anchor, head), MAX_BOXES)) {
        const part = h("span", { class: "cursor-selection" });
        part.style.transform = `translate(${box.left}px, ${box.top}px)`;
        part.style.width = `${box.width}px`;
        part.style.height = `${box.height}px`;
        shown.element.prepend(part);
      }
    }
  }
}

/** Shows the name for a moment. */
function wake(element: HTMLElement): void {
  element.classList.remove("cursor-awake");
  // Reading a size starts the animation anew.
  void element.offsetWidth;
  element.classList.add("cursor-awake");
}

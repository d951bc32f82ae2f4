/**
 * Undo and redo of one's own typing while others type too.
 *
 * The browser's own undo of a textarea is lost whenever its value is set, so the page keeps its own. Always holds: undoing
 * takes back only what was typed here; what others inserted inside it stays. An entry lies in the coordinates of the text
 * as it will be when all entries above it are taken back, so splices of others are carried down through the stack.
 * Not here: keys and elements.
 */

import type { Splice } from "selvedge";

import { carrySpan, rebase, type Span } from "./splices.js";

/** What takes back (part of) an edit: replace a span by the text that was there. */
interface Piece {
  readonly span: Span;
  readonly text: string;
}

interface Entry {
  /** In the order of their positions, none overlapping. */
  pieces: Piece[];
  kind: "insert" | "delete" | "other";
  at: number;
}

/** Typing within this time is taken back together. */
const TOGETHER_MS = 1000;
const DEPTH = 200;

/** One text's own history of edits. */
export class UndoHistory {
  #undo: Entry[] = [];
  #redo: Entry[] = [];

  /** An edit made here: `removed` is what `splice` deleted. */
  edited(splice: Splice, removed: string, nowMs: number): void {
    this.#redo = [];
    const kind = removed === "" ? "insert" : splice.insert === "" ? "delete" : "other";
    const last = this.#undo.at(-1);
    if (!last || nowMs - last.at > TOGETHER_MS || !extend(last, kind, splice, removed)) {
      const span = { start: splice.index, end: splice.index + splice.insert.length };
      this.#undo.push({ pieces: [{ span, text: removed }], kind, at: nowMs });
      if (this.#undo.length > DEPTH) this.#undo.shift();
      return;
    }
    last.at = nowMs;
  }

  /** An edit made elsewhere. */
  others(splice: Splice): void {
    carryStack(this.#undo, splice);
    carryStack(this.#redo, splice);
  }

  /** Ends the present run of typing: what comes next is taken back by itself. */
  pause(): void {
    const last = this.#undo.at(-1);
    if (last) last.at = Number.NEGATIVE_INFINITY;
  }

  /** The splices that take back the last edit of `text`, to be applied in order. */
  undo(text: string): Splice[] {
    return flip(this.#undo, this.#redo, text);
  }

  /** The splices that make the last edit taken back again. */
  redo(text: string): Splice[] {
    return flip(this.#redo, this.#undo, text);
  }
}

/** Adds an edit to an entry if both are one run of typing, or one of deleting. */
function extend(entry: Entry, kind: Entry["kind"], splice: Splice, removed: string): boolean {
  const piece = entry.pieces[0];
  if (!piece || entry.pieces.length !== 1 || entry.kind !== kind || kind === "other") return false;
  const { start, end } = piece.span;
  if (kind === "insert") {
    if (splice.index !== end || splice.insert.length > 2 || splice.insert === "\n") return false;
    entry.pieces = [{ span: { start, end: end + splice.insert.length }, text: piece.text }];
    return true;
  }
  if (splice.index + splice.delete === start) {
    entry.pieces = [{ span: { start: splice.index, end: splice.index }, text: removed + piece.text }];
    return true;
  }
  if (splice.index !== start) return false;
  entry.pieces = [{ span: piece.span, text: piece.text + removed }];
  return true;
}

function carryStack(stack: Entry[], splice: Splice): void {
  let carried = [splice];
  for (let i = stack.length - 1; i >= 0; i -= 1) {
    const entry = stack[i] as Entry;
    const below: Splice[] = [];
    for (const one of carried) {
      below.push(...rebase(one, splicesOf(entry.pieces), false));
      entry.pieces = entry.pieces.flatMap((piece) => carryPiece(piece, one));
    }
    carried = below;
  }
}

/** The splices that put the pieces in place, from the last to the first, so that none moves another. */
function splicesOf(pieces: readonly Piece[]): Splice[] {
  return pieces.map(({ span, text }) => ({ index: span.start, delete: span.end - span.start, insert: text })).reverse();
}

function carryPiece(piece: Piece, splice: Splice): Piece[] {
  const parts = carrySpan(piece.span, splice);
  if (parts.length > 0) return parts.map((span, i) => ({ span, text: i === 0 ? piece.text : "" }));
  if (piece.text === "") return [];
  // Others deleted the span: what they put in its place stands before what comes back.
  const at = splice.index + splice.insert.length;
  return [{ span: { start: at, end: at }, text: piece.text }];
}

/** Takes the top entry of `from`, and puts what would take that back on `to`. */
function flip(from: Entry[], to: Entry[], text: string): Splice[] {
  let entry = from.pop();
  // Of an entry without pieces nothing is left: others deleted it.
  while (entry && entry.pieces.length === 0) entry = from.pop();
  if (!entry) return [];
  const splices: Splice[] = [];
  const inverse: Piece[] = [];
  let shift = 0;
  for (const piece of entry.pieces) {
    const start = Math.min(piece.span.start, text.length);
    const end = Math.min(piece.span.end, text.length);
    const span = { start: start + shift, end: start + shift + piece.text.length };
    inverse.push({ span, text: text.slice(start, end) });
    splices.unshift({ index: start, delete: end - start, insert: piece.text });
    shift += piece.text.length - (end - start);
  }
  to.push({ pieces: inverse, kind: "other", at: Number.NEGATIVE_INFINITY });
  return splices;
}

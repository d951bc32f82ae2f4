/**
 * A transaction: the commands that a change has given so far, and drafts of the containers that it has touched.
 *
 * Drafts are plain models over the view, which stays as it is: taking a change back means to forget the transaction.
 * The commands go to the core together, which applies all of them or none.
 * Always holds: a command's path was right when it was given, after all commands before it.
 */

import { SelvedgeError } from "../error.js";
import type { Plain } from "../normalise.js";
import type { Scalar } from "../types.js";
import { isNode, type Kind, KINDS, type MapNode, type Node, type Slot } from "../view.js";
import type { DeltaStep } from "./delta.js";
import { CounterDraft, ListDraft, MapDraft, RegisterDraft, SetDraft, TextDraft } from "./models.js";

/** Keys and kind numbers in turn, from the root to a container: `["todos", 1, 3, 0]` is the map in `todos[3]`. */
export type CommandPath = (string | number)[];

/** What the core is asked to do; positions in texts count UTF-16 units. */
export type Command =
  | ["mapSet", CommandPath, string, Plain]
  | ["mapDelete", CommandPath, string]
  | ["listInsert", CommandPath, number, Plain[]]
  | ["listSet", CommandPath, number, Plain]
  | ["listDelete", CommandPath, number, number]
  | ["listMove", CommandPath, number, number]
  | ["textSplice", CommandPath, number, number, string]
  | ["textMark", CommandPath, number, number, string, Scalar, number]
  | ["textDelta", CommandPath, DeltaStep[]]
  | ["counterAdd", CommandPath, number | bigint]
  | ["setAdd", CommandPath, Scalar]
  | ["setRemove", CommandPath, Scalar]
  | ["registerSet", CommandPath, Scalar]
  | ["registerClear", CommandPath];

export type Draft = MapDraft | ListDraft | TextDraft | RegisterDraft | CounterDraft | SetDraft;

export type DraftSlot = Scalar | Draft;

export class Transaction {
  readonly commands: Command[] = [];
  readonly root: MapDraft;
  #open = true;

  constructor(root: MapNode) {
    this.root = new MapDraft(this, root);
  }

  give(command: Command): void {
    this.check();
    this.commands.push(command);
  }

  check(): void {
    if (this.#open) return;
    throw new SelvedgeError("stale", "this draft belongs to a change that has ended", {
      hint: "Use what doc.change() passes to its callback inside of that callback only.",
    });
  }

  end(): void {
    this.#open = false;
  }
}

/** The draft of a container of the view, or a new and empty one. */
export function draftOf(tx: Transaction, kind: Kind, node: Node | null): Draft {
  switch (kind) {
    case "map": return new MapDraft(tx, node?.kind === kind ? node : null);
    case "list": return new ListDraft(tx, node?.kind === kind ? node : null);
    case "text": return new TextDraft(tx, node?.kind === kind ? node : null);
    case "register": return new RegisterDraft(tx, node?.kind === kind ? node : null);
    case "counter": return new CounterDraft(tx, node?.kind === kind ? node : null);
    case "set": return new SetDraft(tx, node?.kind === kind ? node : null);
  }
}

/** The draft of what a slot of the view holds. */
export function draftSlot(tx: Transaction, slot: Slot, parent: MapDraft | ListDraft, key: string): DraftSlot {
  if (!isNode(slot)) return slot;
  return place(draftOf(tx, slot.kind, slot), parent, key);
}

/** The draft of plain data that was just assigned. */
export function draftPlain(tx: Transaction, plain: Plain, parent: MapDraft | ListDraft, key: string): DraftSlot {
  if (typeof plain !== "object" || plain === null || plain instanceof Uint8Array) return plain;
  if (Array.isArray(plain)) {
    const list = place(new ListDraft(tx, null), parent, key);
    list.fill(plain);
    return list;
  }
  const map = place(new MapDraft(tx, null), parent, key);
  map.fill(plain);
  return map;
}

export function place<D extends Draft>(draft: D, parent: MapDraft | ListDraft, key: string): D {
  draft.parent = parent;
  draft.key = key;
  return draft;
}

/** The number that the core gives a kind. */
export function kindNumber(kind: Kind): number {
  return KINDS.indexOf(kind);
}

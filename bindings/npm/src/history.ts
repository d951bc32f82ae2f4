/**
 * Undo and the history as the application sees them.
 *
 * Always holds: a cursor is kept as JSON, so what the application does to its object afterwards changes nothing.
 */

import type { CoreChange, CoreReplica } from "./core.js";
import { normalise } from "./normalise.js";
import type { ChangeInfo, UndoManager, Value } from "./types.js";

export class Undo implements UndoManager {
  /** The cursor as JSON. */
  place = "null";
  readonly #core: CoreReplica;
  readonly #origin: string;
  readonly #run: (turn: () => boolean) => boolean;

  constructor(core: CoreReplica, origin: string, run: (turn: () => boolean) => boolean) {
    this.#core = core;
    this.#origin = origin;
    this.#run = run;
  }

  get cursor(): Value {
    return JSON.parse(this.place) as Value;
  }

  set cursor(cursor: Value) {
    this.place = JSON.stringify(normalise(cursor, ["cursor"]));
  }

  get canUndo(): boolean {
    return this.#core.canTurn(this.#origin, true);
  }

  get canRedo(): boolean {
    return this.#core.canTurn(this.#origin, false);
  }

  undo(): boolean {
    return this.#turn(true);
  }

  redo(): boolean {
    return this.#turn(false);
  }

  #turn(back: boolean): boolean {
    return this.#run(() => {
      const place = this.#core.turn(this.#origin, back, this.place);
      if (place === undefined) return false;
      this.place = place;
      return true;
    });
  }
}

export function changeInfo([author, seq, ops, time, message, flat]: CoreChange): ChangeInfo {
  const deps: { author: string; seq: number }[] = [];
  for (let i = 0; i < flat.length; i += 2) deps.push({ author: flat[i] as string, seq: flat[i + 1] as number });
  return { author, seq, ops, time: new Date(time), message, deps };
}

/**
 * Keeps the view equal to the core's document: builds it once and applies patches to it from then on.
 *
 * Always holds: a container keeps its node as long as the document lives, wherever it moves; what a patch says of a
 * container that is not shown is not needed: when it is shown again, its content comes along.
 */

import type { CoreContainer, CorePatch, CoreSlot } from "./core.js";
import { joinRuns } from "./runs.js";
import type { Scalar, Splice, TextChange } from "./types.js";
import { KINDS, makeNode, MapNode, type Node, type Slot, type TextNode } from "./view.js";

/** What patches did to texts. */
export type TextChanges = Map<TextNode, TextChange[]>;

export class Mirror {
  readonly root: MapNode;
  #nodes = new Map<number, Node>();
  #handles = new Map<Node, number>();

  constructor(view: CoreContainer) {
    const root = this.#materialise(view, new Map());
    if (!(root instanceof MapNode)) throw new TypeError("the root is a map");
    this.root = root;
  }

  /** The core's handle of a node. */
  handleOf(node: Node): number | undefined {
    return this.#handles.get(node);
  }

  apply(patches: readonly CorePatch[]): TextChanges {
    const texts: TextChanges = new Map();
    for (const patch of joinRuns(patches)) {
      const node = this.#nodes.get(patch[1]);
      if (node) this.#applyOne(node, patch, texts);
    }
    return texts;
  }

  #applyOne(node: Node, patch: CorePatch, texts: TextChanges): void {
    switch (patch[0]) {
      case "mapSet":
        if (node.kind === "map") node.put(patch[2], this.#slot(patch[3], texts));
        break;
      case "mapDelete":
        if (node.kind === "map") node.delete(patch[2]);
        break;
      case "listInsert":
        if (node.kind === "list") node.insert(patch[2], patch[3].map((slot) => this.#slot(slot, texts)));
        break;
      case "listDelete":
        if (node.kind === "list") node.delete(patch[2], patch[3]);
        break;
      case "listSet":
        if (node.kind === "list") node.set(patch[2], this.#slot(patch[3], texts));
        break;
      case "list":
        if (node.kind === "list") {
          node.delete(0, node.slots.length);
          node.insert(0, patch[2].map((slot) => this.#slot(slot, texts)));
        }
        break;
      case "textSplice":
        if (node.kind === "text") splice(node, { index: patch[2], delete: patch[3], insert: patch[4] }, texts);
        break;
      case "textMark":
        if (node.kind === "text") note(node, { index: patch[2], length: patch[3], key: patch[4], value: patch[5] ?? null }, texts);
        break;
      case "counter":
        if (node.kind === "counter") node.set(patch[2]);
        break;
      case "register":
        if (node.kind === "register") node.set(patch[2]);
        break;
      case "set":
        if (node.kind === "set") node.set(patch[2]);
    }
  }

  #slot(slot: CoreSlot, texts: TextChanges): Slot {
    const isContainer = typeof slot === "object" && slot !== null && !(slot instanceof Uint8Array);
    return isContainer ? this.#materialise(slot, texts) : slot;
  }

  /** The node of a container; filled if its content comes along. */
  #materialise(container: CoreContainer, texts: TextChanges): Node {
    let node = this.#nodes.get(container.handle);
    if (!node) {
      node = makeNode(KINDS[container.kind] ?? "map");
      this.#nodes.set(container.handle, node);
      this.#handles.set(node, container.handle);
    }
    if ("content" in container) this.#fill(node, container.content, texts);
    return node;
  }

  #fill(node: Node, content: unknown, texts: TextChanges): void {
    switch (node.kind) {
      case "map": {
        const entries = content as readonly (string | CoreSlot)[];
        for (let i = 0; i < entries.length; i += 2) {
          node.put(entries[i] as string, this.#slot(entries[i + 1] as CoreSlot, texts));
        }
        break;
      }
      case "list":
        node.insert(0, (content as readonly CoreSlot[]).map((slot) => this.#slot(slot, texts)));
        break;
      case "text":
        if (content !== "") splice(node, { index: 0, delete: 0, insert: content as string }, texts);
        break;
      case "counter":
        node.set(content as number | bigint);
        break;
      case "set":
        node.set(content as readonly Scalar[]);
        break;
      case "register":
        node.set(content as Scalar | undefined);
    }
  }
}

function splice(node: TextNode, change: Splice, texts: TextChanges): void {
  node.splice(change.index, change.delete, change.insert);
  note(node, change, texts);
}

function note(node: TextNode, change: TextChange, texts: TextChanges): void {
  const changes = texts.get(node);
  if (changes) changes.push(change);
  else texts.set(node, [change]);
}

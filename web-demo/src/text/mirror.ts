/**
 * A copy of the textarea's text, laid out in the same way, that can be measured: where a position is on the page.
 *
 * The copy lies behind the textarea in the same grid cell and so gives it its height. Always holds: one element per line
 * of the text; an update touches only the lines between the common start and end. Not here: who is where (`cursors`).
 */

/** A place on the page, in pixels from the mirror's top left corner. */
export interface Spot {
  readonly left: number;
  readonly top: number;
  readonly height: number;
}

/** The measurable copy. */
export class Mirror {
  readonly #root: HTMLElement;
  #lines: string[] = [];
  /** Where each line starts; computed when first asked for after an update. */
  #starts: Float64Array | null = null;

  constructor(root: HTMLElement) {
    this.#root = root;
    root.replaceChildren();
    this.update("");
  }

  /** Makes the copy equal to `text`. */
  update(text: string): void {
    const next = text.split("\n");
    const old = this.#lines;
    const shorter = Math.min(old.length, next.length);
    let head = 0;
    while (head < shorter && old[head] === next[head]) head += 1;
    let tail = 0;
    while (tail < shorter - head && old[old.length - 1 - tail] === next[next.length - 1 - tail]) tail += 1;
    const changed = next.slice(head, next.length - tail);
    const reused = Math.min(changed.length, old.length - tail - head);
    let line = this.#root.children[head] ?? null;
    for (let i = 0; i < reused && line; i += 1) {
      fill(line, changed[i] ?? "");
      line = line.nextElementSibling;
    }
    for (let i = old.length - tail - head - reused; i > 0 && line; i -= 1) {
      const gone = line;
      line = line.nextElementSibling;
      gone.remove();
    }
    if (changed.length > reused) {
      const added = document.createDocumentFragment();
      for (const content of changed.slice(reused)) added.append(fill(document.createElement("div"), content));
      this.#root.insertBefore(added, line);
    }
    this.#lines = next;
    this.#starts = null;
  }

  /** Where a caret at `position` stands. */
  spot(position: number): Spot {
    const origin = this.#root.getBoundingClientRect();
    const { element, offset } = this.#locate(position);
    const text = element.firstChild;
    if (text instanceof Text) {
      const range = document.createRange();
      range.setStart(text, Math.min(offset, text.length));
      // Where a line wraps there are two places: the caret stands at the start of the second.
      const rect = [...range.getClientRects()].at(-1);
      if (rect) return { left: rect.left - origin.left, top: rect.top - origin.top, height: rect.height };
    }
    const rect = element.getBoundingClientRect();
    return { left: rect.left - origin.left, top: rect.top - origin.top, height: rect.height };
  }

  /** The boxes that a selection covers, at most `limit`. */
  boxes(start: number, end: number, limit: number): DOMRect[] {
    const [from, to] = [this.#locate(start), this.#locate(end)];
    const range = document.createRange();
    setEdge(range, "setStart", from);
    setEdge(range, "setEnd", to);
    const origin = this.#root.getBoundingClientRect();
    const rows = new Map<number, DOMRect>();
    for (const rect of range.getClientRects()) {
      if (rect.width === 0) continue;
      const [left, top] = [rect.left - origin.left, rect.top - origin.top];
      const row = rows.get(Math.round(top));
      // The space at the end of a wrapped row comes as a box of its own.
      if (row) row.width = Math.max(row.right, left + rect.width) - row.left;
      else if (rows.size < limit) rows.set(Math.round(top), new DOMRect(left, top, rect.width, rect.height));
    }
    return [...rows.values()];
  }

  /** The first line that ends below `y`, by its position, with its place. */
  lineAt(y: number): { at: number; top: number } {
    const lines = this.#root.children;
    let low = 0;
    let high = lines.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      const line = lines[middle] as HTMLElement;
      if (line.offsetTop + line.offsetHeight > y) high = middle;
      else low = middle + 1;
    }
    return { at: this.#lineStarts()[low] ?? 0, top: (lines[low] as HTMLElement | undefined)?.offsetTop ?? 0 };
  }

  #locate(position: number): { element: Element; offset: number } {
    const starts = this.#lineStarts();
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= position) low = middle;
      else high = middle - 1;
    }
    const element = this.#root.children[low] ?? this.#root;
    return { element, offset: Math.max(0, position - (starts[low] ?? 0)) };
  }

  #lineStarts(): Float64Array {
    if (this.#starts) return this.#starts;
    const starts = new Float64Array(this.#lines.length);
    let at = 0;
    for (let i = 0; i < this.#lines.length; i += 1) {
      starts[i] = at;
      at += (this.#lines[i]?.length ?? 0) + 1;
    }
    this.#starts = starts;
    return starts;
  }
}

function fill(line: Element, content: string): Element {
  const first = line.firstChild;
  if (content === "") line.replaceChildren(document.createElement("br"));
  else if (first instanceof Text) first.data = content;
  else line.replaceChildren(document.createTextNode(content));
  return line;
}

function setEdge(range: Range, edge: "setStart" | "setEnd", place: { element: Element; offset: number }): void {
  const text = place.element.firstChild;
  if (text instanceof Text) range[edge](text, Math.min(place.offset, text.length));
  else range[edge](place.element, 0);
}

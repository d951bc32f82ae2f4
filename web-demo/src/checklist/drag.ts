/**
 * Dragging a row of a list by its grip, with mouse, pen or finger.
 *
 * Always holds: a drag ends with exactly one call of `end`, also when it is broken off (then with the place where it
 * began). Not here: what a move means for the document.
 */

/** What the list does about a drag. */
export interface DragHooks {
  readonly signal: AbortSignal;
  rows(): readonly HTMLElement[];
  begin(): void;
  /** The row was dropped at this place. */
  end(row: HTMLElement, to: number): void;
}

interface Drag {
  readonly row: HTMLElement;
  readonly grip: HTMLElement;
  readonly pointer: number;
  readonly rows: readonly HTMLElement[];
  /** Middles of the rows on the page, before anything moved. */
  readonly middles: readonly number[];
  readonly from: number;
  readonly startY: number;
  lastClientY: number;
  to: number;
  frame: number;
}

/** Pixels from the edge of the window in which the page scrolls along. */
const EDGE = 64;
const SCROLL_STEP = 9;

/** Makes the rows of `list` draggable by their `.item-grip`. */
export function draggable(list: HTMLElement, hooks: DragHooks): void {
  let drag: Drag | null = null;
  const options = { signal: hooks.signal };

  const place = (): void => {
    if (!drag) return;
    const by = drag.lastClientY + window.scrollY - drag.startY;
    const middle = (drag.middles[drag.from] ?? 0) + by;
    drag.row.style.transform = `translateY(${by}px)`;
    let to = 0;
    drag.middles.forEach((other, i) => {
      if (i !== drag?.from && other < middle) to += 1;
    });
    drag.to = to;
    const height = drag.row.offsetHeight;
    drag.rows.forEach((row, i) => {
      if (!drag || row === drag.row) return;
      const up = i > drag.from && i <= to;
      const down = i < drag.from && i >= to;
      row.style.transform = up ? `translateY(${-height}px)` : down ? `translateY(${height}px)` : "";
    });
  };

  const scroll = (): void => {
    if (!drag) return;
    const step = drag.lastClientY < EDGE ? -SCROLL_STEP : drag.lastClientY > window.innerHeight - EDGE ? SCROLL_STEP : 0;
    if (step !== 0) {
      window.scrollBy(0, step);
      place();
    }
    drag.frame = requestAnimationFrame(scroll);
  };

  const finish = (kept: boolean): void => {
    if (!drag) return;
    const { row, rows, grip, pointer, from, to, frame } = drag;
    drag = null;
    cancelAnimationFrame(frame);
    if (grip.hasPointerCapture(pointer)) grip.releasePointerCapture(pointer);
    for (const one of rows) one.style.transform = "";
    row.classList.remove("item-dragged");
    list.classList.remove("items-dragging");
    hooks.end(row, kept ? to : from);
  };

  list.addEventListener("pointerdown", (event) => {
    const grip = (event.target as Element).closest<HTMLElement>(".item-grip");
    const row = grip?.closest<HTMLElement>(".item");
    if (!grip || !row || drag || event.button !== 0) return;
    hooks.begin();
    const rows = hooks.rows();
    const from = rows.indexOf(row);
    const middles = rows.map((one) => {
      const rect = one.getBoundingClientRect();
      return rect.top + rect.height / 2 + window.scrollY;
    });
    const startY = event.clientY + window.scrollY;
    drag = { row, grip, pointer: event.pointerId, rows, middles, from, startY, lastClientY: event.clientY, to: from, frame: 0 };
    grip.setPointerCapture(event.pointerId);
    row.classList.add("item-dragged");
    list.classList.add("items-dragging");
    drag.frame = requestAnimationFrame(scroll);
  }, options);
  list.addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.pointer) return;
    drag.lastClientY = event.clientY;
    place();
  }, options);
  list.addEventListener("pointerup", (event) => event.pointerId === drag?.pointer && finish(true), options);
  list.addEventListener("pointercancel", (event) => event.pointerId === drag?.pointer && finish(false), options);
  list.addEventListener("lostpointercapture", (event) => event.pointerId === drag?.pointer && finish(false), options);
  window.addEventListener("keydown", (event) => event.key === "Escape" && finish(false), options);
  hooks.signal.addEventListener("abort", () => finish(false));
}

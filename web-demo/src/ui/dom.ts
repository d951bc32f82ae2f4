/**
 * Small helpers for elements. Always holds: text is set as text, never as markup.
 */

type Attributes = Readonly<Record<string, string | boolean | undefined>>;

/** Makes an element. A `true` attribute is set without a value, `false` and `undefined` are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

/** An icon of the sprite in index.html. */
export function icon(name: string): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** The element of index.html with this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (!element) throw new Error(`index.html has no element #${id}`);
  return element as E;
}

/** Sets the text only where it differs, so that screen readers are told of changes only. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Gives a field a new value and leaves caret and selection with the characters around them. */
export function setValue(field: HTMLInputElement | HTMLTextAreaElement, value: string): void {
  const old = field.value;
  if (old === value) return;
  const focused = document.activeElement === field;
  const [start, end, direction] = [field.selectionStart ?? 0, field.selectionEnd ?? 0, field.selectionDirection];
  field.value = value;
  if (!focused) return;
  const shorter = Math.min(old.length, value.length);
  let head = 0;
  while (head < shorter && old[head] === value[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && old[old.length - 1 - tail] === value[value.length - 1 - tail]) tail += 1;
  const move = (at: number): number => {
    if (at <= head) return at;
    return at >= old.length - tail ? at + value.length - old.length : value.length - tail;
  };
  field.setSelectionRange(move(start), move(end), direction ?? "none");
}

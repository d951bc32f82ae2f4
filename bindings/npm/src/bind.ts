/**
 * Keeps an input element and a text equal, in both directions.
 *
 * Always holds: what others type moves the cursor and the selection with the characters around them; while an input
 * method composes a character, the element is left alone and what arrives is made up for afterwards.
 */

import { diff, transformIndex } from "./diff.js";
import type { Splice, TextHandle, Unsubscribe } from "./types.js";

export function bindElement(text: TextHandle, element: HTMLTextAreaElement | HTMLInputElement): Unsubscribe {
  /** The text as the element last knew it, and what happened to it since then. */
  let known = text.toString();
  let missed: Splice[] = [];
  let composing = false;
  let typing = false;
  element.value = known;
  // The element has its own idea of line ends: from here on, its text is what it says.
  known = element.value;

  const show = () => {
    const next = text.toString();
    if (element.value !== next) {
      const { selectionStart, selectionEnd, selectionDirection } = element;
      element.value = next;
      if (selectionStart !== null && selectionEnd !== null && element.ownerDocument.activeElement === element) {
        const isCaret = selectionStart === selectionEnd;
        const start = transformIndex(selectionStart, missed, isCaret);
        const end = isCaret ? start : transformIndex(selectionEnd, missed, true);
        element.setSelectionRange(start, Math.max(start, end), selectionDirection ?? undefined);
      }
    }
    known = element.value;
    missed = [];
  };

  const onInput = () => {
    if (composing) return;
    const typed = diff(known, element.value, element.selectionStart ?? undefined);
    if (typed) {
      const index = transformIndex(typed.index, missed);
      const end = typed.delete === 0 ? index : Math.max(index, transformIndex(typed.index + typed.delete, missed, true));
      const caret = missed.length === 0 ? null : index + typed.insert.length;
      typing = true;
      try {
        text.splice(index, end - index, typed.insert);
      } finally {
        typing = false;
      }
      if (caret !== null && element.value !== text.toString()) {
        element.value = text.toString();
        element.setSelectionRange(caret, caret);
      }
    }
    show();
  };
  const onStart = () => {
    composing = true;
  };
  const onEnd = () => {
    composing = false;
    onInput();
  };
  const unobserve = text.observe(({ splices }) => {
    if (typing) return;
    missed.push(...splices);
    if (!composing) show();
  });
  element.addEventListener("input", onInput);
  element.addEventListener("compositionstart", onStart);
  element.addEventListener("compositionend", onEnd);
  return () => {
    unobserve();
    element.removeEventListener("input", onInput);
    element.removeEventListener("compositionstart", onStart);
    element.removeEventListener("compositionend", onEnd);
  };
}

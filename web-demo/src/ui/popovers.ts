/**
 * Puts a popover below the button that opens it, inside the window.
 */

const GAP = 8;
const EDGE = 16;

/** Keeps every `[popover]` of the page near its button. */
export function mountPopovers(): void {
  for (const button of document.querySelectorAll<HTMLElement>("[popovertarget]")) {
    const popover = document.getElementById(button.getAttribute("popovertarget") ?? "");
    if (!popover) continue;
    const place = (): void => {
      const at = button.getBoundingClientRect();
      const room = window.innerWidth - popover.offsetWidth - EDGE;
      const left = button.dataset["side"] === "right" ? at.right - popover.offsetWidth : at.left;
      popover.style.top = `${at.bottom + GAP}px`;
      popover.style.left = `${Math.max(EDGE, Math.min(left, room))}px`;
    };
    popover.addEventListener("toggle", (event) => {
      const open = (event as ToggleEvent).newState === "open";
      button.setAttribute("aria-expanded", String(open));
      if (open) place();
    });
    window.addEventListener("resize", () => popover.matches(":popover-open") && place());
  }
}

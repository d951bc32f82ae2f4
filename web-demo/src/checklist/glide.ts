/**
 * Rows that glide to their new places instead of jumping, unless the person asked for less motion.
 */

const GLIDE_MS = 180;

/** Remembers where elements are; the function it returns lets them glide from there to where they are then. */
export function glide(elements: readonly HTMLElement[]): () => void {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return () => {};
  const before = new Map(elements.map((element) => [element, element.offsetTop]));
  return () => {
    for (const [element, top] of before) {
      const by = element.isConnected ? top - element.offsetTop : 0;
      if (by === 0) continue;
      const frames = [{ transform: `translateY(${by}px)` }, { transform: "none" }];
      element.animate(frames, { duration: GLIDE_MS, easing: "ease-out" });
    }
  };
}

/**
 * Random numbers that a seed repeats exactly.
 */

/** A generator (mulberry32): `next(n)` is a whole number below `n`. */
export function random(seed) {
  let state = seed >>> 0;
  const draw = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { next: (below) => Math.floor(draw() * below) };
}

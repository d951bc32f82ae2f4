/**
 * Which row of the checklist as it was shown is which row of the new one.
 *
 * Snapshots share the parts that did not change, so an element is known again by identity; one that was edited stands
 * between the same neighbours. Always holds: every old row is used at most once.
 */

/** For every new element the index of the old one that it was, or -1 if it is new. */
export function match(before: readonly object[], after: readonly object[]): number[] {
  const places = new Map<object, number>();
  before.forEach((element, i) => places.set(element, i));
  const result = after.map((element) => {
    const old = places.get(element) ?? -1;
    places.delete(element);
    return old;
  });
  const free = new Set(places.values());
  const take = (place: number, old: number): void => {
    if (result[place] !== -1 || !free.delete(old)) return;
    result[place] = old;
  };
  // Between the same neighbours: first behind the one before, then in front of the one after.
  for (let i = 0; i < result.length; i += 1) {
    const previous = i === 0 ? -1 : result[i - 1];
    if (i === 0 || previous !== -1) take(i, (previous ?? -1) + 1);
  }
  for (let i = result.length - 1; i >= 0; i -= 1) {
    const next = i === result.length - 1 ? before.length : (result[i + 1] ?? -1);
    if (next !== -1) take(i, next - 1);
  }
  return result;
}

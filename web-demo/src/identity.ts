/**
 * Who somebody is: a name and a colour, said through presence.
 *
 * Always holds: what others say is checked before it is shown. Not here: accounts; the name is only for people.
 */

import type { Peer } from "selvedge";

/** What a page says of the person in front of it: presence key `me`. */
export interface Person {
  readonly name: string;
  /** Degrees on the colour circle. */
  readonly hue: number;
}

const KEY = "selvedge-person";
const MAX_NAME = 40;
const FIRST = ["Amber", "Bright", "Calm", "Clever", "Early", "Gentle", "Keen", "Kind", "Lively", "Merry", "Quiet", "Swift"];
const SECOND = ["Badger", "Crane", "Finch", "Fox", "Hare", "Heron", "Lark", "Marten", "Otter", "Owl", "Robin", "Wren"];
/** Hues that are told apart easily, also beside each other. */
const HUES = [4, 28, 48, 96, 150, 178, 204, 232, 268, 300, 330];

/** The person of this browser: the same after a reload, drawn at random at first. */
export function myself(): Person {
  try {
    const saved = clean(JSON.parse(localStorage.getItem(KEY) ?? "null"));
    if (saved) return saved;
  } catch {
    // Storage that is switched off or holds something else: a new person then.
  }
  return remember({ name: `${draw(FIRST)} ${draw(SECOND)}`, hue: draw(HUES) });
}

/** Keeps the person for the next visit, where the browser allows it. */
export function remember(person: Person): Person {
  try {
    localStorage.setItem(KEY, JSON.stringify(person));
  } catch {
    // Without storage the name lasts as long as the page.
  }
  return person;
}

/** The name to show for somebody: vouched for by the relay, or what they say themselves. */
export function nameOf(peer: Peer): string {
  return peer.user ?? clean(peer.state["me"])?.name ?? "Somebody";
}

/** The hue to show for somebody, in degrees. */
export function hueOf(peer: Peer): number {
  return clean(peer.state["me"])?.hue ?? parseInt(peer.owner.slice(0, 4), 16) % 360;
}

/** The colour to show for somebody, as CSS. */
export function colourOf(peer: Peer): string {
  return colour(hueOf(peer));
}

/** The wanted hue, or one that none of `taken` has; when all are taken, the wanted one. */
export function freeHue(wanted: number, taken: readonly number[]): number {
  return [wanted, ...HUES].find((hue) => !taken.includes(hue)) ?? wanted;
}

/** A colour on which white text can be read, also beside the dark theme. */
export function colour(hue: number): string {
  return `oklch(0.56 0.15 ${hue})`;
}

/** One or two letters for a small round picture. */
export function initials(name: string): string {
  const words = name.split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...(word ?? "")][0] ?? "").join("").toUpperCase() || "?";
}

function draw<T>(from: readonly T[]): T {
  return from[Math.floor(Math.random() * from.length)] as T;
}

function clean(value: unknown): Person | null {
  if (!value || typeof value !== "object") return null;
  const { name, hue } = value as Partial<Record<keyof Person, unknown>>;
  if (typeof name !== "string" || typeof hue !== "number" || !Number.isFinite(hue)) return null;
  const short = name.trim().slice(0, MAX_NAME);
  return short ? { name: short, hue: ((hue % 360) + 360) % 360 } : null;
}

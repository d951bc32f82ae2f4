/**
 * Small things without a home: random bytes, hexadecimal, the name of a place in a document.
 */

export function randomBytes(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** `["todos", 3, "due date"]` as `todos[3]["due date"]`. */
export function pathName(path: readonly (string | number)[]): string {
  return path.reduce<string>((name, key) => {
    if (typeof key === "number") return `${name}[${key}]`;
    if (!/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(key)) return `${name}[${JSON.stringify(key)}]`;
    return name === "" ? key : `${name}.${key}`;
  }, "");
}

/** Whether a string has half of a surrogate pair without the other: no encoding of Unicode can hold it. */
export function isLone(text: string): boolean {
  return /\p{Surrogate}/u.test(text);
}

/** Whether cutting the string at this index would split a surrogate pair. */
export function splitsPair(text: string, index: number): boolean {
  const isHigh = (unit: number) => unit >= 0xd800 && unit < 0xdc00;
  const isLow = (unit: number) => unit >= 0xdc00 && unit < 0xe000;
  return index > 0 && index < text.length && isHigh(text.charCodeAt(index - 1)) && isLow(text.charCodeAt(index));
}

/** The WebAssembly module's bytes, unpacked; the file is written by the build. */
export function unpack(): Uint8Array<ArrayBuffer>;

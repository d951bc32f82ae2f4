/** The WebAssembly module, deflated, in base64; written by the build. */
export const packed: string;

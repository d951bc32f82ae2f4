/**
 * dist/packed.js: the WebAssembly module inside the package, and the code that unpacks it.
 *
 * The build bundles this file: `PACKED` becomes the module, as LZMA in base64. Only the decoder of the library is taken;
 * its entry point would bring the encoder along, which is four times as large.
 */

import { Decoder } from "../node_modules/lzma1/lib/decoder.js";
import { InputBuffer, OutputBuffer } from "../node_modules/lzma1/lib/streams.js";

/** The module's bytes. */
export function unpack() {
  const packed = Uint8Array.from(atob(PACKED), (char) => char.charCodeAt(0));
  const module = new OutputBuffer(LENGTH);
  new Decoder().decompress(new InputBuffer(packed), module);
  return module.toArray();
}

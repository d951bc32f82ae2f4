/**
 * A store that forgets everything when the page ends.
 */

import type { SelvedgeError } from "../error.js";
import { type Append, freshLease, type Lease, type RecordStore, type Salvage, type StoredRecord } from "./store.js";

export class MemoryStore implements RecordStore {
  readonly shared = false;
  onLost: (() => void) | null = null;
  onTrouble: ((error: SelvedgeError) => void) | null = null;
  #records = new Map<string, Uint8Array[]>();

  append(records: readonly Append[]): Promise<void> {
    for (const { doc, bytes } of records) {
      const log = this.#records.get(doc);
      if (log) log.push(bytes.slice());
      else this.#records.set(doc, [bytes.slice()]);
    }
    return Promise.resolve();
  }

  read(doc: string, from: number): Promise<StoredRecord[]> {
    const log = this.#records.get(doc) ?? [];
    return Promise.resolve(log.slice(from).map((bytes, i) => ({ index: from + i, bytes: bytes.slice() })));
  }

  async salvage(doc: string): Promise<Salvage> {
    return { records: await this.read(doc, 0), damage: null };
  }

  documents(): Promise<string[]> {
    return Promise.resolve([...this.#records.keys()].sort());
  }

  compact(): Promise<void> {
    return Promise.resolve();
  }

  lease(): Promise<Lease> {
    return Promise.resolve(freshLease());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Web Locks for tests: the part of `LockManager` that the package uses. `end` is what the end of a page does.
 */

interface Held {
  name: string;
  shared: boolean;
  page: object;
  drop: () => void;
}

interface Waiting extends Held {
  grant: () => void;
}

type Callback = (lock: { name: string } | null) => unknown;

export class TestLocks {
  #held: Held[] = [];
  #waiting: Waiting[] = [];

  /** The lock manager as one page sees it. */
  page(): { locks: LockManager; end: () => void } {
    const page = {};
    const request = (name: string, ...rest: unknown[]) => {
      const callback = rest.at(-1) as Callback;
      const options = (rest.length > 1 ? rest[0] : {}) as LockOptions;
      return this.#request(page, name, options, callback);
    };
    const end = () => {
      this.#waiting = this.#waiting.filter((waiting) => waiting.page !== page);
      this.#held = this.#held.filter((held) => held.page !== page);
      this.#next();
    };
    return { locks: { request } as unknown as LockManager, end };
  }

  #request(page: object, name: string, options: LockOptions, callback: Callback): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const lock: Waiting = {
        name, page, shared: options.mode === "shared", drop: () => undefined,
        grant: () => {
          this.#held.push(lock);
          lock.drop = () => {
            this.#held = this.#held.filter((held) => held !== lock);
            this.#next();
          };
          Promise.resolve(callback({ name })).then(resolve, reject).finally(lock.drop);
        },
      };
      if (this.#isFree(lock)) return queueMicrotask(lock.grant);
      if (options.ifAvailable) return queueMicrotask(() => Promise.resolve(callback(null)).then(resolve, reject));
      this.#waiting.push(lock);
      options.signal?.addEventListener("abort", () => {
        this.#waiting = this.#waiting.filter((waiting) => waiting !== lock);
        reject(new DOMException("aborted", "AbortError"));
      });
    });
  }

  #isFree(lock: Held): boolean {
    return this.#held.every((held) => held.name !== lock.name || (held.shared && lock.shared));
  }

  #next(): void {
    for (const lock of [...this.#waiting]) {
      if (!this.#isFree(lock)) continue;
      this.#waiting = this.#waiting.filter((waiting) => waiting !== lock);
      lock.grant();
    }
  }
}

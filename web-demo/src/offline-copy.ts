/**
 * Keeps the application itself on the device, so that the page can be loaded while the relay that serves it is away.
 *
 * The documents are kept by the package; this is only about the files. The work is done by `worker/offline.js`.
 */

/** Registers the service worker, where the browser has them (https, or this machine). */
export function keepForOffline(): void {
  if (!("serviceWorker" in navigator)) return;
  navigator.serviceWorker.register("offline.js").catch((error: unknown) => {
    console.warn("The page cannot be kept for offline use:", error);
  });
}

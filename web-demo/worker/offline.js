/**
 * The service worker: serves the application's own files while the relay that they come from is away.
 *
 * Always holds: the page itself is fetched fresh where the relay answers in time, so a new version shows at the next
 * load; the other files are named after their content and taken from the device. The build writes the two constants.
 * Not here: documents.
 */

/* global VERSION, FILES */

const CACHE = `selvedge-${VERSION}`;
const PATIENCE_MS = 3000;

self.addEventListener("install", (event) => {
  const keep = async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(FILES);
    await self.skipWaiting();
  };
  event.waitUntil(keep());
});

self.addEventListener("activate", (event) => {
  const tidy = async () => {
    const names = await caches.keys();
    const old = names.filter((name) => name.startsWith("selvedge-") && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(tidy());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== self.location.origin) return;
  if (request.mode === "navigate") event.respondWith(pageFirst(request));
  else if (FILES.includes(url.pathname)) event.respondWith(fileFirst(request, url.pathname));
});

async function pageFirst(request) {
  const kept = async () => (await caches.open(CACHE)).match("/");
  try {
    const response = await fetch(request, { signal: AbortSignal.timeout(PATIENCE_MS) });
    return response.ok ? response : ((await kept()) ?? response);
  } catch (error) {
    const page = await kept();
    if (page) return page;
    throw error;
  }
}

async function fileFirst(request, path) {
  const cache = await caches.open(CACHE);
  return (await cache.match(path)) ?? fetch(request);
}

// Keeps one whole build of the book for reading without a network. FILES and BUILD are filled in by
// the build: every file that reading needs, with the start of its SHA-256.
//
// A build is never mixed with another. It is stored whole or not at all, each file is compared with
// its hash on the way in, and a newer build takes over only when no open page belongs to the older.

const BUILD = "@build()";
const FILES = @files();

const CACHE = `book-${BUILD}`;
const SCOPE = new URL("./", location.href).href;
// Requests at a time while storing: the reader's own come first.
const AT_ONCE = 4;

// The address under which a file is stored holds its hash, so that the next build finds what did
// not change.
const address = (name) => `${SCOPE}${name}?${FILES[name]}`;

async function hash(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest.slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function store(cache, name) {
  const known = await caches.match(address(name));
  if (known) {
    await cache.put(address(name), known);
    return;
  }
  const answer = await fetch(SCOPE + name, { cache: "no-cache" });
  const bytes = await answer.clone().arrayBuffer();
  // The page of an unknown address is asked for by its own name: then its status is 200.
  if (!answer.ok || (await hash(bytes)) !== FILES[name]) {
    throw new Error(`${name} is not the file of build ${BUILD}`);
  }
  await cache.put(address(name), answer);
}

async function storeAll() {
  const cache = await caches.open(CACHE);
  const names = Object.keys(FILES);
  const work = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      await store(cache, name);
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, work));
  } catch (error) {
    names.length = 0;
    await caches.delete(CACHE);
    throw error;
  }
}

self.addEventListener("install", (event) => event.waitUntil(storeAll()));

self.addEventListener("activate", (event) => {
  event.waitUntil(
    (async () => {
      const others = (await caches.keys()).filter((name) => name.startsWith("book-") && name !== CACHE);
      await Promise.all(others.map((name) => caches.delete(name)));
      if (others.length === 0) {
        // The first visit: the page that is open can search without a network from now on.
        await self.clients.claim();
      }
    })(),
  );
});

self.addEventListener("message", (event) => {
  if (event.data === "take over") {
    self.skipWaiting();
  }
});

async function stored(name) {
  const cache = await caches.open(CACHE);
  return cache.match(address(name));
}

const notKept = () =>
  new Response(
    '<!DOCTYPE html><html lang="en"><meta charset="UTF-8"><meta name="viewport" content="width=device-width">' +
      "<title>Not kept for reading offline</title><h1>Not kept for reading offline</h1>" +
      `<p>This page needs a network. The chapters do not: <a href="${SCOPE}index.html">to the book</a>.</p></html>`,
    { status: 503, headers: { "Content-Type": "text/html; charset=utf-8" } },
  );

// A page that asks the newer build to take over, and only when it has is loaded again. Asked for again
// any earlier, it could reach this worker at its end and never be answered.
const handOver = () =>
  new Response(
    '<!DOCTYPE html><html lang="en"><meta charset="UTF-8"><title>A newer build</title><link rel="icon" href="data:,">' +
      `<script type="module">
        const { serviceWorker } = navigator;
        const again = () => location.reload();
        serviceWorker.addEventListener("controllerchange", again);
        setTimeout(again, 5000);
        const registration = await serviceWorker.getRegistration();
        registration?.waiting ? registration.waiting.postMessage("take over") : again();
      </script></html>`,
    { headers: { "Content-Type": "text/html; charset=utf-8" } },
  );

// Once is enough: a newer build that does not come is waited for with the older one in sight.
let handedOver = false;

async function page(name) {
  const { waiting } = self.registration;
  if (waiting && !handedOver && (await self.clients.matchAll()).length < 2) {
    // The reader leaves the last page of the older build: the newer one answers instead.
    handedOver = true;
    return handOver();
  }
  if (name in FILES) {
    const answer = await stored(name);
    if (answer) {
      return answer;
    }
  }
  try {
    return await fetch(SCOPE + name);
  } catch {
    return notKept();
  }
}

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || !url.href.startsWith(SCOPE)) {
    return;
  }
  let name = decodeURIComponent(url.origin + url.pathname).slice(SCOPE.length);
  if (name === "" || name.endsWith("/")) {
    name += "index.html";
  }
  if (request.mode === "navigate") {
    event.respondWith(page(name));
  } else if (name in FILES) {
    event.respondWith(stored(name).then((answer) => answer ?? fetch(request)));
  }
});

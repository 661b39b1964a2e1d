// The service worker: the page, its modules, the runtime and one model, for when the server is away.
//
//   page, modules, runtime   network first, so that an update is seen at once; the cache when nothing answers
//   /edge/<n>/               cache first: a published version never changes
//   /api, all else           never kept
//
// A page says {keep: "/edge/3/", networks: ["tfjs"], headers} once it uses those; their files are kept, and those of other
// versions go.

const PAGE = "page-1", MODEL = "model-1";
const PATIENCE = 3000; // ms for the network before the cache answers
const MEMORY = 30_000; // ms for which a network that did not answer in time is not waited for
const FILES = [
  "/", "/manifest.webmanifest", "/static/style.css", "/static/icon.svg", "/static/predict.js", "/static/canonicalize.js",
  "/static/normalize.js", "/static/picture.js", "/static/lines.js", "/static/decoding.js", "/static/vendor/tfjs.js",
  "/static/vendor/tfjs-backend-wasm-simd.wasm",
  ...[
    "agreement", "answer", "api", "badge", "bytes", "camera", "cut", "detail", "dom", "drawing", "feedback", "fields", "files",
    "intake", "keys", "latest", "line", "local", "main", "memory", "modes", "offline", "photo", "provenance", "stage", "strokes",
    "tabs", "watch",
  ].map((name) => `/static/page/${name}.js`),
];

let keeping = Promise.resolve(); // one model after the other, so that the last one stays
let stalled = 0; // when the network last took too long

self.addEventListener("install", (event) => {
  const fresh = FILES.map((path) => new Request(path, { cache: "no-cache" }));
  event.waitUntil(caches.open(PAGE).then((cache) => cache.addAll(fresh)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (![PAGE, MODEL].includes(name)) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event, { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== self.location.origin) return;
  if (pathname.startsWith("/edge/")) event.respondWith(cacheFirst(request));
  else if (FILES.includes(pathname)) event.respondWith(networkFirst(request, pathname));
});

self.addEventListener("message", (event) => {
  if (!event.data?.keep) return;
  const told = (reply) => event.ports[0]?.postMessage(reply);
  const kept = keeping.then(() => keep(event.data.keep, event.data.networks, event.data.headers));
  keeping = kept.then(() => told({ kept: true }), (error) => told({ why: error.message }));
  event.waitUntil(keeping);
});

async function cacheFirst(request) {
  return (await caches.match(request, { cacheName: MODEL, ignoreSearch: true })) ?? fetch(request);
}

async function networkFirst(request, pathname) {
  const cache = await caches.open(PAGE);
  const network = fetch(request.mode === "navigate" ? pathname : request, { cache: "no-cache" }).then(async (reply) => {
    if (reply.ok) await cache.put(pathname, reply.clone());
    return reply;
  });
  const kept = await cache.match(pathname);
  if (!kept) return network;
  const patience = Date.now() - stalled < MEMORY ? 0 : PATIENCE; // the next file need not wait again
  let silent = true;
  const answered = network.then((reply) => {
    silent = false;
    stalled = 0;
    return reply.status < 500 ? reply : kept;
  }, () => {
    silent = false;
    return kept;
  });
  const waited = new Promise((resolve) => setTimeout(resolve, patience)).then(() => {
    if (silent) stalled = Date.now();
    return kept;
  });
  return Promise.race([answered, waited]);
}

async function keep(folder, networks, headers) {
  const cache = await caches.open(MODEL);
  for (const request of await cache.keys()) {
    if (!new URL(request.url).pathname.startsWith(folder)) await cache.delete(request);
  }
  await added(cache, [`${folder}answer.json`], headers);
  for (const network of networks) {
    const graph = `${folder}${network}/model.json`;
    await added(cache, [graph], headers);
    const { weightsManifest } = await (await cache.match(graph)).json();
    await added(cache, weightsManifest.flatMap(({ paths }) => paths.map((path) => `${folder}${network}/${path}`)), headers);
  }
}

/** Each fetched and kept, unless it is already. */
async function added(cache, paths, headers) {
  for (const path of paths) if (!(await cache.match(path))) await cache.add(new Request(path, { headers }));
}

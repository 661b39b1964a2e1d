// The service worker that keeps page, runtime and model for days without a network.

import { byId } from "./dom.js";

/** Registers it, and says what came of it. */
export async function register() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("/sw.js");
  } catch (error) {
    byId("offline").textContent = `Not kept for offline use: ${error.message}`;
  }
}

/** Have the worker keep networks of a folder, and only that. headers: what its files want. */
export async function keep(folder, networks, headers) {
  if (!navigator.serviceWorker) return;
  const { active } = await navigator.serviceWorker.ready;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => {
    byId("offline").textContent = data.kept ? "Works offline now." : `Not kept for offline use: ${data.why}`;
  };
  active.postMessage({ keep: folder, networks, headers }, [port2]);
}

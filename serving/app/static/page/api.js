// What the gateway is asked. Each call gives its JSON or text, or throws Refusal with one line for a person.

const AWAY = new Set(["away", "no_model", "busy", "late"]);

/** The server said no, or said nothing. */
export class Refusal extends Error {
  /** status: of HTTP, 0 when nothing answered; after: seconds until it is worth asking again, or null. */
  constructor(message, { code = "away", status = 0, after = null } = {}) {
    super(message);
    Object.assign(this, { code, status, after });
  }

  /** Whether no model can be asked there now, be it for want of a key. */
  get away() {
    return AWAY.has(this.code) || this.status >= 502 || this.status === 401;
  }

  /** Whether the same may be said again later with success. */
  get passing() {
    return this.away || [408, 429, 507].includes(this.status);
  }
}

/** The gateway that this page comes from. keys: see keys.js. */
export class Server {
  constructor(keys) {
    this.keys = keys;
  }

  /** What serves; `patient` opens no dialog that was closed before. */
  about(patient) {
    return this.#asked("/api/about", { patient, seconds: 8 });
  }

  version(number) {
    return this.#asked(`/api/versions/${number}`, { seconds: 15 });
  }

  /** path: of /api/about → the model card, in Markdown. */
  card(path) {
    return this.#asked(path, { text: true, seconds: 15 });
  }

  /** 784 bytes, white ink on black → {digit, confidence, accepted, probabilities, version}. */
  async predict(pixels) {
    const body = { body: pixels, type: "application/octet-stream", patient: true, seconds: 10 };
    const answer = await this.#asked("/api/predict", body);
    return { ...answer.predictions[0], version: answer.version };
  }

  /** A picture file → what `digits_client.reading` found, as a tree, with its lines as the model saw them. */
  read(file) {
    return this.#asked("/api/read?images=true", { body: file, type: file.type || "application/octet-stream", seconds: 60 });
  }

  feedback(given) {
    return this.#asked("/api/feedback", { body: JSON.stringify(given), type: "application/json", seconds: 15 });
  }

  /** What waits for a reviewer: {waiting, next}. after: the id of the one before, or null. */
  waiting(after) {
    return this.#asked(`/api/review${after ? `?after=${encodeURIComponent(after)}` : ""}`, { seconds: 15 });
  }

  decide(given) {
    return this.#asked("/api/review", { body: JSON.stringify(given), type: "application/json", seconds: 15 });
  }

  async #asked(path, options) {
    let reply = await this.#sent(path, options);
    while (reply.status === 401 && (await this.keys.ask(this.keys.value !== null, options.patient))) {
      reply = await this.#sent(path, options);
    }
    const tree = await (options.text && reply.ok ? reply.text() : reply.json()).catch(() => null);
    if (reply.ok && tree !== null) return tree;
    const { code = "", message = `the server answered ${reply.status}` } = tree?.error ?? {};
    const after = Number(reply.headers.get("Retry-After")) || null;
    throw new Refusal(message, { code, status: reply.ok ? 502 : reply.status, after });
  }

  async #sent(path, { body, type, seconds }) {
    const headers = { Accept: "application/json", ...this.keys.headers };
    if (type) headers["Content-Type"] = type;
    const signal = AbortSignal.timeout(1000 * seconds);
    try {
      return await fetch(path, { method: body ? "POST" : "GET", body, headers, signal, cache: "no-store" });
    } catch (error) {
      if (error.name === "TimeoutError") {
        throw new Refusal(`the server said nothing for ${seconds} seconds`, { code: "late" });
      }
      throw new Refusal("the server does not answer");
    }
  }
}

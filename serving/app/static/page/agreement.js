// Two answers to the same pixels, from the server and from this browser → whether they agree, in words.

/** Answers with digit, probabilities and version → {same, text}. */
export function agreement(server, browser) {
  if (server.version !== browser.version) {
    return { same: null, text: `this browser has version ${browser.version}, so it is not compared` };
  }
  const apart = Math.max(...server.probabilities.map((share, i) => Math.abs(share - browser.probabilities[i])));
  const difference = apart < 0.00005 ? "below 0.0001" : apart.toFixed(4);
  if (server.digit === browser.digit) return { same: true, text: `this browser agrees, difference ${difference}` };
  return { same: false, text: `differs: ${browser.digit} here, ${server.digit} on the server (${difference})` };
}

// Who answers, the server or this browser, and what the page says about it. Pure: state in, words out.
//
//   state   {chosen: "server" | "browser", switched: bool, server: "unknown" | "up" | "down", why: "",
//            local: "none" | "loading" | "ready" | "failed", localWhy: "", version: of the local model | null}

/** The state after something was heard; a server that went away hands over to a browser that can answer. */
export function settled(state) {
  if (state.server === "down" && state.chosen === "server" && state.local === "ready") {
    return { ...state, chosen: "browser", switched: true };
  }
  if (state.chosen === "browser" && state.local !== "ready") return { ...state, chosen: "server", switched: false };
  return state;
}

/** What stands above the page: {text, calm, act: "back" | "again" | null}, or null. */
export function banner(state) {
  if (state.server === "up") {
    if (state.chosen === "browser" && state.switched) {
      return { text: "The server is back.", calm: true, act: "back" };
    }
    return null;
  }
  if (state.server === "unknown") return null;
  const away = sentence(state.why);
  if (state.local === "ready") {
    const reads = `Version ${state.version} answers in this browser meanwhile; a picture is read as one line.`;
    return { text: `${away} ${reads}`, calm: false, act: "again" };
  }
  const then = {
    loading: "The model for this browser is still being loaded.",
    failed: sentence(state.localWhy),
    none: "No model is loaded in this browser, so nothing can be read until the server is back.",
  };
  return { text: `${away} ${then[state.local]}`, calm: false, act: "again" };
}

/** What is said of pictures before one is chosen: this browser reads one line, not a page; "" of the server. */
export function readsAlone(state) {
  if (state.chosen !== "browser") return "";
  const rest = state.server === "up"
    ? "Whatever it is not sure of is sent to the server."
    : "A page, a form or several lines need the server.";
  return `In this browser a picture is read as one line of digits. ${rest}`;
}

/** The first half of a message that goes on to say what an operator would do about it. */
export function headline(text) {
  return text.split(/ \(|: |; /)[0];
}

function sentence(text) {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

"""Modules of the page that need no page: who answers, and what is said about it."""

from bench.browser import scripted_page

CHECK = """
import { agreement } from "/static/page/agreement.js";
import { percent } from "/static/page/dom.js";
import { banner, headline, settled } from "/static/page/modes.js";

const base = { chosen: "server", switched: false, server: "up", why: "", local: "ready", localWhy: "" };
base.version = 3;
const down = { ...base, server: "down", why: "the server does not answer" };
const all = (digit, share, version = 3) => {
  const probabilities = Array.from({ length: 10 }, (_, i) => (i === digit ? share : (1 - share) / 9));
  return { digit, version, probabilities };
};

export function check() {
  return {
    headlines: ["localhost:18771 over gRPC does not answer (refused): is it up?", "none"].map(headline),
    stays: [settled({ ...down, local: "loading" }), settled({ ...base, chosen: "browser", local: "failed" })],
    banners: [
      base, { ...base, server: "unknown" }, { ...down, local: "loading" }, { ...down, local: "none" },
      { ...down, local: "failed", localWhy: "the model is not there: ask who serves" },
    ].map(banner),
    agreements: [all(5, 0.8), all(3, 0.9, 2)].map((here) => agreement(all(3, 0.9), here)),
    shares: [[1], [0.99996], [0.5], [0.9962, 2], [0.996, 0], [0]].map((o) => percent(...o)),
  };
}
"""


def test_who_answers_and_what_is_said_about_it(browser):
    with scripted_page(browser, {"/check.js": CHECK.encode()}) as tab:
        found = tab.evaluate("import('/check.js').then(({ check }) => check())")
    assert [each["chosen"] for each in found["stays"]] == ["server", "server"], "nobody who can not answer"
    assert found["headlines"] == ["localhost:18771 over gRPC does not answer", "none"]
    well, starting, *away = found["banners"]
    assert well is None and starting is None
    for told, words in zip(
        away,
        ["still being loaded", "nothing can be read until the server is back", "The model is not there: ask"],
        strict=True,
    ):
        assert words in told["text"] and told["act"] == "again"
    apart, older = found["agreements"]
    assert apart["same"] is False and "5 here, 3 on the server" in apart["text"]
    assert older["same"] is None and "version 2" in older["text"]
    assert found["shares"] == ["100.0 %", "99.9 %", "50.0 %", "99.62 %", "99 %", "0.0 %"]

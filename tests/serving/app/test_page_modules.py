"""Modules of the page that need no page: who answers, and what is said about it."""

import pytest

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
    stays: settled({ ...down, local: "loading" }).chosen,
    nobodyHere: settled({ ...base, chosen: "browser", local: "failed" }).chosen,
    banners: {
      up: banner(base),
      start: banner({ ...base, server: "unknown" }),
      back: banner({ ...base, chosen: "browser", switched: true }),
      ready: banner(down),
      loading: banner({ ...down, local: "loading" }),
      none: banner({ ...down, local: "none" }),
      failed: banner({ ...down, local: "failed", localWhy: "the model is not there: ask who serves" }),
    },
    agreements: [
      agreement(all(3, 0.91), all(3, 0.9101)), agreement(all(3, 0.9), all(3, 0.90000001)),
      agreement(all(3, 0.9), all(5, 0.8)), agreement(all(3, 0.9), all(3, 0.9, 2)),
    ],
    shares: [[1], [0.99996], [0.5], [0.9962, 2], [0.996, 0], [0]].map((o) => percent(...o)),
  };
}
"""


@pytest.fixture(scope="module")
def found(browser):
    with scripted_page(browser, {"/check.js": CHECK.encode()}) as tab:
        return tab.evaluate("import('/check.js').then(({ check }) => check())")


def test_nobody_is_chosen_who_can_not_answer(found):
    assert (found["stays"], found["nobodyHere"]) == ("server", "server")


@pytest.mark.parametrize(
    ("state", "words", "act"),
    [
        ("back", "The server is back.", "back"),
        ("ready", "The server does not answer. Version 3 answers in this browser meanwhile", "again"),
        ("loading", "still being loaded", "again"),
        ("none", "nothing can be read until the server is back", "again"),
        ("failed", "The server does not answer. The model is not there: ask who serves.", "again"),
    ],
)
def test_what_is_away_and_what_answers_meanwhile_is_said(found, state, words, act):
    assert words in found["banners"][state]["text"] and found["banners"][state]["act"] == act


def test_of_a_message_for_operators_visitors_read_the_first_half(found):
    assert found["headlines"] == ["localhost:18771 over gRPC does not answer", "none"]


def test_nothing_is_said_while_all_is_well(found):
    assert found["banners"]["up"] is None and found["banners"]["start"] is None


def test_two_answers_agree_by_digit_and_tell_their_largest_difference(found):
    near, equal, apart, older = found["agreements"]
    assert near == {"same": True, "text": "this browser agrees, difference 0.0001"}
    assert equal["text"].endswith("below 0.0001")
    assert apart["same"] is False and "5 here, 3 on the server" in apart["text"]
    assert older["same"] is None and "version 2" in older["text"]


def test_nothing_short_of_all_is_shown_as_all(found):
    assert found["shares"] == ["100.0 %", "99.9 %", "50.0 %", "99.62 %", "99 %", "0.0 %"]
